"""Texts for pages. Keys are parted by dots; what stands under a key with one part more is a list."""

from typing import Final

from .._catalogue import ContentItem

__all__ = ["CONTENT"]

CONTENT: Final[dict[str, str | ContentItem]] = {
    "learn.lbbasics.power": ContentItem("Begin with power", "Nothing happens without a power bit in front.", "power"),
    "learn.lbbasics.input": ContentItem("Say when", "Inputs decide when something happens, and how much.", "input"),
    "learn.lbbasics.wire": ContentItem("Go further", "Wires bend, split and carry a signal, even to a cloud.", "wire"),
    "learn.lbbasics.output": ContentItem("Make it happen", "Outputs light up, move and make noise.", "output"),
    "learn.play": (
        "<section><h2>Three ways to play</h2><p>Change <strong>one bit</strong> and see what happens. Swap input &amp;"
        " output. Give half of it to a friend, with a cloudBit on either side.</p></section>"
    ),
}
