"""Each call of a session in two ways: in-process against the documents, over a socket against `LocalCloud`.

Source: spec/cloud-api-v2.txt and spec/cloud-http-api-v1-and-webhooks.md, as they stand in tests/fixtures/spec/; for
activation, light, ping and version 3, which no document shows, wire-facts sections 1, 3 and 5.
"""

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Literal

import anyio
import httpx
import pytest
import respx
from attrs import evolve, field, frozen

from littlebits_async import (
    FOREVER,
    AmplitudeEvent,
    CloudBit,
    Device,
    InputEvent,
    InputStream,
    LightColor,
    LightMode,
    NotFoundError,
    Session,
    StreamClosedError,
    Subscription,
    Unlimited,
)
from littlebits_async.localcloud import Light
from littlebits_async.testing import RunningBit, RunningCloud
from tests.spec_messages import message, message_json
from tests.support.local_cloud import PATIENCE, SLOWEST

pytestmark = pytest.mark.anyio

Version = Literal[1, 2, 3]

TOKEN = "meowmeowmeow"
HOST = "https://api-http.littlebitscloud.cc"
V1 = "cloud-http-api-v1"
V2 = "cloud-api-v2"
BIT = "00e040000001"
OTHER = "00e040000002"
CALLBACK = "http://YOURSERVER/endpoint"
EVENT_STREAM = "text/event-stream; charset=utf-8"

# What the documents' answers say.
FOLLOWS = Subscription(OTHER, BIT, ("amplitude",))
TELLS = Subscription(BIT, "https://YOURSERVER/endpoint", ("amplitude:delta:ignite",))
MY_CLOUDBIT_1 = Device(
    BIT, "my cloudbit 1", user_id=1, is_connected=False, input_interval_ms=750, subscriptions=(FOLLOWS, TELLS)
)
MY_CLOUDBIT_2 = Device(
    OTHER, "my cloudbit 2", user_id=1, is_connected=False, input_interval_ms=750, subscribers=(FOLLOWS,)
)
READING = InputEvent("00e04c0379bb", 1521587206463, 61, 629, name="amplitude", mac="00e04c0379bb")


# In-process: what is sent is what the documents print, and their answers are understood.


async def only_event(stream: InputStream) -> InputEvent:
    """The one event of a stream that ends after it."""
    async with stream as events:
        event = await anext(events)
        with pytest.raises(StreamClosedError):
            await anext(events)
        return event


@frozen(kw_only=True)
class Example:
    """A call, the request that the documents print for it, and their answer.

    ``request`` is a body, or the name of the message that has it; ``answer`` likewise.
    """

    versions: tuple[Version, ...] = (2, 3)
    call: Callable[[Session], Awaitable[object]]
    of_bit: Callable[[CloudBit], Awaitable[object]] | None = None
    method: str
    path: str
    query: Mapping[str, str] = field(factory=dict[str, str])
    request: str | Mapping[str, object] | None = None
    status: int = 200
    kind: str = "application/json; charset=utf-8"
    answer: str | bytes
    result: object = None

    @property
    def body(self) -> object:
        return message_json(self.request) if isinstance(self.request, str) else self.request

    @property
    def device_id(self) -> str:
        return self.path.split("/")[2]

    @property
    def reply(self) -> httpx.Response:
        content = message(self.answer) if isinstance(self.answer, str) else self.answer
        return httpx.Response(self.status, content=content, headers={"content-type": self.kind})


