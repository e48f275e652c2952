"""Values of options as people write them, and say them again."""

from typing import cast

import pytest
from cyclopts import App, CycloptsError

from littlebits_async import FOREVER
from littlebits_async.cli._values import Duration, Percent, span


def make_app(*, annotation: object) -> App:
    """A command of one argument."""

    def command(value: object) -> object:
        return value

    command.__annotations__["value"] = annotation
    app = App(exit_on_error=False, print_error=False, result_action="return_value")
    app.default(command)
    return app


def parse(annotation: object, text: str) -> object:
    return cast("object", make_app(annotation=annotation)([text]))


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("500ms", 500), ("2s", 2000), ("1.5 s", 1500), ("0s", 0), ("32s", 32000), ("Forever", FOREVER), ("0.2ms", 0)],
)
def test_a_duration(text: str, milliseconds: int) -> None:
    assert parse(Duration, text) == milliseconds


@pytest.mark.parametrize("text", ["5", "-1", "33s", "2m", "s", "", "1e3s", "forever!"])
def test_no_duration(text: str) -> None:
    with pytest.raises(CycloptsError, match=r"500ms, 2s, or forever|32s at most, or forever"):
        parse(Duration, text)


@pytest.mark.parametrize(("text", "percent"), [("0", 0), ("40", 40), ("40%", 40), ("12.5 %", 12.5), ("100", 100)])
def test_a_percentage(text: str, percent: float) -> None:
    assert parse(Percent, text) == percent


@pytest.mark.parametrize("text", ["-3", "101", "nan", "inf", "half", "4 0", "%"])
def test_no_percentage(text: str) -> None:
    with pytest.raises(CycloptsError, match="a number from 0 to 100"):
        parse(Percent, text)


def test_a_duration_said_again() -> None:
    assert [span(milliseconds) for milliseconds in (FOREVER, 0, 84, 500, 2000)] == [
        *("until the next", "for 0 s", "for 84 ms", "for 0.5 s", "for 2 s")
    ]
