"""OutputQueue: outputs written in the background, within the budget."""

import logging
import math
import time
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Final, Self

import anyio
import anyio.abc
from anyio.lowlevel import checkpoint_if_cancelled

from .._tasks import first_error, leave
from ..budget import Grant, Priority
from ..errors import AuthenticationError, InvalidArgumentError, LittleBitsError, OAuthError, SessionClosedError
from ..models import FOREVER
from ..session import Session
from ..wire import Call
from ..wire import output as output_call
from ._outputs import Output, Outputs

__all__ = ["OutputQueue"]

_log = logging.getLogger("littlebits_async.outputs")

_LONGEST_RETRY_WAIT: Final = 60.0


class OutputQueue:
    """Writes outputs in the background, so that whoever sets them need not wait for the budget.

    ``async with OutputQueue(session) as out: out.set(device_id, percent)``

    While requests are short, the last value set for a device wins, and the older are never sent. Pulses are all sent,
    in order, each after the one before it is over. Leaving the block sends what is left, for ``flush_within`` seconds
    at most; what was not sent then is logged and is in `dropped`. Leaving by an error or by cancellation drops at once.

    What fails is tried again as the session's `RetryPolicy` says, and meanwhile holds up its own device only; where
    that would take more than 60 seconds it is given up. What is given up is logged and is in `errors`. A refused token,
    a closed session, or an error that is not this package's ends the writing and drops the rest: `set`, `pulse` and
    `flush` raise it from then on, and so does leaving the block.

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
        self._outputs = Outputs()
        self._news = anyio.Event()
        self._idle = anyio.Event()  # replaced when it is set
        self._slots = anyio.Semaphore(at_a_time)
        self._errors: dict[str, LittleBitsError] = {}
        self._dropped: tuple[tuple[str, float], ...] = ()
        self._fatal: Exception | None = None
        self._closed = False
        self._group: anyio.abc.TaskGroup | None = None

    @property
    def pending(self) -> int:
        """How many outputs are on their way or wait, also those that wait to be tried again."""
        return len(self._outputs)

    @property
    def errors(self) -> Mapping[str, LittleBitsError]:
        """The last error of each device whose last output was given up."""
        return MappingProxyType(self._errors)

    @property
    def dropped(self) -> tuple[tuple[str, float], ...]:
        """Device and percent of each output that was still pending when the writing ended.

        One that was on its way may have arrived.
        """
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
        """Wait until everything put so far and meanwhile is sent or given up. Cost: what was put.

        Raises:
            AuthenticationError: The token was refused, so nothing will be.
            OAuthError: There is no token, and none is to be had.
            SessionClosedError: The block was left before everything was sent.
        """
        await self._until_idle()
        self._raise_fatal()
        if self._dropped:
            raise SessionClosedError("the output queue's block was left before everything was sent")

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
                    await self._until_idle()
        finally:
            self._group.cancel_scope.cancel()
            await leave(self._group, exc_type, exc, tb)
        if exc is None:
            self._raise_fatal()

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

    def _call(self, output: Output) -> Call[None]:
        return output_call(
            output.device_id, output.percent, duration_ms=output.duration_ms, version=self._session.api_version
        )

    async def _run(self) -> None:
        try:
            async with anyio.create_task_group() as senders:
                while True:
                    await self._until_due()
                    await self._slots.acquire()
                    try:
                        grant = await self._session.grant(priority=Priority.COMMAND, label="output")
                    except LittleBitsError as exc:
                        self._failed(self._take(), exc)
                    else:
                        # Taken after the wait for the budget, not before: that is how the last value wins.
                        senders.start_soon(self._send, self._take(), grant)
        except* Exception as group:  # noqa: BLE001 - raised by `_raise_fatal`
            self._fatal = first_error(group)
        finally:
            self._dropped = tuple((output.device_id, output.percent) for output in self._outputs.clear())
            if self._dropped:
                _log.warning("not sent when the queue ended: %s", self._dropped)
            self._idle.set()

    def _take(self) -> Output:
        output = self._outputs.take(time.monotonic())
        assert output is not None  # noqa: S101 - one was due, and nobody else takes any
        return output

    async def _until_due(self) -> None:
        while True:
            now = time.monotonic()
            due = self._outputs.due_at(now)
            if due is not None and due <= now:
                return
            self._news = anyio.Event()
            with anyio.move_on_after(math.inf if due is None else due - now):
                await self._news.wait()

    async def _until_idle(self) -> None:
        while self.pending:
            await self._idle.wait()

    async def _send(self, output: Output, grant: Grant) -> None:
        try:
            await checkpoint_if_cancelled()
        except anyio.get_cancelled_exc_class():
            grant.cancel()  # surely not sent
            raise
        try:
            await self._session.send(self._call(output), grant)
        except LittleBitsError as exc:
            self._failed(output, exc)
        else:
            self._errors.pop(output.device_id, None)
            self._outputs.done(output, time.monotonic())
            self._settled()

    def _failed(self, output: Output, exc: LittleBitsError) -> None:
        again_in = self._session.retry.wait(exc, output.tries + 1, idempotent=output.holds)
        if again_in is None or again_in > _LONGEST_RETRY_WAIT:
            again_in = None
            self._errors[output.device_id] = exc
            _log.warning("device %s: an output was not written: %s", output.device_id, exc)
        self._outputs.failed(output, time.monotonic(), again_in=again_in)
        if isinstance(exc, AuthenticationError | OAuthError | SessionClosedError):
            raise exc
        self._settled()

    def _settled(self) -> None:
        self._slots.release()
        self._news.set()
        if not self.pending:
            self._idle.set()
            self._idle = anyio.Event()
