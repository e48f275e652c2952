"""Answers that are no success to errors.

Source: spec/cloud-api-v2.txt ("Errors", "Rate limiting"), spec/cloud-http-api-v1-and-webhooks.md (the v1 envelope),
spec/mobile-application-api.txt ("LB API Response Format"; its ``errors`` are a text there, and elsewhere a list, or
lists by field, as Rails has them), RFC 9110 (Location, Retry-After, WWW-Authenticate), RFC 6750 section 3
(error_description).
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from ..errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    MethodNotAllowedError,
    NotAcceptableError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    ServiceUnavailableError,
    UnprocessableError,
)
from ._answers import envelope_status
from ._json import RefusedError, UnusableError, clean, decode, items, members, text

__all__ = ["ADVICE", "read_error", "read_retry_after", "refused"]

_CLASSES: Final[Mapping[int, type[APIError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    406: NotAcceptableError,
    422: UnprocessableError,
    429: RateLimitedError,
    503: ServiceUnavailableError,
}
ADVICE: Final[Mapping[int, str]] = {
    400: "check the arguments",
    401: "check the access token",
    403: "use a token with a larger scope, or the owner's",
    404: "check the device id, and that the bit is on line",
    405: "check base_url and api_version",
    406: "check base_url and api_version",
    422: "check the arguments",
}
_SHOWN: Final = 500
_SECONDS: Final = re.compile(r"-?[0-9]+(?:\.[0-9]*)?")
_DESCRIPTION: Final = re.compile(r'\berror_description\s*=\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)


def read_error(
    *,
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    advice: Mapping[int, str] = ADVICE,
) -> APIError:
    """Read an answer that is no success: the error to raise, of the class of its status.

    Args:
        method: The request's method.
        path: The request's path, without query.
        status: The answer's status: 3xx, 4xx or 5xx.
        headers: The answer's headers, names in lower case.
        body: The answer's body, whatever it is.
        now: An aware datetime, for a ``Retry-After`` that is a date where the answer has no ``Date``.
        advice: What to do about it, by status.

    Source: spec/cloud-api-v2.txt, "Errors"; spec/cloud-http-api-v1-and-webhooks.md, "/devices/{device_id}/output".
    """
    try:
        envelope: object = decode(body)
    except UnusableError:
        envelope = None
    return _error(method=method, path=path, status=status, envelope=envelope, headers=headers, now=now, advice=advice)


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read for how many seconds the server asks to wait, None where it does not say.

    Args:
        headers: The answer's headers, names in lower case.
        now: An aware datetime, for a date where the answer has no ``Date``.
    """
    said = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(said):
        seconds = float(said)
    elif until := _date(said):
        # The server's own clock is the one its date was read from.
        seconds = (until - (_date(headers.get("date", "")) or now)).total_seconds()
    else:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def refused(method: str, path: str, refusal: RefusedError, *, advice: Mapping[int, str]) -> APIError:
    """The error of an answer whose body says no under a status that says yes.

    Where the body repeats no status of its own, the error's is 200.
    """
    status = envelope_status(refusal.body) or 200
    return _error(method=method, path=path, status=status, envelope=refusal.body, headers={}, now=None, advice=advice)


def _error(
    *,
    method: str,
    path: str,
    status: int,
    envelope: object,
    headers: Mapping[str, str],
    now: datetime | None,
    advice: Mapping[int, str],
) -> APIError:
    said = members(envelope)
    phrase = "Refused" if status == HTTPStatus.OK else _phrase(status)
    error = text(said.get("error")) or phrase
    message = (
        text(said.get("message"))
        or _explanation(members(said.get("meta")).get("errors"))
        or _explanation(said.get("errors"))
        or _description(headers.get("www-authenticate", ""))
    )
    retry_after = read_retry_after(headers, now) if now else None

    what = f"{method} {path} failed: {status} {clean(error, _SHOWN)}".rstrip()
    if message and (shown := clean(message, _SHOWN)):
        what += f": {shown}"
    if hint := _hint(status, headers.get("location"), retry_after, advice):
        what += f" ({hint})"
    cls = _CLASSES.get(status, ServerError if 500 <= status <= 599 else APIError)  # noqa: PLR2004 - HTTP's own range
    return cls(what, status=status, error=error, message=message, method=method, path=path, retry_after=retry_after)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _explanation(errors: object) -> str | None:
    """What ``errors`` say: a text, a list of texts, or a text or a list of them for each field."""
    said = [(name, items(value) or [value]) for name, value in members(errors).items()]
    by_field = [f"{name}: {', '.join(texts)}" for name, values in said if (texts := _texts(values))]
    return "; ".join([*_texts(items(errors) or [errors]), *by_field]) or None


def _texts(values: list[object]) -> list[str]:
    return [said for value in values if (said := text(value))]


def _description(challenge: str) -> str | None:
    found = _DESCRIPTION.search(challenge)
    return (re.sub(r"\\(.)", r"\1", found[1]) or None) if found else None


def _hint(status: int, location: str | None, retry_after: float | None, advice: Mapping[int, str]) -> str:
    if 300 <= status <= 399:  # noqa: PLR2004 - HTTP's own range
        target = f" to {_address(location)}" if location else ""
        return f"redirected{target}; redirects are not followed, set base_url to the address that answers"
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "try again later" if retry_after is None else f"try again in {math.ceil(retry_after)} s"
    return advice.get(status, "")


def _address(location: str) -> str:
    """Where a redirect points, without what may be a secret: user, password, query, fragment."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "an address that cannot be shown"
    if parts.scheme not in {"", "http", "https"} or (parts.scheme and not parts.netloc) or "@" in parts.path:
        # An "@" in the path may end a password that held a slash.
        return "an address that cannot be shown"
    scheme = f"{parts.scheme}://" if parts.scheme else "//" if parts.netloc else ""
    return clean(f"{scheme}{parts.netloc.rpartition('@')[2]}{parts.path}", _SHOWN)


def _date(said: str) -> datetime | None:
    try:
        when = parsedate_to_datetime(said)
        # "-0000" gives a naive one; a date at the edge of the calendar has no UTC.
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
