"""Older forms that clients were written for, which are in no document of version 2 (wire-facts 3, 5 and 12)."""

import asyncio

import httpx
import pytest

from littlebits_async.localcloud import Bit, LocalCloud

pytestmark = pytest.mark.asyncio

URL = "http://some.callback.com/?params=stuff"


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_a_lone_amount_means_the_same_in_every_version(
    cloud: LocalCloud, token: str, bit: Bit, version: int
) -> None:
    headers = {"Authorization": token}
    async with httpx.AsyncClient(base_url=f"{cloud.url}/v{version}", headers=headers, trust_env=False) as http:
        for amount, shown in (("75%", 75), ("active", 100), ("idle", 0), (1023, 100), (40, 40)):
            response = await http.post(f"/devices/{bit.id}/output", json={"amount": amount, "duration_ms": -1})
            assert (response.status_code, bit.shown) == (200, shown)
        assert (await http.post(f"/devices/{bit.id}/output", json={"amount": "full"})).status_code == 400


async def test_percent_goes_before_amount_where_both_are_there(http: httpx.AsyncClient, bit: Bit) -> None:
    await http.post(f"/devices/{bit.id}/output", json={"amount": "75%", "percent": 20, "duration_ms": -1})
    assert bit.shown == 20


@pytest.mark.parametrize("root", ["/devices", "/cloudbits"])
async def test_subscriptions_stand_below_the_device_that_publishes(
    http: httpx.AsyncClient, bit: Bit, root: str
) -> None:
    path = f"{root}/{bit.id}/subscriptions"
    made = {"publisher_id": bit.id, "subscriber_id": URL, "publisher_events": ["amplitude"]}
    answer = await http.post(
        path, json={"subscriber_id": URL, "publisher_events": "amplitude", "subscriber_type": "http"}
    )
    assert (answer.status_code, answer.json()) == (201, made)
    assert (await http.get(path)).json() == [made]
    assert (await http.get("/subscriptions")).json() == [made]
    assert (await http.get(path, params={"subscriber_id": "http://other.test/"})).json() == []
    answer = await http.request("DELETE", path, json={"subscriber_id": URL})
    assert (answer.status_code, answer.json()) == (200, [1, 1, 1])
    assert (await http.get(path)).json() == []


async def test_a_publisher_that_is_not_the_device_of_the_path_is_refused(http: httpx.AsyncClient, bit: Bit) -> None:
    answer = await http.post(
        f"/devices/{bit.id}/subscriptions", json={"publisher_id": "00e040000002", "subscriber_id": URL}
    )
    assert answer.status_code == 400
    assert (await http.get("/subscriptions")).json() == []


async def test_subscriptions_below_somebody_elses_device_are_forbidden(
    cloud: LocalCloud, http: httpx.AsyncClient
) -> None:
    await cloud.add_device("theirs", user_id=2)
    assert (await http.get("/devices/theirs/subscriptions")).status_code == 403
    assert (await http.get("/devices/nobodys/subscriptions")).status_code == 404


async def test_subscriptions_stand_below_all_devices_as_well(http: httpx.AsyncClient, bit: Bit) -> None:
    answer = await http.post("/devices/subscriptions", json={"publisher_id": bit.id, "subscriber_id": URL})
    assert answer.status_code == 201
    assert len((await http.get("/devices/subscriptions")).json()) == 1


@pytest.mark.parametrize("root", ["/devices", "/cloudbits"])
async def test_a_device_is_activated_in_the_old_way(http: httpx.AsyncClient, root: str) -> None:
    assert (await http.post(f"{root}/00e040000007/activate")).status_code == 201
    assert (await http.get(f"{root}/00e040000007")).json()["label"] == "cloudbit"
    assert (await http.request("DELETE", f"{root}/00e040000007/activate")).status_code == 200
    assert (await http.get(f"{root}/00e040000007")).status_code == 404


async def test_an_input_may_be_asked_for_by_post(http: httpx.AsyncClient, bit: Bit) -> None:
    async with http.stream("POST", f"/devices/{bit.id}/input", content=b"{}") as response, asyncio.timeout(5):
        assert response.headers["content-type"].startswith("text/event-stream")
        assert (await anext(response.aiter_raw())).startswith(b"data:")


async def test_options_tell_what_there_is_without_a_token(cloud: LocalCloud) -> None:
    async with httpx.AsyncClient(base_url=cloud.url, trust_env=False) as http:
        routes = {(route["method"], route["path"]): route for route in (await http.get("/v2/options")).json()}
    assert set(routes) == {
        ("GET", "/ping"),
        ("GET", "/devices"),
        ("GET", "/devices/{device_id}"),
        ("POST", "/devices/{device_id}"),
        ("PUT", "/devices/{device_id}"),
        ("DELETE", "/devices/{device_id}"),
        ("POST", "/devices/{device_id}/light"),
        ("POST", "/devices/{device_id}/output"),
        ("GET", "/devices/{device_id}/input"),
        ("GET", "/subscriptions"),
        ("POST", "/subscriptions"),
        ("DELETE", "/subscriptions"),
    }
    assert routes["GET", "/ping"]["auth"] is False
    output = routes["POST", "/devices/{device_id}/output"]
    assert (output["auth"], output["version"], output["responseParams"]) == (["bearer"], "2", None)
    assert output["payloadParams"]["children"] == [
        {"name": name, "type": "number", "required": None, "allowedValues": None, "disallowedValues": None}
        for name in ("percent", "duration_ms")
    ]
