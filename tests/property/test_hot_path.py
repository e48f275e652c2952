"""What is read fast is what is read slowly: of any data the same event, or the same error."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Final, cast

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from littlebits_async import wire
from littlebits_async.errors import LittleBitsError
from littlebits_async.localcloud.readings import Reading
from littlebits_async.models import AccessPoint, InputEvent
from littlebits_async.wire import _events  # pyright: ignore[reportPrivateUsage]
from littlebits_async.wire._common import read_common  # pyright: ignore[reportPrivateUsage]
from tests.spec_messages import event_data

BIT: Final = "00e04c0379bb"
STREAM: Final = "00e04c000000"
TIME: Final = 1437400000123

# Source: wire-facts section 6, the fields of 2014 and 2015 (values made up).
OLDER: Final = {
    "type": "input",
    "timestamp": TIME,
    "percent": 69,
    "absolute": 709,
    "name": "amplitude",
    "payload": {"percent": 69, "absolute": 709},
    "from": {
        "user": {"id": 4242},
        "device": {
            "id": BIT,
            "mac": BIT,
            "device": "littlebits-module-cloud",
            "setup_version": "1.0",
            "protocol_version": "1.1.0",
            "firmware_version": "1.0.140820b",
            "hash": "5ecret",
            "ap": {"ssid": "home", "mac": "C0:FF:EE:00:00:01", "strength": 81},
            "settings": {"label": "cloudbit"},
        },
        "server": {"id": "x1"},
    },
}
# Source: wire-facts section 6, "missing in docs of Nov 2014".
OLDEST: Final = {"type": "input", "timestamp": TIME, "percent": 69, "absolute": 709, "from": OLDER["from"]}


def streamed(reading: Reading) -> bytes:
    return reading.event().removeprefix(b"data:").rstrip()


RECORDED: Final = [
    event_data("blog/input-event.sse"),
    streamed(Reading.of(69.3, device_id=BIT, user_id=1, timestamp_ms=TIME)),
    json.dumps(OLDER).encode(),
    json.dumps(OLDEST).encode(),
]


@pytest.mark.parametrize("data", RECORDED)
def test_every_record_of_a_stream_is_read_fast(data: bytes) -> None:
    assert isinstance(read_common(data), InputEvent)
    assert read_common(data.decode()) == read_common(data) == SLOW.read(data)


def test_what_is_read_fast_is_all_there() -> None:
    assert read_common(json.dumps(OLDER)) == InputEvent(
        device_id=BIT,
        timestamp_ms=TIME,
        percent=69.0,
        absolute=709,
        name="amplitude",
        user_id=4242,
        mac=BIT,
        ap=AccessPoint("home", "C0:FF:EE:00:00:01", 81),
    )


FAST: Final = wire.inputs(STREAM)
SLOW: Final = attrs.evolve(FAST, answer=partial(_events._read_any, device_id=STREAM))  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


def outcome(call: wire.Call[InputEvent | None], data: bytes | str) -> str:
    """What came of it, to the last bit: repr tells 1 from 1.0 and True, and 0.0 from -0.0."""
    try:
        return repr(call.read(data))
    except LittleBitsError as error:
        return f"{error!r} {vars(error)} {error.__cause__!r} {error.__context__!r}"


def check(data: bytes | str) -> None:
    assert outcome(FAST, data) == outcome(SLOW, data)


# JSON as it stands in a message: a value is its text, or the members of an object, keys as their text and repeated ones
# as often as they occur.
Members = list[tuple[str, "Value"]]
Value = str | Members

TOKENS: Final = [
    *("null", "true", "false", "[]", "{}", "[1]", '[{"id":"x"}]', '{"id":"x"}', '{"label":1}'),
    *("0", "-0", "0.0", "-0.0", "1", "-1", "0.5", "69.0", "6.9e1", "100", "100.0", "100.1", "1023", "1024", "1e2"),
    *("99.99999999999999999999999", "100.00000000000000000000001", "1e-400", "1e308", "1e309", "-1e400", "1E400"),
    *("253402300799999", "253402300800000", "1437400000123.5", "9007199254740993", "18446744073709551616"),
    *(str(2**63 - 1), str(2**63), str(-(2**63) - 1), "1" * 19, "1" * 25, "9" * 400, "1" * 4301, "-" + "9" * 400),
    *("01", "1.", ".5", "+1", "1e", "-", "NaN", "Infinity", "-Infinity", "nul", "undefined", "0x10", "1_000", "'x'"),
    *('""', '" "', '"x"', '"69"', '"1023"', '"input"', '"amplitude"', '"output"', '"INPUT"', '"ignite"', '"null"'),
    *(
        r'"\u0069nput"',
        r'"\ud83d"',
        r'"\ude00\ud83d"',
        r'"\ud83d\ude00"',
        r'"\u0000"',
        r'"\x41"',
        r'"\"',
        '"\t"',
        '"é"',
    ),
    *('"�"', '"\ud83d"', '"', "", "[" * 50 + "]" * 50, "[" * 2000, "1 1", "1,"),
]
NAMES: Final = [
    *("type", "timestamp", "percent", "absolute", "name", "payload", "from", "device_id", "bit_id", "user_id", "id"),
    *("user", "device", "server", "mac", "ap", "ssid", "strength", "hash", "settings", "label", "delta", "level"),
    *("seq", "", "Type", "from_", "source", r"\u0074ype", r"\u0070ercent", "x\ud83dy", r"\ud800", "\n"),
]


def parsed(data: bytes) -> Value:
    def value(found: object) -> Value:
        if isinstance(found, dict):
            return [(name, value(inner)) for name, inner in cast("dict[str, object]", found).items()]
        return json.dumps(found)

    return value(json.loads(data))


def written(value: Value) -> str:
    if isinstance(value, str):
        return value
    return "{" + ",".join(f'"{name}":{written(inner)}' for name, inner in value) + "}"


def objects(value: Value) -> Iterator[Members]:
    if not isinstance(value, str):
        yield value
        for _, inner in value:
            yield from objects(inner)


def changes(members: Members) -> Iterator[Members]:
    """All that may be wrong with one object, one thing at a time."""
    for place, (name, value) in enumerate(members):
        before, after = members[:place], members[place + 1 :]
        yield before + after
        for token in TOKENS:
            yield [*before, (name, token), *after]
            yield [*before, (name, token), (name, value), *after]
            yield [*before, (name, value), *after, (name, token)]
        for other in NAMES:
            yield [*before, (other, value), *after]
    for name in NAMES:
        for token in ("null", "1", '"x"', "{}", "1e400", r'"\ud83d"'):
            yield [*members, (name, token)]
    for token in TOKENS:
        yield [("seq", token), *members]


@pytest.mark.parametrize("record", RECORDED)
def test_one_thing_wrong_makes_no_difference(record: bytes) -> None:
    event = parsed(record)
    for members in objects(event):
        right = members.copy()
        for wrong in changes(right):
            members[:] = wrong
            check(written(event))
        members[:] = right
    assert written(event) == written(parsed(record))


@pytest.mark.parametrize("record", RECORDED)
def test_a_cut_or_a_byte_more_makes_no_difference(record: bytes) -> None:
    for place in range(len(record) + 1):
        check(record[:place])
        for more in (
            b" ",
            b"\n",
            b"\0",
            b"\xff",
            b"\xed\xa0\x80",
            b"\xef\xbb\xbf",
            b"\\",
            b'"',
            b"1",
            b".",
            b"-",
            b"e9",
        ):
            data = record[:place] + more + record[place:]
            check(data)
            check(data.decode(errors="replace"))


@st.composite
def messages(draw: st.DrawFn) -> str:
    """A message with several things wrong."""
    event = parsed(draw(st.sampled_from(RECORDED)))
    names = st.sampled_from(NAMES) | st.text(max_size=3).map(lambda text: json.dumps(text)[1:-1])
    tokens = (
        st.sampled_from(TOKENS) | st.integers().map(str) | st.floats().map(str) | st.text(max_size=5).map(json.dumps)
    )
    for _ in range(draw(st.integers(0, 4))):
        members = draw(st.sampled_from(list(objects(event))))
        place = draw(st.integers(0, len(members)))
        end = draw(st.integers(place, min(place + 1, len(members))))
        inner = draw(tokens) if draw(st.booleans()) else parsed(draw(st.sampled_from(RECORDED)))
        name = members[place][0] if end > place and draw(st.booleans()) else draw(names)
        members[place:end] = draw(st.sampled_from([[], [(name, inner)]]))
    return written(event)


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(messages(), st.booleans())
def test_several_things_wrong_make_no_difference(message: str, as_bytes: bool) -> None:  # noqa: FBT001
    check(message.encode(errors="surrogatepass") if as_bytes else message)


readings = st.builds(
    Reading,
    device_id=st.text(min_size=1),
    user_id=st.none() | st.integers(0, 2**63 - 1),
    timestamp_ms=st.integers(0, 253_402_300_799_999),
    absolute=st.integers(0, 1023),
)


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(readings)
def test_whatever_a_bit_reads_is_read_fast(reading: Reading) -> None:
    data = streamed(reading)
    check(data)
    event = read_common(data)
    assert event is not None
    assert (event.device_id, event.user_id, event.timestamp_ms) == (
        reading.device_id,
        reading.user_id,
        reading.timestamp_ms,
    )
    assert (event.percent, event.absolute) == (reading.percent, reading.absolute)
