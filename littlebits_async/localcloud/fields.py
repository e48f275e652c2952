"""The fields of a request: from a body in any of its spellings to values within their limits.

JSON and form bodies are both taken, whatever the method, and an empty one says nothing. Numbers may be text, as they
are in forms and as input boxes give them. Fields that are not known are ignored; anything else that is wrong is a 400.

Source: wire-facts 3 (bodies), 5 and spec/cloud-api-v2.txt (limits).
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Final, NoReturn, cast
from urllib.parse import parse_qsl

from starlette.requests import Request

from .answers import Refusal

__all__ = ["MAX_BODY", "Fields", "choice", "integer", "names", "number", "parse", "read", "text", "unwrap"]

MAX_BODY: Final = 64 * 1024
"""Bytes of a request's body; more is a 413."""

Fields = Mapping[str, object]

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,400}(?:\.[0-9]{0,400})?(?:[eE][+-]?[0-9]{1,4})?")
_NESTED: Final = re.compile(r"update\[(\w+)\]")


def _bad(message: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, message)


async def read(request: Request) -> bytes:
    """Read a request's body.

    Raises:
        Refusal: 413 for one that is too long.
    """
    body = bytearray()
    if int(request.headers.get("content-length", 0)) <= MAX_BODY:
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_BODY:
                    break
            else:
                return bytes(body)
    raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has at most {MAX_BODY} bytes")


def parse(body: bytes, content_type: str) -> Fields:
    """Parse a body.

    An object in braces is taken for JSON even when it is called a form, as ``curl -d`` calls everything.

    Raises:
        Refusal: 400.
    """
    try:
        content = body.decode("utf-8-sig").strip()  # some .NET writers put the mark in front
    except UnicodeDecodeError:
        raise _bad("The body is not UTF-8") from None
    if not content:
        return {}
    kind = content_type.partition(";")[0].strip().lower()
    if kind in {"", "application/x-www-form-urlencoded"} and not content.startswith("{"):
        return _form(content)
    value = _json(content)
    if not isinstance(value, dict):
        raise _bad("The body must be an object in JSON, or a form")
    return cast("dict[str, object]", value)


def _json(content: str) -> object:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    try:
        return cast("object", json.loads(content, parse_constant=refuse))
    except (ValueError, RecursionError):
        raise _bad("The body is not valid JSON") from None


def _form(content: str) -> Fields:
    """Parse a form as qs did for the vendor: repeated names and ``name[]`` are lists, ``update[name]`` is nested."""
    try:
        pairs = parse_qsl(content, keep_blank_values=True, errors="strict")
    except ValueError:
        raise _bad("The body is not a valid form") from None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    update: dict[str, object] = {}
    fields: dict[str, object] = {}
    for name, found in values.items():
        if nested := _NESTED.fullmatch(name):
            update[nested[1]] = found[-1]
        elif name.endswith("[]"):
            fields[name[:-2]] = found
        else:
            fields[name] = found[0] if len(found) == 1 else found
    return {"update": update, **fields} if update else fields


def unwrap(fields: Fields) -> Fields:
    """Give what an update says, be it wrapped in ``update`` or bare.

    Raises:
        Refusal: 400.
    """
    if "update" not in fields:
        return fields
    update = fields["update"]
    if isinstance(update, str):  # a form can hold an object as text only
        update = _json(update)
    if not isinstance(update, dict):
        raise _bad('"update" must be an object')
    return cast("dict[str, object]", update)


def number(name: str, value: object, *, least: float, most: float) -> float:
    """Read a finite number, or a text that is one.

    Raises:
        Refusal: 400.
    """
    refusal = _bad(f'"{name}" must be a number from {least:.16g} to {most:.16g}')
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            raise refusal
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise refusal
    try:
        found = float(value)
    except OverflowError:  # an integer in JSON may be longer than any float
        raise refusal from None
    if not (math.isfinite(found) and least <= found <= most):
        raise refusal
    return found


def integer(name: str, value: object, *, least: int, most: int) -> int:
    """Read a whole number, or a text that is one.

    Raises:
        Refusal: 400.
    """
    found = number(name, value, least=least, most=most)
    if not found.is_integer():
        raise _bad(f'"{name}" must be a whole number')
    return int(found)


def text(name: str, value: object) -> str:
    """Read a text that is not empty, of characters that can be sent on.

    Raises:
        Refusal: 400.
    """
    if not isinstance(value, str) or not value:
        raise _bad(f'"{name}" must be a text that is not empty')
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, escaped in JSON
        raise _bad(f'"{name}" is not valid Unicode') from None
    return value


def choice(name: str, value: object, choices: Collection[str]) -> str:
    """Read one of some words.

    Raises:
        Refusal: 400.
    """
    if not isinstance(value, str) or value not in choices:
        raise _bad(f'"{name}" must be one of {", ".join(choices)}')
    return value


def names(name: str, value: object, choices: Collection[str]) -> tuple[str, ...]:
    """Read one of some words or a list of them, without repeats; in a form the list may be JSON as text.

    Raises:
        Refusal: 400.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _json(value)
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    if not items:
        raise _bad(f'"{name}" must name at least one of {", ".join(choices)}')
    return tuple(dict.fromkeys(choice(name, item, choices) for item in items))
