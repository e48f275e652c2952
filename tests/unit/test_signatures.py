import base64
import hmac
import math
import traceback
from collections.abc import Callable, Iterable, Sequence

import pytest

from littlebits_async.signatures import HEADERS, Secret, SignatureError, new_secret, sign, verify

# The specification's own example of an id and a time.
ID, TIME = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", 1674087231
KEY = bytes(range(24))
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = b'{"type":"amplitude","device_id":"000001"}'
# printf '%s.%s.%s' ID TIME BODY | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...17 -binary | base64
SIGNATURE = "v1,LLgNYXnPzuY5xaUj/eADm6l4o7ik0bb9jsLrKPk2VIs="

Pairs = list[tuple[str | bytes, str | bytes]]


def message(**changed: str | bytes) -> Pairs:
    values: dict[str, str | bytes] = {"id": ID, "timestamp": str(TIME), "signature": SIGNATURE}
    return [(f"webhook-{name}", value) for name, value in (values | changed).items()]


def check(
    headers: Iterable[tuple[str | bytes, str | bytes]],
    *,
    secret: Secret | Sequence[Secret] = SECRET,
    body: bytes = BODY,
    now: float = TIME,
) -> None:
    verify(secret, headers, body, now=now)


def short(value: str | bytes) -> str:
    return f"{value[:12]!r} of {len(value)}"


def by_hand(message_id: str, time: str) -> str:
    # What `sign` would refuse.
    return "v1," + base64.b64encode(hmac.digest(KEY, f"{message_id}.{time}.".encode() + BODY, "sha256")).decode()


def test_a_signature_is_the_one_that_openssl_makes() -> None:
    assert sign(SECRET, message_id=ID, timestamp=TIME, body=BODY) == SIGNATURE
    check(message())


def test_a_secret_may_be_given_as_the_bytes_of_its_key() -> None:
    assert sign(KEY, message_id=ID, timestamp=TIME, body=BODY) == SIGNATURE
    check(message(), secret=KEY)
    check(message(), secret=[OTHER, KEY])


def test_a_body_is_any_bytes() -> None:
    for body in (b"", b"\0\xff\xfe", b"." * 100_000):
        check(message(signature=sign(SECRET, message_id=ID, timestamp=TIME, body=body)), body=body)


def test_new_secrets_are_random_and_of_32_bytes() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) for secret in made} == {32}
    assert all(secret.startswith("whsec_") for secret in made)


@pytest.mark.parametrize("size", [24, 25, 26, 32, 64])
def test_secrets_may_be_written_without_padding(size: int) -> None:
    padded = "whsec_" + base64.b64encode(bytes(size)).decode()
    body_signature = sign(padded, message_id=ID, timestamp=TIME, body=BODY)
    assert sign(padded.rstrip("="), message_id=ID, timestamp=TIME, body=BODY) == body_signature


MALFORMED: list[Secret] = [
    "",
    "whsec_",
    "whsec_" + base64.b64encode(bytes(23)).decode(),
    "whsec_" + base64.b64encode(bytes(65)).decode(),
    SECRET.removeprefix("whsec_"),
    SECRET.upper(),
    " " + SECRET,
    SECRET + "\n",
    SECRET[:-1] + "-",
    SECRET + "A",
    "whsec_" + "ä" * 32,
    "whsec_" + "\ud800" * 32,
    "whsk_" + SECRET.removeprefix("whsec_"),
    b"",
    bytes(23),
    bytes(65),
    SECRET.encode(),
]


def assert_forgotten(error: BaseException) -> None:
    """No frame but this file's, which is the user, holds a local any more, and the error comes from no other."""
    assert error.__context__ is None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename != __file__]
    assert frames
    assert not [frame.f_locals for frame in frames if set(frame.f_locals) - {"call", "exc"}]


@pytest.mark.parametrize("secret", MALFORMED, ids=short)
def test_a_malformed_secret_is_the_callers_mistake_and_is_not_shown(secret: Secret) -> None:
    calls: list[Callable[[], object]] = [
        lambda: sign(secret, message_id=ID, timestamp=TIME, body=BODY),
        lambda: check(message(), secret=secret),
        lambda: check(message(), secret=[SECRET, secret]),
        lambda: check([], secret=[secret]),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="secret") as caught:
            call()
        assert not isinstance(caught.value, SignatureError)
        assert_forgotten(caught.value)
        written = secret if isinstance(secret, str) else secret.decode()
        begin = written.split("whsec_")[-1][:4]
        assert not begin or begin not in str(caught.value)


def test_no_secret_verifies_nothing() -> None:
    with pytest.raises(ValueError, match="no secret"):
        check(message(), secret=[])


