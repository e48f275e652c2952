"""What the cloud does, in numbers, for Prometheus: ``GET /metrics``.

On a registry of its own: several clouds of a process have each their own numbers, and nobody else's are shown. No label
has a value that a client can choose: no device, no token, no path, and of methods and statuses only those there are.
What is counted elsewhere anyway is read when somebody asks, so that an event costs nothing more.

Names by https://prometheus.io/docs/practices/naming/: base units, and ``_total`` for what only grows.
"""

import platform
import time
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .._version import __version__
from .gateway import RealBits
from .limiting import RequestLimit
from .registry import Registry
from .storage import Store

__all__ = ["Metrics"]

_PREFIX: Final = "littlebits_cloud_"
_TOTAL: Final = "_total"
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds; most answers, and a disk that is well, need less than two milliseconds."""
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_OTHER: Final = "other"
"""A method that HTTP does not know, and a path that leads nowhere: clients could make up as many as they like."""
_PRESENT: Final = frozenset({"localbits", "websocket_bits"})
"""What the gateway tells of the present; all else that it tells only grows."""


@frozen
class _Figures(Collector):
    """The numbers that the parts of a cloud have themselves."""

    registry: Registry
    limit: RequestLimit
    real_bits: RealBits
    store: Store

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        for name, about, value in self._read():
            kind = CounterMetricFamily if name.endswith(_TOTAL) else GaugeMetricFamily
            yield kind(f"{_PREFIX}{name}", about, value=value)

    def _read(self) -> Iterator[tuple[str, str, float]]:
        bits, courier = self.registry.bits.values(), self.registry.courier
        yield "devices", "Devices that there are, those of nobody as well.", len(bits)
        yield "devices_connected", "Devices on line.", sum(bit.is_connected for bit in bits)
        yield "streams", "Open input streams.", sum(len(bit.feed.readers) for bit in bits)
        yield "events_sent_total", "Inputs sent on streams.", sum(bit.feed.sent for bit in bits)
        yield "tokens", "Access tokens that there are.", len(self.registry.tokens)
        yield "rate_limited_requests_total", "Requests refused with 429.", self.limit.refused
        yield "storage_waiting", "Changes and questions that wait for the database.", self.store.waiting
        yield "webhooks_delivered_total", "Webhooks answered with 200.", courier.delivered
        yield "webhooks_failed_total", "Tries of webhooks without a 200.", courier.failed
        yield "webhooks_dropped_total", "Webhooks dropped as too many waited.", courier.dropped
        yield "webhooks_waiting", "Webhooks that wait.", sum(backlog.waiting for backlog in courier.backlogs)
        for name, count in self.real_bits.counts().items():
            full_name = f"gateway_{name}" if name in _PRESENT else f"gateway_{name}{_TOTAL}"
            yield full_name, f"Of real bits: {name.replace('_', ' ')}.", count


class Metrics:
    """The numbers of one cloud."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            f"{_PREFIX}requests",
            "Requests that were answered, or whose answer has begun.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._durations = Histogram(
            f"{_PREFIX}request_duration_seconds",
            "Time from a request to the beginning of its answer.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._writes = Histogram(
            f"{_PREFIX}storage_write_duration_seconds",
            "Time that a transaction took that changed something, to the disk and back; many changes may share one.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._failures = Counter(
            f"{_PREFIX}storage_failures", "Changes and questions that the database failed.", registry=registry
        )

        Info(f"{_PREFIX}build", "What runs here.", registry=registry).info(
            {"version": __version__, "python": platform.python_version()}
        )
        ProcessCollector(registry=registry)

    def watch(self, registry: Registry, limit: RequestLimit, real_bits: RealBits, store: Store) -> None:
        """Show the numbers that the parts of a cloud have themselves."""
        self._registry.register(_Figures(registry, limit, real_bits, store))

    def wrote(self, seconds: float) -> None:
        """Note a transaction that is on disk; from any thread."""
        self._writes.observe(seconds)

    def failed(self, count: int) -> None:
        """Note what the database failed; from any thread."""
        self._failures.inc(count)

    async def page(self, _: Request) -> Response:
        """Answer ``/metrics``, in the format that all read, whatever is asked for."""
        headers = {"content-type": CONTENT_TYPE_PLAIN_0_0_4, "cache-control": "no-cache"}
        return Response(generate_latest(self._registry), headers=headers)

    def before(self, app: ASGIApp) -> ASGIApp:
        """Stand before an application, and count its answers when they begin: a stream may not end for months.

        Which route it was is what the application leaves in the request's ``state`` as ``route``.
        """

        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            began = time.perf_counter()
            state: dict[str, str] = scope.setdefault("state", {})

            async def note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    method = scope["method"] if scope["method"] in _METHODS else _OTHER
                    route = state.get("route", _OTHER)
                    self._requests.labels(method, route, message["status"]).inc()
                    self._durations.labels(method, route).observe(time.perf_counter() - began)
                await send(message)

            await app(scope, receive, note)

        return respond
