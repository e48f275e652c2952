import sys

import pytest

from littlebits_async.errors import InvalidArgumentError
from littlebits_async.sse import MAX_EVENT_SIZE, Comment, Decoder, Item, Message, Oversized, Retry

BOM = b"\xef\xbb\xbf"
MIB = 1024 * 1024


def held(decoder: Decoder) -> int:
    """Bytes that the decoder really holds, as allocated."""
    values = [getattr(decoder, name) for name in Decoder.__slots__]
    return sum(sys.getsizeof(value) for value in values if isinstance(value, bytes | bytearray | str))


def decode(*pieces: bytes, limit: int = MAX_EVENT_SIZE) -> list[Item]:
    decoder = Decoder(limit)
    return [item for piece in pieces for item in decoder.feed(piece)]


# Examples of https://html.spec.whatwg.org/multipage/server-sent-events.html, with what its text says of each.
STANDARD: list[tuple[str, bytes, list[Item]]] = [
    (
        "messages of one and two lines",
        b"data: This is the first message.\n\ndata: This is the second message, it\ndata: has two lines.\n\n",
        [Message("This is the first message."), Message("This is the second message, it\nhas two lines.")],
    ),
    (
        "event types",
        b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n",
        [Message("73857293", "add"), Message("2153", "remove"), Message("113411", "add")],
    ),
    ("stocks", b"data: YHOO\ndata: +2\ndata: 10\n\n", [Message("YHOO\n+2\n10")]),
    (
        "four blocks",
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        [
            Comment("test stream"),
            Message("first event", last_event_id="1"),
            Message("second event"),
            Message(" third event"),
        ],
    ),
    ("the last block is not ended", b"data\n\ndata\ndata\n\ndata:", [Message(""), Message("\n")]),
    ("the space is optional", b"data:test\n\ndata: test\n\n", [Message("test"), Message("test")]),
]

