"""What each version says in its own way: version 1 as spec/cloud-http-api-v1-and-webhooks.md prints it, 3 as 2."""

import asyncio
from typing import Any

import httpx
import pytest

from littlebits_async.localcloud import Bit, Light, LocalCloud
from tests.spec_messages import message, message_json

pytestmark = pytest.mark.asyncio

V1 = "cloud-http-api-v1"
DEVICE = "/devices/00e040000001"
OUTPUT = f"{DEVICE}/output"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
WEEK_MS, YEAR_MS, MOST_MS = 604_800_000, 31_536_000_000, 2**53 - 1


def refusal(response: httpx.Response, status: int) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert response.status_code == status
    assert set(body) == {"code", "error", "message"}
    assert body["code"] == status
    assert isinstance(body["message"], str)
    assert body["message"]
    return body


class TestOutput:
    @pytest.mark.parametrize(("name", "percent"), [("active", 100), ("percent", 75), ("idle", 0), ("absolute", 100)])
    async def test_the_examples_of_the_document(
        self, http1: httpx.AsyncClient, bit: Bit, name: str, percent: float
    ) -> None:
        bit.show(50, -1)
        content = message(f"{V1}/output-{name}.request.json")
        response = await http1.post(OUTPUT, content=content, headers={"content-type": JSON})
        assert (response.status_code, response.json()) == (200, message_json(f"{V1}/output.200.json"))
        assert bit.shown == percent

    @pytest.mark.parametrize(
        ("content", "content_type", "percent"),
        [
            ('{"amount":"12.5%"}', JSON, 12.5),
            ('{"amount":" 7 %"}', JSON, 7),
            ('{"amount":"0%"}', JSON, 0),
            ('{"amount":"100%"}', JSON, 100),
            ('{"amount":0}', JSON, 0),
            ('{"amount":1}', JSON, 1),
            ('{"amount":0.5}', JSON, 0.5),
            ('{"amount":100}', JSON, 100),
            ('{"amount":101}', JSON, 101 / 1023 * 100),
            ('{"amount":512}', JSON, 512 / 1023 * 100),
            ('{"amount":512.0}', JSON, 512 / 1023 * 100),
            ('{"amount":"512"}', JSON, 512 / 1023 * 100),
            ('{"amount":"33"}', JSON, 33),
            ('{"amount":"20%","percent":80}', JSON, 20),
            ("amount=75%25", FORM, 75),
            ("amount=1023&duration_ms=-1", FORM, 100),
            ("amount=idle", FORM, 0),
            ("{}", JSON, 100),
            ("", JSON, 100),
            ("", "", 100),
        ],
    )
    async def test_every_form_of_an_amount(
        self, http1: httpx.AsyncClient, bit: Bit, content: str, content_type: str, percent: float
    ) -> None:
        bit.show(50, -1)
        response = await http1.post(OUTPUT, content=content, headers={"content-type": content_type})
        assert response.status_code == 200
        assert bit.shown == percent

    @pytest.mark.parametrize(
        "content",
        [
            '{"amount":"101%"}',
            '{"amount":"-1%"}',
            '{"amount":"%"}',
            '{"amount":"nan%"}',
            '{"amount":"5%%"}',
            '{"amount":"half"}',
            '{"amount":"ACTIVE"}',
            '{"amount":""}',
            '{"amount":-1}',
            '{"amount":100.5}',
            '{"amount":"100.5"}',
            '{"amount":1024}',
            '{"amount":%s}' % ("9" * 400),
            '{"amount":null}',
            '{"amount":true}',
            '{"amount":["75%"]}',
            '{"percent":75}',
            '{"percent":0,"duration_ms":-1}',
            '{"duration_ms":-2}',
            '{"duration_ms":0.5}',
            '{"duration_ms":null}',
            '{"duration_ms":9007199254740992}',
            '{"duration_ms":1e300}',
        ],
    )
    @pytest.mark.parametrize("is_connected", [True, False])
    async def test_garbage_shows_nothing(
        self, http1: httpx.AsyncClient, bit: Bit, content: str, *, is_connected: bool
    ) -> None:
        await bit.set_connected(is_connected)
        response = await http1.post(OUTPUT, content=content, headers={"content-type": JSON})
        body = refusal(response, 400)
        assert body["error"] == "Bad Request"
        assert ("duration_ms" if content.startswith('{"duration_ms"') else '"75%"') in body["message"]
        assert bit.shown == 0

    @pytest.mark.parametrize(("version", "duration_ms"), [(1, 500), (2, 3000), (3, 3000)])
    async def test_one_that_says_nothing(
        self,
        *,
        cloud: LocalCloud,
        http: httpx.AsyncClient,
        bit: Bit,
        monkeypatch: pytest.MonkeyPatch,
        version: int,
        duration_ms: int,
    ) -> None:
        shown: list[tuple[float, int]] = []

        def show(percent: float, duration_ms: int) -> None:
            shown.append((percent, duration_ms))

        monkeypatch.setattr(bit, "show", show)
        assert (await http.post(f"{cloud.url}/v{version}{OUTPUT}")).status_code == 200
        assert shown == [(100, duration_ms)]

    @pytest.mark.parametrize("duration_ms", [32_001, WEEK_MS, YEAR_MS, MOST_MS])
    async def test_a_long_one_lasts_until_its_end(
        self, http1: httpx.AsyncClient, bit: Bit, monkeypatch: pytest.MonkeyPatch, duration_ms: int
    ) -> None:
        for path, body in ((OUTPUT, {"amount": "60%"}), (f"{DEVICE}/light", {"color": "red"})):
            response = await http1.post(path, json={**body, "duration_ms": duration_ms})
            assert response.status_code == 200
        now = vars(bit)["_clock"]()
        for passed_ms, shown, light in ((duration_ms - 10_000, 60, Light("red")), (duration_ms + 10_000, 0, None)):
            monkeypatch.setattr(bit, "_clock", lambda passed_ms=passed_ms: now + passed_ms / 1000)
            assert (bit.shown, bit.light) == (shown, light)

    @pytest.mark.parametrize("duration_ms", [WEEK_MS, YEAR_MS, MOST_MS])
    async def test_one_waits_for_the_end_of_a_long_one_and_sees_it_replaced(
        self, http1: httpx.AsyncClient, bit: Bit, duration_ms: int
    ) -> None:
        await http1.post(OUTPUT, json={"amount": "60%", "duration_ms": duration_ms})
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(bit.wait_shown(lambda percent: percent == 0))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await http1.post(OUTPUT, json={"amount": 512, "duration_ms": 50})

    async def test_later_versions_have_their_maximum(
        self, cloud: LocalCloud, http: httpx.AsyncClient, bit: Bit
    ) -> None:
        for version in (2, 3):
            for path in (OUTPUT, f"{DEVICE}/light"):
                response = await http.post(f"{cloud.url}/v{version}{path}", json={"duration_ms": 32_001})
                assert (response.status_code, response.json()["statusCode"]) == (400, 400)
        assert (bit.shown, bit.light) == (0, None)


