import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from littlebits_async.budget import BudgetReport
from littlebits_async.dashboard import Board
from littlebits_async.dashboard._news import News
from littlebits_async.models import Device, InputEvent, StreamState, StreamStatus

A, B = "00e040000001", "00e040000002"


class Page:
    """What a page makes of the news."""

    def __init__(self) -> None:
        self.top: dict[str, Any] = {}
        self.cards: dict[str, dict[str, Any]] = {}
        self.samples: dict[str, list[tuple[float, float]]] = {}

    def take(self, news: bytes) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(news)
        for change in told["cards"]:
            device_id = change["id"]
            if "samples" in change:
                had = [each for each in self.samples.get(device_id, []) if each[0] < change["from"]]
                flat = change["samples"]
                self.samples[device_id] = had + list(zip(flat[::2], flat[1::2], strict=True))
            face = {key: value for key, value in change.items() if key not in {"id", "from", "samples"}}
            self.cards[device_id] = self.cards.get(device_id, {}) | face
        self.top |= {key: value for key, value in told.items() if key != "cards"}
        return told


def make(ids: Iterable[str] = (A, B)) -> tuple[Board, News]:
    board = Board([Device(device_id, label=f"bit {device_id[-1]}", input_interval_ms=250) for device_id in ids])
    for device_id in ids:
        board.note(StreamStatus(device_id, StreamState.LIVE, datetime(2026, 1, 1, tzinfo=UTC)))
    return board, News(board)


def test_a_page_that_opens_late_comes_to_the_same_as_one_that_was_there_from_the_start() -> None:
    board, news = make()
    early, late = Page(), Page()
    early.take(news.whole(100))
    for number in range(3000):
        now = round(100 + number * 0.031, 3)
        board.add(InputEvent(A if number % 3 else B, number, number * 37 % 101), now)
        if number % 8 == 0:
            told = news.changes(now, every_card=number % 32 == 0)
            early.take(told)
            if late.top:
                late.take(told)
        if number == 2000:
            late.take(news.whole(now))
    now = 100 + 3000 * 0.031
    told = news.changes(now, every_card=True)
    early.take(told)
    late.take(told)
    assert late.cards == early.cards
    assert late.top["order"] == [A, B]
    for device_id in (A, B):
        kept = [(each.at, each.percent) for each in board.cards[device_id].samples(now)]
        assert early.samples[device_id][-len(kept) :] == kept
        assert late.samples[device_id][-200:] == kept[-200:]


def test_only_what_changed_is_told() -> None:
    board, news = make()
    page = Page()
    board.add(InputEvent(A, 1, 40), 101)
    page.take(news.changes(101, every_card=True))
    assert page.cards[A]["percent"] == 40
    assert page.cards[A]["volts"] == 2
    assert page.take(news.changes(101.5)) == {"now": 101.5, "cards": []}
    board.add(InputEvent(A, 2, 41), 102)
    (change,) = page.take(news.changes(102))["cards"]
    assert change["from"] <= 101
    assert change["samples"] == [101, 40, 102, 41]
    assert change.keys() == {"id", "from", "samples", "percent", "volts"}
    (change,) = page.take(news.changes(103, every_card=True))["cards"]
    assert change == {"id": A, "rate": 0.4}


def test_silence_is_told_though_nothing_comes() -> None:
    board, news = make([A])
    page = Page()
    board.add(InputEvent(A, 1, 40), 101)
    page.take(news.changes(101))
    assert (page.cards[A]["state"], page.cards[A]["tone"], page.cards[A]["gaps"]) == ("live", "live", [])
    page.take(news.changes(107))
    assert (page.cards[A]["state"], page.cards[A]["tone"], page.cards[A]["gaps"]) == ("silent", "lost", [[101, None]])


def test_each_state_has_a_word_and_a_tone() -> None:
    board, news = make([A])
    page = Page()
    for state in StreamState:
        status = StreamStatus(A, state, datetime(2026, 1, 1, tzinfo=UTC), reason="so it is")
        board.note(status)
        page.take(news.changes(101))
        if state is not StreamState.LIVE:
            assert page.cards[A]["state"] == state.value
            assert page.cards[A]["detail"] == "so it is"
            assert page.cards[A]["tone"] in {"waits", "lost", "off"}
    board.note(StreamStatus(A, StreamState.LIVE, datetime(2026, 1, 1, tzinfo=UTC)))
    page.take(news.changes(101))
    assert page.cards[A]["state"] == "waiting"


def test_outputs_lights_and_the_budget_are_told_to_all() -> None:
    board, news = make()
    page = Page()
    news.note_output(A, 61)
    news.note_light(B, "red hold")
    news.note_unwritten({A: "it is away"})
    report = BudgetReport(1800, 3600.0, 1700, 180, 12.3, {}, {}, 0, None, ())
    news.note_budget(report)
    page.take(news.changes(101))
    assert page.cards[A]["output"] == 61
    assert page.cards[B]["light"] == "red hold"
    assert (page.cards[A]["unwritten"], page.cards[B]["unwritten"]) == ("it is away", None)
    news.note_unwritten({})
    assert page.take(news.changes(102, every_card=True))["cards"] == [{"id": A, "unwritten": None}]
    assert page.top["budget"] == {"limit": 1800, "available": 1700, "hold": 12, "waiting": 0}
    assert board.cards.keys() == page.cards.keys()


def test_devices_that_go_are_told_no_more() -> None:
    board, news = make()
    page = Page()
    page.take(news.changes(101))
    board.set_devices([Device(B)])
    page.take(news.changes(102))
    assert page.top["order"] == [B]
    whole = json.loads(news.whole(102))
    assert [card["id"] for card in whole["cards"]] == [B]
