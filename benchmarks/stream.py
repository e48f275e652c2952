"""Events from many streams: CPU, latency, memory, opening and closing, of this client and of what else people use.

``python -m benchmarks.stream``, from the root of the repository, on Linux with two cores or more, with the extra
``bench`` installed; ``--quick`` for a look at whether it runs. README.md beside this says how to read what it prints,
``stream_peers.py`` what the clients do, ``stream_child.py`` what is measured and how, ``stream_server.py`` what they
stream from.

Each measurement is a process of its own, pinned to one core, and its server another, on another core. Repetitions are
interleaved. Ratios are to the client of that name on the same event loop, in the same repetition, and the median of
these. A client that lost, repeated or disordered a single event in any repetition has failed and has no figures. The
exit code is 1 where one has.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from . import harness
from .stream_child import Measurement, Mode
from .stream_peers import PEERS, missing
from .stream_report import Results, report

_LOOPS: Final = ("asyncio", "uvloop")
_DISTRIBUTIONS: Final = (
    "littlebits-async",
    "httpx",
    "httpcore",
    "httpx-sse",
    "httpx-aiohttp",
    "aiohttp",
    "aiohttp-sse-client2",
    "uvloop",
    "anyio",
    "orjson",
    "msgspec",
    "sniffio",
)


@attrs.frozen
class Scenario:
    """What all clients are put through; see `Measurement`."""

    mode: Mode
    streams: int
    amount: int
    tls: bool = False

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.mode}-{self.streams}{'-tls' if self.tls else ''}"


_SCENARIOS: Final = (
    Scenario("step", 100, 240),
    Scenario("step", 1000, 24),
    Scenario("step", 3000, 8),
    Scenario("flood", 100, 400),
    Scenario("burst", 100, 25),
    Scenario("paced", 1000, 10),
    Scenario("step", 1000, 8, tls=True),
)
_QUICK: Final = (
    Scenario("step", 10, 10),
    Scenario("flood", 10, 100),
    Scenario("burst", 10, 5),
    Scenario("paced", 10, 1),
    Scenario("step", 10, 5, tls=True),
)


def measure(
    scenarios: Iterable[Scenario], clients: Sequence[tuple[str, str]], repetitions: int
) -> Iterator[tuple[str, str, str, int, dict[str, Any]]]:
    """Measure each client on each loop in each scenario, over and over; yield what `Results.add` takes."""
    for scenario in scenarios:
        for repetition, (peer, loop) in harness.interleaved(clients, repetitions):
            what = Measurement(
                peer=peer,
                loop=loop,
                mode=scenario.mode,
                streams=scenario.streams,
                amount=scenario.amount,
                tls=scenario.tls,
            )
            found = measure_once(what)
            shown = found.get("failed") or f"{found['cpu_us']:.1f} µs of CPU an event"
            print(f"{scenario.name} {repetition + 1}/{repetitions} {peer} {loop}: {shown}", file=sys.stderr, flush=True)
            yield scenario.name, peer, loop, repetition, found


def measure_once(what: Measurement) -> dict[str, Any]:
    """Measure, or say why that failed."""
    needed = ["uvloop"] * (what.loop == "uvloop") + ["trustme"] * what.tls
    if missing(what.peer) or not harness.installed(*needed):
        return {"failed": "not installed"}
    try:
        return harness.measure("benchmarks.stream_child", json.dumps(attrs.asdict(what)))
    except harness.MeasurementError as exc:
        return {"failed": str(exc)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    names = [scenario.name for scenario in _SCENARIOS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few streams, once, on asyncio: does it run?")
    parser.add_argument("--scenarios", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=[*PEERS], metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("--loops", nargs="+", choices=_LOOPS, default=None)
    parser.add_argument("--repetitions", type=int, default=None, help="5, unless it is quick")
    parser.add_argument("--no-tls", action="store_true", help="leave the scenario with TLS out")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--report", type=Path, help="measure nothing, and print the tables of such a file")
    chosen = parser.parse_args(arguments)
    if chosen.report:
        results = Results.load(json.loads(chosen.report.read_text(encoding="utf-8")))
    else:
        harness.allow_open_files()
        scenarios: Iterable[Scenario] = [each for each in _SCENARIOS if each.name in chosen.scenarios]
        scenarios = [each for each in (_QUICK if chosen.quick else scenarios) if not (each.tls and chosen.no_tls)]
        loops = chosen.loops or (_LOOPS[:1] if chosen.quick else _LOOPS)
        clients = [(peer, loop) for peer in chosen.peers for loop in loops]
        results = Results(harness.machine(_DISTRIBUTIONS))
        for each in measure(scenarios, clients, chosen.repetitions or (1 if chosen.quick else 5)):
            results.add(*each)
            if chosen.json:  # each time, so that a run that is broken off is not lost
                harness.write_json(chosen.json, results.dump())
    print(report(results))
    return 1 if results.failures() else 0


if __name__ == "__main__":
    raise SystemExit(main())
