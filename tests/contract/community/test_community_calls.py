"""Each call of the community over a socket: what is sent is what the document prints, and its answers are understood.

Source: spec/mobile-application-api.txt, as it stands in tests/fixtures/spec/mobile/; where it prints no answer, one
made by hand as wire-facts, section 11, has it.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import attrs
import pytest
from attrs import field, frozen

from littlebits_async import Unlimited, wire
from littlebits_async.community import (
    Account,
    Answer,
    Author,
    Comment,
    Community,
    ContentHtml,
    ContentItem,
    ContentList,
    Embed,
    Image,
    LibraryChange,
    Like,
    Material,
    Page,
    Pages,
    Project,
    ProjectDetails,
    ProjectProduct,
    ProjectSort,
    Step,
    Tool,
    User,
    calls,
)
from tests.spec_messages import message, message_json
from tests.support.raw_server import Exchange, RawServer, Request, raw_server

pytestmark = pytest.mark.anyio

KEY = "meowmeowmeow"
SPEC = "mobile"
Call = Callable[[Community], Awaitable[object]]


async def only_page(pages: Pages[Any]) -> tuple[Any, ...]:
    page: Page[Any] = await anext(pages.pages())
    assert page.number == 1
    return page.items


@frozen(kw_only=True)
class Example:
    """A call, the request that the document prints for it, and its answer: the name of a message, or made by hand."""

    call: Call
    method: str = "GET"
    path: str
    query: Mapping[str, str] = field(factory=dict[str, str])
    form: str | Mapping[str, str] = ""
    json: object = None
    status: int = 200
    answer: str | Mapping[str, object] | None
    result: object

    @property
    def body(self) -> bytes:
        if isinstance(self.answer, str):
            return message(f"{SPEC}/{self.answer}")
        return b"" if self.answer is None else json.dumps(self.answer).encode()

    @property
    def fields(self) -> list[tuple[str, str]]:
        if isinstance(self.form, str):
            return parse_qsl(message(f"{SPEC}/{self.form}").decode().strip()) if self.form else []
        return list(self.form.items())


def envelope(results: object) -> dict[str, object]:
    return {"results": results, "meta": {"version": 2, "success": True, "errors": None}}


def of_example(name: str) -> object:
    """Whatever the example says: `agree` compares it field by field."""
    return message_json(f"{SPEC}/{name}")["results"]


PAGING = {"page": "1", "per_page": "10"}
LITTLEBITS = "https://lb-community-staging.s3.amazonaws.com/uploads"
PIGGY_BANK = Project(
    16,
    "littlePiggy Bank",
    "littlepiggy-bank--3",
    f"{LITTLEBITS}/image/asset/776/small_pig3_interaction2_highRes.jpg",
    "Interactive piggy bank that RINGS frantically to thank you for…",
    comment_count=0,
    like_count=1,
    liked_by_user=True,
    user=Author(1750, "littleBits", "littlebits", f"{LITTLEBITS}/user/avatar/17/small_icon-green-ohhh.png"),
)
FIRST = Comment(2996, 15157, "first!", datetime(2015, 4, 6, 12, 48, 36, tzinfo=UTC))
SOMEGUY = Account(
    64651,
    "someguy",
    image=f"{LITTLEBITS}/user/avatar/medium_pinkModule.png",
    member_since="Member since June 2015",
    api_key="abc123",
)
ROBOT = {"id": 9, "name": "robot", "slug": "robot", "liked_by_user": None}

EXAMPLES = {
    "login": Example(
        call=lambda c: c.login("you@example.com", "savekittens"),
        method="POST",
        path="/session/create",
        form="session-create.request.txt",
        answer="session-create.200.json",
        result=SOMEGUY,
    ),
    "login_with_facebook": Example(
        call=lambda c: c.login_with_facebook(first_name="Peter", last_name="Pan", email="e2@ma.il", user_id="2"),
        method="POST",
        path="/session/fb",
        json=message_json(f"{SPEC}/session-fb.request.json"),
        answer="session-create.200.json",
        result=SOMEGUY,
    ),
    "logout": Example(
        call=lambda c: c.logout(),
        method="POST",
        path="/session/destroy",
        form={"token": KEY},
        status=204,
        answer=None,
        result=None,
    ),
    "content, a list": Example(
        call=lambda c: c.content("learn.lbbasics"),
        path="/content",
        query={"key": "learn.lbbasics"},
        answer="content-list.200.json",
        result=ContentList(
            (
                ContentItem(
                    "power",
                    "It All Begins With Power",
                    "It's kind of important",
                    "https://lb-community.s3.amazonaws.com/uploads/image/asset/9531/card_feature_IMG_4778_-_Copy.JPG",
                ),
                ContentItem(
                    "light",
                    "All Of The Lights",
                    "All of them!",
                    "https://lb-community.s3.amazonaws.com/uploads/image/asset/5953/large_filled_Sweater_IMG_7021LR.jpg",
                ),
            )
        ),
    ),
    "content, HTML": Example(
        call=lambda c: c.content("learn.play"),
        path="/content",
        query={"key": "learn.play"},
        answer="content-html.200.json",
        result=ContentHtml('<div class="container section-divider">…'),
    ),
    "library": Example(
        call=lambda c: c.library(),
        path="/my_library",
        answer="my-library-get.200.json",
        result=of_example("my-library-get.200.json"),
    ),
    "add_to_library": Example(
        call=lambda c: c.add_to_library(216),
        method="POST",
        path="/my_library",
        form="my-library-post.request.txt",
        answer="my-library-post.200.json",
        result=of_example("my-library-post.200.json"),
    ),
    "update_library": Example(
        call=lambda c: c.update_library(216, "add", 1),
        method="PUT",
        path="/my_library",
        form="my-library-put.request.txt",
        answer="my-library-put.200.json",
        result=of_example("my-library-put.200.json"),
    ),
    "update_library, subtract": Example(
        call=lambda c: c.update_library(13, LibraryChange.SUBTRACT, 2),
        method="PUT",
        path="/my_library",
        form={"variant_id": "13", "operator": "subtract", "delta": "2"},
        answer=envelope([]),
        result=[],
    ),
    "remove_from_library": Example(
        call=lambda c: c.remove_from_library(216),
        method="DELETE",
        path="/my_library",
        form="my-library-delete.request.txt",
        answer="my-library-delete.200.json",
        result=of_example("my-library-delete.200.json"),
    ),
    "products": Example(
        call=lambda c: c.products(),
        path="/products",
        answer="products.200.json",
        result=of_example("products.200.json"),
    ),
    "product, whose example is of another": Example(
        call=lambda c: c.product(85),
        path="/products/85",
        answer="product.200.json",
        result=of_example("product.200.json"),
    ),
    "variant": Example(
        call=lambda c: c.variant(4, 5),
        path="/products/4/variants/5",
        answer="variant.200.json",
        result=of_example("variant.200.json"),
    ),
    "projects": Example(
        call=lambda c: only_page(c.projects(per_page=1)),
        path="/projects",
        query={"page": "1", "per_page": "1"},
        answer="projects.200.json",
        result=(PIGGY_BANK,),
    ),
    "search": Example(
        call=lambda c: only_page(c.search(kit="base-kit", per_page=1)),
        path="/projects/search",
        query={"kit": "base-kit", "page": "1", "per_page": "1"},
        answer="projects.200.json",
        result=(PIGGY_BANK,),
    ),
    "search, for all at once": Example(
        call=lambda c: only_page(
            c.search(
                "piggy & bank",
                sort=ProjectSort.POPULAR,
                days_ago=0,
                tags="art",
                type="lesson",
                kit="base-kit",
                variants=[216, 13],
                qty=(1, 2),
                user=7,
            )
        ),
        path="/projects/search",
        query=PAGING
        | {
            "q": "piggy & bank",
            "sort": "popular",
            "days_ago": "0",
            "tags": "art",
            "type": "lesson",
            "kit": "base-kit",
            "variants": "216,13",
            "qty": "1,2",
            "user": "7",
        },
        answer=envelope([ROBOT]),
        result=(Project(9, "robot", "robot"),),
    ),
    "project": Example(
        call=lambda c: c.project(2055),
        path="/projects/2055",
        answer="project.200.json",
        result=ProjectDetails(
            2055,
            "Sounding Box #11",
            description="Sounding Box #11 is the first piece to go public in a series of…",
            comment_count=1,
            like_count=10,
            liked_by_user=False,
            user=Author(
                47312,
                "Caselden_Studios",
                "caselden_studios",
                f"{LITTLEBITS}/user/avatar/small_Caselden_Studios_high_res.png",
            ),
            credits="God",
            images=(Image(f"{LITTLEBITS}/image/asset/7755/large_filled_IMG_6771.jpg", 15),),
            embeds=(
                Embed(
                    '<iframe width="560" height="315" src="//www.youtube.com/embed/IYJSEPD9T40" frameborder="0"'
                    " allowfullscreen></iframe>",
                    5,
                    "youtube.com",
                ),
            ),
            tools=(Tool("3D Printers", 1),),
            products=(
                ProjectProduct(
                    139,
                    133,
                    "Arduino",
                    "https://s3.amazonaws.com/lb-spree-staging/spree/products/2046/small/arduino_withlogo.jpg?1423167635",
                    2,
                ),
            ),
            materials=(Material("Assorted Paints and Finishing Oils", 4, 1),),
            steps=(
                Step(
                    2,
                    1,
                    "i am a jolly step title",
                    "<b>Make a sound box:</b><br>Design a resonating wooden chamber. We took design influence from...",
                    (Image(f"{LITTLEBITS}/image/asset/9896/large_filled_PurpleBit.jpg", 9896, "Picture 1"),),
                ),
            ),
        ),
    ),
    "project, by slug": Example(
        call=lambda c: c.project("ro/bot?"),
        path="/projects/ro%2Fbot%3F",
        answer=envelope([ROBOT]),
        result=ProjectDetails(9, "robot", "robot"),
    ),
    "comments": Example(
        call=lambda c: only_page(c.comments(774)),
        path="/projects/774/comments",
        query=PAGING,
        answer="comments.200.json",
        result=(attrs.evolve(FIRST, body="AWESOME!!!! :)"),),
    ),
    "comments, with replies": Example(
        call=lambda c: only_page(c.comments("the-pune-rudefood")),
        path="/projects/the-pune-rudefood/comments",
        query=PAGING,
        answer=envelope([{"id": 1, "body": "hm", "replies": [{"id": 2, "body": "hm?", "replies": [{"id": 3}]}]}]),
        result=(Comment(1, body="hm", replies=(Comment(2, body="hm?", replies=(Comment(3),)),)),),
    ),
    "comment": Example(
        call=lambda c: c.comment(16, "first!"),
        method="POST",
        path="/projects/16/comments",
        form={"comment": "first!"},
        status=201,
        answer="comment.200.json",
        result=FIRST,
    ),
    "reply": Example(
        call=lambda c: c.reply("piggy", 2996, "second & läst"),
        method="POST",
        path="/projects/piggy/comments/2996",
        form={"comment": "second & läst"},
        answer=envelope(
            {"id": 2997, "owner_id": 7, "body": "second & läst", "created_at": "2015-04-06", "replies": []}
        ),
        result=Comment(2997, 7, "second & läst", datetime(2015, 4, 6, tzinfo=UTC)),
    ),
    "like": Example(
        call=lambda c: c.like(16),
        method="POST",
        path="/projects/16/like",
        answer="like.200.json",
        result=Like(6, liked_by_user=True),
    ),
    "user": Example(
        call=lambda c: c.user(7),
        path="/users/7",
        answer="user.200.json",
        result=User(
            7,
            "erin_littleBits",
            location="boston, ma",
            bio="All the things!",
            image=f"{LITTLEBITS}/user/avatar/484/medium_DSC_4144_-_Version_2.JPG",
            member_since="Member since February 2015",
            projects=(
                Project(
                    176,
                    "Rudolph the Red-Nosed Reindeer",
                    "rudolph-the-red-nosed-reindeer",
                    f"{LITTLEBITS}/lab/PurpleBit.jpg",
                    "Power + Pulse + RBG led = a littleBits powered blinking Rudolph nose!",
                    comment_count=0,
                    like_count=1,
                    user=Author(
                        7,
                        "erin_littleBits",
                        "erin_littlebits",
                        f"{LITTLEBITS}/user/avatar/484/small_DSC_4144_-_Version_2.JPG",
                    ),
                ),
            ),
        ),
    ),
    "user, no list": Example(
        call=lambda c: c.user("lev"), path="/users/lev", answer=envelope({"id": 25038}), result=User(25038)
    ),
    "likes": Example(
        call=lambda c: c.likes("sch"),
        path="/users/sch/likes",
        answer="likes.200.json",
        result=of_example("likes.200.json"),
    ),
    "create_user": Example(
        call=lambda c: c.create_user(email="e@ma.il", username="someguy", password="savekittens"),
        method="POST",
        path="/users/new",
        form={
            "user[email]": "e@ma.il",
            "user[username]": "someguy",
            "user[password]": "savekittens",
            "user[password_confirmation]": "savekittens",
        },
        status=201,
        answer=envelope({"id": 7, "username": "someguy", "spree_api_key": "abc123"}),
        result=User(7, "someguy"),
    ),
    "create_user, which no example shows the answer of": Example(
        call=lambda c: c.create_user(email="e@ma.il", username="someguy", password="savekittens"),
        method="POST",
        path="/users/new",
        form={
            "user[email]": "e@ma.il",
            "user[username]": "someguy",
            "user[password]": "savekittens",
            "user[password_confirmation]": "savekittens",
        },
        status=204,
        answer=None,
        result=None,
    ),
    "reset_password": Example(
        call=lambda c: c.reset_password("e@ma.il"),
        path="/users/password_reset",
        query={"email": "e@ma.il"},
        answer=envelope({}),
        result=None,
    ),
}
EVERY_EXAMPLE = pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)


def community_at(server: RawServer, key: str | None = KEY, **options: Any) -> Community:
    return Community(key, base_url=server.url, trust_env=False, budget=Unlimited(), **options)


def answering(example: Example) -> Callable[[Exchange], Awaitable[None]]:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(example.status, example.body)

    return handler


RENAMED = {"spree_api_key": "api_key"}


def agree(model: Any, said: object) -> None:
    """Hold a model to an example: each field of it is there, and says the same."""
    if members := wire.members(said):
        for name, value in members.items():
            agree(getattr(model, RENAMED.get(name, name)), value)
    elif items := wire.items(said):
        for item, value in zip(model, items, strict=True):
            agree(item, value)
    elif isinstance(model, datetime):
        assert model == datetime.fromisoformat(str(said))
        assert model.tzinfo is UTC
    else:
        assert model == said or (model in (None, ()) and not said)


def check_sent(request: Request, example: Example) -> None:
    assert request.method == example.method
    assert request.path == f"/api/v2{example.path}"
    assert dict(parse_qsl(request.target.partition("?")[2], keep_blank_values=True)) == example.query
    assert request.headers["accept"] == "application/json"
    if example.json is not None:
        assert request.headers["content-type"] == "application/json"
        assert json.loads(request.body) == example.json
    elif example.fields:
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True) == example.fields
    else:
        assert request.body == b""
        assert "content-type" not in request.headers


@EVERY_EXAMPLE
async def test_a_call_is_sent_as_the_document_prints_it_and_its_answer_is_understood(example: Example) -> None:
    async with raw_server(answering(example)) as server, community_at(server) as community:
        result = await example.call(community)
    (request,) = server.requests
    check_sent(request, example)
    assert request.headers["mobileappauth"] == KEY
    assert "authorization" not in request.headers
    if type(example.result) in (list, dict):  # plain values of an example
        agree(result, example.result)
    else:
        assert result == example.result
        assert type(result) is type(example.result)


FORMS: dict[str, Call] = {
    "session-destroy": lambda c: c.logout(),
    "my-library-post": lambda c: c.add_to_library(216),
    "my-library-put": lambda c: c.update_library(216, "add", 1),
    "my-library-delete": lambda c: c.remove_from_library(216),
}


@pytest.mark.parametrize("name", FORMS)
async def test_a_form_is_the_document_s_to_the_byte(name: str) -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(200, envelope([]))

    async with raw_server(handler) as server, community_at(server, "savekittens") as community:
        await FORMS[name](community)
    assert server.requests[0].body == message(f"{SPEC}/{name}.request.txt").strip()


async def test_no_field_of_an_example_is_lost() -> None:
    examples: dict[str, wire.Call[Any]] = {
        "session-create": calls.login("e@ma.il", "x"),
        "my-library-get": calls.library(),
        "my-library-post": calls.add_to_library(216),
        "my-library-put": calls.update_library(216, "add", 1),
        "my-library-delete": calls.remove_from_library(216),
        "products": calls.products(),
        "product": calls.product(85),
        "variant": calls.variant(4, 4),
        "project": calls.project(2055),
        "like": calls.like(16),
        "likes": calls.likes("sch"),
    }
    for name, call in examples.items():
        said = message_json(f"{SPEC}/{name}.200.json")
        answer = call.read(message(f"{SPEC}/{name}.200.json"))
        agree(answer.results, said["results"])
        assert answer.meta == said["meta"]


async def test_a_page_has_its_meta_as_it_stands() -> None:
    example = EXAMPLES["projects"]
    async with raw_server(answering(example)) as server, community_at(server) as community:
        page = await anext(community.projects(page=3).pages())
    assert page == Page((PIGGY_BANK,), 3, message_json(f"{SPEC}/projects.200.json")["meta"], 1)


async def test_an_answer_has_its_meta_as_it_stands() -> None:
    async with raw_server(answering(EXAMPLES["user"])) as server, community_at(server) as community:
        answer = await community.answer(calls.user(7))
    assert answer == Answer(EXAMPLES["user"].result, message_json(f"{SPEC}/user.200.json")["meta"])


# Who is asking


@pytest.mark.requirement("C4.logout")
async def test_a_login_keeps_its_key_and_replaces_the_one_before_until_logged_out() -> None:
    async def handler(exchange: Exchange) -> None:
        if exchange.request.path.endswith("/session/create"):
            await exchange.answer(200, message(f"{SPEC}/session-create.200.json"))
        elif exchange.request.path.endswith("/session/destroy"):
            await exchange.answer(204)
        else:
            await exchange.answer(200, envelope([]))

    async with raw_server(handler) as server, community_at(server, None) as community:
        await community.products()
        before = community.has_key
        await community.login("e@ma.il", "x")
        await community.library()
        between = community.has_key
        await community.logout()
        await community.logout()
        after = community.has_key
        await community.products()
    assert (before, between, after) == (False, True, False)
    assert [request.headers.get("mobileappauth") for request in server.requests] == [
        *(None, None),
        *("abc123", "abc123"),
        None,
    ]
    assert server.requests[3].body == b"token=abc123"

    async with raw_server(handler) as server, community_at(server) as community:
        await community.login("e@ma.il", "x")
        await community.library()
    assert server.requests[-1].headers["mobileappauth"] == "abc123"


async def test_the_environment_names_key_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_server(answering(EXAMPLES["likes"])) as server:
        monkeypatch.setenv("LITTLEBITS_COMMUNITY_KEY", KEY)
        monkeypatch.setenv("LITTLEBITS_COMMUNITY_URL", f"{server.url}/a/prefix/")
        async with Community() as community:
            await community.likes("sch")
        monkeypatch.setenv("LITTLEBITS_COMMUNITY_KEY", "")
        async with Community() as community:
            await community.likes("sch")
    assert [request.target for request in server.requests] == ["/a/prefix/api/v2/users/sch/likes"] * 2
    assert [request.headers.get("mobileappauth") for request in server.requests] == [KEY, None]


async def test_a_staging_host_is_told_a_name_and_a_password_beside_the_key() -> None:
    async with (
        raw_server(answering(EXAMPLES["likes"])) as server,
        community_at(server, basic_auth=("Aladdin", "open sesame")) as community,
    ):
        await community.likes("sch")
    headers = server.requests[0].headers
    assert headers["authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617, section 2
    assert headers["mobileappauth"] == KEY