EXAMPLES = {
    "devices": Example(
        call=lambda s: s.devices(),
        method="GET",
        path="/devices",
        answer=f"{V2}/devices.200.json",
        result=[MY_CLOUDBIT_1, MY_CLOUDBIT_2],
    ),
    "devices, v1": Example(
        versions=(1,),
        call=lambda s: s.devices(),
        method="GET",
        path="/devices",
        answer=f"{V1}/devices.200.json",
        result=[Device("000001", "000001", user_id=1), Device("000002", "000002", user_id=1)],
    ),
    "device": Example(
        call=lambda s: s.device(BIT),
        of_bit=lambda b: b.get(),
        method="GET",
        path=f"/devices/{BIT}",
        answer=f"{V2}/device.200.json",
        result=MY_CLOUDBIT_1,
    ),
    "device, v1, whose document answers with a list": Example(
        versions=(1,),
        call=lambda s: s.device("000002"),
        of_bit=lambda b: b.get(),
        method="GET",
        path="/devices/000002",
        answer=f"{V1}/devices.200.json",
        result=Device("000002", "000002", user_id=1),
    ),
    "update_device": Example(
        versions=(1, 2, 3),
        call=lambda s: s.update_device(BIT, label="cloudbit", input_interval_ms=250),
        of_bit=lambda b: b.update(label="cloudbit", input_interval_ms=250),
        method="PUT",
        path=f"/devices/{BIT}",
        request=f"{V2}/update.request.json",
        answer=f"{V2}/device.200.json",
        result=MY_CLOUDBIT_1,
    ),
    "activate": Example(
        versions=(1, 2, 3),
        call=lambda s: s.activate(BIT, device_hash="5ecret", label="my cloudbit 1", input_interval_ms=750),
        method="POST",
        path=f"/devices/{BIT}",
        request={"device_hash": "5ecret", "update": {"label": "my cloudbit 1", "input_interval_ms": 750}},
        status=201,
        answer=f"{V2}/device.200.json",
        result=MY_CLOUDBIT_1,
    ),
    "activate, the older form without a hash": Example(
        versions=(1, 2, 3),
        call=lambda s: s.activate(BIT),
        method="POST",
        path=f"/devices/{BIT}",
        request={},
        status=201,
        answer=f"{V2}/device.200.json",
        result=MY_CLOUDBIT_1,
    ),
    "deactivate": Example(
        versions=(1, 2, 3),
        call=lambda s: s.deactivate(BIT),
        method="DELETE",
        path=f"/devices/{BIT}",
        answer=f"{V2}/device.200.json",
    ),
    "deactivate, answered with nothing": Example(
        call=lambda s: s.deactivate(BIT), method="DELETE", path=f"/devices/{BIT}", answer=b""
    ),
    "output": Example(
        call=lambda s: s.output(BIT, 100, duration_ms=3000),
        of_bit=lambda b: b.output(100, duration_ms=3000),
        method="POST",
        path=f"/devices/{BIT}/output",
        request=f"{V2}/output.request.json",
        answer=b'{"success":true}',
    ),
    "output, the document's defaults": Example(
        call=lambda s: s.output(BIT),
        of_bit=lambda b: b.output(),
        method="POST",
        path=f"/devices/{BIT}/output",
        request=f"{V2}/output.request.json",
        answer=b"OK",
    ),
    "output, for ever": Example(
        call=lambda s: s.output(BIT, 12.5, duration_ms=FOREVER),
        of_bit=lambda b: b.hold(12.5),
        method="POST",
        path=f"/devices/{BIT}/output",
        request={"percent": 12.5, "duration_ms": -1},
        answer=b'{"success":true}',
    ),
    "output, v1": Example(
        versions=(1,),
        call=lambda s: s.output("000001", 75, duration_ms=1000),
        of_bit=lambda b: b.output(75, duration_ms=1000),
        method="POST",
        path="/devices/000001/output",
        request=f"{V1}/output-percent.request.json",
        answer=f"{V1}/output.200.json",
    ),
    "output, v1, for a week": Example(
        versions=(1,),
        call=lambda s: s.output("000001", 0, duration_ms=10_080_000),
        of_bit=lambda b: b.output(0, duration_ms=10_080_000),
        method="POST",
        path="/devices/000001/output",
        request={"amount": "0%", "duration_ms": message_json(f"{V1}/output-idle.request.json")["duration_ms"]},
        answer=f"{V1}/output.200.json",
    ),
    "light": Example(
        versions=(1, 2, 3),
        call=lambda s: s.light(BIT, color=LightColor.CLOWNBARF, mode=LightMode.BLINK, duration_ms=500),
        of_bit=lambda b: b.light(color="clownbarf", mode="blink", duration_ms=500),
        method="POST",
        path=f"/devices/{BIT}/light",
        request={"color": "clownbarf", "mode": "blink", "duration_ms": 500},
        answer=b"{}",
    ),
    "light, the server's choice": Example(
        versions=(1, 2, 3),
        call=lambda s: s.light(BIT),
        of_bit=lambda b: b.light(),
        method="POST",
        path=f"/devices/{BIT}/light",
        request={},
        answer=b'{"success":true}',
    ),
    "inputs": Example(
        versions=(1, 2, 3),
        call=lambda s: only_event(s.inputs(BIT)),
        of_bit=lambda b: only_event(b.inputs()),
        method="GET",
        path=f"/devices/{BIT}/input",
        kind=EVENT_STREAM,
        answer=message("blog/input-event.sse") + b"\n\n",
        result=READING,
    ),
    "read": Example(
        versions=(1, 2, 3),
        call=lambda s: s.read(BIT),
        of_bit=lambda b: b.read(),
        method="GET",
        path=f"/devices/{BIT}/input",
        kind=EVENT_STREAM,
        answer=message("blog/input-event.sse") + b"\n\n",
        result=READING,
    ),
    "subscriptions": Example(
        call=lambda s: s.subscriptions(publisher_id=BIT),
        method="GET",
        path="/subscriptions",
        query={"publisher_id": BIT},
        answer=f"{V2}/subscriptions.200.json",
        result=[Subscription(BIT, OTHER, ("amplitude",)), TELLS],
    ),
    "subscriptions, v1": Example(
        versions=(1,),
        call=lambda s: s.subscriptions(subscriber_id="http://some.callback.com?params=stuff"),
        method="GET",
        path="/subscriptions",
        query={"subscriber_id": "http://some.callback.com?params=stuff"},
        answer=f"{V1}/subscriptions.200.json",
        result=[
            Subscription("000001", "000002", ("amplitude",)),
            Subscription("000001", "http://some.callback.com?params=stuff", ("amplitude:delta:ignite",)),
        ],
    ),
    "subscribe": Example(
        call=lambda s: s.subscribe(publisher_id=BIT, subscriber_id=OTHER, events=AmplitudeEvent.AMPLITUDE),
        method="POST",
        path="/subscriptions",
        request=f"{V2}/subscribe-events.request.json",
        status=201,
        answer=f"{V2}/subscribe.201.json",
        result=Subscription(BIT, OTHER, ("amplitude",)),
    ),
    "subscribe, the server's choice of events": Example(
        versions=(1, 2, 3),
        call=lambda s: s.subscribe(publisher_id=BIT, subscriber_id=OTHER),
        method="POST",
        path="/subscriptions",
        request=f"{V2}/subscribe.request.json",
        status=201,
        answer=f"{V2}/subscribe.201.json",
        result=Subscription(BIT, OTHER, ("amplitude",)),
    ),
    "subscribe, a callback, answered with nothing": Example(
        versions=(1, 2, 3),
        call=lambda s: s.subscribe(publisher_id=BIT, subscriber_id=CALLBACK),
        method="POST",
        path="/subscriptions",
        request=f"{V2}/subscribe-callback.request.json",
        status=201,
        answer=b"",
        result=Subscription(BIT, CALLBACK),
    ),
    "subscribe, v1": Example(
        versions=(1,),
        call=lambda s: s.subscribe(publisher_id="000001", subscriber_id="000002", events=["amplitude"]),
        method="POST",
        path="/subscriptions",
        request={"publisher_id": "000001", "subscriber_id": "000002", "publisher_events": ["amplitude"]},
        status=201,
        answer=f"{V1}/subscribe.201.json",
        result=Subscription("000001", "000002", ("amplitude",)),
    ),
    "unsubscribe": Example(
        versions=(1, 2, 3),
        call=lambda s: s.unsubscribe(publisher_id=BIT, subscriber_id=CALLBACK),
        method="DELETE",
        path="/subscriptions",
        request=f"{V2}/unsubscribe.request.json",
        answer=f"{V1}/unsubscribe.200.json",
    ),
    "unsubscribe, answered with OK": Example(
        call=lambda s: s.unsubscribe(publisher_id=BIT, subscriber_id=CALLBACK),
        method="DELETE",
        path="/subscriptions",
        request=f"{V2}/unsubscribe.request.json",
        kind="text/plain",
        answer=b"OK",
    ),
    "ping": Example(versions=(1, 2, 3), call=lambda s: s.ping(), method="GET", path="/ping", answer=b"{}"),
}


