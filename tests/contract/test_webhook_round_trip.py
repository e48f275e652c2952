"""A webhook's way round over sockets: subscribed at the self-hosted cloud, an input, the receiver, an event."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from littlebits_async import AmplitudeEvent, InputReactor, Overflow, Session
from littlebits_async.localcloud import Bit, LocalCloud
from littlebits_async.webhooks import WebhookReceiver

pytestmark = pytest.mark.asyncio

PATIENCE = 20
SLOWEST = 24 * 60 * 60 * 1000
KEY = "kQ7vT2xLmZ9rW4nB8cHs"
EDGES = [AmplitudeEvent.IGNITE, AmplitudeEvent.RELEASE]


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncGenerator[str, None]:
    """Serve an application with uvicorn until the block is left; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", ws="none"))
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            try:
                with anyio.fail_after(PATIENCE):
                    while not server.started:  # noqa: ASYNC110 - told to nobody
                        await anyio.sleep(0.002)
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True


async def turn(bit: Bit, percent: float) -> None:
    """Turn a bit's input, and have it read at once: it is, when it comes on line."""
    await bit.set_connected(False)
    await bit.set_input(percent=percent)
    await bit.set_connected(True)


async def test_an_edge_comes_round_signed_and_with_the_key_and_nothing_is_left_behind() -> None:
    async with LocalCloud(allow_private_webhooks=True) as cloud:
        bit = await cloud.add_device("00e040000001", input_interval_ms=SLOWEST)
        secret = await cloud.webhook_secret()
        async with Session(await cloud.create_token(), base_url=cloud.url) as session:
            async with WebhookReceiver(key=KEY, secret=secret) as receiver, served(receiver) as url:
                async with receiver.subscribed(session, [bit.id], url=url, events=EDGES):
                    assert len(await session.subscriptions(publisher_id=bit.id)) == 1
                    events = aiter(receiver)
                    with anyio.fail_after(PATIENCE):
                        await turn(bit, 90)
                        ignite = await anext(events)
                        await turn(bit, 10)
                        release = await anext(events)
                assert await session.subscriptions(publisher_id=bit.id) == []
                assert receiver.stats.refused == 0
    assert (ignite.device_id, ignite.percent, ignite.delta, ignite.level) == (bit.id, 90, "ignite", "active")
    assert (release.device_id, release.percent, release.delta, release.level) == (bit.id, 10, "release", "idle")
    assert ignite.timestamp_ms <= release.timestamp_ms
    assert ignite.name == "amplitude:delta:ignite"


async def test_pushed_and_streamed_events_come_in_one_iteration() -> None:
    async with LocalCloud(allow_private_webhooks=True) as cloud:
        pushed = await cloud.add_device("00e040000001", input_interval_ms=SLOWEST)
        streamed = await cloud.add_device("00e040000002", input_interval_ms=SLOWEST)
        receiver = WebhookReceiver(key=KEY, secret=await cloud.webhook_secret())
        app = Starlette(routes=[Mount("/hooks", app=receiver)])
        async with Session(await cloud.create_token(), base_url=cloud.url) as session, receiver, served(app) as url:
            async with receiver.subscribed(session, [pushed.id], url=f"{url}/hooks", events=EDGES):
                async with InputReactor(session, [streamed.id]) as reactor:
                    reactor.attach(receiver)
                    await turn(pushed, 90)
                    with anyio.fail_after(PATIENCE):
                        found: dict[str, str | None] = {}
                        async for event in reactor:
                            found[event.device_id] = event.delta
                            if len(found) == 2:
                                break
    assert found == {pushed.id: "ignite", streamed.id: None}


async def test_what_a_full_buffer_refuses_is_sent_again() -> None:
    async with LocalCloud(allow_private_webhooks=True) as cloud:
        bit = await cloud.add_device("00e040000001", input_interval_ms=SLOWEST)
        receiver = WebhookReceiver(buffer=1, overflow=Overflow.BLOCK)
        async with (
            Session(await cloud.create_token(), base_url=cloud.url) as session,
            receiver,
            served(receiver) as url,
        ):
            async with receiver.subscribed(session, [bit.id], url=url, events=EDGES):
                await turn(bit, 90)
                await turn(bit, 10)
                with anyio.fail_after(PATIENCE):
                    while not receiver.stats.refused:  # noqa: ASYNC110 - counted, not told
                        await anyio.sleep(0.005)
                    assert (await anext(aiter(receiver))).delta == "ignite"
                    # A new subscription of the pair tries at once what waits.
                    await session.subscribe(publisher_id=bit.id, subscriber_id=url, events=EDGES)
                    assert (await anext(aiter(receiver))).delta == "release"