RULES: list[tuple[str, bytes, list[Item]]] = [
    ("nothing", b"", []),
    ("blank lines", b"\n\n\n\n", []),
    ("blank lines between events", b"data:a\n\n\ndata:b\n\n\n\ndata:c\n\n", [Message(c) for c in "abc"]),
    ("an event without data resets its type", b"event: x\n\ndata: a\n\n", [Message("a")]),
    ("an empty data line is data", b"data:\n\n", [Message("")]),
    ("a type holds for one event", b"event: x\ndata: a\n\ndata: b\n\n", [Message("a", "x"), Message("b")]),
    ("the last type counts", b"event: x\nevent: y\ndata: a\n\n", [Message("a", "y")]),
    ("an empty type is none", b"event: x\nevent\ndata: a\n\n", [Message("a")]),
    (
        "an id holds on",
        b"id: 1\ndata: a\n\ndata: b\n\n",
        [Message("a", last_event_id="1"), Message("b", "message", "1")],
    ),
    ("an id without data holds on", b"id: 1\n\ndata: a\n\n", [Message("a", last_event_id="1")]),
    ("an id with NUL is ignored", b"id: 1\nid: 2\0\ndata: a\n\n", [Message("a", last_event_id="1")]),
    ("one space goes", b"data:   a\nevent:  b\nid:  c\n\n", [Message("  a", " b", " c")]),
    ("a tab stays", b"data:\ta\n\n", [Message("\ta")]),
    ("further colons stay", b"data:a:b: c\n\n", [Message("a:b: c")]),
    ("field names are exact", b"Data: a\n data: b\ndata : c\ndatax: d\n\n", []),
    ("unknown fields", b"foo: bar\nbar\ndata: a\n\n", [Message("a")]),
    ("comments", b":\n:a\n: b\n:  c\n", [Comment(""), Comment("a"), Comment("b"), Comment(" c")]),
    ("a comment within an event", b"data: a\n: b\ndata: c\n\n", [Comment("b"), Message("a\nc")]),
    ("retry", b"retry: 5000\n", [Retry(5000)]),
    ("retry of zero", b"retry:0\nretry:000\n", [Retry(0), Retry(0)]),
    ("retry of other than digits", b"retry: -5\nretry: 1.5\nretry: 5 \nretry\nretry:  5\nretry: +5\n", []),
    ("retry of other digits", "retry: ٣\nretry: ²\nretry: 5\n".encode(), [Retry(5)]),
    ("retry beyond measure", b"retry: " + b"9" * 10_000 + b"\n", [Retry(9_999_999_999_999_999)]),
    ("retry with zeros before it", b"retry: " + b"0" * 10_000 + b"7\n", [Retry(7)]),
    ("a byte order mark", BOM + b"data: a\n\n", [Message("a")]),
    ("only one byte order mark", BOM + BOM + b"data: a\ndata: b\n\n", [Message("b")]),
    ("a byte order mark later on", b"data: a\n\n" + BOM + b"data: b\n\n", [Message("a")]),
    ("half a byte order mark", BOM[:2] + b"data: a\ndata: b\n\n", [Message("b")]),
    ("text of many bytes", "data: é€🎛\nevent: ü\nid: ß\n: ñ\n\n".encode(), [Comment("ñ"), Message("é€🎛", "ü", "ß")]),
    (
        "bytes that are no UTF-8",
        b"data: a\xffb\xe2\x82\nevent: \xc3\nid: \xf0\x9f\n:\x80\n\ndata:\xc3\n\n",
        [
            Comment("\ufffd"),
            Message("a\ufffdb\ufffd", "\ufffd", "\ufffd"),
            Message("\ufffd", last_event_id="\ufffd"),
        ],
    ),
    ("line ends of other kinds are text", "data: a\x0b\x0c\x85\u2028b\n\n".encode(), [Message("a\x0b\x0c\x85\u2028b")]),
    ("an unfinished event", b"data: a\n\ndata: b\n", [Message("a")]),
    ("an unfinished line", b"data: a\n\n: b", [Message("a")]),
]

CASES = [pytest.param(stream, items, id=name) for name, stream, items in STANDARD + RULES]


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CRLF"])
@pytest.mark.parametrize(("stream", "items"), CASES)
def test_a_stream_means_this(stream: bytes, items: list[Item], line_end: bytes) -> None:
    stream = stream.replace(b"\n", line_end)
    assert decode(stream) == items
    assert decode(*(bytes([byte]) for byte in stream)) == items
    assert decode(b"", stream[:1], b"", stream[1:], b"") == items


def test_line_ends_mix() -> None:
    assert decode(b"data: a\rdata: b\r\ndata: c\n\r\ndata: d\r\n\rdata: e\n\r") == [
        Message("a\nb\nc"),
        Message("d"),
        Message("e"),
    ]


@pytest.mark.parametrize("end", [b"\r\r", b"\n\r", b"\r\n\r"])
def test_a_cr_at_the_end_of_a_read_holds_nothing_up(end: bytes) -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: a" + end) == [Message("a")]
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"data: b\n\n") == [Message("b")]


def test_only_one_line_feed_belongs_to_a_cr() -> None:
    assert decode(b"data: a\r", b"\n", b"data: b\r", b"\n\n") == [Message("a\nb")]


@pytest.mark.parametrize(
    ("stream", "items"),
    [
        (b": ping\n", [Comment("ping")]),
        (b"retry: 10\n", [Retry(10)]),
        (b"data: a\n: ping\n", [Comment("ping")]),
        (b"data: a\nretry: 10\n", [Retry(10)]),
    ],
)
def test_comments_and_retries_do_not_wait_for_a_blank_line(stream: bytes, items: list[Item]) -> None:
    assert decode(stream) == items


