"""What a search finds, with the time passed in; and that the sample is in itself in order."""

import re

import pytest

from littlebits_async.localcloud.answers import Refusal
from littlebits_async.localcloud.community._multipart import parse_multipart
from littlebits_async.localcloud.community._said import Said
from littlebits_async.localcloud.community._search import Search
from littlebits_async.localcloud.community.sample import new_catalogue
from littlebits_async.localcloud.storage import Standing

CATALOGUE = new_catalogue()
UNLOVED = Standing({}, {})
FORM = "multipart/form-data; boundary=b"


def found(said: dict[str, object], age_days: float = 0, standing: Standing = UNLOVED) -> list[int]:
    return [item.id for item in Search.read(Said(said), CATALOGUE).find(CATALOGUE, standing, age_days)]


def test_what_is_new_grows_old() -> None:
    assert found({"days_ago": "9"}) == [12, 11, 10, 9]
    assert found({"days_ago": "9"}, age_days=0.01) == [12, 11, 10]
    assert found({"days_ago": "9"}, age_days=5) == [12, 11]
    assert found({"days_ago": "9"}, age_days=8.01) == []


def test_what_many_like_comes_first_and_of_equals_the_newest() -> None:
    assert found({"sort": "popular", "tags": "cloud"}, standing=Standing({3: 2, 1: 5}, {})) == [3, 10, 7]


def test_variants_without_numbers_are_enough() -> None:
    assert 12 in found({"variants": "109,101,102"})
    assert 12 not in found({"variants": "109,101,102", "qty": "1,1,1"})
    assert 12 in found({"variants": "109,101,102", "qty": "2,1,1"})


def test_all_that_is_looked_for_holds_at_once() -> None:
    assert found({"q": "light", "tags": "beginner", "user": 4, "kit": "first-circuits-kit"}) == [12, 6]
    assert found({"q": "light", "tags": "beginner", "user": 3, "kit": "first-circuits-kit"}) == []


def test_the_sample_refers_to_nothing_that_is_not_there() -> None:
    projects = {project.id for project in CATALOGUE.projects}
    for project in CATALOGUE.projects:
        assert project.author in CATALOGUE.authors
        assert project.parts.keys() <= CATALOGUE.by_variant.keys()
        assert project.steps
        assert set(project.tags) == {tag.lower() for tag in project.tags}
    for product in CATALOGUE.products:
        assert product.contents.keys() <= CATALOGUE.by_variant.keys()
        assert bool(product.contents) == (product.type == "Kit")
        assert (product.bit_type is not None) == (product.type == "Bit")
    assert {project for project, _ in CATALOGUE.likes} <= projects
    assert {member for _, member in CATALOGUE.likes} <= CATALOGUE.authors.keys()
    for comment in CATALOGUE.comments:
        assert (comment.project_id in projects, comment.member_id in CATALOGUE.authors) == (True, True)


def test_nothing_of_the_sample_is_there_twice_and_each_slug_is_one() -> None:
    variants = [variant_id for product in CATALOGUE.products for variant_id in product.variants]
    for values in (
        variants,
        [product.id for product in CATALOGUE.products],
        [project.id for project in CATALOGUE.projects],
        [comment.id for comment in CATALOGUE.comments],
        CATALOGUE.likes,
    ):
        assert len(values) == len(set(values))
    named = (CATALOGUE.products, CATALOGUE.projects, CATALOGUE.members)
    for slugs in ([item.slug for item in items] for items in named):
        assert len(slugs) == len(set(slugs))
        assert all(re.fullmatch(r"[a-z][a-z0-9_-]+", slug) for slug in slugs)


def test_the_sample_leads_to_no_other_host() -> None:
    assert "://" not in str(CATALOGUE)


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--', FORM, {"a": "1"}),
        (b"--b\r\ncontent-disposition: form-data; name=a\r\n\r\n1\r\n--b--\r\n", FORM, {"a": "1"}),
        (b'--b \r\nX: y\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n--b--', FORM, {"a": ""}),
        (
            b'x\r\n--b\r\nContent-Disposition: form-data;name="a[b]"\r\n\r\n1\n--b\r\n--bc\r\n--b--',
            FORM,
            {"a[b]": "1\n--b\r\n--bc"},
        ),
        (b'--b\r\nContent-Disposition: form-data; filename="f"; name="a"\r\n\r\n1\r\n--b--', FORM, {"a": "1"}),
        (
            b'--x y\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x y--',
            'a/b; z=1; Boundary="x y"',
            {"a": "1"},
        ),
        (b"--b--", FORM, {}),
        (b"", FORM, None),
        (b"--b--", "multipart/form-data", None),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--", FORM, None),
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n--b--', FORM, None),
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1', FORM, None),
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--', FORM, None),
    ],
)
def test_a_form_in_parts_is_read(body: bytes, content_type: str, said: dict[str, str] | None) -> None:
    if said is None:
        with pytest.raises(Refusal) as refused:
            parse_multipart(body, content_type)
        assert refused.value.status == 400
    else:
        assert parse_multipart(body, content_type) == said
