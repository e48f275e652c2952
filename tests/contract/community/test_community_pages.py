"""Lists that come page by page: each item once, whatever happens on the way."""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import anyio
import pytest

from littlebits_async import (
    InvalidArgumentError,
    NotFoundError,
    RetryPolicy,
    ServerError,
    SessionClosedError,
    TransportError,
    Unlimited,
)
from littlebits_async.community import Comment, Community, Page, Pages, Project
from tests.support.raw_server import Exchange, RawServer, raw_server

pytestmark = pytest.mark.anyio

PATIENCE = 10
Handler = Callable[[Exchange], Awaitable[None]]


def number_of(exchange: Exchange) -> int:
    return int(parse_qs(exchange.request.target.partition("?")[2])["page"][0])


def envelope(*ids: object) -> dict[str, object]:
    return {"results": [{"id": each} for each in ids], "meta": {"success": True}}


def pages_of(*pages: tuple[object, ...], beyond: tuple[object, ...] = ()) -> Handler:
    async def handler(exchange: Exchange) -> None:
        number = number_of(exchange)
        await exchange.answer(200, envelope(*(pages[number - 1] if number <= len(pages) else beyond)))

    return handler


def community_at(server: RawServer, **options: Any) -> Community:
    usual: dict[str, Any] = {"budget": Unlimited(), "retry": RetryPolicy(attempts=1), "trust_env": False}
    return Community(base_url=server.url, **usual | options)


async def taken(pages: Pages[Any], most: int = 100) -> list[int]:
    """The ids of so many items."""
    found: list[int] = []
    with anyio.fail_after(PATIENCE):
        async for item in pages:
            found.append(item.id)
            if len(found) == most:
                break
    return found


def asked(server: RawServer) -> list[int]:
    return [int(parse_qs(request.target.partition("?")[2])["page"][0]) for request in server.requests]


LISTS: dict[str, Callable[[Community], Pages[Any]]] = {
    "projects": lambda c: c.projects(),
    "search": lambda c: c.search("robot"),
    "comments": lambda c: c.comments(16),
}


@pytest.mark.requirement("C2")
@pytest.mark.parametrize("name", LISTS)
async def test_every_item_comes_once_until_an_empty_page(name: str) -> None:
    async with raw_server(pages_of((1, 2), (3, 4), (5,))) as server, community_at(server) as community:
        items = [item async for item in LISTS[name](community)]
    assert [item.id for item in items] == [1, 2, 3, 4, 5]
    assert all(isinstance(item, Comment if name == "comments" else Project) for item in items)
    assert asked(server) == [1, 2, 3, 4]


@pytest.mark.requirement("C2")
async def test_a_page_that_is_the_one_before_once_more_is_the_end() -> None:
    async with raw_server(pages_of((1, 2), (3,), beyond=(3,))) as server, community_at(server) as community:
        assert await taken(community.projects()) == [1, 2, 3]
    assert asked(server) == [1, 2, 3]


@pytest.mark.requirement("C2")
async def test_a_server_that_begins_anew_is_at_the_end() -> None:
    def pages(number: int) -> tuple[int, ...]:
        return ((1, 2), (3, 4), (5,))[(number - 1) % 3]

    async def handler(exchange: Exchange) -> None:
        await exchange.answer(200, envelope(*pages(number_of(exchange))))

    async with raw_server(handler) as server, community_at(server) as community:
        assert await taken(community.projects()) == [1, 2, 3, 4, 5]
    assert asked(server) == [1, 2, 3, 4]


async def test_a_server_that_knows_no_pages_is_asked_twice() -> None:
    async with raw_server(pages_of(beyond=(1, 2))) as server, community_at(server) as community:
        assert await taken(community.projects()) == [1, 2]
    assert asked(server) == [1, 2]


@pytest.mark.requirement("C2")
async def test_a_short_page_is_no_end_as_a_server_may_cap_it() -> None:
    async with raw_server(pages_of((1,), (2, 3), (4,))) as server, community_at(server) as community:
        assert await taken(community.projects(per_page=100)) == [1, 2, 3, 4]
    assert all("per_page=100" in request.target for request in server.requests)


