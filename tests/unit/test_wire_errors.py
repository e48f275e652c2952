"""Errors: the class is the status's, the words are the API's, the rest is advice; nothing secret, nothing unbounded."""

import pickle
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import pytest

from littlebits_async import wire
from littlebits_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    MethodNotAllowedError,
    NotAcceptableError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    ServiceUnavailableError,
    UnprocessableError,
)
from tests.spec_messages import message

NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)
PATH = "/devices/000001/output"
V1 = "cloud-http-api-v1"


def read(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, now: datetime = NOW) -> APIError:
    return wire.read_error(method="POST", path=PATH, status=status, headers=headers or {}, body=body, now=now)


# Source: "Errors" of the v2 document, which lists all but 422 (the Mobile API's list) and 502, 504 (gateways).
@pytest.mark.parametrize(
    ("status", "cls", "error"),
    [
        (400, BadRequestError, "Bad Request"),
        (401, AuthenticationError, "Unauthorized"),
        (403, PermissionDeniedError, "Forbidden"),
        (404, NotFoundError, "Not Found"),
        (405, MethodNotAllowedError, "Method Not Allowed"),
        (406, NotAcceptableError, "Not Acceptable"),
        (409, APIError, "Conflict"),
        (429, RateLimitedError, "Too Many Requests"),
        (500, ServerError, "Internal Server Error"),
        (502, ServerError, "Bad Gateway"),
        (503, ServiceUnavailableError, "Service Unavailable"),
        (599, ServerError, ""),
        (468, APIError, ""),
        (304, APIError, "Not Modified"),
    ],
)
def test_the_class_is_the_statuss(status: int, cls: type[APIError], error: str) -> None:
    for body in (b"", b"{}", b"[]", b"null", b'"no"', b'{"message": null, "error": 7}', b"\xff", b"[" * 10_000):
        said = read(status, body)
        assert type(said) is cls
        assert (said.status, said.error, said.message) == (status, error, None)
        assert (said.method, said.path, said.retry_after) == ("POST", PATH, None)
        assert str(said).startswith(f"POST {PATH} failed: {status}")


def test_unprocessable() -> None:
    assert type(read(422)) is UnprocessableError


# Source: the v1 document ({code, …}); wire-facts section 10 ({statusCode, …}, 429's word) and section 1 (the clash).
@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (403, message(f"{V1}/output.403.json"), "Forbidden", "You do not own this device"),
        (
            404,
            message(f"{V1}/output.404.json"),
            "Not Found",
            "The device 000001 is not currently connected to bitcloud.",
        ),
        (
            401,
            b'{"statusCode":401,"error":"Unauthorized","message":"Token failed authorization"}',
            "Unauthorized",
            "Token failed authorization",
        ),
        (
            400,
            b'{"statusCode":400,"error":"Bad Request","message":"Version mismatch between URI and Accept Header."}',
            "Bad Request",
            "Version mismatch between URI and Accept Header.",
        ),
        (401, b'{"code":401,"message":"Invalid token"}', "Unauthorized", "Invalid token"),
        (429, b'{"error":"rate_limit_exceeded"}', "rate_limit_exceeded", None),
        (500, b'{"statusCode":404,"error":"Odd","message":""}', "Odd", None),
    ],
)
def test_both_envelopes(status: int, body: bytes, error: str, text: str | None) -> None:
    said = read(status, body)
    assert (said.status, said.error, said.message) == (status, error, text)
    assert f"failed: {status} {error}" in str(said)
    assert text is None or f": {text} (" in str(said)


def test_a_text_of_one_line_says_what_where_why_and_what_next() -> None:
    assert str(read(404, message(f"{V1}/output.404.json"))) == (
        "POST /devices/000001/output failed: 404 Not Found: The device 000001 is not currently connected to bitcloud. "
        "(check the device id, and that the bit is on line)"
    )
    assert str(read(429, headers={"retry-after": "90"})) == (
        "POST /devices/000001/output failed: 429 Too Many Requests (try again in 90 s)"
    )
    assert str(read(500)).endswith("500 Internal Server Error (try again later)")
    assert str(read(409)).endswith("409 Conflict")


