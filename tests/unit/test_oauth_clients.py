"""Applications: what is registered, and where they may be sent back to."""

import pytest

from littlebits_async.localcloud.oauth import BadClientError, new_client
from littlebits_async.localcloud.oauth._clients import may_return_to
from littlebits_async.localcloud.tokens import digest

HTTPS = "https://app.example/callback"


def test_a_secret_is_told_once_and_kept_as_a_digest() -> None:
    client, secret = new_client("a", name="A", redirect_uris=[HTTPS], scopes=["read"], confidential=True)
    assert secret is not None
    assert client.secret == digest(secret)
    assert secret not in repr(client)


@pytest.mark.parametrize(
    ("uri", "confidential"),
    [
        (HTTPS, True),
        (HTTPS, False),
        ("https://192.168.1.7:8443/back?way=1", True),
        ("http://127.0.0.1/callback", False),
        ("http://localhost:3000/callback", True),
        ("http://[::1]:1/", False),
        ("com.example.app:/callback", False),
    ],
)
def test_an_answer_may_go_where_nobody_else_reads_it(uri: str, *, confidential: bool) -> None:
    client, _ = new_client("a", name="A", redirect_uris=[uri], scopes=["read"], confidential=confidential)
    assert may_return_to(client, uri)
    assert not may_return_to(client, f"{uri}x")


@pytest.mark.parametrize(
    ("uri", "confidential"),
    [
        ("http://app.example/callback", False),
        ("http://192.168.1.7/callback", False),
        ("https:///callback", False),
        ("https://user@app.example/", False),
        ("https://app.example/#there", False),
        ("https://app.example/a b", False),
        ("https://app.example/\n", False),
        ("https://app.example:0x/", False),
        ("https://ä.example/", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("app:/callback", False),
        ("com.example.app:/callback", True),
        ("/callback", False),
        ("", False),
    ],
)
def test_an_answer_may_go_nowhere_else(uri: str, *, confidential: bool) -> None:
    with pytest.raises(BadClientError, match="a redirect URI is"):
        new_client("a", name="A", redirect_uris=[uri], scopes=["read"], confidential=confidential)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"client_id": ""}, "an id has"),
        ({"client_id": "a b"}, "an id has"),
        ({"client_id": "a" * 65}, "an id has"),
        ({"name": ""}, "a name"),
        ({"name": "a\nb"}, "a name"),
        ({"name": "\udcff"}, "a name"),
        ({"scopes": []}, "scopes are"),
        ({"scopes": ["root"]}, "scopes are"),
        ({"redirect_uris": []}, "is needed"),
    ],
)
def test_what_cannot_be_registered_is_told(changes: dict[str, object], said: str) -> None:
    options: dict[str, object] = {"client_id": "a", "name": "A", "redirect_uris": [HTTPS], "scopes": ["read"]}
    with pytest.raises(BadClientError, match=said):
        new_client(**options | changes, confidential=False)  # type: ignore[arg-type]  # per case


@pytest.mark.parametrize(
    ("registered", "asked", "is_allowed"),
    [
        ("http://127.0.0.1/cb", "http://127.0.0.1:5/cb", True),
        ("http://127.0.0.1:9/cb", "http://127.0.0.1:5/cb", True),
        ("http://127.0.0.1/cb", "http://127.0.0.1:5/cb?x", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:123456/cb", False),
        ("http://127.0.0.1/cb", "http://[::1]:5/cb", False),
        ("http://127.0.0.1/cb", "HTTP://127.0.0.1:5/cb", False),
        ("http://localhost/cb", "http://localhost:5/cb", False),
        ("https://127.0.0.1/cb", "https://127.0.0.1:5/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:5@evil.example/cb", False),
        ("http://127.0.0.1/cb", "http://evil.example/http://127.0.0.1/cb", False),
    ],
)
def test_only_a_port_of_this_machine_may_differ(registered: str, asked: str, *, is_allowed: bool) -> None:
    client, _ = new_client("a", name="A", redirect_uris=[registered], scopes=["read"], confidential=False)
    assert may_return_to(client, asked) is is_allowed
    client, _ = new_client("a", name="A", redirect_uris=[registered], scopes=["read"], confidential=True)
    assert not may_return_to(client, asked)