def of_bit(example: Example) -> Example:
    """The same by way of a `CloudBit`: the request must be the same too."""
    call = example.of_bit
    assert call is not None

    async def through_a_bit(session: Session) -> object:
        return await call(CloudBit(session, example.device_id))

    return evolve(example, call=through_a_bit)


BY_BIT = {f"CloudBit: {name}": of_bit(example) for name, example in EXAMPLES.items() if example.of_bit}


def mocked_session(version: Version) -> Session:
    """A session of the vendor's cloud, where nothing leaves the process; loading certificates would take longest."""
    return Session(
        TOKEN,
        base_url=HOST,
        api_version=version,
        budget=Unlimited(),
        trust_env=False,
        ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )


@pytest.mark.parametrize(
    ("version", "example"),
    [
        pytest.param(version, example, id=f"v{version}, {name}")
        for name, example in (EXAMPLES | BY_BIT).items()
        for version in example.versions
    ],
)
async def test_requests_and_answers_are_those_of_the_documents(version: Version, example: Example) -> None:
    with respx.mock(base_url=HOST) as router:
        route = router.route(method=example.method, path=f"/v{version}{example.path}").mock(return_value=example.reply)
        async with mocked_session(version) as session:
            with anyio.fail_after(PATIENCE):
                assert await example.call(session) == example.result
        assert route.call_count == router.calls.call_count == 1
        request = route.calls.last.request

    assert (request.url.scheme, request.url.host) == ("https", "api-http.littlebitscloud.cc")
    assert dict(request.url.params) == dict(example.query)
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["accept"] == f"application/vnd.littlebits.v{version}+json"
    if example.request is None:
        assert request.content == b""
        assert "content-type" not in request.headers
    else:
        assert json.loads(request.content) == example.body
        assert request.headers["content-type"] == "application/json"


