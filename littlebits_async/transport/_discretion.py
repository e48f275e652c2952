"""What other packages' logs must not tell of our requests: queries and credentials.

httpx logs each URL at INFO, and a callback's URL in a query may hold a key. At DEBUG, hpack logs the headers that it
encodes, the token and the query among them, and httpcore the password of a SOCKS proxy; of a request, it logs the
method only. The filters here touch no record of anybody else's requests.
"""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import httpx

__all__ = ["keep_query_private", "sending_in_private", "watch_logs"]

_private: Final = ContextVar("littlebits_async.private", default=False)


class _PrivateURL(httpx.URL):
    """A URL like any other, that `_QueryFilter` knows as ours."""


class _QueryFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                arg.copy_with(query=None) if isinstance(arg, _PrivateURL) else arg for arg in record.args
            )
        return True


class _CredentialFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the interface
        return not _private.get()


_FILTERS: Final = {
    "httpx": _QueryFilter(),
    "hpack.hpack": _CredentialFilter(),
    "hpack.table": _CredentialFilter(),
    "httpcore.socks": _CredentialFilter(),
}


def watch_logs() -> None:
    """Put the filters where they belong; again is without effect."""
    for name, log_filter in _FILTERS.items():
        logging.getLogger(name).addFilter(log_filter)


async def keep_query_private(request: httpx.Request) -> None:
    """Mark a request's URL as ours: an httpx event hook."""
    request.url = _PrivateURL(request.url)


@contextmanager
def sending_in_private() -> Generator[None, None, None]:
    """Keep credentials out of the logs while a request is sent."""
    token = _private.set(True)
    try:
        yield
    finally:
        _private.reset(token)
