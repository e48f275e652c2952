"""What a client is to ``stream.py``: something that opens streams, and hands all their events to one consumer."""

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Protocol, Self

from attrs import field, frozen

__all__ = ["HEADERS", "TOKEN", "Event", "Peer", "Reading", "Target", "event_of"]

TOKEN: Final = "0123456789abcdef" * 4
HEADERS: Final[Mapping[str, str]] = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/event-stream"}


class Reading(Protocol):
    """What the consumer gets."""

    @property
    def device_id(self) -> str:
        """Whose input it is."""
        ...

    @property
    def timestamp_ms(self) -> int:
        """When it was read."""
        ...

    @property
    def percent(self) -> float:
        """What was read."""
        ...


@frozen
class Event:
    """What a user of one of the peers might write."""

    device_id: str
    timestamp_ms: int
    percent: float


def event_of(found: Any) -> Event:  # noqa: ANN401 - JSON
    """Build an event from the JSON of one."""
    return Event(found["from"]["device"]["id"], found["timestamp"], found["percent"])


@frozen
class Target:
    """Where the streams are.

    Attributes:
        host: The server's address.
        port: Its port.
        ids: The devices to stream.
        context: The settings of TLS; None for none.
    """

    host: str
    port: int
    ids: Sequence[str]
    context: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The cloud's URL."""
        return f"{'http' if self.context is None else 'https'}://{self.host}:{self.port}"

    @staticmethod
    def path(device_id: str) -> str:
        """The path of a device's stream."""
        return f"/v2/devices/{device_id}/input"


class Peer(ABC):
    """One client; its streams are open in its block.

    Attributes:
        packages: What it needs, by the names that are imported.
        broken: Resolved where a stream ended.
    """

    packages: ClassVar[tuple[str, ...]] = ()

    def __init__(self, target: Target) -> None:
        self.target = target
        self.broken: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Begin to open the streams."""

    @abstractmethod
    async def __aexit__(self, *_: object) -> None:
        """Close them all."""

    @abstractmethod
    async def consume(self, take: Callable[[Reading], None]) -> None:
        """Hand each event to a function, for ever."""

    def tell_broken(self, exc: BaseException | None) -> None:
        """Note that a stream ended."""
        if not self.broken.done():
            self.broken.set_result(exc)
