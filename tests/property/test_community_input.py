"""Whatever a request to the community's API says, it is answered in the envelope, and never by a failure."""

import asyncio
import json
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import urlencode

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.types import ASGIApp

from littlebits_async.localcloud.community import Community
from littlebits_async.localcloud.community._passwords import COSTS
from littlebits_async.localcloud.limiting import RequestLimit
from littlebits_async.localcloud.storage import MemberRecord, Store
from littlebits_async.localcloud.tokens import digest
from tests.property.test_localcloud_input import JSON, TARGET, nothing_goes_wrong
from tests.support.asgi import Answer, ask, segment

ACCEPTABLE: Final = {200, 201, 204, 400, 401, 403, 404, 405, 413, 422, 429}
KEY: Final = "0" * 64

MODULES: Final = "littlebits_async.localcloud.community"
CHEAP: Final = attrs.evolve(COSTS, n=2, p=1)
LIMIT: Final = RequestLimit(1_000_000_000)
LIMIT.close()

CALLS: Final = (
    *(("POST", f"/session/{name}") for name in ("create", "fb", "destroy")),
    ("GET", "/content"),
    *((method, "/my_library") for method in ("GET", "POST", "PUT", "DELETE")),
    *(("GET", path) for path in ("/products", "/products/ID", "/products/ID/variants/ID")),
    *(("GET", path) for path in ("/projects", "/projects/search", "/projects/ID", "/projects/ID/comments")),
    *(("POST", path) for path in ("/projects/ID/comments", "/projects/ID/comments/ID", "/projects/ID/like")),
    *(("GET", path) for path in ("/users/ID", "/users/ID/likes", "/users/password_reset")),
    ("POST", "/users/new"),
    *(("OPTIONS", "/projects"), ("HEAD", "/projects"), ("BREW", "/projects"), ("GET", "/nothing")),
)
NUMBERS = st.integers(-2, 130) | st.sampled_from(
    [2**31, 2**63, 10**400, 1.5, "1e2", " 101 ", "", "x", "101,109", "1,,"]
)
TEXTS = st.text() | st.sampled_from(
    ["ada@example.org", "Ada", "correct horse", "\ud800", "\0", "x" * 6000, "add", "subtract"]
)
FIELDS: Final[dict[str, st.SearchStrategy[Any]]] = {
    **dict.fromkeys(("variant_id", "delta", "page", "per_page", "days_ago", "user", "variants", "qty"), NUMBERS),
    **dict.fromkeys(("operator", "comment", "token", "key", "q", "sort", "tags", "type", "kit", "email"), TEXTS),
    **dict.fromkeys(("mobile_app[email]", "mobile_app[password]", "first_name", "last_name"), TEXTS),
    **{f"user[{name}]": TEXTS for name in ("email", "username", "password", "password_confirmation")},
}
SAID = st.fixed_dictionaries({}, optional=FIELDS)
NESTED = st.fixed_dictionaries(
    {},
    optional={
        **{name: values | JSON for name, values in FIELDS.items()},
        "mobile_app": st.fixed_dictionaries({}, optional={"email": TEXTS | JSON, "password": TEXTS | JSON}) | JSON,
        "user": st.fixed_dictionaries({}, optional={"email": TEXTS, "username": TEXTS, "password": TEXTS}) | JSON,
        "access_token": st.fixed_dictionaries({}, optional={"userID": NUMBERS | TEXTS}) | JSON,
    },
)


def as_form(said: dict[str, Any]) -> bytes:
    return urlencode([(name, str(value)) for name, value in said.items()], errors="surrogatepass").encode()


def as_multipart(said: dict[str, Any], head: str) -> bytes:
    parts = [
        b"--b\r\nContent-Disposition: form-data; name=%b%b\r\n\r\n%b\r\n"
        % (json.dumps(name).encode(), head.encode("utf-8", "replace"), str(value).encode("utf-8", "surrogatepass"))
        for name, value in said.items()
    ]
    return b"".join([*parts, b"--b--\r\n"])


