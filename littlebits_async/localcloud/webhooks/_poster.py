"""One try of one delivery: a POST that only a 200 within 15 s answers.

Signed in the standardwebhooks format, as an addition: no subscriber needs to look. Redirects are not followed, since
nobody subscribed what they lead to, and of an answer no more than a little is read.

Source: spec/cloud-http-api-v1-and-webhooks.md, "`subscriber_id` field details".
"""

import ssl
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self, cast

import anyio
import anyio.to_thread
import httpcore

from ...signatures import sign
from ._targets import CheckedBackend

__all__ = ["ANSWER_WITHIN", "DeliveryError", "Poster"]

ANSWER_WITHIN: Final = 15.0
"""Seconds for the whole of one try."""
_MOST_READ: Final = 64 * 1024
_MOST_AT_ONCE: Final = 256
_IDLE: Final = 5.0


class DeliveryError(Exception):
    """A try that failed; the text says how, without the URL, which may be a secret."""


class Poster:
    """Sends deliveries.

    Args:
        allow_private: Whether a target may be on this machine or a private network.
        answer_within: Seconds for the whole of one try.
    """

    def __init__(self, *, allow_private: bool = False, answer_within: float = ANSWER_WITHIN) -> None:
        # Which httpcore, as it exports it, may also be what stands in for it where anyio is missing.
        backend = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())
        self._backend = backend if allow_private else CheckedBackend(backend)
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
        headers: dict[bytes | str, bytes | str] = {
            "content-type": "application/json",
            "user-agent": "littlebits-cloud",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(secret, message_id=message_id, timestamp=timestamp, body=body),
        }
        try:
            with anyio.fail_after(self._answer_within):
                pool = await self._open()
                async with pool.stream("POST", url, headers=headers, content=body) as response:
                    status = response.status
                    await _read_some(response)
        except TimeoutError:
            raise DeliveryError(f"no answer in {self._answer_within:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise DeliveryError(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error
        except (OSError, ValueError) as error:  # a certificate, a host name that no encoding takes
            raise DeliveryError(type(error).__name__) from error
        if status != HTTPStatus.OK:
            raise DeliveryError(f"answered {status}")

    async def _open(self) -> httpcore.AsyncConnectionPool:
        """Make the pool for the first delivery: it reads all certificates, and many a cloud posts nothing."""
        if self._pool is None:
            context = await anyio.to_thread.run_sync(ssl.create_default_context)
            if self._pool is None:  # another delivery may have been first
                self._pool = httpcore.AsyncConnectionPool(
                    ssl_context=context,
                    network_backend=self._backend,
                    max_connections=_MOST_AT_ONCE,
                    keepalive_expiry=_IDLE,
                )
        return self._pool


async def _read_some(response: httpcore.Response) -> None:
    """Read the answer to its end, so that the connection can be used again; a long one is left."""
    read = 0
    async for chunk in response.aiter_stream():
        read += len(chunk)
        if read > _MOST_READ:
            break
