"""Tables and progress: for a terminal, for a pipe, as JSON."""

import io
import json
import re
from typing import TextIO

import pytest

from littlebits_async.cli import _progress, _tables
from littlebits_async.cli._output import Printer
from littlebits_async.cli._progress import ProgressLines, choose_progress, waits
from littlebits_async.cli._tables import Column, print_table
from littlebits_async.cli._terminal import is_screen

Row = tuple[str, float]
ROWS: list[Row] = [("kitchen lamp\x1b[2J", 61.0), ("dimmer", 0.0)]
COLUMNS = (
    Column[Row]("label", lambda row: row[0], style="bold"),
    Column[Row]("input", lambda row: row[1], style="cyan"),
    Column[Row]("percent", lambda row: f"{row[1]:.0f} %", justify="right"),
    Column[Row]("more", lambda _: "more", needs=70),
)


def screen(_: TextIO) -> bool:
    return True


def show(capsys: pytest.CaptureFixture[str], *, as_json: bool = False) -> str:
    print_table(Printer(as_json), COLUMNS, ROWS, lambda row: {"row": {"label": row[0]}})
    return capsys.readouterr().out


def test_in_a_pipe_it_is_aligned_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert show(capsys).splitlines() == [
        "label             percent  more",
        "kitchen lamp\ufffd[2J     61 %  more",
        "dimmer                0 %  more",
    ]


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    labels = [json.loads(line)["row"]["label"] for line in show(capsys, as_json=True).splitlines()]
    assert labels == ["kitchen lamp\x1b[2J", "dimmer"]


def test_of_no_rows_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(Printer(as_json=False), COLUMNS, [], lambda _: {})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_on_a_terminal_it_fits_and_draws_bars(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_tables, "is_screen", screen)
    monkeypatch.setenv("COLUMNS", str(width))
    header, lamp, dimmer = show(capsys).splitlines()
    assert ("more" in header) == (width >= 70)
    assert "█" in lamp
    assert "█" not in dimmer
    assert "\ufffd[2J" in lamp
    assert all(len(line) <= width for line in (header, lamp, dimmer))


def test_a_terminal_that_cannot_move_its_cursor_is_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    assert not is_screen(stream)
    monkeypatch.setattr(stream, "isatty", lambda: True)
    for term, drawn in [("xterm", True), ("dumb", False), ("unknown", False)]:
        monkeypatch.setenv("TERM", term)
        assert is_screen(stream) is drawn


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_tell_when_a_wait_begins_and_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = ProgressLines("output", clock=clock)
    for now, done, total, wait in [
        (0.5, 0, 0, 0.0),
        (1.0, 3, 9, 12.0),  # a wait begins
        (2.0, 3, 9, 11.0),
        (9.0, 4, 9, 0.0),
        (11.0, 5, 9, 0.0),  # ten seconds after the last line
        (12.0, 5, 9, 3.0),  # another
    ]:
        clock.now = now
        progress.show(done, total, wait)
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.splitlines() == [
        "littlebits: output: 3 of 9 done; waits 12 s for the hour's requests",
        "littlebits: output: 5 of 9 done",
        "littlebits: output: 5 of 9 done; waits 3.0 s for the hour's requests",
    ]


def test_a_wait_before_anything_is_known_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    ProgressLines("output").show(0, 0, 3540.0)
    assert capsys.readouterr().err == "littlebits: output: waits 59 min for the hour's requests\n"
    assert waits(0.3) == ""


def test_beside_json_there_is_no_progress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "is_screen", screen)
    with choose_progress("output", Printer(as_json=True)) as progress:
        progress.show(1, 2, 30.0)
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_it_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(_progress, "is_screen", screen)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "90")
    with choose_progress("output", Printer(as_json=False)) as progress:
        progress.show(3, 9, 30.0)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    assert re.search(r"output ━+╺━+ 3/9 waits 30 s for the hour's requests", text)
