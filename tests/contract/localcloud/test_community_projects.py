"""What there is to read, to build and to say: content, products, projects, comments, likes, users."""

import itertools
from typing import Any, Final

import anyio
import pytest

from tests.support.community import Member, Reply, Site

pytestmark = pytest.mark.asyncio


def ids(reply: Reply) -> list[int]:
    assert reply.status == 200
    return [item["id"] for item in reply.results]


def items(reply: Reply) -> Any:
    """The results, be they one or a list."""
    assert reply.status == 200
    return [reply.results] if "id" in reply.results else reply.results


# Content


async def test_content_is_a_list_or_html(site: Site) -> None:
    listed = (await site.get("/content", key="learn.lbbasics")).results
    assert listed["display"] == "list"
    assert [item["name"] for item in listed["content"]] == ["power", "input", "wire", "output"]
    html = (await site.get("/content", key="learn.play")).results
    assert html["display"] == "html"
    assert html["content"].startswith("<section><h2>")


async def test_a_key_is_one_of_a_list_or_stands_for_all_of_it(site: Site) -> None:
    listed = (await site.get("/content", key="learn.lbbasics")).results["content"]
    assert (await site.get("/content", key="learn.lbbasics.wire")).results["content"] == [listed[2]]


async def test_an_unknown_key_is_a_404_and_none_a_422(site: Site) -> None:
    for key in ("learn", "learn.", "learn.lbbasics.", "learn.lbbasic", "x", "learn.play.x"):
        assert (await site.get("/content", key=key)).status == 404
    assert (await site.get("/content", key="")).status == 422
    assert (await site.get("/content")).status == 422


async def test_its_pictures_are_here(site: Site) -> None:
    product = (await site.get("/products/1")).results
    user = (await site.get("/users/1")).results[0]
    for url in (product["variants"][0]["images"][0]["url"], user["image"], user["projects"][0]["icon"]):
        picture = await site.http.get(url)
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")


# Products


async def test_a_kit_tells_what_is_in_it(site: Site) -> None:
    products = {product["slug"]: product for product in (await site.get("/products")).results}
    kit = products["connected-home-kit"]
    [variant] = kit["variants"]
    assert {bit["variant_id"]: bit["quantity"] for bit in variant["kit_bits"]}[106] == 2
    accessories = {bit["variant_id"] for bit in variant["kit_bits"]} - set(kit["bit_variant_ids"])
    assert accessories == {113}
    assert products["dimmer"]["bit_variant_ids"] == products["dimmer"]["variants"][0]["kit_bits"] == []
    assert (products["dimmer"]["bit_type"], kit["bit_type"]) == ("input", None)


async def test_a_product_and_its_variants_are_found_by_their_numbers(site: Site) -> None:
    for product in (await site.get("/products")).results:
        assert (await site.get(f"/products/{product['id']}")).results == {**product, "cost": 0}
        for variant in product["variants"]:
            assert (await site.get(f"/products/{product['id']}/variants/{variant['id']}")).results == variant
        assert [variant["is_master"] for variant in product["variants"]].count(True) == 1
    for path in ("/products/99", "/products/dimmer", "/products/1/variants/102", "/products/99/variants/101"):
        assert (await site.get(path)).status == 404


# Projects


async def test_pages_are_of_ten_and_of_as_many_as_are_asked_for(site: Site) -> None:
    first, second = ids(await site.get("/projects")), ids(await site.get("/projects", page=2))
    assert (len(first), len(second)) == (10, 2)
    assert ids(await site.get("/projects", page=3)) == []
    everything = ids(await site.get("/projects", per_page=5000))
    assert everything == first + second
    assert ids(await site.get("/projects", page=4, per_page=3)) == everything[9:12]
    assert (await site.get("/projects/")).params == {"page": 1, "per_page": 10}
    assert (await site.get("/projects", per_page=1)).params == {"page": 1, "per_page": "1"}


@pytest.mark.parametrize("path", ["/projects", "/projects/search", "/projects/1/comments"])
async def test_a_page_is_a_number(site: Site, path: str) -> None:
    for name, value in itertools.product(("page", "per_page"), ("0", "-1", "x", "1.5", str(2**40))):
        reply = await site.get(path, **{name: value})
        assert reply.status == 422
        assert name in reply.errors
        assert reply.params[name] == value


