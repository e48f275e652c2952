"""`littlebits serve`, as people and scripts run it."""

import asyncio
import json
import re
import signal
import socket
import sqlite3
import ssl
from pathlib import Path

import httpx
import pytest

from littlebits_async import FOREVER, InputReactor, Session, TransportError
from littlebits_async.cli._open_files import allow_many_open_files
from littlebits_async.localcloud import LocalCloud
from tests.support.certificate import Certificate, make_certificate
from tests.support.command import Command, command, run
from tests.support.raw_server import Exchange, raw_server

pytestmark = pytest.mark.asyncio


async def where(serve: Command) -> tuple[str, str]:
    """Take the two lines that a client needs."""
    url = await serve.until(r"url (https?://127\.0\.0\.1:\d+)$")
    token = await serve.until(r"token ([0-9a-f]{64})$")
    return url[1], token[1]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
async def test_it_prints_where_it_is_and_answers_there(sent: signal.Signals) -> None:
    async with command("serve", "--simulate", "3") as serve:
        url, token = await where(serve)
        devices = [(await serve.until(r"device (\w+) (.+)$")).groups() for _ in range(3)]
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
            listed = (await client.get("/v2/devices")).raise_for_status().json()
        assert [(item["id"], item["label"]) for item in listed] == devices
        done = await serve.result(sent)
    assert (done.code, done.output, done.errors) == (0, "", "")


async def test_it_ends_with_streams_open() -> None:
    async with command("serve", "--simulate", "20") as serve:
        url, token = await where(serve)
        async with Session(token, base_url=url) as session, InputReactor(session, await session.devices()) as reactor:
            heard: set[str] = set()
            async for event in reactor:
                heard.add(event.device_id)
                if len(heard) == 20:
                    break
            done = await serve.result(signal.SIGTERM)
    assert (done.code, done.errors) == (0, "")


async def test_json_is_one_object_a_line() -> None:
    async with command("serve", "--simulate", "1", "--json") as serve:
        url, token, device = [json.loads(await serve.line()) for _ in range(3)]
        await serve.result(signal.SIGTERM)
    assert url["url"].startswith("http://")
    assert len(token["token"]) == 64
    assert device == {"device": {"id": "00e040000001", "label": "sine 1"}}


async def test_the_limit_is_the_tokens_hour() -> None:
    async with command("serve", "--simulate", "0", LITTLEBITS_SERVE_LIMIT="2") as serve:
        url, token = await where(serve)
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
            answers = [(await client.get("/v2/devices")).status_code for _ in range(3)]
        await serve.result(signal.SIGTERM)
    assert answers == [200, 200, 429]


async def test_a_port_that_is_taken_is_told_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = await run("serve", "--port", str(taken.getsockname()[1]))
    assert (done.code, done.output) == (3, "")
    assert done.errors.startswith("littlebits: cannot listen: Address already in use")
    assert done.errors.count("\n") == 1


async def test_all_addresses_are_named_by_one_that_can_be_called() -> None:
    async with command("serve", "--host", "0.0.0.0") as serve:  # noqa: S104 - as tested
        await where(serve)
        done = await serve.result(signal.SIGTERM)
    assert done.code == 0
    assert re.fullmatch(r'time=\S+Z level=warning \S+ message="serving beyond .* without TLS: .*"\n', done.errors)


async def test_a_signal_while_it_starts_ends_it_too() -> None:
    async with command("serve", "--simulate", "500") as serve:
        await serve.line()
        done = await serve.result(signal.SIGINT)  # while it prints, most likely
    assert (done.code, done.errors) == (0, "")


async def test_an_address_that_is_nobodys_is_told_in_a_line() -> None:
    done = await run("serve", "--host", "nosuch.invalid")
    assert done.code == 3
    assert done.errors.startswith("littlebits: cannot listen: ")
    assert done.errors.count("\n") == 1


