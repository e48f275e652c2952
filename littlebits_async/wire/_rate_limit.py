"""What an answer says of the server's count of requests.

Source: draft-ietf-httpapi-ratelimit-headers-03 (``RateLimit-Limit``, ``-Remaining``, ``-Reset``); the documents name no
such headers, other servers have them.
"""

import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen

__all__ = ["RateLimit", "read_rate_limit"]

_NUMBER: Final = re.compile(r"[0-9]{1,9}")


@frozen
class RateLimit:
    """The server's count.

    Attributes:
        limit: Requests in its window.
        remaining: How many are left.
        reset: Seconds until it counts anew.
    """

    limit: int | None
    remaining: int | None
    reset: int | None


def read_rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """Read the server's count from an answer's headers, named in lower case; None where it says nothing usable."""
    limit, remaining, reset = (
        _number(headers.get(f"ratelimit-{name}", "")) for name in ("limit", "remaining", "reset")
    )
    return None if limit is None and remaining is None else RateLimit(limit, remaining, reset)


def _number(said: str) -> int | None:
    said = said.partition(",")[0].strip()  # "100, 100;w=10" names the limit, and then its policy
    return int(said) if _NUMBER.fullmatch(said) else None
