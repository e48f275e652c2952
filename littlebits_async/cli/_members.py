"""``littlebits members``: who has an account at a cloud's community, by its database."""

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cyclopts import App, Group
from cyclopts.types import ResolvedExistingFile, ResolvedPath

from ._errors import CommandError, ExitCode
from ._output import JsonLines, Printer
from ._passwords import read_password

if TYPE_CHECKING:
    from ..localcloud.storage import MemberRecord, Store

__all__ = ["members"]

members: Final = App(
    "members",
    help="""See to the members of a cloud's community, by its database.

    They are those of `littlebits serve --community`, and have nothing to do with access tokens. Who forgot a password
    asks the cloud for another one, and the cloud sends no mail: `list` shows who asked and under which address, and
    `password` sets one that you tell them. A cloud that serves the database takes note at once.

    For example:

    - `littlebits members list --db cloud.db`
    - `littlebits members password nora --db cloud.db`
    - `littlebits members logout nora --db cloud.db`
    - `littlebits members remove nora --db cloud.db`
    """,
    group_commands=Group("Commands"),
)


@members.command(name="list")
async def list_(*, db: ResolvedExistingFile, json: JsonLines = False) -> None:
    """List the members, the oldest first.

    Prints of each: `member <number> <username> <email or -> <logins> since <date>`, and `asks for a password since
    <date>` behind it where that is so.

    Args:
        db: The database.
        json: Print one JSON object a line: `{"member": {"id": …, "username": …, "email": …, "logins": …, "created": …,
            "reset_asked": …}}`.
    """
    # The extra `server` is not needed to be told how to use this.
    from ._database import database  # noqa: PLC0415

    say = Printer(json)
    async with database(db) as store:
        found = await store.members.all()
    for member, logins in found:
        created = _iso(member.created_ms)
        asked = None if member.reset_asked_ms is None else _iso(member.reset_asked_ms)
        record = {
            "id": member.id,
            "username": member.username,
            "email": member.email,
            "logins": logins,
            "created": created,
            "reset_asked": asked,
        }
        text = f"member {member.id} {member.username} {member.email or '-'} {logins} since {created}"
        say({"member": record}, text if asked is None else f"{text} asks for a password since {asked}")


@members.command
async def password(
    name: str, /, *, db: ResolvedExistingFile, password_file: ResolvedPath | None = None, json: JsonLines = False
) -> None:
    """Set a member's password, and end all its logins.

    Args:
        name: The member's username.
        db: The database.
        password_file: A file whose first line is the password; without it one is made up, and shown only now.
        json: Print `{"password": …}`; with a file `{"changed": {"username": …}}`.
    """
    from ..localcloud.community import hash_password  # noqa: PLC0415 - as above
    from ._database import database  # noqa: PLC0415 - as above

    chosen = None if password_file is None else read_password(password_file)
    made = chosen or secrets.token_urlsafe(12)
    async with database(db) as store:
        member = await _find(store, name)
        await store.members.set_password(member.id, hash_password(made))
    if chosen is None:
        Printer(json)({"password": made}, f"password {made}")
    else:
        Printer(json)({"changed": {"username": member.username}}, f"changed {member.username}")


@members.command
async def logout(name: str, /, *, db: ResolvedExistingFile, json: JsonLines = False) -> None:
    """End all logins of a member; its password is good for others.

    Args:
        name: The member's username.
        db: The database.
        json: Print `{"ended": {"username": …, "logins": …}}`.
    """
    from ._database import database  # noqa: PLC0415 - as above

    async with database(db) as store:
        member = await _find(store, name)
        logins = await store.members.remove_keys(member.id)
    Printer(json)({"ended": {"username": member.username, "logins": logins}}, f"ended {member.username} {logins}")


@members.command
async def remove(name: str, /, *, db: ResolvedExistingFile, json: JsonLines = False) -> None:
    """Remove a member with all that is kept of it: library, likes, comments, and what others replied to those.

    Projects are not kept but come with the program, so what it made stays.

    Args:
        name: The member's username.
        db: The database.
        json: Print `{"removed": {"username": …}}`.
    """
    from ._database import database  # noqa: PLC0415 - as above

    async with database(db) as store:
        member = await _find(store, name)
        await store.members.remove(member.id)
    Printer(json)({"removed": {"username": member.username}}, f"removed {member.username}")


async def _find(store: "Store", name: str) -> "MemberRecord":
    found = await store.members.find("slug", name.lower())
    if found is None:
        raise CommandError("members: no member has this name", ExitCode.REFUSED)
    return found


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).isoformat().replace("+00:00", "Z")
