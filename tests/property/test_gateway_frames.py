"""The codecs of real bits' frames and packets, on anything that may come."""

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from littlebits_async.localcloud import Light
from littlebits_async.localcloud.gateway import _frames as frames
from littlebits_async.localcloud.gateway import _packets as packets
from littlebits_async.localcloud.gateway._connection import Allowance
from littlebits_async.localcloud.gateway._frames import BadFrameError, Identity, Input, InputScale, parse_mac

macs = st.binary(min_size=6, max_size=6).map(bytes.hex)
percents = st.floats(0, 100)
values = st.integers(0, 65535)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
anything = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
almost_frames = st.fixed_dictionaries(
    {"opcode": st.sampled_from([1, 2, 3, 240, 241, 242, 243, 244, 1.0, True]) | anything},
    optional={
        "data": st.dictionaries(st.sampled_from(["value", "button"]), anything) | anything,
        "stats": st.dictionaries(st.text(), anything),
        "mac_address": macs | anything,
        "cb_id": anything,
    },
)


@given(almost_frames.map(json.dumps) | anything.map(json.dumps) | st.text() | st.binary())
def test_a_frame_is_read_or_refused_and_nothing_else(text: str | bytes) -> None:
    with contextlib.suppress(BadFrameError):
        frame = frames.read(text)
        if isinstance(frame, Input):
            assert 0 <= frame.value <= 65535


@given(values)
def test_every_input_is_read_as_it_was_sent(value: int) -> None:
    assert frames.read(f'{{"data":{{"value":{value}}},"opcode":1}}') == Input(value)


@given(macs, st.sampled_from(["", ":", "-"]), st.booleans())
def test_every_bit_is_known_by_its_address_however_that_is_written(mac: str, between: str, upper: bool) -> None:  # noqa: FBT001 - drawn
    text = between.join(mac[at : at + 2] for at in range(0, 12, 2))
    text = text.upper() if upper else text
    assert parse_mac(text) == mac
    assert frames.read(json.dumps({"opcode": 3, "mac_address": text, "cb_id": ""})) == Identity(mac, "")


@given(percents)
def test_every_output_is_one_that_the_firmware_takes(percent: float) -> None:
    frame = json.loads(frames.output(percent))
    assert type(frame["data"]["value"]) is int
    assert 0 <= frame["data"]["value"] <= 65535
    assert abs(frame["data"]["value"] / 65535 * 100 - percent) <= 100 / 65535


@given(macs, values, st.booleans())
def test_every_report_of_a_localbit_is_read_as_it_was_sent(mac: str, value: int, down: bool) -> None:  # noqa: FBT001 - drawn
    packet = bytes.fromhex(mac) + bytes([0, down]) + value.to_bytes(2, "big")
    report = packets.read(packet)
    assert (report.mac, report.is_button_down) == (mac, down)
    assert round(report.percent / 100 * 65535) == value


@given(macs, percents, st.none() | st.builds(Light, st.none() | st.sampled_from(["red", "cyan", "clownbarf"])))
def test_every_command_to_a_localbit_has_ten_bytes_and_begins_with_its_address(
    mac: str, percent: float, light: Light | None
) -> None:
    packet = packets.command(mac, percent, light)
    assert len(packet) == 10
    assert packet.startswith(bytes.fromhex(mac))
    assert packet[7] == 0x80
    assert abs(int.from_bytes(packet[8:], "big") / 65535 * 100 - percent) <= 100 / 65535


@given(st.lists(values, min_size=1))
def test_an_input_is_never_out_of_range_and_order_is_kept_once_the_range_is_known(said: list[int]) -> None:
    scale = InputScale()
    assert all(0 <= scale.percent(value) <= 100 for value in said)
    if max(said) > 255:
        assert sorted(said) == sorted(said, key=scale.percent)


@given(st.lists(st.floats(0, 0.3), min_size=1, max_size=200), st.integers(1, 9), st.integers(1, 20))
def test_an_allowance_never_gives_more_than_it_has(waits: list[float], per_second: int, at_once: int) -> None:
    allowance = Allowance(per_second=per_second, at_once=at_once)
    now, given_out = 0.0, 0
    for wait in waits:
        now += wait
        given_out += allowance.take(now)
        assert given_out <= at_once + now * per_second + 1e-6
