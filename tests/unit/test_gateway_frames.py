"""What bits say and are told, byte for byte as in the source code of their firmwares (wire-facts 9)."""

import json

import pytest

from littlebits_async.localcloud import Light
from littlebits_async.localcloud.gateway import _frames as frames
from littlebits_async.localcloud.gateway import _packets as packets
from littlebits_async.localcloud.gateway._connection import Allowance
from littlebits_async.localcloud.gateway._frames import (
    BadFrameError,
    Button,
    Figures,
    Identity,
    Input,
    InputScale,
    Opcode,
    parse_mac,
)
from littlebits_async.localcloud.gateway._packets import BadPacketError, Report

STATS = {
    "cpu_temp_kelvin": None,
    "cpu_usage": 1.5,
    "memory_usage": 2015232,
    "memory_usage_percent": 3.25,
    "total_memory": 62005248,
}


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('{"data":{"value":255},"opcode":1}', Input(255)),
        ('{"opcode":1,"data":{"value":65535}}', Input(65535)),
        ('{"data":{"value":0},"opcode":1}', Input(0)),
        (
            '{"cb_id":"0123abcd","mac_address":"00:E0:4C:00:00:01","opcode":3}',
            Identity("00e04c000001", "0123abcd"),
        ),
        (
            '{"opcode":3,"mac_address":"00e04c000001","cb_id":"ERROR_READING_ID"}',
            Identity("00e04c000001", "ERROR_READING_ID"),
        ),
        ('{"data":{"button":true},"opcode":242}', Button(is_down=True)),
        ('{"data":{"button":false},"opcode":242}', Button(is_down=False)),
        (json.dumps({"opcode": 244, "stats": STATS}, separators=(",", ":")), Figures(STATS)),
        (b'{"data":{"value":7},"opcode":1}', Input(7)),
    ],
)
def test_what_the_firmware_sends_is_read(text: str | bytes, frame: object) -> None:
    assert frames.read(text) == frame


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        "null",
        "{}",
        '{"opcode":1}',
        '{"opcode":1,"data":{}}',
        '{"opcode":1,"data":{"value":-1}}',
        '{"opcode":1,"data":{"value":65536}}',
        '{"opcode":1,"data":{"value":1.5}}',
        '{"opcode":1,"data":{"value":true}}',
        '{"opcode":1,"data":{"value":"7"}}',
        '{"opcode":1,"data":[7]}',
        '{"opcode":"1","data":{"value":7}}',
        '{"opcode":2,"data":{"value":7}}',
        '{"opcode":3,"mac_address":"nobody","cb_id":"x"}',
        '{"opcode":3,"mac_address":"00:E0:4C:00:00:01"}',
        '{"opcode":3,"mac_address":"00:E0:4C:00:00:01","cb_id":"' + "x" * 129 + '"}',
        '{"opcode":242,"data":{"button":1}}',
        '{"opcode":244,"stats":{"cpu_usage":"much"}}',
        '{"opcode":244,"stats":{"cpu_usage":true}}',
        '{"opcode":5}',
        "[" * 4000,
        "9" * 4090,
        b"\xff\xfe",
        b"\x00\xe0\x4c\x00\x00\x01I\x00\x01",
    ],
)
def test_what_no_firmware_sends_is_garbage(text: str | bytes) -> None:
    with pytest.raises(BadFrameError):
        frames.read(text)


@pytest.mark.parametrize(
    ("percent", "text"),
    [
        (0, '{"opcode":2,"data":{"value":0}}'),
        (61, '{"opcode":2,"data":{"value":39976}}'),
        (100, '{"opcode":2,"data":{"value":65535}}'),
    ],
)
def test_an_output_is_unsigned_and_has_16_bits(percent: float, text: str) -> None:
    assert frames.output(percent) == text


