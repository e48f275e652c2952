"""``/oauth/authorize``: whether somebody allows an application what it asks for.

The cloud has no accounts, so whoever allows something shows an access token of the cloud, made by `littlebits serve` or
`littlebits tokens`. That token says whose bits it is about, and bounds what may be allowed; no second secret has to be
made up, kept and guessed at, and what was allowed ends when the token is revoked. A token that an application got
allows nothing: else it could make itself another, that outlives it.

The token is typed in for each question, and no cookie says who somebody is. So a page elsewhere that sends this form,
which is refused as well where the browser tells, has nothing to send.

The question stands in the URL from beginning to end, nothing of it here.

Source: RFC 6749, section 4.1; RFC 7636, section 4.3; RFC 9700, sections 2.1, 4.7 and 4.12. Of 003 the scopes. A
redirect URI is always needed, one that is registered; where none is named, nobody is sent anywhere.
"""

import re
import time
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode, urlsplit

from attrs import frozen
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..answers import Refusal
from ..guesses import Guesses, source_of
from ..storage import ClientRecord, StorageError, Store, TokenRecord
from ..tokens import Tokens
from ._clients import may_return_to
from ._forms import Denial, Parameters, parse, read_form
from ._grants import Grants
from ._pages import consent_page

__all__ = ["Authorize"]

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_DEFAULT_SCOPES: Final = "read"


@frozen
class _Question:
    """What an application asks for.

    Attributes:
        client: The application.
        redirect_uri: Where the answer goes.
        state: What the application knows it by.
        said: All that it says.
        repeated: What it says twice.
    """

    client: ClientRecord
    redirect_uri: str
    state: str | None
    said: Parameters
    repeated: frozenset[str]

    @property
    def challenge(self) -> str | None:
        """What the code's user has to prove; None without PKCE.

        Raises:
            Denial: It is missing, or of no use.
        """
        challenge = self.said.get("code_challenge")
        if challenge is None:
            if self.client.secret is None or "code_challenge_method" in self.said:
                raise Denial("invalid_request", "A code_challenge is needed")
        elif self.said.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
            raise Denial("invalid_request", "A code_challenge is of the method S256, and has 43 characters")
        return challenge

    @property
    def scopes(self) -> frozenset[str]:
        """What is asked for.

        Raises:
            Denial: It is nothing that this application may ask for.
        """
        scopes = frozenset(self.said.get("scope", _DEFAULT_SCOPES).split())
        if not scopes or not scopes <= self.client.scopes:
            raise Denial("invalid_scope", f"There are {' '.join(sorted(self.client.scopes))} for this client")
        return scopes

    def check(self) -> None:
        """Look whether it can be asked.

        Raises:
            Denial: It cannot.
        """
        if self.repeated:
            raise Denial("invalid_request", "A parameter is there twice")
        if "response_type" not in self.said:
            raise Denial("invalid_request", "A response_type is needed")
        if self.said["response_type"] != "code":
            raise Denial("unsupported_response_type", "There is the response_type code only")
        _ = self.challenge, self.scopes

    def answer(self, **said: str) -> Response:
        """Send the browser back, with an answer."""
        if self.state is not None:
            said["state"] = self.state
        joint = "&" if urlsplit(self.redirect_uri).query else "?"
        # By 303, with which a form is not sent on: the token stands in it.
        return RedirectResponse(f"{self.redirect_uri}{joint}{urlencode(said)}", HTTPStatus.SEE_OTHER)

    def ask(self, problem: str = "") -> Response:
        """Ask."""
        status = HTTPStatus.FORBIDDEN if problem else HTTPStatus.OK
        return consent_page(self.client, self.redirect_uri, self.scopes, problem=problem, status=status)


class Authorize:
    """Asks, and takes the answer.

    Args:
        tokens: With which somebody may allow something.
        store: Knows the applications.
        grants: Takes note of what was allowed.
    """

    def __init__(self, tokens: Tokens, store: Store, grants: Grants) -> None:
        self._tokens = tokens
        self._store = store
        self._grants = grants
        self._guesses = Guesses()

    async def ask(self, request: Request) -> Response:
        """Answer a GET.

        Raises:
            Refusal: Nobody can be sent back.
        """
        question = await self._read(request)
        try:
            question.check()
        except Denial as denial:
            return question.answer(error=denial.error, error_description=denial.description)
        return question.ask()

    async def decide(self, request: Request) -> Response:
        """Answer a POST of the page's form.

        Raises:
            Refusal: Nobody can be sent back, or the form is not from this page.
        """
        _check_from_here(request)
        question = await self._read(request)
        try:
            question.check()
            form = await read_form(request)
        except Denial as denial:
            return question.answer(error=denial.error, error_description=denial.description)
        if form.get("decision") != "allow":
            return question.answer(error="access_denied", error_description="It was not allowed")
        address, now = source_of(request.client), time.monotonic()
        if wait := self._guesses.wait(address, now):
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "Too many tokens were wrong. Try again in a minute.",
                headers={"retry-after": str(int(wait) + 1)},
            )
        token = self._tokens.find(form.get("token", "").strip())
        if token is None:
            self._guesses.note(address, now)
            return question.ask("This is no token of this cloud.")
        if token.grant_id is not None:
            return question.ask("This token was given to an application, and cannot allow another one.")
        scopes = question.scopes & token.scopes
        if not scopes:
            return question.ask("This token may itself do nothing of that.")
        return await self._allow(question, token, scopes)

    async def _allow(self, question: _Question, token: TokenRecord, scopes: frozenset[str]) -> Response:
        try:
            code = await self._grants.allow(
                question.client,
                token,
                scopes=scopes,
                redirect_uri=question.redirect_uri,
                challenge=question.challenge,
            )
        except StorageError:
            said = "The cloud cannot keep anything at the moment"
            return question.answer(error="temporarily_unavailable", error_description=said)
        if code is None:
            return question.ask("This is no token of this cloud.")
        return question.answer(code=code)

    async def _read(self, request: Request) -> _Question:
        try:
            said, repeated = parse(request.scope["query_string"].decode("latin-1"))
        except Denial as denial:
            raise Refusal(HTTPStatus.BAD_REQUEST, denial.description) from None
        client = await self._store.grants.client(said["client_id"]) if "client_id" in said else None
        if client is None:
            raise Refusal(
                HTTPStatus.BAD_REQUEST,
                "This cloud does not know the application that sent you here (client_id)."
                " `littlebits clients add` makes it known.",
            )
        redirect_uri = said.get("redirect_uri", "")
        if not may_return_to(client, redirect_uri):
            raise Refusal(
                HTTPStatus.BAD_REQUEST,
                "The application that sent you here wants the answer at an address (redirect_uri) that it is not known"
                " by. Do not go on, unless you know why.",
            )
        return _Question(client, redirect_uri, said.get("state"), said, repeated)


def _check_from_here(request: Request) -> None:
    """Refuse a form that a page elsewhere sends."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_ours = site in {"same-origin", "none"}
    else:
        is_ours = origin is None or origin.partition("://")[2] == request.headers.get("host")
    if not is_ours:
        raise Refusal(HTTPStatus.FORBIDDEN, "This form was sent by a page that is not of this cloud.")