@pytest.mark.parametrize("message_id", ["", "a.b", ".", "a b", "a\n", "ä", "\x7f", "\ud800", "x" * 257], ids=short)
def test_an_id_that_no_receiver_takes_is_not_signed(message_id: str) -> None:
    with pytest.raises(ValueError, match="message id"):
        sign(SECRET, message_id=message_id, timestamp=TIME, body=BODY)


@pytest.mark.parametrize("timestamp", [-1, 10**12, 10**30])
def test_a_time_that_no_receiver_takes_is_not_signed(timestamp: int) -> None:
    with pytest.raises(ValueError, match="a timestamp is a Unix time"):
        sign(SECRET, message_id=ID, timestamp=timestamp, body=BODY)


def test_a_fraction_of_a_second_is_not_signed() -> None:
    with pytest.raises(TypeError):
        sign(SECRET, message_id=ID, timestamp=1.5, body=BODY)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - the point


@pytest.mark.parametrize("message_id", ["a", "x" * 256, "9f1c2d3e-0000-4000-8000-00e04c000001", "!-/~"], ids=short)
@pytest.mark.parametrize("timestamp", [0, TIME, 10**12 - 1])
def test_what_is_signed_verifies(message_id: str, timestamp: int) -> None:
    signature = sign(SECRET, message_id=message_id, timestamp=timestamp, body=BODY)
    check(message(id=message_id, timestamp=str(timestamp), signature=signature), now=timestamp)


def test_headers_may_be_text_or_bytes_in_any_case_among_others() -> None:
    others: Pairs = [("host", "a"), (b"\xff", b"\xff"), ("webhook-id\ud800", "\ud800"), (b"webhook", b""), ("", "")]
    for headers in (
        [(name.upper(), value) for name, value in message()],
        [("Webhook-Id", ID), (b"Webhook-Timestamp", str(TIME)), ("WEBHOOK-signature", SIGNATURE.encode())],
        [
            (b"webhook-id", ID.encode()),
            (b"webhook-timestamp", b"%d" % TIME),
            (b"webhook-signature", SIGNATURE.encode()),
        ],
        dict(message()).items(),
    ):
        check([*others, *headers, *others])


@pytest.mark.parametrize(
    "signature",
    [
        f"{SIGNATURE} {SIGNATURE}",
        f"v1,AAAA {SIGNATURE}",
        f"v1a,hnO3f9T8Ytu9 {SIGNATURE} v2,x",
        f"  {SIGNATURE}  ",
        f", v1, v1 {SIGNATURE} =,= ,,,",
        " ".join(["v1,AAAA"] * 80 + [SIGNATURE]),
    ],
)
def test_one_good_signature_among_others_is_enough(signature: str) -> None:
    check(message(signature=signature))


def test_a_secret_is_replaced_without_a_message_lost() -> None:
    both = " ".join(sign(each, message_id=ID, timestamp=TIME, body=BODY) for each in (OTHER, SECRET))
    for secrets in ([SECRET], [OTHER], [OTHER, SECRET], [new_secret(), OTHER]):
        check(message(signature=both), secret=secrets)
    check(message(), secret=[OTHER, SECRET])
    check(message(), secret=[SECRET, OTHER])
    with pytest.raises(SignatureError):
        check(message(signature=both), secret=[new_secret(), new_secret()])


@pytest.mark.parametrize("off", [-300, -299.9, 0, 299.9, 300])
def test_a_message_of_about_now_is_taken(off: float) -> None:
    check(message(), now=TIME + off)


@pytest.mark.parametrize(
    ("off", "told"), [(-301, "301 s ahead of"), (301, "301 s behind"), (math.inf, "inf s behind"), (math.nan, "nan")]
)
def test_a_message_of_another_time_is_refused(off: float, told: str) -> None:
    with pytest.raises(SignatureError, match=f"webhook-timestamp is {told}.* the clock, more than 300 s"):
        check(message(), now=TIME + off)


def test_the_tolerance_is_the_receivers() -> None:
    verify(SECRET, message(), BODY, now=TIME + 3600, tolerance=3600)
    verify(SECRET, message(), BODY, now=TIME + 1e9, tolerance=math.inf)
    for now, tolerance in ((TIME + 2, 1), (TIME, -1), (TIME, math.nan)):
        with pytest.raises(SignatureError, match="the clock"):
            verify(SECRET, message(), BODY, now=now, tolerance=tolerance)