def test_a_gateways_page_is_not_shown() -> None:
    said = read(502, b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>")
    assert said.message is None
    assert "<" not in str(said)
    assert "nginx" not in str(said)


def test_what_a_server_says_stays_on_one_line_and_short() -> None:
    said = read(400, b'{"error": "a\\nb", "message": "one\\r\\n\\u001b[31mtwo\\u202e ' + b"x" * 10_000 + b'"}')
    assert "failed: 400 a b: one [31mtwo xxx" in str(said)
    assert str(said).isprintable()
    assert len(str(said)) < 700


# Source: wire-facts section 2, the table of WWW-Authenticate.
@pytest.mark.parametrize(
    ("challenge", "text"),
    [
        (
            'Bearer realm="bitCloud", error="invalid_token", error_description="Invalid or expired token"',
            "Invalid or expired token",
        ),
        (
            'Bearer error_description="Missing Authorization header with valid Bearer token"',
            "Missing Authorization header with valid Bearer token",
        ),
        (r'Bearer error_description="a \"quoted\" \\ text", realm="x"', r'a "quoted" \ text'),
        ('Bearer realm="bitCloud"', None),
        ('Bearer error_description=""', None),
        ('Bearer error_description="open', None),
        ("", None),
    ],
)
def test_a_challenge_explains_a_401_without_a_body(challenge: str, text: str | None) -> None:
    assert read(401, headers={"www-authenticate": challenge}).message == text
    body = b'{"statusCode":401,"message":"Token failed authorization"}'
    assert read(401, body, {"www-authenticate": challenge}).message == "Token failed authorization"


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://example.net/v2/devices", "redirected to https://example.net/v2/devices;"),
        ("https://user:pass@example.net:8443/v2?access_token=5ecret#5ecret", "to https://example.net:8443/v2;"),
        ("/elsewhere?access_token=5ecret", "redirected to /elsewhere;"),
        ("//user:5ecret@example.net/x", "redirected to //example.net/x;"),
        ("https://user:5/ecret@example.net/x", "redirected to an address that cannot be shown;"),
        ("https:\\\\user:5ecret@example.net/x", "redirected to an address that cannot be shown;"),
        ("https://[5ecret", "redirected to an address that cannot be shown;"),
        ("javascript:5ecret", "redirected to an address that cannot be shown;"),
        ("https:5ecret", "redirected to an address that cannot be shown;"),
        ("ftp://example.net/5ecret", "redirected to an address that cannot be shown;"),
        ("/a\x1b[31mb", "redirected to /a [31mb;"),
        ("", "redirected; redirects are not followed, set base_url"),
        (None, "redirected; redirects are not followed, set base_url"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_says_where_to_without_secrets(status: int, location: str | None, shown: str) -> None:
    said = read(status, b"<html>Moved</html>", {} if location is None else {"location": location})
    assert type(said) is APIError
    assert said.status == status
    assert shown in str(said)
    assert "redirects are not followed" in str(said)
    for secret in ("5ecret", "ecret@", "user", "pass"):
        assert secret not in str(said)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120.0),
        (" 120 ", 120.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("864000", 864_000.0),
        ("Wed, 01 Jul 2026 12:01:30 GMT", 90.0),
        ("Wed, 01 Jul 2026 14:01:30 +0200", 90.0),
        ("Wed, 01 Jul 2026 12:01:30 -0000", 90.0),
        ("Wednesday, 01-Jul-26 12:01:30 GMT", 90.0),
        ("Wed Jul  1 12:01:30 2026", 90.0),
        ("Wed, 01 Jul 2026 11:59:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("1_0", None),
        ("٣", None),
        ("9" * 400, None),
        ("Wed, 99 Jul 2026 12:01:30 GMT", None),
        ("Wed, 01 Jul 99999 12:01:30 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2300", None),
        ("Wed, 01 Jul 2026 12:01:30 +99999999999999", None),
    ],
)
def test_retry_after(said: str, seconds: float | None) -> None:
    assert read(429, headers={"retry-after": said}).retry_after == seconds
    assert read(503, headers={"retry-after": said}).retry_after == seconds


@pytest.mark.parametrize(
    ("date", "seconds"),
    [("Wed, 01 Jul 2026 09:00:00 GMT", 30.0), ("yesterday", 60.0), ("", 60.0)],
)
def test_retry_after_is_measured_on_the_servers_clock(date: str, seconds: float) -> None:
    said = "Wed, 01 Jul 2026 09:00:30 GMT"
    # Our own clock is three hours behind, less half a minute.
    now = datetime(2026, 7, 1, 10, 59, 30, tzinfo=timezone(timedelta(hours=2)))
    assert read(429, headers={"retry-after": said, "date": date}, now=now).retry_after == seconds


def test_a_date_without_a_zone_is_no_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        assert read(429, headers={"retry-after": "Wed, 01 Jul 2026 12:01:30 -0000"}).retry_after == 90.0
    time.tzset()


def test_errors_survive_pickle() -> None:
    said = read(404, message(f"{V1}/output.404.json"))
    again: APIError = pickle.loads(pickle.dumps(said))  # noqa: S301 - our own
    assert (type(again), str(again), again.__dict__) == (type(said), str(said), said.__dict__)
