"""Input events, as commands print them."""

from attrs import asdict

from ..models import InputEvent
from ._output import Printer

__all__ = ["print_event"]


def print_event(say: Printer, event: InputEvent, *, label: str = "") -> None:
    """Print an event: its time, device and percent; in JSON, all of it."""
    who = f"{event.device_id} {label}" if label else event.device_id
    text = f"{event.timestamp:%H:%M:%S} {who} {event.percent:5.1f} %"
    say({"event": asdict(event)}, " ".join([text, *filter(None, (event.delta, event.level))]))
