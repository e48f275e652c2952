"""Where a body lies among its connection's bytes: h11 says the same, whatever the cuts."""

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from littlebits_async.transport._framing import Chunked, Framing, Sized, UntilClose, framing_of
from tests.property.test_sse import cut

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%s\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKS = st.binary(min_size=1, max_size=40).map(chunk) | st.sampled_from(
    [
        chunk(b"data: 1\n\n"),
        chunk(b"x" * 300),
        b"0A\r\n0123456789\r\n",
        b"00000001\r\nx\r\n",
        b"1;name=value\r\nx\r\n",
        b'1;a="\\"";b \t\r\nx\r\n',
        b"1 \r\nx\r\n",
    ]
)
ENDS = st.sampled_from(
    [
        b"",
        b"0\r\n\r\n",
        b"000\r\n\r\n",
        b"0;last\r\n\r\n",
        b"0\r\n\n",
        b"0\r\nA: b\r\nC:d \r\n\r\n",
        b"0\r\nA: b\r\n c\r\n\r\n",
        b"0\r\nA: b\nC: d\n\n",
        b"0\r\nA b\r\n\r\n",
        b"0\r\n: b\r\n\r\n",
        b"0\r\nA: \x00\r\n\r\n",
        b"0\r\nA: b\r\n",
        b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"zz\r\n",
        b"\r\n",
        b"-1\r\n",
        b"+1\r\nx\r\n",
        b"0x1\r\nx\r\n",
        b"1_0\r\n",
        b" 1\r\nx\r\n",
        b"1;a\nb\r\nx\r\n",
        b"123456789012345678901\r\n",
        b"1\nx\r\n",
        b"1\r\nxyz",
        b"1\r\nx\n",
        b"1\r\nx\r\r",
        b"5\r\nxy",
        b"5",
        b"5;" + b"x" * 200,
        b"0\r\nA: " + b"x" * 200,
    ]
)
BODIES = st.tuples(st.lists(CHUNKS, max_size=8).map(b"".join), ENDS).map(b"".join) | st.binary(max_size=30)
PLACES = st.lists(st.integers(0, 400), max_size=40)


def decode(framing: Framing, pieces: list[bytes]) -> tuple[bytes, bool, str | None]:
    """Return the body, whether it was over before its connection was, and what was wrong with it."""
    body = b""
    for piece in pieces:
        if not framing.over and piece:
            body += framing.decode(piece)
    over = framing.over
    if not over:
        framing.close()
    assert framing.over
    return body, over, framing.error


def decode_as_h11_does(headers: bytes, data: bytes) -> tuple[bytes, bool, str | None]:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(HEAD % headers)
    assert isinstance(connection.next_event(), h11.Response)
    if data:  # none is the end, to h11
        connection.receive_data(data)
    body, over = b"", True
    try:
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                over = False
                connection.receive_data(b"")
            elif isinstance(event, h11.Data):
                body += event.data
    except h11.RemoteProtocolError as error:
        return body, over, str(error).partition(": ")[0]
    return body, over, None


@pytest.mark.requirement("R1")
@given(BODIES, PLACES)
@example(b"0\r\n\r\n", [])
@example(b"-1\r\n", [])
@example(b"5\r\nhello\r\n0\r\n\r\n", [10])
def test_chunks_are_what_h11_says_however_they_are_cut(data: bytes, places: list[int]) -> None:
    expected = decode_as_h11_does(CHUNKED, data)
    assert decode(Chunked(), [data]) == expected
    assert decode(Chunked(), cut(data, places)) == expected
    assert decode(Chunked(), [data[at : at + 1] for at in range(len(data))]) == expected


@given(st.integers(0, 60), st.binary(max_size=60), PLACES)
def test_a_told_length_is_what_h11_says_however_it_is_cut(size: int, data: bytes, places: list[int]) -> None:
    expected = decode_as_h11_does(b"Content-Length: %d\r\n" % size, data)
    assert decode(Sized(size), [data]) == expected
    assert decode(Sized(size), cut(data, places)) == expected


@given(st.binary(max_size=60), PLACES)
def test_a_body_until_the_close_is_all_there_is(data: bytes, places: list[int]) -> None:
    assert decode(UntilClose(), cut(data, places)) == (data, False, None) == decode_as_h11_does(b"", data)


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"transfer-encoding": "chunked"}, Chunked),
        ({"transfer-encoding": "chunked", "content-length": "5"}, Chunked),
        ({"content-length": "5"}, Sized),
        ({}, UntilClose),
    ],
)
def test_the_headers_tell_the_framing(headers: dict[str, str], kind: type) -> None:
    assert type(framing_of(headers)) is kind


@pytest.mark.requirement("R2")
@pytest.mark.parametrize("line", [b"1;" + b"x" * 20_000 + b"\r\nx\r\n", b"0\r\nA: " + b"x" * 20_000 + b"\r\n\r\n"])
@pytest.mark.parametrize("size", [1, 1000, 30_000])
def test_lines_around_a_chunk_are_bounded(line: bytes, size: int) -> None:
    data = chunk(b"before") + line
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert decode(Chunked(), pieces) == (b"before", True, "Receive buffer too long")
