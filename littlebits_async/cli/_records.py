"""Models as JSON objects."""

from datetime import datetime

from attrs import Attribute, AttrsInstance, asdict

__all__ = ["record_of"]


def record_of(model: AttrsInstance) -> dict[str, object]:
    """Return what a model says, times as ISO 8601 has them."""
    return asdict(model, value_serializer=_value)


def _value(_: object, __: "Attribute[object]", value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
