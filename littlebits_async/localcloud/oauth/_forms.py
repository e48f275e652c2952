"""What a request for OAuth2 says, and the errors that it may be answered with.

Source: RFC 6749, sections 3.1 and 3.2: no parameter twice, and one without a value is none; sections 4.1.2.1 and 5.2.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from .. import fields

__all__ = ["Denial", "Parameters", "parse", "read_form"]

Parameters = Mapping[str, str]

_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 50


class Denial(Exception):  # noqa: N818 - what the client did is the error; this is the answer to it
    """A request that is answered with an error of OAuth2's.

    Attributes:
        error: Its code.
        description: What is wrong, for whoever writes the client; nothing that the client said is in it.
        status: The HTTP status code, where it is not sent on by a redirect.
        headers: Headers that belong to it.
    """

    def __init__(
        self,
        error: str,
        description: str,
        *,
        status: int = HTTPStatus.BAD_REQUEST,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.headers = dict(headers or {})


def parse(text: str) -> tuple[Parameters, frozenset[str]]:
    """Read parameters; those that are there twice are not among them, but named beside them.

    Raises:
        Denial: It is no form.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Denial("invalid_request", "The parameters cannot be read") from None
    names = [name for name, _ in pairs]
    found = {name: value for name, value in pairs if value and names.count(name) == 1}
    return found, frozenset(name for name in names if names.count(name) > 1)


async def read_form(request: Request) -> Parameters:
    """Read a form.

    Raises:
        Denial: It is none, or says something twice.
        Refusal: It is too long.
    """
    body = await fields.read(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Denial("invalid_request", f"The body must be {_FORM}")
    found, repeated = parse(body.decode("latin-1"))
    if repeated:
        raise Denial("invalid_request", "A parameter is there twice")
    return found
