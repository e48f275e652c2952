"""The examples, as a person runs them, seen from the cloud's side too."""

import ast
import asyncio
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples import multiplex, plot
from littlebits_async.testing import RunningBit, RunningCloud, run_cloud
from tests.support.command import Command
from tests.support.example import FOLDER, NAMES, example, interrupt
from tests.support.local_cloud import SLOWEST, free_port
from tests.support.screen import need_tk

TEN_LINES = "watch"
"""Has no room to say its name, or that there are no bits."""


async def add_bits(cloud: RunningCloud, *labels: str) -> list[RunningBit]:
    """Add bits that are read when a test turns them, and not otherwise."""
    return [await cloud.add_device(f"id-{label}", label=label, input_interval_ms=SLOWEST) for label in labels]


def code_of(name: str) -> list[str]:
    """Return an example's lines without blank ones, comments and docstrings."""
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    told = set[int]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            told.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(source.splitlines(), start=1)
    return [line for number, line in lines if number not in told and line.strip() and not line.lstrip().startswith("#")]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_short_says_how_to_run_it_and_is_listed(name: str) -> None:
    assert len(code_of(name)) < 60
    about = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))) or ""
    assert "littlebits serve --simulate 4" in about
    assert f"python examples/{name}.py" in about
    assert f"[{name}.py]({name}.py)" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_ten_lines_are_ten() -> None:
    assert len(code_of(TEN_LINES)) == 10


# What a user meets