@pytest.mark.requirement("C2")
async def test_a_page_of_which_nothing_can_be_used_is_no_end() -> None:
    async with raw_server(pages_of(("x",), (2,), ("x", "y"), (4,))) as server, community_at(server) as community:
        assert await taken(community.projects(per_page=1)) == [2, 4]
        pages = [page async for page in community.projects().pages()]
    assert [(page.number, len(page.items), page.sent) for page in pages] == [
        *((1, 0, 1), (2, 1, 1)),
        *((3, 0, 2), (4, 1, 1)),
    ]


async def test_garbage_for_ever_has_an_end() -> None:
    async with raw_server(pages_of(beyond=("x",))) as server, community_at(server) as community:
        assert await taken(community.projects()) == []
    assert asked(server) == [1, 2]


async def test_nothing_is_asked_for_before_it_is_wanted() -> None:
    async with raw_server(pages_of((1, 2), (3, 4))) as server, community_at(server) as community:
        projects = community.projects(page=1)
        assert server.requests == []
        assert await taken(projects, 2) == [1, 2]
        assert asked(server) == [1]


async def test_a_break_loses_nothing_and_repeats_nothing() -> None:
    async with raw_server(pages_of((1, 2), (3, 4), (5,))) as server, community_at(server) as community:
        projects = community.projects()
        assert await taken(projects, 1) == [1]
        assert await taken(projects, 2) == [2, 3]
        assert await taken(projects) == [4, 5]
        assert await taken(projects) == []
    assert asked(server) == [1, 2, 3, 4]


async def test_iteration_may_begin_at_another_page() -> None:
    async with raw_server(pages_of((1,), (2,), (3,))) as server, community_at(server) as community:
        assert await taken(community.projects(page=2)) == [2, 3]


@pytest.mark.parametrize("failure", [ServerError, NotFoundError, TransportError])
async def test_a_page_that_fails_raises_and_is_tried_again_by_going_on(failure: type[Exception]) -> None:
    failing = True

    async def handler(exchange: Exchange) -> None:
        if failing and number_of(exchange) == 2:
            if failure is TransportError:
                await exchange.close()
            else:
                await exchange.answer(500 if failure is ServerError else 404)
        else:
            await pages_of((1, 2), (3, 4))(exchange)

    async with raw_server(handler) as server, community_at(server) as community:
        projects = community.projects()
        found: list[int] = []
        for _ in range(2):
            with pytest.raises(failure):
                async for project in projects:
                    found.append(project.id)  # noqa: PERF401 - it raises
        assert found == [1, 2]
        failing = False
        assert await taken(projects) == [3, 4]
    assert asked(server) == [1, 2, 2, 2, 3]


async def test_a_wait_that_is_given_up_loses_no_page() -> None:
    silent = True

    async def handler(exchange: Exchange) -> None:
        if silent and number_of(exchange) == 2:
            waits.set()
            await exchange.until_closed()
        else:
            await pages_of((1,), (2,))(exchange)

    waits = anyio.Event()
    async with raw_server(handler) as server, community_at(server) as community:
        projects = community.projects()
        assert await taken(projects, 1) == [1]
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(anext, projects)
                await waits.wait()
                group.cancel_scope.cancel()
        silent = False
        assert await taken(projects) == [2]


@pytest.mark.parametrize("whole", [False, True])
async def test_a_second_consumer_is_refused_while_one_waits(*, whole: bool) -> None:
    async def handler(exchange: Exchange) -> None:
        waits.set()
        await exchange.until_closed()

    waits = anyio.Event()
    async with raw_server(handler) as server, community_at(server) as community:
        projects = community.projects()
        iteration: Any = projects.pages() if whole else projects
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(anext, iteration)
                await waits.wait()
                with pytest.raises(anyio.BusyResourceError):
                    await anext(iteration)
                group.cancel_scope.cancel()


