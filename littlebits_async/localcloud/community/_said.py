"""What a request says, and what of that its answer says again.

A parameter that is read is noted for the answer's ``meta``, under its own name; a secret is read in another way, which
notes nothing. Names may be nested, as ``user[email]`` in a form, or an object in JSON.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, cast

from attrs import field, frozen

from .. import fields
from ..answers import Refusal
from ..fields import Fields

__all__ = ["Said", "unprocessable"]

_LONGEST: Final = 254
"""Characters of most texts; as many as an e-mail address may have."""
_LONGEST_LIST: Final = 5000
"""Characters of a list of numbers."""
MOST: Final = 2**31 - 1
"""More than any number here."""


def unprocessable(message: str) -> Refusal:
    """Refuse what can be read, and cannot be so."""
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, message)


@frozen
class Said:
    """What a request says.

    Attributes:
        values: All of it.
        noted: What the answer says again: names, and values as they came.
    """

    values: Fields = field(factory=dict[str, object], repr=False)
    noted: dict[str, object] = field(factory=dict[str, object], repr=False)

    def note(self, **values: object) -> None:
        """Have the answer say something."""
        self.noted.update(values)

    def text(self, name: str, *, within: str = "", longest: int = _LONGEST, note_as: str | None = None) -> str:
        """Read a text that must be there, without white space around it.

        Raises:
            Refusal: 422.
        """
        found = self._text(name, within).strip()
        self.note(**{note_as or name: found[:longest]})
        if not found:
            raise unprocessable(f"{name} can't be blank")
        if len(found) > longest:
            raise unprocessable(f"{name} is too long (maximum is {longest} characters)")
        return found

    def optional_text(self, name: str, *, within: str = "") -> str:
        """Read a text, empty where there is none.

        Raises:
            Refusal: 422.
        """
        return self.text(name, within=within) if not _is_blank(self.find(name, within)) else ""

    def secret(self, name: str, *, within: str = "") -> str:
        """Read a text that no answer says again, empty where there is none.

        Raises:
            Refusal: 422.
        """
        return self._text(name, within)

    def integer(self, name: str, *, least: int = 1, most: int = MOST) -> int:
        """Read a whole number that must be there.

        Raises:
            Refusal: 422.
        """
        found = self.optional_integer(name, least=least, most=most)
        if found is None:
            raise unprocessable(f"{name} can't be blank")
        return found

    def optional_integer(self, name: str, *, least: int = 1, most: int = MOST) -> int | None:
        """Read a whole number; None where there is none.

        Raises:
            Refusal: 422.
        """
        found = self.find(name)
        if _is_blank(found):
            return None
        # Of all that JSON may bring: 1e999 is a number there, and could not be written back.
        self.note(**{name: found if isinstance(found, str | int) else None})
        with _telling_of_values():
            return fields.integer(name, found, least=least, most=most)

    def integers(self, name: str) -> list[int] | None:
        """Read whole numbers that are parted by commas; None where there are none.

        Raises:
            Refusal: 422.
        """
        if _is_blank(self.find(name)):
            return None
        found = self.text(name, longest=_LONGEST_LIST)
        with _telling_of_values():
            return [fields.integer(name, item, least=1, most=MOST) for item in found.split(",")]

    def choice(self, name: str, choices: tuple[str, ...], *, default: str | None = None) -> str:
        """Read one of some words.

        Raises:
            Refusal: 422.
        """
        found = self.optional_text(name) if default is not None else self.text(name)
        with _telling_of_values():
            return fields.choice(name, found or default, choices)

    def find(self, name: str, within: str = "") -> object:
        """Find a value; None where there is none."""
        if not within:
            return self.values.get(name)
        inner = self.values.get(within)
        if isinstance(inner, Mapping):
            return cast("Mapping[str, object]", inner).get(name)
        return self.values.get(f"{within}[{name}]")

    def _text(self, name: str, within: str) -> str:
        found = self.find(name, within)
        if _is_blank(found):
            return ""
        with _telling_of_values():
            return fields.text(name, found)


def _is_blank(value: object) -> bool:
    return value is None or value == ""


@contextmanager
def _telling_of_values() -> Generator[None, None, None]:
    """Refuse a value with 422, as this API does; the other says 400."""
    try:
        yield
    except Refusal as refusal:
        raise unprocessable(refusal.message) from None
