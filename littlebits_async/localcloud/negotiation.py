"""Which version of the API a request means, and whether JSON is what it wants.

As the vendor's own plugin decided: a version in the path (``/v2/devices``) or in ``Accept``
(``application/vnd.littlebits.v2+json``), of which the integer part counts; both and different is a 400; neither is the
newest. The documents leave open what ``/master`` is: here it names no version, so it is the newest, or what ``Accept``
says. A version that does not exist is an unknown path. Where ``Accept`` names several versions, the first one counts.

Source: wire-facts 1 (littlebits/hapi-versions); spec/cloud-api-v2.txt, "Errors" for 406.
"""

import re
from http import HTTPStatus
from typing import Final

from attrs import frozen

from .answers import Refusal

__all__ = ["EVENT_STREAM", "JSON", "VERSIONS", "Target", "check_acceptable", "negotiate"]

VERSIONS: Final = (1, 2, 3)
JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"

_ORIGIN: Final = re.compile(r"https?://[^/]*", re.IGNORECASE)
_IN_PATH: Final = re.compile(r"/(?:v([0-9]{1,9})(?:\.[0-9.]*)?|master)(?=/|$)")
_IN_ACCEPT: Final = re.compile(r"vnd\.littlebits\.v([0-9]{1,9})(?:\.[0-9.]*)?\+json", re.IGNORECASE)
_NO_WEIGHT: Final = re.compile(r"q\s*=\s*0(?:\.0*)?\s*", re.IGNORECASE)


@frozen
class Target:
    """What a request is about.

    Attributes:
        version: The version of the API it means.
        path: The path below the version, still percent-encoded, without a trailing slash.
    """

    version: int
    path: str


def negotiate(raw_path: str, accept: str) -> Target:
    """Read version and path of a request; in a whole URL, as is sent to proxies, the host is not looked at.

    Raises:
        Refusal: 400 when path and ``Accept`` name different versions, 404 for a version that does not exist.
    """
    raw_path = _ORIGIN.sub("", raw_path, count=1) if raw_path[:1] != "/" else raw_path
    in_path = _IN_PATH.match(raw_path)
    path = (raw_path[in_path.end() :] if in_path else raw_path).rstrip("/") or "/"
    in_accept = _IN_ACCEPT.search(accept)
    named = {int(match[1]) for match in (in_path, in_accept) if match and match[1]}
    if len(named) > 1:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Version mismatch between URI and Accept Header.")
    version = named.pop() if named else VERSIONS[-1]
    if version not in VERSIONS:
        raise Refusal(HTTPStatus.NOT_FOUND, f"There is no version {version} of this API")
    return Target(version, path)


def check_acceptable(accept: str, produced: str) -> None:
    """Refuse a request that rules out what it would get; one that says nothing takes anything.

    JSON is what every error comes as, so a client that takes JSON may open an event stream as well.

    Raises:
        Refusal: 406.
    """
    kinds = {"*/*", "*", "application/*", JSON, produced, f"{produced.partition('/')[0]}/*"}
    for offer in accept.lower().split(",") if accept.strip() else ("*/*",):
        kind, *parameters = (part.strip() for part in offer.split(";"))
        if (kind in kinds or kind.endswith("+json")) and not any(map(_NO_WEIGHT.fullmatch, parameters)):
            return
    raise Refusal(HTTPStatus.NOT_ACCEPTABLE, f"Only {produced} is to be had here")
