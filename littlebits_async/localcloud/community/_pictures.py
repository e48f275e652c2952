"""Pictures for all that has one, drawn here: what else there was of them stood at hosts that are gone."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ..aside import Page

__all__ = ["PAGES", "PICTURE_TYPE", "Picture", "pictures_at"]

PICTURE_TYPE: Final = "image/svg+xml"

Picture = Callable[[str], str]
"""Gives the URL of a picture by its name."""

_COLOURS: Final[Mapping[str, str]] = {
    "power": "#2b6cb0",
    "input": "#d53f8c",
    "wire": "#dd6b20",
    "output": "#2f855a",
    "kit": "#6b46c1",
    "accessory": "#718096",
    "project": "#00897b",
    "lesson": "#b7791f",
    "member": "#4a5568",
}
_DRAWN: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 160" role="img" aria-label="{name}">\
<rect width="240" height="160" fill="#f7fafc"/><rect x="40" y="52" width="160" height="56" rx="8" fill="{colour}"/>\
<rect x="24" y="60" width="20" height="40" fill="#1a202c"/><rect x="196" y="60" width="20" height="40" fill="#1a202c"/>\
<text x="120" y="87" font-family="sans-serif" font-size="20" fill="#fff" text-anchor="middle">{name}</text></svg>"""


def _path(name: str) -> str:
    return f"/community/pictures/{name}.svg"


def pictures_at(request: Request) -> Picture:
    """Find the pictures where whoever asks finds the cloud, which may be known by many names."""
    base = str(request.base_url).rstrip("/")
    return lambda name: base + _path(name)


async def _draw(name: str, _: Request) -> Response:
    drawn = _DRAWN.format(name=name, colour=_COLOURS[name])
    return Response(drawn, headers={"content-type": PICTURE_TYPE, "cache-control": "max-age=86400"})


PAGES: Final[Mapping[str, Page]] = {_path(name): partial(_draw, name) for name in _COLOURS}
