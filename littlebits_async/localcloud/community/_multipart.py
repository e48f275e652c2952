"""Forms as ``multipart/form-data``, as `curl -F` sends them.

Only texts are asked for anywhere, so of a part its name counts, and parts within parts are none. That is little enough
to be read here: what there is for more of it is another dependency, or, as `email` does, takes a second of the event
loop for a body that is made to take it.

Source: RFC 7578; RFC 2046, section 5.1.1.
"""

import re
from http import HTTPStatus
from typing import Final

from ..answers import Refusal
from ..fields import Fields

__all__ = ["is_multipart", "parse_multipart"]

_KIND: Final = "multipart/form-data"
_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_NAME: Final = re.compile(rb'\r\ncontent-disposition:\s*form-data;(?:[^\r]*;)?\s*name="?([^"\r;]+)', re.IGNORECASE)


def is_multipart(content_type: str) -> bool:
    """Whether a body is one."""
    return content_type.partition(";")[0].strip().lower() == _KIND


def parse_multipart(body: bytes, content_type: str) -> Fields:
    """Parse a body; of a field that is there twice, the last counts.

    Raises:
        Refusal: 400.
    """
    refusal = Refusal(HTTPStatus.BAD_REQUEST, "The body is not a valid form")
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise refusal
    delimiter = b"\r\n--" + (boundary[1] or boundary[2]).encode("latin-1")
    content, end, _ = (b"\r\n" + body).partition(delimiter + b"--")
    if not end:
        raise refusal
    _, *parts = re.split(re.escape(delimiter) + rb"[ \t]*(?=\r\n)", content)
    try:
        return dict(map(_read, parts))
    except ValueError:
        raise refusal from None


def _read(part: bytes) -> tuple[str, str]:
    head, blank, value = part.partition(b"\r\n\r\n")
    name = _NAME.search(head)
    if not blank or name is None:
        raise ValueError
    return name[1].decode(), value.decode()