SEARCHES: Final[tuple[tuple[dict[str, str], list[int] | None], ...]] = (
    ({"q": "knock"}, [1]),
    ({"q": "LIGHT sound"}, [9, 7, 6, 1]),
    ({"q": "nothing of the kind"}, []),
    ({"tags": "cloud"}, [10, 7, 3]),
    ({"tags": "Home, cloud"}, [10, 3]),
    ({"tags": "clou"}, []),
    ({"type": "lesson"}, [14, 13]),
    ({"type": "project", "tags": "animal"}, [11, 6]),
    ({"days_ago": "5"}, [12, 11]),
    ({"days_ago": "0"}, []),
    ({"user": "3"}, [11, 7, 4]),
    ({"user": "99"}, []),
    ({"kit": "first-circuits-kit"}, [12, 6, 4]),
    ({"kit": "Connected-Home-Kit", "sort": "recent"}, [7, 3, 2, 1]),
    ({"kit": "base-kit"}, []),
    ({"variants": "101,104,110"}, [6]),
    ({"variants": "101,102,109"}, [12]),
    ({"variants": "101,102,109", "qty": "1,1,2"}, [12]),
    ({"variants": "101,102,109", "qty": "1,1,1"}, []),
    ({"variants": "101,102,109", "qty": "1,1,1", "type": "lesson"}, [13]),
    ({"sort": "popular", "per_page": "3"}, [1, 6, 2]),
    ({"sort": "popular", "kit": "first-circuits-kit", "tags": "sound"}, [6, 4]),
    ({"q": "", "tags": "", "user": "", "days_ago": "", "type": "", "sort": "", "kit": "", "page": ""}, None),
)


async def test_a_search_finds_by_each_parameter(site: Site) -> None:
    for query, found in SEARCHES:
        reply = await site.get("/projects/search", **query)
        assert ids(reply) == (ids(await site.get("/projects")) if found is None else found), query
        assert reply.params == {"page": 1, "per_page": 10} | {name: value for name, value in query.items() if value}


NONSENSE: Final = (
    {"sort": "best"},
    {"type": "lessons"},
    {"days_ago": "-1"},
    {"user": "ada"},
    {"variants": "101,x"},
    {"variants": "101,"},
    {"variants": "101,102", "qty": "1"},
    {"qty": "1"},
    {"variants": "101", "qty": "0"},
    {"q": "x" * 255},
)


async def test_a_search_for_nonsense_is_refused(site: Site) -> None:
    for query in NONSENSE:
        reply = await site.get("/projects/search", **query)
        assert reply.status == 422, query
        assert any(name in reply.errors for name in query)


async def test_a_project_is_found_by_its_number_and_its_slug(site: Site) -> None:
    by_number, by_slug = await site.get("/projects/1"), await site.get("/projects/Knock-Lamp")
    assert by_number.results == by_slug.results
    assert by_number.params == {"id": 1, "slug": None, "type": "project"}
    assert by_slug.params == {"id": None, "slug": "knock-lamp", "type": "project"}
    assert [step["number"] for step in by_number.results["steps"]] == [1, 2, 3]
    assert {part["variant_id"]: part["quantity"] for part in by_number.results["products"]} == {101: 1, 105: 1, 109: 1}
    for path in ("99", "knock", "0", "-1", "9" * 40, "%ff", "knock%2Flamp", "٣"):
        for end in ("", "/comments"):
            assert (await site.get(f"/projects/{path}{end}")).status == 404


# Likes


async def test_a_like_toggles(site: Site, member: Member) -> None:
    before = (await site.get("/projects/3")).results["like_count"]
    for likes in (True, False, True):
        reply = await site.ask("POST", "/projects/3/like", member.key)
        assert (reply.status, reply.results) == (200, {"like_count": before + likes, "liked_by_user": likes})
    for path in ("/projects/post-box-flag", f"/users/{member.id}/likes", "/projects?per_page=50"):
        reply = await site.ask("GET", path, member.key)
        assert [item["id"] for item in items(reply) if item["liked_by_user"]] == [3]


async def test_of_likes_at_once_each_toggles(site: Site, member: Member) -> None:
    before = (await site.get("/projects/3")).results["like_count"]
    likes = list[bool]()

    async def like() -> None:
        likes.append((await site.ask("POST", "/projects/3/like", member.key)).results["liked_by_user"])

    async with anyio.create_task_group() as tasks:
        for _ in range(7):
            tasks.start_soon(like)
    assert sorted(likes) == [False] * 3 + [True] * 4
    assert (await site.get("/projects/3")).results["like_count"] == before + 1


async def test_whose_like_it_is_depends_on_the_key(site: Site, member: Member) -> None:
    await site.ask("POST", "/projects/3/like", member.key)
    other = await site.join("Bo")
    for path in ("/projects/3", "/projects?per_page=50", "/projects/search?q=flag", f"/users/{member.id}/likes"):
        for key, expected in ((None, None), (member.key, True), (other.key, False)):
            [found] = [item for item in items(await site.ask("GET", path, key)) if item["id"] == 3]
            assert found["liked_by_user"] is expected


async def test_a_key_that_is_no_good_is_told_even_where_none_is_needed(site: Site) -> None:
    for path in ("/projects", "/projects/search", "/projects/1", "/users/1/likes"):
        assert (await site.get(path, "savekittens")).status == 401
    for path in ("/products", "/users/1", "/content?key=learn.play"):  # nobody asks for one there
        assert (await site.get(path, "savekittens")).status == 200


