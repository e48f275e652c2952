from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from littlebits_async.dashboard._access import SESSION_LASTS, Access, Guesses, cookie_in, is_loopback, same_origin
from littlebits_async.dashboard._guard import Guard
from littlebits_async.errors import InvalidArgumentError

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse"
HERE = "http://127.0.0.1:8000"


def make(*, password: str | None = None) -> tuple[Guard, Access]:
    access = Access(password, names=["127.0.0.1"] if password is None else None)
    return Guard(PlainTextResponse("the dashboard"), access, cookie="session", is_secure=False), access


@pytest.fixture
def anyio_backend() -> str:
    """The dashboard runs on asyncio only."""
    return "asyncio"


@asynccontextmanager
async def client(guard: Guard, address: str = "192.0.2.1") -> AsyncGenerator[httpx.AsyncClient, None]:
    transport = httpx.ASGITransport(guard, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url=HERE) as client:
        yield client


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost", "LOCALHOST"])
def test_addresses_of_this_machine_alone_are_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "fe80::1%eth0", "localhost.example", "mine"])  # noqa: S104
def test_all_others_are_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "[::1]:8000", "LocalHost:1"])
async def test_a_dashboard_of_this_machine_answers_to_this_machine_s_names(host: str) -> None:
    guard, _ = make()
    async with client(guard) as http:
        assert (await http.get("/", headers={"host": host})).text == "the dashboard"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "", "[", "127.0.0.1.x"]
)
async def test_a_name_that_was_made_to_point_here_is_refused(host: str) -> None:
    guard, _ = make()
    async with client(guard) as http:
        assert (await http.get("/", headers={"host": host})).status_code == 421
    assert await websocket(guard, host=host) is None


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9000", "", "127.0.0.1:8000"])
async def test_a_page_elsewhere_reaches_neither_requests_nor_the_websocket(origin: str) -> None:
    guard, _ = make()
    async with client(guard) as http:
        assert (await http.get("/", headers={"origin": origin})).status_code == 403
    assert await websocket(guard, origin=origin) is None


async def test_a_page_of_ours_reaches_the_websocket() -> None:
    guard, _ = make()
    assert await websocket(guard, origin=HERE) == "passed"


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://a:1", "a:1", True),
        ("https://A:1", "a:1", True),
        ("http://a:1", "a:2", False),
        ("http://a", "a.b", False),
        ("ftp://a", "a", False),
        ("a", "a", False),
    ],
)
def test_origins_are_compared_with_their_ports(origin: str, host: str, same: bool) -> None:  # noqa: FBT001 - a table
    assert same_origin(origin, host) is same


async def test_without_the_password_there_is_the_login_page_and_nothing_else() -> None:
    guard, _ = make(password=PASSWORD)
    async with client(guard) as http:
        first = await http.get("/")
        assert (first.status_code, first.headers["location"]) == (303, "/login")
        assert (await http.get("/_nicegui/anything.js")).status_code == 401
        page = await http.get("/login")
        assert page.status_code == 200
        assert 'type="password"' in page.text
        assert "<script" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
    assert await websocket(guard, origin=HERE) is None
    assert await websocket(guard, origin=HERE, cookie="session=1.2.3") is None


async def test_the_password_opens_it_for_this_browser_by_a_cookie_that_no_script_and_no_other_site_gets() -> None:
    guard, _ = make(password=PASSWORD)
    async with client(guard) as http:
        answer = await http.post("/login", data={"password": PASSWORD}, headers={"origin": HERE})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/" in cookie
        assert PASSWORD not in cookie
        assert (await http.get("/")).text == "the dashboard"
        assert await websocket(guard, origin=HERE, cookie=f"session={http.cookies['session']}") == "passed"


async def test_who_logs_out_takes_along_copies_of_the_cookie_and_open_websockets() -> None:
    guard, access = make(password=PASSWORD)
    heard: list[str] = []

    async def receive() -> Message:
        return {"type": "websocket.receive", "text": "2"}

    async def send(_: Message) -> None:
        raise AssertionError

    async with client(guard) as http:

        async def page(_: Scope, receive: Receive, __: Send) -> None:
            heard.append((await receive())["type"])
            assert (await http.get("/logout")).status_code == 303
            assert (await http.get("/")).text == "the dashboard"
            assert (await http.post("/logout")).headers["location"] == "/login"
            heard.append((await receive())["type"])

        await http.post("/login", data={"password": PASSWORD})
        copy = f"session={http.cookies['session']}"
        headers = [(b"host", b"127.0.0.1:8000"), (b"cookie", copy.encode())]
        behind = Guard(page, access, cookie="session", is_secure=False)
        await behind({"type": "websocket", "path": "/", "headers": headers}, receive, send)
        assert heard == ["websocket.receive", "websocket.disconnect"]
        assert (await http.get("/", headers={"cookie": copy})).status_code == 303
        assert await websocket(guard, origin=HERE, cookie=copy) is None


