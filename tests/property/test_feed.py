"""The whole way of an event, from a response's body to what the reactor is given, whatever the body and its cuts."""

import gzip
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from littlebits_async import wire
from littlebits_async.errors import DecodeError, StreamClosedError, StreamError
from littlebits_async.models import InputEvent
from littlebits_async.sse import Retry
from littlebits_async.transport import Feed, FeedItem
from littlebits_async.transport._bytes import ByteStream
from tests.property.test_sse import cut
from tests.spec_messages import message

EVENT = message("blog/input-event.sse") + b"\n"
PARTS = st.sampled_from(
    [
        EVENT,
        EVENT.replace(b"\n", b"\r\n"),
        EVENT.replace(b"61", b"62"),
        EVENT.replace(b'"timestamp":1521587206463', b'"timestamp":null'),
        b"event: ping\n" + EVENT,
        b"event: amplitude\nid: 1\n" + EVENT,
        b'data: {"type":"connection_change"}\n\n',
        b"data: {\n\n",
        b"data: \xff\n\n",
        b"data: " + b"[" * 2000 + b"\n\n",
        b"data: " + b"x" * 70_000 + b"\n\n",
        b"retry: 250\n",
        b": ping\n\n",
        b"\n",
        b"\xef\xbb\xbf",
    ]
)
BODIES = st.lists(PARTS, max_size=8).map(b"".join) | st.binary(max_size=60)
PLACES = st.lists(st.integers(0, 200_000), max_size=12) | st.lists(st.integers(0, 300), max_size=40)


class Pieces(httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def read(pieces: list[bytes], **headers: str) -> tuple[list[str], StreamError]:
    """Read a response of these pieces to its end; return what it brought, and how it ended."""

    async def main() -> tuple[list[str], StreamError]:
        request = httpx.Request("GET", "http://cloud/devices/a/input")
        stream = ByteStream(httpx.Response(200, headers=headers, stream=Pieces(pieces), request=request))
        feed = Feed(stream, wire.inputs("a"), lambda body: body.aclose())
        brought: list[str] = []

        def take(items: list[FeedItem]) -> bool:
            assert all(isinstance(item, InputEvent | DecodeError | Retry) for item in items)
            brought.extend(map(repr, items))
            return len(brought) % 2 == 0

        try:
            while True:
                await feed.pump(take)
        except StreamError as error:
            return brought, error
        finally:
            await feed.aclose()

    return anyio.run(main)


@pytest.mark.requirement("R1", "R8")
@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(BODIES, PLACES)
def test_any_cut_of_any_body_brings_the_same(body: bytes, places: list[int]) -> None:
    whole, end = read([body])
    assert isinstance(end, StreamClosedError)
    brought, end = read(cut(body, places))
    assert brought == whole
    assert isinstance(end, StreamClosedError)


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(BODIES, PLACES, st.integers(0, 100_000))
def test_a_body_that_was_compressed_unasked_brings_the_same_and_never_more(
    body: bytes, places: list[int], shown: int
) -> None:
    whole, _ = read([body])
    packed = gzip.compress(body)
    brought, end = read(cut(packed, places), **{"Content-Encoding": "gzip"})
    assert brought == whole
    assert isinstance(end, StreamClosedError)

    short = packed[: shown % len(packed)]
    brought, end = read(cut(short, places), **{"Content-Encoding": "gzip"})
    assert brought == whole[: len(brought)]
    assert isinstance(end, StreamClosedError) == (not short)


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(st.lists(st.binary(max_size=40), max_size=5), st.sampled_from(["gzip", "deflate", "br", "GZIP", "identity", ""]))
def test_any_bytes_under_any_encoding_end_as_a_stream_ends(pieces: list[bytes], encoding: str) -> None:
    _, end = read(pieces, **{"Content-Encoding": encoding})
    assert "/devices/a/input" in str(end)
