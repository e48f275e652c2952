"""Webhook signatures in the format of Standard Webhooks; no I/O, no clock.

A signed webhook bears three headers: ``webhook-id``, which stays the same when it is sent again, ``webhook-timestamp``,
the Unix time in seconds at which it was sent, and ``webhook-signature``: ``v1,`` and the base64 of the HMAC-SHA256 of
``id.timestamp.body``. While a secret is being replaced there are several signatures, separated by blanks, or several
secrets at the receiver. Secrets are written ``whsec_`` and the base64 of 24 to 64 bytes.

Nothing of the package is imported here but what keeps a secret out of tracebacks: the client and the self-hosted cloud
both stand on it.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. Stricter than it in
what makes no difference to a sender that follows it: an id is up to 256 visible ASCII characters, never a full stop (it
would let one signature stand for two messages), and a header is at most 4 KiB.
"""

import base64
import hmac
import operator
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from ._tracebacks import discreet

__all__ = ["HEADERS", "Secret", "SignatureError", "new_secret", "sign", "verify"]

HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
"""The names of the three headers."""

Secret = str | bytes
"""A secret as it is written, or the bytes of its key."""

_PREFIX: Final = "whsec_"
_KEY_SIZES: Final = range(24, 65)
_MAX_HEADER: Final = 4096
_ID: Final = re.compile(rb"[!-\-/-~]{1,256}")
# As it is signed and written: twelve digits last for thirty thousand years.
_TIMESTAMP: Final = re.compile(rb"0|[1-9][0-9]{0,11}")


class SignatureError(ValueError):
    """A message is not known to be from who has the secret; says why, with nothing of secret or signature."""


def new_secret() -> str:
    """Make a secret of 32 random bytes."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


@discreet
def sign(secret: Secret, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Sign a message, for ``webhook-signature``.

    Args:
        secret: What sender and receiver share. While one replaces another, sign with each, and join with blanks.
        message_id: For ``webhook-id``.
        timestamp: For ``webhook-timestamp``; Unix time in seconds.
        body: The very bytes that are sent.

    Raises:
        ValueError: An id or a time that no receiver takes, or a malformed secret.
    """
    identifier = message_id.encode("utf-8", "surrogatepass")
    if not _ID.fullmatch(identifier):
        raise ValueError("a message id is 1 to 256 visible ASCII characters without a full stop")
    time = b"%d" % operator.index(timestamp)
    if not _TIMESTAMP.fullmatch(time):
        raise ValueError(f"a timestamp is a Unix time in seconds, got {timestamp!r}")
    return _signature(_key(secret), identifier, time, body).decode()


@discreet
def verify(
    secret: Secret | Iterable[Secret],
    headers: Iterable[tuple[str | bytes, str | bytes]],
    body: bytes,
    *,
    now: float,
    tolerance: float = 300.0,
) -> None:
    """Make sure that a message is from who has the secret, and was sent about now.

    Within the tolerance the same message verifies again: remember its ``webhook-id`` to take it once.

    Args:
        secret: What sender and receiver share; several while one replaces another, of which any will do.
        headers: All of the request's as pairs of name and value, as ASGI has them or a mapping's ``items()``; pairs, so
            that a doubled one shows.
        body: The very bytes that came.
        now: Unix time in seconds.
        tolerance: Seconds that the message's time may lie behind or ahead of ``now``.

    Raises:
        SignatureError: It is not, or not known to be: whatever the headers hold.
        ValueError: A malformed secret, or none.
    """
    keys = [_key(each) for each in ((secret,) if isinstance(secret, str | bytes) else secret)]
    if not keys:
        raise ValueError("there is no secret to verify with")
    identifier, time, signatures = _read(headers)
    if not _ID.fullmatch(identifier):
        raise SignatureError("webhook-id is not 1 to 256 visible ASCII characters without a full stop")
    if not _TIMESTAMP.fullmatch(time):
        raise SignatureError("webhook-timestamp is not a Unix time in seconds")
    ahead = int(time) - now
    if not abs(ahead) <= tolerance:  # so that NaN, too, is out of it
        raise SignatureError(
            f"webhook-timestamp is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the clock,"
            f" more than {tolerance:g} s"
        )
    # As they are written: decoded, a signature could be spelled in more than one way. As bytes: text that is not ASCII
    # cannot be compared. What is of another version, or of none, is equal to nothing.
    given = signatures.split(b" ")
    for key in keys:
        expected = _signature(key, identifier, time, body)
        if any(hmac.compare_digest(expected, each) for each in given):
            return
    raise SignatureError("webhook-signature has no v1 signature of this message by a known secret")


def _read(headers: Iterable[tuple[str | bytes, str | bytes]]) -> tuple[bytes, ...]:
    """Find the three headers' values."""
    found: dict[str, bytes] = {}
    for name, value in headers:
        ours = (name.decode("latin-1") if isinstance(name, bytes) else name).lower()
        if ours not in HEADERS:
            continue
        if ours in found:
            raise SignatureError(f"{ours} is there more than once")
        if len(value) > _MAX_HEADER:
            raise SignatureError(f"{ours} is longer than {_MAX_HEADER} bytes")
        if not value.isascii():
            raise SignatureError(f"{ours} is not ASCII")
        found[ours] = value if isinstance(value, bytes) else value.encode("ascii")
    for ours in HEADERS:
        if not found.get(ours):
            raise SignatureError(f"{ours} is missing")
    return tuple(found[ours] for ours in HEADERS)


def _signature(key: bytes, identifier: bytes, time: bytes, body: bytes) -> bytes:
    digest = hmac.digest(key, b".".join((identifier, time, body)), "sha256")
    return b"v1," + base64.b64encode(digest)


def _key(secret: Secret) -> bytes:
    """Give the key of a secret; no error shows any of it."""
    if isinstance(secret, bytes):
        if secret.startswith(_PREFIX.encode()):
            # It would sign, with a key that no one else has.
            raise ValueError(f"a secret that is written with {_PREFIX} is text, not bytes")
        key = secret
    else:
        if not secret.startswith(_PREFIX):
            raise ValueError(f"a secret begins with {_PREFIX}")
        text = secret.removeprefix(_PREFIX).rstrip("=")
        decoded: bytes | None = None
        with suppress(ValueError):
            # Some write base64 without its padding.
            decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        if decoded is None:  # raised here: the frames of what decodes have the secret, and would be this one's context
            raise ValueError(f"a secret is {_PREFIX} and base64")
        key = decoded
    if len(key) not in _KEY_SIZES:
        raise ValueError(f"a secret is of 24 to 64 bytes, got {len(key)}")
    return key
