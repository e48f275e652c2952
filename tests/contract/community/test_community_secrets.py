"""Keys, passwords and addresses stay secret: in errors, logs, reprs and hooks, whatever a server makes of them."""

import gc
from collections.abc import Awaitable, Callable, Generator, Mapping
from types import FunctionType, ModuleType
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

import anyio
import httpx
import pytest

from littlebits_async import (
    APIError,
    DecodeError,
    InvalidArgumentError,
    LittleBitsError,
    LoggingHooks,
    RequestTimeoutError,
    RetryPolicy,
    TransportError,
    Unlimited,
)
from littlebits_async.auth import MobileAppAuth
from littlebits_async.community import Account, Community, calls
from tests.chaos.secrets_watch import SecretsWatch
from tests.support.local_cloud import free_port
from tests.support.raw_server import Exchange, Request, raw_server

pytestmark = pytest.mark.anyio

# Like nothing else in any message.
KEY = "7f0kenQ4mzR8tVxB2nHs6JdLwYcPg3K9eA5u"
PASSWORD = "9passW0rd&T6yUeKq3ZbNmXv8RjHfSg4Dc2Lw"
STAGING = "3stag1ngB6vCzMq8WrTyLp5KjHgFdSa9ZxQe2"
EMAIL = "some.body+5ha5hGv7TcYq@example.org"
NEW_KEY = "5newkeyWx2LpMzRb9NdKj4FsHe8Ua3ZtQv6B"
SHORT_PASSWORD = "pa$$w0rd"
PATIENCE = 10

Act = Callable[[Community], Awaitable[object]]
Handler = Callable[[Exchange], Awaitable[None]]


@pytest.fixture
def watch() -> Generator[SecretsWatch, None, None]:
    watch = SecretsWatch(KEY, PASSWORD, EMAIL, NEW_KEY)
    watch.guard_login("stager", STAGING)
    with watch.watching():
        yield watch
    watch.check()


def community_at(url: str, **options: Any) -> Community:
    usual: dict[str, Any] = {
        "basic_auth": ("stager", STAGING),
        "budget": Unlimited(),
        "hooks": LoggingHooks(),
        "retry": RetryPolicy(attempts=1),
        "timeout": 5.0,
        "trust_env": False,
    }
    return Community(KEY, base_url=url, **usual | options)


async def whole_login(community: Community) -> object:
    return await community.answer(calls.login(EMAIL, PASSWORD))


ACTS: Mapping[str, Act] = {
    "login": lambda c: c.login(EMAIL, PASSWORD),
    "login_with_facebook": lambda c: c.login_with_facebook(
        first_name="P", last_name="P", email=EMAIL, user_id=PASSWORD
    ),
    "logout": lambda c: c.logout(),
    "create_user": lambda c: c.create_user(email=EMAIL, username="someguy", password=PASSWORD),
    "reset_password": lambda c: c.reset_password(EMAIL),
    "library": lambda c: c.library(),
    "projects": lambda c: anext(c.projects()),
    "answer": whole_login,
}
EVERY_ACT = pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)


def sent(request: Request, *, encoded: bool = True) -> str:
    """What a request says that is secret, as a server reads it."""
    form = parse_qsl(request.target.partition("?")[2]) + parse_qsl(request.body.decode())
    words = [request.headers["mobileappauth"], request.headers["authorization"], *(value for _, value in form)]
    if request.body.startswith(b"{"):
        words += [EMAIL, PASSWORD]
    return " ".join([*words, *map(quote, words), *map(quote_plus, words)] if encoded else words)


def echoing(status: int) -> Handler:
    """Say what was sent, wherever an answer can, and a key that only the server knows."""

    async def handler(exchange: Exchange) -> None:
        said = sent(exchange.request)
        body: object = {
            "meta": {"success": False, "errors": {"email": [said]}, "criteria": {"params": [{"value": said}]}},
            "results": {"spree_api_key": NEW_KEY},
        }
        headers = {
            "Location": "https://community.example/" + quote(sent(exchange.request, encoded=False)),
            "X-Said": said,
            "WWW-Authenticate": f'Basic error_description="{said}"',
        }
        await exchange.answer(status, body, headers=headers)

    return handler


