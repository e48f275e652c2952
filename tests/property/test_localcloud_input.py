"""Whatever a request says, the cloud answers it, and keeps no more and no less than it has answered for."""

import asyncio
import json
import logging
import tempfile
import unicodedata
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from attrs import define, evolve, field, frozen
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from starlette.types import ASGIApp

from littlebits_async.amplitude import Thresholds
from littlebits_async.localcloud import LocalCloud
from littlebits_async.localcloud.access import AccessLog
from littlebits_async.localcloud.answers import CORS
from littlebits_async.localcloud.app import App
from littlebits_async.localcloud.aside import Aside
from littlebits_async.localcloud.health import Health
from littlebits_async.localcloud.limiting import RequestLimit
from littlebits_async.localcloud.registry import Registry
from littlebits_async.localcloud.storage import Store
from littlebits_async.localcloud.ticker import Ticker
from littlebits_async.localcloud.webhooks import Poster
from tests.support.asgi import Answer, ask, segment

T = TypeVar("T")

ACCEPTABLE: Final = {200, 201, 204, 400, 401, 403, 404, 405, 406, 413, 429}
SCOPES: Final = ("read", "write", "admin")
EVENTS: Final = (
    "amplitude",
    "amplitude:delta:ignite",
    "amplitude:delta:release",
    "amplitude:delta:sustain",
    "amplitude:delta:nap",
    "amplitude:level:active",
    "amplitude:level:idle",
)


