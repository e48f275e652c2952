"""Proxies, connections and their settings; on asyncio and trio where a socket is used."""

import socket

import httpx
import pytest

from littlebits_async import InvalidArgumentError, Session
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

    monkeypatch.setattr("littlebits_async.transport._client.find_spec", nothing)
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
