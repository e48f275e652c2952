"""``littlebits devices`` and ``littlebits device``: what there is."""

from attrs import asdict

from ..models import Device, Subscription
from ._output import JsonLines, Printer, complain
from ._tables import Column, print_table
from ._targets import find, find_one, is_id, title

__all__ = ["device", "devices"]


async def devices(*names: str, json: JsonLines = False) -> None:
    """List your cloudBits.

    It costs a request of the hour's 1800.

    For example:

    - `littlebits devices`
    - `littlebits devices 'kitchen*' --json`

    Args:
        names: Ids, labels, beginnings of labels, or patterns of labels; without any, all.
        json: Print one JSON object a line: `{"device": {"id": …, "label": …, "is_connected": …, …}}`.
    """
    from ._account import open_session  # noqa: PLC0415 - the client takes its time to load

    say = Printer(json)
    async with open_session() as session:
        found = await find(session, names, ids_suffice=False) if names else await session.devices()
    if not (found or json):
        complain("there are no cloudBits; `littlebits activate` makes one yours")
    print_table(say, _COLUMNS, found, lambda device: {"device": asdict(device)})


async def device(name: str, /, *, json: JsonLines = False) -> None:
    """Show one cloudBit.

    It costs a request of the hour's 1800; two where it is not named by its id.

    For example:

    - `littlebits device dimmer`
    - `littlebits device 00e040000001 --json`

    Args:
        name: Its id, its label, or the beginning of its label.
        json: Print `{"device": {"id": …, "label": …, "is_connected": …, …}}`.
    """
    from ._account import open_session  # noqa: PLC0415 - as above

    say = Printer(json)
    async with open_session() as session:
        found = await find_one(session, name)
        if is_id(name):
            found = await session.device(name)
    if json:
        say({"device": asdict(found)}, "")
        return
    facts = [
        ("id", found.id),
        ("label", found.label or "-"),
        ("state", _state(found)),
        ("reads", _interval(found)),
        ("wi-fi", _wifi(found)),
        ("owner", "-" if found.user_id is None else f"user {found.user_id}"),
        *(("follows", _events(each.publisher_id, each)) for each in found.subscriptions),
        *(("tells", _events(each.subscriber_id, each)) for each in found.subscribers),
    ]
    for name_of, fact in facts:
        say.note(f"{name_of:<8} {fact}")


def _state(device: Device) -> str:
    return {True: "on line", False: "off line", None: "-"}[device.is_connected]


def _interval(device: Device) -> str:
    return "-" if device.input_interval_ms is None else f"every {device.input_interval_ms} ms"


def _wifi(device: Device) -> str:
    if device.ap is None:
        return "-"
    strength = "" if device.ap.strength is None else f" {device.ap.strength} %"
    return f"{device.ap.ssid or '-'}{strength}"


def _events(who: str, subscription: Subscription) -> str:
    return f"{who} ({', '.join(subscription.events)})" if subscription.events else who


_COLUMNS = (
    Column[Device]("label", title, style="bold"),
    Column[Device]("id", lambda device: device.id),
    Column[Device]("state", _state),
    Column[Device]("reads", _interval, needs=70),
    Column[Device]("wi-fi", _wifi, needs=80),
    Column[Device]("follows", lambda device: str(len(device.subscriptions) or "-"), justify="right", needs=100),
    Column[Device]("tells", lambda device: str(len(device.subscribers) or "-"), justify="right", needs=100),
)