async def failing(community: Community, act: Act, watch: SecretsWatch) -> LittleBitsError:
    async with community:
        with anyio.fail_after(PATIENCE), pytest.raises(LittleBitsError) as caught:
            await act(community)
        watch.see_error("error", caught.value)
        watch.see_value("community", community)
    return caught.value


def requests_of(error: BaseException | None) -> Generator[httpx.Request, None, None]:
    while error is not None:
        if isinstance(error, httpx.RequestError):
            yield error.request
        error = error.__cause__ or error.__context__


@EVERY_ACT
@pytest.mark.parametrize("status", [200, 302, 422])
async def test_what_a_server_repeats_is_not_shown(watch: SecretsWatch, act: Act, status: int) -> None:
    async with raw_server(echoing(status)) as server:
        error = await failing(community_at(server.url), act, watch)
    assert isinstance(error, APIError)
    assert {"httpx", "littlebits_async.hooks"} <= watch.loggers


async def hang_up(exchange: Exchange) -> None:
    await exchange.close()


async def say_nothing(exchange: Exchange) -> None:
    await exchange.until_closed()


async def half_an_account(exchange: Exchange) -> None:
    await exchange.answer(200, {"results": {"id": None, "spree_api_key": NEW_KEY, "username": f"{PASSWORD} {EMAIL}"}})


@EVERY_ACT
@pytest.mark.parametrize("way", ["refused", "hang up", "silence", "no HTTP"])
async def test_no_answer_shows_nothing_of_what_was_sent(watch: SecretsWatch, act: Act, way: str) -> None:
    async def no_http(exchange: Exchange) -> None:
        await exchange.send(f"{sent(exchange.request)}\r\n\r\n".encode())
        await exchange.close()

    handler = {"hang up": hang_up, "silence": say_nothing, "no HTTP": no_http}.get(way, hang_up)
    async with raw_server(handler) as server:
        url = f"http://127.0.0.1:{free_port()}" if way == "refused" else server.url
        error = await failing(community_at(url, timeout=0.05 if way == "silence" else 5.0), act, watch)
    assert isinstance(error, RequestTimeoutError if way == "silence" else TransportError)
    for request in requests_of(error):
        assert request.content == b""
        assert request.url.query == b""
        assert not {"mobileappauth", "authorization"} & set(request.headers)


@pytest.mark.parametrize("name", ["login", "login_with_facebook", "answer"])
async def test_an_account_that_cannot_be_used_is_not_shown(watch: SecretsWatch, name: str) -> None:
    async with raw_server(half_an_account) as server:
        error = await failing(community_at(server.url), ACTS[name], watch)
    assert isinstance(error, DecodeError)
    assert "***" in error.excerpt


@pytest.mark.parametrize("password", [SHORT_PASSWORD, "success", "results", "meta", "errors"])
async def test_a_password_of_the_api_s_own_words_undoes_no_error(password: str) -> None:
    status = 200

    async def handler(exchange: Exchange) -> None:
        await exchange.answer(status, {"results": [], "meta": {"success": False, "errors": f"not {password}"}})

    async with raw_server(handler) as server, community_at(server.url) as community:
        for status in (200, 422):
            for call in (
                community.login("e@ma.il", password),
                community.create_user(email="e@ma.il", username="x", password=password),
            ):
                with pytest.raises((APIError, DecodeError)) as caught:
                    await call
                assert f"not {password}" not in str(caught.value)
                assert status == 200 or (isinstance(caught.value, APIError) and caught.value.status == status)


async def test_a_password_with_the_address_in_it_is_hidden_as_a_whole() -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(422, {"results": {}, "meta": {"success": False, "errors": f"not {EMAIL}9q!"}})

    async with raw_server(handler) as server, community_at(server.url) as community:
        with pytest.raises(APIError) as caught:
            await community.login(EMAIL, f"{EMAIL}9q!")
    assert caught.value.message == "not ***"


async def test_what_works_is_logged_without_what_was_sent(watch: SecretsWatch) -> None:
    async def handler(exchange: Exchange) -> None:
        said = sent(exchange.request)
        results = {"id": 1, "spree_api_key": NEW_KEY}
        meta = {"success": True, "criteria": {"params": [{"value": said}]}}
        await exchange.answer(200, {"results": results, "meta": meta}, headers={"X-Said": said})

    async with raw_server(handler) as server, community_at(server.url) as community:
        account = await community.login(EMAIL, PASSWORD)
        assert account == Account(1, api_key=NEW_KEY)
        watch.see_value("account", account)
        watch.see_value("answer", await community.answer(calls.login(EMAIL, PASSWORD)))
        await community.reset_password(EMAIL)
        await community.create_user(email=EMAIL, username="x", password=PASSWORD)
        await community.logout()
    assert {"httpx", "httpcore.http11", "littlebits_async.hooks"} <= watch.loggers