@pytest.mark.parametrize("body", ["password=wrong", "password=", "", "other=1", "password=" + "x" * 5000, "%ff=%ff"])
async def test_anything_else_does_not(body: str) -> None:
    guard, _ = make(password=PASSWORD)
    async with client(guard) as http:
        answer = await http.post("/login", content=body)
        assert answer.status_code == 401
        assert 'role="alert"' in answer.text
        assert "set-cookie" not in answer.headers


async def test_who_guesses_has_to_wait_and_others_need_not() -> None:
    guard, _ = make(password=PASSWORD)
    async with client(guard) as http:
        statuses = [(await http.post("/login", data={"password": "wrong"})).status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 401, 429]
        late = await http.post("/login", data={"password": PASSWORD})
        assert late.status_code == 429
        assert int(late.headers["retry-after"]) >= 1
    async with client(guard, "192.0.2.2") as http:
        assert (await http.post("/login", data={"password": PASSWORD})).status_code == 303


def test_waits_double_up_to_a_minute_and_are_forgotten_in_time() -> None:
    guesses, now, waits = Guesses(), 0.0, list[float]()
    for _ in range(12):
        guesses.note_wrong("192.0.2.1", now)
        waits.append(guesses.wait("192.0.2.1", now))
        now += waits[-1]
    assert waits == [0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    guesses.note_wrong("192.0.2.1", now + 1000)
    assert guesses.wait("192.0.2.1", now + 1000) == 0


def test_one_network_is_one_guesser_and_many_are_held_to_a_limit_too() -> None:
    guesses = Guesses()
    for number in range(10):
        guesses.note_wrong(f"2001:db8::{number:x}", 0)
    assert guesses.wait("2001:db8::ffff", 0) > 0
    assert guesses.wait("2001:db8:1::1", 0) == 0
    for number in range(5000):
        guesses.note_wrong(f"10.0.{number // 250}.{number % 250}", 0)
    assert 0 < guesses.wait("192.0.2.77", 0) <= 5  # who knows the password is not kept out for long
    assert guesses.wait("192.0.2.77", 5) == 0
    assert len(guesses._wrong) <= 1000  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - memory is bounded


def test_a_right_guess_wipes_the_slate() -> None:
    guesses = Guesses()
    for _ in range(4):
        guesses.note_wrong("a", 0)
    guesses.note_right("a")
    assert guesses.wait("a", 0) == 0


def test_sessions_end_in_time_and_cannot_be_made_up() -> None:
    access, other = (Access(PASSWORD, names=None) for _ in range(2))
    session = access.new_session(1000)
    assert access.is_session(session, 1000)
    assert not access.is_session(session, 1000 + SESSION_LASTS)
    assert not other.is_session(session, 1000)
    for forged in ("", session[:-1], session + "0", "\xff" * 9):
        assert not access.is_session(forged, 1000)
    assert access.is_session(session, 1000)


def test_sessions_are_so_many_at_most() -> None:
    access = Access(PASSWORD, names=None)
    sessions = [access.new_session(0) for _ in range(1001)]
    assert [access.is_session(session, 0) for session in sessions] == [False] + 1000 * [True]


def test_a_short_password_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        Access("1234567", names=None)


def test_a_password_is_compared_whole_whatever_its_letters() -> None:
    access = Access("pässwörter", names=None)
    assert access.is_password("pässwörter")
    assert not access.is_password("passworter")
    assert not access.is_password("pässwörter\x00")
    assert not Access(None, names=None).is_password("")


@pytest.mark.parametrize("header", ["", "a=b", "session", "=;;=", "session=\xff\x00", "a" * 9000])
def test_cookies_that_are_none_of_ours_are_not_found(header: str) -> None:
    assert cookie_in(header, "session") in {"", "\xff"}


async def test_no_answer_may_be_framed_or_load_from_elsewhere() -> None:
    guard, _ = make()
    async with client(guard) as http:
        policy = (await http.get("/")).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


async def websocket(
    guard: Guard, *, host: str = "127.0.0.1:8000", origin: str | None = None, cookie: str = ""
) -> str | None:
    """What a websocket comes to: ``passed``, or None where it is closed at once."""
    headers = [(b"host", host.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    if cookie:
        headers.append((b"cookie", cookie.encode("latin-1")))
    scope: Scope = {"type": "websocket", "path": "/", "headers": headers, "client": ("192.0.2.1", 1)}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def app(*_: object) -> None:
        sent.append({"type": "passed"})

    guard._app = app  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - an application that takes websockets
    await guard(scope, receive, send)
    return "passed" if sent == [{"type": "passed"}] else None