@pytest.mark.parametrize(
    ("light", "words"),
    [
        (Light("red", "blink"), "red blink"),
        (Light("cyan", "hold"), "teal hold"),
        (Light("clownbarf"), "clownbarf hold"),
        (Light(None, "blink"), "blink"),
        (None, "green hold"),
    ],
)
def test_a_light_is_told_colour_and_state_under_both_names(light: Light | None, words: str) -> None:
    assert frames.light(light) == f'{{"opcode":240,"led_command":"{words}","commands":"{words}"}}'


def test_button_and_figures_are_asked_for() -> None:
    assert frames.ask(Opcode.ASK_BUTTON) == '{"opcode":241}'
    assert frames.ask(Opcode.ASK_FIGURES) == '{"opcode":243}'


@pytest.mark.parametrize("text", ["00:E0:4C:00:00:01", "00-e0-4c-00-00-01", "00E04C000001"])
def test_a_mac_address_is_read_in_every_spelling(text: str) -> None:
    assert parse_mac(text) == "00e04c000001"


@pytest.mark.parametrize("text", ["", "00:E0:4C:00:00", "00:E0:4C:00:00:0G", "00:E0-4C:00:00:01", "00E04C000001\n"])
def test_what_is_no_mac_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no MAC address"):
        parse_mac(text)


MAC = b"\x00\xe0\x4c\x00\x00\x01"


@pytest.mark.parametrize(
    ("packet", "report"),
    [
        (MAC + b"\x00\x00\x00\x00", Report("00e04c000001", 0, is_button_down=False)),
        (MAC + b"\x00\x01\xff\xff", Report("00e04c000001", 100, is_button_down=True)),
        (MAC + b"\x00\x00\x01\x00", Report("00e04c000001", 256 / 65535 * 100, is_button_down=False)),
    ],
)
def test_a_localbit_s_packet_is_read(packet: bytes, report: Report) -> None:
    assert packets.read(packet) == report


@pytest.mark.parametrize("packet", [b"", MAC, MAC + b"\0\0\0", MAC + b"\0\0\0\0\0", bytes(65507)])
def test_a_packet_of_another_length_is_none(packet: bytes) -> None:
    with pytest.raises(BadPacketError):
        packets.read(packet)


@pytest.mark.parametrize(
    ("percent", "light", "rest"),
    [
        (0, None, b"\x80\x80\x00\x00"),
        (100, Light("green", "hold"), b"\x84\x80\xff\xff"),
        (50, Light("red"), b"\x82\x80\x80\x00"),
        (0, Light("blue"), b"\x81\x80\x00\x00"),
        (0, Light("cyan"), b"\x85\x80\x00\x00"),
        (0, Light("white"), b"\x87\x80\x00\x00"),
        (0, Light(None, "blink"), b"\x00\x80\x00\x00"),
    ],
)
def test_a_localbit_is_told_output_and_light_by_the_bits_of_its_code(
    percent: float, light: Light | None, rest: bytes
) -> None:
    assert packets.command("00e04c000001", percent, light) == MAC + rest


def test_an_input_goes_up_to_255_until_it_says_more() -> None:
    scale = InputScale()
    assert scale.percent(255) == 100
    assert scale.full != 65535
    assert scale.percent(65535) == 100
    assert scale.full == 65535
    assert scale.percent(255) == pytest.approx(255 / 655.35)


def test_an_input_that_was_set_stays_in_its_range() -> None:
    assert InputScale(255).percent(300) == 100
    assert InputScale(65535).percent(255) == pytest.approx(255 / 655.35)


def test_an_allowance_is_so_many_at_once_and_so_many_a_second() -> None:
    allowance = Allowance(per_second=2, at_once=3)
    assert [allowance.take(10) for _ in range(4)] == [True, True, True, False]
    assert [allowance.take(10.5) for _ in range(2)] == [True, False]
    assert [allowance.take(10.4) for _ in range(2)] == [False, False]
    assert [allowance.take(99) for _ in range(4)] == [True, True, True, False]
