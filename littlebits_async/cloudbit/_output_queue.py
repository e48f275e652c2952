"""OutputQueue: outputs written in the background, within the budget."""

import logging
import math
import time
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Self

import anyio
import anyio.abc

from ..budget import Grant, Priority
from ..errors import AuthenticationError, InvalidArgumentError, LittleBitsError, SessionClosedError
from ..models import FOREVER
from ..session import Session
from ..wire import Call
from ..wire import output as output_call
from ._outputs import Output, Outputs

__all__ = ["OutputQueue"]

_log = logging.getLogger("littlebits_async.outputs")


class OutputQueue:
    """Writes outputs in the background, so that whoever sets them need not wait for the budget.

    ``async with OutputQueue(session) as out: out.set(device_id, percent)``

    While requests are short, the last value set for a device wins, and the older are never sent. Pulses are all sent,
    in order, each after the one before it is over. Leaving the block sends what is left, for ``flush_within`` seconds
    at most; what was not sent then is logged and is in `dropped`. Leaving by an error or by cancellation drops at once.

    Cost: 1 request for each output that is sent, at the priority of commands.

    Args:
        session: What to write over.
        flush_within: Seconds that leaving the block may take; 0 sends nothing more.
        at_a_time: How many outputs may be on their way, each to another device.

    Raises:
        InvalidArgumentError: An argument is out of range.
    """

    def __init__(self, session: Session, *, flush_within: float = 10.0, at_a_time: int = 8) -> None:
        if not flush_within >= 0:
            raise InvalidArgumentError(f"flush_within: seconds from 0 on, not {flush_within!r}")
        if at_a_time < 1:
            raise InvalidArgumentError(f"at_a_time: 1 at least, not {at_a_time!r}")
        self._session = session
        self._flush_within = flush_within
        self._at_a_time = at_a_time
        self._outputs = Outputs()
        self._news = anyio.Event()
        self._idle = anyio.Event()
        self._on_their_way = 0
        self._errors: dict[str, LittleBitsError] = {}
        self._dropped: tuple[tuple[str, float], ...] = ()
        self._fatal: LittleBitsError | None = None
        self._closed = False
        self._group: anyio.abc.TaskGroup | None = None

    @property
    def pending(self) -> int:
        """How many outputs wait or are on their way."""
        return len(self._outputs) + self._on_their_way

    @property
    def errors(self) -> Mapping[str, LittleBitsError]:
        """The last error of each device whose last output could not be written."""
        return MappingProxyType(self._errors)

    @property
    def dropped(self) -> tuple[tuple[str, float], ...]:
        """Device and percent of each output that leaving the block left unsent."""
        return self._dropped

    def set(self, device_id: str, percent: float) -> None:
        """Hold a device at a percent from now on; replaces a value that has not been sent yet.

        Cost: 1 request, or none where a newer value comes first.

        Raises:
            InvalidArgumentError: A value is out of range.
            SessionClosedError: The queue is not open.
        """
        self._put(Output(device_id, percent, FOREVER))

    def pulse(self, device_id: str, percent: float = 100, *, duration_ms: int = 3000, pause_ms: int = 0) -> None:
        """Send a pulse, after those before it.

        Cost: 1 request.

        Args:
            device_id: The device.
            percent: 0 to 100.
            duration_ms: 0 to 32000 milliseconds.
            pause_ms: Milliseconds from its end to the device's next output at least.

        Raises:
            InvalidArgumentError: A value is out of range.
            SessionClosedError: The queue is not open.
        """
        if duration_ms == FOREVER:
            raise InvalidArgumentError("duration_ms: a pulse ends; use set() for a value that stays")
        if not 0 <= pause_ms < math.inf:
            raise InvalidArgumentError(f"pause_ms: milliseconds from 0 on, not {pause_ms!r}")
        self._put(Output(device_id, percent, duration_ms, pause=pause_ms / 1000))

    async def flush(self) -> None:
        """Wait until everything put so far and meanwhile is sent. Cost: what was put.

        Raises:
            AuthenticationError: The token was refused, so nothing will be.
        """
        while self.pending:
            self._raise_fatal()
            self._idle = anyio.Event()
            await self._idle.wait()
        self._raise_fatal()

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise SessionClosedError("an output queue can be entered once")
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._run, name="OutputQueue")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._group is not None  # noqa: S101 - entered
        self._closed = True
        try:
            if exc is None:
                with anyio.move_on_after(self._flush_within):
                    await self.flush()
        finally:
            self._drop()
            self._group.cancel_scope.cancel()
            if isinstance(exc, anyio.get_cancelled_exc_class()):
                await self._group.__aexit__(exc_type, exc, tb)
            else:
                await self._group.__aexit__(None, None, None)

    def _put(self, output: Output) -> None:
        if self._group is None or self._closed:
            raise SessionClosedError("the output queue is not open: use it inside its `async with` block")
        self._raise_fatal()
        self._call(output)  # refuses what no request could carry
        self._outputs.put(output)
        self._news.set()

    def _raise_fatal(self) -> None:
        if self._fatal is not None:
            raise self._fatal

    def _drop(self) -> None:
        self._dropped = tuple((output.device_id, output.percent) for output in self._outputs.clear())
        if self._dropped:
            _log.warning("%d outputs were not sent: %s", len(self._dropped), self._dropped)

    def _call(self, output: Output) -> Call[None]:
        return output_call(
            output.device_id, output.percent, duration_ms=output.duration_ms, version=self._session.api_version
        )

    async def _run(self) -> None:
        slots = anyio.Semaphore(self._at_a_time)
        async with anyio.create_task_group() as senders:
            while True:
                await self._until_due()
                await slots.acquire()
                # The value is chosen after the wait for the budget, not before: that is how the last one wins.
                grant = await self._session.grant(priority=Priority.COMMAND, label="output")
                output = self._outputs.take(time.monotonic())
                if output is None:
                    grant.cancel()
                    slots.release()
                    continue
                self._on_their_way += 1
                senders.start_soon(self._send, output, grant, slots)

    async def _until_due(self) -> None:
        while True:
            now = time.monotonic()
            due = self._outputs.due_at(now)
            if due is not None and due <= now:
                return
            self._news = anyio.Event()
            with anyio.move_on_after(math.inf if due is None else due - now):
                await self._news.wait()

    async def _send(self, output: Output, grant: Grant, slots: anyio.Semaphore) -> None:
        try:
            await self._session.send(self._call(output), grant)
        except LittleBitsError as exc:
            await self._failed(output, exc)
        else:
            self._errors.pop(output.device_id, None)
            self._outputs.done(output, time.monotonic())
        finally:
            self._on_their_way -= 1
            slots.release()
            self._news.set()
            if not self.pending:
                self._idle.set()

    async def _failed(self, output: Output, exc: LittleBitsError) -> None:
        wait = self._session.retry.wait(exc, output.tries + 1, idempotent=output.holds)
        if wait is not None:
            await anyio.sleep(wait)
        else:
            self._errors[output.device_id] = exc
            _log.warning("device %s: an output was not written: %s", output.device_id, exc)
        if isinstance(exc, AuthenticationError | SessionClosedError):
            self._fatal = exc
            self._drop()
            self._idle.set()
        self._outputs.failed(output, again=wait is not None)
