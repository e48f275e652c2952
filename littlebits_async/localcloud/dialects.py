"""How the versions of the API differ: the one place that knows. Version 3 speaks as version 2 does.

Version 1 says ``amount`` for ``percent``, and its document gives that two meanings: its table makes it a percent from 0
to 100, its examples keep the older forms. So ``"75%"`` is a percent, ``active`` is 100 and ``idle`` is 0; a number up
to 100 is a percent, as the table says, and a whole one beyond, up to 1023, a step of the bit's converter, as the
examples say. Each number may be text, as it is in a form.

What the documents leave open: ``percent`` is no field of version 1, so it is ignored beside an ``amount``; alone it is
a 400, for what it asks is hardly the full strength that an output without an amount means. The other way round, an
``amount`` alone means in versions 2 and 3 what it means in version 1: a client of those days that names no version gets
the newest. A duration has no maximum in
version 1; here it is the greatest integer that every reader of JSON keeps exact. The events of a new subscription may
stand under ``publisher_events``, as in the table of version 1, or else under ``events``, as in its examples. Its
document has no ``light``: maximum, answer and the 404 for a bit off line are those of its ``output``. A device shows
its subscriptions in version 1 as the list of them does.

Source: spec/cloud-http-api-v1-and-webhooks.md; spec/cloud-api-v2.txt; wire-facts 4, 5, 7 and 10.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from attrs import evolve, frozen

from . import fields
from .answers import Refusal
from .fields import Fields

__all__ = ["DIALECTS", "Dialect"]

_WORDS: Final = {"active": 100.0, "idle": 0.0}
_FULL_PERCENT: Final = 100
_FULL_STEP: Final = 1023
_FORMS: Final = '"amount" must be "active", "idle", such as "75%", a number to 100 (percent), or a whole one to 1023'


@frozen(kw_only=True)
class Dialect:
    """How one version of the API speaks.

    Attributes:
        version: Its number.
        strength_field: What an output calls how strong it is.
        status_field: What an error calls its status.
        events_field: What a subscription calls its events.
        events_fields_taken: What a new subscription may call its events; the first one found counts.
        wraps_events_in_devices: Whether a device shows an event of its subscriptions as an object with a name, not as
            the name alone.
        done: The answer to a command that was carried out.
        finds_only_connected: Whether a command to a bit off line is a 404, not a success without effect.
        default_duration_ms: Milliseconds of an output that does not say.
        max_duration_ms: The most milliseconds of a command.
        read_percent: Takes the fields of an output and gives its percent of full scale; may raise a `Refusal`, 400.
    """

    version: int
    strength_field: str
    status_field: str
    events_field: str
    events_fields_taken: tuple[str, ...]
    wraps_events_in_devices: bool
    done: Mapping[str, object]
    finds_only_connected: bool
    default_duration_ms: int
    max_duration_ms: int
    read_percent: Callable[[Fields], float]


def _percent(found: Fields) -> float:
    if "amount" in found and "percent" not in found:
        return _amount(found)
    return fields.number("percent", found.get("percent", _FULL_PERCENT), least=0, most=_FULL_PERCENT)


def _amount(found: Fields) -> float:
    if "percent" in found and "amount" not in found:
        raise Refusal(HTTPStatus.BAD_REQUEST, 'Version 1 has no "percent"; send "amount", such as "75%"')
    amount = found.get("amount", "active")
    if isinstance(amount, str) and amount in _WORDS:
        return _WORDS[amount]
    try:
        if isinstance(amount, str) and amount.endswith("%"):
            return fields.number("amount", amount[:-1], least=0, most=_FULL_PERCENT)
        number = fields.number("amount", amount, least=0, most=_FULL_STEP)
        if number <= _FULL_PERCENT:
            return number
        return fields.integer("amount", number, least=0, most=_FULL_STEP) / _FULL_STEP * 100
    except Refusal:  # which tells of one form only
        raise Refusal(HTTPStatus.BAD_REQUEST, _FORMS) from None


_FIRST: Final = Dialect(
    version=1,
    strength_field="amount",
    status_field="code",
    events_field="events",
    events_fields_taken=("publisher_events", "events"),
    wraps_events_in_devices=False,
    done={},
    finds_only_connected=True,
    default_duration_ms=500,
    max_duration_ms=2**53 - 1,
    read_percent=_amount,
)
_SECOND: Final = Dialect(
    version=2,
    strength_field="percent",
    status_field="statusCode",
    events_field="publisher_events",
    events_fields_taken=("publisher_events",),
    wraps_events_in_devices=True,
    done={"success": True},
    finds_only_connected=False,
    default_duration_ms=3000,
    max_duration_ms=32_000,
    read_percent=_percent,
)

DIALECTS: Final[Mapping[int, Dialect]] = {1: _FIRST, 2: _SECOND, 3: evolve(_SECOND, version=3)}
"""What each version speaks."""
