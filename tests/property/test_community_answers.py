"""Whatever a community's server sends: a model, or an error that is ours; what is odd in one field costs that field."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve, fields
from hypothesis import given, settings
from hypothesis import strategies as st

from littlebits_async import wire
from littlebits_async.community import (
    Account,
    Comment,
    ContentHtml,
    ContentItem,
    ContentList,
    KitBit,
    LibraryItem,
    Like,
    Page,
    Product,
    ProjectDetails,
    Step,
    User,
    Variant,
    calls,
)
from littlebits_async.errors import APIError, DecodeError
from tests.spec_messages import FOLDER, message, message_json

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
NOBODY = type(None)
MESSAGES = [file.read_bytes() for file in sorted((FOLDER / "mobile").glob("*.200.*"))]

CALLS: list[tuple[wire.Call[Any], type | tuple[type, ...]]] = [
    (calls.login("e@ma.il", "x"), Account),
    (calls.login_with_facebook(first_name="P", last_name="P", email="e@ma.il", user_id="2"), Account),
    (calls.logout("key"), NOBODY),
    (calls.content("learn.play"), (ContentList, ContentHtml)),
    (calls.library(), list),
    (calls.add_to_library(1), list),
    (calls.update_library(1, "add", 1), list),
    (calls.remove_from_library(1), list),
    (calls.products(), list),
    (calls.product(1), Product),
    (calls.variant(1, 1), Variant),
    (calls.projects(), Page),
    (calls.search("robot"), Page),
    (calls.project(1), ProjectDetails),
    (calls.comments(1), Page),
    (calls.comment(1, "x"), Comment),
    (calls.reply(1, 1, "x"), Comment),
    (calls.like(1), Like),
    (calls.user(1), User),
    (calls.likes(1), list),
    (calls.create_user(email="e@ma.il", username="x", password="x"), (User, NOBODY)),
    (calls.reset_password("e@ma.il"), NOBODY),
]
# Every name that means something somewhere.
ENVELOPE = {"results", "meta", "success", "errors", "statusCode", "code", "message", "error"}
MODELS = (Account, Comment, ContentItem, KitBit, LibraryItem, Like, Product, ProjectDetails, Step, Variant)
NAMES = sorted(
    ENVELOPE | {"spree_api_key", "display", "content", "values"} | {each.name for cls in MODELS for each in fields(cls)}
)

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=6),
    max_leaves=20,
)
plausible = any_json | st.sampled_from(
    ["", "2015-04-06T12:48:36.000Z", "0001-01-01T00:00:00+23:59", "9999-12-31", "16"]
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An example of which a piece is replaced by any bytes."""
    whole = draw(st.sampled_from(MESSAGES))
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(len(whole), start + 16)))
    piece = draw(st.binary(max_size=8) | st.sampled_from([b"NaN", b"1e999", b"-1", b"null", rb"\ud800", b"9" * 400]))
    return whole[:start] + piece + whole[end:]


def enveloped(results: Any) -> bytes:
    return json.dumps({"results": results, "meta": {"success": True}}).encode()


any_body = st.binary() | any_json.map(json.dumps).map(str.encode) | any_json.map(enveloped) | damaged()


def check_answers(body: bytes) -> None:
    """Hold every reader to what it promises of an answer: a model, or an error that can be shown."""
    for call, kind in CALLS:
        try:
            answer = call.read(body)
        except (DecodeError, APIError) as error:
            assert str(error).isprintable()  # noqa: PT017 - errors are one of the two outcomes
            assert len(str(error)) < 1_700  # noqa: PT017
        else:
            value = answer if kind is Page else answer.results
            assert isinstance(value, kind)
            assert isinstance(answer.meta, dict)
            assert repr(value)


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(any_body)
def test_any_body_is_an_answer_or_an_error(body: bytes) -> None:
    check_answers(body)


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(st.integers(300, 599), any_body)
def test_any_answer_that_is_no_success_is_an_error(status: int, body: bytes) -> None:
    error = calls.library().read_error(status=status, headers={}, body=body, now=NOW)
    assert error.status == status
    assert str(error).isprintable()
    assert len(str(error)) < 1_700


