"""``littlebits output`` and ``littlebits light``: what cloudBits do."""

from typing import Annotated

from cyclopts import Parameter

from ..models import Device, LightColor, LightMode
from ._each import for_each
from ._output import JsonLines, Printer
from ._targets import find, is_pattern, title
from ._values import Duration, Percent, span

__all__ = ["light", "output"]


async def output(
    name: str,
    percent: Percent = 100.0,
    /,
    *,
    duration: Annotated[Duration, Parameter(show_default=lambda _: "3s")] = 3000,
    json: JsonLines = False,
) -> None:
    """Set the output of cloudBits, in percent of 5 V.

    It costs a request of the hour's 1800 for each, and one to find them where they are not named by an id. Where the
    hour's are spent, a pattern waits for more, and says so. A bit that is off line may never learn of it.

    For example:

    - `littlebits output dimmer 40 --duration forever`
    - `littlebits output 'kitchen*' 40% --duration 500ms`
    - `littlebits output all 0`

    Args:
        name: An id, a label, the beginning of a label, a pattern of labels, or `all`.
        percent: 0 to 100.
        duration: For how long: `500ms`, `2s`, 32 s at most; or `forever`, which is until the next.
        json: Print one JSON object a line: `{"output": {"device_id": …, "label": …, "is_connected": …, "percent": …,
            "duration_ms": …}}`.
    """
    from ._account import open_session  # noqa: PLC0415 - the client takes its time to load

    say = Printer(json)

    def tell(device: Device, _: None) -> None:
        record = {**_of(device), "percent": percent, "duration_ms": duration}
        say({"output": record}, f"{title(device)}: {percent:g} % {span(duration)}{_lost(device)}")

    async with open_session(patient=is_pattern(name)) as session:
        await for_each(
            session,
            lambda: find(session, [name]),
            lambda device: session.output(device.id, percent, duration_ms=duration),
            tell,
            what="output",
            say=say,
        )


async def light(
    name: str,
    color: LightColor | None = None,
    /,
    *,
    mode: LightMode | None = None,
    duration: Duration | None = None,
    json: JsonLines = False,
) -> None:
    """Set the light of cloudBits.

    It costs a request of the hour's 1800 for each, and one to find them where they are not named by an id.

    For example:

    - `littlebits light dimmer purple --mode blink --duration 10s`
    - `littlebits light all green`

    Args:
        name: An id, a label, the beginning of a label, a pattern of labels, or `all`.
        color: The colour; what is left out is the cloud's choice.
        mode: How it shines.
        duration: For how long: `500ms`, `2s`, 32 s at most; or `forever`, which is until the next.
        json: Print one JSON object a line: `{"light": {"device_id": …, "label": …, "is_connected": …, "color": …,
            "mode": …, "duration_ms": …}}`.
    """
    from ._account import open_session  # noqa: PLC0415 - as above

    say = Printer(json)
    words = [color, mode, None if duration is None else span(duration)]
    text = " ".join(word for word in words if word is not None) or "light"

    def tell(device: Device, _: None) -> None:
        record = {**_of(device), "color": color, "mode": mode, "duration_ms": duration}
        say({"light": record}, f"{title(device)}: {text}{_lost(device)}")

    async with open_session(patient=is_pattern(name)) as session:
        await for_each(
            session,
            lambda: find(session, [name]),
            lambda device: session.light(device.id, color=color, mode=mode, duration_ms=duration),
            tell,
            what="light",
            say=say,
        )


def _of(device: Device) -> dict[str, object]:
    return {"device_id": device.id, "label": device.label, "is_connected": device.is_connected}


def _lost(device: Device) -> str:
    return ", but it is off line" if device.is_connected is False else ""