def test_the_usual_event_is_read_at_once_and_in_the_middle_of_others() -> None:
    event = b'data:{"type":"input","percent":61}\n\n'
    message = Message('{"type":"input","percent":61}')
    decoder = Decoder()
    assert decoder.feed(event) == [message]  # behind a possible byte order mark
    assert decoder.feed(event) == [message]
    assert decoder.feed(event * 3 + event[:9]) == [message] * 3
    assert decoder.feed(event[9:] + event + b"id: 7\n\n" + event) == [
        message,
        message,
        Message(message.data, last_event_id="7"),
    ]
    assert decoder.feed(event) == [Message(message.data, last_event_id="7")]


# What looks like one whole event of one line, in a read of its own.
@pytest.mark.parametrize(
    ("before", "read", "items"),
    [
        (b"\n", b"data:a\n\n", [Message("a")]),
        (b"\n", b"data:  a\n\n", [Message(" a")]),
        (b"\n", b"data:\n\n", [Message("")]),
        (b"\n", b"data:\xff\n\n", [Message("\ufffd")]),
        (b"\n", b"data:a\rdata:b\n\n", [Message("a\nb")]),
        (b"\n", b"data:a\nb", []),
        (b"\n", b"date:a\n\n", []),
        (b"\n", b"data:" + b"x" * 16 + b"\n\n", [Oversized(20)]),
        (b"\r", b"data:a\n\n", [Message("a")]),
        (b"id:1\n", b"data:a\n\n", [Message("a", last_event_id="1")]),
        (b"event:e\n", b"data:a\n\n", [Message("a", "e")]),
        (b"data:z\n", b"data:a\n\n", [Message("z\na")]),
        (b"date", b"data:a\n\n", []),
        (b"x" * 21, b"data:a\n\n", []),
        (b"x" * 21 + b"\n", b"data:a\n\n", []),
        (BOM[:1], b"data:a\n\n", []),
    ],
)
def test_what_a_read_means_depends_on_what_was_before(before: bytes, read: bytes, items: list[Item]) -> None:
    decoder = Decoder(20)
    decoder.feed(before)
    assert decoder.feed(read) == items


def test_an_empty_read_changes_nothing() -> None:
    assert decode(b"data: a\r", b"", b"\n", b"", b"data: b\n", b"", b"\n") == [Message("a\nb")]


def test_items_are_values() -> None:
    assert Message("a") == Message("a", "message", "")
    assert len({Comment("a"), Comment("a"), Retry(1), Oversized(1)}) == 3
    with pytest.raises(AttributeError):
        Message("a").data = "b"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue] - frozen


