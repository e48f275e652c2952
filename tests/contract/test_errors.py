"""What goes wrong, as the caller sees it: in-process for every refusal there can be, over a socket for those that
`LocalCloud` gives.

Source: spec/cloud-api-v2.txt, "Errors" and "Rate limiting"; spec/cloud-http-api-v1-and-webhooks.md,
"/devices/{device_id}/output"; wire-facts sections 2 and 10.
"""

import ssl
from collections.abc import Awaitable, Callable
from typing import Literal

import anyio
import httpx
import pytest
import respx

from littlebits_async import (
    FOREVER,
    APIError,
    AuthenticationError,
    Backoff,
    BadRequestError,
    InputReactor,
    LittleBitsError,
    MethodNotAllowedError,
    NotAcceptableError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RetryPolicy,
    ServerError,
    ServiceUnavailableError,
    Session,
    StreamState,
    Unlimited,
    UnprocessableError,
)
from littlebits_async.testing import RunningCloud, run_cloud
from tests.spec_messages import message
from tests.support.local_cloud import PATIENCE

pytestmark = pytest.mark.anyio

TOKEN = "meowmeowmeow"
HOST = "https://api-http.littlebitscloud.cc"
BIT = "00e040000001"
V1 = "cloud-http-api-v1"

Call = Callable[[Session], Awaitable[object]]


async def open_stream(session: Session) -> None:
    async with session.inputs(BIT):
        pytest.fail("it opened")


# The calls whose ways part: with a body, without one, and the one whose answer is a stream.
CALLS: dict[str, tuple[str, str, Call]] = {
    "devices": ("GET", "/devices", lambda s: s.devices()),
    "output": ("POST", f"/devices/{BIT}/output", lambda s: s.output(BIT)),
    "inputs": ("GET", f"/devices/{BIT}/input", open_stream),
    "read": ("GET", f"/devices/{BIT}/input", lambda s: s.read(BIT)),
}

# The names and meanings of the document's table; 422 is the Mobile API's.
STATUSES: list[tuple[int, type[APIError], str, str]] = [
    (400, BadRequestError, "Bad Request", "Your request is badly formed"),
    (401, AuthenticationError, "Unauthorized", "Your API key is wrong"),
    (403, PermissionDeniedError, "Forbidden", "You do not have permission to access that device"),
    (404, NotFoundError, "Not Found", "The specified device could not be found"),
    (405, MethodNotAllowedError, "Method Not Allowed", "You tried to access a device with an invalid method"),
    (406, NotAcceptableError, "Not Acceptable", "You requested a format that isn't json"),
    (422, UnprocessableError, "Unprocessable Entity", "No"),
    (429, RateLimitedError, "Too Many Requests", "You're requesting too many kittens! Slow down!"),
    (500, ServerError, "Internal Server Error", "We had a problem with our server. Try again later."),
    (503, ServiceUnavailableError, "Service Unavailable", "We're temporarily offline for maintenance."),
]

HTML = "<html><head><title>nginx</title></head><body><h1>Oops</h1></body></html>"
Envelope = Callable[[int, str, str], tuple[httpx.Response, str | None]]


def v2_envelope(status: int, error: str, text: str) -> tuple[httpx.Response, str | None]:
    return httpx.Response(status, json={"statusCode": status, "error": error, "message": text}), text


def v1_envelope(status: int, error: str, text: str) -> tuple[httpx.Response, str | None]:
    return httpx.Response(status, json={"code": status, "error": error, "message": text}), text


def no_envelope(status: int, _error: str, _text: str) -> tuple[httpx.Response, str | None]:
    return httpx.Response(status), None


def html(status: int, _error: str, _text: str) -> tuple[httpx.Response, str | None]:
    return httpx.Response(status, html=HTML), None


def mocked_session(version: Literal[1, 2, 3] = 2, attempts: int = 1) -> Session:
    return Session(
        TOKEN,
        base_url=HOST,
        api_version=version,
        budget=Unlimited(),
        retry=RetryPolicy(attempts=attempts, backoff=Backoff(base=0.001, cap=0.001)),
        trust_env=False,
        ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )


