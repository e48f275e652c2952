"""Any bytes, cut anywhere, through the decoder of event streams and the reader of input events behind it.

The first byte is the limit of an event's size (0: the decoder's own), the second and third say where the rest is cut
(0: everywhere).
"""

import json
from random import Random
from typing import Final

from littlebits_async import wire
from littlebits_async.errors import DecodeError
from littlebits_async.sse import MAX_EVENT_SIZE, Decoder, Item, Message
from tests.property.test_sse import READS, greatest_holding, held, reference
from tests.spec_messages import FOLDER, message

_CALL: Final = wire.inputs("a")
_JSON: Final = [json.dumps(json.loads(file.read_bytes())).encode() for file in sorted(FOLDER.glob("cloud-*/*.json"))]

STREAMS: Final = [
    message("blog/input-event.sse") + b"\n",
    *(b"data: " + body + b"\n\n" for body in _JSON),
    b"\xef\xbb\xbfretry: 3000\r\nid: 7\r\nevent: input\r\ndata: {}\r\n\r\n: ping\r\n\r\n",
    *READS,
    b"".join(READS),
]
SEEDS: Final = [head + stream for stream in STREAMS for head in (b"\0\0\0", b"\x28\1\2")]


def check(data: bytes) -> None:
    """Hold the decoder to what it promises of a stream."""
    head, stream = data[:3].ljust(3, b"\0"), data[3:]
    limit = head[0] or MAX_EVENT_SIZE
    whole = reference(stream, limit)
    assert Decoder(limit).feed(stream) == whole

    sizes = [1, 2, 3, 7, 40, 400] if any(head[1:]) else [1]
    chance = Random(head[1:])  # noqa: S311 - the same each time, or a finding could not be repeated
    decoder = Decoder(limit)
    pieces: list[Item] = []
    start = 0
    while start < len(stream):
        end = start + chance.choice(sizes)
        pieces += decoder.feed(stream[start:end])
        assert held(decoder) <= greatest_holding(limit)
        start = end
    assert pieces == whole

    for item in whole:
        if isinstance(item, Message):
            try:
                event = _CALL.read(item.data)
            except DecodeError:
                continue
            assert event is None or event.device_id
