"""What goes wrong with the community's calls, as the caller sees it, and what is tried again.

Source: spec/mobile-application-api.txt, "LB API Response Format" and "Status Codes"; wire-facts, sections 10 and 11.
"""

import copy
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import pytest

from littlebits_async import (
    APIError,
    AuthenticationError,
    Backoff,
    BadRequestError,
    BudgetExhaustedError,
    DecodeError,
    InvalidArgumentError,
    LittleBitsError,
    NotFoundError,
    PermissionDeniedError,
    Priority,
    RateLimitedError,
    RequestDone,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    SessionClosedError,
    StreamStatus,
    TokenBucket,
    TransportError,
    Unlimited,
    UnprocessableError,
)
from littlebits_async.community import Community
from tests.support.local_cloud import free_port
from tests.support.raw_server import Exchange, RawServer, raw_server

pytestmark = pytest.mark.anyio

PATIENCE = 10
AT_ONCE = RetryPolicy(attempts=3, backoff=Backoff(base=0.001, cap=0.001))
Call = Callable[[Community], Awaitable[object]]
Handler = Callable[[Exchange], Awaitable[None]]


def community_at(url: str, key: str | None = "meowmeowmeow", **options: Any) -> Community:
    usual: dict[str, Any] = {"budget": Unlimited(), "retry": AT_ONCE, "timeout": 5.0, "trust_env": False}
    return Community(key, base_url=url, **usual | options)


def reply(status: int, body: object = None, **options: Any) -> Handler:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(status, body, **options)

    return handler


async def failing(handler: Handler, call: Call, **options: Any) -> tuple[LittleBitsError, RawServer]:
    async with raw_server(handler) as server, community_at(server.url, **options) as community:
        with anyio.fail_after(PATIENCE), pytest.raises(LittleBitsError) as caught:
            await call(community)
    return caught.value, server


def refusal(errors: object, *, success: object = False) -> dict[str, object]:
    return {"results": {}, "meta": {"version": 2, "success": success, "errors": errors}}


CALLS: dict[str, Call] = {
    "login": lambda c: c.login("e@ma.il", "savekittens"),
    "login_with_facebook": lambda c: c.login_with_facebook(first_name="P", last_name="P", email="e@ma.il", user_id="2"),
    "logout": lambda c: c.logout(),
    "content": lambda c: c.content("learn.play"),
    "library": lambda c: c.library(),
    "add_to_library": lambda c: c.add_to_library(216),
    "update_library": lambda c: c.update_library(216, "subtract", 1),
    "remove_from_library": lambda c: c.remove_from_library(216),
    "products": lambda c: c.products(),
    "product": lambda c: c.product(4),
    "variant": lambda c: c.variant(4, 4),
    "projects": lambda c: anext(c.projects()),
    "search": lambda c: anext(c.search("robot")),
    "project": lambda c: c.project(16),
    "comments": lambda c: anext(c.comments(16)),
    "comment": lambda c: c.comment(16, "first!"),
    "reply": lambda c: c.reply(16, 2996, "second!"),
    "like": lambda c: c.like(16),
    "user": lambda c: c.user("lev"),
    "likes": lambda c: c.likes("lev"),
    "create_user": lambda c: c.create_user(email="e@ma.il", username="someguy", password="savekittens"),
    "reset_password": lambda c: c.reset_password("e@ma.il"),
}
EVERY_CALL = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)

# Which are sent again: whatever may be, what surely was not sent, nothing at all.
NEVER = {"like", "reset_password"}
UNSENT = {
    *("login", "login_with_facebook", "add_to_library", "update_library"),
    *("comment", "reply", "create_user"),
}


# What the answer says


@pytest.mark.requirement("C3")
@EVERY_CALL
async def test_an_envelope_that_says_no_is_an_error_whatever_the_status(call: Call) -> None:
    error, _ = await failing(reply(200, refusal("No such kitten")), call)
    assert isinstance(error, APIError)
    assert error.status == 200
    assert error.message == "No such kitten"
    assert "failed: 200 Refused: No such kitten" in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (422, UnprocessableError),
        (429, RateLimitedError),
        (500, ServerError),
    ],
)
async def test_a_status_is_an_error_of_its_own_class_with_the_envelope_s_message(
    status: int, kind: type[APIError]
) -> None:
    once = RetryPolicy(attempts=1)
    error, _ = await failing(reply(status, refusal("No such kitten")), CALLS["library"], retry=once)
    assert type(error) is kind
    assert isinstance(error, APIError)
    assert (error.status, error.message) == (status, "No such kitten")
    assert (error.method, error.path) == ("GET", "/my_library")
    assert "device" not in str(error)
    assert "token" not in str(error)


