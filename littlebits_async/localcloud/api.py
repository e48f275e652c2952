"""What each call of the Cloud API does.

Where the documents are silent: ``light`` answers as ``output`` does, and what it does not name stays as it is, until
the next command unless a duration is given; ``ping`` answers ``{}``; deleting a subscription answers ``[1,1,1]`` as 003
has it; deactivating answers with the device as it was; a list of subscriptions without a query is all of the user's.

Source: wire-facts 3 and 5; spec/cloud-api-v2.txt.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from . import encode, fields
from .answers import answer
from .bits import FOREVER, MAX_INTERVAL_MS, MIN_INTERVAL_MS, Bit, Light
from .fields import Fields
from .negotiation import EVENT_STREAM
from .registry import Registry, Update
from .resources import Call, Operation
from .streams import InputStream
from .subscriptions import DEFAULT_EVENTS, EVENTS, Subscription

__all__ = ["Api"]

COLORS: Final = ("green", "yellow", "red", "blue", "purple", "white", "cyan", "clownbarf")
MODES: Final = ("blink", "hold")
MAX_DURATION_MS: Final = 32_000
DEFAULT_PERCENT: Final = 100
DEFAULT_DURATION_MS: Final = 3000

_SUCCESS: Final = {"success": True}


class Api:
    """What the calls do.

    Args:
        registry: All that there is.
        drop: Cuts the connection that a request came by.
    """

    def __init__(self, registry: Registry, drop: Callable[[Scope], None]) -> None:
        self._registry = registry
        self._drop = drop

    @property
    def operations(self) -> Mapping[str, Mapping[str, Operation]]:
        """Every path, and what each method does there."""
        return {
            "/ping": {"GET": Operation(self.ping, None)},
            "/devices": {"GET": Operation(self.devices, "read")},
            "/devices/{device_id}": {
                "GET": Operation(self.device, "read"),
                "PUT": Operation(self.update, "admin", has_body=True),
                "POST": Operation(self.activate, "admin", has_body=True),
                "DELETE": Operation(self.deactivate, "admin"),
            },
            "/devices/{device_id}/output": {"POST": Operation(self.output, "write", has_body=True)},
            "/devices/{device_id}/light": {"POST": Operation(self.light, "write", has_body=True)},
            "/devices/{device_id}/input": {"GET": Operation(self.input, "read", produces=EVENT_STREAM)},
            "/subscriptions": {
                "GET": Operation(self.subscriptions, "read"),
                "POST": Operation(self.subscribe, "read", has_body=True),
                "DELETE": Operation(self.unsubscribe, "read", has_body=True),
            },
        }

    def _bit(self, call: Call) -> Bit:
        return self._registry.find(call.device_id, call.token.user_id)

    def _describe(self, bit: Bit) -> dict[str, object]:
        return encode.device(bit, self._registry.subscriptions)

    async def ping(self, _: Call) -> Response:
        """Say that the cloud is there."""
        return answer({})

    async def devices(self, call: Call) -> Response:
        """List the devices of the user."""
        return answer([self._describe(bit) for bit in self._registry.of_user(call.token.user_id)])

    async def device(self, call: Call) -> Response:
        """Describe one device."""
        return answer(self._describe(self._bit(call)))

    async def update(self, call: Call) -> Response:
        """Change label and interval of a device."""
        bit = self._bit(call)
        await self._registry.update(bit, _update(call.body))
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
        await self._registry.deactivate(bit)
        return answer(before)

    async def output(self, call: Call) -> Response:
        """Tell a device what to show."""
        bit = self._bit(call)
        percent = fields.number("percent", call.body.get("percent", DEFAULT_PERCENT), least=0, most=100)
        bit.show(percent, _duration_ms(call.body, DEFAULT_DURATION_MS))
        return answer(_SUCCESS)

    async def light(self, call: Call) -> Response:
        """Tell a device's light what to show."""
        bit = self._bit(call)
        wanted = {
            name: fields.choice(name, call.body[name], choices) if name in call.body else None
            for name, choices in (("color", COLORS), ("mode", MODES))
        }
        bit.shine(Light(**wanted), _duration_ms(call.body, FOREVER))
        return answer(_SUCCESS)

    async def input(self, call: Call) -> Response:
        """Stream the input of a device."""
        return InputStream(self._bit(call).feed, self._drop)

    async def subscriptions(self, call: Call) -> Response:
        """List subscriptions, of a publisher or a subscriber or both."""
        query = call.request.query_params
        return answer(
            [
                encode.subscription(item)
                for item in self._registry.subscriptions_of_user(call.token.user_id)
                if query.get("publisher_id", item.publisher_id) == item.publisher_id
                and query.get("subscriber_id", item.subscriber_id) == item.subscriber_id
            ]
        )

    async def subscribe(self, call: Call) -> Response:
        """Make a subscription."""
        events = fields.names("publisher_events", call.body.get("publisher_events", list(DEFAULT_EVENTS)), EVENTS)
        subscription = Subscription(*_pair(call.body), events)
        await self._registry.subscribe(subscription, call.token.user_id)
        return answer(encode.subscription(subscription), HTTPStatus.CREATED)

    async def unsubscribe(self, call: Call) -> Response:
        """End a subscription."""
        await self._registry.unsubscribe(*_pair(call.body), call.token.user_id)
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


def _duration_ms(found: Fields, default: int) -> int:
    return fields.integer("duration_ms", found.get("duration_ms", default), least=FOREVER, most=MAX_DURATION_MS)


def _pair(found: Fields) -> tuple[str, str]:
    return fields.text("publisher_id", found.get("publisher_id")), fields.text(
        "subscriber_id", found.get("subscriber_id")
    )
