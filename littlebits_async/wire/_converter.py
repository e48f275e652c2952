"""Plain JSON values to models: first the wire's shapes are made one shape, then one cattrs Converter fills the fields.

A required field that cannot be used costs its object (`UnusableError`); an optional one costs itself; a bad item of a
list costs that item.

Source: spec/cloud-api-v2.txt, spec/cloud-http-api-v1-and-webhooks.md ("Object Schemas"), and answers on record.
"""

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override

from ..models import AccessPoint, Device, Subscription
from ._json import UnusableError, integer, items, members, text

__all__ = ["many", "structure"]

_T = TypeVar("_T")
_log: Final = logging.getLogger("littlebits_async.wire")
_converter: Final = Converter(detailed_validation=False)


def structure(value: object, cl: type[_T]) -> _T:
    """Make a model of a plain value.

    Raises:
        UnusableError: A required field is missing or of another type.
    """
    return _converter.structure(value, cl)


def many(value: object, cl: type[_T], structure: Callable[[object, type[_T]], _T] = structure) -> list[_T]:
    """Make a model of each item of an array, without those that cannot be used.

    Args:
        value: The array; anything else is an empty one.
        cl: The model.
        structure: How one is made.
    """
    good: list[_T] = []
    reason = UnusableError()
    everything = items(value)
    for item in everything:
        try:
            good.append(structure(item, cl))
        except UnusableError as error:
            reason = error
    if len(good) < len(everything):
        bad = len(everything) - len(good)
        _log.warning("%d of %d items are no %s and are left out: %s", bad, len(everything), cl.__name__, reason)
    return good


def _required(value: object, _: object) -> str:
    found = text(value)
    if found is None:
        raise UnusableError("no usable id")
    return found


def _access_point(value: object, _: object) -> AccessPoint | None:
    found = structure(members(value), AccessPoint)
    # Off line the API wrote null, {} or nothing at all: all the same.
    return None if found == AccessPoint() else found


def _events(value: object) -> list[str]:
    """Event names out of ``"a"``, ``["a", …]`` or ``[{"name": "a"}, …]``."""
    found = items(value) or [value]
    return [name for item in found if (name := text(item) or text(members(item).get("name")))]


def _subscription(value: object, *, publisher: object = None, subscriber: object = None) -> dict[str, object]:
    """One shape for all those on record; ``publisher``, ``subscriber``: the device that lists it, where one does."""
    wire = members(value)
    other = value if publisher or subscriber else None
    return {
        "publisher_id": text(wire.get("publisher_id")) or text(wire.get("pid")) or publisher or other,
        "subscriber_id": text(wire.get("subscriber_id")) or text(wire.get("sid")) or subscriber or other,
        "events": _events(wire.get("publisher_events")) or _events(wire.get("events")),
    }


def _device(value: object) -> dict[str, object]:
    wire = members(value)
    own = wire.get("id")
    return {
        **wire,
        "id": own,
        "ap": {**members(wire.get("wifi")), **members(wire.get("ap"))},
        # Which side is which: `subscriptions` are what a bit follows, `subscribers` follow it (spec, `device`).
        "subscriptions": [_subscription(item, subscriber=own) for item in items(wire.get("subscriptions"))],
        "subscribers": [_subscription(item, publisher=own) for item in items(wire.get("subscribers"))],
    }


def _register() -> None:
    hook = _converter.register_structure_hook
    hook(str, _required)
    hook(str | None, lambda value, _: text(value))
    hook(int | None, lambda value, _: integer(value))
    hook(bool | None, lambda value, _: value if isinstance(value, bool) else None)
    hook(AccessPoint | None, _access_point)

    subscription = make_dict_structure_fn(Subscription, _converter)
    hook(Subscription, lambda value, cl: subscription(_subscription(value), cl))

    def subscriptions(value: object, _: object) -> tuple[Subscription, ...]:
        return tuple(many(value, Subscription))

    device = make_dict_structure_fn(
        Device,
        _converter,
        label=override(struct_hook=lambda value, _: text(value) or ""),
        subscriptions=override(struct_hook=subscriptions),
        subscribers=override(struct_hook=subscriptions),
    )
    hook(Device, lambda value, cl: device(_device(value), cl))


_register()
