"""The example messages of the four documents, from ``tests/fixtures/spec/`` (its README names their sources)."""

from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).parent / "fixtures" / "spec"


def message(name: str) -> bytes:
    """The bytes of a message, by folder and file name."""
    return (FOLDER / name).read_bytes()


def message_json(name: str) -> Any:
    """The plain value of a message that is JSON."""
    return msgspec.json.decode(message(name))


def event_data(name: str) -> bytes:
    """What stands behind ``data:`` in a message that is one line of an event stream."""
    field, _, data = message(name).partition(b":")
    assert field == b"data"
    return data.strip()
