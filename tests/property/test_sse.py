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
    stream = b"" if BOM.startswith(stream) else stream.removeprefix(BOM)  # what may become a mark is no line yet
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
                    items.append(Retry(int(value.lstrip("0")[:16] or "0")))  # ours: of an absurd number the front
                case _:
                    pass
    return items


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


@given(STREAMS, LIMITS)
@example(b"data:12345\n\n", 10)
@example(BOM + b"data:12345\n\n", 10)
@example(BOM[:2], 1)
@example(b"retry: 00" + b"26" * 2500 + b"\n", MAX_EVENT_SIZE)
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


def held(decoder: Decoder) -> int:
    """Bytes that a decoder holds between two reads, the last event's id left out."""
    values = [getattr(decoder, name) for name in Decoder.__slots__ if name != "_id"]
    return sum(sys.getsizeof(value) for value in values if isinstance(value, bytes | bytearray))


def greatest_holding(limit: int) -> int:
    return limit * 9 // 8 + 512  # a bytearray takes an eighth more than it needs


@given(st.lists(st.tuples(STREAMS, st.integers(1, 50)), max_size=20), st.integers(1, 400))
@settings(deadline=None)
def test_memory_is_bounded(pieces: list[tuple[bytes, int]], limit: int) -> None:
    decoder = Decoder(limit)
    for piece, times in pieces:
        decoder.feed(piece * times)
        assert held(decoder) <= greatest_holding(limit)
        assert len(getattr(decoder, "_id")) <= limit  # noqa: B009 - private, and still to be bounded


ENDLESS = st.sampled_from(
    [b"x", b"data: ", b"data:x", b": ", b"id: 7", b"event: e", b"retry: 1", b"\xff", b"data: x\n"]
)


@given(ENDLESS, st.integers(1, 1000), st.integers(2, 20), st.integers(9, 10_000))
@settings(deadline=None)
def test_what_never_ends_is_refused_once_and_what_follows_it_is_read(
    piece: bytes, times: int, reads: int, limit: int
) -> None:
    decoder = Decoder(limit)
    items: list[Item] = []
    for _ in range(reads):
        items += decoder.feed(piece * times)
        assert held(decoder) <= greatest_holding(limit)
    size = len((piece * times * reads).removesuffix(b"\n"))
    assert items.count(Oversized(limit)) == (size > limit)
    last = decoder.feed(b"\n\ndata\ndata\n\n")[-1]
    assert isinstance(last, Message)
    assert last.data == "\n"


LINES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=8)
MESSAGES = st.lists(
    st.builds(
        Message,
        st.lists(LINES, min_size=1, max_size=3).map("\n".join).filter(bool),
        event=LINES.map(lambda name: name or "message"),
        last_event_id=LINES.filter(lambda text: "\0" not in text),
    )
)


@given(MESSAGES, st.sampled_from(["\n", "\r", "\r\n"]), st.sampled_from([": ", ":"]), st.booleans())
@settings(deadline=None)
def test_what_a_server_writes_is_what_is_read(messages: list[Message], end: str, colon: str, bom: bool) -> None:  # noqa: FBT001
    written = "\ufeff" if bom else ""
    for message in messages:
        fields = [("event", message.event), ("id", message.last_event_id)]
        fields += [("data", line) for line in message.data.split("\n")]
        # Of a value's own leading space, one would be taken for the colon's.
        spaced = [(name, f"{' ' * (colon == ':' and value[:1] == ' ')}{value}") for name, value in fields]
        written += "".join(f"{name}{colon}{value}{end}" for name, value in spaced) + end
    assert Decoder().feed(written.encode()) == messages
