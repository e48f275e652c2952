"""Signatures against a second implementation, and against whatever a header may hold."""

import base64
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from littlebits_async.signatures import HEADERS, SignatureError, new_secret, sign, verify

SECRET, ID, TIME, BODY = new_secret(), "msg_1", 1674087231, b'{"type":"amplitude"}'
GOOD = (ID, str(TIME), sign(SECRET, message_id=ID, timestamp=TIME, body=BODY))

keys = st.binary(min_size=24, max_size=64)
ids = st.text([chr(code) for code in range(33, 127) if chr(code) != "."], min_size=1, max_size=256)
times = st.integers(0, 10**12 - 1)
bodies = st.binary(max_size=300)
# The oracle signs text only.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def written(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


def headers(message_id: str, timestamp: int, signature: str) -> dict[str, str]:
    return dict(zip(HEADERS, (message_id, str(timestamp), signature), strict=True))


@given(keys, ids, times, bodies)
def test_what_is_signed_verifies(key: bytes, message_id: str, timestamp: int, body: bytes) -> None:
    signature = sign(written(key), message_id=message_id, timestamp=timestamp, body=body)
    assert signature == sign(key, message_id=message_id, timestamp=timestamp, body=body)
    verify(written(key), headers(message_id, timestamp, signature).items(), body, now=timestamp)


@given(keys, ids, times, bodies, st.data())
def test_no_bit_of_it_can_be_flipped(
    key: bytes, message_id: str, timestamp: int, body: bytes, data: st.DataObject
) -> None:
    signature = sign(key, message_id=message_id, timestamp=timestamp, body=body)
    message = {name: value.encode() for name, value in headers(message_id, timestamp, signature).items()}
    parts = {"key": key, "body": body, **message}
    where = data.draw(st.sampled_from([name for name, part in parts.items() if part]))
    flipped = bytearray(parts[where])
    flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    parts[where] = bytes(flipped)
    with pytest.raises(SignatureError):
        # Whatever the time became, it is not the clock that refuses it.
        verify(parts["key"], [(name, parts[name]) for name in HEADERS], parts["body"], now=timestamp, tolerance=1e30)


@given(keys, ids, st.integers(0, 253_402_300_799), texts)
def test_both_implementations_make_the_same_signature(key: bytes, message_id: str, timestamp: int, text: str) -> None:
    theirs = Webhook(written(key)).sign(message_id, datetime.fromtimestamp(timestamp, UTC), text)
    assert sign(key, message_id=message_id, timestamp=timestamp, body=text.encode()) == theirs


@given(keys, keys, ids, texts, st.integers(-290, 290))
def test_the_other_implementation_takes_what_this_one_signs(
    key: bytes, old: bytes, message_id: str, text: str, off: int
) -> None:
    timestamp = int(time.time()) + off
    signatures = [sign(each, message_id=message_id, timestamp=timestamp, body=text.encode()) for each in (old, key)]
    for secret in (old, key):
        Webhook(written(secret)).verify(text, headers(message_id, timestamp, " ".join(signatures)), json_parse=False)


@given(keys, keys, ids, texts, st.integers(-300, 300))
def test_this_implementation_takes_what_the_other_one_signs(
    key: bytes, old: bytes, message_id: str, text: str, off: int
) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    sent = now + timedelta(seconds=off)
    signature = " ".join(Webhook(written(each)).sign(message_id, sent, text) for each in (old, key))
    message = headers(message_id, int(sent.timestamp()), signature)
    receivers: list[list[str | bytes]] = [[written(key)], [written(old)], [new_secret(), old]]
    for known in receivers:
        verify(known, message.items(), text.encode(), now=now.timestamp())


@given(keys, ids, texts, st.integers(310, 10**9), st.sampled_from([-1, 1]))
def test_both_refuse_another_time(key: bytes, message_id: str, text: str, off: int, side: int) -> None:
    now = int(time.time())
    timestamp = now + off * side
    signature = sign(key, message_id=message_id, timestamp=timestamp, body=text.encode())
    message = headers(message_id, timestamp, signature)
    with pytest.raises(WebhookVerificationError):
        Webhook(written(key)).verify(text, message, json_parse=False)
    with pytest.raises(SignatureError, match="the clock"):
        verify(key, message.items(), text.encode(), now=now)


garbage = st.one_of(
    st.text(),
    st.binary(),
    st.sampled_from(GOOD),
    st.sampled_from(["1e9", "-1", str(10**30), "9" * 5000, "x" * 5000, "v1,", "v1,\u00e4", "\ud800", "٣"]),
)
names = st.one_of(st.sampled_from([*HEADERS, *(name.encode() for name in HEADERS)]), st.text(), st.binary())


@given(st.lists(st.tuples(names, garbage), max_size=6), st.permutations(HEADERS), st.integers(0, 2))
def test_whatever_the_headers_hold_a_refusal_is_a_signature_error(
    extra: list[tuple[str | bytes, str | bytes]], order: list[str], kept: int
) -> None:
    # At most two of the three are the good ones, so the third is missing or garbage, unless that happens to be good.
    good: dict[str, str] = dict(zip(HEADERS, GOOD, strict=True))
    pairs = [*extra, *((name, good[name]) for name in order[:kept])]
    try:
        verify(SECRET, pairs, BODY, now=TIME)
    except SignatureError:
        return
    found = {(name if isinstance(name, str) else name.decode("latin-1")).lower(): value for name, value in pairs}
    assert {name: found[name] for name in HEADERS} == good
