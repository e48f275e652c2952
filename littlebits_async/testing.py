"""Fixtures for pytest: a cloud of the test's own, with a cloudBit to turn and a switch for what goes wrong.

PYTEST_DONT_REWRITE: there are no assertions here, and a ``conftest.py`` may import the types before pytest does.

Loaded only on request, in the ``conftest.py`` at the root of your tests (extra ``testing``):

```python
pytest_plugins = ["littlebits_async.testing"]
```

A test then takes what it needs:

```python
import pytest

from littlebits_async import InputReactor, RateLimitedError, Session
from littlebits_async.testing import Faults, RunningBit

pytestmark = pytest.mark.anyio


async def test_the_lamp_follows(session: Session, cloudbit: RunningBit) -> None:
    await cloudbit.set_input(61)
    async with session:
        event = await session.read(cloudbit.id)
        await session.output(cloudbit.id, event.percent)
    await cloudbit.until_shown(event.percent)


async def test_a_crowded_hour(session: Session, faults: Faults) -> None:
    async with session:
        async with faults.answering(429, retry_after=3600):
            with pytest.raises(RateLimitedError):
                await session.devices()


async def test_the_cloud_comes_back(session: Session, cloudbit: RunningBit, faults: Faults) -> None:
    async with session, InputReactor(session, [cloudbit.id]) as reactor:
        await anext(aiter(reactor))
        async with faults.away():
            ...
        await anext(aiter(reactor))
```

- ``local_cloud``, a `RunningCloud`: a `LocalCloud` for each test, in a thread of its own with its own event loop. While
  it runs, ``LITTLEBITS_BASE_URL`` and ``LITTLEBITS_TOKEN`` name it, so a ``Session()`` of the tested program, or of one
  that it starts, talks to it and to no other.
- ``cloudbit``, a `RunningBit`: a simulated cloudBit there, on line, at 0 percent, read each 250 ms.
- ``session``, a `Session`, not entered yet: it is for the event loop that uses it.
- ``faults``, a `Faults`: the switch.

No fixture is a coroutine, so they are the same to pytest-asyncio, in strict and in auto mode, to anyio's plugin, on
asyncio and trio, and to tests that are no coroutines. What is done to cloud, bit and switch is awaited, and waits for
the cloud's thread alone. To have another cloud, override the fixture ``local_cloud_options``: what it returns, such as
``{"limit": 5}``, goes to `LocalCloud`. To have several, or one for more than a test, see `run_cloud`.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import cached_property, partial
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import field, frozen

from .auth import TOKEN_VARIABLE
from .session import Session

try:
    import pytest
    from starlette.responses import JSONResponse
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .localcloud import Bit, LocalCloud
except ModuleNotFoundError as exc:
    missing = str(exc.name).partition(".")[0]
    raise ModuleNotFoundError(
        f'{missing} is missing, which littlebits_async.testing needs: pip install "littlebits-async[testing]"',
        name=missing,
    ) from exc

__all__ = ["Faults", "RunningBit", "RunningCloud", "run_cloud"]

T = TypeVar("T")

_PATIENCE: Final = 5.0
"""Seconds; a cloud in this very process needs milliseconds."""
_LOOK_EVERY: Final = 0.002
_BASE_URL: Final = "LITTLEBITS_BASE_URL"
_DEVICE_ID: Final = "00e040000001"


class _Gate:
    """Stands before a cloud's application, and lets nothing through or answers in its place; of the cloud's loop."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.opened.set()
        self._refusal: ASGIApp | None = None
        self._refusals = 0.0

    def refuse(self, refusal: ASGIApp, times: float) -> None:
        self._refusal, self._refusals = refusal, times

    def before(self, app: ASGIApp) -> ASGIApp:
        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            async def send_when_opened(message: Message) -> None:
                await self.opened.wait()
                await send(message)

            await self.opened.wait()
            if self._refusal is not None and self._refusals > 0:
                self._refusals -= 1
                await self._refusal(scope, receive, send)
            else:
                await app(scope, receive, send_when_opened)

        return respond


class _FaultyCloud(LocalCloud):
    """A cloud that `Faults` can be done to; started again, it keeps its port."""

    @cached_property
    def gate(self) -> _Gate:
        return _Gate()

    def _make_app(self, drop: Callable[[Scope], None]) -> ASGIApp:
        return self.gate.before(super()._make_app(drop))

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._port = urlsplit(self.url).port or 0
        return self


