"""``/oauth/token`` and ``/oauth/revoke``: tokens for codes and for refresh tokens, and their end.

Source: RFC 6749, sections 4.1.3, 5 and 6; RFC 7009.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..guesses import Guesses, source_of
from ..storage import ClientRecord, Store
from ._clients import authenticate
from ._forms import Denial, Parameters, read_form
from ._grants import Grants

__all__ = ["TokenEndpoint"]

_LONGEST: Final = 64
"""Characters of a client's id."""
_GUESSED: Final = {"invalid_client", "invalid_grant"}

_Work = Callable[[ClientRecord, Parameters], Awaitable[Mapping[str, object]]]


class TokenEndpoint:
    """Gives tokens, and takes them back.

    Args:
        store: Knows the applications.
        grants: Knows what they were allowed.
    """

    def __init__(self, store: Store, grants: Grants) -> None:
        self._store = store
        self._grants = grants
        self._guesses = Guesses()

    async def grant(self, request: Request) -> Response:
        """Give tokens.

        Raises:
            Denial: There are none to be had.
        """
        return JSONResponse(await self._guarded(request, self._grant))

    async def revoke(self, request: Request) -> Response:
        """Take a token back.

        Raises:
            Denial: It is somebody else's.
        """
        return JSONResponse(await self._guarded(request, self._revoke))

    async def _guarded(self, request: Request, work: _Work) -> Mapping[str, object]:
        form = await read_form(request)
        # One application that tries again and again what has ended is not to keep the others of its machine waiting.
        who = f"{source_of(request.client)} {form.get('client_id', '')[:_LONGEST]}"
        now = time.monotonic()
        if wait := self._guesses.wait(who, now):
            raise Denial(
                "temporarily_unavailable",
                "Too many requests were wrong",
                status=HTTPStatus.TOO_MANY_REQUESTS,
                headers={"retry-after": str(int(wait) + 1)},
            )
        try:
            return await work(await authenticate(request, form, self._store), form)
        except Denial as denial:
            if denial.error in _GUESSED:
                self._guesses.note(who, now)
            raise

    async def _grant(self, client: ClientRecord, form: Parameters) -> Mapping[str, object]:
        match _needed(form, "grant_type"):
            case "authorization_code":
                found = await self._grants.redeem(
                    client,
                    _needed(form, "code"),
                    redirect_uri=_needed(form, "redirect_uri"),
                    verifier=form.get("code_verifier"),
                )
            case "refresh_token":
                scope = form.get("scope")
                scopes = None if scope is None else frozenset(scope.split())
                found = await self._grants.renew(client, _needed(form, "refresh_token"), scopes)
            case _:
                raise Denial("unsupported_grant_type", "There are authorization_code and refresh_token")
        return {
            "access_token": found.access_token,
            "token_type": "Bearer",
            "expires_in": found.expires_in,
            "refresh_token": found.refresh_token,
            "scope": " ".join(sorted(found.scopes)),
        }

    async def _revoke(self, client: ClientRecord, form: Parameters) -> Mapping[str, object]:
        await self._grants.revoke(client, _needed(form, "token"))
        return {}


def _needed(form: Parameters, name: str) -> str:
    if name not in form:
        raise Denial("invalid_request", f"{name} is needed")
    return form[name]