async def refusal(call: Call, response: httpx.Response, version: Literal[1, 2, 3] = 2) -> APIError:
    """What a call raises when it is answered so."""
    with respx.mock(base_url=HOST) as router:
        router.route().mock(return_value=response)
        async with mocked_session(version) as session:
            with anyio.fail_after(PATIENCE), pytest.raises(APIError) as caught:
                await call(session)
        assert router.calls.call_count == 1
    return caught.value


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("envelope", [v2_envelope, v1_envelope, no_envelope, html])
@pytest.mark.parametrize(("status", "cls", "error", "text"), STATUSES, ids=[str(row[0]) for row in STATUSES])
async def test_every_refusal_is_its_class_and_tells_all(  # noqa: PLR0917 - a table's columns
    status: int, cls: type[APIError], error: str, text: str, envelope: Envelope, name: str
) -> None:
    method, path, call = CALLS[name]
    response, said = envelope(status, error, text)
    exc = await refusal(call, response)
    assert type(exc) is cls
    assert isinstance(exc, LittleBitsError)
    assert (exc.status, exc.message, exc.method, exc.path, exc.retry_after) == (status, said, method, path, None)
    # 422 has two names: RFC 4918's, and RFC 9110's "Unprocessable Content".
    assert exc.error == error or (status == 422 and exc.error.startswith("Unprocessable "))
    assert str(exc).startswith(f"{method} {path} failed: {status} {exc.error}")
    assert (said or "") in str(exc)
    assert "<" not in str(exc)
    assert TOKEN not in str(exc) + repr(exc)


@pytest.mark.parametrize(
    ("status", "cls", "error", "text"),
    [
        (403, PermissionDeniedError, "Forbidden", "You do not own this device"),
        (404, NotFoundError, "Not Found", "The device 000001 is not currently connected to bitcloud."),
    ],
)
async def test_the_refusals_of_the_v1_document(status: int, cls: type[APIError], error: str, text: str) -> None:
    response = httpx.Response(status, content=message(f"{V1}/output.{status}.json"))
    exc = await refusal(lambda s: s.output("000001"), response, version=1)
    assert type(exc) is cls
    assert (exc.status, exc.error, exc.message, exc.path) == (status, error, text, "/devices/000001/output")


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("status", [429, 503])
async def test_how_long_to_wait_is_told(status: int, name: str) -> None:
    body = {"error": "rate_limit_exceeded"}
    exc = await refusal(CALLS[name][2], httpx.Response(status, json=body, headers={"Retry-After": "7"}))
    assert (exc.status, exc.error, exc.message, exc.retry_after) == (status, "rate_limit_exceeded", None, 7)
    assert "7 s" in str(exc)


async def test_a_401_without_a_body_is_explained_by_its_challenge() -> None:
    challenge = 'Bearer realm="bitCloud", error="invalid_token", error_description="Invalid or expired token"'
    exc = await refusal(lambda s: s.devices(), httpx.Response(401, headers={"WWW-Authenticate": challenge}))
    assert type(exc) is AuthenticationError
    assert exc.message == "Invalid or expired token"


async def test_a_refusal_under_a_200_is_a_refusal() -> None:
    body = {"statusCode": 404, "error": "Not Found", "message": "no such bit"}
    exc = await refusal(lambda s: s.output(BIT), httpx.Response(200, json=body))
    assert type(exc) is NotFoundError
    assert (exc.status, exc.message) == (404, "no such bit")


async def test_a_gateway_that_is_soon_back_is_not_seen() -> None:
    answers = [httpx.Response(503, html=HTML), httpx.Response(502, html=HTML), httpx.Response(200, json=[])]
    with respx.mock(base_url=HOST) as router:
        router.get("/v2/devices").mock(side_effect=answers)
        async with mocked_session(attempts=3) as session:
            with anyio.fail_after(PATIENCE):
                assert await session.devices() == []


# Over a socket: what `LocalCloud` refuses.


EVERY_WAY: list[Call] = [lambda s: s.device(BIT), lambda s: s.output(BIT), lambda s: s.read(BIT), open_stream]


async def refused(call: Awaitable[object]) -> APIError:
    with anyio.fail_after(PATIENCE), pytest.raises(APIError) as caught:
        await call
    return caught.value


async def every_way(session: Session) -> list[APIError]:
    """The refusals of a read, a command and the two ways to a stream."""
    return [await refused(call(session)) for call in EVERY_WAY]


@pytest.mark.both_feeds
async def test_an_unknown_token(running_cloud: RunningCloud) -> None:
    await running_cloud.add_device(BIT)
    async with Session("0" * 64, base_url=running_cloud.url) as session:
        for exc in await every_way(session):
            assert type(exc) is AuthenticationError
            # Source: wire-facts, section 2: the body in the vendor's tests.
            assert (exc.status, exc.error, exc.message) == (401, "Unauthorized", "Token failed authorization")
        async with InputReactor(session, [BIT]) as reactor:
            assert type(await refused(anext(aiter(reactor)))) is AuthenticationError
    await running_cloud.until_streams(0)


