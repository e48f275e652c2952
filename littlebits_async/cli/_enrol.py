"""``littlebits enrol``: which real cloudBits may come into a cloud, by its database."""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from cyclopts import App, Group, Parameter
from cyclopts.types import ResolvedExistingFile, ResolvedPath
from cyclopts.validators import Number

from ._errors import CommandError, ExitCode
from ._output import JsonLines, Printer
from ._tokens import UserId

__all__ = ["enrol"]

_URL_FILE: Final = "/usr/local/lb/cloud_client/server_url"
_HOST_FILE: Final = "/root/localbit_server.cfg"
_FULL_SCALES: Final = {"auto": None, "255": 255, "65535": 65535}

Minutes = Annotated[float, Parameter(validator=Number(gt=0, lte=24 * 60))]

enrol: Final = App(
    "enrol",
    help="""Let a real cloudBit into a cloud, by its database.

    The bit has a firmware of the community: littleBitsman/cloudbit-software, or with `--localbit` Hixie/localbit, for
    which the cloud is served with `--localbit`. The stock firmware speaks a protocol that nobody has decoded, and
    cannot come in.

    Prints `url …` with what to write on the bit's card, and in which file. The URL has a secret, which is shown only
    now; the bit has some minutes to come with it, and is the only one to use it from then on. A cloud that serves the
    database takes note within a second.

    For example:

    - `littlebits enrol 00:e0:4c:00:00:01 --url http://192.168.1.20:8080 --db cloud.db --label kitchen`
    - `littlebits enrol list --db cloud.db`
    - `littlebits enrol revoke 3 --db cloud.db`
    """,
    group_commands=Group("Commands"),
)


@enrol.default
async def open_(
    mac: str | None = None,
    /,
    *,
    db: ResolvedPath,
    url: str | None = None,
    localbit: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    user: UserId = 1,
    label: str = "cloudbit",
    input_range: Literal["auto", "255", "65535"] = "auto",
    minutes: Minutes = 15,
    json: JsonLines = False,
) -> None:
    """Let a bit come in.

    Args:
        mac: Its MAC address; without it the first bit that comes.
        db: The database; made where there is none.
        url: Where the bit is to find the cloud, such as `http://192.168.1.20:8080`.
        localbit: It has the firmware localbit, which is known by the address that it comes from, and by no secret.
        user: Whose it becomes.
        label: What you call it, if it is new.
        input_range: What its input goes up to, which depends on the firmware's version; `auto` takes it for 255 until
            it says more.
        minutes: For how long it may come.
        json: Print `{"enrolment": {"url": …, "file": …}}`; with `--localbit` only the `file`.
    """
    # The extra `server` is not needed to be told how to use this.
    from ..localcloud.gateway import Enrolments, parse_mac, url_for  # noqa: PLC0415
    from ._database import database  # noqa: PLC0415

    if url is None and not localbit:
        raise CommandError("enrol: --url is needed: where the bit is to find the cloud", ExitCode.USAGE)
    try:
        device_id = None if mac is None else parse_mac(mac)
        if url is not None:
            url_for(url, "")
        label.encode()
    except UnicodeEncodeError:  # bytes of another encoding, as the command line hands them on
        raise CommandError("enrol: the label is not UTF-8", ExitCode.USAGE) from None
    except ValueError as exc:
        raise CommandError(f"enrol: {exc}", ExitCode.USAGE) from exc
    async with database(db) as store:
        secret = await Enrolments(store).open(
            device_id,
            with_secret=not localbit,
            user_id=user,
            label=label,
            full_scale=None if localbit else _FULL_SCALES[input_range],
            open_for=minutes * 60,
        )
    say = Printer(json)
    if localbit:
        say({"enrolment": {"file": _HOST_FILE}}, f"file {_HOST_FILE}")
        say.note(f"write the cloud's host name in that file on the card; the bit has {minutes:g} minutes to come")
        say.note("the cloud listens for it with `littlebits serve --localbit`")
    elif url is not None:
        told = url_for(url, secret)
        say({"enrolment": {"url": told, "file": _URL_FILE}}, f"url {told}")
        say.note(f"file {_URL_FILE}")
        say.note(f"write the url in that file on the card; the bit has {minutes:g} minutes to come")


@enrol.command(name="list")
async def list_(*, db: ResolvedExistingFile, json: JsonLines = False) -> None:
    """List the bits that may come in, without their secrets.

    Prints of each: `enrolment <number> <device or any> user <user> <firmware> <enrolled, or open until when> <label>`.

    Args:
        db: The database.
        json: Print one JSON object a line: `{"enrolment": {"id": …, "device_id": …, "user_id": …, "firmware": …,
            "address": …, "open_until": …, "label": …}}`.
    """
    from ..localcloud.gateway import Enrolments  # noqa: PLC0415 - as above
    from ._database import database  # noqa: PLC0415

    say = Printer(json)
    async with database(db) as store:
        enrolments = Enrolments(store)
        await enrolments.reload()
    for item in enrolments:
        firmware = "localbit" if item.digest is None else "cloudbit-software"
        until = None if item.open_until_ms is None else _time(item.open_until_ms)
        record = {
            "id": item.id,
            "device_id": item.device_id,
            "user_id": item.user_id,
            "firmware": firmware,
            "address": item.address,
            "open_until": until,
            "label": item.label,
        }
        state = "enrolled" if until is None else f"open until {until}"
        text = f"enrolment {item.id} {item.device_id or 'any'} user {item.user_id} {firmware} {state} {item.label}"
        say({"enrolment": record}, text.rstrip())


@enrol.command
async def revoke(number: int, /, *, db: ResolvedExistingFile, json: JsonLines = False) -> None:
    """Let a bit in no more; one that is connected is parted with.

    Args:
        number: That of its enrolment, as `list` shows it.
        db: The database.
        json: Print `{"revoked": {"id": …}}`.
    """
    from ._database import database  # noqa: PLC0415 - as above

    async with database(db) as store:
        if not await store.remove_enrolment(number):
            raise CommandError("enrol revoke: no enrolment has this number", ExitCode.REFUSED)
    Printer(json)({"revoked": {"id": number}}, f"revoked {number}")


def _time(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms // 1000, UTC).isoformat().replace("+00:00", "Z")