@pytest.mark.parametrize("name", HEADERS)
def test_a_missing_empty_or_doubled_header_is_refused(name: str) -> None:
    kept = [(each, value) for each, value in message() if each != name]
    with pytest.raises(SignatureError, match=f"{name} is missing"):
        check(kept)
    with pytest.raises(SignatureError, match=f"{name} is missing"):
        check([*kept, (name, "")])
    for again in (name, name.encode(), name.upper()):
        with pytest.raises(SignatureError, match=f"{name} is there more than once"):
            check([*message(), (again, dict(message())[name])])


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize(
    "value", ["x" * 4097, b"x" * 10**6, "9" * 10**5, "ä", "\ud800", "²", b"\xff\xfe", "v1,ä"], ids=short
)
def test_a_header_that_is_huge_or_not_ascii_is_refused(name: str, value: str | bytes) -> None:
    with pytest.raises(SignatureError, match=name):
        check([*((each, good) for each, good in message() if each != name), (name, value)])


@pytest.mark.parametrize(
    "time",
    [
        *("1e9", "-1", str(10**30), str(10**12), "0x10", "1_000", "nan", "inf", "None", "\0"),
        *(" 1674087231", "1674087231 ", "1674087231\n", "+1674087231", "01674087231", "1674087231.0", "16740872e2"),
    ],
)
def test_a_time_that_is_no_unix_time_is_refused_even_if_signed(time: str) -> None:
    with pytest.raises(SignatureError, match="webhook-timestamp is not a Unix time"):
        check(message(timestamp=time, signature=by_hand(ID, time)))


@pytest.mark.parametrize("message_id", ["a.b", ".", "a b", "a\n", "\x7f", "\0", "x" * 257], ids=short)
def test_an_id_that_could_stand_for_another_message_is_refused_even_if_signed(message_id: str) -> None:
    with pytest.raises(SignatureError, match="webhook-id is not"):
        check(message(id=message_id, signature=by_hand(message_id, str(TIME))))


def test_a_signature_does_not_stand_for_another_way_to_cut_the_same_bytes() -> None:
    body = b"%d.%b" % (TIME, BODY)
    signature = sign(SECRET, message_id="a", timestamp=TIME - 1, body=body)
    check(message(id="a", timestamp=str(TIME - 1), signature=signature), body=body)
    with pytest.raises(SignatureError, match="full stop"):
        check(message(id=f"a.{TIME - 1}", timestamp=str(TIME), signature=signature))


@pytest.mark.parametrize(
    "signature",
    [
        SIGNATURE.removeprefix("v1,"),
        SIGNATURE.replace("v1,", "v1a,"),
        SIGNATURE.replace("v1,", "V1,"),
        SIGNATURE.replace("v1,", "v1, "),
        SIGNATURE.replace("v1,", "v1,v1,"),
        SIGNATURE.rstrip("="),
        SIGNATURE + "=",
        SIGNATURE + ",",
        SIGNATURE[:-1],
        SIGNATURE.swapcase(),
        SIGNATURE.replace(",", " "),
        sign(OTHER, message_id=ID, timestamp=TIME, body=BODY),
        sign(SECRET, message_id="other", timestamp=TIME, body=BODY),
        sign(SECRET, message_id=ID, timestamp=TIME + 1, body=BODY),
        sign(SECRET, message_id=ID, timestamp=TIME, body=BODY + b" "),
        "v1,",
        ",",
        " ",
        "\0",
        "v1," + base64.b64encode(bytes(32)).decode(),
    ],
)
def test_what_is_no_signature_of_this_message_is_refused(signature: str) -> None:
    with pytest.raises(SignatureError, match="webhook-signature has no v1 signature of this message") as caught:
        check(message(signature=signature))
    assert isinstance(caught.value, ValueError)
    assert caught.value.__context__ is None
    assert SIGNATURE[3:9] not in str(caught.value)
    assert SECRET[6:12] not in str(caught.value)


def test_a_signature_is_spelled_in_one_way_only() -> None:
    # The last digit before the padding has two bits that decode to nothing.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = SIGNATURE[:-2] + alphabet[alphabet.index(SIGNATURE[-2]) ^ 1] + "="
    assert base64.b64decode(twin[3:]) == base64.b64decode(SIGNATURE[3:])
    with pytest.raises(SignatureError):
        check(message(signature=twin))


def test_a_header_has_a_greatest_length() -> None:
    longest = f"v1,{'A' * (4096 - 4 - len(SIGNATURE))} {SIGNATURE}"
    assert len(longest) == 4096
    check(message(signature=longest))
    with pytest.raises(SignatureError, match="webhook-signature is longer than 4096 bytes"):
        check(message(signature=f"{longest} "))


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[object, object]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return False

    monkeypatch.setattr("littlebits_async.signatures.hmac.compare_digest", compare)
    with pytest.raises(SignatureError):
        check(message())
    assert compared == [(SIGNATURE.encode(), SIGNATURE.encode())]
