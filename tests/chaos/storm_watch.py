"""What storms are judged by: how streams were to wait, and what comes of all of them."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import anyio
from attrs import define, field

from littlebits_async import InputReactor, RequestDone, StreamState, StreamStatus

PATIENCE = 60


@define
class Witness:
    """Hooks that keep for how long streams were to wait after a failure, and how often each state was entered.

    Not the statuses themselves: their errors hold the frames, and with them the connections, that they come from.
    """

    waits: dict[int, list[float]] = field(factory=dict[int, list[float]])
    """Seconds, by attempt."""
    told: dict[str, list[float]] = field(factory=dict[str, list[float]])
    """The same, by device."""
    late: list[float] = field(factory=list[float])
    """Seconds from when a stream was to be tried again until it was, as its statuses say."""
    states: Counter[StreamState] = field(factory=Counter[StreamState])
    _due: dict[str, datetime] = field(factory=dict[str, datetime], init=False)
    _news: anyio.Event = field(factory=anyio.Event, init=False)

    def request_done(self, request: RequestDone, /) -> None:
        pass

    def stream_changed(self, status: StreamStatus, /) -> None:
        self.states[status.state] += 1
        if status.state is StreamState.BACKING_OFF and status.retry_at is not None:
            wait = (status.retry_at - status.since).total_seconds()
            self.waits.setdefault(status.attempt, []).append(wait)
            self.told.setdefault(status.device_id, []).append(wait)
            self._due[status.device_id] = status.retry_at
        elif status.state is StreamState.CONNECTING and (due := self._due.pop(status.device_id, None)) is not None:
            self.late.append((status.since - due).total_seconds())
        self._news.set()

    def event_dropped(self, device_id: str, /) -> None:
        pass

    def budget_waited(self, label: str, seconds: float, /) -> None:
        pass

    async def until_waits(self, attempt: int, number: int) -> None:
        """Wait until so many waits were those after so many failures."""
        with anyio.fail_after(PATIENCE):
            while len(self.waits.get(attempt, [])) < number:
                self._news = anyio.Event()
                await self._news.wait()


async def until_states(reactor: InputReactor, wanted: Mapping[StreamState, int]) -> None:
    """Wait until so many streams are in each of these states, and none in another."""
    states: dict[str, StreamState] = {}
    count: Counter[StreamState] = Counter()
    with anyio.fail_after(PATIENCE):
        async for status in reactor.changes():
            if (before := states.get(status.device_id)) is not None:
                count[before] -= 1
            states[status.device_id] = status.state
            count[status.state] += 1
            if len(states) == len(reactor.devices) and +count == wanted:
                return


async def until_live(reactor: InputReactor) -> None:
    """Wait until all streams are live at the same time."""
    await until_states(reactor, {StreamState.LIVE: len(reactor.devices)})


def distance_from_uniform(values: list[float], width: float) -> float:
    """The Kolmogorov-Smirnov distance of values to an even spread from 0 to `width`.

    Of a thousand that are spread evenly it is above 0.1 once in 200 million times.
    """
    number = len(values)
    return max(
        max((rank + 1) / number - value / width, value / width - rank / number)
        for rank, value in enumerate(sorted(values))
    )