@frozen
class RunningBit:
    """A simulated cloudBit of a `RunningCloud`, and what a person does to it."""

    _cloud: "RunningCloud" = field(alias="cloud", repr=False)
    _bit: Bit = field(alias="bit")

    @property
    def id(self) -> str:
        """Its device id."""
        return self._bit.id

    async def set_input(self, percent: float) -> None:
        """Turn the input; the next reading has it.

        Raises:
            ValueError: Not 0 to 100.
        """
        await self._cloud.do(lambda _: self._bit.set_input(percent=percent))

    async def turn(self, *percents: float) -> None:
        """Turn the input to one value after another, and have each read and told at once, if the bit is on line.

        Raises:
            ValueError: Not 0 to 100.
        """

        async def turn(_: LocalCloud) -> None:
            for percent in percents:
                await self._bit.set_input(percent=percent)
                self._bit.feed.refresh(anew=True)
                await asyncio.sleep(0)  # lets the streams take it

        await self._cloud.do(turn)

    async def set_connected(self, *, to: bool) -> None:
        """Take it off line, where streams are silent and outputs are lost, or on line again; see `Faults.offline`."""
        await self._cloud.do(lambda _: self._bit.set_connected(to))

    async def until_shown(self, percent: float) -> None:
        """Wait until the output shows a percent.

        Raises:
            TimeoutError: It did not in five seconds.
        """

        async def watch(_: LocalCloud) -> None:
            with anyio.fail_after(_PATIENCE):
                await self._bit.wait_shown(lambda shown: shown == percent)

        await self._cloud.do(watch)

    async def see(self, look: Callable[[Bit], T]) -> T:
        """Look at it in its own thread: ``await cloudbit.see(lambda bit: bit.light)``."""
        return await self._cloud.see(lambda _: look(self._bit))


@frozen
class RunningCloud:
    """A cloud in a thread of its own, seen from any event loop; `run_cloud` makes it.

    Attributes:
        portal: The way there for tests that are no coroutines: ``local_cloud.portal.call(cloudbit.turn, 61)``.
        token: An access token of the user 1, whose devices `add_device` adds; it may read, write and administer.
    """

    _cloud: _FaultyCloud = field(alias="cloud")
    portal: BlockingPortal = field(repr=False)
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        """Where it is."""
        return self._cloud.url

    @property
    def faults(self) -> "Faults":
        """The switch for what goes wrong."""
        return Faults(self, self._cloud.gate)

    def session(self, **options: Any) -> Session:  # noqa: ANN401 - as `Session` has them
        """Make a session with the cloud's token; the environment's proxies do not count.

        Args:
            options: See `Session`.
        """
        options.setdefault("trust_env", False)
        return Session(self.token, base_url=self.url, **options)

    async def create_token(self, scopes: Iterable[str] = ("read", "write", "admin"), *, user_id: int = 1) -> str:
        """Make one more access token."""
        return await self.do(lambda cloud: cloud.create_token(scopes, user_id=user_id))

    async def add_device(self, device_id: str, **options: Any) -> RunningBit:  # noqa: ANN401 - as `LocalCloud` has them
        """Add a simulated bit.

        Args:
            device_id: Its id.
            options: See `LocalCloud.add_device`.
        """
        return RunningBit(self, await self.do(lambda cloud: cloud.add_device(device_id, **options)))

    async def bit(self, device_id: str) -> RunningBit:
        """Find a bit that is there.

        Raises:
            KeyError: It is not.
        """
        return RunningBit(self, await self.see(lambda cloud: cloud.devices[device_id]))

    async def until_streams(self, number: int) -> None:
        """Wait until so many input streams are open.

        Raises:
            TimeoutError: They were not in five seconds.
        """
        await self.until(lambda cloud: cloud.streams == number)

    async def until(self, wanted: Callable[[LocalCloud], bool]) -> None:
        """Wait until the cloud is as wanted.

        Raises:
            TimeoutError: It was not in five seconds.
        """

        async def watch(cloud: LocalCloud) -> None:
            with anyio.fail_after(_PATIENCE):
                while not wanted(cloud):  # noqa: ASYNC110 - the cloud tells nobody
                    await anyio.sleep(_LOOK_EVERY)

        await self.do(watch)

    async def do(self, work: Callable[[LocalCloud], Awaitable[T]]) -> T:
        """Have something done in the cloud's own loop: ``await local_cloud.do(LocalCloud.webhook_secret)``."""
        return await anyio.to_thread.run_sync(self.portal.call, work, self._cloud)

    async def see(self, look: Callable[[LocalCloud], T]) -> T:
        """Look at something in the cloud's own thread: ``await local_cloud.see(lambda cloud: cloud.streams)``."""
        return await anyio.to_thread.run_sync(self.portal.call, look, self._cloud)