async def test_listing_subscriptions_asks_as_the_document_prints() -> None:
    lines: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        lines.append(f"{request.method} {request.url.raw_path.decode()}")
        return EXAMPLES["subscriptions"].reply

    with respx.mock(base_url=HOST) as router:
        router.get("/v2/subscriptions").mock(side_effect=answer)
        async with mocked_session(2) as session:
            await session.subscriptions(publisher_id=BIT)
            await session.subscriptions(subscriber_id=OTHER)
            await session.subscriptions(publisher_id=BIT, subscriber_id=OTHER)
    assert lines == message(f"{V2}/subscriptions.requests.txt").decode().splitlines()


async def test_an_id_is_one_segment_of_the_path() -> None:
    with respx.mock(base_url=HOST) as router:
        router.route().mock(return_value=EXAMPLES["output"].reply)
        async with mocked_session(2) as session:
            await session.output("../lamp 1?")
        assert router.calls.last.request.url.raw_path == b"/v2/devices/..%2Flamp%201%3F/output"


def test_every_call_of_the_design_has_an_example() -> None:
    assert {name.partition(",")[0] for name in EXAMPLES} == {
        "devices",
        "device",
        "update_device",
        "activate",
        "deactivate",
        "output",
        "light",
        "inputs",
        "read",
        "subscriptions",
        "subscribe",
        "unsubscribe",
        "ping",
    }


# Over a socket: what a call does is seen on the cloud's side.


@pytest.fixture(params=[1, 2, 3], ids=["v1", "v2", "v3"])
def version(request: pytest.FixtureRequest) -> Version:
    number: Version = request.param
    return number


@pytest.fixture
async def session(running_cloud: RunningCloud, version: Version) -> AsyncIterator[Session]:
    async with running_cloud.session(api_version=version) as session:
        yield session


@pytest.fixture
async def bit(running_cloud: RunningCloud) -> RunningBit:
    bit = await running_cloud.add_device(BIT, label="my cloudbit 1", input_interval_ms=750)
    await bit.set_input(61)
    return bit


@pytest.fixture
async def other(running_cloud: RunningCloud) -> RunningBit:
    return await running_cloud.add_device(OTHER, label="my cloudbit 2", is_connected=False)


@pytest.mark.usefixtures("bit", "other")
async def test_devices(session: Session) -> None:
    assert await session.devices() == [
        Device(BIT, "my cloudbit 1", user_id=1, is_connected=True, input_interval_ms=750),
        Device(OTHER, "my cloudbit 2", user_id=1, is_connected=False, input_interval_ms=250),
    ]


@pytest.mark.usefixtures("bit")
async def test_device(session: Session) -> None:
    expected = Device(BIT, "my cloudbit 1", user_id=1, is_connected=True, input_interval_ms=750)
    assert await session.device(BIT) == await CloudBit(session, BIT).get() == expected


async def test_device_with_an_id_that_is_no_plain_segment(running_cloud: RunningCloud, session: Session) -> None:
    odd = "lamp/1 ?ä%2F"
    await running_cloud.add_device(odd)
    assert (await session.device(odd)).id == odd
    await session.output(odd, 5, duration_ms=FOREVER)
    assert (await session.read(odd)).device_id == odd