async def test_nothing_within_reach_of_a_community_keeps_a_password() -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(200, {"results": {"id": 1, "spree_api_key": NEW_KEY}})

    def holds(thing: object) -> bool:
        reached, waiting = set[int](), [thing]
        while waiting:
            part = waiting.pop()
            text = part.decode(errors="replace") if isinstance(part, bytes) else part
            if isinstance(text, str) and PASSWORD in text:
                return True
            if id(part) not in reached and not isinstance(part, type | ModuleType | FunctionType):
                reached.add(id(part))
                waiting += gc.get_referents(part)
        return False

    async with raw_server(handler) as server, community_at(server.url, hooks=None) as community:
        account = await community.login(EMAIL, PASSWORD)
        await community.create_user(email=EMAIL, username="x", password=PASSWORD)
        assert holds([community, PASSWORD.encode()])
        assert not holds([community, account])


@pytest.mark.parametrize("key", [f"{KEY}\n{KEY}", f"{KEY} {KEY}", f"{KEY}é", f"{KEY}\udc80", KEY.encode()])
async def test_a_key_that_cannot_be_sent_is_not_shown(
    watch: SecretsWatch, monkeypatch: pytest.MonkeyPatch, key: Any
) -> None:
    makers: list[Callable[[], object]] = [
        lambda: MobileAppAuth(key),
        lambda: MobileAppAuth().keep(key),
        lambda: Community(key),
    ]
    if isinstance(key, str):
        monkeypatch.setenv("LITTLEBITS_COMMUNITY_KEY", key)
        makers.append(Community)
    for make in makers:
        with pytest.raises(InvalidArgumentError) as caught:
            make()
        watch.see_error("error", caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"basic_auth": f"stager:{STAGING}"},
        {"basic_auth": ("stager", STAGING.encode())},
        {"basic_auth": (f"st:ager{STAGING}", STAGING)},
        {"basic_auth": ("stager", f"{STAGING}\udc80")},
        {"url": f"http://stager:{STAGING}@community.example"},
        {"proxy": f"ftp://stager:{STAGING}@proxy.example"},
        {"timeout": -1},
        {"max_wait": "x"},
    ],
)
async def test_what_no_community_can_be_made_of_is_not_shown(watch: SecretsWatch, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        community_at(**{"url": "http://community.example"} | options)
    watch.see_error("error", caught.value)


REFUSED: list[Act] = [
    lambda c: c.login(EMAIL, f"{PASSWORD}\udc80"),
    lambda c: c.login(f"{EMAIL}\udc80", PASSWORD),
    lambda c: c.login(EMAIL * 40, PASSWORD),
    lambda c: c.login("", PASSWORD),
    lambda c: c.login(EMAIL, PASSWORD.encode()),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    lambda c: c.login_with_facebook(first_name="", last_name="P", email=EMAIL, user_id=PASSWORD),
    lambda c: c.create_user(email=EMAIL, username="", password=PASSWORD),
    lambda c: c.reset_password(f"{EMAIL}\udc80"),
]


@pytest.mark.parametrize("act", REFUSED)
async def test_arguments_that_are_secret_are_not_shown(watch: SecretsWatch, act: Act) -> None:
    async with community_at("http://community.example") as community:
        with pytest.raises(InvalidArgumentError) as caught:
            await act(community)
    watch.see_error("error", caught.value)


async def test_a_call_shows_neither_its_query_nor_its_body(watch: SecretsWatch) -> None:
    for call in (
        calls.login(EMAIL, PASSWORD),
        calls.logout(KEY),
        calls.create_user(email=EMAIL, username="x", password=PASSWORD),
        calls.reset_password(EMAIL),
    ):
        watch.see_value("call", call)
    watch.see_value("auth", MobileAppAuth(KEY, basic=("stager", STAGING)))
    assert not vars(MobileAppAuth(KEY))
