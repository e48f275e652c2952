"""The envelope of every answer, and what is in it.

``results`` are what was asked for, a list of one where one thing is meant as well as the thing itself; ``meta`` is
handed on as it stands, but for its ``success``: false is an error whatever the status says. An answer without results,
as a gateway's page, is none of this API.

Source: spec/mobile-application-api.txt, "LB API Response Format"; the examples contradict it and each other.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TypeVar

from ..auth import is_sendable
from ..wire import UnusableError, acknowledgement, decode, items, members, only, refuse, text
from ._converter import many, structure
from ._models import Account, Answer, ContentHtml, ContentItem, ContentList, Page, User

__all__ = [
    "read_account",
    "read_content",
    "read_done",
    "read_made_user",
    "reader_of_many",
    "reader_of_one",
    "reader_of_page",
]

T = TypeVar("T")
R = TypeVar("R")
Reader = Callable[[bytes | str], T]


def reader_of_one(cl: type[T]) -> Reader[Answer[T]]:
    """Make what reads one thing, or a list that holds it."""
    return _bounded(lambda data: _answer(data, lambda results: structure(only(results), cl)))


def reader_of_many(cl: type[T]) -> Reader[Answer[list[T]]]:
    """Make what reads a list of things; what is none of them is left out."""
    return _bounded(lambda data: _answer(data, lambda results: list(many(_list(results), cl))))


def reader_of_page(cl: type[T], number: int) -> Reader[Page[T]]:
    """Make what reads one page of such a list."""

    def read(data: bytes | str) -> Page[T]:
        results, meta = _open(decode(data))
        sent = _list(results)
        return Page(many(sent, cl), number, meta, len(sent))

    return _bounded(read)


def _account(results: object) -> Account:
    found = members(only(results))
    key = text(found.get("spree_api_key"))
    if key is None or not is_sendable(key):
        raise UnusableError("no usable key")
    return structure({**found, "api_key": key}, Account)


def _content(results: object) -> ContentList | ContentHtml:
    found = members(only(results))
    content = found.get("content")
    display = found.get("display")
    if display == "html" and isinstance(content, str):
        return ContentHtml(content)
    if display == "list":
        return ContentList(many(_list(content), ContentItem))
    raise UnusableError("neither a list nor HTML")


def _made_user(results: object) -> User | None:
    try:
        return structure(only(results), User)
    except UnusableError:
        return None


def _answer(data: bytes | str, make: Callable[[object], R]) -> Answer[R]:
    results, meta = _open(decode(data))
    return Answer(make(results), meta)


def _acknowledged(data: bytes | str, make: Callable[[object], R]) -> Answer[R]:
    """Read the answer of a call of which no example shows what is in it; that there is one says enough."""
    value = acknowledgement(data)
    refuse(value)
    said = members(value)
    return Answer(make(said.get("results")), members(said.get("meta")))


def _open(value: object) -> tuple[object, Mapping[str, object]]:
    refuse(value)
    said = members(value)
    if "results" not in said:
        raise UnusableError("no results")
    return said["results"], members(said.get("meta"))


def _list(results: object) -> list[object]:
    """A list; null and an empty object, which the API writes for other fields where it has nothing, are empty ones."""
    found = items(results)
    if not found and results not in (None, {}, []):
        raise UnusableError("not a list")
    return found


def _bounded(read: Reader[T]) -> Reader[T]:
    """Take what is nested deeper than there is room on the stack, as replies to replies, for what it is."""

    @wraps(read)
    def bounded(data: bytes | str) -> T:
        try:
            return read(data)
        except RecursionError:
            raise UnusableError("nested too deeply") from None

    return bounded


read_account: Reader[Answer[Account]] = _bounded(lambda data: _answer(data, _account))
read_content: Reader[Answer[ContentList | ContentHtml]] = _bounded(lambda data: _answer(data, _content))
read_made_user: Reader[Answer[User | None]] = _bounded(lambda data: _acknowledged(data, _made_user))
read_done: Reader[Answer[None]] = _bounded(lambda data: _acknowledged(data, lambda _: None))
