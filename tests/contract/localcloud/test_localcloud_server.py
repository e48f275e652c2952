"""The socket's side of the cloud: TLS, slow senders, the log of requests."""

import asyncio
import contextlib
import logging
import ssl
from pathlib import Path

import httpx
import pytest

from littlebits_async.cli._tls import tls_context
from littlebits_async.localcloud import LocalCloud
from littlebits_async.localcloud.access import Answered
from tests.support.certificate import make_certificate

pytestmark = pytest.mark.asyncio


def address(cloud: LocalCloud) -> tuple[str, int]:
    host, port = cloud.url.partition("://")[2].split(":")
    return host, int(port)


@pytest.mark.parametrize(
    ("pieces", "answers"),
    [
        ([], 0),
        ([b"GET /ping HTTP/1.1\r\n", b"Host: x\r\n", b"X: 1\r\n"], 0),
        ([b"POST /devices/a/output HTTP/1.1\r\nHost: x\r\nAuthorization: TOKEN\r\nContent-Length: 9\r\n\r\n", b"{"], 0),
        ([b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /ping"], 1),
    ],
    ids=["nothing", "head", "body", "second"],
)
async def test_who_sends_slowly_is_cut_off(pieces: list[bytes], answers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.server._REQUEST_WITHIN", 0.3)
    async with LocalCloud() as cloud:
        await cloud.add_device("a")
        token = await cloud.create_token()
        reader, writer = await asyncio.open_connection(*address(cloud))
        async with asyncio.timeout(10):
            for piece in pieces:
                writer.write(piece.replace(b"TOKEN", token.encode()))
                await asyncio.sleep(0.02)
            rest = b""
            with contextlib.suppress(ConnectionResetError):
                while chunk := await reader.read(1000):
                    rest += chunk
        assert rest.count(b"HTTP/1.1") == answers
        writer.close()


async def test_who_waits_for_an_answer_or_reads_a_stream_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.server._REQUEST_WITHIN", 0.1)
    async with LocalCloud() as cloud, httpx.AsyncClient(base_url=cloud.url, trust_env=False) as client:
        await cloud.add_device("a", input_interval_ms=200)
        client.headers["Authorization"] = await cloud.create_token()
        connections: set[object] = set()
        for _ in range(3):
            answer = await client.get("/devices")
            connections.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
            await asyncio.sleep(0.15)  # idle between two requests: that is uvicorn's business
        assert len(connections) == 1
        async with client.stream("GET", "/devices/a/input") as stream:
            lines = stream.aiter_lines()
            for _ in range(6):
                await anext(lines)


async def test_it_speaks_https_with_a_context(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    context = tls_context(certificate.both, None)
    async with LocalCloud(ssl_context=context) as cloud:
        assert cloud.url.startswith("https://127.0.0.1:")
        await cloud.add_device("a")
        headers = {"Authorization": await cloud.create_token()}
        async with httpx.AsyncClient(base_url=cloud.url, verify=certificate.trusted, headers=headers) as client:
            assert (await client.get("/devices")).status_code == 200
            async with client.stream("GET", "/devices/a/input") as stream:
                lines = stream.aiter_lines()
                assert (await anext(lines)).startswith("data:")
                assert await cloud.close_streams(abort=True) == 1
                with pytest.raises(httpx.TransportError):
                    async for _ in lines:
                        pass


async def test_a_handshake_that_never_ends_ends_with_the_cloud(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    async with LocalCloud(ssl_context=tls_context(certificate.both, None)) as cloud:
        reader, writer = await asyncio.open_connection(*address(cloud))
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        _, second = await asyncio.open_connection(*address(cloud), ssl=context)  # accepted after ours
        second.close()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_each_answer_is_a_record(cloud: LocalCloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "littlebits_async.localcloud.access")
    token = await cloud.create_token(["read"], user_id=7)
    bit = await cloud.add_device("bit ü", user_id=7)
    async with httpx.AsyncClient(base_url=cloud.url, trust_env=False, headers={"Authorization": token}) as client:
        await client.get("/health")
        await client.get("/v1/devices", params={"access_token": "other"})
        await client.post("/v2/devices/bit ü/output")
        await client.options("/devices")
        async with client.stream("GET", "/v2/devices/bit ü/input"):
            assert len(caplog.records) == 4  # a stream's comes at its end
            await bit.close_streams()
    reader, writer = await asyncio.open_connection(*address(cloud))
    writer.write(f"GET http://user:pass@x/{token} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    await reader.read()
    writer.close()
    messages: list[object] = [record.msg for record in caplog.records]
    found = [item for item in messages if isinstance(item, Answered)]
    assert len(found) == len(messages)
    assert [(item.method, item.path, item.version, item.status, item.user_id) for item in found] == [
        ("GET", "/health", None, 200, None),
        ("GET", "/v1/devices", 1, 200, 7),
        ("POST", "/v2/devices/bit%20%C3%BC/output", 2, 403, 7),
        ("OPTIONS", "/devices", None, 204, None),
        ("GET", "/v2/devices/bit%20%C3%BC/input", 2, 200, 7),
        ("GET", None, 3, 404, None),
    ]
    assert all(item.ms > 0 for item in found)


async def test_a_cloud_beyond_this_machine_without_tls_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with LocalCloud(host="localhost"), LocalCloud(host="127.0.0.2"):
        assert caplog.messages == []
    context = tls_context(make_certificate(tmp_path).both, None)
    async with LocalCloud(host="0.0.0.0", ssl_context=context):  # noqa: S104 - as tested
        assert caplog.messages == []
    async with LocalCloud(host="0.0.0.0"):  # noqa: S104 - as tested
        assert [text.partition(",")[0] for text in caplog.messages] == ["serving beyond this machine"]
