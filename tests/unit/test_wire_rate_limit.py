"""What an answer says of the server's count."""

import pytest

from littlebits_async.wire import RateLimit, read_rate_limit


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"ratelimit-reset": "5"}, None),
        ({"ratelimit-remaining": "7"}, RateLimit(None, 7, None)),
        ({"ratelimit-limit": "1800", "ratelimit-remaining": "0", "ratelimit-reset": "60"}, RateLimit(1800, 0, 60)),
        ({"ratelimit-limit": "100, 100;w=10"}, RateLimit(100, None, None)),
        ({"ratelimit-limit": "many", "ratelimit-remaining": "-1"}, None),
        ({"ratelimit-limit": "1e3", "ratelimit-remaining": " 5 "}, RateLimit(None, 5, None)),
        ({"ratelimit-limit": "9" * 5000, "ratelimit-remaining": "٣"}, None),
    ],
)
def test_only_plain_numbers_count(headers: dict[str, str], expected: RateLimit | None) -> None:
    assert read_rate_limit(headers) == expected
