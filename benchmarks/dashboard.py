"""What the dashboard costs, and how long an input takes to be seen: many devices, some pages, a real browser.

```
python -m benchmarks.dashboard            # 200 devices, 3 pages
python -m benchmarks.dashboard --quick    # as CI runs it
```

- CPU of the dashboard's process for each event, with no page open and with all of them. The simulated bits' cloud and
  the browser are other processes, on the other core.
- Milliseconds from turning the input of one bit, which all the others drown out, to the frame in which its percent is
  another one in a page, by the machine's one clock.

Needs Chromium and Playwright. The pages are kept in front, each in a window of its own, so that none is throttled.
"""

import asyncio
import random
import shutil
import statistics
import sys
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final

import anyio.to_thread
from attrs import asdict, frozen

from littlebits_async import Session, Unlimited
from littlebits_async.dashboard import Dashboard
from littlebits_async.localcloud import LocalCloud, Sine

from . import harness

INTERVAL_MS: Final = 250
TURNED: Final = "00e04f000000"
WARM_UP: Final = 3.0
PAGE_PATIENCE_MS: Final = 60_000

_WATCH: Final = """(id) => {
    const value = document.querySelector(`.card[data-device='${id}'] .percent .value`);
    window.seen = [];
    new MutationObserver(() => {
        const percent = Number(value.textContent);
        requestAnimationFrame(() => window.seen.push([percent, performance.timeOrigin + performance.now()]));
    }).observe(value, { characterData: true, childList: true, subtree: true });
}"""


@frozen
class Plan:
    """What is measured.

    Attributes:
        devices: How many devices there are.
        pages: How many pages are open.
        seconds: How long CPU is counted.
        turns: How often the input is turned.
    """

    devices: int = 200
    pages: int = 3
    seconds: float = 15.0
    turns: int = 200

    @property
    def arguments(self) -> list[str]:
        """Return it as words of a command line."""
        return [f"--{name}={value}" for name, value in asdict(self).items()]


async def serve_bits(devices: int) -> None:
    """Run a cloud; for each line, turn the one bit to the percent that it says, and tell when."""
    async with LocalCloud(limit=1_000_000) as cloud:
        for number in range(1, devices):
            device_id = f"00e04{number:07x}"
            waveform = Sine(period=20, phase=number * 0.618)
            await cloud.add_device(device_id, label=f"bit {number}", waveform=waveform, input_interval_ms=INTERVAL_MS)
        turned = await cloud.add_device(TURNED, label="turned", input_interval_ms=INTERVAL_MS)
        harness.say({"url": cloud.url, "token": await cloud.create_token()})
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            await turned.set_input(percent=float(line))
            turned.feed.refresh(anew=True)
            harness.say(time.time() * 1000)


def look(url: str, pages: int) -> None:
    """Open the pages, and watch the turned bit in the last; tell what was seen at each line."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only here

    chromium = shutil.which("chromium")
    if chromium is None:
        raise harness.MeasurementError("there is no chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = [browser.new_context(viewport={"width": 1280, "height": 860}).new_page() for _ in range(pages)]
        for page in opened:
            page.goto(url, wait_until="domcontentloaded")
            page.wait_for_selector(f".card[data-device='{TURNED}'] .state[data-tone=live]", timeout=PAGE_PATIENCE_MS)
        opened[-1].evaluate(_WATCH, TURNED)
        harness.say("ready")
        while sys.stdin.readline():
            harness.say(opened[-1].evaluate("window.seen.splice(0)"))
        browser.close()


async def measure(plan: Plan) -> None:
    """Run the dashboard, and say what it cost and how late its page was."""
    module = "benchmarks.dashboard"
    with harness.Server(module, "--bits", *plan.arguments) as bits:
        account: dict[str, str] = await anyio.to_thread.run_sync(bits.hear)
        session = Session(account["token"], base_url=account["url"], budget=Unlimited(), trust_env=False)
        async with session, Dashboard(session) as dashboard:
            await anyio.sleep(WARM_UP)
            figures = await cost(dashboard, plan.seconds / 2, "alone")
            with harness.Server(module, "--look", dashboard.url, *plan.arguments) as browser:
                await anyio.to_thread.run_sync(browser.hear)
                await anyio.sleep(WARM_UP)
                figures |= await cost(dashboard, plan.seconds, "with_pages")
                waits = await latencies(bits, browser, plan.turns)
                if dashboard.pages != plan.pages:
                    raise harness.MeasurementError(f"{dashboard.pages} pages are open, not {plan.pages}")
    waits.sort()
    figures["seen_share"] = len(waits) / plan.turns
    figures["p50_ms"] = statistics.median(waits)
    figures["p95_ms"] = waits[int(len(waits) * 0.95)]
    figures["worst_ms"] = waits[-1]
    harness.say(figures)


async def cost(dashboard: Dashboard, seconds: float, name: str) -> dict[str, float]:
    """Return microseconds of this process's CPU for each event, and events a second."""
    before = dashboard.board.events
    with harness.Phase() as phase:
        await anyio.sleep(seconds)
    events = dashboard.board.events - before
    return {f"{name}_us": phase.cpu / events * 1e6, f"{name}_events_per_s": events / phase.wall}


