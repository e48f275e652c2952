"""One try of one delivery: a POST that only a 200 within 15 s answers.

The 15 s are from looking up the host to the status of the answer, which decides, whatever becomes of the rest: of that,
a second and 64 KiB are read. Redirects are not followed, since nobody subscribed what they lead to. Signed in the
standardwebhooks format, as an addition: no subscriber needs to look.

Source: spec/cloud-http-api-v1-and-webhooks.md, "`subscriber_id` field details".
"""

import base64
import contextlib
import math
import ssl
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self, cast
from urllib.parse import quote, unquote_to_bytes, urlsplit

import anyio
import anyio.to_thread
import httpcore

from ...signatures import sign
from ._targets import CheckedBackend, is_private_host

__all__ = ["ANSWER_WITHIN", "DeliveryError", "Poster"]

ANSWER_WITHIN: Final = 15.0
"""Seconds for one try."""
_MOST_READ: Final = 64 * 1024
_READ_WITHIN: Final = 1.0
"""Seconds for the rest of an answer, read only so that its connection serves again."""
_IDLE: Final = 2.0
"""Seconds that a connection is kept for the next delivery; less than servers keep it, many of them 5."""
_QUOTED: Final = "!$%&'()*+,/:;=?@[]~"
"""What stands in a URL as it is; the per cent sign too, as what is quoted is quoted by whoever subscribed."""


class DeliveryError(Exception):
    """A try that failed; the text says how, without the URL, which may be a secret."""


class Poster:
    """Sends deliveries.

    Args:
        allow_private: Whether a target may be on this machine or a private network.
        answer_within: Seconds for one try.
    """

    def __init__(self, *, allow_private: bool = False, answer_within: float = ANSWER_WITHIN) -> None:
        # Which httpcore, as it exports it, may also be what stands in for it where anyio is missing.
        backend = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())
        self._allow_private = allow_private
        self._backend = CheckedBackend(backend, allow_private=allow_private)
        self._answer_within = answer_within
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    def may_call(self, url: str) -> bool:
        """Tell whether a URL may be called, as far as that can be told without looking its host up."""
        return self._allow_private or not is_private_host(urlsplit(url).hostname or "")

    async def post(self, url: str, body: bytes, *, secret: str, message_id: str, timestamp: int) -> None:
        """Send a delivery.

        Args:
            url: Where to.
            body: What.
            secret: What it is signed with.
            message_id: The same for each try of the same delivery.
            timestamp: The time of this try, Unix seconds.

        Raises:
            DeliveryError: No 200 came in time.
        """
        headers = {
            "content-type": "application/json",
            "user-agent": "littlebits-cloud",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(secret, message_id=message_id, timestamp=timestamp, body=body),
        }
        try:
            with anyio.fail_after(self._answer_within) as scope:
                status = await self._exchange(url, headers, body, scope)
        except TimeoutError:
            raise DeliveryError(f"no answer in {self._answer_within:g} s") from None
        # Whatever a URL or a peer brings about in the layers below: it fails, and the cloud goes on.
        except Exception as error:
            known = isinstance(error, httpcore.NetworkError | httpcore.ProtocolError) and str(error)
            raise DeliveryError(f"{type(error).__name__}: {error}" if known else type(error).__name__) from error
        if status != HTTPStatus.OK:
            raise DeliveryError(f"answered {status}")

    async def _exchange(self, url: str, headers: dict[str, str], body: bytes, scope: anyio.CancelScope) -> int:
        target, login = _target(url)
        sent = [(name.encode(), value.encode()) for name, value in (headers | login).items()]
        pool = await self._open()
        async with pool.stream("POST", target, headers=sent, content=body) as response:
            scope.deadline = math.inf  # the status is there, in time
            with anyio.move_on_after(_READ_WITHIN), contextlib.suppress(httpcore.NetworkError, httpcore.ProtocolError):
                read = 0
                async for chunk in response.aiter_stream():
                    read += len(chunk)
                    if read > _MOST_READ:
                        break
            return response.status

    async def _open(self) -> httpcore.AsyncConnectionPool:
        """Make the pool for the first delivery: it reads all certificates, and many a cloud posts nothing."""
        if self._pool is None:
            context = await anyio.to_thread.run_sync(ssl.create_default_context)
            if self._pool is None:  # another delivery may have been first
                # How many there are at once is the courier's business: nobody's time passes in waiting for another.
                self._pool = httpcore.AsyncConnectionPool(
                    ssl_context=context, network_backend=self._backend, max_connections=None, keepalive_expiry=_IDLE
                )
        return self._pool


def _target(url: str) -> tuple[httpcore.URL, dict[str, str]]:
    """Give a URL as it goes over the wire, and the header for the name and password in it, if there are."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    path = quote(parts.path or "/", safe=_QUOTED)
    query = f"?{quote(parts.query, safe=_QUOTED)}" if parts.query else ""
    target = httpcore.URL(
        scheme=parts.scheme,
        host=host if host.isascii() else host.encode("idna"),
        port=parts.port,
        target=f"{path}{query}",
    )
    if parts.username is None:
        return target, {}
    login = unquote_to_bytes(f"{parts.username}:{parts.password or ''}")
    return target, {"authorization": f"Basic {base64.b64encode(login).decode()}"}
