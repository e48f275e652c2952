"""The same for each of several cloudBits."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

import anyio
from attrs import define, field

from ..budget import Priority
from ..errors import AuthenticationError, LittleBitsError, OAuthError, SessionClosedError, TransportError
from ..models import Device
from ._errors import CommandError, ExitCode, explain, unwrap
from ._output import Printer, complain
from ._progress import PATIENCE, choose_progress
from ._targets import title

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["for_each"]

T = TypeVar("T")

_AT_A_TIME: Final = 8
_LOOK_EVERY: Final = 0.1


async def for_each(
    session: "Session",
    find: Callable[[], Awaitable[Sequence[Device]]],
    call: Callable[[Device], Awaitable[T]],
    tell: Callable[[Device, T], None],
    *,
    what: str,
    say: Printer,
) -> None:
    """Call something for each device, a few at a time, and tell what came of it.

    One that fails is told in a line, and the others go on; but what fails for one as it would for all ends it: a
    refused token, or a cloud that cannot be reached. Progress is shown where it takes its time.

    Cost: what is called.

    Args:
        session: What is called over.
        find: Finds the devices.
        call: What is called.
        tell: Tells what came of it.
        what: What it is, in a word.
        say: Prints.

    Raises:
        CommandError: Some failed; its code is that of the worst.
        LittleBitsError: The only one failed, or what would fail for all.
    """
    work = _Work(call, tell, what)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work.show, session, say)
            work.devices = await find()
            await work.run()
            tasks.cancel_scope.cancel()
    except BaseException as exc:
        if work.done:
            complain(f"{what}: ended after {work.done} of {len(work.devices)}")
        if isinstance(exc, BaseExceptionGroup):
            raise unwrap(cast("BaseExceptionGroup[BaseException]", exc)) from None
        raise
    if work.codes:
        raise CommandError(f"{what}: {len(work.codes)} of {len(work.devices)} cloudBits failed", max(work.codes))


@define
class _Work(Generic[T]):
    call: Callable[[Device], Awaitable[T]]
    tell: Callable[[Device, T], None]
    what: str
    devices: Sequence[Device] = ()
    done: int = 0
    codes: list[ExitCode] = field(factory=list[ExitCode])

    async def run(self) -> None:
        rest = iter(self.devices)
        async with anyio.create_task_group() as workers:
            for _ in range(min(_AT_A_TIME, len(self.devices))):
                workers.start_soon(self._do, rest)

    async def _do(self, rest: Iterator[Device]) -> None:
        for device in rest:
            try:
                result = await self.call(device)
            except LittleBitsError as exc:
                if len(self.devices) == 1 or _concerns_all(exc):
                    raise
                code, line = explain(exc)
                self.codes.append(code)
                complain(f"{title(device)}: {line}")
            else:
                self.tell(device, result)
            self.done += 1

    async def show(self, session: "Session", say: Printer) -> None:
        await anyio.sleep(PATIENCE)
        with choose_progress(self.what, say) as progress:
            while True:
                wait = session.expected_wait(priority=Priority.COMMAND)
                progress.show(self.done, len(self.devices), wait or 0.0)
                await anyio.sleep(_LOOK_EVERY)


def _concerns_all(error: LittleBitsError) -> bool:
    if isinstance(error, TransportError):
        return error.surely_unsent
    return isinstance(error, AuthenticationError | OAuthError | SessionClosedError)