async def test_it_ends_with_a_thousand_streams_open() -> None:
    allow_many_open_files()
    ends: list[asyncio.Task[bytes]] = []
    async with command("serve", "--simulate", "50", "--limit", "5000") as serve:
        url, token = await where(serve)
        host, port = url.removeprefix("http://").split(":")
        writers: list[asyncio.StreamWriter] = []
        for number in range(1000):
            reader, writer = await asyncio.open_connection(host, int(port))
            writers.append(writer)
            path = f"/v2/devices/00e04{number % 50 + 1:07x}/input"
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            assert (await reader.readuntil(b"data:")).startswith(b"HTTP/1.1 200 OK")
            ends.append(asyncio.create_task(reader.read()))
        assert not any(end.done() for end in ends)
        done = await serve.result(signal.SIGTERM)
    assert (done.code, done.errors) == (0, "")
    assert all(end.endswith(b"\r\n0\r\n\r\n") for end in await asyncio.gather(*ends))  # each answer came to its end
    for writer in writers:
        writer.close()
        await writer.wait_closed()


async def test_what_a_database_keeps_is_there_again(tmp_path: Path) -> None:
    db = str(tmp_path / "cloud.db")
    async with command("serve", "--db", db, "--simulate", "2") as serve:
        url, token = await where(serve)
        async with Session(token, base_url=url) as session:
            await session.update_device("00e040000001", label="lamp")
            await session.output("00e040000002", 42, duration_ms=FOREVER)
        assert (await serve.result(signal.SIGTERM)).code == 0
    async with command("serve", "--db", db, "--simulate", "3") as serve:
        found = await serve.until(r"url (\S+)$")
        devices = [await serve.line() for _ in range(3)]
        async with Session(token, base_url=found[1]) as session:
            listed = await session.devices()
            assert (await session.read("00e040000001")).device_id == "00e040000001"
        done = await serve.result(signal.SIGTERM)
    assert devices == ["device 00e040000001 lamp", "device 00e040000002 ramp 2", "device 00e040000003 noise 3"]
    assert [device.is_connected for device in listed] == [True] * 3
    assert (done.code, done.output) == (0, "")
    assert done.errors == f"littlebits: the database has tokens; `littlebits tokens create --db {db}` makes another\n"


async def test_a_webhook_on_its_way_when_it_ends_is_sent_again(tmp_path: Path) -> None:
    arrived: list[str] = []
    came = asyncio.Event()

    async def hook(exchange: Exchange) -> None:
        arrived.append(exchange.request.headers["webhook-id"])
        came.set()
        await exchange.until_closed()  # never answers

    options = ("--db", str(tmp_path / "cloud.db"), "--simulate", "1", "--allow-private-webhooks")
    async with raw_server(hook) as server:
        async with command("serve", *options) as serve:
            url, token = await where(serve)
            async with Session(token, base_url=url) as session:
                await session.subscribe(publisher_id="00e040000001", subscriber_id=server.url, events="amplitude")
            await came.wait()
            done = await serve.result(signal.SIGTERM)
        assert (done.code, done.errors) == (0, "")
        came.clear()
        async with command("serve", *options) as serve:
            await serve.until("url ")
            await came.wait()
            assert (await serve.result(signal.SIGTERM)).code == 0
    assert arrived[0] == arrived[1]


async def test_a_device_that_was_given_back_is_not_named(tmp_path: Path) -> None:
    db = str(tmp_path / "cloud.db")
    async with command("serve", "--db", db, "--simulate", "2") as serve:
        url, token = await where(serve)
        async with Session(token, base_url=url) as session:
            await session.deactivate("00e040000001")
        await serve.result(signal.SIGTERM)
    async with command("serve", "--db", db, "--simulate", "2") as serve:
        await serve.until(r"url (\S+)$")
        assert await serve.line() == "device 00e040000002 ramp 2"
        assert (await serve.result(signal.SIGTERM)).output == ""


async def test_what_counts_as_active_can_be_chosen() -> None:
    async with command("serve", "--simulate", "0", "--active-from", "60") as serve:
        await where(serve)
        assert (await serve.result(signal.SIGTERM)).code == 0
    async with command("serve", "--active-from", "60", "--idle-to", "61") as serve:
        done = await serve.result()
    assert (done.code, done.errors) == (2, "littlebits: serve: --idle-to must not be more than --active-from\n")


async def test_a_database_that_is_of_no_use_is_told_in_a_line(tmp_path: Path) -> None:
    db = tmp_path / "newer"
    async with LocalCloud(db):
        pass
    connection = sqlite3.connect(db)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    done = await run("serve", "--db", str(db))
    assert (done.code, done.output) == (2, "")
    assert done.errors.startswith(f"littlebits: {db}: its schema is version 99, ")
    assert done.errors.count("\n") == 1


