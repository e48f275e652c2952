"""What the cloud does where nobody says otherwise, as the documents and records have it."""

import inspect

import pytest

from littlebits_async.localcloud import LocalCloud
from littlebits_async.localcloud.answers import Refusal
from littlebits_async.localcloud.bits import DEFAULT_INTERVAL_MS, Bit
from littlebits_async.localcloud.dialects import DIALECTS
from littlebits_async.localcloud.server import Server, listen
from littlebits_async.localcloud.ticker import Ticker


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (406, "Not Acceptable"),
        (413, "Request Entity Too Large"),
        (429, "Too Many Requests"),
        (500, "Internal Server Error"),
    ],
)
def test_an_error_is_called_the_same_on_every_python(status: int, error: str) -> None:
    assert Refusal(status, "no").error == error


@pytest.mark.parametrize(("version", "seconds"), [(1, 0.5), (2, 3), (3, 3)])
def test_an_output_that_names_no_duration_is_a_pulse(version: int, seconds: float) -> None:
    now = 1000.0
    bit = Bit("a", Ticker(lambda: now), blank_line_every=10)
    bit.show(100, DIALECTS[version].default_duration_ms)
    now += seconds - 0.001
    assert bit.shown == 100
    now += 0.001
    assert bit.shown == 0


def test_a_silent_stream_gets_a_blank_line_every_10_seconds() -> None:
    assert inspect.signature(LocalCloud).parameters["blank_line_every"].default == 10


def test_a_bit_is_read_every_250_ms() -> None:
    assert Bit("a", Ticker(), blank_line_every=10).input_interval_ms == DEFAULT_INTERVAL_MS == 250
    assert inspect.signature(LocalCloud.add_device).parameters["input_interval_ms"].default == 250


def test_an_idle_connection_is_kept_75_seconds() -> None:
    async def app(*_: object) -> None: ...

    with listen("127.0.0.1", 0) as listener:
        server = Server(lambda _: app, listener)
        assert vars(server)["_uvicorn"].config.timeout_keep_alive == 75
