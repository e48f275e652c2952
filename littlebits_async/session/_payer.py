"""What a request costs and what becomes of it: the budget, further tries, holds, hooks."""

import itertools
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar

import anyio
from attrs import define

from ..auth import pay_again
from ..backoff import RetryPolicy
from ..budget import Budget, Correctable, Grant, Priority
from ..errors import (
    APIError,
    BudgetExhaustedError,
    InvalidArgumentError,
    LittleBitsError,
    OAuthError,
    RateLimitedError,
    SessionClosedError,
    TransportError,
)
from ..hooks import Hooks, RequestDone
from ..transport import Client, Heard, Ready
from ..wire import Call, read_rate_limit, read_retry_after
from ._hold import RateLimitHold

__all__ = ["Payer"]

WORTH_TELLING: Final = 0.001
"""Seconds; a wait for the budget that is shorter was none."""

T = TypeVar("T")
Q = TypeVar("Q")


@define
class _Try:
    """What is known of a try while it is on its way."""

    call: Call[Any]
    grant: Grant
    begun: bool = False
    status: int | None = None
    held_back: RateLimitedError | None = None

    def check_hold(self) -> None:
        """Raise where another request was answered 429 since this one was granted, which may be long ago."""
        if hold := self.grant.hold:
            where = f"{self.call.method} {self.call.path}"
            self.held_back = RateLimitedError(
                f"{where} was not sent: 429 to another request (try again in {hold:.0f} s)",
                status=429,
                method=self.call.method,
                path=self.call.path,
                retry_after=hold,
            )
            raise self.held_back

    def begin(self) -> None:
        """Take note that the request is about to be written: it waited for a turn to connect, or in the pool."""
        self.check_hold()
        self.begun = True


