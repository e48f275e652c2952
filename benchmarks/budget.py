"""What it costs to be granted a request that is free, and what a limit of the budget's kind is worth.

```
python -m benchmarks.budget
```

The first figure is that of an hour of 1800 requests, of which 1500 are asked for by one task. The second is the most
that was granted in any one second by a limit of 100 a second, asked by one task as fast as it will, for three seconds:
what a server that counts would have seen. More than 100 is a limit that does not hold.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib import import_module
from itertools import count
from typing import Final

import anyio

from littlebits_async import TokenBucket

from . import harness
from .compare import Comparison, Contender, compare

ASKED: Final = 1500
WINDOW: Final = 1.0
IN_WINDOW: Final = 100

Acquire = Callable[[], Awaitable[object]]
Make = Callable[[int, float], Acquire]
"""Make a limit of so many in so many seconds."""


def ours(limit: int, period: float) -> Acquire:
    """Ours, with its reserve, its priorities and its log of who spent what."""
    return TokenBucket(limit, period).acquire


def aiolimiter(limit: int, period: float) -> Acquire:
    """A leaky bucket."""
    acquire: Acquire = import_module("aiolimiter").AsyncLimiter(limit, period).acquire
    return acquire


def throttled(limit: int, period: float) -> Acquire:
    """A token bucket, its default."""
    module = import_module("throttled.asyncio")
    quota = import_module("throttled").per_duration(import_module("datetime").timedelta(seconds=period), limit)
    throttle = module.Throttled(quota=quota, store=module.MemoryStore(), timeout=60)
    return partial(throttle.limit, "key")


def limits(limit: int, period: float) -> Acquire:
    """A moving window, the strictest that it has; it does not wait, so it is asked again each millisecond."""
    module = import_module("limits")
    aio = import_module("limits.aio")
    strategy = aio.strategies.MovingWindowRateLimiter(aio.storage.MemoryStorage())
    item = module.RateLimitItemPerSecond(limit, int(period))

    async def acquire() -> None:
        while not await strategy.hit(item, "key"):  # noqa: ASYNC110 - it has nothing to wait for
            await anyio.sleep(0.001)

    return acquire


def pyrate(limit: int, period: float) -> Acquire:
    """Its default, a log."""
    module = import_module("pyrate_limiter")
    limiter = module.Limiter(module.Rate(limit, int(period * 1000)))
    return partial(limiter.try_acquire_async, "key")


async def uncontended(make: Make, times: int) -> float:
    """Return microseconds of CPU for an acquire."""
    cpu = 0.0
    for _ in range(times):
        acquire = make(1800, 3600.0)
        await acquire()
        with harness.Phase() as phase:
            for _ in range(ASKED):
                await acquire()
        cpu += phase.cpu
    return cpu / times / ASKED * 1e6


async def worst_window(make: Make) -> int:
    """Return the most that were granted within a window."""
    acquire = make(IN_WINDOW, WINDOW)
    begun = time.perf_counter()
    granted: list[float] = []
    with anyio.move_on_after(3 * WINDOW):
        while time.perf_counter() - begun < 3 * WINDOW:
            await acquire()
            granted.append(time.perf_counter())
    worst, first = 0, 0
    for number, last in zip(count(1), granted, strict=False):
        while last - granted[first] >= WINDOW:
            first += 1
        worst = max(worst, number - first)
    return worst


def run(make: Make, times: int) -> Mapping[str, float]:
    """Return both figures."""
    return {
        "acquire": anyio.run(uncontended, make, times),
        "worst second": anyio.run(worst_window, make),
    }


if __name__ == "__main__":
    compare(
        Comparison(
            module="benchmarks.budget",
            what="Budget: microseconds of CPU for an uncontended acquire; granted in the worst second, of 100",
            columns=["acquire", "worst second"],
            contenders=[
                Contender("ours", partial(run, ours)),
                Contender("aiolimiter", partial(run, aiolimiter), ("aiolimiter",)),
                Contender("throttled-py", partial(run, throttled), ("throttled",)),
                Contender("limits", partial(run, limits), ("limits",)),
                Contender("pyrate-limiter", partial(run, pyrate), ("pyrate_limiter",)),
            ],
            target={"acquire": 0.5},
            times=(30, 2),
            distributions=["aiolimiter", "throttled-py", "limits", "pyrate-limiter"],
        )
    )
