"""One hierarchy, whose members survive being copied and sent between processes."""

import copy
import inspect
import pickle

import pytest

from littlebits_async import errors
from littlebits_async.errors import (
    APIError,
    BudgetExhaustedError,
    DecodeError,
    InvalidArgumentError,
    LittleBitsError,
    NoStreamsLeftError,
    NotFoundError,
    RateLimitedError,
    RequestTimeoutError,
    ServerError,
    ServiceUnavailableError,
    SessionClosedError,
    StreamError,
    StreamStalledError,
    TransportError,
)

ALL = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, LittleBitsError)]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_error_is_public_documented_and_made_from_a_message(cls: type[LittleBitsError]) -> None:
    assert cls.__name__ in errors.__all__
    assert cls.__doc__
    assert str(cls("why")) == "why"


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (InvalidArgumentError, ValueError),
        (SessionClosedError, RuntimeError),
        (RequestTimeoutError, TimeoutError),
        (RequestTimeoutError, TransportError),
        (StreamStalledError, TimeoutError),
        (StreamStalledError, StreamError),
        (ServiceUnavailableError, ServerError),
        (RateLimitedError, APIError),
    ],
)
def test_errors_are_also_what_python_calls_them(cls: type[LittleBitsError], base: type[Exception]) -> None:
    assert issubclass(cls, base)


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("no", status=404, error="Not Found", message="gone", method="GET", path="/devices/a"),
        RateLimitedError("slow down", status=429, retry_after=7.5),
        BudgetExhaustedError("spent", wait=12.0),
        DecodeError("what", excerpt="<html>"),
        TransportError("lost", phase="connect"),
        NoStreamsLeftError("none", causes={"a": NotFoundError("no", status=404)}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_copy_and_pickle(error: LittleBitsError) -> None:
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own bytes
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert {name: repr(value) for name, value in vars(again).items()} == {
            name: repr(value) for name, value in vars(error).items()
        }


@pytest.mark.parametrize(("phase", "unsent"), [("pool", True), ("connect", True), ("send", False), ("receive", False)])
def test_only_what_got_no_connection_was_surely_not_sent(phase: str, unsent: bool) -> None:  # noqa: FBT001
    assert TransportError("lost", phase=phase).surely_unsent is unsent  # type: ignore[arg-type]  # one of the four
