"""Webhooks go to addresses of the internet, whatever the name, and however the address is written."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import Any

import anyio
import httpcore
import pytest

from littlebits_async.localcloud.webhooks import Poster
from littlebits_async.localcloud.webhooks._targets import CheckedBackend, is_private_host, is_public

PUBLIC = ("93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8")
PRIVATE = (
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104 - nothing is bound
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2001:0:a00:1::1",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "2001:db8::1",
    "no address",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(address)
    assert not is_private_host(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_of_nobody_elses_business(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *PRIVATE[:-1],
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "127.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
    ],
)
def test_hosts_that_need_no_looking_up_are_refused_at_once(host: str) -> None:
    assert is_private_host(host)
    url = f"http://user:pass@[{host}]:8080/" if ":" in host else f"http://user:pass@{host}:8080/"
    assert not Poster().may_call(url)
    assert Poster(allow_private=True).may_call(url)


@pytest.mark.parametrize("host", ["example.com", "localhost.example.com", "notlocalhost", "foo", "dead.beef"])
def test_names_are_looked_at_when_they_are_called(host: str) -> None:
    assert Poster().may_call(f"https://{host}/x")


class FakeBackend(httpcore.AsyncNetworkBackend):
    """Takes note of what it is to connect to; some addresses do not answer."""

    def __init__(self, *deaf: str) -> None:
        self.deaf = deaf
        self.asked: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own word
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.asked.append(host)
        if host in self.deaf:
            raise httpcore.ConnectTimeout
        return httpcore.AsyncMockStream([])


def resolve_as(monkeypatch: pytest.MonkeyPatch, *answers: Sequence[str]) -> None:
    """Let each look-up of a name have another answer, and the last one ever after."""
    left = list(answers)

    def getaddrinfo(_host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.asyncio
async def test_the_address_that_was_checked_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_as(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    inner = FakeBackend()
    await CheckedBackend(inner).connect_tcp("rebinding.test", 80)
    assert inner.asked == ["8.8.8.8"]
    with pytest.raises(httpcore.ConnectError, match="not on the internet"):
        await CheckedBackend(inner).connect_tcp("rebinding.test", 80)
    assert inner.asked == ["8.8.8.8"]


@pytest.mark.asyncio
async def test_of_mixed_addresses_only_the_public_ones_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_as(monkeypatch, ["10.0.0.1", "2606:4700::1111", "::1", "8.8.8.8"])
    inner = FakeBackend("2606:4700::1111")
    await CheckedBackend(inner).connect_tcp("mixed.test", 80)
    assert inner.asked == ["2606:4700::1111", "8.8.8.8"]
    with pytest.raises(httpcore.ConnectTimeout):
        await CheckedBackend(FakeBackend("2606:4700::1111", "8.8.8.8")).connect_tcp("mixed.test", 80)


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "::1", "localhost", "2130706433", "no.such.invalid", "\ud800"])
async def test_hosts_are_refused_as_they_resolve(host: str) -> None:
    inner = FakeBackend()
    with pytest.raises(httpcore.ConnectError):
        await CheckedBackend(inner).connect_tcp(host, 80)
    assert inner.asked == []


@pytest.mark.asyncio
async def test_no_url_leads_to_a_socket_of_this_machine() -> None:
    with pytest.raises(httpcore.ConnectError):
        await CheckedBackend(FakeBackend()).connect_unix_socket("/run/x")


# Names whose servers do not answer

MANY = 100
"""More look-ups than asyncio or anyio have threads for."""


@pytest.mark.asyncio
async def test_names_that_take_long_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        if host != "quick.test":
            answered.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    inner = FakeBackend()
    backend = CheckedBackend(inner)
    try:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for number in range(MANY):
                    tasks.start_soon(backend.connect_tcp, f"slow{number}.test", 80)
                await anyio.wait_all_tasks_blocked()
                await backend.connect_tcp("quick.test", 80)
                assert inner.asked == ["8.8.8.8"]
                tasks.cancel_scope.cancel()
    finally:
        answered.set()


@pytest.mark.parametrize("allow_private", [False, True])
def test_a_name_that_takes_long_does_not_hold_up_the_end_of_the_program(*, allow_private: bool) -> None:
    program = f"""
import asyncio, socket, threading
from littlebits_async.localcloud.webhooks import DeliveryError, Poster
from littlebits_async.signatures import new_secret

socket.getaddrinfo = lambda *_, **__: threading.Event().wait()

async def main() -> None:
    async with Poster(allow_private={allow_private}, answer_within=0.1) as poster:
        try:
            await poster.post("http://slow.test/", b"{{}}", secret=new_secret(), message_id="1", timestamp=1)
        except DeliveryError as error:
            print(error, flush=True)

asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=20, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "no answer in 0.1 s\n", "")
