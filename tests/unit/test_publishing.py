"""What a bit's webhooks are told, by readings and a clock that are passed in."""

import json
import math
from typing import Any

import pytest
from attrs import define, field

from littlebits_async.amplitude import EVENTS, Amplitude, Level, Thresholds
from littlebits_async.localcloud.publishing import Publisher
from littlebits_async.localcloud.readings import Reading
from littlebits_async.localcloud.storage import SubscriptionRecord
from littlebits_async.localcloud.ticker import Ticker

ALL = ("amplitude", *EVENTS)


@define
class Bench:
    """A publisher, and what it told and noted."""

    events: tuple[str, ...] = EVENTS
    amplitude: Amplitude = field(factory=Amplitude)
    now: float = 100.0
    told: list[tuple[int, str, dict[str, Any]]] = field(factory=list[tuple[int, str, dict[str, Any]]])
    noted: list[tuple[Level | None, bool]] = field(factory=list[tuple[Level | None, bool]])
    ticker: Ticker = field(init=False)
    publisher: Publisher = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.ticker = Ticker(lambda: self.now)
        self.publisher = Publisher("b1", self.ticker, self.amplitude, self._tell, self._note)
        self.subscribe(1, *self.events)

    def _tell(self, number: int, event: str, body: bytes) -> None:
        self.told.append((number, event, json.loads(body)))

    def _note(self, device_id: str, level: Level | None, *, held: bool) -> None:
        assert device_id == "b1"
        self.noted.append((level, held))

    def subscribe(self, number: int, *events: str) -> None:
        self.publisher.add(
            SubscriptionRecord(id=number, publisher_id="b1", subscriber_id="http://x.test/", events=events)
        )

    def read(self, percent: float, *, after: float = 0.25) -> list[str]:
        """Read the input, with what is due before: the names that were told."""
        self.told.clear()
        self.now += after
        reading = Reading.of(percent, device_id="b1", user_id=7, timestamp_ms=round(self.now * 1000))
        self.publisher.read(reading)
        return [name for _, name, _ in self.told]

    def wait(self, seconds: float) -> list[str]:
        """Let time pass without a reading."""
        self.told.clear()
        self.now += seconds
        self.publisher.tick(self.now)
        return [name for _, name, _ in self.told]


def test_the_seven_events() -> None:
    bench = Bench(ALL)
    assert bench.read(0) == ["amplitude"]
    assert bench.read(69) == ["amplitude"]  # between the thresholds nothing changes
    assert bench.read(70) == ["amplitude:delta:ignite", "amplitude:level:active", "amplitude"]
    assert bench.read(69) == ["amplitude"]
    assert bench.read(100, after=0.75) == ["amplitude:delta:sustain", "amplitude"]
    assert bench.read(100, after=5) == ["amplitude"]
    assert bench.read(68) == ["amplitude:delta:release", "amplitude:level:idle", "amplitude"]
    assert bench.read(69) == ["amplitude"]
    assert bench.read(0, after=0.75) == ["amplitude:delta:nap", "amplitude"]
    assert bench.read(0, after=60) == ["amplitude"]


def test_the_bodies_say_what_each_event_means() -> None:
    bench = Bench(ALL)
    bench.read(0)

    def payloads() -> dict[str, tuple[str, str, int]]:
        return {
            name: (body["payload"]["delta"], body["payload"]["level"], body["payload"]["percent"])
            for _, name, body in bench.told
        }

    bench.read(80)
    assert payloads() == {
        "amplitude:delta:ignite": ("ignite", "active", 80),
        "amplitude:level:active": ("ignite", "active", 80),
        "amplitude": ("ignite", "active", 80),
    }
    bench.read(75)
    assert payloads() == {"amplitude": ("sustain", "active", 75)}
    # The stay that was due ends with the reading before.
    bench.read(10, after=2)
    assert payloads() == {
        "amplitude:delta:sustain": ("sustain", "active", 75),
        "amplitude:delta:release": ("release", "idle", 10),
        "amplitude:level:idle": ("release", "idle", 10),
        "amplitude": ("release", "idle", 10),
    }
    bench.read(5)
    assert payloads() == {"amplitude": ("nap", "idle", 5)}
    assert all(body["type"] == "amplitude" and body["name"] == name for _, name, body in bench.told)