MESSAGES: Mapping[str, tuple[object, str | None]] = {
    "a text": (refusal("Taken"), "Taken"),
    "a list": (refusal(["Email taken", "", 5, "Name taken"]), "Email taken; Name taken"),
    "lists by field": (
        refusal({"email": ["has already been taken", "is odd"], "username": "is too short", "id": [], "x": 5}),
        "email: has already been taken, is odd; username: is too short",
    ),
    "success said of it nevertheless": (refusal("Taken", success=True), "Taken"),
    "errors without meta": ({"errors": {"email": ["is odd"]}}, "email: is odd"),
    "Boom": ({"statusCode": 422, "error": "Unprocessable Entity", "message": "Taken"}, "Taken"),
    "the older one": ({"code": 422, "message": "Taken"}, "Taken"),
    "nothing said": (refusal(None), None),
    "nothing": (None, None),
    "a page": (b"<html><body>Oops</body></html>", None),
    "no envelope": ([1, 2], None),
    "meta of another type": ({"meta": "x"}, None),
}


@pytest.mark.parametrize(("body", "message"), MESSAGES.values(), ids=MESSAGES)
async def test_the_message_is_found_in_whatever_envelope_it_comes(body: object, message: str | None) -> None:
    error, _ = await failing(reply(422, body), CALLS["create_user"])
    assert isinstance(error, UnprocessableError)
    assert error.message == message


@EVERY_CALL
@pytest.mark.parametrize("body", [b"<html><body>It works!</body></html>", b"[]"])
async def test_what_is_none_of_this_api_s_answers_is_told_so(call: Call, body: bytes) -> None:
    reads_none = {CALLS[name] for name in ("logout", "create_user", "reset_password")}
    if call in reads_none and body == b"[]":
        return  # no example shows what is in these: that there is an answer says enough
    error, _ = await failing(reply(200, body), call)
    assert isinstance(error, DecodeError)
    assert "answered what cannot be used" in str(error)


async def test_an_account_without_a_key_is_none() -> None:
    for key in (None, "", "two words", 5):
        error, _ = await failing(reply(200, {"results": {"id": 1, "spree_api_key": key}}), CALLS["login"])
        assert isinstance(error, DecodeError)


@pytest.mark.requirement("C4.elsewhere")
async def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else() -> None:
    async with raw_server(reply(200, {"results": []})) as elsewhere:
        location = {"Location": f"{elsewhere.url}/api/v2/my_library"}
        for status in (301, 302, 303, 307, 308):
            error, _ = await failing(reply(status, headers=location), CALLS["library"])
            assert isinstance(error, APIError)
            assert error.status == status
            assert "redirects are not followed" in str(error)
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://name:password@community.example",
        "ftp://community.example",
        "community.example",
        "http://community.example/?api_key=x",
    ],
)
async def test_a_base_url_that_is_more_or_less_than_an_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgumentError):
        community_at(url)


@pytest.mark.parametrize(
    "options",
    [
        {"key": ""},
        {"key": "two words"},
        {"key": "two\nlines"},
        {"key": "clé"},
        {"key": "ключ"},
        {"key": 5},
        {"basic_auth": "name:password"},
        {"basic_auth": ("name",)},
        {"basic_auth": ("na:me", "password")},
        {"basic_auth": ("name", "pass\ud800word")},
        {"max_wait": -1},
        {"timeout": 0},
    ],
)
async def test_what_no_community_can_be_made_of_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        community_at("http://community.example", **options)
    assert "password" not in str(caught.value).replace("a password", "")


