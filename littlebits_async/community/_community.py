"""Community: typed calls of the Mobile Application API, over the plumbing of a Session."""

import os
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self, TypeVar

from .._tracebacks import discreet, discreet_call
from ..auth import MobileAppAuth
from ..backoff import RetryPolicy
from ..budget import Budget, TokenBucket
from ..hooks import GuardedHooks, Hooks
from ..session import Payer
from ..transport import API, Client
from ..wire import Call
from . import calls
from ._models import (
    Account,
    Answer,
    Comment,
    ContentHtml,
    ContentList,
    Like,
    Page,
    Project,
    ProjectDetails,
    ProjectSort,
    User,
)
from ._pages import Pages
from ._products import LibraryChange, LibraryItem, Product, Variant

if TYPE_CHECKING:
    import httpx

__all__ = ["Community"]

KEY_VARIABLE: Final = "LITTLEBITS_COMMUNITY_KEY"
BASE_URL_VARIABLE: Final = "LITTLEBITS_COMMUNITY_URL"
DEFAULT_BASE_URL: Final = "https://www.littlebits.cc"
_API: Final = API(
    prefix="/api/v2",
    accept="application/json",
    vendor_url=DEFAULT_BASE_URL,
    hint=(
        "the vendor's site no longer answers there: run your own with `littlebits serve --community`,"
        f" and name it in {BASE_URL_VARIABLE}"
    ),
)

T = TypeVar("T")
P = TypeVar("P", Project, Comment)


