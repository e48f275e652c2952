"""What each call of the Cloud API does; how the versions differ in it stands in `dialects`.

Where the documents are silent: ``light`` answers as ``output`` does, and what it does not name stays as it is, until
the next command unless a duration is given; ``ping`` answers ``{}``; deleting a subscription answers ``[1,1,1]`` as 003
has it; deactivating answers with the device as it was; a list of subscriptions without a query is all of the user's; a
command that is wrong in itself is a 400 before a bit off line is a 404.

Older forms that clients were written for are taken in every version: ``/cloudbits`` for ``/devices``, activation at
``/activate``, subscriptions below the device that publishes them or at ``/devices/subscriptions`` (which is thus no
device), and an input stream that is asked for by POST.

Source: wire-facts 3 and 5; spec/cloud-api-v2.txt; spec/cloud-http-api-v1-and-webhooks.md for the 404.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from attrs import evolve
from starlette.responses import Response
from starlette.types import Scope

from . import encode, fields
from .answers import Refusal, answer
from .bits import FOREVER, MAX_INTERVAL_MS, MIN_INTERVAL_MS, Bit, Light
from .dialects import Dialect
from .fields import Fields
from .negotiation import EVENT_STREAM
from .registry import Registry, Update
from .resources import Call, Operation
from .routes import Parameter, route
from .streams import InputStream
from .subscriptions import DEFAULT_EVENTS, EVENTS

__all__ = ["OPTIONS", "Api"]

OPTIONS: Final = "/options"
"""The path that tells of all documented ones, and is none of them itself."""

COLORS: Final = ("green", "yellow", "red", "blue", "purple", "white", "cyan", "clownbarf")
MODES: Final = ("blink", "hold")


class Api:
    """What the calls do.

    Args:
        registry: All that there is.
        drop: Cuts the connection that a request came by.
        dialect: How the version speaks.

    Attributes:
        dialect: The same.
    """

    def __init__(self, registry: Registry, drop: Callable[[Scope], None], dialect: Dialect) -> None:
        self._registry = registry
        self._drop = drop
        self.dialect = dialect

    @property
    def operations(self) -> Mapping[str, Mapping[str, Operation]]:
        """Every path, and what each method does there; the first path that fits counts."""
        documented = self.documented
        subscriptions = documented["/subscriptions"]
        device, stream = documented["/devices/{device_id}"], documented["/devices/{device_id}/input"]["GET"]
        older: dict[str, Mapping[str, Operation]] = {
            "/devices/subscriptions": subscriptions,
            **documented,
            "/devices/{device_id}/activate": {"POST": device["POST"], "DELETE": device["DELETE"]},
            "/devices/{device_id}/input": {"GET": stream, "POST": stream},
            "/devices/{device_id}/subscriptions": subscriptions,
        }
        oldest = {
            path.replace("/devices", "/cloudbits", 1): methods
            for path, methods in older.items()
            if path.startswith("/devices")
        }
        return {OPTIONS: {"GET": Operation(self.options, None, gives="Routes")}, **older, **oldest}

    @property
    def documented(self) -> Mapping[str, Mapping[str, Operation]]:
        """What the documents have of them."""
        most_ms = self.dialect.max_duration_ms
        duration = Parameter("duration_ms", "number", least=FOREVER, most=most_ms, whole=True)
        pair = (Parameter("publisher_id"), Parameter("subscriber_id"))
        required_pair = tuple(evolve(parameter, required=True) for parameter in pair)
        settings = Parameter(
            "update",
            "object",
            children=(
                Parameter("label"),
                Parameter("input_interval_ms", "number", least=MIN_INTERVAL_MS, most=MAX_INTERVAL_MS, whole=True),
            ),
        )
        light = (Parameter("mode", allowed=MODES), Parameter("color", allowed=COLORS), duration)
        output = (Parameter(self.dialect.strength_field, "number", least=0, most=100), duration)
        events = Parameter(self.dialect.events_fields_taken[0], "array", allowed=EVENTS)
        activation = (Parameter("device_hash"), settings)
        return {
            "/ping": {"GET": Operation(self.ping, None, gives="Pong")},
            "/devices": {"GET": Operation(self.devices, "read", gives="Devices")},
            "/devices/{device_id}": {
                "GET": Operation(self.device, "read", gives="Device"),
                "POST": Operation(
                    self.activate, "admin", has_body=True, payload=activation, gives="Device", status=HTTPStatus.CREATED
                ),
                "PUT": Operation(self.update, "admin", has_body=True, payload=(settings,), gives="Device"),
                "DELETE": Operation(self.deactivate, "admin", gives="Device"),
            },
            "/devices/{device_id}/input": {
                "GET": Operation(self.input, "read", produces=EVENT_STREAM, gives="InputEvents")
            },
            "/devices/{device_id}/light": {
                "POST": Operation(self.light, "write", has_body=True, payload=light, gives="Done")
            },
            "/devices/{device_id}/output": {
                "POST": Operation(self.output, "write", has_body=True, payload=output, gives="Done")
            },
            "/subscriptions": {
                "GET": Operation(self.subscriptions, "read", query=pair, gives="Subscriptions"),
                "POST": Operation(
                    self.subscribe,
                    "read",
                    has_body=True,
                    payload=(*required_pair, events),
                    gives="Subscription",
                    status=HTTPStatus.CREATED,
                ),
                "DELETE": Operation(
                    self.unsubscribe, "read", has_body=True, payload=required_pair, gives="Unsubscribed"
                ),
            },
        }

    def _bit(self, call: Call) -> Bit:
        return self._registry.find(call.device_id, call.token.user_id)

    def _describe(self, bit: Bit) -> dict[str, object]:
        return encode.device(bit, self._registry.subscriptions, self.dialect)

    def _duration_ms(self, found: Fields, default: int) -> int:
        most = self.dialect.max_duration_ms
        return fields.integer("duration_ms", found.get("duration_ms", default), least=FOREVER, most=most)

    def _check_connected(self, bit: Bit) -> None:
        if self.dialect.finds_only_connected and not bit.is_connected:
            raise Refusal(HTTPStatus.NOT_FOUND, f"The device {bit.id} is not currently connected to bitcloud.")

    async def ping(self, _: Call) -> Response:
        """Say that the cloud is there."""
        return answer({})

    async def options(self, _: Call) -> Response:
        """List what there is."""
        return answer(
            [
                route(
                    path,
                    method,
                    version=self.dialect.version,
                    needs_token=operation.scope is not None,
                    query=operation.query,
                    payload=operation.payload,
                )
                for path, methods in self.documented.items()
                for method, operation in methods.items()
            ]
        )

    async def devices(self, call: Call) -> Response:
        """List the devices of the user."""
        return answer([self._describe(bit) for bit in self._registry.of_user(call.token.user_id)])

    async def device(self, call: Call) -> Response:
        """Describe one device."""
        return answer(self._describe(self._bit(call)))

    async def update(self, call: Call) -> Response:
        """Change label and interval of a device."""
        self._bit(call)  # a device that is not there is told before what is wrong with the body
        bit = await self._registry.update(call.device_id, call.token.user_id, _update(call.body))
        return answer(self._describe(bit))

    async def activate(self, call: Call) -> Response:
        """Bind a device to the user; its hash is not checked."""
        if "device_hash" in call.body:
            fields.text("device_hash", call.body["device_hash"])
        update = _update(call.body)
        bit = await self._registry.activate(call.device_id, call.token.user_id, update)
        return answer(self._describe(bit), HTTPStatus.CREATED)

    async def deactivate(self, call: Call) -> Response:
        """Take a device from the user."""
        bit = self._bit(call)
        before = self._describe(bit)
        await self._registry.deactivate(bit.id, call.token.user_id)
        return answer(before)

    async def output(self, call: Call) -> Response:
        """Tell a device what to show."""
        bit = self._bit(call)
        percent = self.dialect.read_percent(call.body)
        duration_ms = self._duration_ms(call.body, self.dialect.default_duration_ms)
        self._check_connected(bit)
        await self._registry.output(bit.id, call.token.user_id, percent, duration_ms)
        return answer(self.dialect.done)

    async def light(self, call: Call) -> Response:
        """Tell a device's light what to show."""
        bit = self._bit(call)
        wanted = {
            name: fields.choice(name, call.body[name], choices) if name in call.body else None
            for name, choices in (("color", COLORS), ("mode", MODES))
        }
        duration_ms = self._duration_ms(call.body, FOREVER)
        self._check_connected(bit)
        await self._registry.light(bit.id, call.token.user_id, Light(**wanted), duration_ms)
        return answer(self.dialect.done)

    async def input(self, call: Call) -> Response:
        """Stream the input of a device."""
        return InputStream(self._bit(call).feed, self._drop, call.token.digest)

    async def subscriptions(self, call: Call) -> Response:
        """List subscriptions, of a publisher or a subscriber or both."""
        query: dict[str, str] = dict(call.request.query_params)
        if call.names_device:
            query.setdefault("publisher_id", self._bit(call).id)
        return answer(
            [
                encode.subscription(item, self.dialect)
                for item in self._registry.subscriptions_of_user(call.token.user_id)
                if query.get("publisher_id", item.publisher_id) == item.publisher_id
                and query.get("subscriber_id", item.subscriber_id) == item.subscriber_id
            ]
        )

    async def subscribe(self, call: Call) -> Response:
        """Make a subscription."""
        name = next((name for name in self.dialect.events_fields_taken if name in call.body), None)
        events = DEFAULT_EVENTS if name is None else fields.names(name, call.body[name], EVENTS)
        made = await self._registry.subscribe(*_pair(call), events, call.token.user_id)
        return answer(encode.subscription(made, self.dialect), HTTPStatus.CREATED)

    async def unsubscribe(self, call: Call) -> Response:
        """End a subscription."""
        await self._registry.unsubscribe(*_pair(call), call.token.user_id)
        return answer([1, 1, 1])


def _update(found: Fields) -> Update:
    update = fields.unwrap(found)
    label, interval = update.get("label"), update.get("input_interval_ms")
    return Update(
        fields.text("label", label) if "label" in update else None,
        fields.integer("input_interval_ms", interval, least=MIN_INTERVAL_MS, most=MAX_INTERVAL_MS)
        if "input_interval_ms" in update
        else None,
    )


def _pair(call: Call) -> tuple[str, str]:
    in_path = call.device_id if call.names_device else None
    publisher_id = fields.text("publisher_id", call.body.get("publisher_id", in_path))
    if in_path not in {None, publisher_id}:
        raise Refusal(HTTPStatus.BAD_REQUEST, '"publisher_id" is not the device in the path')
    return publisher_id, fields.text("subscriber_id", call.body.get("subscriber_id"))