class TestOffLine:
    async def test_version_1_does_not_find_the_bit(self, cloud: LocalCloud, http1: httpx.AsyncClient) -> None:
        bit = await cloud.add_device("000001", is_connected=False)
        for call in ("output", "light"):
            response = await http1.post(f"/devices/{bit.id}/{call}", json={"duration_ms": -1})
            assert refusal(response, 404) == message_json(f"{V1}/output.404.json")
        await bit.set_connected(True)
        assert (bit.shown, bit.light) == (0, None)

    @pytest.mark.parametrize("version", ["", "/v2", "/v3"])
    async def test_later_versions_say_yes_and_do_nothing(
        self, cloud: LocalCloud, http: httpx.AsyncClient, bit: Bit, version: str
    ) -> None:
        await bit.set_connected(False)
        for call in ("output", "light"):
            response = await http.post(f"{cloud.url}{version}{DEVICE}/{call}", json={"duration_ms": -1})
            assert (response.status_code, response.json()) == (200, {"success": True})
        await bit.set_connected(True)
        assert (bit.shown, bit.light) == (0, None)


class TestSubscriptions:
    async def test_the_examples_of_the_document(self, cloud: LocalCloud, http1: httpx.AsyncClient) -> None:
        for device_id in ("000001", "000002"):
            await cloud.add_device(device_id)
        made, told = message_json(f"{V1}/subscriptions.200.json")
        first = {"publisher_id": "000001", "subscriber_id": "000002", "publisher_events": ["amplitude"]}
        response = await http1.post("/subscriptions", json=first)
        assert (response.status_code, response.json()) == (201, message_json(f"{V1}/subscribe.201.json"))
        second = {"publisher_id": "000001", "subscriber_id": told["subscriber_id"]}
        response = await http1.post("/subscriptions", json=second)
        assert (response.status_code, response.json()) == (201, told)
        assert (await http1.get("/subscriptions")).json() == [made, told]
        assert (await http1.get("/devices/000001")).json()["subscribers"] == [made, told]
        assert (await http1.get("/devices")).json()[1]["subscriptions"] == [made]
        response = await http1.request("DELETE", "/subscriptions", json=second)
        assert (response.status_code, response.json()) == (200, message_json(f"{V1}/unsubscribe.200.json"))

    @pytest.mark.usefixtures("bit")
    @pytest.mark.parametrize(
        ("version", "said", "events"),
        [
            (1, {"events": ["amplitude"]}, ["amplitude"]),
            (1, {"events": "amplitude:delta:nap"}, ["amplitude:delta:nap"]),
            (1, {"events": "amplitude:delta:nap", "publisher_events": "amplitude"}, ["amplitude"]),
            (2, {"events": "amplitude"}, ["amplitude:delta:ignite"]),
            (3, {"events": "amplitude"}, ["amplitude:delta:ignite"]),
        ],
    )
    async def test_version_1_takes_events_by_two_names(
        self, cloud: LocalCloud, http: httpx.AsyncClient, version: int, said: dict[str, Any], events: list[str]
    ) -> None:
        pair = {"publisher_id": "00e040000001", "subscriber_id": "00e040000001"}
        url, name = f"{cloud.url}/v{version}/subscriptions", "events" if version == 1 else "publisher_events"
        response = await http.post(url, json={**pair, **said})
        assert (response.status_code, response.json()) == (201, {**pair, name: events})

    @pytest.mark.usefixtures("bit")
    @pytest.mark.parametrize("events", [[], None, "", "connected", {"name": "amplitude"}])
    async def test_garbage_is_not_kept(self, http1: httpx.AsyncClient, events: Any) -> None:
        body = {"publisher_id": "00e040000001", "subscriber_id": "00e040000001", "events": events}
        assert "events" in refusal(await http1.post("/subscriptions", json=body), 400)["message"]
        assert (await http1.get("/subscriptions")).json() == []

    @pytest.mark.usefixtures("bit")
    async def test_one_subscription_in_every_version(self, cloud: LocalCloud, http: httpx.AsyncClient) -> None:
        pair = {"publisher_id": "00e040000001", "subscriber_id": "00e040000001"}
        await http.post("/subscriptions", json={**pair, "publisher_events": "amplitude"})
        for version, name, event in (
            ("/v1", "events", "amplitude"),
            ("/v2", "publisher_events", {"name": "amplitude"}),
            ("/v3", "publisher_events", {"name": "amplitude"}),
            ("", "publisher_events", {"name": "amplitude"}),
        ):
            listed = await http.get(f"{cloud.url}{version}/subscriptions")
            assert listed.json() == [{**pair, name: ["amplitude"]}]
            device = (await http.get(f"{cloud.url}{version}{DEVICE}")).json()
            assert device["subscribers"] == device["subscriptions"] == [{**pair, name: [event]}]


