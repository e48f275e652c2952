"""What stands in requests and answers, as JSON Schema 2020-12: the components of the OpenAPI document.

Those that differ by version have the version in their name where it is not the newest: ``DeviceV1``. Readers are to
take fields that are not named here, too.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from .bits import MIN_INTERVAL_MS
from .dialects import Dialect
from .fields import MAX_BODY
from .readings import FULL_SCALE
from .routes import Parameter
from .subscriptions import EVENTS

__all__ = ["DEVICE_ID", "ERRORS", "Schema", "body", "components", "reference", "refusal", "responses"]

Schema = Mapping[str, object]

ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    HTTPStatus.BAD_REQUEST: ("BadRequest", "Something in the request is wrong, or path and Accept differ in version."),
    HTTPStatus.UNAUTHORIZED: ("Unauthorized", "There is no token, or none that is known."),
    HTTPStatus.FORBIDDEN: ("Forbidden", "The token has not the scope, or the device is somebody else's."),
    HTTPStatus.NOT_FOUND: ("NotFound", "There is no such device or subscription."),
    HTTPStatus.NOT_ACCEPTABLE: ("NotAcceptable", "Accept rules out what is to be had."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("TooLarge", f"The body has more than {MAX_BODY} bytes."),
    HTTPStatus.TOO_MANY_REQUESTS: ("RateLimited", "The token's hour is spent."),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("Failed", "The cloud has a fault."),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Unavailable", "The cloud cannot keep anything at the moment."),
}
"""What may go wrong: a name and what it says, by status."""

DEVICE_ID: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$",
    "not": {"enum": [".", ".."]},
    "example": "00e040000001",
}
_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_OLDEST: Final = 1


def reference(name: str, dialect: Dialect) -> Schema:
    """Refer to a component of a version."""
    return {"$ref": f"#/components/schemas/{name if name in _SHARED else _named(name, dialect)}"}


def refusal(status: int, dialect: Dialect) -> Schema:
    """Refer to a refusal of a version."""
    return {"$ref": f"#/components/responses/{_named(ERRORS[status][0], dialect)}"}


def components(dialect: Dialect) -> Mapping[str, Schema]:
    """Describe what a version's answers are."""
    event: Schema = {"enum": list(EVENTS)}
    pair = {"publisher_id": _TEXT, "subscriber_id": _TEXT}
    in_devices = _object({"name": event}) if dialect.wraps_events_in_devices else event
    own: dict[str, Schema] = {
        "Device": _object(
            {
                "label": _TEXT,
                "id": _TEXT,
                "user_id": {"type": "integer"},
                "is_connected": {"type": "boolean"},
                "input_interval_ms": {"type": "integer", "minimum": MIN_INTERVAL_MS},
                "subscriptions": _list(reference("Link", dialect)),
                "subscribers": _list(reference("Link", dialect)),
            }
        ),
        "Devices": _list(reference("Device", dialect)),
        "Done": _object({name: {"const": value} for name, value in dialect.done.items()}),
        "Error": _object({dialect.status_field: {"type": "integer"}, "error": _TEXT, "message": _TEXT}),
        "Link": _object({**pair, dialect.events_field: _list(in_devices)}),
        "Subscription": _object({**pair, dialect.events_field: _list(event)}),
        "Subscriptions": _list(reference("Subscription", dialect)),
    }
    return {**{_named(name, dialect): schema for name, schema in own.items()}, **_SHARED}


def responses(dialect: Dialect, newest: Dialect) -> Mapping[str, Schema]:
    """Describe a version's refusals; one whose version is in doubt is told as in the newest."""
    error, doubtful = reference("Error", dialect), reference("Error", newest)
    found: dict[str, Schema] = {}
    for status, (name, about) in ERRORS.items():
        is_doubtful = status == HTTPStatus.BAD_REQUEST and error != doubtful
        schema = {"anyOf": [error, doubtful]} if is_doubtful else error
        headers = {header: {"required": True, "schema": _TEXT} for header in _HEADERS.get(status, ())}
        told = {"description": about, "content": {"application/json": {"schema": schema}}}
        found[_named(name, dialect)] = {**told, "headers": headers} if headers else told
    return found


_HEADERS: Final[Mapping[int, tuple[str, ...]]] = {
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
}


def body(payload: tuple[Parameter, ...], *, is_form: bool) -> Schema:
    """Describe a body; what an update holds may also stand without it, and in a form does."""
    properties: dict[str, Schema] = {}
    for parameter in payload:
        properties |= {child.name: _field(child) for child in parameter.children}
        if not (is_form and parameter.children):
            properties[parameter.name] = _field(parameter)
    required = [parameter.name for parameter in payload if parameter.required]
    schema: dict[str, object] = {"type": "object", "properties": properties}
    return {**schema, "required": required} if required else schema


def _field(parameter: Parameter) -> Schema:
    if parameter.name == "amount":
        return {"anyOf": [_number(parameter), {"type": "integer", "minimum": 0, "maximum": FULL_SCALE}, *_AMOUNTS]}
    if parameter.children:
        return {"type": "object", "properties": {child.name: _field(child) for child in parameter.children}}
    if parameter.type == "number":
        return _number(parameter)
    text = {"type": "string", "minLength": 1} if parameter.allowed is None else {"enum": list(parameter.allowed)}
    return {"anyOf": [text, {**_list(text), "minItems": 1}]} if parameter.type == "array" else text


_AMOUNTS: Final[tuple[Schema, ...]] = (
    {"enum": ["active", "idle"]},
    {"type": "string", "pattern": "^(100|[0-9]{1,2})%$"},
)
"""Forms of an output's strength in version 1, beside numbers."""


def _number(parameter: Parameter) -> Schema:
    bounds = {"minimum": parameter.least, "maximum": parameter.most}
    kind = "integer" if parameter.whole else "number"
    return {"type": kind, **{name: bound for name, bound in bounds.items() if bound is not None}}


def _named(name: str, dialect: Dialect) -> str:
    return f"{name}V{_OLDEST}" if dialect.version == _OLDEST else name


def _object(properties: Mapping[str, object]) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": list(properties)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_AMPLITUDE: Final[Mapping[str, Schema]] = {
    "percent": {"type": "integer", "minimum": 0, "maximum": 100},
    "absolute": {"type": "integer", "minimum": 0, "maximum": FULL_SCALE},
}
_SHARED: Final[Mapping[str, Schema]] = {
    "InputEvent": _object(
        {
            "type": {"const": "input"},
            "timestamp": {**_COUNT, "description": "Unix time in milliseconds."},
            **_AMPLITUDE,
            "name": {"const": "amplitude"},
            "payload": _object(_AMPLITUDE),
            "from": _object({"user": _object({"id": _COUNT}), "device": _object({"id": _TEXT, "mac": _TEXT})}),
        }
    ),
    "InputEvents": {
        "description": "Each of the server-sent events, of which there is no end. Blank lines alone may come while"
        " there is nothing to tell.",
        "type": "object",
        "properties": {
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": "#/components/schemas/InputEvent"},
            }
        },
        "required": ["data"],
    },
    "Pong": {"type": "object"},
    "Routes": _list(_object({"path": _TEXT, "method": _TEXT})),
    "Status": _object({"status": _TEXT}),
    "Unsubscribed": {"const": [1, 1, 1]},
}
"""What is the same in all versions."""
