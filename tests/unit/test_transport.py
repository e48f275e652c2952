"""Proxies, connections and their settings; on asyncio and trio where a socket is used."""

import gc
import gzip
import socket
from collections.abc import AsyncGenerator, AsyncIterator

import anyio
import httpx
import pytest
from hpack import Encoder

from littlebits_async import DecodeError, InvalidArgumentError, RequestTimeoutError, RetryPolicy, Session
from littlebits_async.transport import _connections
from littlebits_async.transport._connections import environment_proxy
from tests.support.raw_server import Exchange, event_bytes, raw_server

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({}, "https://cloud.example", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://cloud.example", "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://cloud.example", None),
        ({"http_proxy": "proxy:3128"}, "http://cloud.example", "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://cloud.example", "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "cloud.example"}, "https://cloud.example", None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, "https://cloud.example", None),
    ],
)
def test_the_environment_names_the_proxy(
    environment: pytest.MonkeyPatch, variables: dict[str, str], url: str, expected: str | None
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    assert environment_proxy(httpx.URL(url)) == expected


@pytest.mark.requirement("R4.sockets")
def test_idle_connections_expire_here_before_a_server_drops_them() -> None:
    assert _connections._CALLS.keepalive_expiry == 2.0  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    options = _connections._KEEP_ALIVE  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in options


async def answer(exchange: Exchange) -> None:
    if exchange.request.target.endswith("/input"):
        await exchange.open_stream()
        await exchange.chunk(event_bytes(7, 1))
        await exchange.until_closed()
    else:
        await exchange.answer(200, [])


@pytest.mark.anyio
@pytest.mark.parametrize("from_environment", [True, False])
async def test_calls_and_streams_go_through_the_proxy(
    environment: pytest.MonkeyPatch,
    from_environment: bool,  # noqa: FBT001
) -> None:
    async with raw_server(answer) as proxy:
        if from_environment:
            environment.setenv("http_proxy", proxy.url)
        named = None if from_environment else proxy.url
        async with Session("token", base_url="http://cloud.example/prefix", proxy=named) as session:
            assert await session.devices() == []
            assert (await session.read("a")).percent == 7
    assert [request.target for request in proxy.requests] == [
        "http://cloud.example/prefix/v2/devices",
        "http://cloud.example/prefix/v2/devices/a/input",
    ]


@pytest.mark.anyio
async def test_the_environment_may_be_ignored(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("http_proxy", "http://127.0.0.1:9")
    async with raw_server(answer) as server, Session("token", base_url=server.url, trust_env=False) as session:
        assert await session.devices() == []


@pytest.mark.anyio
@pytest.mark.parametrize("http2", [True, False])
async def test_http2_is_offered_for_calls_and_harmless_where_it_is_not_spoken(http2: bool) -> None:  # noqa: FBT001
    async with raw_server(answer) as server, Session("token", base_url=server.url, http2=http2) as session:
        assert await session.devices() == []


def test_http2_without_its_extra_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_name: str) -> None:
        return None

    monkeypatch.setattr("littlebits_async.transport._checks.find_spec", nothing)
    with pytest.raises(InvalidArgumentError, match=r"littlebits-async\[http2\]"):
        Session("token", http2=True)


@pytest.mark.anyio
async def test_a_transport_of_ones_own_serves_calls_and_streams() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/input"):
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=event_bytes(9, 1))
        return httpx.Response(200, json=[])

    async with Session("token", transport=httpx.MockTransport(handle)) as session:
        assert await session.devices() == []
        assert (await session.read("a")).percent == 9


# What a session cannot be made of


UNUSABLE: list[dict[str, object]] = [
    {"auth": b"token"},
    {"auth": 5},
    {"base_url": "http://127.0.0.1:99999"},
    {"base_url": "http://127.0.0.1:0"},
    {"base_url": "http://127.0.0.1:x"},
    {"base_url": "http://[::1"},
    {"base_url": "http://xn--\xff.example"},
    {"base_url": "http://cloud.example/" + "p" * 5000},
    {"base_url": "http://cloud.example/" + "p" * 70_000},
    {"base_url": 5},
    {"base_url": b"http://cloud.example"},
    {"api_version": True},
    {"api_version": 2.0},
    {"api_version": "2"},
    {"api_version": 4},
    {"timeout": None},
    {"timeout": "5"},
    {"timeout": True},
    {"timeout": 0},
    {"timeout": float("nan")},
    {"timeout": float("inf")},
    {"timeout": 10**400},
    {"max_wait": "1"},
    {"max_wait": -1},
    {"max_wait": float("nan")},
    {"user_agent": "é"},
    {"user_agent": "a\nb"},
    {"user_agent": "a\x00b"},
    {"user_agent": " a"},
    {"user_agent": b"a"},
    {"proxy": 5},
    {"proxy": "proxy"},
    {"proxy": "ftp://proxy"},
    {"proxy": "http://user:password@proxy:99999"},
    {"proxy": "http://user:password@"},
]