WRONG: dict[str, Call] = {
    "no project": lambda c: c.project(0),
    "a truth": lambda c: c.project(True),  # noqa: FBT003 - is no id
    "a step in a path": lambda c: c.user("."),
    "a slug without end": lambda c: c.user("x" * 1025),
    "a slug of bytes": lambda c: c.likes(b"lev"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    "no product": lambda c: c.product("4"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    "no variant": lambda c: c.variant(4, -1),
    "no such operator": lambda c: c.update_library(216, "divide", 1),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    "no delta": lambda c: c.update_library(216, "add", 0),
    "a delta less than none": lambda c: c.update_library(216, "subtract", -1),
    "nothing to add": lambda c: c.add_to_library(0),
    "nothing to say": lambda c: c.comment(16, ""),
    "half a letter": lambda c: c.reply(16, 1, "\ud800"),
    "no comment": lambda c: c.reply(16, 0, "x"),
    "no address": lambda c: c.reset_password(""),
    "no password": lambda c: c.login("e@ma.il", ""),
    "no name": lambda c: c.create_user(email="e@ma.il", username="", password="x"),
    "no content": lambda c: c.content(""),
    "nobody": lambda c: c.login_with_facebook(first_name="", last_name="P", email="e@ma.il", user_id="2"),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
async def test_what_no_request_could_carry_is_refused_before_one(call: Call) -> None:
    async with raw_server(reply(500)) as server, community_at(server.url) as community:
        with pytest.raises(InvalidArgumentError):
            await call(community)
    assert server.requests == []


async def test_the_vendor_s_own_host_is_known_to_be_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.delenv("LITTLEBITS_COMMUNITY_URL", raising=False)
    async with Community(retry=RetryPolicy(attempts=1), trust_env=False) as community:
        assert repr(community) == "<Community https://www.littlebits.cc, open>"
        with pytest.raises(TransportError, match=r"littlebits serve --community.* LITTLEBITS_COMMUNITY_URL"):
            await community.products()


# What is tried again


@pytest.mark.parametrize("name", CALLS)
async def test_only_what_may_be_done_twice_is_sent_again_after_a_gateway_s_error(name: str) -> None:
    error, server = await failing(reply(503), CALLS[name])
    assert isinstance(error, ServerError)
    assert len(server.requests) == (1 if name in NEVER | UNSENT else 3)


@pytest.mark.parametrize("name", CALLS)
async def test_only_what_may_be_done_twice_is_sent_again_after_a_hang_up(name: str) -> None:
    async def hang_up(exchange: Exchange) -> None:
        await exchange.close()

    error, server = await failing(hang_up, CALLS[name])
    assert isinstance(error, TransportError)
    assert len(server.requests) == (1 if name in NEVER | UNSENT else 3)


class CountingBudget(Unlimited):
    def __init__(self) -> None:
        super().__init__()
        self.labels: list[str] = []

    async def acquire(
        self, *, priority: Priority = Priority.COMMAND, label: str = "", max_wait: float | None = None
    ) -> Any:
        self.labels.append(label)
        return await super().acquire(priority=priority, label=label, max_wait=max_wait)


@pytest.mark.requirement("C1")
@pytest.mark.parametrize("name", CALLS)
async def test_what_surely_was_not_sent_is_tried_again_but_a_like_and_a_reset(name: str) -> None:
    budget = CountingBudget()
    async with community_at(f"http://127.0.0.1:{free_port()}", budget=budget) as community:
        with anyio.fail_after(PATIENCE), pytest.raises(TransportError) as caught:
            await CALLS[name](community)
    assert caught.value.surely_unsent
    assert budget.labels == [name] * (1 if name in NEVER else 3)


@pytest.mark.requirement("C1")
@pytest.mark.parametrize("name", sorted(NEVER))
async def test_a_like_and_a_reset_are_not_tried_again_after_a_429_either(name: str) -> None:
    error, server = await failing(reply(429, headers={"Retry-After": "0"}), CALLS[name])
    assert isinstance(error, RateLimitedError)
    assert len(server.requests) == 1


async def test_a_429_holds_the_others_and_is_tried_again_after_it() -> None:
    async def handler(exchange: Exchange) -> None:
        if len(server.requests) == 1:
            await exchange.answer(429, headers={"Retry-After": "0.05"})
        else:
            await exchange.answer(200, {"results": []})

    async with raw_server(handler) as server, community_at(server.url, budget=TokenBucket()) as community:
        with anyio.fail_after(PATIENCE):
            assert await community.products() == []
    assert len(server.requests) == 2


async def test_a_logout_that_failed_keeps_the_key_to_be_tried_again() -> None:
    answers = [500, 401, 204]

    async def handler(exchange: Exchange) -> None:
        await exchange.answer(answers.pop(0))

    async with raw_server(handler) as server, community_at(server.url) as community:
        for kind in (ServerError, AuthenticationError):
            with pytest.raises(kind):
                await community.logout()
            assert community.has_key
        await community.logout()
        gone = not community.has_key
    assert gone
    assert [request.body for request in server.requests] == [b"token=meowmeowmeow"] * 3


async def test_a_logout_leaves_a_key_that_came_meanwhile() -> None:
    logging_out = anyio.Event()
    logged_in = anyio.Event()

    async def handler(exchange: Exchange) -> None:
        if exchange.request.path.endswith("/session/destroy"):
            logging_out.set()
            await logged_in.wait()
            await exchange.answer(204)
        else:
            await exchange.answer(200, {"results": {"id": 1, "spree_api_key": "purrpurrpurr"}})

    async with raw_server(handler) as server, community_at(server.url) as community:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(community.logout)
                await logging_out.wait()
                await community.login("e@ma.il", "savekittens")
                logged_in.set()
        assert community.has_key


# Budget and hooks


class Told:
    """Hooks that keep what they are told."""

    def __init__(self) -> None:
        self.requests: list[RequestDone] = []

    def request_done(self, request: RequestDone, /) -> None:
        self.requests.append(request)

    def stream_changed(self, status: StreamStatus, /) -> None:
        raise NotImplementedError

    def event_dropped(self, device_id: str, /) -> None:
        raise NotImplementedError

    def budget_waited(self, label: str, seconds: float, /) -> None:
        raise NotImplementedError


async def test_hooks_are_told_of_each_try_and_the_budget_pays_for_it() -> None:
    told, budget = Told(), TokenBucket()
    async with raw_server(reply(404, refusal("No"))) as server:
        async with community_at(server.url, hooks=told, budget=budget) as community:
            assert community.budget is budget
            with pytest.raises(NotFoundError):
                await community.reset_password("e@ma.il")
    (done,) = told.requests
    assert (done.method, done.path, done.status) == ("GET", "/users/password_reset", 404)
    assert isinstance(done.error, NotFoundError)
    assert (await budget.report()).spent == {(Priority.COMMAND, "reset_password"): 1}


async def test_a_budget_that_is_spent_is_told() -> None:
    budget = TokenBucket(1, 3600, reserve=0)
    async with raw_server(reply(200, {"results": []})) as server:
        async with community_at(server.url, budget=budget, max_wait=0.0) as community:
            await community.products()
            with pytest.raises(BudgetExhaustedError):
                await community.products()
    assert len(server.requests) == 1


# Closing and cancelling


async def say_nothing(exchange: Exchange) -> None:
    await exchange.until_closed()


@EVERY_CALL
async def test_a_closed_community_sends_nothing(call: Call) -> None:
    async with raw_server(reply(200)) as server:
        community = community_at(server.url)
        async with community:
            pass
        with pytest.raises(SessionClosedError):
            await call(community)
        assert "closed" in repr(community)
    assert server.requests == []


async def test_closing_ends_a_call_on_its_way() -> None:
    arrived = anyio.Event()

    async def handler(exchange: Exchange) -> None:
        arrived.set()
        await exchange.until_closed()

    async def call() -> None:
        with pytest.raises(SessionClosedError):
            await community.like(16)

    async with raw_server(handler) as server:
        community = community_at(server.url)
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(call)
                await arrived.wait()
                await community.aclose()
        await server.until_connections(0)


async def test_a_cancelled_call_leaves_no_connection_and_the_next_one_is_served() -> None:
    first = True

    async def handler(exchange: Exchange) -> None:
        if first:
            await exchange.until_closed()
        else:
            await exchange.answer(200, {"results": []})

    async with raw_server(handler) as server, community_at(server.url) as community:
        with anyio.move_on_after(0.05) as scope:
            await community.products()
        assert scope.cancelled_caught
        await server.until_connections(0)
        first = False
        with anyio.fail_after(PATIENCE):
            assert await community.products() == []


async def test_a_server_that_says_nothing_runs_out_of_time_and_is_not_asked_again() -> None:
    error, server = await failing(say_nothing, CALLS["products"], timeout=0.05)
    assert isinstance(error, RequestTimeoutError)
    assert len(server.requests) == 1


async def test_an_error_survives_a_copy() -> None:
    error, _ = await failing(reply(422, refusal({"email": ["is odd"]})), CALLS["create_user"])
    assert str(copy.copy(error)) == str(error)
