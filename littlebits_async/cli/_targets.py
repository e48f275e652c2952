"""Which cloudBits a name means; and a session's ones."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from ..models import Device
from ._errors import CommandError, ExitCode

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["ALL", "choose", "choose_one", "find", "find_one", "is_id", "is_pattern", "title"]

ALL: Final = "all"
_ID: Final = re.compile(r"[0-9a-f]{12}")
_MOST_SHOWN: Final = 5


def title(device: Device) -> str:
    """Return what people call a device."""
    return device.label or device.id


def is_pattern(name: str) -> bool:
    """Tell whether a name may mean several."""
    return name == ALL or any(char in name for char in "*?[")


def is_id(name: str) -> bool:
    """Tell whether a name looks as ids do, so that nobody need be asked what it means."""
    return _ID.fullmatch(name) is not None


async def find(session: "Session", names: Sequence[str], *, ids_suffice: bool = True) -> list[Device]:
    """Find the devices that are named, each once, in the order of the names; all where none is.

    Cost: 1 request; nothing where ids suffice and only ids are named.

    Args:
        session: Whose devices.
        names: As `choose` has them.
        ids_suffice: Whether more than its id need not be known of a device.

    Raises:
        CommandError: A name means none, or cannot tell which.
    """
    if names and ids_suffice and all(map(is_id, names)):
        return [Device(device_id) for device_id in dict.fromkeys(names)]
    devices = await session.devices()
    found = {device.id: device for name in names or [ALL] for device in choose(devices, name)}
    return list(found.values())


async def find_one(session: "Session", name: str) -> Device:
    """Find the one device that is named. Cost: as `find`.

    Raises:
        CommandError: The name means none, or several.
    """
    return choose_one(await find(session, [name]), name)


def choose(devices: Sequence[Device], name: str) -> list[Device]:
    """Return the devices that a name means.

    It is an id, a label, the beginning of a single label, a pattern of labels, or `ALL`; the first of these that fits
    counts, and for labels capital and small letters are one, but where only that tells two apart.

    Raises:
        CommandError: It means none, or is the label, or the beginning, of several.
    """
    if name == ALL:
        if not devices:
            raise CommandError("there are no cloudBits; `littlebits activate` makes one yours", ExitCode.REFUSED)
        return list(devices)
    wanted = name.casefold()
    tests: tuple[Callable[[Device], bool], ...] = (
        lambda device: device.id == name,
        lambda device: device.label == name != "",
        lambda device: device.label.casefold() == wanted != "",
    )
    for test in tests:
        if found := [device for device in devices if test(device)]:
            return _only(found, name, "is the label of")
    if is_pattern(name):
        if found := [device for device in devices if fnmatchcase(device.label.casefold(), wanted)]:
            return found
    elif wanted and (found := [device for device in devices if device.label.casefold().startswith(wanted)]):
        return _only(found, name, "is the beginning of the labels of")
    raise CommandError(_unknown(devices, name), ExitCode.REFUSED)


def choose_one(devices: Sequence[Device], name: str) -> Device:
    """Return the one device that a name means.

    Raises:
        CommandError: It means none, or several.
    """
    found = choose(devices, name)
    if len(found) > 1:
        raise CommandError(f"{name!r} means {len(found)} cloudBits, {_listed(found)}: name one", ExitCode.USAGE)
    return found[0]


def _only(found: list[Device], name: str, relation: str) -> list[Device]:
    if len(found) > 1:
        raise CommandError(
            f"{name!r} {relation} {len(found)} cloudBits, {_listed(found)}: name one by its id", ExitCode.USAGE
        )
    return found


def _listed(devices: Sequence[Device]) -> str:
    shown = ", ".join(f"{device.id} ({device.label})" for device in devices[:_MOST_SHOWN])
    return shown if len(devices) <= _MOST_SHOWN else f"{shown} and {len(devices) - _MOST_SHOWN} more"


def _unknown(devices: Iterable[Device], name: str) -> str:
    labels = {device.label.casefold(): device.label for device in devices}
    near = difflib.get_close_matches(name.casefold(), [*labels, *(device.id for device in devices)], n=3)
    meant = " or ".join(repr(labels.get(word, word)) for word in near)
    hint = f"did you mean {meant}?" if meant else "`littlebits devices` lists yours"
    return f"no cloudBit is named {name!r}: {hint}"