async def latencies(bits: harness.Server, browser: harness.Server, turns: int) -> list[float]:
    """Turn the bit at odd moments, and return how many milliseconds the page took each time."""
    dice = random.Random(8)  # noqa: S311 - not a secret
    turned: list[tuple[int, float]] = []
    seen: list[tuple[int, float]] = []
    percent = 0
    for number in range(turns):
        percent = (percent + dice.randrange(1, 100)) % 101
        turned.append((percent, await anyio.to_thread.run_sync(bits.ask, percent)))
        await anyio.sleep(dice.uniform(0.4, 0.8))
        if number == turns - 1 or number % 20 == 0:
            await anyio.sleep(1)
            seen += await anyio.to_thread.run_sync(browser.ask, None)
    waits: list[float] = []
    for value, at in turned:
        found = next((then for shown, then in seen if shown == value and at <= then < at + 3000), None)
        if found is not None:
            waits.append(found - at)
    return waits


def report(plan: Plan, found: Mapping[str, Any]) -> str:
    """Lay the figures out."""
    rows = [
        ("us of CPU for an event, no page open", found["alone_us"]),
        (f"us of CPU for an event, {plan.pages} pages open", found["with_pages_us"]),
        ("ms from input to pixel, median", found["p50_ms"]),
        ("ms from input to pixel, p95", found["p95_ms"]),
        ("ms from input to pixel, worst", found["worst_ms"]),
    ]
    return harness.table([f"dashboard, {plan.devices} devices", "figure"], rows)


def main() -> None:
    """Measure, or be one of the processes that it takes."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    defaults = Plan()
    parser.add_argument("--devices", type=int, default=defaults.devices)
    parser.add_argument("--pages", type=int, default=defaults.pages)
    parser.add_argument("--seconds", type=float, default=defaults.seconds)
    parser.add_argument("--turns", type=int, default=defaults.turns)
    parser.add_argument("--quick", action="store_true", help="20 devices, for a moment")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    for process in ("--bits", "--child"):
        parser.add_argument(process, action="store_true", help="for itself")
    parser.add_argument("--look", metavar="URL", help="for itself")
    options = parser.parse_args()
    plan = Plan(options.devices, options.pages, options.seconds, options.turns)
    if options.quick:
        plan = Plan(devices=20, pages=2, seconds=2.0, turns=10)
    if options.bits:
        asyncio.run(serve_bits(plan.devices))
    elif options.look is not None:
        look(options.look, plan.pages)
    elif options.child:
        asyncio.run(measure(plan))
    else:
        harness.allow_open_files()
        found = harness.measure("benchmarks.dashboard", "--child", *plan.arguments)
        print(report(plan, found))
        if options.json is not None:
            distributions = ["nicegui", "uvicorn", "python-socketio", "websockets", "playwright"]
            what = {"plan": asdict(plan), "machine": harness.machine(distributions), "figures": found}
            harness.write_json(options.json, what)


if __name__ == "__main__":
    main()