@pytest.mark.parametrize("options", UNUSABLE, ids=repr)
def test_what_cannot_be_used_is_refused_at_construction(options: dict[str, object]) -> None:
    given = {"auth": "token", "base_url": "http://cloud.example", "trust_env": False, **options}
    with pytest.raises(InvalidArgumentError) as caught:
        Session(**given)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point
    assert "password" not in str(caught.value)


@pytest.mark.parametrize("from_environment", [True, False])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_without_its_package_is_refused(
    environment: pytest.MonkeyPatch,
    scheme: str,
    from_environment: bool,  # noqa: FBT001
) -> None:
    def nothing(_name: str) -> None:
        return None

    environment.setattr("littlebits_async.transport._checks.find_spec", nothing, raising=False)
    proxy = f"{scheme}://user:password@127.0.0.1:1080"
    if from_environment:
        environment.setenv("ALL_PROXY", proxy)
    with pytest.raises(InvalidArgumentError, match="socksio") as caught:
        Session("token", base_url="http://cloud.example", proxy=None if from_environment else proxy)
    assert "password" not in str(caught.value)


@pytest.mark.parametrize(
    ("direct", "url", "expected"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000", None),
        ("127.0.0.1:8000", "http://127.0.0.1:9000", "http://proxy:3128"),
        ("127.0.0.1", "http://127.0.0.1:8000", None),
        ("[::1]", "http://[::1]:8000", None),
        ("::1", "http://[::1]:8000", None),
        ("[::1]:8000", "http://[::1]:8000", None),
        ("[::1]:8000", "http://[::1]:9000", "http://proxy:3128"),
        ("cloud.example:80", "http://cloud.example", None),
        ("cloud.example:81", "http://cloud.example", "http://proxy:3128"),
        (".example", "http://cloud.example:8000", None),
    ],
)
def test_a_host_may_be_spared_the_proxy_by_its_port(
    environment: pytest.MonkeyPatch, direct: str, url: str, expected: str | None
) -> None:
    environment.setenv("HTTP_PROXY", "http://proxy:3128")
    environment.delenv("REQUEST_METHOD", raising=False)
    environment.setenv("NO_PROXY", direct)
    assert environment_proxy(httpx.URL(url)) == expected


# What logs must not tell


