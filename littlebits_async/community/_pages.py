"""Lists that come page by page."""

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol, TypeVar

import anyio

from .._iteration import Iteration
from ._models import Page

__all__ = ["Pages"]


class _Identified(Protocol):
    @property
    def id(self) -> int: ...


T = TypeVar("T", bound=_Identified)


class Pages(Iteration[T]):
    """All items of a list that the server gives page by page; a page is asked for when its first item is.

    An async iterator over the items, once through: after a ``break`` it goes on where it was left, and after an error
    with the page that failed. `pages` iterates over whole pages, by itself and from the first one.

    The list ends with a page that is empty, or that is the one before or the first one once more: some servers give
    their last page for any number beyond it, or begin anew. A short page is no end, as a server may give fewer items
    than were asked for.

    Args:
        fetch: Asks for a page by its number.
        first: The number of the first page.

    Raises:
        anyio.BusyResourceError: In iteration: somebody else is waiting for a page of this very iteration.

    Cost: 1 request each page, and 1 for the page that ends the list.
    """

    def __init__(self, fetch: Callable[[int], Awaitable[Page[T]]], first: int) -> None:
        self._fetch = fetch
        self._first = first
        self._items: deque[T] = deque()
        self._pages = self.pages()

    def pages(self) -> AsyncGenerator[Page[T], None]:
        """Iterate over the pages, from the first one on, whatever was taken elsewhere.

        Cost: 1 request each page, and 1 for the page that ends the list.
        """
        return _WholePages(self._fetch, self._first)

    async def _next(self) -> T:
        while not self._items:
            self._items.extend((await anext(self._pages)).items)
        return self._items.popleft()

    async def aclose(self) -> None:
        """End the iteration, for whoever waits in it too. Cost: nothing."""
        await super().aclose()
        await self._pages.aclose()


class _WholePages(Iteration[Page[T]]):
    def __init__(self, fetch: Callable[[int], Awaitable[Page[T]]], first: int) -> None:
        self._fetch = fetch
        self._number = first
        self._before: list[int] | None = None
        self._opening: list[int] = []
        self._guard = anyio.ResourceGuard("iterating over")
        self._waiting: anyio.CancelScope | None = None

    async def _next(self) -> Page[T]:
        with self._guard:
            with anyio.CancelScope() as self._waiting:
                return await self._page()
            raise StopAsyncIteration

    async def _page(self) -> Page[T]:
        page = await self._fetch(self._number)
        ids = [item.id for item in page.items]
        if not page.sent or ids == self._before or (ids and ids == self._opening):
            self._ended = True
            raise StopAsyncIteration
        self._before, self._opening = ids, self._opening or ids
        self._number += 1
        return page

    async def aclose(self) -> None:
        """End the iteration, for whoever waits in it too. Cost: nothing."""
        await super().aclose()
        if self._waiting is not None:
            self._waiting.cancel()
