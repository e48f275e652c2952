"""One bit of the community firmware, from its coming to its leaving.

What it is told is what it should show now, and no more: while it is slow, or busy, what changed meanwhile is told once.
The firmware starts a program for each output, and asks for no rapid succession of them, so they have a pace; after a
while without an output it is told at once.

The firmware tells its input when that changes, and not that it is 0 at the start. So as not to show 0 for a moment each
time that a bit comes again, it is on line with its first input, or when there was none for a while.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain
from typing import Final

import anyio
from attrs import frozen
from starlette.types import Receive, Send

from ..bits import Bit, Light
from . import _frames as frames
from ._frames import BadFrameError, Button, Figures, Identity, Input, InputScale, Opcode
from ._tally import Tally

__all__ = ["REPLACED", "REVOKED", "Allowance", "Connection", "Ending"]

logger: Final = logging.getLogger(__name__)

_FIRST_INPUT_WITHIN: Final = 0.3
"""Seconds; the firmware looks at its input each 10 ms."""
_CLOSE_WITHIN: Final = 0.5
"""Seconds that a bit has to take what was on its way to it when the connection is closed."""
_APART: Final = 0.1
"""Seconds between two things that a bit is told."""
_FRAMES: Final = {"per_second": 200.0, "at_once": 400.0}
"""Twice what the firmware can send."""
_GARBAGE: Final = {"per_second": 0.2, "at_once": 10.0}
"""A newer firmware may have frames of its own, but not many."""


class Allowance:
    """So many at once, and so many a second.

    Args:
        per_second: What comes back in a second.
        at_once: The most there is.
    """

    def __init__(self, *, per_second: float, at_once: float) -> None:
        self._per_second = per_second
        self._at_once = self._left = at_once
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Take one; return whether there was one."""
        self._left = min(self._at_once, self._left + max(0.0, now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@frozen
class Ending:
    """Why a connection is closed from this side.

    Attributes:
        code: For the websocket's closing frame.
        reason: The same for people.
    """

    code: int
    reason: str


REPLACED: Final = Ending(4000, "the bit came again")
REVOKED: Final = Ending(1008, "not enrolled any more")
_HASTE: Final = Ending(1008, "too many frames")
_BABBLE: Final = Ending(1008, "not the firmware's protocol")
_STRANGER: Final = Ending(1008, "another bit than it said")


class Connection:
    """A websocket.

    Args:
        bit: Whose it is.
        scale: What its input goes up to.
        tally: Counts.
        arrive: Called once, when the bit is on line.
        learn: Called with what its input goes up to, when that showed.
        clock: The ticker's, monotonic.
    """

    def __init__(
        self,
        bit: Bit,
        scale: InputScale,
        tally: Tally,
        *,
        arrive: Callable[[], None],
        learn: Callable[[int], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self.bit = bit
        self._scale = scale
        self._tally = tally
        self._arrive = arrive
        self._learn = learn
        self._clock = clock
        self._has_arrived = False
        self._ending: Ending | None = None
        self._scope = anyio.CancelScope()
        self._changed = asyncio.Event()
        self._output: str | None = None
        self._light: Light | None = None
        self._to_ask: list[Opcode] = []
        self._asking: dict[Opcode, set[asyncio.Future[Button | Figures]]] = {
            Opcode.ASK_BUTTON: set(),
            Opcode.ASK_FIGURES: set(),
        }
        self._pace = Allowance(**_FRAMES)
        self._patience = Allowance(**_GARBAGE)

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve the bit until one side has enough."""
        try:
            await send({"type": "websocket.accept"})
            self.bit.watch(self, self._changed.set)
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._steer, send)
                    tasks.start_soon(self._wait_for_input)
                    self._ending = await self._listen(receive)
                    tasks.cancel_scope.cancel()
        finally:
            self.bit.unwatch(self)
            for waiting in chain(*self._asking.values()):
                if not waiting.done():
                    waiting.set_exception(ConnectionError(f"the bit {self.bit.id} left"))

    async def close(self, send: Send) -> None:
        """Tell the bit why, where it was this side that had enough."""
        if self._ending is not None:
            with anyio.move_on_after(_CLOSE_WITHIN):  # else it would wait for a bit that does not read
                await send({"type": "websocket.close", "code": self._ending.code, "reason": self._ending.reason})

    def end(self, ending: Ending) -> None:
        """Have the connection closed."""
        self._ending = ending
        self._scope.cancel()

    async def ask(self, question: Opcode) -> Button | Figures:
        """Ask the bit, and wait for its answer; whoever waits gets the first that comes.

        Raises:
            ConnectionError: The bit left.
        """
        if question not in self._to_ask:
            self._to_ask.append(question)
            self._changed.set()
        answer: asyncio.Future[Button | Figures] = asyncio.get_running_loop().create_future()
        self._asking[question].add(answer)
        try:
            return await answer
        finally:
            self._asking[question].discard(answer)

    async def _listen(self, receive: Receive) -> Ending | None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return None
            now = self._clock()
            self._tally.frames += 1
            if not self._pace.take(now):
                self._tally.cut_off += 1
                return _HASTE
            try:
                frame = frames.read(message.get("text") or message.get("bytes") or b"")
            except BadFrameError as error:
                logger.debug("bit %s sent garbage: %s", self.bit.id, error)
                self._tally.garbage_frames += 1
                if not self._patience.take(now):
                    self._tally.cut_off += 1
                    return _BABBLE
                continue
            if (ending := await self._take(frame)) is not None:
                return ending

    async def _take(self, frame: frames.Frame) -> Ending | None:
        match frame:
            case Input(value):
                known = self._scale.full
                self.bit.turn(self._scale.percent(value))
                self._be_there()
                if self._scale.full is not None and self._scale.full != known:
                    await self._learn(self._scale.full)
            case Identity(mac):
                return _STRANGER if mac != self.bit.id else None
            case Button():
                self._answer(Opcode.ASK_BUTTON, frame)
            case Figures():
                self._answer(Opcode.ASK_FIGURES, frame)
        return None

    def _answer(self, question: Opcode, answer: Button | Figures) -> None:
        for waiting in self._asking[question]:
            if not waiting.done():
                waiting.set_result(answer)

    async def _wait_for_input(self) -> None:
        await anyio.sleep(_FIRST_INPUT_WITHIN)
        if not self._has_arrived:
            self.bit.turn(0)
            self._be_there()

    def _be_there(self) -> None:
        if not self._has_arrived:
            self._has_arrived = True
            self._arrive()

    async def _steer(self, send: Send) -> None:
        try:
            while True:
                self._changed.clear()
                settles = self.bit.settles  # before it is told what to show: it may change while that is sent
                for text in self._news():
                    await send({"type": "websocket.send", "text": text})
                await anyio.sleep(_APART)
                with anyio.move_on_at(anyio.current_time() + settles - self._clock()):
                    await self._changed.wait()
        except OSError:  # it left, which `_listen` is told as well
            return

    def _news(self) -> Iterator[str]:
        """Give what the bit is not showing yet; each is the newest when it is sent."""
        output = frames.output(self.bit.shown)
        if output != self._output:
            self._output = output
            yield output
        light = self.bit.light
        if light != self._light:
            self._light = light
            yield frames.light(light)
        while self._to_ask:
            yield frames.ask(self._to_ask.pop(0))