# Source: the column "OAuth Scope" of the v1 document's "Endpoints Overview".
SCOPES: list[tuple[str, Call]] = [
    ("read", lambda s: s.devices()),
    ("read", lambda s: s.device(BIT)),
    ("read", open_stream),
    ("read", lambda s: s.subscriptions()),
    ("read", lambda s: s.subscribe(publisher_id=BIT, subscriber_id=BIT)),
    ("read", lambda s: s.unsubscribe(publisher_id=BIT, subscriber_id=BIT)),
    ("write", lambda s: s.output(BIT, 61, duration_ms=FOREVER)),
    ("write", lambda s: s.light(BIT, color="red")),
    ("admin", lambda s: s.update_device(BIT, label="mine")),
    ("admin", lambda s: s.activate(BIT)),
    ("admin", lambda s: s.deactivate(BIT)),
]


@pytest.mark.both_feeds
@pytest.mark.parametrize(("scope", "call"), SCOPES)
async def test_a_scope_that_is_too_small(running_cloud: RunningCloud, scope: str, call: Call) -> None:
    bit = await running_cloud.add_device(BIT, label="theirs")
    others = {"read", "write", "admin"} - {scope}
    async with Session(await running_cloud.create_token(others), base_url=running_cloud.url) as session:
        exc = await refused(call(session))
    assert type(exc) is PermissionDeniedError
    assert (exc.status, exc.error) == (403, "Forbidden")
    assert await bit.see(lambda bit: (bit.label, bit.shown, bit.light, bit.user_id)) == ("theirs", 0, None, 1)


async def test_a_device_of_somebody_else(running_cloud: RunningCloud) -> None:
    await running_cloud.add_device(BIT, user_id=2)
    async with running_cloud.session() as session:
        for exc in await every_way(session):
            assert type(exc) is PermissionDeniedError
            # Source: output.403.json of the v1 document.
            assert (exc.status, exc.error, exc.message) == (403, "Forbidden", "You do not own this device")


async def test_an_unknown_device(running_cloud: RunningCloud) -> None:
    async with running_cloud.session() as session:
        for exc in await every_way(session):
            assert type(exc) is NotFoundError
            # Source: the table "Errors" of the v2 document.
            text = "The specified device could not be found"
            assert (exc.status, exc.error, exc.message) == (404, "Not Found", text)
        async with InputReactor(session, [BIT]) as reactor:
            assert type(await refused(anext(aiter(reactor)))) is NotFoundError
            assert reactor.status(BIT).state is StreamState.FAILED


async def test_an_unknown_subscription(running_cloud: RunningCloud) -> None:
    await running_cloud.add_device(BIT)
    async with running_cloud.session() as session:
        exc = await refused(session.unsubscribe(publisher_id=BIT, subscriber_id="https://example.org/hook"))
    assert type(exc) is NotFoundError


async def test_what_the_cloud_does_not_understand(running_cloud: RunningCloud) -> None:
    await running_cloud.add_device(BIT)
    async with running_cloud.session() as session:
        for call in (
            session.subscribe(publisher_id=BIT, subscriber_id="https://example.org/", events="amplitude:delta:nothing"),
            session.subscribe(publisher_id=BIT, subscriber_id="ftp://example.org/"),
            session.update_device(BIT, input_interval_ms=2**40),
        ):
            exc = await refused(call)
            assert type(exc) is BadRequestError
            assert (exc.status, exc.error) == (400, "Bad Request")
            assert exc.message
        assert await session.subscriptions() == []


async def test_a_base_url_that_leads_elsewhere_says_what_to_check(running_cloud: RunningCloud) -> None:
    async with Session(TOKEN, base_url=f"{running_cloud.url}/nowhere") as session:
        exc = await refused(session.ping())
    assert type(exc) is NotFoundError
    # A second version in the path, behind the one that the session names.
    async with Session(TOKEN, base_url=f"{running_cloud.url}/v1", api_version=2) as session:
        exc = await refused(session.ping())
    assert type(exc) is BadRequestError
    # Source: wire-facts, section 1.
    assert exc.message == "Version mismatch between URI and Accept Header."


@pytest.mark.requirement("W4")
async def test_the_hours_limit() -> None:
    with run_cloud(limit=3) as cloud:
        await cloud.add_device(BIT)
        token = await cloud.create_token()
        # Somebody else spends it: a session that had seen the last request go would not even ask.
        async with Session(token, base_url=cloud.url) as other:
            for _ in range(3):
                await other.devices()
        for call in EVERY_WAY:
            # A session of its own each time: after a 429, nobody spends before the hold is over.
            async with Session(token, base_url=cloud.url) as session:
                exc = await refused(call(session))
                assert type(exc) is RateLimitedError
                assert exc.status == 429
                # Source: spec/cloud-api-v2.txt, "Rate limiting".
                assert "rate_limit_exceeded" in str(exc)
                assert exc.retry_after is not None
                assert 3590 < exc.retry_after <= 3601
                assert (await session.budget.report()).hold > 3500
        async with cloud.session() as another_key:
            assert len(await another_key.devices()) == 1