class Payer:
    """Pays for the requests of a session, or of whoever has a client, tries them again, and tells what became of them.

    Args:
        client: Sends one try.
        budget: Grants it.
        max_wait: Seconds that a call may wait for the budget, over all its tries; None without bound.
        retry: Which failures are worth another try.
        hooks: Is told.

    Attributes:
        outcomes: How often each status came, or each error where none did.

    Raises:
        InvalidArgumentError: ``max_wait`` is no time to wait.
    """

    def __init__(
        self, client: Client, *, budget: Budget, max_wait: float | None, retry: RetryPolicy, hooks: Hooks | None
    ) -> None:
        _check_max_wait(max_wait)
        self.outcomes: Counter[str] = Counter()
        self._client = client
        self._budget = budget
        self._max_wait = max_wait
        self._retry = retry
        self._hooks = hooks
        self._hold = RateLimitHold()
        self._waiting: set[anyio.CancelScope] = set()

    def close(self) -> None:
        """Have nobody wait for the budget any more."""
        for scope in self._waiting:
            scope.cancel()

    async def grant(self, *, priority: Priority, label: str, max_wait: float | None) -> Grant:
        """Ask the budget for a request."""
        asked_at = time.monotonic()
        with anyio.CancelScope() as scope:
            self._waiting.add(scope)
            try:
                grant = await self._budget.acquire(priority=priority, label=label, max_wait=max_wait)
            finally:
                self._waiting.discard(scope)
            if self._hooks is not None and (waited := time.monotonic() - asked_at) >= WORTH_TELLING:
                self._hooks.budget_waited(label, waited)
            return grant
        raise SessionClosedError(f"{label}: the session was closed")

    async def call(
        self, call: Call[T], *, label: str, send: Callable[[Call[T], Grant], Awaitable[T]] | None = None
    ) -> T:
        """Send a call, as often as it takes and may be; each try by ``send``, for whoever has a public one."""
        return await self.attempts(
            lambda grant: self.send(call, grant) if send is None else send(call, grant),
            label=label,
            priority=Priority.COMMAND,
            idempotent=call.idempotent,
            once=call.once,
        )

    async def send(self, call: Call[T], grant: Grant) -> T:
        """Send one try of a call, for a request that was granted."""
        return await self.spend(grant, call, self._client.send)

    async def attempts(
        self,
        attempt: Callable[[Grant], Awaitable[T]],
        *,
        label: str,
        priority: Priority,
        idempotent: bool,
        once: bool = False,
    ) -> T:
        """Have something tried, each time for a request that the budget grants, until it succeeds or is given up."""
        max_wait = math.inf if self._max_wait is None else self._max_wait
        refused: RateLimitedError | None = None
        for tried in itertools.count(1):
            if self._client.is_closed:
                raise SessionClosedError("the session is closed")
            asked_at = time.monotonic()
            try:
                grant = await self.grant(
                    priority=priority, label=label, max_wait=None if math.isinf(max_wait) else max_wait
                )
            except BudgetExhaustedError as exc:
                if refused is not None:
                    raise refused from exc
                raise
            max_wait = max(0.0, max_wait - (time.monotonic() - asked_at))
            try:
                return await attempt(grant)
            except LittleBitsError as exc:
                wait = None if once else self._retry.wait(exc, tried, idempotent=idempotent)
                # What the server asks for is a wait for the budget, its own; what we add against crowds is not.
                asked = exc.retry_after or 0.0 if isinstance(exc, APIError) else 0.0
                if wait is None or asked > max_wait:
                    raise
                max_wait -= asked
                refused = exc if isinstance(exc, RateLimitedError) else None
            await anyio.sleep(wait)
        raise AssertionError("unreachable")

    async def spend(
        self,
        grant: Grant,
        call: Call[Q],
        request: Callable[[Call[Q], Ready, Heard], Awaitable[T]],
        *,
        priority: Priority = Priority.COMMAND,
    ) -> T:
        """Send one try for a request that was granted, and settle what it cost.

        Where its token is refused, and renewed, it is sent again within the try, for a request more at ``priority``.
        """
        if self._client.is_closed:
            grant.cancel()
            raise SessionClosedError(f"{call.method} {call.path}: the session is closed")
        sent_at = time.monotonic()
        this = _Try(call, grant)

        async def heard(said: int, headers: Mapping[str, str]) -> None:
            this.status = said
            self._correct(headers)
            if said == HTTPStatus.TOO_MANY_REQUESTS:
                await self._limited(sent_at, read_retry_after(headers, datetime.now(UTC)))

        try:
            this.check_hold()
            answer = await self._paying(priority, lambda: request(call, this.begin, heard))
        except LittleBitsError as exc:
            held_back, this.held_back = exc is this.held_back, None  # its traceback holds this frame
            if (isinstance(exc, TransportError) and exc.surely_unsent) or (
                (held_back or isinstance(exc, OAuthError)) and not this.begun
            ):
                grant.cancel()
            else:
                grant.sent()
            if held_back:
                raise
            self._note(call, this.status, sent_at, exc)
            if isinstance(exc, RateLimitedError) and this.status != HTTPStatus.TOO_MANY_REQUESTS:  # a 200 that says so
                await self._limited(sent_at, exc.retry_after)
            raise
        grant.sent()
        self._note(call, this.status, sent_at, None)
        self._hold.served(sent_at=sent_at)
        return answer

    async def _paying(self, priority: Priority, work: Callable[[], Awaitable[T]]) -> T:
        """Do what may send a request again, and have that paid for."""

        async def pay() -> None:
            grant = await self.grant(priority=priority, label="sent again", max_wait=self._max_wait)
            grant.sent()

        before = pay_again.set(pay)
        try:
            return await work()
        finally:
            pay_again.reset(before)

    async def _limited(self, sent_at: float, retry_after: float | None) -> None:
        hold = self._hold.limited(sent_at=sent_at, now=time.monotonic(), retry_after=retry_after)
        if hold:
            await self._budget.penalize(hold)

    def _correct(self, headers: Mapping[str, str]) -> None:
        said = read_rate_limit(headers)
        if said is not None and isinstance(self._budget, Correctable):
            self._budget.observe(limit=said.limit, remaining=said.remaining, reset=said.reset)

    def _note(self, call: Call[Q], status: int | None, sent_at: float, error: LittleBitsError | None) -> None:
        self.outcomes[type(error).__name__ if status is None else str(status)] += 1
        if self._hooks is not None:
            seconds = time.monotonic() - sent_at
            self._hooks.request_done(RequestDone(call.method, call.path, status, seconds, error))


def _check_max_wait(seconds: object) -> None:
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise InvalidArgumentError(f"max_wait: seconds from 0 on, or None, not {seconds!r}")
