"""My library: what a member has, one by one and by the kit."""

import itertools

import anyio
import pytest

from tests.spec_messages import message
from tests.support.community import Member, Reply, Site

pytestmark = pytest.mark.asyncio

POWER, LED, BOARD, FIRST_CIRCUITS, HOME = 101, 109, 113, 121, 122
IN_FIRST_CIRCUITS = {POWER: 1, 102: 1, 103: 1, 104: 1, LED: 2, 110: 1}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def quantities(reply: Reply) -> dict[int, int]:
    assert reply.status == 200
    return {item["variant_id"]: item["quantity"] for item in reply.results}


async def add(site: Site, member: Member, variant_id: int) -> dict[int, int]:
    return quantities(await site.post("/my_library", member.key, variant_id=variant_id))


async def change(site: Site, member: Member, variant_id: int, operator: str, delta: object) -> Reply:
    form = {"variant_id": variant_id, "operator": operator, "delta": delta}
    return await site.ask("PUT", "/my_library", member.key, data=form)


async def remove(site: Site, member: Member, variant_id: int) -> Reply:
    return await site.ask("DELETE", "/my_library", member.key, data={"variant_id": variant_id})


async def library(site: Site, member: Member) -> dict[int, int]:
    return quantities(await site.get("/my_library", member.key))


async def test_what_is_added_is_there_once_and_once_more_each_time(site: Site, member: Member) -> None:
    assert await library(site, member) == {}
    assert await add(site, member, LED) == {LED: 1}
    assert await add(site, member, LED) == {LED: 2}
    assert await add(site, member, BOARD) == {BOARD: 1}
    assert await library(site, member) == {LED: 2, BOARD: 1}


async def test_a_kit_brings_its_bits_by_their_quantity(site: Site, member: Member) -> None:
    await add(site, member, LED)
    assert await add(site, member, FIRST_CIRCUITS) == {**IN_FIRST_CIRCUITS, FIRST_CIRCUITS: 1, LED: 3}
    changed = quantities(await change(site, member, FIRST_CIRCUITS, "add", 2))
    assert changed == {**{bit: 3 * count for bit, count in IN_FIRST_CIRCUITS.items()}, FIRST_CIRCUITS: 3, LED: 7}
    less = quantities(await change(site, member, FIRST_CIRCUITS, "subtract", "1"))
    assert less == {**{bit: 2 * count for bit, count in IN_FIRST_CIRCUITS.items()}, FIRST_CIRCUITS: 2, LED: 5}
    assert await library(site, member) == less


async def test_a_kit_takes_along_what_it_brought(site: Site, member: Member) -> None:
    for variant_id in (LED, FIRST_CIRCUITS, FIRST_CIRCUITS, HOME):
        await add(site, member, variant_id)
    left = quantities(await remove(site, member, FIRST_CIRCUITS))
    assert FIRST_CIRCUITS not in left
    assert (left[LED], left[POWER], left[HOME]) == (2, 2, 1)
    assert left == await library(site, member)


async def test_nothing_is_less_than_none_and_what_is_at_none_is_gone(site: Site, member: Member) -> None:
    await add(site, member, FIRST_CIRCUITS)
    await remove(site, member, LED)
    told = quantities(await change(site, member, FIRST_CIRCUITS, "subtract", 5))
    assert told == dict.fromkeys([FIRST_CIRCUITS, *IN_FIRST_CIRCUITS], 0)
    assert await library(site, member) == {}


async def test_the_requests_of_the_document_are_understood(site: Site, member: Member) -> None:
    bodies = {
        method: message(f"mobile/my-library-{method.lower()}.request.txt") for method in ("POST", "PUT", "DELETE")
    }
    for method, body in bodies.items():
        assert b"variant_id=216" in body
        content = body.replace(b"216", b"%d" % LED).strip()
        reply = await site.ask(method, "/my_library", member.key, content=content, headers=FORM)
        assert reply.status == 200
        assert reply.params["variant_id"] == str(LED)
    assert await library(site, member) == {}


async def test_each_has_a_library_of_their_own(site: Site, member: Member) -> None:
    other = await site.join("Bo")
    await add(site, member, LED)
    assert await library(site, other) == {}
    assert (await remove(site, other, LED)).status == 404
    assert await library(site, member) == {LED: 1}


async def test_nobody_has_a_library(site: Site) -> None:
    for method, key in itertools.product(("GET", "POST", "PUT", "DELETE"), (None, "", "savekittens", "0" * 64)):
        reply = await site.ask(method, "/my_library", key, data={"variant_id": LED})
        assert reply.status == 401
        assert reply.response.headers["www-authenticate"].startswith("MobileAppAuth")


async def test_what_is_not_there_is_a_404(site: Site, member: Member) -> None:
    for variant_id in (1, 2**31 - 1):
        assert (await site.post("/my_library", member.key, variant_id=variant_id)).status == 404
        assert (await change(site, member, variant_id, "add", 1)).status == 404
        assert (await remove(site, member, variant_id)).status == 404
    # What could be there, and is not this member's.
    assert (await change(site, member, LED, "add", 1)).status == 404
    assert (await remove(site, member, LED)).status == 404


async def test_a_variant_is_a_number(site: Site, member: Member) -> None:
    wrong = ("", "x", "1.5", "0", "-101", str(2**70))
    for method, variant_id in itertools.product(("POST", "PUT", "DELETE"), wrong):
        reply = await site.ask(method, "/my_library", member.key, data={"variant_id": variant_id})
        assert reply.status == 422
        assert "variant_id" in reply.errors


async def test_an_answer_says_no_number_again_that_json_does_not_have(site: Site, member: Member) -> None:
    for content in (b'{"variant_id": 1e999}', b'{"variant_id": [[1e999]]}', b'{"variant_id": 101.5}'):
        reply = await site.ask("POST", "/my_library", member.key, content=content)
        assert reply.status == 422
        assert reply.params == {"variant_id": None}


async def test_an_update_says_what_to_do_and_how_often(site: Site, member: Member) -> None:
    await add(site, member, LED)
    for delta in ("", "0", "-1", "x", "1.5", "1001", None):
        reply = await change(site, member, LED, "add", delta)
        assert reply.status == 422
        assert "delta" in reply.errors
    for operator in ("", "multiply", "ADD"):
        reply = await change(site, member, LED, operator, 1)
        assert reply.status == 422
        assert "operator" in reply.errors
    assert await library(site, member) == {LED: 1}


async def test_of_those_who_change_it_at_once_none_is_lost(site: Site, member: Member) -> None:
    await add(site, member, LED)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for _, variant_id in itertools.product(range(5), (LED, FIRST_CIRCUITS)):
                tasks.start_soon(add, site, member, variant_id)
    assert await library(site, member) == {
        **{bit: 5 * count for bit, count in IN_FIRST_CIRCUITS.items()},
        FIRST_CIRCUITS: 5,
        LED: 16,
    }