# Each of exactly 12 bytes, and then of 13.
@pytest.mark.requirement("R8.large")
@pytest.mark.parametrize(
    ("fits", "too_much", "message"),
    [
        (b"data: 123456", b"data: 1234567", Message("123456")),
        (b"data:1\ndata:", b"data:1\ndata:2", Message("1\n")),
        (b"event\ndata:1", b"event:\ndata:1", Message("1")),
        (b"other\ndata:1", b"others\ndata:1", Message("1")),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_the_limit_is_exact(fits: bytes, too_much: bytes, message: Message, size: int) -> None:
    stream = fits + b"\n\n" + too_much + b"\n\n" + fits + b"\n\n"
    pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
    assert decode(*pieces, limit=12) == [message, Oversized(12), message]


@pytest.mark.requirement("R8.large", "W10")
def test_the_limit_is_64_kib_by_default() -> None:
    largest = b"data:" + b"x" * (64 * 1024 - 5)
    text = "x" * (64 * 1024 - 5)
    assert decode(largest + b"\n\n", largest + b"y\n\n") == [Message(text), Oversized(65536)]
    assert decode(*(bytes([byte]) for byte in largest + b"\n\n")) == [Message(text)]


@pytest.mark.requirement("R8.large")
@pytest.mark.parametrize(
    "rest", [b"x" * 50, b"x" * 5 + b"\ndata: b\n: c\nretry: 5\nid: 6", b"\r\ndata: b", b"x" * 50 + b"\nevent: c"]
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_refused_event_is_reported_once_and_skipped_to_its_blank_line(rest: bytes, size: int) -> None:
    stream = b"data: first\n\nid: 1\nevent: e\ndata: " + b"x" * 30 + rest + b"\n\ndata: next\n\n"
    pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
    assert decode(*pieces, limit=30) == [Message("first"), Oversized(30), Message("next")]


@pytest.mark.requirement("R8.large")
def test_an_event_is_refused_as_soon_as_it_is_too_much() -> None:
    decoder = Decoder(10)
    assert decoder.feed(b"data: 12345") == [Oversized(10)]
    assert decoder.feed(b"6789" * 100) == []


def test_a_refused_event_leaves_the_id_before_it() -> None:
    assert decode(b"id: 1\ndata: a\n\nid: 2\ndata: " + b"x" * 20 + b"\n\ndata: b\n\n", limit=20) == [
        Message("a", last_event_id="1"),
        Oversized(20),
        Message("b", last_event_id="1"),
    ]


def test_heartbeats_without_blank_lines_never_add_up() -> None:
    assert decode(*[b": ping\n"] * 100, b"data: a\n\n", limit=10) == [*[Comment("ping")] * 100, Message("a")]


@pytest.mark.requirement("R8.large")
@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"x" * 65536, id="a line"),
        pytest.param((b"data:" + b"x" * 1018 + b"\n") * 64, id="data lines"),
        pytest.param((b"event:" + b"x" * 1017 + b"\n") * 64, id="event lines"),
        pytest.param((b"id:" + b"x" * 1020 + b"\n") * 64, id="id lines"),
        pytest.param((b"x" * 1023 + b"\r") * 64, id="unknown lines"),
    ],
)
@pytest.mark.parametrize("start", [b":", b"id: 1\nevent: x\ndata: a\n"])
def test_a_hundred_mebibytes_are_refused_without_being_held(start: bytes, piece: bytes) -> None:
    decoder = Decoder()
    items = decoder.feed(start)
    most = 0
    for _ in range(100 * MIB // len(piece)):
        items += decoder.feed(piece)
        most = max(most, held(decoder))
    assert [item for item in items if not isinstance(item, Comment)] == [Oversized(MAX_EVENT_SIZE)]
    assert most < MAX_EVENT_SIZE * 9 // 8 + 1024  # a bytearray takes an eighth more than it needs
    assert held(decoder) < 1024
    assert decoder.feed(b"\n\ndata: next\n\n") == [Message("next")]


@pytest.mark.requirement("R8.large")
def test_what_trickles_in_is_not_held_beyond_the_limit() -> None:
    decoder = Decoder(1000)
    items: list[Item] = []
    most = 0
    for _ in range(100_000):
        items += decoder.feed(b"x")
        most = max(most, held(decoder))
    assert items == [Oversized(1000)]
    assert most < 1000 * 9 // 8 + 1024


def test_nothing_is_held_between_events() -> None:
    fresh = held(Decoder())
    decoder = Decoder()
    decoder.feed(b"event: x\ndata: " + b"x" * 60_000)
    assert held(decoder) > 60_000
    decoder.feed(b"\n\n")
    assert held(decoder) < fresh + 16


def test_what_was_held_is_let_go_with_the_refusal() -> None:
    decoder = Decoder()
    decoder.feed(b"data: a\ndata:" + b"x" * 60_000)
    assert decoder.feed(b"x" * 10_000) == [Oversized(MAX_EVENT_SIZE)]
    assert held(decoder) < 1024


@pytest.mark.parametrize("limit", [0, -1, 1.5, "64", None])
def test_a_limit_is_a_positive_integer(limit: object) -> None:
    with pytest.raises(InvalidArgumentError, match="max_event_size"):
        Decoder(limit)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - what a caller got wrong
