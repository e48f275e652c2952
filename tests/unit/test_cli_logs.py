"""Log records as lines."""

import logging
import subprocess
import sys

import pytest

from littlebits_async.cli._logs import Lines, structured
from littlebits_async.localcloud.access import Answered

START = r"^time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "


def record(message: object, *arguments: object, level: int = logging.WARNING, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("a.b", level, "", 0, message, arguments, None)
    vars(made).update(more)
    return made


def test_a_record_is_pairs_with_its_time() -> None:
    line = structured(record('it "%s"\nfailed', "ü", created=1_700_000_000.1234))
    assert line == r'time=2023-11-14T22:13:20.123Z level=warning logger=a.b message="it \"ü\" failed"'


def test_a_whole_second_has_its_milliseconds_too() -> None:
    assert structured(record("x", created=1_700_000_000.0)).startswith("time=2023-11-14T22:13:20.000Z ")


def test_a_request_brings_its_own_pairs() -> None:
    answered = Answered(method="GET", path="/ping", version=2, status=None, ms=1.25, user_id=None)
    line = structured(record(answered, level=logging.INFO))
    assert line.split(" ", 2)[2] == "method=GET path=/ping version=2 status=- ms=1.2 user=-"


def test_an_error_is_named_with_its_place_and_not_its_text() -> None:
    with pytest.raises(ValueError, match="secret") as caught:
        int("a secret")
    error = caught.value
    line = structured(record("failed", exc_info=(type(error), error, error.__traceback__)))
    assert line.endswith(f' message="failed" error=ValueError at=test_cli_logs.py:{caught.traceback[-1].lineno + 1}')


def test_warnings_that_repeat_are_counted_and_requests_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(lambda item: f"{item.levelname} {item.getMessage()}")
    for item in (*[record("full")] * 3, *[record("GET", level=logging.INFO)] * 2, record("full")):
        lines.handle(item)
    lines.flush()
    assert capsys.readouterr().err.splitlines() == [
        *("WARNING full", "WARNING (the same 2 times more)", "INFO GET", "INFO GET", "WARNING full"),
    ]


def test_who_reads_no_more_breaks_nothing() -> None:
    code = (
        "import os, sys\nfrom littlebits_async.cli import _logs\n"
        "import logging\n"
        "_logs.log_structured('info')\n"
        "ours, theirs = os.pipe(); os.close(ours); os.dup2(theirs, 2)\n"
        "logging.getLogger('littlebits_async.x').info('hello')\n"
        "os.dup2(1, 2)\n"
        "print('still here')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "still here")


@pytest.mark.parametrize(("level", "heard"), [("debug", "abcd"), ("info", "bcd"), ("warning", "cd"), ("error", "d")])
def test_a_level_is_for_this_package_and_others_only_warn(level: str, heard: str) -> None:
    code = (
        "import logging, sys\nfrom littlebits_async.cli import _logs\n"
        f"_logs.log_structured({level!r})\n"
        "for name in ('littlebits_async.x', 'httpcore'):\n"
        "    for text in 'abcd': logging.getLogger(name).log(10 * 'abcd'.index(text) + 10, text)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    ours = [line[-2] for line in lines if "littlebits_async.x" in line]
    theirs = [line[-2] for line in lines if "httpcore" in line]
    assert ("".join(ours), "".join(theirs)) == (heard, "cd")