async def test_update_device(session: Session, bit: RunningBit) -> None:
    device = await session.update_device(BIT, label="lamp ✓", input_interval_ms=200)
    assert (device.id, device.label, device.input_interval_ms) == (BIT, "lamp ✓", 200)
    assert await bit.see(lambda bit: (bit.label, bit.input_interval_ms)) == ("lamp ✓", 200)

    device = await CloudBit(session, BIT).update(label="door")
    assert (device.label, device.input_interval_ms) == ("door", 200)
    assert await bit.see(lambda bit: (bit.label, bit.input_interval_ms)) == ("door", 200)


async def test_activate(running_cloud: RunningCloud, session: Session) -> None:
    device = await session.activate("00e040000003", device_hash="5ecret", label="new", input_interval_ms=300)
    assert (device.id, device.label, device.user_id) == ("00e040000003", "new", 1)
    new = await running_cloud.see(lambda cloud: cloud.devices["00e040000003"])
    assert (new.label, new.user_id, new.input_interval_ms) == ("new", 1, 300)


async def test_deactivate_and_activate_again(session: Session, bit: RunningBit) -> None:
    await session.deactivate(BIT)
    assert await bit.see(lambda bit: bit.user_id) is None
    assert await session.devices() == []
    assert (await session.activate(BIT)).id == BIT
    assert await bit.see(lambda bit: bit.user_id) == 1
    assert [device.id for device in await session.devices()] == [BIT]


async def test_output(session: Session, bit: RunningBit) -> None:
    await session.output(BIT, 61, duration_ms=FOREVER)
    assert await bit.see(lambda bit: bit.shown) == 61
    await CloudBit(session, BIT).hold(12.5)
    assert await bit.see(lambda bit: bit.shown) == 12.5


async def test_a_pulse_ends(session: Session, bit: RunningBit) -> None:
    await CloudBit(session, BIT).output(100, duration_ms=400)
    assert await bit.see(lambda bit: bit.shown) == 100
    await bit.until_shown(0)


async def test_the_default_output_is_all_for_three_seconds(session: Session, bit: RunningBit) -> None:
    await session.output(BIT)
    assert await bit.see(lambda bit: bit.shown) == 100


async def test_an_output_of_version_1_lasts_as_long_as_one_likes(running_cloud: RunningCloud, bit: RunningBit) -> None:
    week = message_json(f"{V1}/output-idle.request.json")["duration_ms"]
    async with running_cloud.session(api_version=1) as session:
        for percent, duration_ms in ((61, week), (12.5, 2**53 - 1)):
            await session.output(BIT, percent, duration_ms=duration_ms)
            assert await bit.see(lambda bit: bit.shown) == percent
        await session.output(BIT, 100, duration_ms=100)
        await bit.until_shown(0)


async def test_an_output_to_a_bit_off_line_is_lost_and_version_1_says_so(
    session: Session, other: RunningBit, version: Version
) -> None:
    # Source: wire-facts, section 5: version 1 said 404, later ones 200.
    if version == 1:
        with pytest.raises(NotFoundError) as caught:
            await session.output(OTHER, 61, duration_ms=FOREVER)
        assert caught.value.message == f"The device {OTHER} is not currently connected to bitcloud."
    else:
        await session.output(OTHER, 61, duration_ms=FOREVER)
    await other.set_connected(to=True)
    assert await other.see(lambda bit: bit.shown) == 0


async def test_light(session: Session, bit: RunningBit) -> None:
    await session.light(BIT, color=LightColor.PURPLE, mode=LightMode.BLINK)
    assert await bit.see(lambda bit: bit.light) == Light("purple", "blink")
    await CloudBit(session, BIT).light(color="green", mode="hold", duration_ms=FOREVER)
    assert await bit.see(lambda bit: bit.light) == Light("green", "hold")
    await session.light(BIT)
    assert await bit.see(lambda bit: bit.light) == Light("green", "hold")


