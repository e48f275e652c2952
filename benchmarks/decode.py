"""What it costs to make an event of the bytes of a stream, without a socket, a loop or a reactor.

```
python -m benchmarks.decode
```

The bytes are the recorded event as LocalCloud streams it, cut as they may come: one event in each read; the 16 of a
burst; a read of 64 KiB. Ours ends with all that the event says, checked. A peer ends with an object that has the
device, the time and the percent, unchecked; by hand also with all the fields of ours.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Any, Final

import attrs
import httpx

from littlebits_async import InputEvent, wire
from littlebits_async.localcloud.readings import Reading
from littlebits_async.sse import Decoder, Message
from littlebits_async.wire import _events  # pyright: ignore[reportPrivateUsage]

from . import harness
from .compare import Comparison, Contender, compare
from .stream_client import event_of

BIT: Final = "00e04c000001"
EVENT: Final = Reading.of(69.3, device_id=BIT, user_id=1, timestamp_ms=1437400000123).event()
SIZES: Final = {"one": 1, "burst of 16": 16, "64 KiB": 65536 // len(EVENT)}

Decode = Callable[[Iterable[bytes]], Iterator[object]]


def ours(chunks: Iterable[bytes], call: wire.Call[InputEvent | None] | None = None) -> Iterator[object]:
    """Decode as a stream's feed does."""
    feed = Decoder().feed
    read = (call or wire.inputs(BIT)).read
    for chunk in chunks:
        for item in feed(chunk):
            if isinstance(item, Message):
                yield read(item.data)


def ours_in_doubt(chunks: Iterable[bytes]) -> Iterator[object]:
    """Decode as if no event were a common one."""
    slow = partial(_events._read_any, device_id=BIT)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - compared
    return ours(chunks, attrs.evolve(wire.inputs(BIT), answer=slow))


def by_httpx_sse(chunks: Iterable[bytes]) -> Iterator[object]:
    """Decode with httpx-sse and the standard library, as most do."""
    connect = import_module("httpx_sse").EventSource
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=iter(chunks))
    for event in connect(response).iter_sse():
        yield event_of(json.loads(event.data))


def by_hand(chunks: Iterable[bytes], build: Callable[[Any], object] = event_of) -> Iterator[object]:
    """Decode with as little as this very stream needs: no other line than data, no event in two chunks."""
    loads = import_module("orjson").loads
    for chunk in chunks:
        for block in chunk.split(b"\n\n"):
            if block:
                yield build(loads(block[5:]))


def input_event_of(found: Any) -> InputEvent:  # noqa: ANN401 - JSON
    """Build an event of ours from the JSON of one."""
    source = found["from"]
    device = source["device"]
    return InputEvent(
        device["id"],
        found["timestamp"],
        float(found["percent"]),
        found["absolute"],
        name=found["name"],
        user_id=source["user"]["id"],
        mac=device["mac"],
    )


def run(decode: Decode, events: int) -> Mapping[str, float]:
    """Return microseconds of CPU an event, for each way to cut the stream."""
    figures: dict[str, float] = {}
    for name, size in SIZES.items():
        chunks = [EVENT * size] * (events // size)
        for _ in decode(chunks[: len(chunks) // 10 + 1]):
            pass
        with harness.Phase() as phase:
            decoded = sum(1 for _ in decode(chunks))
        if decoded != len(chunks) * size:
            raise harness.MeasurementError(f"{decoded} events of {len(chunks) * size}")
        figures[name] = phase.cpu / decoded * 1e6
    return figures


if __name__ == "__main__":
    compare(
        Comparison(
            module="benchmarks.decode",
            what="Decoding: microseconds of CPU for each event",
            columns=list(SIZES),
            contenders=[
                Contender("ours", partial(run, ours)),
                Contender("httpx-sse + json", partial(run, by_httpx_sse), ("httpx_sse",)),
                Contender("split + orjson + attrs", partial(run, by_hand), ("orjson",)),
                Contender(
                    "split + orjson + InputEvent", partial(run, partial(by_hand, build=input_event_of)), ("orjson",)
                ),
                Contender("ours, cattrs path", partial(run, ours_in_doubt)),
            ],
            times=(40_000, 2_000),
            distributions=["httpx", "httpx-sse", "orjson", "msgspec", "attrs", "cattrs"],
        )
    )