@pytest.mark.parametrize("whole", [False, True])
async def test_aclose_ends_an_iteration_for_whoever_waits_in_it(*, whole: bool) -> None:
    async def handler(exchange: Exchange) -> None:
        waits.set()
        await exchange.until_closed()

    ended: list[object] = []

    async def consume() -> None:
        ended.append([item async for item in iteration])

    waits = anyio.Event()
    async with raw_server(handler) as server, community_at(server) as community:
        projects = community.projects()
        iteration: Any = projects.pages() if whole else projects
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(consume)
                await waits.wait()
                await iteration.aclose()
        assert ended == [[]]
        with pytest.raises(StopAsyncIteration):
            await anext(iteration)


async def test_aclose_drops_what_was_not_taken_yet() -> None:
    async with raw_server(pages_of((1, 2))) as server, community_at(server) as community:
        projects = community.projects()
        assert await taken(projects, 1) == [1]
        await projects.aclose()
        assert await taken(projects) == []


async def test_whole_pages_are_an_iteration_of_their_own() -> None:
    async with raw_server(pages_of((1, 2), (3,))) as server, community_at(server) as community:
        projects = community.projects()
        assert await taken(projects, 1) == [1]
        pages = [page async for page in projects.pages()]
        assert await taken(projects) == [2, 3]
    assert pages == [
        Page((Project(1), Project(2)), 1, {"success": True}, 2),
        Page((Project(3),), 2, {"success": True}, 1),
    ]


async def test_a_closed_community_asks_for_no_page() -> None:
    async with raw_server(pages_of((1, 2), (3,))) as server:
        async with community_at(server) as community:
            projects = community.projects()
            assert await taken(projects, 1) == [1]
        assert await taken(projects, 1) == [2]
        with pytest.raises(SessionClosedError):
            await anext(projects)


WRONG: dict[str, Callable[[Community], object]] = {
    "page": lambda c: c.projects(page=0),
    "per_page": lambda c: c.projects(per_page=0),
    "a page of another type": lambda c: c.comments(16, page="1"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    "q": lambda c: c.search(""),
    "q, too long": lambda c: c.search("x" * 1025),
    "sort": lambda c: c.search(sort="best"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    "days_ago": lambda c: c.search(days_ago=-1),
    "tags": lambda c: c.search(tags=["art"]),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    "type": lambda c: c.search(type=""),
    "kit": lambda c: c.search(kit="\ud800"),
    "user": lambda c: c.search(user="lev"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    "variants, none": lambda c: c.search(variants=[]),
    "variants, a text": lambda c: c.search(variants="216,13"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    "variants, texts": lambda c: c.search(variants=["216"]),  # type: ignore[list-item] # pyright: ignore[reportArgumentType]
    "variants, no ids": lambda c: c.search(variants=[0]),
    "variants, one": lambda c: c.search(variants=216),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    "variants, many": lambda c: c.search(variants=[1] * 501),
    "qty, alone": lambda c: c.search(qty=[1]),
    "qty, fewer": lambda c: c.search(variants=[216, 13], qty=[1]),
    "qty, more": lambda c: c.search(variants=[216], qty=[1, 2]),
    "qty, nothing": lambda c: c.search(variants=[216], qty=[0]),
    "comments of nothing": lambda c: c.comments(""),
    "comments of a step in a path": lambda c: c.comments(".."),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
async def test_what_no_page_can_be_asked_for_with_is_refused_at_once(call: Callable[[Community], object]) -> None:
    async with Community(base_url="http://community.example", trust_env=False) as community:
        with pytest.raises(InvalidArgumentError):
            call(community)


async def test_the_longest_lists_make_an_address_that_httpx_takes() -> None:
    longest = [2**53 - 1] * 500
    async with raw_server(pages_of()) as server, community_at(server) as community:
        assert await taken(community.search("ü" * 512, variants=longest, qty=longest)) == []
    assert json.dumps(longest).replace(" ", "")[1:-1] in parse_qs(server.requests[0].target)["variants"][0]
