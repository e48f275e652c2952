"""The answers have the shape of the document's own examples: the same names, and the same kinds of values."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.spec_messages import FOLDER, message_json
from tests.support.community import Member, Reply, Site

pytestmark = pytest.mark.asyncio

IN_KITS: Final = {"bit_variant_ids", "kit_bits"}
"""What the list of products says, and the examples of one product and of one variant, none of them a kit, leave out."""
NULLABLE: Final = {"bit_type", "twitter", "location", "bio", "liked_by_user"}
"""What is null in one example and not in another, or by the text."""
EMPTY: Final = {"embeds"}
"""Lists that are filled in an example, and empty here."""


def differences(found: Any, example: Any, place: str = "") -> list[str]:
    """Say where an answer is not as an example; each item of a list has to be as one of the example's list."""
    name = place.rpartition(".")[2]
    if name in NULLABLE and (found is None or example is None):
        return []
    if type(found) is not type(example):
        return [f"{place} is {found!r}, not as {example!r}"]
    if type(example).__name__ == "list":
        if not example or not found:
            return [] if not example or name in EMPTY else [f"{place} is empty, which shows nothing"]
        return [line for item in found for line in min((differences(item, each, place) for each in example), key=len)]
    if type(example).__name__ != "dict":
        return []
    missing = [f"{place}.{each} is missing" for each in example.keys() - found.keys()]
    new = [f"{place}.{each} is new" for each in found.keys() - example.keys() - IN_KITS]
    wrong = [
        line
        for each in example.keys() & found.keys()
        for line in differences(found[each], example[each], f"{place}.{each}")
    ]
    return missing + new + wrong


async def products(site: Site, _: Member) -> Reply:
    return await site.get("/products")


async def product(site: Site, _: Member) -> Reply:
    return await site.get("/products/4")


async def variant(site: Site, _: Member) -> Reply:
    return await site.get("/products/4/variants/104")


async def content_list(site: Site, _: Member) -> Reply:
    return await site.get("/content", key="learn.lbbasics")


async def content_html(site: Site, _: Member) -> Reply:
    return await site.get("/content", key="learn.play")


async def projects(site: Site, member: Member) -> Reply:
    return await site.get("/projects", member.key, per_page="1")


async def project(site: Site, member: Member) -> Reply:
    return await site.get("/projects/1", member.key)


async def comments(site: Site, _: Member) -> Reply:
    return await site.get("/projects/knock-lamp/comments")


async def comment(site: Site, member: Member) -> Reply:
    return await site.ask("POST", "/projects/1/comments", member.key, files={"comment": (None, "first!")})


async def like(site: Site, member: Member) -> Reply:
    return await site.ask("POST", "/projects/1/like", member.key)


async def user(site: Site, _: Member) -> Reply:
    return await site.get("/users/2")


async def likes(site: Site, _: Member) -> Reply:
    return await site.get("/users/nora_b/likes")


async def session_create(site: Site, member: Member) -> Reply:
    return await site.log_in(member.email)


async def my_library_post(site: Site, member: Member) -> Reply:
    return await site.post("/my_library", member.key, variant_id="122")


async def my_library_get(site: Site, member: Member) -> Reply:
    await my_library_post(site, member)
    return await site.get("/my_library", member.key)


async def my_library_put(site: Site, member: Member) -> Reply:
    await my_library_post(site, member)
    form = {"variant_id": "122", "delta": "1", "operator": "add"}
    return await site.ask("PUT", "/my_library", member.key, data=form)


async def my_library_delete(site: Site, member: Member) -> Reply:
    await my_library_post(site, member)
    return await site.ask("DELETE", "/my_library", member.key, data={"variant_id": "101"})


CALLS: Final = {
    f"{call.__name__.replace('_', '-')}.200.json": call
    for call in (
        *(products, product, variant, content_list, content_html, projects, project, comments, comment, like, user),
        *(likes, session_create, my_library_get, my_library_post, my_library_put, my_library_delete),
    )
}
SAID: Final[Mapping[str, set[str]]] = {
    # What `meta` says of a request beside what the example does: which of id and slug it was, and what a project is.
    "project.200.json": {"type"},
    "comment.200.json": {"slug"},
    "like.200.json": {"slug"},
}


async def test_every_example_is_compared() -> None:
    assert {path.name for path in (FOLDER / "mobile").glob("*.200.json")} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
async def test_an_answer_has_the_shape_of_the_example(site: Site, member: Member, name: str) -> None:
    example = message_json(f"mobile/{name}")
    reply = await CALLS[name](site, member)
    assert reply.status == 200
    assert differences(reply.results, example["results"]) == []
    said = {item["name"] for item in example["meta"]["criteria"]["params"] or () if item}
    assert set(reply.params) == said | SAID.get(name, set())


async def test_the_comparison_sees_what_differs() -> None:
    example = message_json("mobile/projects.200.json")["results"]
    changed = [{**example[0], "id": "16", "name": None, "more": 1}]
    del changed[0]["icon"]
    assert sorted(differences(changed, example)) == [
        ".icon is missing",
        ".id is '16', not as 16",
        ".more is new",
        ".name is None, not as 'littlePiggy Bank'",
    ]
    assert differences([], example) == [" is empty, which shows nothing"]
    assert differences({}, [1]) == [" is {}, not as [1]"]
