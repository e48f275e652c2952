"""The client's community and the cloud's: each the other's counterpart, for each row of the API."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import attrs
import pytest

from littlebits_async import AuthenticationError, NotFoundError, PermissionDeniedError, UnprocessableError
from littlebits_async.community import Community, ContentHtml, ContentList, LibraryItem, Like, Pages, Project, calls
from littlebits_async.localcloud.community._catalogue import Project as Made
from littlebits_async.localcloud.community._passwords import COSTS
from littlebits_async.localcloud.community.sample import new_catalogue
from littlebits_async.testing import RunningCloud, run_cloud

pytestmark = pytest.mark.anyio

EMAIL, NAME, PASSWORD = "ada@example.org", "ada", "correct horse"
PATIENCE = 10
CATALOGUE = new_catalogue()
KIT = next(product for product in CATALOGUE.products if product.contents)


async def verify_facebook(proof: Mapping[str, object]) -> bool:
    return proof == {"userID": "2"}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningCloud]:
    """A cloud with a community, in which passwords are cheap and Facebook knows one user."""
    monkeypatch.setattr("littlebits_async.localcloud.community._passwords.COSTS", attrs.evolve(COSTS, n=2, p=1))
    with run_cloud(community=True, verify_facebook=verify_facebook) as cloud:
        yield cloud


@asynccontextmanager
async def visiting(cloud: RunningCloud) -> AsyncGenerator[Community, None]:
    """Somebody without a key."""
    with anyio.fail_after(PATIENCE):
        async with Community(base_url=cloud.url, trust_env=False) as community:
            yield community


@asynccontextmanager
async def logged_in(cloud: RunningCloud) -> AsyncGenerator[Community, None]:
    """Somebody new, with a key."""
    async with visiting(cloud) as community:
        await community.create_user(email=EMAIL, username=NAME, password=PASSWORD)
        await community.login(EMAIL, PASSWORD)
        yield community


def held(items: list[LibraryItem]) -> dict[int, int | None]:
    return {item.variant_id: item.quantity for item in items}


async def ids(projects: Pages[Project]) -> list[int]:
    return [project.id async for project in projects]


# Who is asking


async def test_a_user_is_made_logs_in_and_logs_out(cloud: RunningCloud) -> None:
    async with visiting(cloud) as community:
        made = await community.create_user(email=EMAIL, username=NAME, password=PASSWORD)
        assert made is not None
        with pytest.raises(AuthenticationError, match="check what you log in with"):
            await community.login(EMAIL, "wrong horse")
        assert not community.has_key
        account = await community.login(EMAIL, PASSWORD)
        assert (account.id, account.username) == (made.id, NAME)
        assert await community.library() == []
        await community.logout()
        assert not community.has_key
        with pytest.raises(AuthenticationError):
            await community.library()
        await community.answer(calls.logout(account.api_key))  # which is no key any more
    async with Community(account.api_key, base_url=cloud.url, trust_env=False) as late:
        with pytest.raises(AuthenticationError, match="not valid"):
            await late.library()


async def test_whoever_has_a_key_that_ended_can_log_in_again(cloud: RunningCloud) -> None:
    async with logged_in(cloud) as community:
        key = (await community.login(EMAIL, PASSWORD)).api_key
        await community.answer(calls.logout(key))
        await community.login(EMAIL, PASSWORD)
        assert await community.library() == []


async def test_what_is_wrong_with_a_new_user_is_told_field_by_field(cloud: RunningCloud) -> None:
    async with logged_in(cloud) as community:
        with pytest.raises(UnprocessableError, match=r"email is invalid.*username is invalid.*password is too"):
            await community.create_user(email="nowhere", username="?", password="horse")
        with pytest.raises(UnprocessableError, match=r"email has already been taken.*username has already been taken"):
            await community.create_user(email=EMAIL, username=NAME, password=PASSWORD)


async def test_facebook_vouches_for_somebody(cloud: RunningCloud) -> None:
    peter: dict[str, str] = {"first_name": "Peter", "last_name": "Pan", "email": "e2@ma.il"}
    async with visiting(cloud) as community:
        account = await community.login_with_facebook(**peter, user_id="2")
        assert account.username == "PeterPan"
        assert await community.library() == []
        with pytest.raises(AuthenticationError):
            await community.login_with_facebook(**peter, user_id="3")


async def test_nobody_vouches_where_the_cloud_cannot_ask() -> None:
    with run_cloud(community=True) as cloud:
        async with visiting(cloud) as community:
            with pytest.raises(PermissionDeniedError, match="Log in with a password"):
                await community.login_with_facebook(first_name="P", last_name="P", email="e2@ma.il", user_id="2")


async def test_who_asks_for_a_new_password_is_heard_and_told_nothing(cloud: RunningCloud) -> None:
    async with logged_in(cloud) as community:
        await community.reset_password(EMAIL)
        await community.reset_password("nobody@example.org")  # nor is that said
        with pytest.raises(UnprocessableError, match="email is invalid"):
            await community.reset_password("nowhere")


# One's own bits


async def test_a_kit_is_in_the_library_with_all_its_bits(cloud: RunningCloud) -> None:
    async with logged_in(cloud) as community:
        kit = next(product for product in await community.products() if product.type == "Kit")
        [variant] = kit.variants
        contents = {bit.variant_id: bit.quantity or 0 for bit in variant.kit_bits}
        once = contents | {variant.id: 1}
        assert held(await community.add_to_library(variant.id)) == once
        assert held(await community.update_library(variant.id, "add", 2)) == {bit: 3 * n for bit, n in once.items()}
        less = await community.update_library(variant.id, "subtract", 1)
        assert held(less) == {bit: 2 * n for bit, n in once.items()}
        found = await community.library()
        assert held(found) == held(less)
        assert all(item.title and item.type and item.images and item.product_id for item in found)
        bit = next(iter(contents))
        await community.update_library(bit, "add", 5)
        assert held(await community.remove_from_library(variant.id)) == {bit: 5}
        assert held(await community.library()) == {bit: 5}
        assert held(await community.update_library(bit, "subtract", 5)) == {bit: 0}
        with pytest.raises(NotFoundError, match="not in the library"):
            await community.remove_from_library(bit)
        with pytest.raises(NotFoundError, match="no such variant"):
            await community.add_to_library(9999)


# Products and content


async def test_products_and_their_variants_are_the_same_however_asked_for(cloud: RunningCloud) -> None:
    async with visiting(cloud) as community:
        products = await community.products()
        assert Counter(product.type for product in products).keys() == {"Bit", "Kit", "Accessory"}
        for listed in (next(each for each in products if each.type == kind) for kind in ("Bit", "Kit", "Accessory")):
            alone = await community.product(listed.id)
            assert attrs.evolve(alone, cost=None) == listed
            assert alone.updated_at is not None
            assert alone.updated_at.tzinfo is UTC
            for variant in listed.variants:
                assert await community.variant(listed.id, variant.id) == variant
        with pytest.raises(NotFoundError, match="no such variant"):
            await community.variant(products[0].id, products[1].variants[0].id)
        with pytest.raises(NotFoundError, match="no such product"):
            await community.product(9999)


async def test_content_is_a_list_or_html(cloud: RunningCloud) -> None:
    async with visiting(cloud) as community:
        basics = await community.content("learn.lbbasics")
        assert isinstance(basics, ContentList)
        assert [item.name for item in basics.items] == ["power", "input", "wire", "output"]
        assert all(item.title and item.value and item.image for item in basics.items)
        assert isinstance(one := await community.content("learn.lbbasics.power"), ContentList)
        assert one.items == basics.items[:1]
        assert isinstance(play := await community.content("learn.play"), ContentHtml)
        assert "<strong>" in play.html
        with pytest.raises(NotFoundError, match="no such content"):
            await community.content("learn.nothing")


# Projects


async def test_projects_come_page_by_page_and_each_once(cloud: RunningCloud) -> None:
    async with visiting(cloud) as community:
        at_once = await ids(community.projects(per_page=50))
        assert len(at_once) == len(set(at_once))
        assert len(at_once) > 10
        assert await ids(community.projects(per_page=3)) == at_once
        assert await ids(community.projects(page=2)) == at_once[10:]
        assert await ids(community.projects(page=99)) == []
        pages = [page async for page in community.projects(per_page=5).pages()]
        assert [project.id for page in pages for project in page.items] == at_once
        assert [page.number for page in pages] == list(range(1, len(pages) + 1))
        assert {len(page.items) for page in pages[:-1]} == {5}
        assert pages[0].meta["version"] == 2


SEARCHES: Mapping[str, tuple[Mapping[str, Any], Callable[[Made], bool]]] = {
    "word": ({"q": "lamp"}, lambda made: "lamp" in f"{made.name} {made.description}".lower()),
    "days": ({"days_ago": 45}, lambda made: made.days_old < 45),
    "tags": ({"tags": "home"}, lambda made: "home" in made.tags),
    "lessons": ({"type": "lesson"}, lambda made: made.is_lesson),
    "kit": ({"kit": KIT.slug}, lambda made: all(KIT.contents.get(bit, 0) >= n for bit, n in made.parts.items())),
    "user": ({"user": 2}, lambda made: made.author == 2),
    "all at once": (
        {"q": "light", "days_ago": 80, "tags": "home", "user": 2, "sort": "popular"},
        lambda made: made.author == 2 and {"light", "home"} <= set(made.tags) and made.days_old < 80,
    ),
}


@pytest.mark.parametrize(("said", "is_meant"), SEARCHES.values(), ids=SEARCHES)
async def test_a_search_finds_what_all_is_true_of(
    cloud: RunningCloud, said: Mapping[str, Any], is_meant: Callable[[Made], bool]
) -> None:
    meant = {made.id for made in CATALOGUE.projects if is_meant(made) and made.is_lesson is ("type" in said)}
    assert 0 < len(meant) < len(CATALOGUE.projects)
    async with visiting(cloud) as community:
        assert set(await ids(community.search(**said, per_page=2))) == meant


async def test_a_search_by_bits_finds_what_they_are_enough_for(cloud: RunningCloud) -> None:
    async with visiting(cloud) as community:
        project = await community.project("post-box-flag")
        needed = {part.variant_id or 0: part.quantity or 0 for part in project.products}
        assert max(needed.values()) > 1
        bits, numbers = list(needed), list(needed.values())
        assert project.id in await ids(community.search(variants=bits, qty=numbers))
        assert project.id in await ids(community.search(variants=bits))
        assert project.id not in await ids(community.search(variants=bits[1:], qty=numbers[1:]))
        assert project.id not in await ids(community.search(variants=bits, qty=[1] * len(bits)))


async def test_a_search_is_sorted(cloud: RunningCloud) -> None:
    async with visiting(cloud) as community:
        popular = [project.like_count or 0 async for project in community.search(sort="popular")]
        assert popular == sorted(popular, reverse=True)
        assert popular[0] > popular[-1]
        assert await ids(community.search(sort="recent")) == await ids(community.projects())


async def test_a_project_is_found_by_id_and_slug_with_all_that_belongs_to_it(cloud: RunningCloud) -> None:
    async with visiting(cloud) as community:
        listed = await anext(community.projects())
        found = await community.project(listed.id)
        assert await community.project(listed.slug) == found
        assert (found.id, found.name, found.user) == (listed.id, listed.name, listed.user)
        assert found.liked_by_user is None
        assert found.products
        assert [step.number for step in found.steps] == list(range(1, len(found.steps) + 1))
        assert all(step.title and step.description and step.images for step in found.steps)
        with pytest.raises(NotFoundError, match="no such project"):
            await community.project("no/such project?")


async def test_a_project_is_commented_and_replied_to(cloud: RunningCloud) -> None:
    async with logged_in(cloud) as community:
        me = await community.user(NAME)
        before = (await community.project("quiz-buzzer")).comment_count or 0
        said = await community.comment("quiz-buzzer", "Zündet: größer & 100 %+\r\nThen ☂")
        assert (said.owner_id, said.body, said.replies) == (me.id, "Zündet: größer & 100 %+\r\nThen ☂", ())
        assert said.created_at is not None
        assert abs(said.created_at - datetime.now(UTC)) < timedelta(minutes=1)
        reply = await community.reply("quiz-buzzer", said.id, "It does")
        listed = {comment.id: comment async for comment in community.comments("quiz-buzzer", per_page=1)}
        assert listed[said.id] == attrs.evolve(said, replies=(reply,))
        assert ((await community.project("quiz-buzzer")).comment_count or 0) > before
        with pytest.raises(NotFoundError, match="no such comment"):
            await community.reply("quiz-buzzer", 99_999, "It does not")
        await community.logout()
        with pytest.raises(AuthenticationError):
            await community.comment("quiz-buzzer", "And me?")


async def test_a_like_toggles_and_is_among_the_user_s(cloud: RunningCloud) -> None:
    async with logged_in(cloud) as community:
        project = await community.project("dusk-light")
        assert project.liked_by_user is False
        others = project.like_count or 0
        assert await community.like(project.id) == Like(others + 1, liked_by_user=True)
        assert (await community.project(project.id)).liked_by_user is True
        [liked] = await community.likes(NAME)
        assert (liked.id, liked.liked_by_user) == (project.id, True)
        assert await community.like("dusk-light") == Like(others, liked_by_user=False)
        assert await community.likes(NAME) == []


# Users


async def test_a_user_is_found_by_id_and_slug_with_projects(cloud: RunningCloud) -> None:
    async with visiting(cloud) as community:
        nora = await community.user("nora_b")
        assert await community.user(nora.id) == nora
        assert (nora.username, nora.twitter) == ("Nora_B", None)
        assert nora.bio
        assert (nora.member_since or "").startswith("Member since ")
        assert {project.id for project in nora.projects} == set(await ids(community.search(user=nora.id)))
        assert await community.likes(nora.id) == await community.likes("nora_b")
        assert (await community.likes("nora_b"))[0].liked_by_user is None
        with pytest.raises(NotFoundError, match="no such user"):
            await community.user("nobody")
