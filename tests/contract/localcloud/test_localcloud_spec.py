"""The printed messages of spec/cloud-api-v2.txt and of the blog: those of clients sent, those of the cloud expected."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from littlebits_async.localcloud import Bit, LocalCloud
from tests.spec_messages import FOLDER, event_data, message, message_json

pytestmark = pytest.mark.asyncio

V2 = "cloud-api-v2"
DEVICE = "/devices/00e040000001"
# No document prints the answer to an output; this one is recorded (wire-facts 5).
DONE = {"success": True}
# How each is sent, and what comes back; a subscription that names no events is told which it got.
REQUESTS: dict[str, tuple[str, str, int, Any]] = {
    "output.request.json": ("POST", f"{DEVICE}/output", 200, DONE),
    "subscribe-callback.request.json": (
        *("POST", "/subscriptions", 201),
        message_json(f"{V2}/subscribe-callback.request.json") | {"publisher_events": ["amplitude:delta:ignite"]},
    ),
    "subscribe-events.request.json": ("POST", "/subscriptions", 201, message_json(f"{V2}/subscribe.201.json")),
    "subscribe.request.json": (
        *("POST", "/subscriptions", 201),
        message_json(f"{V2}/subscribe.201.json") | {"publisher_events": ["amplitude:delta:ignite"]},
    ),
    # Version 2 prints no answer to it; version 1 does.
    "unsubscribe.request.json": (
        *("DELETE", "/subscriptions", 200),
        message_json("cloud-http-api-v1/unsubscribe.200.json"),
    ),
    "update.request.json": ("PUT", DEVICE, 200, None),  # the device, which another test compares
}


async def send(http: httpx.AsyncClient, method: str, path: str, content: bytes) -> httpx.Response:
    return await http.request(method, path, content=content, headers={"content-type": "application/json"})


def on_their_sides(device: dict[str, Any]) -> dict[str, Any]:
    """A device of the examples, as the cloud shows it.

    The document prints all of the first device's subscriptions under `subscriptions`, even the one in which it is the
    publisher; its second device, and its text, have those under `subscribers`, and so has the cloud.
    """
    links = device["subscriptions"] + device["subscribers"]
    return {
        **device,
        "subscriptions": [link for link in links if link["subscriber_id"] == device["id"]],
        "subscribers": [link for link in links if link["publisher_id"] == device["id"]],
    }


async def set_up_devices(cloud: LocalCloud, http: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Bring about what the list of devices shows."""
    devices: list[dict[str, Any]] = message_json(f"{V2}/devices.200.json")
    for device in devices:
        settings = {name: device[name] for name in ("label", "user_id", "is_connected", "input_interval_ms")}
        await cloud.add_device(device["id"], **settings)
    for link in devices[0]["subscriptions"]:
        wanted = {**link, "publisher_events": [event["name"] for event in link["publisher_events"]]}
        assert (await http.post("/subscriptions", json=wanted)).status_code == 201
    return devices


async def test_every_request_is_sent() -> None:
    assert sorted(path.name for path in (FOLDER / V2).glob("*.request.json")) == sorted(REQUESTS)
    assert not list((FOLDER / "blog").glob("*.request.*"))


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_is_answered(cloud: LocalCloud, http: httpx.AsyncClient, bit: Bit, name: str) -> None:
    await cloud.add_device("00e040000002")
    content = message(f"{V2}/{name}")
    method, path, status, answer = REQUESTS[name]
    if method == "DELETE":
        assert (await send(http, "POST", path, content)).status_code == 201
    response = await send(http, method, path, content)
    assert response.status_code == status
    assert answer is None or response.json() == answer
    if name == "output.request.json":
        assert bit.shown == message_json(f"{V2}/{name}")["percent"]
    if path == "/subscriptions":
        assert (await http.get(path)).json() == ([] if method == "DELETE" else [answer])


async def test_an_update_changes_what_it_names(cloud: LocalCloud, http: httpx.AsyncClient) -> None:
    device, _ = await set_up_devices(cloud, http)
    content = message(f"{V2}/update.request.json")
    changed = on_their_sides(device) | message_json(f"{V2}/update.request.json")["update"]
    assert (await send(http, "PUT", DEVICE, content)).json() == changed
    assert (await http.get(DEVICE)).json() == changed


async def test_the_request_that_is_broken_is_refused(http: httpx.AsyncClient) -> None:
    response = await send(http, "POST", "/subscriptions", message(f"{V2}/subscribe-events.request.broken.txt"))
    assert (response.status_code, response.json()["message"]) == (400, "The body is not valid JSON")


async def test_the_devices(cloud: LocalCloud, http: httpx.AsyncClient) -> None:
    devices = await set_up_devices(cloud, http)
    response = await http.get("/devices")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.json() == [on_their_sides(device) for device in devices]
    assert on_their_sides(devices[1]) == devices[1]


async def test_a_device(cloud: LocalCloud, http: httpx.AsyncClient) -> None:
    await set_up_devices(cloud, http)
    response = await http.get(DEVICE)
    assert (response.status_code, response.json()) == (200, on_their_sides(message_json(f"{V2}/device.200.json")))


async def test_the_subscriptions(cloud: LocalCloud, http: httpx.AsyncClient) -> None:
    for device_id in ("00e040000001", "00e040000002"):
        await cloud.add_device(device_id)
    listed = message_json(f"{V2}/subscriptions.200.json")
    for wanted in listed:
        response = await http.post("/subscriptions", json=wanted)
        assert (response.status_code, response.json()) == (201, wanted)
    lines = message(f"{V2}/subscriptions.requests.txt").decode().splitlines()
    # The document prints one list below three requests: it fits the first, and the others name the device that follows.
    for line, expected in zip(lines, (listed, listed[:1], listed[:1]), strict=True):
        method, path = line.split()
        response = await http.request(method, cloud.url + path)
        assert (response.status_code, response.json()) == (200, expected)


async def test_the_event(cloud: LocalCloud, http: httpx.AsyncClient) -> None:
    printed = event_data("blog/input-event.sse")
    event = json.loads(printed)
    device_id = event["from"]["device"]["id"]
    bit = await cloud.add_device(device_id)
    await bit.set_input(percent=event["absolute"] / 1023 * 100)
    async with asyncio.timeout(5), http.stream("GET", f"/devices/{device_id}/input") as response:
        chunk = await anext(response.aiter_raw())
    # Its own time, no blank after the colon, and the user, all as in the records of the stream (wire-facts 6).
    time = json.loads(chunk.removeprefix(b"data:"))["timestamp"]
    expected = printed.replace(b"%d" % event["timestamp"], b"%d" % time)
    expected = expected.replace(b'"from":{', b'"from":{"user":{"id":1},')
    assert chunk == b"data:%b\n\n" % expected
