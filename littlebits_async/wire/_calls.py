"""Requests as values: one builder for each call of the API, which refuses what no request could carry.

Source: spec/cloud-api-v2.txt; spec/cloud-http-api-v1-and-webhooks.md for version 1 and activation; version 3 was never
documented and takes the bodies of version 2.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Generic, Literal, TypeVar

from attrs import field, frozen

from ..errors import APIError, DecodeError, InvalidArgumentError
from ..models import FOREVER, AmplitudeEvent, Device, InputEvent, LightColor, LightMode, Subscription
from . import _arguments as check
from ._answers import (
    read_device,
    read_devices,
    read_done,
    read_made_device,
    read_made_subscription,
    read_subscriptions,
)
from ._errors import ADVICE, read_error, refused
from ._events import read_input
from ._json import RefusedError, UnusableError, excerpt

__all__ = [
    "Call",
    "Version",
    "activate",
    "deactivate",
    "device",
    "devices",
    "inputs",
    "light",
    "output",
    "ping",
    "subscribe",
    "subscriptions",
    "unsubscribe",
    "update_device",
]

_T_co = TypeVar("_T_co", covariant=True)

Version = Literal[1, 2, 3]
"""A version of the API."""


@frozen(kw_only=True)
class Call(Generic[_T_co]):
    """One request, and how to read its answer.

    Attributes:
        method: The HTTP method.
        path: The path below the version, percent-encoded.
        query: The query's parameters, not encoded.
        body: The JSON body, or None for none.
        form: The body's fields where it is a form, or None.
        secrets: What of all this no log and no error may show, even where an answer repeats it.
        idempotent: Whether it may be repeated when it is not known whether the first was done.
        once: Whether it must not be repeated at all.
        advice: What to do about an answer that is no success, by status.
    """

    method: str
    path: str
    # Callback URLs carry keys, activation carries the bit's secret: neither belongs in a log.
    query: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    body: Mapping[str, object] | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    idempotent: bool
    once: bool = False
    advice: Mapping[int, str] = field(default=ADVICE, repr=False)
    _answer: Callable[[bytes | str], _T_co] = field(alias="answer", repr=False, eq=False)

    def read(self, data: bytes | str) -> _T_co:
        """Read the body of a 2xx answer (of `inputs`: the data of one event).

        Raises:
            DecodeError: It is not what the API promises.
            APIError: It says no, although its status says yes.
        """
        try:
            return self._answer(data)
        except RefusedError as error:
            refusal = refused(self.method, self.path, error, advice=self.advice)
        except UnusableError as error:
            raise DecodeError(
                f"{self.method} {self.path} answered what cannot be used: {error} (does base_url lead to a cloud?)",
                excerpt=excerpt(data),
            ) from error
        raise refusal  # not above: what holds the whole answer would be its context

    def read_error(self, *, status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> APIError:
        """Read an answer that is no success: the error to raise; see `wire.read_error`."""
        return read_error(
            method=self.method,
            path=self.path,
            status=status,
            headers=headers,
            body=body,
            now=now,
            advice=self.advice,
        )


def devices() -> Call[list[Device]]:
    """List the devices of the token's owner.

    Source: spec/cloud-api-v2.txt, "Get All Your Devices".
    """
    return Call(method="GET", path="/devices", idempotent=True, answer=read_devices)


def device(device_id: str) -> Call[Device]:
    """Get one device.

    Raises:
        InvalidArgumentError: The id cannot be part of a path.

    Source: spec/cloud-api-v2.txt, "Get a Specific Device".
    """
    return Call(
        method="GET", path=check.path(device_id), idempotent=True, answer=partial(read_device, device_id=device_id)
    )


def update_device(device_id: str, *, label: str | None = None, input_interval_ms: int | None = None) -> Call[Device]:
    """Change a device's label, or the milliseconds (at least 200) between two of its input events.

    An answer that does not show the device is read as one that says only what was asked for.

    Raises:
        InvalidArgumentError: An argument is out of its range, or there is nothing to change.

    Source: spec/cloud-api-v2.txt, "Update Device Settings".
    """
    update = _update(label, input_interval_ms)
    if not update:
        raise InvalidArgumentError("nothing to update: give label or input_interval_ms")
    return Call(
        method="PUT",
        path=check.path(device_id),
        body={"update": update},
        idempotent=True,
        answer=_made(device_id, label, input_interval_ms),
    )


def activate(
    device_id: str, *, device_hash: str | None = None, label: str | None = None, input_interval_ms: int | None = None
) -> Call[Device]:
    """Make a device the token owner's; ``device_hash``, the bit's own secret, is required since 2015.

    Raises:
        InvalidArgumentError: An argument is out of its range.

    Source: spec/cloud-http-api-v1-and-webhooks.md, "Endpoints Overview"; the body is on record only.
    """
    body: dict[str, object] = {}
    if device_hash is not None:
        body["device_hash"] = check.text("device_hash", device_hash)
    if update := _update(label, input_interval_ms):
        body["update"] = update
    return Call(
        method="POST",
        path=check.path(device_id),
        body=body,
        idempotent=False,
        answer=_made(device_id, label, input_interval_ms),
    )


def deactivate(device_id: str) -> Call[None]:
    """Make a device nobody's.

    Raises:
        InvalidArgumentError: The id cannot be part of a path.

    Source: spec/cloud-http-api-v1-and-webhooks.md, "Endpoints Overview".
    """
    return Call(method="DELETE", path=check.path(device_id), idempotent=True, answer=read_done)


def output(device_id: str, percent: float = 100, *, duration_ms: int = 3000, version: Version = 2) -> Call[None]:
    """Set a device's output.

    Args:
        device_id: The device.
        percent: 0 to 100 of full scale.
        duration_ms: Milliseconds, 0 to 32000 (version 1: any), or `FOREVER`: until the next output.
        version: Of the API; version 1 says ``amount`` for percent.

    Raises:
        InvalidArgumentError: An argument is out of its range.

    Source: spec/cloud-api-v2.txt, "Output voltage on device"; spec/cloud-http-api-v1-and-webhooks.md,
    "/devices/{device_id}/output".
    """
    percent = check.percent(percent)
    # Of the forms of `amount` only the text with its sign is clear: a bare 50 is 50 % or 50 of 1023 steps.
    strength: dict[str, object] = {"amount": f"{Decimal(str(percent)):f}%"} if version == 1 else {"percent": percent}
    return Call(
        method="POST",
        path=check.path(device_id, "output"),
        body=strength | {"duration_ms": check.duration_ms(duration_ms, bounded=version != 1)},
        idempotent=duration_ms == FOREVER,
        answer=read_done,
    )


def light(
    device_id: str,
    *,
    color: LightColor | str | None = None,
    mode: LightMode | str | None = None,
    duration_ms: int | None = None,
    version: Version = 2,
) -> Call[None]:
    """Set a device's light; what is left out is the server's choice.

    Raises:
        InvalidArgumentError: An argument is out of its range.

    Source: the server's own description of its routes; in none of the documents.
    """
    body: dict[str, object] = {}
    if color is not None:
        body["color"] = check.choice("color", color, LightColor)
    if mode is not None:
        body["mode"] = check.choice("mode", mode, LightMode)
    if duration_ms is not None:
        body["duration_ms"] = check.duration_ms(duration_ms, bounded=version != 1)
    return Call(method="POST", path=check.path(device_id, "light"), body=body, idempotent=False, answer=read_done)


def inputs(device_id: str) -> Call[InputEvent | None]:
    """Stream a device's input; `Call.read` takes the data of one event, and gives None for one of another type.

    Raises:
        InvalidArgumentError: The id cannot be part of a path.

    Source: spec/blog-python-and-the-cloud-api.txt, "Python Read Value Example".
    """
    answer = partial(read_input, device_id=device_id)
    return Call(method="GET", path=check.path(device_id, "input"), idempotent=True, answer=answer)


def subscriptions(*, publisher_id: str | None = None, subscriber_id: str | None = None) -> Call[list[Subscription]]:
    """List subscriptions by publisher, by subscriber (a device or a callback URL), or by both.

    Raises:
        InvalidArgumentError: An id is empty or no text.

    Source: spec/cloud-api-v2.txt, "List subscriptions".
    """
    query = {
        name: check.text(name, value)
        for name, value in (("publisher_id", publisher_id), ("subscriber_id", subscriber_id))
        if value is not None
    }
    return Call(method="GET", path="/subscriptions", query=query, idempotent=True, answer=read_subscriptions)


def subscribe(
    *,
    publisher_id: str,
    subscriber_id: str,
    events: AmplitudeEvent | str | Iterable[AmplitudeEvent | str] | None = None,
) -> Call[Subscription]:
    """Have a device (or a callback URL) follow another device's input.

    Args:
        publisher_id: The device whose input is told.
        subscriber_id: The device or the callback URL that is told.
        events: What to tell; the server refuses names that it does not know. Left out: its default,
            `AmplitudeEvent.IGNITE`.

    Raises:
        InvalidArgumentError: An id or a name is empty or no text, or ``events`` has no item.

    Source: spec/cloud-api-v2.txt, "Create subscription".
    """
    pair = _pair(publisher_id, subscriber_id)
    names = () if events is None else check.names(events)
    return Call(
        method="POST",
        path="/subscriptions",
        body=pair | {"publisher_events": list(names)} if names else pair,
        idempotent=False,
        answer=partial(read_made_subscription, asked=Subscription(publisher_id, subscriber_id, names)),
    )


def unsubscribe(*, publisher_id: str, subscriber_id: str) -> Call[None]:
    """Remove the subscription of this pair.

    Raises:
        InvalidArgumentError: An id is empty or no text.

    Source: spec/cloud-api-v2.txt, "Delete a Subscription".
    """
    body = _pair(publisher_id, subscriber_id)
    return Call(method="DELETE", path="/subscriptions", body=body, idempotent=True, answer=read_done)


def ping() -> Call[None]:
    """Ask whether the API is there; needs no token.

    Source: the server's own description of its routes; in none of the documents.
    """
    return Call(method="GET", path="/ping", idempotent=True, answer=read_done)


def _made(device_id: str, label: str | None, input_interval_ms: int | None) -> Callable[[bytes | str], Device]:
    asked = Device(device_id, label=label or "", input_interval_ms=input_interval_ms)
    return partial(read_made_device, asked=asked)


def _update(label: str | None, input_interval_ms: int | None) -> dict[str, object]:
    update: dict[str, object] = {}
    if label is not None:
        update["label"] = check.text("label", label, empty=True)
    if input_interval_ms is not None:
        update["input_interval_ms"] = check.input_interval_ms(input_interval_ms)
    return update


def _pair(publisher_id: str, subscriber_id: str) -> dict[str, object]:
    return {
        "publisher_id": check.text("publisher_id", publisher_id),
        "subscriber_id": check.text("subscriber_id", subscriber_id),
    }