def test_a_stay_is_told_after_a_second_though_no_reading_comes() -> None:
    bench = Bench()
    bench.read(0)
    bench.read(100, after=60)
    assert bench.publisher.due == bench.now + 1
    assert bench.wait(0.99) == []
    assert bench.wait(0.01) == ["amplitude:delta:sustain"]
    assert bench.publisher.due == math.inf
    assert bench.wait(59) == []
    assert bench.read(100) == []


def test_thresholds_are_whatever_they_are_set_to() -> None:
    bench = Bench(amplitude=Amplitude(Thresholds(high=30, low=20, hold=5)))
    bench.read(0)
    assert bench.read(30) == ["amplitude:delta:ignite", "amplitude:level:active"]
    assert bench.wait(4.9) == []
    assert bench.wait(0.1) == ["amplitude:delta:sustain"]
    assert bench.read(21) == []
    assert bench.read(20) == ["amplitude:delta:release", "amplitude:level:idle"]


def test_each_subscriber_is_told_what_it_asked_for() -> None:
    bench = Bench(("amplitude:delta:ignite",))
    bench.subscribe(2, "amplitude:delta:ignite", "amplitude:delta:release")
    bench.subscribe(3, "connection")
    bench.read(0)
    bench.read(100)
    assert [(number, name) for number, name, _ in bench.told] == [
        (1, "amplitude:delta:ignite"),
        (2, "amplitude:delta:ignite"),
    ]
    bench.publisher.remove(1)
    bench.read(0)
    assert [(number, name) for number, name, _ in bench.told] == [(2, "amplitude:delta:release")]
    bench.told.clear()
    bench.publisher.connection(7, is_connected=False)
    assert [(number, name, body["payload"]["state"]) for number, name, body in bench.told] == [(3, "connection", 0)]


def test_after_a_restart_an_unseen_edge_is_told_and_a_stay_is_not_told_twice() -> None:
    assert Bench(amplitude=Amplitude(level="active")).read(0) == ["amplitude:delta:release", "amplitude:level:idle"]
    assert Bench(amplitude=Amplitude(level="active")).read(69) == []
    again = Bench(amplitude=Amplitude(level="active", held=True))
    assert again.read(100) == []
    assert again.wait(5) == []


def test_a_subscriber_that_needs_no_readings_makes_nobody_forget() -> None:
    bench = Bench(("connection",), Amplitude(level="active"))  # as after a restart, the first of two
    bench.subscribe(2, *EVENTS)
    assert bench.read(0) == ["amplitude:delta:release", "amplitude:level:idle"]


def test_where_it_stands_is_noted_when_it_changes() -> None:
    bench = Bench()
    for percent in (0, 10, 100, 90):
        bench.read(percent)
    bench.wait(1)
    bench.read(100)
    assert bench.noted == [("idle", False), ("active", False), ("active", True)]
    bench.publisher.remove(1)
    assert bench.noted[-1] == (None, False)
    bench.subscribe(2, *EVENTS)
    assert bench.read(0) == []  # whatever happened meanwhile was nobody's business


def test_off_line_nobody_knows_how_long_a_level_stands() -> None:
    bench = Bench()
    bench.read(0)
    bench.read(100)
    bench.publisher.connection(7, is_connected=False)
    assert bench.publisher.due == math.inf
    assert bench.wait(10) == []
    bench.publisher.connection(7, is_connected=True)
    assert bench.read(100) == []
    assert bench.wait(1) == ["amplitude:delta:sustain"]
    bench.publisher.connection(7, is_connected=False)
    assert bench.read(0, after=10) == ["amplitude:delta:release", "amplitude:level:idle"]


def test_readings_do_not_pile_up_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(amplitude=Amplitude(Thresholds(hold=3600)))
    planned: list[float] = []

    def plan(publisher: Publisher) -> None:
        planned.append(publisher.due)

    monkeypatch.setattr(bench.ticker, "plan", plan)
    for _ in range(100):
        bench.read(0)
    assert planned == [100.25 + 3600]
