"""Plain JSON values to the community's models, by one cattrs Converter.

As for devices: a required field that cannot be used costs its object, an optional one costs itself, a bad item of a
list costs that item.

Source: spec/mobile-application-api.txt, its examples.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, get_args, get_origin

from attrs import NOTHING, fields, has
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override

from .. import wire
from ..wire import UnusableError, integer, items, members, number, text
from ._models import Author, ContentItem

__all__ = ["many", "structure"]

_T = TypeVar("_T")
_converter: Final = Converter(detailed_validation=False)


def structure(value: object, cl: type[_T]) -> _T:
    """Make a model of a plain value.

    Raises:
        UnusableError: A required field is missing or of another type.
    """
    return _converter.structure(value, cl)


def many(value: object, cl: type[_T]) -> tuple[_T, ...]:
    """Make a model of each item of an array, without those that cannot be used."""
    return tuple(wire.many(value, cl, structure))


def _number(value: object, _: object) -> int:
    found = integer(value)
    if found is None:
        raise UnusableError("no usable id")
    return found


def _time(value: object, _: object) -> datetime | None:
    try:
        when = datetime.fromisoformat(text(value) or "")
        # A date at the edge of the calendar has no UTC.
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _required_text(value: object, _: object) -> str:
    found = text(value)
    if found is None:
        raise UnusableError("an empty text where one is needed")
    return found


def _author(value: object, _: object) -> Author | None:
    try:
        return structure(value, Author)
    except UnusableError:
        return None


def _is_list(cl: object) -> bool:
    return get_origin(cl) is tuple


def _list_hook(cl: object) -> Callable[[object, object], tuple[object, ...]]:
    item: type[object] = get_args(cl)[0]
    return _texts if item is str else lambda value, _: many(value, item)


def _texts(value: object, _: object) -> tuple[str, ...]:
    return tuple(found for item in items(value) if (found := text(item)))


def _object(value: object) -> Mapping[str, object]:
    found = members(value)
    if not found:
        raise UnusableError("no object, or one of nothing")
    return found


def _content_item(value: object) -> Mapping[str, object]:
    found = _object(value)
    return {**members(found.get("values")), "name": found.get("name")}


def _model_hook(
    cl: type[Any], shape: Callable[[object], Mapping[str, object]] = _object
) -> Callable[[object, Any], Any]:
    required = [attribute for attribute in fields(cl) if attribute.default is NOTHING]
    texts = {attribute.name: override(struct_hook=_required_text) for attribute in required if attribute.type is str}
    make = make_dict_structure_fn(cl, _converter, **texts)  # type: ignore[arg-type] # of the names of fields
    nothing = {attribute.name: None for attribute in required}
    return lambda value, cl: make({**nothing, **shape(value)}, cl)


def _register() -> None:
    hook = _converter.register_structure_hook
    hook(int, _number)
    hook(str, lambda value, _: text(value) or "")
    hook(str | None, lambda value, _: text(value))
    hook(int | None, lambda value, _: integer(value))
    hook(float | None, lambda value, _: number(value))
    hook(bool | None, lambda value, _: value if isinstance(value, bool) else None)
    hook(datetime | None, _time)
    hook(Author | None, _author)
    _converter.register_structure_hook_factory(_is_list, _list_hook)
    _converter.register_structure_hook_factory(has, _model_hook)
    hook(ContentItem, _model_hook(ContentItem, _content_item))


_register()