@pytest.mark.both_feeds
async def test_inputs(running_cloud: RunningCloud, session: Session) -> None:
    bit = await running_cloud.add_device(BIT, input_interval_ms=SLOWEST)
    for stream in (session.inputs(BIT), CloudBit(session, BIT).inputs()):
        await bit.set_input(61)
        async with stream as events:
            await running_cloud.until_streams(1)
            taken = [await anext(events)]
            await bit.turn(61, 0, 100)
            taken += [await anext(events) for _ in range(3)]
        await running_cloud.until_streams(0)
        assert [event.percent for event in taken[1:]] == [61, 0, 100]
        assert [event.absolute for event in taken[2:]] == [0, 1023]
        assert {(event.device_id, event.mac, event.user_id, event.name) for event in taken} == {
            (BIT, BIT, 1, "amplitude")
        }
        times = [event.timestamp_ms for event in taken]
        assert times == sorted(set(times))
        assert events.skipped == 0


@pytest.mark.both_feeds
@pytest.mark.usefixtures("bit")
async def test_read(running_cloud: RunningCloud, session: Session) -> None:
    first = await session.read(BIT)
    assert (first.device_id, first.percent) == (BIT, 61)
    assert first.volts == pytest.approx(3.05)
    assert (await CloudBit(session, BIT).read()).percent == 61
    await running_cloud.until_streams(0)


@pytest.mark.both_feeds
async def test_subscribing_makes_a_bit_follow_and_unsubscribing_ends_it(
    running_cloud: RunningCloud, session: Session
) -> None:
    bit = await running_cloud.add_device(BIT, input_interval_ms=SLOWEST)
    other = await running_cloud.add_device(OTHER, input_interval_ms=SLOWEST)
    made = await session.subscribe(publisher_id=BIT, subscriber_id=OTHER, events=AmplitudeEvent.AMPLITUDE)
    expected = Subscription(BIT, OTHER, ("amplitude",))
    assert made == expected
    assert (await session.device(BIT)).subscribers == (expected,)
    assert (await session.device(OTHER)).subscriptions == (expected,)

    await bit.turn(61)
    await other.until_shown(61)
    await session.unsubscribe(publisher_id=BIT, subscriber_id=OTHER)
    assert await session.subscriptions() == []
    await bit.turn(20)
    assert (await session.read(BIT)).percent == 20
    assert await other.see(lambda bit: bit.shown) == 61


@pytest.mark.usefixtures("bit", "other")
async def test_subscriptions_are_found_from_both_sides(session: Session) -> None:
    callback = "https://example.org/hook?key=a b&c=ä"
    default = await session.subscribe(publisher_id=BIT, subscriber_id=OTHER)
    # Source: spec/cloud-api-v2.txt: "Defaults to ["amplitude:delta:ignite"]".
    assert default == Subscription(BIT, OTHER, ("amplitude:delta:ignite",))
    called = await session.subscribe(publisher_id=BIT, subscriber_id=callback, events=list(AmplitudeEvent))
    assert called == Subscription(
        BIT,
        callback,
        (
            "amplitude",
            "amplitude:delta:sustain",
            "amplitude:delta:ignite",
            "amplitude:delta:release",
            "amplitude:delta:nap",
            "amplitude:level:active",
            "amplitude:level:idle",
        ),
    )
    back = await session.subscribe(publisher_id=OTHER, subscriber_id=BIT, events="amplitude:level:idle")

    assert await session.subscriptions() == [default, called, back]
    assert await session.subscriptions(publisher_id=BIT) == [default, called]
    assert await session.subscriptions(subscriber_id=BIT) == [back]
    assert await session.subscriptions(subscriber_id=callback) == [called]
    assert await session.subscriptions(publisher_id=BIT, subscriber_id=OTHER) == [default]
    assert await session.subscriptions(publisher_id="00e040000009") == []

    await session.unsubscribe(publisher_id=BIT, subscriber_id=callback)
    assert await session.subscriptions() == [default, back]


async def test_ping_needs_no_known_token(running_cloud: RunningCloud, session: Session, version: Version) -> None:
    await session.ping()
    async with Session("nobody's", base_url=running_cloud.url, api_version=version) as stranger:
        await stranger.ping()


@pytest.mark.both_feeds
@pytest.mark.requirement("R5.paid")
async def test_each_call_is_one_request(running_cloud: RunningCloud) -> None:
    await running_cloud.add_device(BIT, input_interval_ms=200)
    token = await running_cloud.create_token()
    async with Session(token, base_url=running_cloud.url) as session:
        await session.devices()
        await session.output(BIT)
        await session.read(BIT)
        async with session.inputs(BIT) as events:
            await anext(events)
            await anext(events)
    assert await running_cloud.see(lambda cloud: cloud.requests(token)) == 4
