"""What the demo shows, and what it takes for a failure."""

import io

import pytest
from attrs import evolve
from rich.console import Console

from littlebits_async import StreamState
from littlebits_async.cli._demo._snapshot import Follow, Row, Snapshot, Written
from littlebits_async.cli._demo._table import render
from littlebits_async.cli._text import duration, percent, volts


def row(number: int) -> Row:
    return Row(
        device_id=f"00e04{number:07x}",
        label=f"button {number}",
        state=StreamState.WAITING_FOR_BUDGET if number == 2 else StreamState.LIVE,
        events=12,
        rate=4.0,
        percent=100.0,
        volts=5.0,
        seen=0.2,
        shown=61.0,
    )


def snapshot(devices: int) -> Snapshot:
    return Snapshot(
        url="http://127.0.0.1:54321",
        elapsed=3.0,
        rows=tuple(row(number) for number in range(1, devices + 1)),
        follow=Follow("00e040000001", "00e040000002", shown=61.0, followed=True),
        written=Written("00e040000003", 25, shown=25.0, ago=1.0),
        left=1789,
        limit=1800,
    )


def draw(shown: Snapshot, width: int, height: int | None) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(render(shown, width=width, height=height))
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize(("devices", "height"), [(2, 24), (8, 24), (20, 23), (400, 40), (20, 3)])
def test_the_table_fits(devices: int, width: int, height: int) -> None:
    lines = draw(snapshot(devices), width, height)
    assert len(lines) <= max(height, 10)
    assert all(len(line) <= width for line in lines)
    ids = [line.split()[0] for line in lines if line.startswith("00e04") and "follows" not in line]
    left_out = [line for line in lines if line.startswith("and ")]
    assert ids == [f"00e04{number:07x}" for number in range(1, len(ids) + 1)]
    assert left_out == ([] if len(ids) == devices else [left_out[0]])
    assert not left_out or left_out[0].startswith(f"and {devices - len(ids)} more: ")
    assert not any("…" in line for line in lines if line.startswith("00e04") and "waiting" not in line)


def test_the_last_table_is_whole() -> None:
    lines = draw(snapshot(30), 80, None)
    assert all(any(line.startswith(f"00e04{number:07x}") for line in lines) for number in range(1, 31))


def test_what_did_not_happen_is_told() -> None:
    good = snapshot(3)
    assert good.faults == ()
    rows = (good.rows[0], evolve(good.rows[1], events=0), evolve(good.rows[2], events=0))
    bad = evolve(good, rows=rows, follow=evolve(good.follow, followed=False), written=None)
    assert bad.faults == (
        "no event from 00e040000002, 00e040000003",
        "00e040000002 did not follow 00e040000001",
        "no output was written",
    )
    lost = evolve(good, written=Written("00e040000003", 25, shown=0.0, ago=1.0))
    assert lost.faults == ("00e040000003 does not show the 25 % that were written",)


def test_words_and_numbers() -> None:
    assert [duration(seconds) for seconds in (None, 0.04, 9.9, 10.4, 90, 7200)] == [
        *("-", "0.0 s", "9.9 s", "10 s", "2 min", "2 h")
    ]
    assert [percent(None), percent(61.4), volts(None), volts(3.07)] == ["-", "61 %", "-", "3.07 V"]