class TestErrors:
    @pytest.mark.usefixtures("bit")
    @pytest.mark.parametrize(
        ("method", "path", "options", "status"),
        [
            ("POST", OUTPUT, {"content": "{"}, 400),
            ("POST", "/devices/%FF/output", {}, 400),
            ("GET", "/devices", {"headers": {"Authorization": "no"}}, 401),
            ("GET", "/devices/theirs", {}, 403),
            ("GET", "/devices/none", {}, 404),
            ("GET", "/nowhere", {}, 404),
            ("DELETE", "/devices", {}, 405),
            ("GET", "/devices", {"headers": {"Accept": "text/html"}}, 406),
            ("POST", OUTPUT, {"content": b" " * 70_000}, 413),
        ],
    )
    @pytest.mark.parametrize(("version", "field"), [("v1", "code"), ("v2", "statusCode"), ("v3", "statusCode")])
    async def test_the_envelope_is_that_of_the_version(
        self,
        *,
        cloud: LocalCloud,
        http: httpx.AsyncClient,
        version: str,
        field: str,
        method: str,
        path: str,
        options: dict[str, Any],
        status: int,
    ) -> None:
        await cloud.add_device("theirs", user_id=2)
        accept = f"application/vnd.littlebits.{version}+json"
        requests = [(f"/{version}{path}", options)]
        if status != 406:
            requests.append((path, {**options, "headers": {"Accept": accept, **options.get("headers", {})}}))
        for way, said in requests:
            response = await http.request(method, f"{cloud.url}{way}", **said)
            body = response.json()
            assert set(body) == {field, "error", "message"}
            assert response.status_code == body[field] == status
            assert body["message"]

    async def test_the_403_of_the_document(self, cloud: LocalCloud, http1: httpx.AsyncClient) -> None:
        await cloud.add_device("000001", user_id=2)
        assert refusal(await http1.post("/devices/000001/output"), 403) == message_json(f"{V1}/output.403.json")

    async def test_the_limit_is_one_for_all_versions(self) -> None:
        async with LocalCloud(limit=2) as cloud:
            headers = {"Authorization": await cloud.create_token()}
            async with httpx.AsyncClient(base_url=cloud.url, headers=headers, trust_env=False) as http:
                for version in (2, 3):
                    assert (await http.get(f"/v{version}/devices")).status_code == 200
                assert refusal(await http.get("/v1/devices"), 429)["error"] == "rate_limit_exceeded"

    async def test_a_mistake_of_ours(
        self, cloud: LocalCloud, http1: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(vars(cloud)["_registry"], "of_user", None)
        refusal(await http1.get("/devices"), 500)

    @pytest.mark.parametrize(("path", "accept", "status"), [("/v1", "2", 400), ("/v2", "1", 400), ("/v4", "4", 404)])
    async def test_a_version_in_doubt_is_refused_in_the_newest(
        self, cloud: LocalCloud, http: httpx.AsyncClient, path: str, accept: str, status: int
    ) -> None:
        headers = {"Accept": f"application/vnd.littlebits.v{accept}+json"}
        response = await http.get(f"{cloud.url}{path}/devices", headers=headers)
        assert response.status_code == response.json()["statusCode"] == status
