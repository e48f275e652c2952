"""The table of routes that ``GET /options`` answers with, in the vendor server's own form: its client was made from it.

The dump that the vendor's client holds has no older forms of a call; neither has this.

Source: wire-facts 3 (`/options`, the route dumps), and the routes of the npm package ``@littlebits/cloud-http`` 0.3.5.
"""

from collections.abc import Mapping
from typing import Final

from attrs import frozen

__all__ = ["Parameter", "route"]

_ANYTHING: Final = {"type": "any", "required": False, "allowedValues": None, "disallowedValues": None}


@frozen
class Parameter:
    """A field of a request.

    Attributes:
        name: Its name.
        type: Its type: string, number, object or array.
        required: Whether it must be there; None for no.
        allowed: The values it may have, or its items; None for any.
        children: The fields of an object.
        least: The least that a number may be, if there is one.
        most: The most.
        whole: Whether a number must be whole.
    """

    name: str
    type: str = "string"
    required: bool | None = None
    allowed: tuple[str, ...] | None = None
    children: tuple["Parameter", ...] = ()
    least: int | None = None
    most: int | None = None
    whole: bool = False

    def describe(self) -> dict[str, object]:
        """Describe it as Joi, the vendor server's own library, did."""
        allowed = None if self.allowed is None else list(self.allowed)
        about: dict[str, object] = {"name": self.name, "type": self.type, "required": self.required}
        if self.type == "array":
            rules = {"Includes": [{**_ANYTHING, "allowedValues": allowed}]}
            return {**about, "allowedValues": None, "disallowedValues": None, "rules": rules}
        about |= {"allowedValues": allowed, "disallowedValues": None}
        return {**about, "children": [child.describe() for child in self.children]} if self.children else about


def route(
    path: str,
    method: str,
    *,
    version: int,
    needs_token: bool,
    query: tuple[Parameter, ...] = (),
    payload: tuple[Parameter, ...] = (),
) -> Mapping[str, object]:
    """Describe one method of one path."""
    return {
        "path": path,
        "method": method,
        "auth": ["bearer"] if needs_token else False,
        "pathParams": _ANYTHING,
        "queryParams": _fields(query),
        "payloadParams": _fields(payload),
        "responseParams": None,
        "version": str(version) if needs_token else None,
    }


def _fields(parameters: tuple[Parameter, ...]) -> Mapping[str, object]:
    if not parameters:
        return _ANYTHING
    children = [parameter.describe() for parameter in parameters]
    return {"type": "object", "required": None, "allowedValues": None, "disallowedValues": None, "children": children}