@frozen
class Faults:
    """What goes wrong between a program and its cloud; each but `cut` for as long as a block runs."""

    _cloud: RunningCloud = field(alias="cloud")
    _gate: _Gate = field(alias="gate")

    def away(self) -> AbstractAsyncContextManager[None]:
        """Have the cloud gone: streams end, connections are refused. It comes back at its address, and knows all."""
        return _switched(
            partial(self._cloud.do, lambda cloud: cloud.__aexit__(None, None, None)),
            partial(self._cloud.do, lambda cloud: cloud.__aenter__()),
        )

    async def cut(self, *, abort: bool = True) -> int:
        """Cut all open streams, and return how many there were; they may be opened again at once.

        Args:
            abort: Cut them in the middle; else they are ended in good order.
        """
        return await self._cloud.do(lambda cloud: cloud.close_streams(abort=abort))

    def answering(
        self, status: int, *, retry_after: int | None = None, times: int | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Have every request answered with an error; streams that are open go on.

        Args:
            status: The HTTP status.
            retry_after: Seconds, for the header of that name; None leaves it out.
            times: How many requests; None for all.

        Raises:
            ValueError: There is no such status.
        """
        error = {"statusCode": status, "error": HTTPStatus(status).phrase, "message": "a fault of the test"}
        headers = None if retry_after is None else {"retry-after": str(retry_after)}
        refusal = JSONResponse(error, status, headers)
        return _switched(
            partial(self._cloud.see, lambda _: self._gate.refuse(refusal, math.inf if times is None else times)),
            partial(self._cloud.see, lambda _: self._gate.refuse(refusal, 0)),
        )

    def silent(self) -> AbstractAsyncContextManager[None]:
        """Have not a byte come: no answer, nothing on streams. What was held back comes afterwards."""
        return _switched(
            partial(self._cloud.see, lambda _: self._gate.opened.clear()),
            partial(self._cloud.see, lambda _: self._gate.opened.set()),
        )

    def offline(self, bit: RunningBit) -> AbstractAsyncContextManager[None]:
        """Have a bit off line: its streams stay open and bring nothing but blank lines, and outputs are lost."""
        return _switched(partial(bit.set_connected, to=False), partial(bit.set_connected, to=True))


@asynccontextmanager
async def _switched(
    on: Callable[[], Awaitable[object]], off: Callable[[], Awaitable[object]]
) -> AsyncGenerator[None, None]:
    await on()
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await off()


@contextmanager
def run_cloud(**options: Any) -> Generator[RunningCloud, None, None]:  # noqa: ANN401 - as `LocalCloud` has them
    """Run a cloud in a thread until the block is left.

    Args:
        options: See `LocalCloud`; webhooks may go to this machine unless they say otherwise.
    """
    options.setdefault("allow_private_webhooks", True)
    with start_blocking_portal("asyncio") as portal:
        cloud = _FaultyCloud(**options)
        with portal.wrap_async_context_manager(cloud):
            yield RunningCloud(cloud, portal, portal.call(cloud.create_token))


@pytest.fixture
def local_cloud_options() -> dict[str, Any]:
    """What `local_cloud` is made with: nothing particular."""
    return {}


@pytest.fixture
def local_cloud(local_cloud_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningCloud]:
    """A cloud for one test, which the environment names."""
    with run_cloud(**local_cloud_options) as cloud:
        monkeypatch.setenv(_BASE_URL, cloud.url)
        monkeypatch.setenv(TOKEN_VARIABLE, cloud.token)
        yield cloud


@pytest.fixture
def cloudbit(local_cloud: RunningCloud) -> RunningBit:
    """A simulated cloudBit, on line, at 0 percent."""
    bit: RunningBit = local_cloud.portal.call(local_cloud.add_device, _DEVICE_ID)
    return bit


@pytest.fixture
def session(local_cloud: RunningCloud) -> Session:
    """A session with the cloud's token, to be entered by the test."""
    return local_cloud.session()


@pytest.fixture
def faults(local_cloud: RunningCloud) -> Faults:
    """The switch for what goes wrong."""
    return local_cloud.faults