class Community:
    """A connection to the littleBits community: typed calls over one pool, within one budget.

    Works on asyncio and trio. Use as an async context manager, or call `aclose`. Without a key, what everybody may read
    can be read; `login` gets one and keeps it.

    Args:
        api_key: A user's key; None takes ``LITTLEBITS_COMMUNITY_KEY``, and none is fine.
        base_url: The community's host; None takes ``LITTLEBITS_COMMUNITY_URL``, else the vendor's. A path prefix is
            kept.
        basic_auth: User name and password of a staging host.
        budget: The hour's requests; None makes a `TokenBucket` of 1800.
        max_wait: Seconds that a call may wait for the budget; None without bound.
        retry: How often a call is tried; each try spends a request.
        timeout: Seconds for the whole of one try, without the wait for the budget; or httpx's limits for its phases.
        proxy: A proxy's URL.
        trust_env: Whether ``HTTPS_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE`` and their like count.
        transport: An httpx transport of your own.
        ssl_context: TLS settings; None loads certifi's certificates at the first request.
        http2: Whether to speak HTTP/2 (extra ``http2``).
        user_agent: Sent as ``User-Agent``.
        hooks: Is told what happens.

    Raises:
        InvalidArgumentError: An argument cannot be used.

    Source: spec/mobile-application-api.txt.
    """

    @discreet
    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        basic_auth: tuple[str, str] | None = None,
        budget: Budget | None = None,
        max_wait: float | None = 60.0,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        timeout: "float | httpx.Timeout" = 10.0,
        proxy: str | None = None,
        trust_env: bool = True,
        transport: "httpx.AsyncBaseTransport | None" = None,
        ssl_context: ssl.SSLContext | None = None,
        http2: bool = False,
        user_agent: str | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        if api_key is None:
            api_key = os.environ.get(KEY_VARIABLE) or None
        self._auth = MobileAppAuth(api_key, basic=basic_auth)
        self._budget = TokenBucket() if budget is None else budget
        self._client = Client(
            auth=self._auth,
            is_own_auth=True,
            base_url=base_url or os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL,
            api=_API,
            timeout=timeout,
            proxy=proxy,
            trust_env=trust_env,
            transport=transport,
            ssl_context=ssl_context,
            http2=http2,
            user_agent=user_agent,
        )
        self._payer = Payer(
            self._client,
            budget=self._budget,
            max_wait=max_wait,
            retry=retry,
            hooks=None if hooks is None else GuardedHooks(hooks),
        )

    def __repr__(self) -> str:
        state = "closed" if self._client.is_closed else "open"
        return f"<Community {self._client.base_url}, {state}>"

    @property
    def budget(self) -> Budget:
        """The budget that this community spends."""
        return self._budget

    @property
    def base_url(self) -> str:
        """Where the community is."""
        return str(self._client.base_url)

    @property
    def has_key(self) -> bool:
        """Whether a user's key is sent."""
        return self._auth.key is not None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection, and end every call; later use raises SessionClosedError. Cost: nothing."""
        self._payer.close()
        await self._client.aclose()

    # Who is asking

    @discreet_call
    async def login(self, email: str, password: str) -> Account:
        """Log in, and send the user's key from now on, instead of any before; the password is not kept.

        Cost: 1 request.

        Args:
            email: The user's address.
            password: The user's password.

        Raises:
            APIError: The API said no; every call may raise it, as well as the next three.
            BudgetExhaustedError: The wait for the budget would be longer than ``max_wait``.
            DecodeError: The answer is not what the API promises.
            TransportError: No answer came.

        Source: spec/mobile-application-api.txt, "Login".
        """
        return self._kept(await self._call(calls.login(email, password), "login"))

    @discreet_call
    async def login_with_facebook(self, *, first_name: str, last_name: str, email: str, user_id: str) -> Account:
        """Log in as whom Facebook knows, and send the user's key from now on, instead of any before.

        Cost: 1 request.

        Args:
            first_name: The user's first name.
            last_name: The user's last name.
            email: The user's address.
            user_id: What Facebook's login gave as ``userID``.

        Source: spec/mobile-application-api.txt, "Login with Facebook".
        """
        call = calls.login_with_facebook(first_name=first_name, last_name=last_name, email=email, user_id=user_id)
        return self._kept(await self._call(call, "login_with_facebook"))

    @discreet_call
    async def logout(self) -> None:
        """Have the key be good for nothing any more, and send none; without one, there is nothing to do.

        Where that fails the key is kept, as the server may still take it, and it can be tried again.

        Cost: 1 request; nothing without a key.

        Source: spec/mobile-application-api.txt, "Log out".
        """
        key = self._auth.key
        if key is None:
            return
        await self._call(calls.logout(key), "logout")
        self._auth.forget(key)

    @discreet_call
    async def create_user(self, *, email: str, username: str, password: str) -> User | None:
        """Make a user; `login` logs in as that one. Tried again only when it surely was not sent.

        Cost: 1 request.

        Args:
            email: The new user's address.
            username: The new user's name.
            password: The new user's password.

        Returns:
            The user, None where the answer does not show one: no example of it does.

        Raises:
            UnprocessableError: The address or the name is taken, or the password will not do.

        Source: spec/mobile-application-api.txt, "Create a user".
        """
        call = calls.create_user(email=email, username=username, password=password)
        return await self._call(call, "create_user")

    @discreet_call
    async def reset_password(self, email: str) -> None:
        """Have a user be sent what a new password is set with. Never tried twice: each would be one more letter.

        Cost: 1 request.

        Args:
            email: The user's address.

        Source: spec/mobile-application-api.txt, "Password Reset".
        """
        await self._call(calls.reset_password(email), "reset_password")

    # One's own bits

    async def library(self) -> list[LibraryItem]:
        """List the bits that the key's owner has.

        Cost: 1 request.

        Raises:
            AuthenticationError: There is no key, or it is good for nothing.

        Source: spec/mobile-application-api.txt, "My Library", "GET all modules".
        """
        return await self._call(calls.library(), "library")

    async def add_to_library(self, variant_id: int) -> list[LibraryItem]:
        """Add one of a variant to the library, of a kit all that is in it, and return what was added.

        Tried again only when it surely was not sent.

        Cost: 1 request.

        Args:
            variant_id: The product's variant.

        Source: spec/mobile-application-api.txt, "CREATE new module".
        """
        return await self._call(calls.add_to_library(variant_id), "add_to_library")

    async def update_library(
        self, variant_id: int, operator: LibraryChange | Literal["add", "subtract"], delta: int
    ) -> list[LibraryItem]:
        """Add or subtract some of a variant in the library, of a kit all that is in it, and return what was changed.

        Tried again only when it surely was not sent.

        Cost: 1 request.

        Args:
            variant_id: The product's variant.
            operator: Whether to add or to subtract.
            delta: How many, 1 at least.

        Source: spec/mobile-application-api.txt, "UPDATE existing module".
        """
        return await self._call(calls.update_library(variant_id, operator, delta), "update_library")

    async def remove_from_library(self, variant_id: int) -> list[LibraryItem]:
        """Remove a variant from the library, of a kit as many of its bits as there are in it, and return what is left.

        Cost: 1 request.

        Args:
            variant_id: The product's variant.

        Source: spec/mobile-application-api.txt, "DELETE module".
        """
        return await self._call(calls.remove_from_library(variant_id), "remove_from_library")

    # Products and content

    async def products(self) -> list[Product]:
        """List all products, retired ones too, with their variants.

        Cost: 1 request.

        Source: spec/mobile-application-api.txt, "GET All Products".
        """
        return await self._call(calls.products(), "products")

    async def product(self, product_id: int) -> Product:
        """Return one product with its variants.

        Cost: 1 request.

        Args:
            product_id: The product.

        Source: spec/mobile-application-api.txt, "GET Product".
        """
        return await self._call(calls.product(product_id), "product")

    async def variant(self, product_id: int, variant_id: int) -> Variant:
        """Return one variant of a product.

        Cost: 1 request.

        Args:
            product_id: The product.
            variant_id: Its variant.

        Source: spec/mobile-application-api.txt, "GET Variant".
        """
        return await self._call(calls.variant(product_id, variant_id), "variant")

    async def content(self, key: str) -> ContentList | ContentHtml:
        """Return content for display.

        Cost: 1 request.

        Args:
            key: Which: words with dots between them, as ``learn.lbbasics`` (a list) and ``learn.play`` (HTML).

        Source: spec/mobile-application-api.txt, "Content".
        """
        return await self._call(calls.content(key), "content")

    # Projects

    def projects(self, *, page: int = 1, per_page: int = 10) -> Pages[Project]:
        """Iterate over the published projects.

        Cost: 1 request each page, and 1 for the page that ends the list.

        Args:
            page: The first page to ask for.
            per_page: How many projects a page should have; the server may give fewer.

        Source: spec/mobile-application-api.txt, "Get all published projects".
        """
        return self._pages(partial(calls.projects, per_page=per_page), page, "projects")

    def search(
        self,
        q: str | None = None,
        *,
        sort: ProjectSort | Literal["recent", "popular"] | None = None,
        days_ago: int | None = None,
        tags: str | None = None,
        type: str | None = None,  # noqa: A002 - the API's word
        kit: str | None = None,
        variants: Sequence[int] | None = None,
        qty: Sequence[int] | None = None,
        user: int | None = None,
        page: int = 1,
        per_page: int = 10,
    ) -> Pages[Project]:
        """Iterate over the projects that all of this is true of.

        Cost: 1 request each page, and 1 for the page that ends the list.

        Args:
            q: A word in them.
            sort: Which come first.
            days_ago: Published in the last so many days.
            tags: A tag.
            type: ``lesson`` for lessons; without it, projects alone.
            kit: The slug of a kit that they can be built with.
            variants: Ids of variants: with these bits and no others.
            qty: With how many of each of ``variants``: as many numbers, in the same order.
            user: Who made them, by id.
            page: The first page to ask for.
            per_page: How many projects a page should have; the server may give fewer.

        Source: spec/mobile-application-api.txt, "Search projects".
        """
        found_on = partial(
            calls.search,
            q,
            sort=sort,
            days_ago=days_ago,
            tags=tags,
            type=type,
            kit=kit,
            variants=variants,
            qty=qty,
            user=user,
            per_page=per_page,
        )
        return self._pages(found_on, page, "search")

    async def project(self, id_or_slug: int | str) -> ProjectDetails:
        """Return one project with all that belongs to it.

        Cost: 1 request.

        Args:
            id_or_slug: The project.

        Source: spec/mobile-application-api.txt, "Get a project".
        """
        return await self._call(calls.project(id_or_slug), "project")

    def comments(self, project: int | str, *, page: int = 1, per_page: int = 10) -> Pages[Comment]:
        """Iterate over a project's comments; replies are in them.

        Cost: 1 request each page, and 1 for the page that ends the list.

        Args:
            project: The project's id or slug.
            page: The first page to ask for.
            per_page: How many comments a page should have; the server may give fewer.

        Source: spec/mobile-application-api.txt, "GET comments".
        """
        return self._pages(partial(calls.comments, project, per_page=per_page), page, "comments")

    async def comment(self, project: int | str, text: str) -> Comment:
        """Comment on a project. Tried again only when it surely was not sent.

        Cost: 1 request.

        Args:
            project: The project's id or slug.
            text: What to say.

        Source: spec/mobile-application-api.txt, "CREATE comment".
        """
        return await self._call(calls.comment(project, text), "comment")

    async def reply(self, project: int | str, comment_id: int, text: str) -> Comment:
        """Reply to a comment. Tried again only when it surely was not sent.

        Cost: 1 request.

        Args:
            project: The project's id or slug.
            comment_id: The comment.
            text: What to say.

        Source: spec/mobile-application-api.txt, "Reply".
        """
        return await self._call(calls.reply(project, comment_id, text), "reply")

    async def like(self, project: int | str) -> Like:
        """Like a project, or like it no more: it toggles, and so is never tried twice.

        Cost: 1 request.

        Args:
            project: The project's id or slug.

        Source: spec/mobile-application-api.txt, "(un)Like a Project".
        """
        return await self._call(calls.like(project), "like")

    # Users

    async def user(self, id_or_slug: int | str) -> User:
        """Return a user.

        Cost: 1 request.

        Args:
            id_or_slug: The user.

        Source: spec/mobile-application-api.txt, "Get a user".
        """
        return await self._call(calls.user(id_or_slug), "user")

    async def likes(self, user: int | str) -> list[Project]:
        """List the projects that a user likes.

        Cost: 1 request.

        Args:
            user: The user's id or slug.

        Source: spec/mobile-application-api.txt, "Get a user's Likes".
        """
        return await self._call(calls.likes(user), "likes")

    # How

    async def answer(self, call: Call[T]) -> T:
        """Send a call of `littlebits_async.community.calls`, and return its whole answer, with its ``meta``.

        As the methods do, but for one thing: a key in the answer is not kept.

        Cost: 1 request.

        Args:
            call: What to send: ``calls.user(7)``.
        """
        return await self._payer.call(call, label="answer")

    def _pages(self, on: Callable[..., Call[Page[P]]], first: int, label: str) -> Pages[P]:
        on(page=first)  # says at once what no page can be asked for with
        return Pages(lambda number: self._payer.call(on(page=number), label=label), first)

    async def _call(self, call: Call[Answer[T]], label: str) -> T:
        return (await self._payer.call(call, label=label)).results

    def _kept(self, account: Account) -> Account:
        self._auth.keep(account.api_key)
        return account
