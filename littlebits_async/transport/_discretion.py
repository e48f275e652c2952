"""What logs and errors must not tell of our requests: queries, credentials, passwords.

httpx logs each URL at INFO, and a callback's URL in a query may hold a key. At DEBUG, hpack logs the headers that it
encodes, the token and the query among them; httpcore logs the password of a SOCKS proxy, and all headers of an answer,
which a server may write the token into. h11 quotes what it refuses: a header's value, such as a token with a line end,
or a piece of the body in place of a chunk's header. The filters here touch no record of anybody else's requests, but of
those that a user's own Auth or transport makes while it works on one of ours.
"""

import json
import logging
import re
import traceback
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Final, TypeVar
from urllib.parse import quote, quote_plus

import httpx

from .._tracebacks import origins

__all__ = ["SECRETS", "bare", "conceal", "conceal_body", "credentials", "keep_private", "watch_logs"]

credentials: Final = ContextVar[tuple[str, ...] | None]("littlebits_async.credentials", default=None)
"""What is secret of our own request that is worked on; None elsewhere."""
SECRETS: Final = "littlebits_async.secrets"
"""The request extension that names what is secret in a request's query or body, besides its credentials."""

_FAMILIAR: Final = frozenset(
    {"anyio", "asyncio", "contextlib", "h11", "h2", "httpcore", "httpx", "littlebits_async", "socket", "ssl", "trio"}
)
_HEADERS: Final = ("Authorization", "MobileAppAuth")
_LEAST: Final = 16
"""Characters of credentials; what is shorter is no secret, and taking it out would take common words out."""
_LEAST_NAMED: Final = 4
"""The same of what a call says is secret: people choose passwords."""
_MASK: Final = "***"
_QUOTED: Final = re.compile(
    r"(illegal (?:header|chunk) \w+|malformed chunk footer):? (?:bytearray\()?b\\?['\"].*", re.IGNORECASE | re.DOTALL
)

E = TypeVar("E", bound=BaseException)


def conceal(text: str) -> str:
    """Take the credentials of our request out of a text, and what h11 quotes."""
    for form in _forms():
        text = text.replace(form, _MASK)
    return _QUOTED.sub(r"\1", text)


def conceal_body(data: bytes) -> bytes:
    """Take the credentials of our request out of an answer, as far as they stand there as they were sent."""
    for form in _forms():
        data = data.replace(form.encode(), _MASK.encode())
    return data


def bare(exc: E, handled: BaseException | None) -> E:
    """Leave of an error, and of all that it came from, the types and the messages, without what must not be told.

    The tracebacks go, and the request that httpx hands along: it and frames of httpx and httpcore hold what was sent.
    Clearing the frames would not do: HTTP/2 raises one error in many tasks, and to clear a frame that still waits is to
    close it. Where frames are neither ours nor theirs, as of a user's Auth whose own server is down, a note says in
    text which those were.

    Args:
        exc: The error.
        handled: What was being handled when our work began, which is not ours to touch.
    """
    for part in origins(exc, handled):
        if foreign := _foreign_frames(part.__traceback__):
            part.add_note(foreign)
        part.with_traceback(None)
        if isinstance(part, httpx.RequestError):
            with suppress(RuntimeError):  # it has none
                part.request = httpx.Request(part.request.method, part.request.url.copy_with(query=None))
        args = tuple(conceal(arg) if isinstance(arg, str) else arg for arg in part.args)
        if args != part.args:
            BaseException.__setattr__(part, "args", args)  # whatever a user's own class thinks of it
    return exc


def _foreign_frames(trace: TracebackType | None) -> str:
    frames = [
        (frame, line)
        for frame, line in traceback.walk_tb(trace)
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] not in _FAMILIAR
    ]
    return "".join(traceback.StackSummary.extract(iter(frames)).format()) if frames else ""


class _PrivateURL(httpx.URL):
    """A URL like any other, that `_RequestFilter` knows as ours."""


class _RequestFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        args = record.args
        if isinstance(args, tuple) and any(isinstance(arg, _PrivateURL) for arg in args):
            record.args = tuple(_private(arg) for arg in args)
        return True


class _AnswerFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if credentials.get() is not None:
            record.msg, record.args = conceal(record.getMessage()), None
        return True


class _CredentialFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the interface
        return credentials.get() is None


_FILTERS: Final = {
    "httpx": _RequestFilter(),
    "hpack.hpack": _CredentialFilter(),
    "hpack.table": _CredentialFilter(),
    "httpcore.connection": _AnswerFilter(),
    "httpcore.http11": _AnswerFilter(),
    "httpcore.http2": _AnswerFilter(),
    "httpcore.proxy": _AnswerFilter(),
    "httpcore.socks": _CredentialFilter(),
}


def watch_logs() -> None:
    """Put the filters where they belong; again is without effect."""
    for name, log_filter in _FILTERS.items():
        logging.getLogger(name).addFilter(log_filter)


async def keep_private(request: httpx.Request) -> None:
    """Mark a request as ours, as it is about to be sent: an httpx event hook, run in the task of the try."""
    request.url = _PrivateURL(request.url)
    sent = [request.headers[name].strip() for name in _HEADERS if name in request.headers]
    bare_of_scheme = [value.partition(" ")[2].strip() or value for value in sent]
    named: tuple[str, ...] = request.extensions.get(SECRETS, ())
    credentials.set(
        (
            *(secret for secret in bare_of_scheme if len(secret) >= _LEAST),
            *(secret for secret in named if len(secret) >= _LEAST_NAMED),
        )
    )


def _forms() -> list[str]:
    """What is secret, as it is, in a URL and in JSON; the longest first, as one may be part of another."""
    forms = {
        form
        for secret in credentials.get() or ()
        for form in (secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1])
    }
    return sorted(forms, key=len, reverse=True)


def _private(arg: object) -> object:
    if isinstance(arg, _PrivateURL):
        return arg.copy_with(query=None)
    return conceal(arg) if isinstance(arg, str) else arg
