"""The README's picture of the demo, and the script that draws it."""

import runpy
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parents[2] / ".github"


def words(svg: str) -> str:
    return " ".join("".join(node.itertext()) for node in ET.fromstring(svg).findall(".//{*}text"))  # noqa: S314 - ours


def test_the_script_draws_what_was_left_in_the_terminal() -> None:
    draw: Callable[[str], str] = runpy.run_path(str(FOLDER / "capture_demo.py"))["draw"]
    svg = draw("\x1b[1mlittlebits demo\x1b[0m  8 bits\n\x1b[32mlive\x1b[0m\n")
    assert words(svg).replace("\xa0", " ").split() == ["littlebits", "demo", "littlebits", "demo", "8", "bits", "live"]


def test_the_picture_shows_the_demo_and_asks_nobody_for_anything() -> None:
    svg = (FOLDER / "demo.svg").read_text(encoding="utf-8")
    assert all(f"00e04000000{number}" in words(svg) for number in range(1, 9))
    assert "url(http" not in svg
    assert len(svg) < 60_000
