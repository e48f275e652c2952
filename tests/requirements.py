"""The manifest: what the client promises, an id for each promise that is kept or broken by itself.

A test that holds the client to a promise says so: ``@pytest.mark.requirement("R4.stall")``. A promise of several
clauses has an id for each, and none of its own: each clause needs a test that names it, and a fault in
``tests/mutants`` that its tests see. The promise's bare id (``R4``) may be named too: it says what a test is about, for
``pytest --requirement R4``, and covers no clause. W1 to W11 are the lines of the README's table "What happens when",
in order, in its words.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import frozen

__all__ = ["REQUIREMENTS", "MarkedTest", "Requirement", "asks_for", "gaps", "is_known"]

DESIGN: Final = "design.md, section 3"


@frozen
class Requirement:
    """One promise, or one clause of it.

    Attributes:
        id: Its name: ``B2``, or ``R4.stall`` for a clause of R4.
        promise: What is promised, in a line.
        source: Where.
        rests_on: Of a line of the README: the promises that it sums up.
    """

    id: str
    promise: str
    source: str
    rests_on: tuple[str, ...] = ()


@frozen
class MarkedTest:
    """A test and the promises that it names.

    Attributes:
        name: Its node id.
        ids: What it names.
        idle: Why it proves nothing whatever happens (``skip``, ``xfail``); empty where it does.
    """

    name: str
    ids: tuple[str, ...]
    idle: str = ""


def asks_for(asked: str, marked: str) -> bool:
    """Whether a mark is meant by what was asked for: by its id, or by that of the promise that it is a clause of."""
    return marked == asked or marked.startswith(f"{asked}.")


def is_known(mark: str, manifest: Mapping[str, Requirement]) -> bool:
    """Whether a mark is an id of the manifest, or that of a promise of several clauses."""
    return any(asks_for(mark, known) for known in manifest)


def gaps(manifest: Mapping[str, Requirement], tests: Iterable[MarkedTest]) -> list[str]:
    """Return what is wrong between the promises and the tests, a line for each; nothing where each has its tests."""
    tests = list(tests)
    held = {mark for test in tests if not test.idle for mark in test.ids}
    return [
        *(f"{known}: no test holds to it: {manifest[known].promise}" for known in manifest if known not in held),
        *(
            f"{test.name}: names {mark!r}, which the manifest does not know"
            for test in tests
            for mark in test.ids
            if not is_known(mark, manifest)
        ),
        *(f"{test.name}: names {', '.join(test.ids)}, and never runs ({test.idle})" for test in tests if test.idle),
    ]


def _reactor(known: str, promise: str) -> Requirement:
    return Requirement(known, promise, f"{DESIGN}, InputReactor, {known.partition('.')[0]}")


def _budget(known: str, promise: str) -> Requirement:
    return Requirement(known, promise, f"{DESIGN}, Budget, {known.partition('.')[0]}")


def _community(known: str, promise: str) -> Requirement:
    return Requirement(known, promise, "littlebits_async.community")


def _readme(known: str, when: str, *rests_on: str) -> Requirement:
    return Requirement(known, when, 'README.md, "What happens when"', rests_on)


_ALL: Final = (
    _reactor("R1.order", "events of one device arrive in the order the server sent them"),
    _reactor("R1.repeat", "the repeat of the last event right after a reconnect is dropped"),
    _reactor("R2.block", "BLOCK holds no more than `buffer`, pushes back to the sockets and drops nothing itself"),
    _reactor("R2.oldest", "DROP_OLDEST drops from the device that has most queued, and counts"),
    _reactor("R2.latest", "LATEST keeps the newest event of each device"),
    _reactor("R2.edges", "pushed delta events are never merged"),
    _reactor("R3.again", "a close, a reset, a 5xx, a 3xx, a page or a corrupt stream is a failure to retry"),
    _reactor("R3.backoff", "full-jitter exponential backoff, 0.5 s doubling to 60 s"),
    _reactor("R3.asked", "a server's `retry:` or `Retry-After` is the least wait, an hour at most"),
    _reactor("R3.healthy", "the backoff is reset only after 30 s from the first to the last event on one connection"),
    _reactor("R3.told", "the first failure is logged as a warning, repeats at debug, recovery at info"),
    _reactor("R4.stall", "no bytes for `stall_after` is STALLED and reopened"),
    _reactor("R4.usual", "a stream is given 3 x the longest gap seen, and 3 x the known interval"),
    _reactor("R4.quiet", "bytes without events are QUIET, reopened only after `quiet_after`"),
    _reactor("R4.pause", "the clock stops while a stream is paused by back pressure"),
    _reactor("R4.sockets", "sockets set keep-alive, so that a dead path is found free of charge"),
    _reactor("R5.paid", "opening a stream costs a request"),
    _reactor("R5.prompt", "a silent stream is reopened promptly once"),
    _reactor("R5.slow", "what brings no event then is reopened on a slow schedule: 1 min doubling to 1 h"),
    _reactor("R5.listing", "before each such reopening the listing is asked; what is not connected is OFFLINE"),
    _reactor("R5.shared", "one listing is shared by all devices, at most each minute"),
    _reactor("R5.over", "one event ends the slow schedule"),
    _reactor("R5.share", "streams never use the share reserved for commands"),
    _reactor("R6.token", "401 ends the iteration with AuthenticationError, and every stream"),
    _reactor("R6.refused", "any other 4xx marks that one device FAILED, tried again each 15 min"),
    _reactor("R6.passing", "408, 425 and 429 are failures to retry"),
    _reactor("R6.listed", "a 404 whose device is still in the listing is OFFLINE"),
    _reactor("R6.add", "`add()` tries a FAILED device at once, and the reactor goes on"),
    _reactor("R6.last", "when no device is left that could deliver, the iteration raises: the cause, or all of them"),
    _reactor("R6.leaving", "a fatal error that nobody iterated to see is raised on leaving the block"),
    _reactor("R7.closed", "leaving the block closes every connection; no task is left"),
    _reactor("R7.cancelled", "cancellation, native too, closes every connection and runs every clean-up to its end"),
    _reactor("R7.error", "an error of the body comes out as itself, never in a group"),
    _reactor("R8.goes-on", "a bad event (broken JSON, wrong types, an unusable time) does not end the stream"),
    _reactor("R8.large", "an event over 64 KiB is skipped, and never held"),
    _reactor("R8.counted", "bad events are counted, by device too"),
    _reactor("R9.reconnect", "after a reconnect a gap is told, with the server's times of the events on both sides"),
    _reactor("R9.drop", "after a drop a gap is told, with how many were dropped"),
    _reactor("R9.first", "no gap is told for a first connect"),
    _reactor("R9.kept", "leaving off after a gap does not lose the event behind it"),
    _reactor("R10", "a device's failure never slows another device"),
    _budget("B1", "in no window of `period` are more than `limit` requests granted, and the full rate holds for ever"),
    _budget("B2", "a fresh bucket lets 1000 streams open at once"),
    _budget("B3.reserve", "`reserve` of the budget, rounded up, is kept for COMMAND"),
    _budget("B3.order", "COMMAND before STREAM before BULK, FIFO within each"),
    _budget("B3.turns", "nobody waits behind a higher priority for ever"),
    _budget("B3.cancelled", "a cancelled waiter costs nothing, and its place passes on"),
    _budget("B4.hold", "after a 429 nobody spends until the hold is over, which is never longer than the period"),
    _budget("B4.doubling", "`Retry-After` if said, else 60 s doubling"),
    _budget("B4.together", "after a hold all go on at once, not a period later"),
    _budget("B4.headers", "`RateLimit-*` headers correct the count, downwards only"),
    _budget("B5.yield", "an uncontended acquire does not yield to the loop"),
    _budget("B5.batch", "a thousand waiters wake in batches, by one timer"),
    _budget("B6.report", "the report says who spent what, by priority and label, and when tokens return"),
    _budget("B6.costs", "every public call's docstring has a `Cost:` line"),
    _community("C1", "a like and a password reset are sent once"),
    _community("C2", "a list ends with a page that is empty, or one that was there before, and with no short one"),
    _community("C3", "an envelope that says no is an error whatever the status"),
    _community("C4.elsewhere", "a key is sent to nobody else"),
    _community("C4.logout", "after a logout no key is sent"),
    _readme("W1", "a stream falls silent", "R4", "R5"),
    _readme("W2", "a stream is kept alive but brings no events", "R4"),
    _readme("W3", "a bit is off line", "R5", "R6"),
    _readme("W4", "the server answers 429", "B4"),
    _readme("W5", "the hour's requests are spent", "B1", "B3"),
    _readme("W6", "the token is refused", "R6"),
    _readme("W7", "one device is refused", "R6", "R10"),
    _readme("W8", "the network is lost, the server restarts, a gateway answers", "R1", "R3", "R9"),
    _readme("W9", "the consumer is slow", "R2"),
    _readme("W10", "an event is broken, or over 64 KiB", "R8"),
    _readme("W11", "the block is left, by whatever way", "R7"),
)

REQUIREMENTS: Final[Mapping[str, Requirement]] = {requirement.id: requirement for requirement in _ALL}