@contextmanager
def nothing_goes_wrong() -> Generator[None]:
    """Let all be logged, and none of it as an error."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler, logger = Keep(), logging.getLogger()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    assert not [record.getMessage() for record in records if record.levelno >= logging.WARNING]


# Any request


@frozen
class Site:
    """All of a cloud but its socket, in which there are four bits, and tokens by name."""

    app: ASGIApp
    registry: Registry
    tokens: dict[str, str]


@asynccontextmanager
async def site(path: Path | None = None, limit: RequestLimit | None = None) -> AsyncGenerator[Site]:
    store = Store(path)
    await store.open()
    try:
        ticker = Ticker()
        registry = Registry(ticker, store, Poster(allow_private=True), blank_line_every=10, thresholds=Thresholds())
        await registry.load()
        app = AccessLog(
            Aside({"/health": Health(store, lambda: False).ready}, App(registry, limit or LIMIT, lambda _: None))
        )
        tokens = {"all": await registry.tokens.create(SCOPES, 1), "other": await registry.tokens.create(SCOPES, 2)}
        for scope in SCOPES:
            tokens[scope] = await registry.tokens.create([scope], 1)
        yield Site(app, registry, tokens)
    finally:
        await store.aclose()


LIMIT: Final = RequestLimit(1_000_000_000)
LIMIT.close()
BITS: Final = {"mine": 1, "näher/am 100%": 1, "theirs": 2, "nobodys": None}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NUMBERS = (
    st.integers(-2, 1100)
    | st.floats()
    | st.sampled_from(
        ["50%", "active", "idle", "1e2", " 7 ", "", "-", "٣", "%", "1_0", 10**400, -(10**400), "9" * 400, True]
    )
)
EVENT_LISTS = st.sampled_from(EVENTS) | st.lists(st.sampled_from([*EVENTS, "connection", "x", 5]), max_size=3)
IDS = (
    st.sampled_from(
        [*BITS, "new", "\0", ".", "http://127.0.0.1/", "http://[", "https://x.test/\0", "https://" + "x" * 300]
    )
    | st.text()
)
KNOWN: Final[dict[str, st.SearchStrategy[Any]]] = {
    "percent": NUMBERS,
    "amount": NUMBERS,
    "duration_ms": NUMBERS,
    "label": st.text(st.characters()) | st.just("\udfff"),
    "input_interval_ms": NUMBERS,
    "device_hash": st.text(),
    "color": st.sampled_from(["red", "pink", ""]),
    "mode": st.sampled_from(["hold", "blink", "HOLD"]),
    "publisher_id": IDS,
    "subscriber_id": IDS,
    "publisher_events": EVENT_LISTS | EVENT_LISTS.map(json.dumps),
    "events": EVENT_LISTS,
}
OPTIONAL: Final[dict[str, st.SearchStrategy[Any]]] = {name: values | JSON for name, values in KNOWN.items()}
FIELDS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.sampled_from(sorted(KNOWN)).flatmap(lambda name: st.fixed_dictionaries({name: KNOWN[name]})),
    st.fixed_dictionaries({}, optional=OPTIONAL),
)
SENSIBLE: st.SearchStrategy[dict[str, Any]] = FIELDS | st.fixed_dictionaries({"update": FIELDS | JSON}, optional=KNOWN)
FORMS = st.lists(
    st.tuples(
        st.sampled_from([*KNOWN, "publisher_events[]", "update", "update[label]", "update["]) | st.text(),
        NUMBERS | IDS | EVENT_LISTS.map(json.dumps),
    ),
    max_size=5,
).map(lambda pairs: urlencode([(name, str(value)) for name, value in pairs], errors="surrogatepass").encode())
BODIES = st.one_of(
    st.just(b""),
    SENSIBLE.map(lambda value: json.dumps(value).encode()),
    SENSIBLE.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    SENSIBLE.map(lambda value: json.dumps(value).encode("utf-8-sig")),
    FIELDS.map(
        lambda value: b'{"percent":1,"percent":2,"update":{"label":"a","label":5},' + json.dumps(value).encode()[1:]
    ),
    JSON.map(lambda value: json.dumps(value).encode()),
    FORMS,
    st.binary(max_size=100),
    st.sampled_from(
        [b"[" * 10_000, b'{"update":' * 10_000, b'{"a":[' * 10_000 + b"]}" * 10_000, b"[" * 900 + b"]" * 900]
    ),
    st.sampled_from([b'{"percent":' + b"9" * 6000 + b"}", b'{"percent":1e999}', b"&" * 60_000, b"%" * 60_000, b"\0"]),
    st.integers(64 * 1024 - 1, 64 * 1024 + 2).map(b"{}".ljust),
)
OPERATIONS: Final = (
    "/ping",
    "/options",
    "/devices",
    "/devices/BIT",
    "/devices/BIT/input",
    "/devices/BIT/light",
    "/devices/BIT/output",
    "/devices/BIT/subscriptions",
    "/devices/BIT/activate",
    "/devices/subscriptions",
    "/subscriptions",
    "/cloudbits",
    "/cloudbits/BIT",
    "/health",
)
VERSIONS: Final = ("", "/v1", "/v2", "/v3", "/v2.7", "/master", "/v4", "/v0", "/v999999999999")
TARGET = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E))


def path_of(version: str, operation: str, bit: str, end: str) -> str:
    return version + operation.replace("BIT", bit) + end


PATHS = st.builds(
    path_of,
    st.sampled_from(VERSIONS),
    st.sampled_from(OPERATIONS),
    st.sampled_from(
        [
            *map(segment, BITS),
            "new",
            "%",
            "%zz",
            "%ff",
            "%ED%A0%80",
            "%00",
            "..",
            "%2e%2E",
            "%2F",
            "a;b",
            "x" * 8192,
            "%C3%BC" * 1000,
        ]
    )
    | st.text().map(segment)
    | TARGET.map(lambda text: text.replace("?", "")),
    st.sampled_from(["", "", "/", "//", "/.."]),
)
QUERIES = st.one_of(
    st.just(""),
    st.dictionaries(st.sampled_from(["publisher_id", "subscriber_id", "x"]), IDS).map(
        lambda query: f"?{urlencode(query)}"
    ),
    st.sampled_from(
        ["?", "?" + "&" * 8192, "?access_token=%ff", "?access_token", "?publisher_id=%", "?%00=%00&publisher_id"]
    ),
    TARGET.map(lambda query: f"?{query}"),
)
VALUE = st.binary(max_size=60).map(lambda value: value.translate(None, b"\0\r\n").strip())
ACCEPTS = st.sampled_from(
    [b"*/*", b"text/event-stream", b"text/html", b"application/json;q=0", b",;=,", b"a/b" * 2000]
    + [b"application/vnd.littlebits.v%d+json" % version for version in (0, 1, 2, 3, 10**30)]
)
HEADERS = st.lists(
    st.one_of(
        st.tuples(st.just("Accept"), ACCEPTS | VALUE),
        st.tuples(
            st.just("Authorization"),
            VALUE | st.sampled_from([b"", b"Bearer", b"Bearer ", b"bearer \xff", b"Basic eDp5"]),
        ),
        st.tuples(
            st.just("Content-Type"),
            VALUE
            | st.sampled_from(
                [b"application/json", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x"]
            ),
        ),
        st.tuples(
            st.sampled_from(["Access-Control-Request-Headers", "Host", "Expect", "X-Target-URI", "If-None-Match"]),
            VALUE,
        ),
    ),
    max_size=4,
)


@frozen
class Request:
    method: str
    path: str
    query: str
    token: str | None
    headers: list[tuple[str, bytes]]
    body: bytes = field(repr=lambda body: f"{body[:1000]!r} of {len(body)} bytes")
    pieces: int

    async def send(self, site: Site) -> Answer:
        headers = self.headers
        if self.token is not None:
            headers = [("Authorization", b"Bearer " + site.tokens[self.token].encode()), *headers]
        step = -(-len(self.body) // self.pieces) or 1
        body = [self.body[begin : begin + step] for begin in range(0, len(self.body), step)]
        return await ask(site.app, self.method, self.path + self.query, headers=headers, body=body)


CALLS: Final = (
    ("GET", "/devices"),
    ("GET", "/devices/BIT"),
    ("POST", "/devices/BIT"),
    ("PUT", "/devices/BIT"),
    ("DELETE", "/devices/BIT"),
    ("GET", "/devices/BIT/input"),
    ("POST", "/devices/BIT/input"),
    ("POST", "/devices/BIT/light"),
    ("POST", "/devices/BIT/output"),
    ("POST", "/cloudbits/BIT/activate"),
    ("POST", "/devices/BIT/subscriptions"),
    ("DELETE", "/devices/subscriptions"),
    ("GET", "/subscriptions"),
    ("POST", "/subscriptions"),
    ("DELETE", "/subscriptions"),
    ("GET", "/options"),
)


def close_request(call: tuple[str, str], version: str, bit: str, rest: Request) -> Request:
    return evolve(rest, method=call[0], path=path_of(version, call[1], segment(bit), ""))


# Such as come through to what they mean, and such as hardly do.
CLOSE = st.builds(
    close_request,
    st.sampled_from(CALLS),
    st.sampled_from(["", "/v1", "/v1", "/v2", "/v3"]),
    st.sampled_from(["mine", "mine", *BITS, "new"]),
    st.builds(
        Request,
        method=st.just("GET"),
        path=st.just("/"),
        query=st.just(""),
        token=st.sampled_from(["all", "all", "all", "other", *SCOPES]),
        headers=st.sampled_from([[], [("Content-Type", b"application/json")], [("X-Target-URI", b"http://x.test/")]]),
        body=BODIES,
        pieces=st.integers(1, 4),
    ),
)
FAR = st.builds(
    Request,
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "get"])
    | st.from_regex(r"\A[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}\Z"),
    path=PATHS
    | PATHS.map(lambda path: f"http://x.test{path}")
    | TARGET.map(lambda text: "/" + text.replace("?", ""))
    | st.just("*"),
    query=QUERIES,
    token=st.sampled_from(["all", "all", "all", "other", *SCOPES, None]),
    headers=HEADERS,
    body=BODIES,
    pieces=st.integers(1, 4),
)
REQUESTS = CLOSE | CLOSE | FAR


def check(request: Request, answer: Answer) -> None:
    assert answer.status in ACCEPTABLE
    assert (
        CORS.items() - {("access-control-allow-headers", CORS["access-control-allow-headers"])}
        <= answer.headers.items()
    )
    assert answer.headers["access-control-allow-headers"].startswith(CORS["access-control-allow-headers"])
    if answer.status == 204:
        assert (request.method, answer.body) == ("OPTIONS", b"")
        return
    assert answer.headers["cache-control"] == "no-cache"
    kind = answer.headers["content-type"]
    if kind == "text/event-stream; charset=utf-8":
        assert answer.status == 200
        return
    assert kind == "application/json; charset=utf-8"
    assert int(answer.headers["content-length"]) == len(answer.body)
    if answer.status < 400:
        assert isinstance(answer.json, dict | list)
        return
    # An error in version 1 says so, unless the version itself is in doubt.
    below = request.path.removeprefix("http://x.test")
    in_path = below.startswith(("/v1/", "/v1.")) or below == "/v1"
    in_accept = {value for name, value in request.headers if name == "Accept" and b"vnd.littlebits.v" in value}
    fields = {"code"} if in_path and not in_accept else {"statusCode"}
    if in_accept:
        fields = {"code", "statusCode"}
    envelope = answer.json
    (field,) = envelope.keys() - {"error", "message"}
    assert field in fields
    assert envelope[field] == answer.status
    for name in ("error", "message"):
        assert isinstance(envelope[name], str)
        assert envelope[name]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(REQUESTS, min_size=1, max_size=8))
@example([Request("POST", "/v2/devices/mine/output", "", "all", [], b'{"a":' * 10_000, 1)])
@example([Request("POST", "/devices/mine/output", "", "all", [], b'{"percent":' + b"9" * 400 + b"}", 1)])
@example([Request("POST", "/devices/mine/output", "", "all", [], b" " * 65_537, 2)])
@example([Request("GET", "/v1/devices/%ff", "", "all", [], b"", 1)])
def test_any_request_is_answered_in_its_envelope(requests: list[Request]) -> None:
    async def run() -> None:
        async with site(limit=LIMIT) as there:
            for device_id, user_id in BITS.items():
                await there.registry.add(device_id, user_id=user_id, is_connected=device_id != "theirs")
            tasks = asyncio.all_tasks()
            for request in requests:
                answer = await request.send(there)
                assert asyncio.all_tasks() == tasks
                check(request, answer)
            good = Request("GET", "/v2/devices", "", "all", [], b"", 1)
            answer = await good.send(there)
            assert answer.status == 200
            assert {device["user_id"] for device in answer.json} <= {1}
            assert asyncio.all_tasks() == tasks
            assert not any(bit.feed.readers for bit in there.registry.bits.values())

    with nothing_goes_wrong():
        asyncio.run(run())


# Any text

ENCODABLE = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None, max_examples=25)
@given(st.lists(ENCODABLE, max_size=4, unique=True), ENCODABLE.filter(bool))
@example(["\x20", "a\u2028b", "\u202e\u0301", "\ufeff", "\uffff\U0010ffff", "a/../b?#"], "\0\x1b[31m\r\n\u2028\ufeff")
@example(["\0", "a\nb", "\x7f", "\x85", ".", "..", "subscriptions", ""], "\0")
def test_ids_and_labels_are_any_unicode_also_after_a_restart(device_ids: list[str], label: str) -> None:
    """A label may hold anything, control characters as well; an id none of those, and it must fit in a path."""
    able = [item for item in device_ids if item not in {"", ".", "..", "subscriptions"} and not has_control(item)]
    kept = {item: label + item for item in able}

    async def run(path: Path) -> None:
        async with site(path) as there:
            headers = [("Authorization", there.tokens["all"].encode())]
            for device_id in device_ids:
                target, body = f"/devices/{segment(device_id)}", json.dumps({"label": label + device_id}).encode()
                answer = await ask(there.app, "POST", target, headers=headers, body=[body])
                assert answer.status == 201 if device_id in kept else answer.status in {400, 405}
            for bad in (
                b'{"label":"\\ud800"}',
                b'{"update":{"label":"x\\udfff"}}',
                b"label=%ED%A0%80",
                b'{"label":"\xed\xa0\x80"}',
            ):
                for target in (
                    f"/devices/{segment(able[0])}" if able else "/devices/x",
                    "/devices/y",
                    "/devices/%ED%A0%80",
                ):
                    assert (await ask(there.app, "POST", target, headers=headers, body=[bad])).status == 400
            assert await labels(there) == kept
        async with site(path) as there:
            assert await labels(there) == kept
            headers = [("Authorization", there.tokens["all"].encode())]
            for device_id in able:
                answer = await ask(there.app, "GET", f"/v1/devices/{segment(device_id)}/", headers=headers)
                assert (answer.json["id"], answer.json["label"]) == (device_id, kept[device_id])

    with tempfile.TemporaryDirectory() as folder:
        with nothing_goes_wrong():
            asyncio.run(run(Path(folder, "cloud.db")))


def has_control(text: str) -> bool:
    return any(unicodedata.category(character) == "Cc" for character in text)


async def labels(there: Site) -> dict[str, str]:
    answer = await ask(there.app, "GET", "/devices", headers=[("Authorization", there.tokens["all"].encode())])
    return {device["id"]: device["label"] for device in answer.json}


# Any history

HOOK: Final = "http://127.0.0.1:9/hook"
DEVICE_IDS: Final = ("a", "b", "c/ü", "\U0001f39b")
WHO = st.tuples(st.sampled_from([1, 1, 1, 2]), st.sampled_from(["all"] * 5 + [*SCOPES]))
WHICH = st.sampled_from([*DEVICE_IDS, *DEVICE_IDS[:2]])
VERSION = st.sampled_from([1, 2, 3])


@define
class Device:
    """What the model knows of a device."""

    owner: int | None
    label: str = "cloudbit"
    interval: int = 250
    shown: float = 0.0


class History(RuleBasedStateMachine):
    """Two users with tokens of all scopes, and a model in plain Python of what they may do and have done."""

    def __init__(self) -> None:
        super().__init__()
        self.devices: dict[str, Device] = {}
        self.subscriptions: dict[tuple[str, str], list[str]] = {}
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "cloud.db")
        self.runner = asyncio.Runner()
        self.tokens: dict[tuple[int, str], str] = {}
        self.open()
        registry = self.site.registry
        for user_id in (1, 2):
            for name in ("all", *SCOPES):
                scopes = SCOPES if name == "all" else (name,)
                self.tokens[user_id, name] = self.runner.run(registry.tokens.create(scopes, user_id))

    @initialize()
    def begin(self) -> None:
        for user_id, device_id in ((1, "a"), (1, "b"), (2, "c/ü")):
            self.change(who=(user_id, "admin"), device_id=device_id, version=2, update={}, wraps=False, activates=True)

        self.subscribe(
            who=(1, "read"), publisher_id="a", subscriber_id="b", version=2, events=["amplitude"], is_below=False
        )
        self.subscribe(who=(1, "read"), publisher_id="b", subscriber_id=HOOK, version=2, events=None, is_below=False)

    def open(self) -> None:
        self.context = site(self.path)
        self.site = self.runner.run(_coroutine(self.context.__aenter__()))

    def close(self) -> None:
        self.runner.run(_coroutine(self.context.__aexit__(None, None, None)))

    def teardown(self) -> None:
        """See all of it once more, in a whole cloud."""
        try:
            self.close()
            self.runner.run(self.see_cloud())
        finally:
            self.runner.close()
            self.folder.cleanup()

    async def see_cloud(self) -> None:
        async with LocalCloud(self.path, allow_private_webhooks=True) as cloud:
            assert {bit.id: bit.user_id for bit in cloud.devices.values()} == {
                device_id: device.owner for device_id, device in self.devices.items()
            }
            hooks = {(item.publisher_id, item.url) for item in cloud.webhooks}
            assert hooks == {pair for pair in self.subscriptions if pair[1] == HOOK}

    def ask(self, who: tuple[int, str], method: str, target: str, body: object = None) -> Answer:
        headers = [("Authorization", self.tokens[who].encode()), ("Content-Type", b"application/json")]
        content = [] if body is None else [json.dumps(body).encode()]
        return self.runner.run(ask(self.site.app, method, target, headers=headers, body=content))

    def refusal(self, who: tuple[int, str], scope: str, *device_ids: str) -> int | None:
        """What a call about devices that must be one's own is refused with."""
        if who[1] not in {"all", scope}:
            return 403
        for device_id in device_ids:
            device = self.devices.get(device_id)
            if device is None or device.owner is None:
                return 404
            if device.owner != who[0]:
                return 403
        return None

    @rule(
        who=WHO,
        device_id=WHICH,
        version=VERSION,
        update=st.fixed_dictionaries(
            {}, optional={"label": ENCODABLE, "input_interval_ms": st.sampled_from([199, 200, 1000, "750"])}
        ),
        wraps=st.booleans(),
        activates=st.booleans(),
    )
    def change(
        self,
        *,
        who: tuple[int, str],
        device_id: str,
        version: int,
        update: dict[str, Any],
        wraps: bool,
        activates: bool,
    ) -> None:
        method, good = ("POST", 201) if activates else ("PUT", 200)
        body = {"update": update} if wraps else update
        answer = self.ask(who, method, f"/v{version}/devices/{segment(device_id)}", body)
        is_bad = update.get("label") == "" or update.get("input_interval_ms") == 199
        known = self.devices.get(device_id)
        if activates:
            refusal = self.refusal(who, "admin") or (400 if is_bad else None)
            if refusal is None and known is not None and known.owner not in {None, who[0]}:
                refusal = 403
        else:
            refusal = self.refusal(who, "admin", device_id) or (400 if is_bad else None)
        assert answer.status == (refusal or good)
        if refusal is None:
            device = self.devices.setdefault(device_id, Device(who[0]))
            device.owner = who[0]
            device.label = update.get("label", device.label)
            device.interval = int(update.get("input_interval_ms", device.interval))
            assert (answer.json["label"], answer.json["input_interval_ms"]) == (device.label, device.interval)

    @rule(who=WHO, device_id=WHICH, version=VERSION)
    def deactivate(self, who: tuple[int, str], device_id: str, version: int) -> None:
        answer = self.ask(who, "DELETE", f"/v{version}/devices/{segment(device_id)}")
        refusal = self.refusal(who, "admin", device_id)
        assert answer.status == (refusal or 200)
        if refusal is None:
            self.devices[device_id] = Device(owner=None)
            self.subscriptions = {pair: item for pair, item in self.subscriptions.items() if device_id not in pair}

    @rule(
        who=WHO,
        publisher_id=WHICH,
        subscriber_id=WHICH | st.just(HOOK),
        version=VERSION,
        events=st.none() | st.lists(st.sampled_from(EVENTS), min_size=1, max_size=3, unique=True),
        is_below=st.booleans(),
    )
    def subscribe(
        self,
        *,
        who: tuple[int, str],
        publisher_id: str,
        subscriber_id: str,
        version: int,
        events: list[str] | None,
        is_below: bool,
    ) -> None:
        body: dict[str, Any] = {"subscriber_id": subscriber_id}
        if events is not None:
            body["events" if version == 1 else "publisher_events"] = events
        path = f"/devices/{segment(publisher_id)}/subscriptions" if is_below else "/subscriptions"
        if not is_below:
            body["publisher_id"] = publisher_id
        answer = self.ask(who, "POST", f"/v{version}{path}", body)
        ends = [publisher_id] if subscriber_id == HOOK else [publisher_id, subscriber_id]
        refusal = self.refusal(who, "read", *ends)
        assert answer.status == (refusal or 201)
        if refusal is None:
            self.subscriptions[publisher_id, subscriber_id] = events or ["amplitude:delta:ignite"]

    @rule(who=WHO, publisher_id=WHICH, subscriber_id=WHICH | st.just(HOOK), is_form=st.booleans())
    def unsubscribe(self, *, who: tuple[int, str], publisher_id: str, subscriber_id: str, is_form: bool) -> None:
        pair = (publisher_id, subscriber_id)
        fields = {"publisher_id": publisher_id, "subscriber_id": subscriber_id}
        headers = [("Authorization", self.tokens[who].encode())]
        body = urlencode(fields).encode() if is_form else json.dumps(fields).encode()
        answer = self.runner.run(ask(self.site.app, "DELETE", "/subscriptions", headers=headers, body=[body]))
        refusal = self.refusal(who, "read")
        if refusal is None and not (pair in self.subscriptions and self.devices[publisher_id].owner == who[0]):
            refusal = 404
        assert answer.status == (refusal or 200)
        if refusal is None:
            del self.subscriptions[pair]

    @rule(who=WHO, device_id=WHICH, version=VERSION, percent=st.integers(0, 100), is_on_line=st.booleans())
    def output(self, *, who: tuple[int, str], device_id: str, version: int, percent: int, is_on_line: bool) -> None:
        refusal = self.refusal(who, "write", device_id)
        bit = self.site.registry.bits.get(device_id)
        is_told = refusal is None and is_on_line and bit is not None
        if is_told and bit is not None:
            self.runner.run(bit.set_connected(True))
        body = {"duration_ms": -1, **({"amount": f"{percent}%"} if version == 1 else {"percent": str(percent)})}
        answer = self.ask(who, "POST", f"/v{version}/devices/{segment(device_id)}/output", body)
        if refusal is None and version == 1 and not is_on_line:
            refusal = 404
        assert answer.status == (refusal or 200)
        if is_told and bit is not None:
            self.devices[device_id].shown = percent
            self.runner.run(bit.set_connected(False))

    @rule()
    def restart(self) -> None:
        self.close()
        self.open()

    @invariant()
    def is_as_the_model_says(self) -> None:
        for user_id in (1, 2):
            mine = {device_id: device for device_id, device in self.devices.items() if device.owner == user_id}
            found = self.ask((user_id, "read"), "GET", "/v2/devices").json
            assert [device["id"] for device in found] == list(mine)
            for device in found:
                known, device_id = mine[device["id"]], device["id"]
                assert (device["label"], device["input_interval_ms"]) == (known.label, known.interval)
                assert (device["user_id"], device["is_connected"]) == (user_id, False)
                for side, place in (("subscribers", 0), ("subscriptions", 1)):
                    links = {pair: events for pair, events in self.subscriptions.items() if pair[place] == device_id}
                    assert _by_pair(device[side], lambda events: [event["name"] for event in events]) == links
            listed = self.ask((user_id, "read"), "GET", "/v3/subscriptions").json
            assert _by_pair(listed, list) == {
                pair: item for pair, item in self.subscriptions.items() if pair[0] in mine
            }
        for device_id, bit in self.site.registry.bits.items():
            assert bit.shown == self.devices[device_id].shown


def _by_pair(items: list[dict[str, Any]], read: Callable[[Any], list[str]]) -> dict[tuple[str, str], list[str]]:
    return {(item["publisher_id"], item["subscriber_id"]): read(item["publisher_events"]) for item in items}


async def _coroutine(work: Awaitable[T]) -> T:
    return await work


TestHistory = History.TestCase
TestHistory.settings = settings(deadline=None, max_examples=25, stateful_step_count=30)
