"""``littlebits subscribe``, ``unsubscribe`` and ``subscriptions``: who follows whom."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

from attrs import asdict
from cyclopts import Parameter

from ..models import Device, Subscription
from ._output import JsonLines, Printer
from ._tables import Column, print_table
from ._targets import choose_one, is_id, title

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["subscribe", "subscriptions", "unsubscribe"]


async def subscribe(
    publisher: str,
    subscriber: str,
    /,
    *,
    events: Annotated[Sequence[str], Parameter(consume_multiple=True, negative="")] = (),
    json: JsonLines = False,
) -> None:
    """Have a cloudBit's input told to another cloudBit, or to a URL.

    A cloudBit that is told follows: its output shows the other's input. It costs a request of the hour's 1800, and one
    to find cloudBits that are not named by their ids.

    For example:

    - `littlebits subscribe dimmer lamp --events amplitude`
    - `littlebits subscribe button https://example.org/hook --events amplitude:delta:ignite amplitude:delta:release`

    Args:
        publisher: Whose input: an id, a label, or the beginning of a label.
        subscriber: Who is told: as `publisher`, or a URL that is called.
        events: What is told: `amplitude`, or some of `amplitude:delta:` `ignite`, `release`, `sustain`, `nap`, and
            `amplitude:level:` `active`, `idle`; without any the cloud's choice, `amplitude:delta:ignite`.
        json: Print `{"subscription": {"publisher_id": …, "subscriber_id": …, "events": […]}}`.
    """
    from ._account import open_session  # noqa: PLC0415 - the client takes its time to load

    async with open_session() as session:
        telling, told = await _both(session, publisher, subscriber)
        made = await session.subscribe(publisher_id=telling.id, subscriber_id=told.id, events=tuple(events) or None)
    Printer(json)({"subscription": asdict(made)}, f"{title(told)} is told of {title(telling)}{_what(made)}")


async def unsubscribe(publisher: str, subscriber: str, /, *, json: JsonLines = False) -> None:
    """End a subscription.

    It costs a request of the hour's 1800, and one to find cloudBits that are not named by their ids.

    For example:

    - `littlebits unsubscribe dimmer lamp`

    Args:
        publisher: Whose input was told: an id, a label, or the beginning of a label.
        subscriber: Who was told: as `publisher`, or a URL.
        json: Print `{"unsubscribed": {"publisher_id": …, "subscriber_id": …}}`.
    """
    from ._account import open_session  # noqa: PLC0415 - as above

    async with open_session() as session:
        telling, told = await _both(session, publisher, subscriber)
        await session.unsubscribe(publisher_id=telling.id, subscriber_id=told.id)
    record = {"unsubscribed": {"publisher_id": telling.id, "subscriber_id": told.id}}
    Printer(json)(record, f"{title(told)} is not told of {title(telling)} any more")


async def subscriptions(name: str | None = None, /, *, json: JsonLines = False) -> None:
    """List who follows whom.

    It costs a request of the hour's 1800, two for one cloudBit, and one for the labels.

    For example:

    - `littlebits subscriptions`
    - `littlebits subscriptions dimmer --json`

    Args:
        name: Only of one cloudBit, told or telling: its id, its label, or the beginning of its label.
        json: Print one JSON object a line: `{"subscription": {"publisher_id": …, "subscriber_id": …, "events": […]}}`.
    """
    from ._account import open_session  # noqa: PLC0415 - as above

    say = Printer(json)
    async with open_session() as session:
        devices = [] if json and (name is None or is_id(name)) else await session.devices()
        if name is None:
            found = await session.subscriptions()
        else:
            device_id = name if is_id(name) else choose_one(devices, name).id
            telling = await session.subscriptions(publisher_id=device_id)
            told = await session.subscriptions(subscriber_id=device_id)
            found = [*telling, *(each for each in told if each.publisher_id != device_id)]
    print_table(say, _columns(devices), found, lambda row: {"subscription": asdict(row)})


async def _both(session: "Session", publisher: str, subscriber: str) -> tuple[Device, Device]:
    """Find both with one request; a URL stands for itself."""
    is_url = "://" in subscriber
    names = [publisher] if is_url else [publisher, subscriber]
    devices = [Device(name) for name in names] if all(map(is_id, names)) else await session.devices()
    telling, *told = (choose_one(devices, name) for name in names)
    return telling, Device(subscriber) if is_url else told[0]


def _what(subscription: Subscription) -> str:
    return f": {', '.join(subscription.events)}" if subscription.events else ""


def _columns(devices: Iterable[Device]) -> tuple[Column[Subscription], ...]:
    titles = {device.id: title(device) for device in devices}
    return (
        Column("publisher", lambda row: titles.get(row.publisher_id, row.publisher_id)),
        Column("subscriber", lambda row: titles.get(row.subscriber_id, row.subscriber_id), style="bold"),
        Column("events", lambda row: ", ".join(row.events) or "-"),
    )