@pytest.mark.anyio
async def test_no_query_and_no_token_shows_in_the_logs_of_others(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with raw_server(answer) as server, Session("TOKENSECRET", base_url=server.url, trust_env=False) as session:
        await session.subscriptions(subscriber_id="https://cb.example/hook?key=SECRET")
        await session.read("a")
    assert "SECRET" in server.requests[0].target
    assert server.requests[0].headers["authorization"] == "Bearer TOKENSECRET"
    assert f"GET {server.url}/v2/subscriptions " in caplog.text
    assert "send_request_headers" in caplog.text  # httpcore speaks, too
    assert "SECRET" not in caplog.text


@pytest.mark.anyio
async def test_the_logs_of_others_stay_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def both(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=[], request=request)

    transport = httpx.MockTransport(both)
    async with Session("token", transport=transport) as session, httpx.AsyncClient(transport=transport) as client:
        await session.subscriptions(publisher_id="a")
        await client.get("http://other.example/?key=theirs")
    assert "http://other.example/?key=theirs" in caplog.text
    assert "publisher_id" not in caplog.text


@pytest.mark.anyio
async def test_http2_headers_show_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    encoder = Encoder()

    async def encode(request: httpx.Request) -> httpx.Response:
        encoder.encode(
            [(b":path", request.url.raw_path), (b"authorization", request.headers["authorization"].encode())]
        )
        return httpx.Response(200, json=[])

    async with Session("TOKENSECRET", transport=httpx.MockTransport(encode)) as session:
        await session.subscriptions(subscriber_id="https://cb.example/hook?key=SECRET")
        assert "SECRET" not in caplog.text
    encoder.encode([(b"x", b"theirs")])
    assert "theirs" in caplog.text


# Bodies


class Endless(httpx.AsyncByteStream):
    """A body that never waits, and all but never ends."""

    def __init__(self, *, generator: bool) -> None:
        self.sent = 0
        self.generator = generator

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._generate() if self.generator else self

    async def __anext__(self) -> bytes:
        self.sent += 1
        if self.sent == 100_000:
            raise StopAsyncIteration
        return event_bytes(9, 1)

    async def _generate(self) -> AsyncGenerator[bytes, None]:
        while self.sent < 100_000:
            self.sent += 1
            yield event_bytes(9, 1)


@pytest.mark.anyio
@pytest.mark.parametrize("generator", [True, False])
async def test_closing_a_body_that_never_waits_ends(generator: bool) -> None:  # noqa: FBT001
    body = Endless(generator=generator)

    def handle(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body)

    async with Session("token", transport=httpx.MockTransport(handle)) as session:
        assert (await session.read("a")).percent == 9
    gc.collect()
    assert body.sent < 10


@pytest.mark.anyio
async def test_closing_a_stream_of_which_much_has_arrived_leaves_nothing_suspended() -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.open_stream()
        data = event_bytes(9, 1)
        await exchange.send((b"%x\r\n%s\r\n" % (len(data), data)) * 1000)
        await exchange.until_closed()

    async with raw_server(handler) as server, Session("token", base_url=server.url, trust_env=False) as session:
        assert (await session.read("a")).percent == 9
        await server.until_connections(0)
        gc.collect()


# Without the time of day, which gzip's header holds.
WHOLE = gzip.compress(b'[{"id":"a"},{"id":"b"}]', mtime=0)
PARTS = gzip.compress(b'[{"id":"a"}', mtime=0) + gzip.compress(b',{"id":"b"}]', mtime=0)


@pytest.mark.anyio
@pytest.mark.parametrize("body", [WHOLE, PARTS, PARTS + b"\0" * 512], ids=["whole", "parts", "padded"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_gzip_in_whatever_pieces(body: bytes, at_once: bool) -> None:  # noqa: FBT001
    async def handler(exchange: Exchange) -> None:
        await exchange.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for at in range(0, len(body), len(body) if at_once else 1):
            await exchange.chunk(body[at : at + (len(body) if at_once else 1)])
        await exchange.end_stream()

    async with raw_server(handler) as server, Session("token", base_url=server.url, trust_env=False) as session:
        assert [device.id for device in await session.devices()] == ["a", "b"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body",
    [WHOLE[:-1], WHOLE[:-8], WHOLE[:-9], PARTS[:-8], WHOLE + b"x"],
    ids=["a byte short", "no trailer", "no end", "no trailer of the last part", "garbage behind it"],
)
async def test_gzip_that_is_cut_short_or_goes_on_is_refused(body: bytes) -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(200, body, headers={"Content-Encoding": "gzip"})

    async with raw_server(handler) as server, Session("token", base_url=server.url, trust_env=False) as session:
        with pytest.raises(DecodeError):
            await session.devices()


@pytest.mark.anyio
async def test_many_members_blow_up_to_no_more_than_one() -> None:
    bomb = gzip.compress(b" " * 10 * 2**20) * 3

    async def handler(exchange: Exchange) -> None:
        await exchange.answer(200, bomb, headers={"Content-Encoding": "gzip"})

    async with raw_server(handler) as server, Session("token", base_url=server.url, trust_env=False) as session:
        with pytest.raises(DecodeError):
            await session.devices()


@pytest.mark.anyio
async def test_an_unreachable_cloud_is_no_silent_bit() -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.until_closed()

    once = RetryPolicy(attempts=1)
    async with raw_server(handler) as server:
        async with Session("token", base_url=server.url, trust_env=False, timeout=0.2, retry=once) as session:
            with pytest.raises(RequestTimeoutError):
                await session.read("a", timeout=0.05)


@pytest.mark.anyio
async def test_the_time_of_a_read_starts_when_its_stream_is_open() -> None:
    async def handler(exchange: Exchange) -> None:
        await anyio.sleep(0.3)
        await exchange.open_stream()
        await exchange.event(5, 1)
        await exchange.until_closed()

    async with raw_server(handler) as server, Session("token", base_url=server.url, trust_env=False) as session:
        assert (await session.read("a", timeout=0.2)).percent == 5
