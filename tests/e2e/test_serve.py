"""`littlebits serve`, as people and scripts run it."""

import json
import signal
import socket
import time

import httpx
import pytest

from littlebits_async import InputReactor, Session
from tests.support.command import Command, command, run

pytestmark = pytest.mark.asyncio


async def where(serve: Command) -> tuple[str, str]:
    """Take the two lines that a client needs."""
    url = await serve.until(r"url (http://127\.0\.0\.1:\d+)$")
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


async def test_it_ends_soon_with_streams_open() -> None:
    async with command("serve", "--simulate", "20") as serve:
        url, token = await where(serve)
        async with Session(token, base_url=url) as session, InputReactor(session, await session.devices()) as reactor:
            heard: set[str] = set()
            async for event in reactor:
                heard.add(event.device_id)
                if len(heard) == 20:
                    break
            began = time.monotonic()
            done = await serve.result(signal.SIGTERM)
            assert time.monotonic() - began < 2
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
        assert (await serve.result(signal.SIGTERM)).code == 0


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
