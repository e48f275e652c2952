"""The application that answers under ``/api/v2``, and leaves all else to the one behind it.

That it has the prefix of the Cloud API's second version nobody misses: of that, no path begins with ``/api``.
"""

import time
from http import HTTPStatus
from typing import Final

from attrs import evolve
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from ..aside import Aside
from ..limiting import RequestLimit
from ..storage import Store
from ._accounts import Accounts, VerifyFacebook
from ._pictures import PAGES
from ._projects import Projects
from ._resource import Key, Operation, Resource
from ._shelf import Shelf
from .sample import new_catalogue

__all__ = ["Community"]

_PREFIX: Final = "/api/v2"


class Community:
    """The Mobile Application API: who makes things with bits, what of, and what others say.

    Args:
        store: Keeps what members have and say.
        limit: How often a member may ask.
        verify_facebook: Tells whether a login is Facebook's; None where nobody can.
    """

    def __init__(self, store: Store, limit: RequestLimit, verify_facebook: VerifyFacebook | None = None) -> None:
        self._store = store
        self._limit = limit
        self._verify_facebook = verify_facebook
        self._catalogue = new_catalogue()
        self._projects = Projects(store, self._catalogue)

    async def load(self) -> None:
        """Have the first members there, and what they say."""
        now_ms, catalogue = time.time_ns() // 1_000_000, self._catalogue
        self._projects.planted_ms = await self._store.community.plant(
            [evolve(member, created_ms=now_ms + member.created_ms) for member in catalogue.members],
            catalogue.likes,
            [evolve(item, created_ms=now_ms + item.created_ms) for item in catalogue.comments],
            now_ms=now_ms,
        )

    def before(self, app: ASGIApp) -> ASGIApp:
        """Stand before an application."""
        router, behind = self._make_router(), Aside(PAGES, app)

        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            raw_path: bytes = scope.get("raw_path", b"")
            if scope["type"] != "http" or not f"{raw_path.decode('latin-1')}/".startswith(f"{_PREFIX}/"):
                await behind(scope, receive, send)
                return
            scope.setdefault("state", {})
            # Still percent-encoded, so that an encoded slash parts nothing in two.
            await router({**scope, "path": raw_path.decode("latin-1").rstrip("/"), "root_path": ""}, receive, send)

        return respond

    def _make_router(self) -> Router:
        accounts = Accounts(self._store, self._catalogue, self._verify_facebook)
        shelf, projects = Shelf(self._store, self._catalogue), self._projects
        created, no_content = HTTPStatus.CREATED, HTTPStatus.NO_CONTENT
        operations = {
            "/session/create": {"POST": Operation(accounts.log_in)},
            "/session/fb": {"POST": Operation(accounts.log_in_with_facebook)},
            "/session/destroy": {"POST": Operation(accounts.log_out, status=no_content)},
            "/content": {"GET": Operation(shelf.content)},
            "/my_library": {
                "GET": Operation(shelf.library, Key.NEEDED),
                "POST": Operation(shelf.add, Key.NEEDED),
                "PUT": Operation(shelf.update, Key.NEEDED),
                "DELETE": Operation(shelf.remove, Key.NEEDED),
            },
            "/products": {"GET": Operation(shelf.products)},
            "/products/{product_id}": {"GET": Operation(shelf.product)},
            "/products/{product_id}/variants/{variant_id}": {"GET": Operation(shelf.variant)},
            "/projects": {"GET": Operation(projects.list, Key.OPTIONAL)},
            "/projects/search": {"GET": Operation(projects.search, Key.OPTIONAL)},
            "/projects/{project}": {"GET": Operation(projects.project, Key.OPTIONAL)},
            "/projects/{project}/comments": {
                "GET": Operation(projects.comments),
                "POST": Operation(projects.comment, Key.NEEDED),
            },
            "/projects/{project}/comments/{comment_id}": {"POST": Operation(projects.reply, Key.NEEDED)},
            "/projects/{project}/like": {"POST": Operation(projects.like, Key.NEEDED)},
            "/users/new": {"POST": Operation(accounts.create, status=created)},
            "/users/password_reset": {"GET": Operation(accounts.ask_reset)},
            "/users/{user}": {"GET": Operation(projects.user)},
            "/users/{user}/likes": {"GET": Operation(projects.likes, Key.OPTIONAL)},
        }
        return Router(
            [
                Route(_PREFIX + path, Resource(_PREFIX + path, self._store, self._limit, methods))
                for path, methods in operations.items()
            ],
            redirect_slashes=False,
            default=Resource(_PREFIX, self._store, self._limit),
        )
