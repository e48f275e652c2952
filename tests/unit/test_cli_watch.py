"""What `littlebits watch` shows."""

import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from rich.console import Console

from littlebits_async import Device, InputEvent, InputGap, StreamState, StreamStatus
from littlebits_async.budget import BudgetReport
from littlebits_async.cli._output import Printer
from littlebits_async.cli._watch._lines import LinesView
from littlebits_async.cli._watch._run import Scene
from littlebits_async.cli._watch._table import render, sparkline
from littlebits_async.dashboard import Board

NOW = 1000.0
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_MS = round(NOON.timestamp() * 1000)
REPORT = BudgetReport(
    limit=1800,
    period=3600.0,
    available=1715,
    reserved=180,
    hold=0.0,
    waiting={},
    spent={},
    elsewhere=0,
    next_return=None,
    returns=(),
)


def board_of(number: int, *unwell: int) -> Board:
    """Bits that rise from 0 to 100 percent within the minute; some are backing off."""
    devices = [Device(f"00e04{each:07x}", f"a long label {each}", input_interval_ms=1000) for each in range(number)]
    board = Board(devices)
    for place, device in enumerate(devices):
        for second in range(60):
            board.add(InputEvent(device.id, second * 1000, second / 59 * 100), NOW - 59 + second)
        if place in unwell:
            due = datetime.now(UTC) + timedelta(seconds=90)
            status = StreamStatus(device.id, StreamState.BACKING_OFF, NOON, retry_at=due, reason=f"broken {place}")
        else:
            status = StreamStatus(device.id, StreamState.LIVE, NOON)
        board.note(status, reconnects=place)
    return board


def draw(scene: Scene, width: int, height: int | None) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(render(scene, width=width, height=height))
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize(("devices", "height"), [(2, 24), (8, 24), (30, 23), (400, 40), (20, 3)])
def test_it_fits(devices: int, width: int, height: int) -> None:
    lines = draw(Scene(board_of(devices), NOW, REPORT), width, height)
    assert len(lines) <= max(height, 6)
    assert all(len(line) <= width for line in lines)
    rows = [line for line in lines if line.startswith("a long")]
    left_out = [line for line in lines if line.startswith("and ")]
    assert len(rows) == devices or left_out[0].startswith(f"and {devices - len(rows)} more: {devices - len(rows)} live")
    assert all(("V" in row) == (width >= 50) for row in rows)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_row_tells_of_the_last_minute(width: int) -> None:
    heading, header, row, budget = draw(Scene(board_of(1), NOW, REPORT), width, 24)
    assert heading.startswith("littlebits watch  1 of 1 live  1.0 events/s")
    assert header.split()[0] == "label"
    assert ("id" in header) == (width >= 90)
    assert ("reconnects" in header) == (width >= 100)
    for word in ("live", "100 %", "5.00 V", "1.0", "▁", "▄", "█"):
        assert word in row
    assert row.index("▁") < row.index("▄") < row.index("█")
    assert budget == "1715 of 1800 requests are left this hour"


def test_who_is_unwell_comes_first_where_not_all_fit_and_says_why() -> None:
    board = board_of(20, 15, 17)
    fits = draw(Scene(board, NOW, REPORT), 100, 40)
    assert [line.split()[3] for line in fits if line.startswith("a long label")] == [
        *(str(each) for each in range(20)),
        *("15:", "17:"),
    ]
    short = draw(Scene(board, NOW, REPORT), 100, 12)
    assert [line.split()[3] for line in short if "00e04" in line] == ["15", "17", "0", "1", "2"]
    assert "and 15 more: 15 live, 15.0 events/s" in short
    assert any(re.match(r"a long label 15: again in \d min: broken 15", line) for line in short)
    assert "18 of 20 live" in short[0]


def test_a_gap_is_no_level() -> None:
    board = Board([Device("a")])
    board.note(StreamStatus("a", StreamState.LIVE, NOON))
    board.add(InputEvent("a", 0, 0), NOW - 55)
    board.add(InputGap("a", NOON, NOON, "lost"), NOW - 40)
    for second in (-20, -15, -10, -5, 0):
        board.add(InputEvent("a", 0, 100), NOW + second)
    line = sparkline(board.cards["a"], NOW, 12).plain
    assert len(line) == 12
    assert line.startswith("·▁")
    assert "·" in line[3:7]
    assert line.endswith("███")


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (evolve(REPORT, hold=30.0), "; none for 30 s: the cloud said 429"),
        (evolve(REPORT, available=0, next_return=61.0), "0 of 1800 requests are left this hour; the next in 1 min"),
    ],
)
def test_a_budget_that_is_spent_says_when_there_is_more(report: BudgetReport, said: str) -> None:
    *_, budget = draw(Scene(board_of(1), NOW, report), 100, 24)
    assert said in budget


def test_a_bit_that_the_listing_has_off_line_is_live_with_its_first_event(capsys: pytest.CaptureFixture[str]) -> None:
    board = Board([Device("a", is_connected=False), Device("b", is_connected=None)])
    for device_id in ("a", "b"):
        board.note(StreamStatus(device_id, StreamState.LIVE, NOON))
    heading, _, *rows, _ = draw(Scene(board, NOW, REPORT), 100, 24)
    assert "1 of 2 live" in heading
    assert [row.split()[2] for row in rows] == ["offline", "live"]
    LinesView(Printer(as_json=False)).tell(board, StreamStatus("a", StreamState.LIVE, NOON))
    assert capsys.readouterr().out == "12:00:00 a  offline\n"
    board.add(InputEvent("a", NOON_MS, 61.0), NOW)
    assert "2 of 2 live" in draw(Scene(board, NOW, REPORT), 100, 24)[0]


LABELLED = Board([Device("a", "door\x1b")])
EVENT = InputEvent("a", NOON_MS, 61.0, delta="ignite")
GAP = InputGap("a", NOON, NOON + timedelta(seconds=9), "the server closed the stream")
LIVE = StreamStatus("a", StreamState.LIVE, NOON)


def test_in_lines_it_tells_events_and_what_changes(capsys: pytest.CaptureFixture[str]) -> None:
    view = LinesView(Printer(as_json=False))
    for item in (LIVE, evolve(LIVE, attempt=1), EVENT, GAP, evolve(LIVE, state=StreamState.OFFLINE, reason="gone")):
        if isinstance(item, StreamStatus):
            LABELLED.note(item)
        view.tell(LABELLED, item)
    assert capsys.readouterr().out.splitlines() == [
        "12:00:00 a door\ufffd live",
        "12:00:00 a door\ufffd  61.0 % ignite",
        "12:00:09 a door\ufffd gap of 9.0 s: the server closed the stream",
        "12:00:00 a door\ufffd offline: gone",
    ]


def test_in_json_it_tells_everything(capsys: pytest.CaptureFixture[str]) -> None:
    view = LinesView(Printer(as_json=True))
    for item in (LIVE, EVENT, GAP):
        view.tell(LABELLED, item)
    status, event, gap = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert status["status"] == {
        "device_id": "a",
        "state": "live",
        "since": "2026-01-01T12:00:00+00:00",
        "attempt": 0,
        "retry_at": None,
        "last_event_at": None,
        "reason": "",
    }
    assert (event["event"]["device_id"], event["event"]["percent"]) == ("a", 61.0)
    assert gap["gap"]["until"] == "2026-01-01T12:00:09+00:00"
