"""Applications: where they may be sent back to, and how they prove who they are.

Source: RFC 6749, sections 2 and 3.1.2; RFC 8252, sections 7 and 8; RFC 9700, section 2.1: a redirect goes to a
registered URI to the letter, but for the port of a program's own listener on its machine.
"""

import base64
import binascii
import hmac
import re
import secrets
import time
from collections.abc import Collection, Iterable
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_plus, urlsplit

from starlette.requests import Request

from ..storage import ClientRecord, Store
from ..tokens import SCOPES, digest
from ._forms import Denial, Parameters

__all__ = ["BadClientError", "authenticate", "may_return_to", "new_client"]

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LOOPBACK: Final = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?(?=[/?]|$)")
_OWN_SCHEME: Final = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+")
_ALLOWED: Final = re.compile(r"[!-~]+")
_HERE: Final = {"127.0.0.1", "::1", "localhost"}
_NOBODY: Final = digest("")


class BadClientError(ValueError):
    """An application that cannot be registered as it was described."""


def new_client(
    client_id: str,
    *,
    name: str,
    redirect_uris: Iterable[str],
    scopes: Collection[str],
    confidential: bool,
) -> tuple[ClientRecord, str | None]:
    """Describe an application, and make a secret for one that can keep it.

    Raises:
        BadClientError: It cannot be registered so.
    """
    uris = tuple(dict.fromkeys(redirect_uris))
    if not _ID.fullmatch(client_id):
        raise BadClientError("an id has 1 to 64 letters, digits, dots, dashes and underscores")
    if not name or not name.isprintable():
        raise BadClientError("a name is text in one line")
    if not scopes or not SCOPES.issuperset(scopes):
        raise BadClientError(f"scopes are some of {', '.join(sorted(SCOPES))}")
    if not uris:
        raise BadClientError("a redirect URI is needed")
    for uri in uris:
        _check_redirect_uri(uri, confidential=confidential)
    secret = secrets.token_hex(32) if confidential else None
    client = ClientRecord(
        id=client_id,
        name=name,
        secret=None if secret is None else digest(secret),
        redirect_uris=uris,
        scopes=frozenset(scopes),
        created_ms=time.time_ns() // 1_000_000,
    )
    return client, secret


def may_return_to(client: ClientRecord, uri: str) -> bool:
    """Tell whether a browser may be sent to a URI, with a code for an application."""
    if uri in client.redirect_uris:
        return True
    if client.secret is not None or not _LOOPBACK.match(uri):
        return False
    return any(_LOOPBACK.match(each) and _without_port(uri) == _without_port(each) for each in client.redirect_uris)


async def authenticate(request: Request, form: Parameters, store: Store) -> ClientRecord:
    """Find the application that a request comes from.

    Raises:
        Denial: It is none that is known, or does not prove that it is the one.
    """
    basic = request.headers.get("authorization")
    if basic is None:
        client_id, secret = form.get("client_id"), form.get("client_secret", "")
    else:
        client_id, secret = _credentials(basic)
        if "client_secret" in form or form.get("client_id", client_id) != client_id:
            raise Denial("invalid_request", "A client proves in one way who it is")
    if client_id is None:
        raise _unknown("The client does not say who it is")
    client = await store.grants.client(client_id)
    # Compared in any case, so that time tells nothing.
    wanted = _NOBODY if client is None or client.secret is None else client.secret
    is_proved = hmac.compare_digest(digest(secret), wanted)
    if client is None or not is_proved:
        raise _unknown("There is no such client, or it does not prove that it is the one")
    return client


def _credentials(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        decoded = ""
    client_id, colon, secret = decoded.partition(":")
    if not colon:
        raise _unknown("The header Authorization must be of the scheme Basic")
    return unquote_plus(client_id), unquote_plus(secret)


def _unknown(description: str) -> Denial:
    challenge = {"www-authenticate": 'Basic realm="bitCloud", charset="UTF-8"'}
    return Denial("invalid_client", description, status=HTTPStatus.UNAUTHORIZED, headers=challenge)


def _check_redirect_uri(uri: str, *, confidential: bool) -> None:
    try:
        parts = urlsplit(uri)
        host, port_is_good = parts.hostname, parts.port is None or parts.port > 0
    except ValueError:
        host, port_is_good, parts = None, False, urlsplit("")
    is_whole = bool(_ALLOWED.fullmatch(uri)) and "#" not in uri and port_is_good and parts.username is None
    if parts.scheme == "https":
        is_good = bool(host)
    elif parts.scheme == "http":
        is_good = host in _HERE
    else:  # a scheme of the program's own, which is told from others' by a domain
        is_good = not confidential and bool(_OWN_SCHEME.fullmatch(parts.scheme))
    if not (is_whole and is_good):
        raise BadClientError(
            "a redirect URI is https, or http on this machine, or for a public client a scheme with a domain in it,"
            " and has no fragment and no user"
        )


def _without_port(uri: str) -> str:
    return _LOOPBACK.sub(r"\1", uri, count=1)