HEADS = st.text(max_size=10) | st.sampled_from(
    [
        "\r\nContent-Type: multipart/mixed; boundary=b",
        "\r\nContent-Type: message/rfc822",
        "\r\nContent-Transfer-Encoding: base64",
        "\r\nContent-Transfer-Encoding: x-uuencode",
        "; name*=utf-7''%ff",
        "; name*0=a; name*1=b",
        "\r\nContent-Type: text/plain; charset=none",
    ]
)
BODIES = st.one_of(
    st.tuples(SAID.map(as_form), st.just("application/x-www-form-urlencoded")),
    st.tuples(NESTED.map(json.dumps).map(str.encode), st.sampled_from(["application/json", ""])),
    st.tuples(st.builds(as_multipart, SAID, HEADS), st.just("multipart/form-data; boundary=b")),
    st.tuples(
        st.binary(max_size=100)
        | st.sampled_from([b"", b"[" * 10_000, b"--b--", b"--b\r\n--b--", b"--b\r\n\r\n" * 8000, b"x" * 65_537]),
        st.sampled_from(
            [
                "application/json",
                "multipart/form-data; boundary=b",
                "multipart/form-data; boundary=\xff",
                "multipart/form-data",
                "multipart/form-data; boundary*=utf-8''b",
                "multipart/form-data;;=;boundary",
            ]
        )
        | st.text(st.characters(max_codepoint=255, min_codepoint=0x20), max_size=20),
    ),
)
IDS = st.sampled_from(
    ["1", "101", "121", "knock-lamp", "ada", "Nora_B", "9" * 5000, "%ff", "%00", "..", "%2F", "٣"]
).map(lambda text: text if text.startswith("%") else segment(text)) | st.text().map(segment)


async def new_app(store: Store) -> ASGIApp:
    community = Community(store, LIMIT)
    await community.load()
    member = MemberRecord(username="Ada", slug="ada", email="ada@example.org", created_ms=0)
    added = await store.members.add(member)
    assert isinstance(added, MemberRecord)
    await store.members.add_key(added, digest(KEY))
    return community.before(Response("behind"))


async def send(requests: list[tuple[str, str, tuple[bytes, str], list[tuple[str, bytes]]]]) -> list[Answer]:
    store = Store(None)
    await store.open()
    try:
        app = await new_app(store)
        return [
            await ask(app, method, target, headers=[*headers, ("Content-Type", kind.encode("latin-1"))], body=[body])
            for method, target, (body, kind), headers in requests
        ]
    finally:
        await store.aclose()


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, tuple[bytes, str], list[tuple[str, bytes]]]:
    method, path = draw(st.sampled_from(CALLS))
    while "ID" in path:
        path = path.replace("ID", draw(IDS), 1)
    query = draw(SAID.map(as_form).map(bytes.decode) | TARGET | st.just(""))
    keys = st.sampled_from(
        [[], [("MobileAppAuth", KEY.encode())], [("MobileAppAuth", KEY.encode())], [("MobileAppAuth", b"\xff")]]
    )
    host = st.sampled_from([[], [("Host", b"cloud.test")], [("Host", b"[/?#@:\xff")], [("Host", b"")]])
    return method, f"/api/v2{path}" + (f"?{query}" if query else ""), draw(BODIES), draw(keys) + draw(host)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(requests(), min_size=1, max_size=6))
def test_whatever_is_asked_is_answered_in_the_envelope(
    asked: list[tuple[str, str, tuple[bytes, str], list[tuple[str, bytes]]]],
) -> None:
    # Who asks for another password is told to the operator.
    with patch(f"{MODULES}._passwords.COSTS", CHEAP), patch(f"{MODULES}._accounts.logger"), nothing_goes_wrong():
        answers = asyncio.run(send(asked))
    for (method, *_), answer in zip(asked, answers, strict=True):
        assert answer.status in ACCEPTABLE
        if answer.status == 204:
            assert not answer.body
            continue
        said = answer.json
        assert set(said) == {"results", "meta"}
        assert said["meta"]["criteria"]["method"] == method
        assert said["meta"]["success"] is (answer.status < 400)
