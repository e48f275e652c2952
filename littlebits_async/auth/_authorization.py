"""The question to the user, in the browser: may this application?; no I/O.

Source: RFC 6749, section 4.1; RFC 7636 (PKCE); RFC 9700, section 2.1, which has every client send a challenge. A server
that knows no PKCE ignores it (RFC 6749, section 3.1).
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

from attrs import field, frozen

from .._tracebacks import discreet
from ..errors import OAuthError
from ._token import refusal

__all__ = ["Authorization", "new_authorization"]


@frozen
class Authorization:
    """A question to the user, and what to know its answer by.

    Attributes:
        url: Where to send the user's browser.
        redirect_uri: Where the server sends it back to.
        scopes: What is asked for.
    """

    url: str = field(repr=False)
    redirect_uri: str
    scopes: tuple[str, ...]
    _state: str = field(alias="state", repr=False)
    _verifier: str | None = field(alias="verifier", repr=False)

    @property
    def verifier(self) -> str | None:
        """What proves that the code was asked for here; None without PKCE."""
        return self._verifier

    def is_answered_by(self, callback: str) -> bool:
        """Whether a URL that a browser came back with is an answer to this question: it has our ``state``."""
        return hmac.compare_digest(_query(callback).get("state", "").encode(), self._state.encode())

    @discreet
    def code(self, callback: str) -> str:
        """Take the code out of the URL that the browser came back with.

        Raises:
            OAuthError: The user said no, or the URL is not an answer to this question.
        """
        answer = _query(callback)
        if not self.is_answered_by(callback):
            raise OAuthError("the redirect is not an answer to this authorization: its state is another")
        if "error" in answer:
            raise refusal(answer)
        if not answer.get("code"):
            raise OAuthError("the redirect brought no code")
        return answer["code"]


def new_authorization(
    authorize_url: str, *, client_id: str, redirect_uri: str, scopes: Sequence[str], pkce: bool
) -> Authorization:
    """Make a question with a state and a verifier of its own."""
    state = secrets.token_urlsafe(32)
    verifier = secrets.token_urlsafe(48) if pkce else None
    query = {"response_type": "code", "client_id": client_id, "redirect_uri": redirect_uri, "state": state}
    if scopes:
        query["scope"] = " ".join(scopes)
    if verifier is not None:
        query |= {"code_challenge": _challenge(verifier), "code_challenge_method": "S256"}
    url = f"{authorize_url}{'&' if urlsplit(authorize_url).query else '?'}{urlencode(query)}"
    return Authorization(url, redirect_uri, tuple(scopes), state=state, verifier=verifier)


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _query(url: str) -> dict[str, str]:
    """The parameters of a URL; of one that is there twice, which no server may send, nothing is believed."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}
