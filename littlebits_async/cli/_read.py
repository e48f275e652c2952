"""``littlebits read``: one value of each."""

from attrs import asdict
from cyclopts.types import PositiveFloat

from ..models import Device, InputEvent
from ._each import for_each
from ._output import JsonLines, Printer
from ._tables import Column, print_table
from ._targets import find, is_pattern, title
from ._text import percent, volts

__all__ = ["read"]

_Reading = tuple[Device, InputEvent]


async def read(*names: str, timeout: PositiveFloat = 10.0, json: JsonLines = False) -> None:  # noqa: ASYNC109 - its name
    """Read the inputs of cloudBits, once.

    It costs a request of the hour's 1800 for each, and one to find them where they are not named by ids.

    For example:

    - `littlebits read`
    - `littlebits read dimmer 'kitchen*' --json`

    Args:
        names: Ids, labels, beginnings of labels, patterns of labels, or `all`; without any, all.
        timeout: Seconds that each may take.
        json: Print one JSON object a line, as they come: `{"event": {"device_id": …, "timestamp_ms": …, "percent": …,
            …}}`.
    """
    from ._account import open_session  # noqa: PLC0415 - the client takes its time to load

    say = Printer(json)
    readings: dict[str, _Reading] = {}

    def tell(device: Device, event: InputEvent) -> None:
        if json:
            say({"event": asdict(event)}, "")
        readings[device.id] = device, event

    async with open_session(patient=not names or any(map(is_pattern, names))) as session:
        found: list[Device] = []

        async def find_all() -> list[Device]:
            found.extend(await find(session, names))
            return found

        try:
            await for_each(
                session,
                find_all,
                lambda device: session.read(device.id, timeout=timeout),
                tell,
                what="read",
                say=say,
            )
        finally:
            if not json:
                rows = [readings[device.id] for device in found if device.id in readings]
                print_table(say, _COLUMNS, rows, lambda _: {})


_COLUMNS = (
    Column[_Reading]("label", lambda row: title(row[0]), style="bold"),
    Column[_Reading]("id", lambda row: row[1].device_id, needs=70),
    Column[_Reading]("input", lambda row: float(row[1].percent), style="cyan"),
    Column[_Reading]("percent", lambda row: percent(row[1].percent), justify="right"),
    Column[_Reading]("volts", lambda row: volts(row[1].volts), justify="right"),
)
