"""Whatever a request says: values within their limits, or a refusal; nothing else."""

import json
import math
from collections.abc import AsyncGenerator, Callable
from http import HTTPStatus
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from littlebits_async.localcloud import fields
from littlebits_async.localcloud.answers import Refusal
from littlebits_async.localcloud.negotiation import VERSIONS, check_acceptable, negotiate
from littlebits_async.localcloud.subscriptions import EVENTS, is_url

T = TypeVar("T")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
TYPES = (
    st.sampled_from(["", "application/json", "application/x-www-form-urlencoded", "text/plain; charset=x"]) | st.text()
)


def value_or_4xx(read: Callable[[], T]) -> T | None:
    """What is read, or None for a refusal that says what the client did."""
    try:
        return read()
    except Refusal as refusal:
        status = refusal.status
    assert HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return None


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()), TYPES)
def test_any_body_is_fields_or_refused(body: bytes, content_type: str) -> None:
    found = value_or_4xx(lambda: fields.unwrap(fields.parse(body, content_type)))
    assert all(isinstance(name, str) for name in found or {})


@pytest.mark.parametrize("content", ['{"percent":5}', "percent=5"])
@pytest.mark.parametrize("content_type", ["", "application/json", "application/x-www-form-urlencoded"])
def test_a_byte_order_mark_is_no_part_of_a_body(content: str, content_type: str) -> None:
    if content_type != "application/json" or content.startswith("{"):
        assert str(fields.parse(content.encode("utf-8-sig"), content_type)["percent"]) == "5"


@pytest.mark.asyncio
async def test_what_is_left_of_too_long_a_body_is_closed_at_once() -> None:
    closed: list[bool] = []

    class Endless(Request):
        async def stream(self) -> AsyncGenerator[bytes, None]:
            try:
                while True:
                    yield b"x" * 1000
            finally:
                closed.append(True)

    with pytest.raises(Refusal) as caught:
        await fields.read(Endless({"type": "http", "headers": []}))
    assert (caught.value.status, closed) == (413, [True])


@given(JSON | st.text(alphabet="0123456789.eE+-_ naif\u0663"))
def test_any_value_is_a_number_in_range_or_refused(value: object) -> None:
    found = value_or_4xx(lambda: fields.number("percent", value, least=0, most=100))
    assert found is None or 0 <= found <= 100
    whole = value_or_4xx(lambda: fields.integer("duration_ms", value, least=0, most=100))
    assert whole is None or whole == found


@given(st.floats(min_value=0, max_value=100))
def test_a_number_may_be_text(value: float) -> None:
    assert fields.number("percent", str(value), least=0, most=100) == value
    assert fields.number("percent", f" {value} ", least=0, most=100) == value


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 10**400, -(10**400), "1e400", True, "0x10", "1_0", ""]
)
def test_what_only_python_takes_for_a_number_is_none(value: object) -> None:
    with pytest.raises(Refusal):
        fields.number("percent", value, least=-math.inf, most=math.inf)


@given(JSON | st.lists(st.sampled_from(EVENTS)))
def test_any_value_is_event_names_or_refused(value: object) -> None:
    found = value_or_4xx(lambda: fields.names("publisher_events", value, EVENTS))
    assert found is None or (found and set(found) <= set(EVENTS) and len(set(found)) == len(found))


@given(st.text(), st.text())
def test_any_path_has_a_version_or_is_refused(path: str, accept: str) -> None:
    target = value_or_4xx(lambda: negotiate(f"/{path}", accept))
    assert target is None or (target.version in VERSIONS and target.path.startswith("/"))
    value_or_4xx(lambda: check_acceptable(accept, "application/json"))


@given(st.text() | st.text().map("http://{}".format) | st.text().map("://{}".format))
def test_any_subscriber_is_an_id_or_a_url_or_refused(subscriber_id: str) -> None:
    found = value_or_4xx(lambda: is_url(subscriber_id))
    assert found is None or found == ("://" in subscriber_id)
