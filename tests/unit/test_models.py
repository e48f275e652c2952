"""The models' units and immutability."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from littlebits_async import FOREVER, AmplitudeEvent, Device, InputEvent, LightColor

# spec/blog-python-and-the-cloud-api.txt prints this event.
EVENT = InputEvent("00e04c0379bb", timestamp_ms=1521587206463, percent=61.0, absolute=629)


def test_a_timestamp_is_aware_and_exact() -> None:
    assert EVENT.timestamp == datetime(2018, 3, 20, 23, 6, 46, 463000, tzinfo=UTC)
    assert EVENT.timestamp.utcoffset() == timedelta(0)


def test_volts_are_percent_of_five() -> None:
    assert EVENT.volts == pytest.approx(3.05)


def test_models_are_values() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        EVENT.percent = 1.0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue] - the point
    assert Device("a") == Device("a")
    assert not hasattr(Device("a"), "__dict__")


def test_the_apis_words_are_texts() -> None:
    assert str(AmplitudeEvent.IGNITE) == "amplitude:delta:ignite"
    assert LightColor("clownbarf") is LightColor.CLOWNBARF
    assert FOREVER == -1