async def test_a_database_that_another_cloud_serves_is_told_in_a_line(tmp_path: Path) -> None:
    db = tmp_path / "cloud.db"
    async with LocalCloud(db):
        done = await run("serve", "--db", str(db))
    assert (done.code, done.output) == (2, "")
    assert done.errors == f"littlebits: {db}: another cloud serves this database\n"


async def test_the_log_has_a_line_for_each_request_and_no_secret() -> None:
    async with command("serve", "--simulate", "1", "--log-level", "info") as serve:
        url, token = await where(serve)
        async with httpx.AsyncClient(base_url=url) as client:
            await client.get("/v1/devices", params={"access_token": token})
            await client.get("/v2/devices", headers={"Authorization": "Bearer wrong-secret"})
            await client.get(f"/v2/{token}")
            hook = {"publisher_id": "00e040000001", "subscriber_id": "https://x.test/hidden?key=hidden"}
            await client.post("/v2/subscriptions", json=hook, headers={"Authorization": token})
            async with client.stream("GET", f"/devices/00e040000001/input?access_token={token}") as stream:
                assert await anext(aiter(stream.aiter_lines()))
        done = await serve.result(signal.SIGTERM)
    assert done.code == 0
    assert not any(word in done.errors for word in (token, "wrong-secret", "access_token", "hidden"))
    first, *requests, last = [line.split(" ", 1)[1] for line in done.errors.splitlines()]
    assert first == f'level=info logger=littlebits_async.localcloud.cloud message="serving at {url}"'
    assert last == 'level=info logger=littlebits_async.localcloud.cloud message="stopped"'
    assert [re.sub(r"ms=\d+\.\d ", "", line) for line in requests] == [
        "level=info method=GET path=/v1/devices version=1 status=200 user=1",
        "level=info method=GET path=/v2/devices version=2 status=401 user=-",
        "level=info method=GET path=/v2/[token] version=2 status=404 user=-",
        "level=info method=POST path=/v2/subscriptions version=2 status=201 user=1",
        "level=info method=GET path=/devices/00e040000001/input version=3 status=200 user=1",
    ]


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


async def test_it_serves_https_with_a_certificate(certificate: Certificate) -> None:
    for options in (
        ("--tls-cert", str(certificate.certificate), "--tls-key", str(certificate.key)),
        ("--tls-cert", str(certificate.both)),
    ):
        async with command("serve", "--host", "0.0.0.0", *options) as serve:  # noqa: S104 - with TLS that is no warning
            url, token = await where(serve)
            assert url.startswith("https://")
            async with Session(token, base_url=url, ssl_context=certificate.trusted) as session:
                devices = await session.devices()
                async with InputReactor(session, devices) as reactor:
                    heard: set[str] = set()
                    async for event in reactor:
                        heard.add(event.device_id)
                        if len(heard) == len(devices):
                            break
                    done = await serve.result(signal.SIGTERM)
        assert (done.code, done.errors) == (0, "")


async def test_who_does_not_trust_the_certificate_says_nothing(certificate: Certificate) -> None:
    async with command("serve", "--tls-cert", str(certificate.both)) as serve:
        url, token = await where(serve)
        async with Session(token, base_url=url, ssl_context=ssl.create_default_context()) as session:
            with pytest.raises(TransportError):
                await session.devices()
        async with Session(token, base_url=url.replace("https", "http")) as session:
            with pytest.raises(TransportError):
                await session.devices()
        assert (await serve.result(signal.SIGTERM)).errors == ""


async def test_a_handshake_that_never_ends_holds_nothing_up(certificate: Certificate) -> None:
    async with command("serve", "--tls-cert", str(certificate.both)) as serve:
        url, _ = await where(serve)
        host, port = url.removeprefix("https://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with httpx.AsyncClient(base_url=url, verify=certificate.trusted) as client:
            assert (await client.get("/health")).status_code == 200  # so that ours is accepted as well
        done = await serve.result(signal.SIGTERM)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert (done.code, done.errors) == (0, "")
