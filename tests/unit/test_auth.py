"""The access token as an httpx.Auth."""

import copy

import httpx
import pytest

from littlebits_async import InvalidArgumentError
from littlebits_async.auth import BearerAuth, resolve_auth

TOKEN = "4f3830b44e15fa0d"


@pytest.mark.parametrize("given", [TOKEN, f"Bearer {TOKEN}", f" bearer  {TOKEN} "])
def test_a_token_is_sent_as_a_bearer_token(given: str) -> None:
    request = httpx.Request("GET", "http://cloud.example")
    next(copy.copy(BearerAuth(given)).auth_flow(request))
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("given", [b"token", 5, ("user", "password"), "", "Bearer ", "a b", "é", "a\nb"])
def test_what_is_no_token_is_refused_and_not_shown(given: object) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        resolve_auth(given)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point
    assert "password" not in str(caught.value)


def test_an_auth_of_ones_own_passes() -> None:
    own = httpx.BasicAuth("user", "password")
    assert resolve_auth(own) is own


def test_the_token_shows_neither_in_the_repr_nor_in_the_attributes() -> None:
    auth = BearerAuth(TOKEN)
    assert TOKEN not in f"{auth!r} {auth} {vars(auth)}"
