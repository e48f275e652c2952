"""Each call as spec/cloud-api-v2.txt and wire-facts describe it, over a socket, with nothing of the client."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from littlebits_async.localcloud import Bit, Light, LocalCloud

pytestmark = pytest.mark.asyncio

DEVICE = "/devices/00e040000001"
FORM = "application/x-www-form-urlencoded"


def refusal(response: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert set(body) == {"statusCode", "error", "message"}
    assert body["statusCode"] == response.status_code
    assert body["message"]
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["access-control-allow-origin"] == "*"
    return body


class TestDevices:
    async def test_a_new_device_has_the_documented_defaults(self, cloud: LocalCloud, http: httpx.AsyncClient) -> None:
        await cloud.add_device("00e040000009")
        device = (await http.get("/devices/00e040000009")).json()
        assert (device["label"], device["input_interval_ms"], device["is_connected"]) == ("cloudbit", 250, True)

    @pytest.mark.usefixtures("bit")
    @pytest.mark.parametrize("path", [DEVICE, f"{DEVICE}/", f"{DEVICE}?", f"{DEVICE}//"])
    async def test_one_device_is_no_list(self, http: httpx.AsyncClient, path: str) -> None:
        assert (await http.get(path)).json()["id"] == "00e040000001"

    async def test_an_unknown_device_is_not_found(self, http: httpx.AsyncClient) -> None:
        response = await http.get(DEVICE)
        assert (response.status_code, refusal(response)["error"]) == (404, "Not Found")

    async def test_a_device_of_somebody_else_is_forbidden(self, cloud: LocalCloud, http: httpx.AsyncClient) -> None:
        await cloud.add_device("00e040000001", user_id=2)
        for method, path in (
            ("GET", DEVICE),
            ("PUT", DEVICE),
            ("POST", DEVICE),
            ("DELETE", DEVICE),
            ("POST", f"{DEVICE}/output"),
            ("POST", f"{DEVICE}/light"),
            ("GET", f"{DEVICE}/input"),
        ):
            response = await http.request(method, path)
            assert response.status_code == 403
            assert refusal(response)["message"] == "You do not own this device"
        assert (await http.get("/devices")).json() == []

    @pytest.mark.parametrize(
        ("device_id", "path"),
        [
            ("a/b", "a%2Fb"),
            ("küche", "k%C3%BCche"),
            ("50%", "50%25"),
            ("a b", "a%20b"),
            ("input", "input"),
            ("?", "%3F"),
        ],
    )
    async def test_an_id_is_any_text(
        self, cloud: LocalCloud, http: httpx.AsyncClient, device_id: str, path: str
    ) -> None:
        bit = await cloud.add_device(device_id)
        assert (await http.get(f"/devices/{path}")).json()["id"] == device_id
        assert (await http.post(f"/devices/{path}/output")).json() == {"success": True}
        assert bit.shown == 100

    async def test_an_id_that_is_not_text_is_refused(self, http: httpx.AsyncClient) -> None:
        response = await http.get("/devices/%ff%fe")
        assert response.status_code == 400
        refusal(response)


class TestUpdate:
    @pytest.mark.parametrize(
        ("content", "content_type"),
        [
            ('{ "update": { "label": "kitchen", "input_interval_ms": 250 } }', "application/json"),
            ('{"label":"kitchen","input_interval_ms":250}', "application/json"),
            ('{"label":"kitchen","input_interval_ms":"250"}', "application/json; charset=utf-8"),
            ('{"label":"kitchen","input_interval_ms":250.0,"id":"else","user_id":9}', "text/plain"),
            ("label=kitchen&input_interval_ms=250", FORM),
            ("update[label]=kitchen&update[input_interval_ms]=250", FORM),
            ("update=%7B%22label%22%3A%22kitchen%22%2C%22input_interval_ms%22%3A250%7D", FORM),
            ('{"label":"kitchen","input_interval_ms":250}', FORM),
            ("label=kitchen&input_interval_ms=250", ""),
        ],
    )
    async def test_any_spelling_is_taken(
        self, http: httpx.AsyncClient, bit: Bit, content: str, content_type: str
    ) -> None:
        response = await http.put(DEVICE, content=content, headers={"content-type": content_type})
        assert response.status_code == 200
        assert (response.json()["label"], response.json()["input_interval_ms"]) == ("kitchen", 250)
        assert (bit.id, bit.label, bit.input_interval_ms, bit.user_id) == ("00e040000001", "kitchen", 250, 1)

    async def test_what_is_not_named_stays(self, http: httpx.AsyncClient, bit: Bit) -> None:
        assert (await http.put(DEVICE, json={"update": {"label": "ü 🎛"}})).json()["label"] == "ü 🎛"
        assert (await http.put(DEVICE)).status_code == 200
        assert (bit.label, bit.input_interval_ms) == ("ü 🎛", 750)

    @pytest.mark.parametrize(
        "body",
        [
            {"label": ""},
            {"label": None},
            {"label": 7},
            {"label": ["a"]},
            {"input_interval_ms": 199},
            {"input_interval_ms": 0},
            {"input_interval_ms": -250},
            {"input_interval_ms": 250.5},
            {"input_interval_ms": 10**400},
            {"input_interval_ms": None},
            {"input_interval_ms": True},
            {"input_interval_ms": "soon"},
            {"input_interval_ms": ""},
            {"input_interval_ms": {}},
            {"update": None},
            {"update": []},
            {"update": "label"},
            {"update": "[]"},
            {"update": {"input_interval_ms": 100, "label": "half"}},
        ],
    )
    async def test_garbage_changes_nothing(self, http: httpx.AsyncClient, bit: Bit, body: Any) -> None:
        response = await http.put(DEVICE, json=body)
        assert (response.status_code, refusal(response)["error"]) == (400, "Bad Request")
        assert (bit.label, bit.input_interval_ms) == ("my cloudbit 1", 750)

    @pytest.mark.usefixtures("bit")
    async def test_half_a_character_is_refused(self, http: httpx.AsyncClient) -> None:
        response = await http.put(DEVICE, content=b'{"label":"\\ud83d"}')
        assert response.status_code == 400


class TestActivation:
    @pytest.mark.parametrize(
        "body", [{}, {"update": {"label": "new"}}, {"label": "new", "device_hash": "0" * 32}, {"device_hash": "x"}]
    )
    async def test_an_unknown_device_is_made_and_off_line(
        self, cloud: LocalCloud, http: httpx.AsyncClient, body: dict[str, Any]
    ) -> None:
        response = await http.post(DEVICE, json=body)
        assert response.status_code == 201
        device = response.json()
        assert device["label"] == ("new" if "new" in str(body) else "cloudbit")
        assert (device["user_id"], device["is_connected"], device["input_interval_ms"]) == (1, False, 250)
        assert cloud.devices["00e040000001"].user_id == 1

    async def test_a_deactivated_device_belongs_to_whom_activates_it(
        self, cloud: LocalCloud, http: httpx.AsyncClient, bit: Bit
    ) -> None:
        response = await http.delete(DEVICE)
        assert (response.status_code, response.json()["id"], response.json()["user_id"]) == (200, bit.id, 1)
        assert (await http.get(DEVICE)).status_code == 404
        assert (await http.delete(DEVICE)).status_code == 404
        assert (await http.get("/devices")).json() == []
        other = {"Authorization": await cloud.create_token(user_id=2)}
        assert (await http.post(DEVICE, headers=other)).json()["user_id"] == 2
        assert (await http.post(DEVICE)).status_code == 403
        assert bit.user_id == 2

    async def test_activating_ones_own_again_updates_it(self, http: httpx.AsyncClient, bit: Bit) -> None:
        assert (await http.post(DEVICE, json={"label": "again"})).status_code == 201
        assert (bit.label, bit.input_interval_ms) == ("again", 750)

    async def test_deactivation_ends_subscriptions(self, cloud: LocalCloud, http: httpx.AsyncClient, bit: Bit) -> None:
        await cloud.add_device("b")
        for pair in (("00e040000001", "b"), ("b", "00e040000001"), ("00e040000001", "00e040000001"), ("b", "b")):
            await http.post("/subscriptions", json=dict(zip(("publisher_id", "subscriber_id"), pair, strict=True)))
        await http.delete(DEVICE)
        assert [item["subscriber_id"] for item in (await http.get("/subscriptions")).json()] == ["b"]
        assert not bit.is_followed

    @pytest.mark.parametrize("body", [{"device_hash": 5}, {"device_hash": ""}, {"label": 5}, {"update": 5}])
    async def test_garbage_makes_no_device(self, cloud: LocalCloud, http: httpx.AsyncClient, body: Any) -> None:
        response = await http.post(DEVICE, json=body)
        assert response.status_code == 400
        refusal(response)
        assert not cloud.devices

    @pytest.mark.parametrize("path", ["%00", "a%0D%0Ab", "%7F", "%C2%85", "a%09"])
    async def test_an_id_with_control_characters_is_refused(
        self, cloud: LocalCloud, http: httpx.AsyncClient, path: str
    ) -> None:
        response = await http.post(f"/devices/{path}")
        assert response.status_code == 400
        assert refusal(response)["message"].isprintable()
        assert not cloud.devices

    async def test_an_id_that_no_path_can_hold_is_refused(self, http: httpx.AsyncClient) -> None:
        response = await http.post("/devices/%2E%2E")
        assert response.status_code in {400, 404}  # httpx may take it for a step up
        refusal(response)


class TestOutput:
    @pytest.mark.parametrize(
        ("content", "content_type", "percent"),
        [
            ('{ "percent": 75, "duration_ms": -1 }', "application/json", 75),
            ('{"percent":"90","duration_ms":"5000"}', "application/json", 90),
            ('{"percent":" 12.5 "}', "application/json", 12.5),
            ('{"percent":1e1}', "application/json", 10),
            ('{"percent":0}', "application/json", 0),
            ('{"percent":33,"unknown":[1,{}]}', "application/json", 33),
            ("percent=40&duration_ms=32000", FORM, 40),
            ("percent=100.0", FORM, 100),
            ("{}", "application/json", 100),
            ("", "application/json", 100),
            (" \n", FORM, 100),
            ("", "", 100),
        ],
    )
    async def test_any_spelling_is_taken(
        self, http: httpx.AsyncClient, bit: Bit, content: str, content_type: str, percent: float
    ) -> None:
        headers = {"content-type": content_type, "X-Target-URI": "https://api-http.littlebitscloud.cc"}
        response = await http.post(f"{DEVICE}/output", content=content, headers=headers)
        assert (response.status_code, response.text) == (200, '{"success":true}')
        assert bit.shown == percent

    async def test_it_ends_after_its_time(self, http: httpx.AsyncClient, bit: Bit) -> None:
        await http.post(f"{DEVICE}/output", json={"percent": 60, "duration_ms": 60})
        assert bit.shown == 60
        async with asyncio.timeout(2):
            assert await bit.wait_shown(lambda percent: percent == 0) == 0

    async def test_a_new_one_replaces_the_old_and_its_time(self, http: httpx.AsyncClient, bit: Bit) -> None:
        await http.post(f"{DEVICE}/output", json={"percent": 60, "duration_ms": 32000})
        await http.post(f"{DEVICE}/output", json={"percent": 70, "duration_ms": 40})
        assert bit.shown == 70
        async with asyncio.timeout(2):
            await bit.wait_shown(lambda percent: percent == 0)

    async def test_a_wait_sees_each_change(self, http: httpx.AsyncClient, bit: Bit) -> None:
        async with asyncio.timeout(2), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(bit.wait_shown(lambda percent: percent > 50))
            for percent in (10, 20, 80):
                await http.post(f"{DEVICE}/output", json={"percent": percent, "duration_ms": -1})
        assert waiting.result() == 80

    async def test_none_at_all_shows_nothing(self, http: httpx.AsyncClient, bit: Bit) -> None:
        await http.post(f"{DEVICE}/output", json={"percent": 60, "duration_ms": 0})
        assert bit.shown == 0

    async def test_a_bit_off_line_is_not_told(self, http: httpx.AsyncClient, bit: Bit) -> None:
        await bit.set_connected(False)
        assert (await http.post(f"{DEVICE}/output")).status_code == 200
        await bit.set_connected(True)
        assert bit.shown == 0

    @pytest.mark.parametrize(
        "content",
        [
            '{"percent":101}',
            '{"percent":-1}',
            '{"percent":100.01}',
            '{"percent":NaN}',
            '{"percent":Infinity}',
            '{"percent":1e999}',
            '{"percent":"nan"}',
            '{"percent":"inf"}',
            '{"percent":"1_0"}',
            '{"percent":"٣"}',
            '{"percent":""}',
            '{"percent":"half"}',
            '{"percent":null}',
            '{"percent":true}',
            '{"percent":[5]}',
            '{"percent":{}}',
            '{"percent":%s}' % ("9" * 5000),
            '{"percent":"%s"}' % ("9" * 5000),
            '{"duration_ms":-2}',
            '{"duration_ms":-0.5}',
            '{"duration_ms":32001}',
            '{"duration_ms":1.5}',
            '{"duration_ms":"1.5"}',
            '{"duration_ms":null}',
            '{"duration_ms":false}',
            '{"duration_ms":"for ever"}',
            "[]",
            "null",
            "5",
            '"percent"',
            "{",
            '{"percent":5}}',
            '{"percent":' + "[" * 30_000,
            "percent",
        ],
    )
    async def test_garbage_shows_nothing(self, http: httpx.AsyncClient, bit: Bit, content: str) -> None:
        headers = {"content-type": "application/json"}
        response = await http.post(f"{DEVICE}/output", content=content, headers=headers)
        assert (response.status_code, refusal(response)["error"]) == (400, "Bad Request")
        assert bit.shown == 0

    @pytest.mark.parametrize(
        ("content", "content_type"),
        [
            (b"percent=101", FORM),
            (b"percent=5&percent=6", FORM),
            (b"percent=", FORM),
            (b"percent=%ff", FORM),
            (b"percent=\xff", FORM),
            (b"\xff\xfe{", "application/json"),
            (b"\x00", "application/json"),
            (
                b'--x\r\nContent-Disposition: form-data; name="percent"\r\n\r\n5\r\n--x--',
                "multipart/form-data; boundary=x",
            ),
        ],
    )
    async def test_garbage_bytes_show_nothing(
        self, http: httpx.AsyncClient, bit: Bit, content: bytes, content_type: str
    ) -> None:
        response = await http.post(f"{DEVICE}/output", content=content, headers={"content-type": content_type})
        assert response.status_code == 400
        refusal(response)
        assert bit.shown == 0

    async def test_an_unknown_device_is_not_found(self, http: httpx.AsyncClient) -> None:
        assert (await http.post(f"{DEVICE}/output")).status_code == 404
        assert (await http.post(f"{DEVICE}/light")).status_code == 404


class TestLight:
    @pytest.mark.parametrize("color", ["green", "yellow", "red", "blue", "purple", "white", "cyan", "clownbarf"])
    @pytest.mark.parametrize("mode", ["blink", "hold"])
    async def test_colours_and_modes(self, http: httpx.AsyncClient, bit: Bit, color: str, mode: str) -> None:
        response = await http.post(f"{DEVICE}/light", json={"color": color, "mode": mode, "duration_ms": 1000})
        assert (response.status_code, response.json()) == (200, {"success": True})
        assert bit.light == Light(color, mode)

    async def test_what_is_not_named_stays(self, http: httpx.AsyncClient, bit: Bit) -> None:
        await http.post(f"{DEVICE}/light", data={"color": "red"})
        await http.post(f"{DEVICE}/light", data={"mode": "blink"})
        assert bit.light == Light("red", "blink")
        await http.post(f"{DEVICE}/light", json={"duration_ms": 0})
        assert bit.light is None

    @pytest.mark.parametrize(
        "body",
        [{"color": "pink"}, {"color": ""}, {"color": None}, {"color": ["red"]}, {"mode": "on"}, {"mode": 1}]
        + [{"duration_ms": value} for value in (-2, 32001, 0.5, "x", None)],
    )
    async def test_garbage_lights_nothing(self, http: httpx.AsyncClient, bit: Bit, body: Any) -> None:
        response = await http.post(f"{DEVICE}/light", json={"color": "red", **body})
        assert response.status_code == 400
        refusal(response)
        assert bit.light is None


class TestSubscriptions:
    EVENTS = (
        "amplitude",
        "amplitude:delta:sustain",
        "amplitude:delta:ignite",
        "amplitude:delta:release",
        "amplitude:delta:nap",
        "amplitude:level:active",
        "amplitude:level:idle",
    )

    @pytest.mark.usefixtures("bit")
    @pytest.mark.parametrize(
        ("said", "events"),
        [
            ({}, ["amplitude:delta:ignite"]),
            ({"publisher_events": ["amplitude"]}, ["amplitude"]),
            ({"publisher_events": "amplitude:level:idle"}, ["amplitude:level:idle"]),
            ({"publisher_events": list(EVENTS)}, list(EVENTS)),
            ({"publisher_events": ["amplitude", "amplitude"]}, ["amplitude"]),
        ],
    )
    async def test_the_answer_is_what_was_posted(
        self, http: httpx.AsyncClient, said: dict[str, Any], events: list[str]
    ) -> None:
        pair = {"publisher_id": "00e040000001", "subscriber_id": "http://YOURSERVER/endpoint"}
        response = await http.post("/subscriptions", json={**pair, **said})
        assert response.status_code == 201
        assert response.json() == {**pair, "publisher_events": events}
        assert (await http.get("/subscriptions")).json() == [response.json()]

    @pytest.mark.usefixtures("bit")
    @pytest.mark.parametrize(
        "events",
        [
            'publisher_events=["amplitude"]',
            "publisher_events=amplitude",
            "publisher_events[]=amplitude",
            "publisher_events=amplitude&publisher_events=amplitude",
        ],
    )
    async def test_forms_are_taken_for_post_and_delete(self, http: httpx.AsyncClient, events: str) -> None:
        pair, headers = "publisher_id=00e040000001&subscriber_id=00e040000001", {"content-type": FORM}
        made = await http.post("/subscriptions", content=f"{pair}&{events}", headers=headers)
        assert (made.status_code, made.json()["publisher_events"]) == (201, ["amplitude"])
        ended = await http.request("DELETE", "/subscriptions", content=pair, headers=headers)
        assert (ended.status_code, ended.json()) == (200, [1, 1, 1])

    async def test_a_list_is_of_a_publisher_or_a_subscriber_or_both(
        self, cloud: LocalCloud, http: httpx.AsyncClient
    ) -> None:
        for device_id in "abc":
            await cloud.add_device(device_id)
        await cloud.add_device("theirs", user_id=2)
        pairs = [("a", "b"), ("a", "https://x.test/?q=1"), ("b", "a"), ("c", "b")]
        for publisher_id, subscriber_id in pairs:
            pair = {"publisher_id": publisher_id, "subscriber_id": subscriber_id}
            assert (await http.post("/subscriptions", json=pair)).status_code == 201
        theirs = {"Authorization": await cloud.create_token(user_id=2)}
        pair = {"publisher_id": "theirs", "subscriber_id": "theirs"}
        assert (await http.post("/subscriptions", json=pair, headers=theirs)).status_code == 201

        async def listed(**query: str) -> set[tuple[str, str]]:
            response = await http.get("/subscriptions", params=query)
            assert response.status_code == 200
            return {(item["publisher_id"], item["subscriber_id"]) for item in response.json()}

        assert await listed() == set(pairs)
        assert await listed(publisher_id="a") == {("a", "b"), ("a", "https://x.test/?q=1")}
        assert await listed(subscriber_id="b") == {("a", "b"), ("c", "b")}
        assert await listed(subscriber_id="https://x.test/?q=1") == {("a", "https://x.test/?q=1")}
        assert await listed(publisher_id="c", subscriber_id="b") == {("c", "b")}
        assert await listed(publisher_id="theirs") == set()
        assert await listed(publisher_id="nobody") == set()

    @pytest.mark.usefixtures("bit")
    async def test_a_second_one_of_the_pair_replaces_the_first(self, http: httpx.AsyncClient) -> None:
        pair = {"publisher_id": "00e040000001", "subscriber_id": "00e040000001"}
        for event in ("amplitude", "amplitude:level:idle"):
            assert (await http.post("/subscriptions", json={**pair, "publisher_events": event})).status_code == 201
        assert (await http.get("/subscriptions")).json() == [{**pair, "publisher_events": ["amplitude:level:idle"]}]

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"publisher_id": "nobody"}, 404),
            ({"subscriber_id": "nobody"}, 404),
            ({"publisher_id": "theirs"}, 403),
            ({"subscriber_id": "theirs"}, 403),
            ({"publisher_id": None}, 400),
            ({"publisher_id": 5}, 400),
            ({"publisher_id": ""}, 400),
            ({"publisher_id": "http://x.test/"}, 404),
            ({"subscriber_id": None}, 400),
            ({"subscriber_id": ["a"]}, 400),
            ({"subscriber_id": "\ud800"}, 400),
            ({"subscriber_id": "ftp://x.test/"}, 400),
            ({"subscriber_id": "javascript://x.test/"}, 400),
            ({"subscriber_id": "http://"}, 400),
            ({"subscriber_id": "http://[::1"}, 400),
            ({"subscriber_id": "http://x.test:99999/"}, 400),
            ({"subscriber_id": "http://x.test:0/"}, 400),
            ({"subscriber_id": "http://a b/\n"}, 400),
            ({"subscriber_id": "http://a b/"}, 400),
            ({"subscriber_id": "http://x.test/ "}, 400),
            ({"subscriber_id": "http://x.test/\r\nX: y"}, 400),
            ({"subscriber_id": "http://x\ttest/"}, 400),
            ({"subscriber_id": "http://x.test/\u00a0"}, 400),
            ({"subscriber_id": "\x00http://x.test/"}, 400),
            ({"publisher_events": []}, 400),
            ({"publisher_events": None}, 400),
            ({"publisher_events": ""}, 400),
            ({"publisher_events": "connected"}, 400),
            ({"publisher_events": ["amplitude", "amplitude:delta"]}, 400),
            ({"publisher_events": [["amplitude"]]}, 400),
            ({"publisher_events": {"name": "amplitude"}}, 400),
            ({"publisher_events": "[amplitude]"}, 400),
            ({"publisher_events": "[]"}, 400),
            ({"publisher_events": 1}, 400),
        ],
    )
    async def test_garbage_is_not_kept(
        self, cloud: LocalCloud, http: httpx.AsyncClient, bit: Bit, change: dict[str, Any], status: int
    ) -> None:
        await cloud.add_device("theirs", user_id=2)
        body = json.dumps({"publisher_id": bit.id, "subscriber_id": bit.id, **change})
        response = await http.post("/subscriptions", content=body, headers={"content-type": "application/json"})
        assert response.status_code == status
        refusal(response)
        assert (await http.get("/subscriptions")).json() == []
        assert not bit.is_followed

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 400),
            ({"publisher_id": "00e040000001"}, 400),
            ({"publisher_id": "00e040000001", "subscriber_id": "nobody"}, 404),
            ({"publisher_id": "theirs", "subscriber_id": "theirs"}, 404),
        ],
    )
    async def test_what_is_not_there_cannot_be_ended(
        self, cloud: LocalCloud, http: httpx.AsyncClient, bit: Bit, body: dict[str, str], status: int
    ) -> None:
        await cloud.add_device("theirs", user_id=2)
        theirs = {"Authorization": await cloud.create_token(user_id=2)}
        pair = {"publisher_id": "theirs", "subscriber_id": "theirs"}
        assert (await http.post("/subscriptions", json=pair, headers=theirs)).status_code == 201
        mine = {"publisher_id": bit.id, "subscriber_id": bit.id}
        assert (await http.post("/subscriptions", json=mine)).status_code == 201
        response = await http.request("DELETE", "/subscriptions", json=body)
        assert response.status_code == status
        refusal(response)
        assert len((await http.get("/subscriptions")).json()) == 1
        assert len((await http.get("/subscriptions", headers=theirs)).json()) == 1


class TestFollowing:
    async def test_the_follower_shows_each_input_until_the_end(
        self, cloud: LocalCloud, http: httpx.AsyncClient
    ) -> None:
        publisher = await cloud.add_device("a", input_interval_ms=200)
        follower = await cloud.add_device("b")
        await publisher.set_input(percent=61)
        pair = {"publisher_id": "a", "subscriber_id": "b"}
        await http.post("/subscriptions", json=pair)
        async with asyncio.timeout(5):
            await follower.wait_shown(lambda percent: percent == 61)
            await publisher.set_input(percent=17)
            await follower.wait_shown(lambda percent: percent == 17)
        await http.request("DELETE", "/subscriptions", json=pair)
        assert not publisher.is_followed
        await http.post("/devices/b/output", json={"percent": 5, "duration_ms": -1})
        publisher.feed.refresh(anew=True)
        assert follower.shown == 5

    async def test_a_bit_may_follow_itself(self, cloud: LocalCloud, http: httpx.AsyncClient) -> None:
        bit = await cloud.add_device("a", waveform=lambda _: 30)
        await http.post("/subscriptions", json={"publisher_id": "a", "subscriber_id": "a"})
        async with asyncio.timeout(5):
            await bit.wait_shown(lambda percent: percent == 30)

    async def test_a_publisher_off_line_tells_nothing(self, cloud: LocalCloud, http: httpx.AsyncClient) -> None:
        publisher = await cloud.add_device("a", waveform=lambda _: 30, is_connected=False)
        follower = await cloud.add_device("b")
        await http.post("/subscriptions", json={"publisher_id": "a", "subscriber_id": "b"})
        assert follower.shown == 0
        await publisher.set_connected(True)
        assert follower.shown == 30