EXAMPLES: list[tuple[str, wire.Call[Any]]] = [
    ("session-create", CALLS[0][0]),
    ("product", calls.product(1)),
    ("variant", calls.variant(1, 1)),
    ("project", calls.project(1)),
    ("like", calls.like(1)),
    ("user", calls.user(1)),
    ("comment", calls.comment(1, "x")),
]


def replaced(model: Any, field: str) -> object:
    """A model without what one of its fields says."""
    return evolve(model, **{field: None})


@pytest.mark.parametrize(("name", "call"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_no_optional_field_costs_another(name: str, call: wire.Call[Any], data: st.DataObject) -> None:
    said = message_json(f"mobile/{name}.200.json")
    expected: Any = call.read(message(f"mobile/{name}.200.json")).results
    thing = said["results"][0] if isinstance(said["results"], list) else said["results"]
    field = data.draw(st.sampled_from(sorted(set(thing) - {"id", "spree_api_key"})))
    if data.draw(st.booleans()):
        thing[field] = data.draw(plausible)
    else:
        del thing[field]
    thing |= data.draw(st.dictionaries(st.text().filter(lambda name: name not in NAMES), any_json, max_size=2))
    found = call.read(json.dumps(said)).results
    assert replaced(found, field) == replaced(expected, field)


@pytest.mark.parametrize("name", ["replies", "results"])
def test_what_is_nested_without_end_is_an_error_of_ours(name: str) -> None:
    for depth in (50, 100, 200, 400, 900, 5_000):
        comment = '{"id":1,"replies":[' * depth + "]}" * depth if name == "replies" else "[" * depth + "]" * depth
        try:
            page = calls.comments(1).read(f'{{"results":[{comment}]}}')
        except DecodeError as error:
            assert "nested too deeply" in str(error)  # noqa: PT017 - one of the two outcomes
        else:
            assert page.sent == 1


@pytest.mark.parametrize(
    ("said", "when"),
    [
        ("2015-04-06T12:48:36.000Z", datetime(2015, 4, 6, 12, 48, 36, tzinfo=UTC)),
        ("2015-04-06T14:48:36+02:00", datetime(2015, 4, 6, 12, 48, 36, tzinfo=UTC)),
        ("2015-04-06 12:48:36", datetime(2015, 4, 6, 12, 48, 36, tzinfo=UTC)),
        ("2015-04-06", datetime(2015, 4, 6, tzinfo=UTC)),
        ("0001-01-01T00:00:00+01:00", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1428324516, None),
    ],
)
def test_a_time_is_aware_or_none(said: object, when: datetime | None) -> None:
    comment = calls.comment(1, "x").read(enveloped([{"id": 1, "created_at": said}])).results
    assert comment == Comment(1, created_at=when)


@pytest.mark.parametrize("results", [None, {}, []])
def test_a_list_of_nothing_comes_in_three_ways(results: object) -> None:
    assert calls.products().read(enveloped(results)).results == []
    assert calls.projects().read(enveloped(results)).sent == 0


@pytest.mark.parametrize("results", ["", 0, False, "x", {"id": 1}])
def test_what_is_no_list_is_told_so(results: object) -> None:
    with pytest.raises(DecodeError):
        calls.products().read(enveloped(results))


@pytest.mark.parametrize("meta", [None, [], "x", 5, {"success": None}, {"success": "false"}, {"version": "x"}])
def test_meta_is_never_validated(meta: object) -> None:
    answer = calls.products().read(json.dumps({"results": [], "meta": meta}))
    assert answer.results == []
    assert answer.meta == (meta if isinstance(meta, dict) else {})
    assert calls.products().read('{"results": []}').meta == {}
