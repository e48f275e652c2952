"""What OAuth2 has on the wire, against Authlib's own reading of the same RFCs."""

import json
import ssl
import time
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from littlebits_async import DecodeError
from littlebits_async.auth import OAuth2, OAuthToken
from littlebits_async.auth._token import read_token

# Modules without types.
rfc6749: Any = import_module("authlib.oauth2.rfc6749")
parameters: Any = import_module("authlib.oauth2.rfc6749.parameters")
rfc7636: Any = import_module("authlib.oauth2.rfc7636")
authentication: Any = import_module("authlib.oauth2.auth")

AUTHORIZE = "https://cloud.example/oauth/authorize"
TOKEN = "https://cloud.example/oauth/token"
REDIRECT = "http://127.0.0.1:8400/callback"

visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
words = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
seconds = st.integers(1, 10**9)
answers = st.fixed_dictionaries(
    {"access_token": visible, "token_type": st.sampled_from(["bearer", "Bearer", "BEARER"])},
    optional={
        "refresh_token": visible,
        "expires_in": seconds | seconds.map(str),
        "scope": st.lists(st.sampled_from(["read", "write", "admin"])).map(" ".join),
        "created_at": st.integers(0, 2**31),
        "user": st.dictionaries(words, words),
    },
)


def query(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, strict_parsing=True)


def read(answer: object) -> OAuthToken:
    before = OAuthToken("a", "b", scopes=("old",))
    return read_token(200, json.dumps(answer).encode(), now=time.time(), before=before, secrets=[])


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(answers)
def test_an_answer_means_what_authlib_takes_it_for(answer: dict[str, Any]) -> None:
    theirs = rfc6749.OAuth2Token.from_dict(answer)
    now = time.time()
    ours = read(answer)
    assert ours.access_token == theirs["access_token"]
    assert ours.refresh_token == theirs.get("refresh_token", "b")
    assert ours.scopes == tuple(theirs.get("scope", "old").split())
    if "expires_in" in answer:
        assert ours.expires_at is not None
        lifetime = int(answer["expires_in"])
        # Theirs is the end itself; ours is before it, and not by more than a tenth of its life, or 30 s.
        early = min(lifetime / 10, 30)
        assert theirs["expires_at"] - early - 2 <= ours.expires_at <= now + lifetime - early + 2
    else:
        assert ours.expires_at is None


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | words,
        lambda inner: st.lists(inner) | st.dictionaries(words, inner),
        max_leaves=5,
    )
)
def test_whatever_else_the_server_answers_is_an_error_of_ours(answer: object) -> None:
    with pytest.raises(DecodeError):
        read(answer)


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(client_id=words, scopes=st.lists(st.sampled_from(["read", "write", "admin"]), unique=True))
def test_the_question_is_the_one_that_authlib_would_ask(client_id: str, scopes: list[str]) -> None:
    question = OAuth2(client_id, scopes=scopes, authorize_url=AUTHORIZE).authorize(REDIRECT)
    ours = query(question.url)
    (state,) = ours["state"]
    challenge = rfc7636.create_s256_code_challenge(question.verifier)
    theirs = parameters.prepare_grant_uri(
        AUTHORIZE, client_id, "code", REDIRECT, scopes, state, code_challenge=challenge, code_challenge_method="S256"
    )
    assert ours == query(theirs)


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(code=visible, change=st.sampled_from(["", "&session_state=5", "&iss=https%3A%2F%2Fcloud.example"]))
def test_the_answer_is_read_as_authlib_reads_it(code: str, change: str) -> None:
    question = OAuth2("app", authorize_url=AUTHORIZE).authorize(REDIRECT)
    (state,) = query(question.url)["state"]
    callback = f"{REDIRECT}?{urlencode({'code': code, 'state': state})}{change}"
    assert question.code(callback) == parameters.parse_authorization_code_response(callback, state=state)["code"]


def test_no_two_questions_share_a_state_or_a_verifier() -> None:
    questions = [OAuth2("app").authorize(REDIRECT) for _ in range(50)]
    assert len({query(question.url)["state"][0] for question in questions}) == 50
    assert len({question.verifier for question in questions}) == 50


@pytest.mark.parametrize("secret", [None, "a-secret"])
def test_the_grants_are_those_that_authlib_would_send(secret: str | None) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"access_token": "a", "token_type": "bearer", "refresh_token": "b"})

    transport = httpx.MockTransport(answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    auth = OAuth2("app", secret, token_url=TOKEN, transport=transport, ssl_context=context)
    question = auth.authorize(REDIRECT)
    callback = f"{REDIRECT}?code=c0de&state={query(question.url)['state'][0]}"

    async def ours() -> None:
        await auth.redeem(question, callback)
        await auth.refresh()

    anyio.run(ours)
    forms = [
        parameters.prepare_token_request(
            "authorization_code", redirect_uri=REDIRECT, code="c0de", code_verifier=question.verifier
        ),
        parameters.prepare_token_request("refresh_token", refresh_token="b"),
    ]
    client = authentication.ClientAuth("app", secret, "none" if secret is None else "client_secret_basic")
    for mine, form in zip(sent, forms, strict=True):
        _, headers, body = client.prepare("POST", TOKEN, {}, form)
        assert str(mine.url) == TOKEN
        assert parse_qs(mine.content.decode()) == parse_qs(body)
        assert mine.headers.get("authorization") == headers.get("Authorization")
