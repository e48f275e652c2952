import re
import sys
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from littlebits_async.sse import MAX_EVENT_SIZE, Comment, Decoder, Item, Message, Oversized, Retry

BOM = b"\xef\xbb\xbf"

TOKENS = [
    *b"data|event|id|retry|data:|data: x|data:{}\n\n|event: e\n|id: 1\n|retry: 20\n|: ping\n\n|xxxxxxxxx".split(b"|"),
    *b":|: | |\n|\n\n|\r|\r\r|\r\n|\r\n\r\n|\0|0|7|\xff|\x80|\xc2\x85|\xc3\xa9|\xf0\x9f\x8e\x9b|\xf0\x9f".split(b"|"),
    *(BOM, BOM[:1], BOM[1:]),
]
# Reads as servers cause them, in the middle of anything: the decoder has short ways for whole events.
READS = [
    *(*TOKENS, b""),
    *b"data:a\n\n|data: a\n\n|data:  \n\n|data:\n\n|data:a\rb\n\n|data:\xff\n\n|data:xxxxxxxxx\n\n".split(b"|"),
    *b"data:a\nx|data:a\n\ndata: b\n\n|data:a\xff\n\n\ndata:b\nid:2\n\n|other\n\n|another field\n".split(b"|"),
]
STREAMS = st.one_of(st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join), st.binary(max_size=200))
LIMITS = st.one_of(st.integers(1, 40), st.just(MAX_EVENT_SIZE))


def reference(stream: bytes, limit: int) -> list[Item]:  # noqa: C901 - the standard is one loop, too
    """Read a whole stream as the standard's text goes: decode all of it, split it in lines, take line after line."""
    stream = stream.removeprefix(BOM)
    lines = re.split("\r\n|\n|\r", stream.decode("utf-8", "replace"))
    sizes = [len(line) for line in re.split(b"\r\n|\n|\r", stream)]
    items: list[Item] = []
    data, event, last_id, next_id, size, refused = "", "", "", "", 0, False
    for number, (line, length) in enumerate(zip(lines, sizes, strict=True), 1):
        ended = number < len(lines)
        if line and not refused and size + length > limit:
            items.append(Oversized(limit))
            data, event, next_id, refused = "", "", last_id, True
        if not ended or (line and refused):
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            last_id = next_id
            if data:
                items.append(Message(data[:-1], event or "message", last_id))
            data, event, size, refused = "", "", 0, False
        elif line.startswith(":"):
            items.append(Comment(value))
        else:
            size += length + 1
            match name:
                case "data":
                    data += value + "\n"
                case "event":
                    event = value
                case "id" if "\0" not in value:
                    next_id = value
                case "retry" if re.fullmatch("[0-9]+", value):
                    items.append(Retry(int(value)))
                case _:
                    pass
    return items


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


@given(STREAMS, LIMITS)
@example(b"data:12345\n\n", 10)
@example(BOM + b"data:12345\n\n", 10)
@settings(deadline=None, max_examples=400)
def test_agrees_with_a_reader_of_whole_streams(stream: bytes, limit: int) -> None:
    assert Decoder(limit).feed(stream) == reference(stream, limit)


@given(STREAMS, st.lists(st.integers(0, 400), max_size=30), LIMITS)
@example(b"data:12345\n\n", [11], 10)
@example(b"data: a\r\n\r\n", [8, 10], 100)
@example(BOM + b"data: a\n\n", [1, 2], 100)
@settings(deadline=None, max_examples=400)
def test_any_cut_gives_the_same_items(stream: bytes, places: list[int], limit: int) -> None:
    decoder = Decoder(limit)
    items = [item for piece in cut(stream, places) for item in decoder.feed(piece)]
    assert items == Decoder(limit).feed(stream)


@given(st.lists(st.sampled_from(READS), max_size=20), LIMITS)
@settings(deadline=None, max_examples=400)
def test_whole_events_mean_the_same_in_the_middle_of_anything(reads: list[bytes], limit: int) -> None:
    decoder = Decoder(limit)
    assert [item for read in reads for item in decoder.feed(read)] == reference(b"".join(reads), limit)


@given(STREAMS, LIMITS)
@settings(deadline=None)
def test_single_bytes_give_the_same_items(stream: bytes, limit: int) -> None:
    decoder = Decoder(limit)
    assert [item for byte in stream for item in decoder.feed(bytes([byte]))] == reference(stream, limit)


@given(st.lists(st.tuples(STREAMS, st.integers(1, 50)), max_size=20), st.integers(1, 400))
@settings(deadline=None)
def test_memory_is_bounded(pieces: list[tuple[bytes, int]], limit: int) -> None:
    decoder = Decoder(limit)
    held = [name for name in Decoder.__slots__ if name != "_id"]
    for piece, times in pieces:
        decoder.feed(piece * times)
        values = [getattr(decoder, name) for name in held]
        assert sum(sys.getsizeof(v) for v in values if isinstance(v, bytes | bytearray)) <= limit * 9 // 8 + 512
        assert len(getattr(decoder, "_id")) <= limit  # noqa: B009 - private, and still to be bounded