async def test_a_users_likes_are_listed_the_newest_first(site: Site, member: Member) -> None:
    for project in ("2", "9", "2", "4", "2"):
        await site.ask("POST", f"/projects/{project}/like", member.key)
    assert ids(await site.get("/users/ada/likes")) == [2, 4, 9]
    assert (await site.get("/users/ada/likes")).params == {"id": None, "slug": "ada"}
    assert (await site.get("/users/nobody/likes")).status == 404


# Comments


async def test_a_comment_is_there_with_its_replies(site: Site, member: Member) -> None:
    before = (await site.get("/projects/5")).results["comment_count"]
    [made] = (await site.post("/projects/5/comments", member.key, comment=" <b>first!</b> ")).results
    assert (made["owner_id"], made["body"], made["replies"]) == (member.id, "<b>first!</b>", [])
    [reply] = (await site.post(f"/projects/desk-breeze/comments/{made['id']}", member.key, comment="second")).results
    [found] = (await site.get("/projects/5/comments")).results
    assert found == {**made, "replies": [reply]}
    assert (await site.get("/projects/5")).results["comment_count"] == before + 2


async def test_comments_come_as_curl_sends_them(site: Site, member: Member) -> None:
    multipart = await site.ask("POST", "/projects/4/comments", member.key, files={"comment": (None, "first!")})
    assert multipart.params == {"id": 4, "slug": None, "type": "project", "body": "first!"}
    in_json = await site.ask(
        "POST", "/projects/4/comments", member.key, json={"comment": "Grüße \N{GRINNING FACE}\n\n2"}
    )
    assert in_json.results[0]["body"] == "Grüße \N{GRINNING FACE}\n\n2"
    lines = await site.ask("POST", "/projects/4/comments", member.key, files={"comment": (None, "ä\r\n\r\n--b\nc")})
    assert lines.results[0]["body"] == "ä\r\n\r\n--b\nc"


async def test_comments_come_in_pages_the_oldest_first(site: Site, member: Member) -> None:
    for number in range(12):
        await site.post("/projects/8/comments", member.key, comment=f"number {number}")
    pages = [(await site.get("/projects/8/comments", page=page, per_page=5)).results for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [5, 5, 2, 0]
    assert [item["body"] for page in pages for item in page] == [f"number {number}" for number in range(12)]
    assert len((await site.get("/projects/8/comments")).results) == 10


async def test_who_says_something_has_a_key_and_something_to_say(site: Site, member: Member) -> None:
    for path in ("/projects/5/comments", "/projects/1/comments/1", "/projects/5/like"):
        assert (await site.post(path, comment="x")).status == 401
        assert (await site.post(path, "savekittens", comment="x")).status == 401
    for comment in ("", "  ", "x" * 5001):
        reply = await site.post("/projects/5/comments", member.key, comment=comment)
        assert reply.status == 422
        assert "comment" in reply.errors
    assert (await site.post("/projects/5/comments", member.key)).status == 422
    assert (await site.ask("POST", "/projects/5/comments", member.key, json={"comment": ["x"]})).status == 422
    assert (await site.get("/projects/5/comments")).results == []


async def test_a_reply_is_to_a_comment_of_that_project(site: Site, member: Member) -> None:
    assert (await site.post("/projects/5/comments/1", member.key, comment="x")).status == 404
    assert (await site.post("/projects/1/comments/99", member.key, comment="x")).status == 404
    assert (await site.post("/projects/1/comments/x", member.key, comment="x")).status == 404
    assert (await site.post("/projects/99/comments/1", member.key, comment="x")).status == 404
    assert (await site.post("/projects/1/comments/2", member.key, comment="x")).status == 422  # which is a reply itself


async def test_a_comment_has_only_so_many_replies(site: Site, member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.storage._community._MOST_REPLIES", 2)
    for status in (200, 422):  # there is one in the sample
        assert (await site.post("/projects/1/comments/1", member.key, comment="x")).status == status
    assert (await site.post("/projects/1/comments/3", member.key, comment="x")).status == 200
    assert (await site.post("/projects/1/comments", member.key, comment="x")).status == 200


# Users


async def test_a_user_is_a_list_of_one(site: Site, member: Member) -> None:
    by_number, by_slug = await site.get("/users/2"), await site.get("/users/Nora_B")
    assert by_number.results == by_slug.results
    [user] = by_number.results
    assert (user["id"], user["username"]) == (2, "Nora_B")
    assert [project["id"] for project in user["projects"]] == [2, 3, 10]
    [own] = (await site.get(f"/users/{member.id}")).results
    assert own["projects"] == []
    assert "email" not in own
    assert (by_number.params, by_slug.params) == ({"id": 2, "slug": None}, {"id": None, "slug": "nora_b"})
    for path in ("99", "nobody", "0", "9" * 40):
        assert (await site.get(f"/users/{path}")).status == 404