def run_here(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run an example in this process, and return the line that it ends with."""
    if name.startswith("tk_"):
        need_tk()
    monkeypatch.setattr(sys, "argv", [name, str(folder / "run")] if name == "plot" else [name])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    line = str(caught.value.code)
    assert line.startswith(f"{name}: ") or name == TEN_LINES
    assert "\n" not in line
    return line


@pytest.mark.parametrize("name", NAMES)
def test_without_a_token_it_says_so(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LITTLEBITS_TOKEN", raising=False)
    assert "LITTLEBITS_TOKEN" in run_here(name, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", NAMES)
def test_without_bits_or_with_a_token_that_is_refused_it_says_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local_cloud: RunningCloud
) -> None:
    if name != TEN_LINES:  # which waits
        assert "littlebits serve --simulate" in run_here(name, tmp_path, monkeypatch)
    monkeypatch.setenv("LITTLEBITS_TOKEN", "a-stale-one")
    ended = run_here(name, tmp_path, monkeypatch)
    assert "401" in ended
    assert "a-stale-one" not in ended
    assert local_cloud.url


def test_webhooks_says_that_the_cloud_calls_nobody_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_cloud(allow_private_webhooks=False) as cloud:
        cloud.portal.call(cloud.add_device, "button")
        monkeypatch.setenv("LITTLEBITS_BASE_URL", cloud.url)
        monkeypatch.setenv("LITTLEBITS_TOKEN", cloud.token)
        assert "must not lead to this machine" in run_here("webhooks", tmp_path, monkeypatch)


def test_plot_says_that_it_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local_cloud: RunningCloud
) -> None:
    local_cloud.portal.call(local_cloud.add_device, "button")
    assert "No such file or directory" in run_here("plot", tmp_path / "no", monkeypatch)


@pytest.mark.parametrize("name", ["tk_input", "tk_output"])
def test_without_a_screen_it_says_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local_cloud: RunningCloud
) -> None:
    local_cloud.portal.call(local_cloud.add_device, "button")
    monkeypatch.setenv("DISPLAY", ":nosuch")
    assert "display" in run_here(name, tmp_path, monkeypatch)


# What each does


async def served(running: Command) -> str:
    """Wait until an example serves, and return where."""
    url = await running.line()
    async with httpx.AsyncClient() as client:
        while True:
            try:
                await client.get(url)
            except httpx.TransportError:
                await asyncio.sleep(0.02)
            else:
                return url


async def until_json(client: httpx.AsyncClient, wanted: object) -> None:
    while (await client.get("/")).json() != wanted:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.02)


async def until_lines(path: Path, number: int) -> None:
    while not path.exists() or path.read_text(encoding="utf-8").count("\n") < number:  # noqa: ASYNC110, ASYNC240 - as above
        await asyncio.sleep(0.02)


@pytest.mark.asyncio
async def test_watch_prints_every_event(running_cloud: RunningCloud) -> None:
    dimmer, button = await add_bits(running_cloud, "dimmer", "button")
    async with example("watch", running_cloud) as watch:
        await running_cloud.until_streams(2)
        await dimmer.turn(61)
        await watch.until(r"\d\d:\d\d:\d\d id-dimmer  61\.0 %")
        await button.turn(100)
        await watch.until(r"\d\d:\d\d:\d\d id-button 100\.0 %")
        assert running_cloud.token not in await interrupt(watch)


@pytest.mark.asyncio
async def test_mirror_shows_what_the_other_reads(running_cloud: RunningCloud) -> None:
    source, target = await add_bits(running_cloud, "source", "target")
    await source.set_input(30)
    async with example("mirror", running_cloud) as mirror:
        await target.until_shown(30)
        await source.turn(80, 81, 82)  # too many to be sent, but for the last
        await target.until_shown(82)
        lines = await interrupt(mirror)
    assert [line.split()[1:] for line in lines.splitlines()] == [
        ["id-source", "->", "id-target:", "30.0", "%"],
        ["id-source", "->", "id-target:", "82.0", "%"],
    ]


@pytest.mark.asyncio
async def test_mirror_takes_the_bits_that_are_named(running_cloud: RunningCloud) -> None:
    first, second, third = await add_bits(running_cloud, "first", "second", "third")
    await third.set_input(45)
    async with example("mirror", running_cloud, third.id, first.id) as mirror:
        await first.until_shown(45)
        assert running_cloud.token not in await interrupt(mirror)
    assert await second.see(lambda bit: bit.shown) == 0


@pytest.mark.asyncio
async def test_alert_rings_once_for_what_wavers(running_cloud: RunningCloud) -> None:
    (tank,) = await add_bits(running_cloud, "tank")
    async with example("alert", running_cloud) as alert:
        await running_cloud.until_streams(1)
        await tank.turn(20, 69, 80, 65, 75, 59, 61)
        rung = [(await alert.line()).partition(" ")[2] for _ in range(2)]
        assert await interrupt(alert) == ""
    assert rung == ["ALERT: tank is at 80 %", "all clear: tank is at 59 %"]


@pytest.mark.asyncio
async def test_thermostat_follows_the_sensor_with_hysteresis(running_cloud: RunningCloud) -> None:
    sensor, conditioner = await add_bits(running_cloud, "sensor", "conditioner")
    told: list[str] = []
    await sensor.set_input(20)
    async with example("thermostat", running_cloud, "--every", "0.1") as thermostat:
        for percent, shown in [(20, 0), (57, 0), (61, 100), (57, 100), (54, 0)]:
            await sensor.turn(percent)
            if percent == 57:  # between the two it changes nothing, from wherever it is come to
                await asyncio.sleep(0.3)  # some readings
                assert await conditioner.see(lambda bit: bit.shown) == shown
            else:
                told.append((await thermostat.line()).partition(" ")[2])
                await conditioner.until_shown(shown)
        assert await interrupt(thermostat) == ""
    assert told == ["20.0 %: off", "61.0 %: on", "54.0 %: off"]


@pytest.mark.parametrize("number", range(multiplex.LEVELS))
def test_signals_come_back_whatever_noise_is_within_the_tolerance(number: int) -> None:
    signals = tuple(bool(number >> place & 1) for place in range(3))
    level = multiplex.encode(signals)
    assert 0 <= level <= 100
    for noise in (-0.99, 0, 0.99):
        assert multiplex.decode(level + noise * multiplex.TOLERANCE) == signals
    if number:
        assert multiplex.decode(level - multiplex.STEP / 2) is None


@pytest.mark.asyncio
async def test_multiplex_repeats_signals_clean_and_none_that_it_only_passes(running_cloud: RunningCloud) -> None:
    source, target = await add_bits(running_cloud, "source", "target")
    async with example("multiplex", running_cloud) as repeater:
        await running_cloud.until_streams(1)
        await source.turn(57, 54)  # the third alone, 57.1 %, and noise
        await target.until_shown(multiplex.encode([False, False, True]))
        await source.turn(71, 86, 98, 99)  # past two others to all of them
        await target.until_shown(100)
        await source.turn(50, 50)  # between two levels
        lines = await interrupt(repeater)
    assert lines.splitlines() == [" 54.0 %: pump", " 99.0 %: lamp, fan, pump"]


@pytest.mark.asyncio
async def test_webhooks_counts_what_is_pressed_and_unsubscribes(running_cloud: RunningCloud) -> None:
    (button,) = await add_bits(running_cloud, "button")
    port = free_port()
    async with (
        example("webhooks", running_cloud, PORT=str(port)) as app,
        httpx.AsyncClient(base_url=await served(app)) as client,
        running_cloud.session() as session,
    ):
        await until_json(client, {"button": 0})
        (subscription,) = await session.subscriptions(publisher_id=button.id)
        assert subscription.subscriber_id.startswith(f"http://127.0.0.1:{port}/littlebits/")
        await button.turn(0, 100, 0, 100)
        await until_json(client, {"button": 2})
        output = await interrupt(app)
        assert await session.subscriptions(publisher_id=button.id) == []
    assert output == ""


@pytest.mark.asyncio
async def test_page_streams_to_every_page_and_ends_with_pages_open(running_cloud: RunningCloud) -> None:
    dimmer, _ = await add_bits(running_cloud, "dimmer", "<b>bold</b>")
    async with (
        example("page", running_cloud, PORT=str(free_port())) as server,
        httpx.AsyncClient(base_url=await served(server)) as client,
    ):
        page = (await client.get("/")).text
        assert '<p><label>dimmer <meter id="id-dimmer" max="100"></meter></label>' in page
        assert "&lt;b&gt;bold" in page
        assert "<b>" not in page
        await running_cloud.until_streams(2)
        async with client.stream("GET", "/events") as one, client.stream("GET", "/events") as another:
            assert one.headers["content-type"].startswith("text/event-stream")
            both = [stream.aiter_lines() for stream in (one, another)]
            await dimmer.turn(61)
            for lines in both:
                assert json.loads((await anext(lines)).removeprefix("data: ")) == {"id": "id-dimmer", "percent": 61}
            output = await interrupt(server)
            for lines in both:
                assert [line async for line in lines] == [""]  # it ended in good order
    assert output == ""
    assert await running_cloud.see(lambda cloud: cloud.streams) == 0


def drawn(recording: Path) -> dict[str, list[float]]:
    """Plot a recording, and return the height of each line's points."""
    lines: Any = plot.plot(recording).axes[0].lines
    return {line.get_label(): list(line.get_ydata()) for line in lines}


@pytest.mark.asyncio
async def test_plot_draws_what_was_recorded_also_after_ctrl_c(running_cloud: RunningCloud, tmp_path: Path) -> None:
    dimmer, button = await add_bits(running_cloud, "dimmer", "button")
    async with example("plot", running_cloud, str(tmp_path / "run"), "--seconds", "60") as plotting:
        await running_cloud.until_streams(2)
        await dimmer.turn(10, 61)
        await button.turn(100)
        await until_lines(tmp_path / "run.jsonl", 2 + 3)  # a first reading of both, and these
        assert await interrupt(plotting) == f"{tmp_path}/run.jsonl, {tmp_path}/run.png\n"
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert drawn(tmp_path / "run.jsonl") == {dimmer.id: [0, 10, 61], button.id: [0, 100]}


@pytest.mark.asyncio
async def test_plot_records_for_as_long_as_it_is_told(local_cloud: RunningCloud, tmp_path: Path) -> None:
    await add_bits(local_cloud, "dimmer")
    async with asyncio.timeout(5):
        await plot.record(tmp_path / "run.jsonl", 0.3)
        await plot.record(tmp_path / "run.jsonl", 0.3)  # behind the first
    assert drawn(tmp_path / "run.jsonl") == {"id-dimmer": [0, 0]}


@pytest.mark.asyncio
async def test_shared_budget_bills_both_sessions_as_the_server_counts(running_cloud: RunningCloud) -> None:
    *bits, away = await add_bits(running_cloud, "one", "two", "three", "away")
    await away.set_connected(to=False)
    for percent, bit in enumerate(bits, start=40):
        await bit.set_input(percent)
    async with example("shared_budget", running_cloud) as sharing:
        done = await sharing.result()
    assert (done.code, done.errors) == (0, "")
    assert done.output.splitlines() == [
        "    1 command  devices",
        "    3 stream   input",
        "    3 command  output",
        "    0 by other programs, as the server says",
        " 1793 of 1800 are left for both",
    ]
    for percent, bit in enumerate(bits, start=40):
        await bit.until_shown(percent)
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {running_cloud.token}"}) as client:
        answer = await client.get(f"{running_cloud.url}/v2/devices")
    assert answer.headers["ratelimit-remaining"] == str(1793 - 1)
