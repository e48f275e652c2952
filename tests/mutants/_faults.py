"""The faults: one for each id of the manifest at least."""

from pathlib import Path
from typing import Final

from attrs import frozen

__all__ = ["FAULTS", "Fault"]


@frozen
class Fault:
    """A way to break promises: one text of one file, and what stands there instead.

    Attributes:
        breaks: The ids of the promises; the tests of each must see it.
        what: What is wrong then.
        path: The file, under ``littlebits_async``.
        old: The text; it occurs there once.
        new: What replaces it.
    """

    breaks: tuple[str, ...]
    what: str
    path: str
    old: str
    new: str

    def applied_to(self, source: str) -> str:
        """Return a source with the fault.

        Raises:
            ValueError: The text does not occur in it once: the fault is stale.
        """
        if (found := source.count(self.old)) != 1:
            raise ValueError(f"{self.path}: {found} times, not once: {self.old!r}")
        return source.replace(self.old, self.new)

    def apply(self, root: Path) -> None:
        """Break the package below a directory."""
        path = root / "littlebits_async" / self.path
        path.write_text(self.applied_to(path.read_text(encoding="utf-8")), encoding="utf-8")


FAULTS: Final = (
    # R1
    Fault(
        ("R1.order",),
        "who comes later may pass who waits for room",
        "reactor/_channel.py",
        "        if self._waiting or not self.buffer.put(",
        "        if not self.buffer.put(",
    ),
    Fault(
        ("R1.repeat", "W8"),
        "the repeat of the last event is passed on",
        "stream.py",
        "            if (event.device_id, event.timestamp_ms) == (last.device_id, last.timestamp_ms):\n",
        "            if False:\n",
    ),
    # R2
    Fault(
        ("R2.block", "W9"),
        "nobody waits for room, and the event is lost",
        "reactor/_link.py",
        "                        self._crowded = crowded, entry\n                        return\n",
        "                        machine.resumed(now)\n",
    ),
    Fault(
        ("R2.block",),
        "BLOCK takes ten times as many",
        "buffer.py",
        "        if len(self._items) >= self.capacity:",
        "        if len(self._items) >= 10 * self.capacity:",
    ),
    Fault(
        ("R2.oldest", "W9"),
        "DROP_OLDEST holds ten times as many",
        "buffer.py",
        "        if len(self._keys) > self.capacity:",
        "        if len(self._keys) > 10 * self.capacity:",
    ),
    Fault(
        ("R2.oldest",),
        "who came last loses an event, not who has most",
        "buffer.py",
        "            longest = next(iter(self._ranks[self._longest]))",
        "            longest = key",
    ),
    Fault(
        ("R2.oldest", "R2.latest"),
        "drops are not counted",
        "buffer.py",
        "        self.dropped += 1\n",
        "",
    ),
    Fault(
        ("R2.latest", "W9"),
        "nothing is merged",
        "reactor/_outlets.py",
        "        mergeable = entry.event.delta is None\n",
        "        mergeable = False\n",
    ),
    Fault(
        ("R2.edges",),
        "edges are merged",
        "reactor/_outlets.py",
        "        mergeable = entry.event.delta is None\n",
        "        mergeable = True\n",
    ),
    # R3
    Fault(
        ("R3.again", "W8"),
        "a 5xx is final",
        "stream.py",
        "isinstance(exc, APIError) and 400 <= exc.status < 500",
        "isinstance(exc, APIError) and 400 <= exc.status < 600",
    ),
    Fault(
        ("R3.again",),
        "a 3xx is final",
        "stream.py",
        "isinstance(exc, APIError) and 400 <= exc.status < 500",
        "isinstance(exc, APIError) and 300 <= exc.status < 500",
    ),
    Fault(
        ("R3.again", "W8"),
        "a stream that the server ends is not an error of a stream",
        "transport/_feed.py",
        'raise StreamClosedError(f"{self._call.path}: the server ended the stream")',
        'raise DecodeError(f"{self._call.path}: the server ended the stream")',
    ),
    Fault(
        ("R3.backoff", "W8"),
        "waits do not grow",
        "stream.py",
        "self._backoff.delay(attempt or self.attempt,",
        "self._backoff.delay(attempt or 1,",
    ),
    Fault(
        ("R3.backoff", "W8"),
        "who waits goes on at once",
        "reactor/_link.py",
        "            with anyio.move_on_after(math.inf if until is None else until - time.monotonic()):\n"
        "                await self._nudge.wait()\n",
        "            if until is not None:\n"
        "                await __import__('anyio').lowlevel.checkpoint()\n"
        "                return self.machine.tick(until)\n"
        "            await self._nudge.wait()\n",
    ),
    Fault(
        ("R3.backoff",),
        "waits have no jitter",
        "backoff.py",
        "return max(rng() * self.ceiling(attempt),",
        "return max(self.ceiling(attempt),",
    ),
    Fault(
        ("R3.backoff",),
        "waits grow beyond a minute",
        "backoff.py",
        "    cap: float = 60.0\n",
        "    cap: float = 120.0\n",
    ),
    Fault(
        ("R3.asked",),
        "`retry:` is not heeded",
        "stream.py",
        "        least = self._server_wait\n",
        "        least = 0.0\n",
    ),
    Fault(
        ("R3.asked",),
        "a stream does not heed `Retry-After`",
        "stream.py",
        "            least = max(least, exc.retry_after)\n",
        "            pass\n",
    ),
    Fault(
        ("R3.asked",),
        "a server may ask for a day",
        "backoff.py",
        "LONGEST_ASKED_WAIT: Final = 3600.0\n",
        "LONGEST_ASKED_WAIT: Final = 86400.0\n",
    ),
    Fault(
        ("R3.healthy", "W8"),
        "an opening alone counts as healthy",
        "stream.py",
        "        self._opened = True\n",
        "        self._opened = True\n        self.attempt = 0\n",
    ),
    Fault(
        ("R3.healthy",),
        "the second event counts as healthy",
        "stream.py",
        "            if self.attempt and now - self._first_event_at >= self._backoff.healthy_after:",
        "            if self.attempt:",
    ),
    Fault(
        ("R3.told",),
        "each failure is a warning",
        "reactor/_status.py",
        "level = logging.DEBUG if told else logging.WARNING",
        "level = logging.WARNING",
    ),
    Fault(
        ("R3.told",),
        "the recovery is not told",
        "reactor/_status.py",
        '            _log.info("device %s: live again", device_id)',
        "            pass",
    ),
    # R4
    Fault(
        ("R4.stall", "W1"),
        "nobody looks for silence",
        "reactor/_link.py",
        "        if self._reading and isinstance(self.machine.tick(now), Close):",
        "        if False:",
    ),
    Fault(
        ("R4.stall", "W1"),
        "silence is not noticed",
        "stream.py",
        "        if silence is not None and unheard >= silence:",
        "        if False:",
    ),
    Fault(
        ("R4.usual", "W1"),
        "what a stream is used to does not count",
        "stream.py",
        "return max(self._stall_after, GAP_FACTOR * self._gap, GAP_FACTOR * self.interval)",
        "return max(self._stall_after, GAP_FACTOR * self.interval)",
    ),
    Fault(
        ("R4.usual",),
        "the known interval does not count",
        "reactor/_reactor.py",
        "            machine.know_interval(device.input_interval_ms)\n",
        "            pass\n",
    ),
    Fault(
        ("R4.quiet", "W2"),
        "what is kept alive without events is never reopened",
        "stream.py",
        "        if self._quiet_after is not None and eventless >= max(self._quiet_after, usual):",
        "        if False:",
    ),
    Fault(
        ("R4.quiet", "W2"),
        "no stream is ever QUIET",
        "stream.py",
        "        if self.state is StreamState.LIVE and silence is not None and eventless >= max(silence, usual):",
        "        if False:",
    ),
    Fault(
        ("R4.pause",),
        "a pause counts as silence while it lasts",
        "stream.py",
        "        if self._paused_at is not None:\n            return Read()\n",
        "",
    ),
    Fault(
        ("R4.pause",),
        "a pause counts as silence when it is over",
        "stream.py",
        "min(now, self._heard_at + pause)",
        "self._heard_at",
    ),
    Fault(
        ("R4.sockets",),
        "the kernel does not look after the path",
        "transport/_connections.py",
        "    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),\n",
        "",
    ),
    # R5
    Fault(
        ("R5.paid",),
        "what was sent is refunded",
        "session/_payer.py",
        "            raise\n        grant.sent()\n",
        "            raise\n        grant.cancel()\n",
    ),
    Fault(
        ("R5.prompt", "W1"),
        "the first reopening is on the slow schedule",
        "stream.py",
        "        if self._silent_openings == 1:\n",
        "        if False:\n",
    ),
    Fault(
        ("R5.slow", "W1"),
        "each reopening is prompt",
        "stream.py",
        "            delay = max(self._slow_delay(), self._server_wait)\n",
        "            delay = self._delay(self._server_wait, attempt=1)\n",
    ),
    Fault(
        ("R5.slow",),
        "the slow schedule does not end at an hour",
        "stream.py",
        "SLOW_SCHEDULE_CAP: Final = 3600.0",
        "SLOW_SCHEDULE_CAP: Final = 7200.0",
    ),
    Fault(
        ("R5.listing", "W3"),
        "silence is paid for again without a listing",
        "stream.py",
        "            if self._slowed or self.state is StreamState.OFFLINE:\n",
        "            if False:\n",
    ),
    Fault(
        ("R5.listing", "W3"),
        "what is listed as not connected is opened",
        "stream.py",
        "        if device.is_connected is False:\n",
        "        if False:\n",
    ),
    Fault(
        ("R5.shared", "W3"),
        "each device asks a listing of its own",
        "reactor/_listing.py",
        "if time.monotonic() - self._asked_at >= LISTING_EVERY:",
        "if True:",
    ),
    Fault(
        ("R5.over",),
        "an event does not end the slow schedule",
        "stream.py",
        "        self._silent_openings = 0\n        if self.state",
        "        if self.state",
    ),
    Fault(
        ("R5.over",),
        "a repeat ends the slow schedule",
        "stream.py",
        "        self._connection_events += 1\n",
        "        self._connection_events += 1\n        self._silent_openings = 0\n",
    ),
    Fault(
        ("R5.share", "B3.reserve", "W5"),
        "streams are opened at the priority of commands",
        "reactor/_link.py",
        'priority=Priority.STREAM, label="input"',
        'priority=Priority.COMMAND, label="input"',
    ),
    # R6
    Fault(
        ("R6.token", "W6"),
        "a refused token ends one stream only",
        "reactor/_reactor.py",
        "                self._refuse_all(machine.error_seen)\n",
        "                pass\n",
    ),
    Fault(
        ("R6.token", "W6"),
        "a refused token is tried again in a while",
        "stream.py",
        "        final = isinstance(exc, AuthenticationError | OAuthError | SessionClosedError)\n",
        "        final = isinstance(exc, SessionClosedError)\n",
    ),
    Fault(
        ("R6.refused", "W7"),
        "a refused device is tried each hour only",
        "stream.py",
        "RETRY_REFUSED_AFTER: Final = 15 * 60.0",
        "RETRY_REFUSED_AFTER: Final = 60 * 60.0",
    ),
    Fault(
        ("R6.refused", "W7"),
        "a 403 is tried again like a broken connection",
        "stream.py",
        "_PASSING: Final = frozenset({408, 425, 429})",
        "_PASSING: Final = frozenset({403, 408, 425, 429})",
    ),
    Fault(
        ("R6.passing",),
        "a 408 is final",
        "stream.py",
        "_PASSING: Final = frozenset({408, 425, 429})",
        "_PASSING: Final = frozenset({425, 429})",
    ),
    Fault(
        ("R6.listed", "W3"),
        "a 404 is final whatever the listing says",
        "stream.py",
        "        if device is None:\n",
        "        if device is None or refusal is not None:\n",
    ),
    Fault(
        ("R6.add", "W7"),
        "adding a failed device does not try it",
        "reactor/_reactor.py",
        "            known.nudge()\n",
        "",
    ),
    Fault(
        ("R6.last", "W7"),
        "who waits is not told that nobody is left",
        "reactor/_link.py",
        "return self.nudged or self.machine.state is not StreamState.FAILED",
        "return True",
    ),
    Fault(
        ("R6.last",),
        "of several causes one is raised",
        "reactor/_reactor.py",
        "SessionClosedError) or len(causes) == 1:",
        "SessionClosedError) or len(causes) >= 1:",
    ),
    Fault(
        ("R6.leaving",),
        "an error that nobody saw is lost",
        "reactor/_reactor.py",
        "(error := self._ending()) is not None:\n            raise error\n",
        "(error := self._ending()) is not None:\n            pass\n",
    ),
    # R7
    Fault(
        ("R7.closed", "W11"),
        "a stream's connection is left open",
        "reactor/_link.py",
        "            self._reading = False\n            await feed.aclose()",
        "            self._reading = False",
    ),
    Fault(
        ("R7.cancelled", "W11"),
        "a clean-up ends where a native cancellation meets it",
        "_tasks.py",
        "    with anyio.CancelScope(shield=True):\n        await run_in_child(shielded)",
        "    await call()",
    ),
    Fault(
        ("R7.cancelled",),
        "requests run in the task that may be cancelled natively",
        "_tasks.py",
        "    results: list[T] = []\n",
        "    return await call()\n    results: list[T] = []\n",
    ),
    Fault(
        ("R7.error", "W11"),
        "an error of the body comes out in a group",
        "_tasks.py",
        "        await group.__aexit__(None, None, None)\n",
        "        await group.__aexit__(exc_type, exc, tb)\n",
    ),
    # R8
    Fault(
        ("R8.goes-on", "R8.counted", "W10"),
        "a bad event ends the stream",
        "transport/_feed.py",
        "                    items.append(bare(exc, handled))",
        "                    raise",
    ),
    Fault(
        ("R8.goes-on", "W10"),
        "what is no JSON is another error",
        "wire/_events.py",
        "    except UnusableError as error:\n",
        "    except KeyError as error:\n",
    ),
    Fault(
        ("R8.large", "W10"),
        "an event may have any size",
        "sse.py",
        "MAX_EVENT_SIZE: Final = 64 * 1024\n",
        "MAX_EVENT_SIZE: Final = 2**40\n",
    ),
    Fault(
        ("R8.large",),
        "what has not ended yet has no limit",
        "sse.py",
        "        if tail and not self._refusing and self._size",
        "        if False and not self._refusing and self._size",
    ),
    Fault(
        ("R8.counted", "W10"),
        "bad events are not counted",
        "reactor/_link.py",
        "                self.decode_errors += 1\n",
        "",
    ),
    # R9
    Fault(
        ("R9.reconnect", "W8"),
        "a reconnect is no gap",
        "reactor/_reader.py",
        "        reason = entry.gap_reason\n",
        "        reason = None\n",
    ),
    Fault(
        ("R9.reconnect",),
        "a gap begins where it ends",
        "reactor/_reader.py",
        "since=last.event.timestamp,",
        "since=event.timestamp,",
    ),
    Fault(
        ("R9.drop",),
        "a drop is no gap",
        "reactor/_reader.py",
        "        if reason is None and entry.number != last.number + 1:",
        "        if False:",
    ),
    Fault(
        ("R9.first",),
        "a device that is new again has a gap",
        "reactor/_reader.py",
        "        self._last.pop(device_id, None)\n",
        "",
    ),
    Fault(
        ("R9.kept",),
        "the event behind a gap is lost",
        "reactor/_reader.py",
        "        self._after_gap = event\n",
        "",
    ),
    # R10
    Fault(
        ("R10", "W7"),
        "a failed opening keeps others out",
        "reactor/_link.py",
        "        finally:\n            self._connecting.release()",
        "        finally:\n            pass",
    ),
    Fault(
        ("R10",),
        "of those who wait for room the last is let in first",
        "reactor/_channel.py",
        "            first = self._waiting[0]\n",
        "            self._waiting.rotate()\n            first = self._waiting[0]\n",
    ),
    # B1, B2
    Fault(
        ("B1", "W5"),
        "tokens come back early",
        "budget/_ledger.py",
        "        due = now + self.span\n        dues.append(due)",
        "        due = now + self.span * 0.9\n        dues.append(due)",
    ),
    Fault(
        ("B1",),
        "a token is given back late, and the full rate is lost",
        "budget/_bucket.py",
        "        margin = period / 360 if margin is None else margin",
        "        margin = period / 36 if margin is None else margin",
    ),
    Fault(
        ("B2",),
        "half of a fresh bucket is reserved",
        "budget/_bucket.py",
        "        reserve: float = 0.1,",
        "        reserve: float = 0.5,",
    ),
    # B3
    Fault(
        ("B3.reserve", "W5"),
        "nothing is reserved",
        "budget/_bucket.py",
        "Ledger(limit, period + margin, reserved)",
        "Ledger(limit, period + margin, 0)",
    ),
    Fault(
        ("B3.reserve",),
        "the reserve is rounded down",
        "budget/_bucket.py",
        "math.ceil(round(limit * reserve, 9))",
        "int(round(limit * reserve, 9))",
    ),
    Fault(
        ("B3.order",),
        "bulk goes before streams",
        "budget/_ledger.py",
        "Priority.BULK if bulks and (not streams or self._stream_passes <= 0) else",
        "Priority.BULK if bulks else",
    ),
    Fault(
        ("B3.order",),
        "who came last is served first",
        "budget/_queue.py",
        "popitem(last=False)",
        "popitem(last=True)",
    ),
    Fault(
        ("B3.turns",),
        "commands may always go ahead",
        "budget/_ledger.py",
        "_PASSES: Final = 9\n",
        "_PASSES: Final = 10**9\n",
    ),
    Fault(
        ("B3.cancelled",),
        "a grant is lost with who was cancelled",
        "budget/_queue.py",
        "                waiter.grant.cancel()\n            raise",
        "                pass\n            raise",
    ),
    Fault(
        ("B3.cancelled",),
        "the sleeper leaves without a successor",
        "budget/_queue.py",
        "            self._sleeper = next((next(reversed(line)) for line in reversed(self._lines) if line), None)",
        "            self._sleeper = None",
    ),
    # B4
    Fault(
        ("B4.hold", "W4"),
        "a 429 holds nobody",
        "session/_payer.py",
        "            await self._budget.penalize(hold)\n",
        "            pass\n",
    ),
    Fault(
        ("B4.hold",),
        "a hold may be longer than the period",
        "budget/_bucket.py",
        "self._ledger.hold(self._clock() + min(seconds, self._period))",
        "self._ledger.hold(self._clock() + seconds)",
    ),
    Fault(
        ("B4.doubling", "W4"),
        "holds do not double",
        "session/_hold.py",
        "            self._next = min(2 * self._next, LONGEST_ASKED_WAIT)\n",
        "",
    ),
    Fault(
        ("B4.doubling", "W4"),
        "`Retry-After` is not heeded",
        "session/_hold.py",
        "            seconds = min(retry_after, LONGEST_ASKED_WAIT)",
        "            seconds = FIRST",
    ),
    Fault(
        ("W4",),
        "a call waits longer than it may",
        "session/_payer.py",
        "                if wait is None or asked > max_wait:",
        "                if wait is None:",
    ),
    Fault(
        ("B4.together", "W4"),
        "those who wait go on a period after the hold",
        "budget/_ledger.py",
        "        if now < self.hold_until:\n            return self.hold_until",
        "        if now < self.hold_until:\n            return self.hold_until + self.span",
    ),
    Fault(
        ("B4.headers",),
        "the server's count is not heeded",
        "session/_payer.py",
        "            self._correct(headers)\n",
        "",
    ),
    Fault(
        ("B4.headers",),
        "what the server counts is not spent",
        "budget/_ledger.py",
        "        if surplus > 0:\n",
        "        if False:\n",
    ),
    # B5, B6
    Fault(
        ("B5.yield",),
        "an acquire yields to the loop",
        "budget/_bucket.py",
        "        if due is None:\n            return await",
        "        await __import__('anyio').lowlevel.checkpoint()\n        if due is None:\n            return await",
    ),
    Fault(
        ("B5.batch",),
        "each waiter sleeps for itself",
        "budget/_queue.py",
        "                if self._sleeper is None or self._sleeper is waiter:",
        "                if True:",
    ),
    Fault(
        ("B6.report",),
        "the report does not say for what",
        "budget/_ledger.py",
        "        self._labels.append(label)\n        return due\n\n    def join",
        '        self._labels.append("")\n        return due\n\n    def join',
    ),
    Fault(
        ("B6.report",),
        "the report does not say when requests return",
        "budget/_ledger.py",
        "return (self._dues[0] - now if self._dues else None), counts",
        "return None, counts",
    ),
    Fault(
        ("B6.costs",),
        "a call does not say what it costs",
        "session/_session.py",
        '        """Ask whether the API is there.\n\n        Cost: 1 request.\n',
        '        """Ask whether the API is there.\n',
    ),
    # C1 to C4
    Fault(
        ("C1",),
        "a like is tried again",
        "community/calls.py",
        "reader_of_one(Like), once=True)",
        "reader_of_one(Like))",
    ),
    Fault(
        ("C1",),
        "a password reset is tried again",
        "community/calls.py",
        "secrets=(email,), once=True)",
        "secrets=(email,))",
    ),
    Fault(
        ("C2",),
        "a page that is the one before is no end",
        "community/_pages.py",
        " or ids == self._before or",
        " or",
    ),
    Fault(
        ("C2",),
        "a server that begins anew is asked for ever",
        "community/_pages.py",
        " or (ids and ids == self._opening):",
        ":",
    ),
    Fault(
        ("C2",),
        "a page of which nothing can be used is the end",
        "community/_pages.py",
        "        if not page.sent or",
        "        if not ids or",
    ),
    Fault(
        ("C3",),
        "success in the envelope's meta is not looked at",
        "wire/_answers.py",
        'for part in (value, members(value).get("meta")))',
        "for part in (value,))",
    ),
    Fault(
        ("C4.elsewhere",),
        "the command line sends its key to whatever community is named",
        "cli/_membership.py",
        ' if url and url.rstrip("/") == kept_url else None)',
        ")",
    ),
    Fault(
        ("C4.logout",),
        "a logout does not forget the key",
        "community/_community.py",
        "        self._auth.forget(key)\n",
        "",
    ),
    # What else the README says
    Fault(
        ("W5",),
        "a call waits for the budget as long as it takes",
        "session/_payer.py",
        "max_wait=None if math.isinf(max_wait) else max_wait",
        "max_wait=None",
    ),
    Fault(
        ("W5",),
        "a wait is foreseen as a tenth of what it will be",
        "budget/_bucket.py",
        "return self._ledger.expected_at(now, priority) - now",
        "return (self._ledger.expected_at(now, priority) - now) / 10",
    ),
    Fault(
        ("W9",),
        "a consumer that lags is named at each look",
        "reactor/_outlets.py",
        "            self._lag_told = True\n",
        "",
    ),
)
