"""``littlebits clients``: which applications may ask for tokens of a cloud, by its database."""

from typing import Annotated, Final

from cyclopts import App, Group, Parameter
from cyclopts.types import ResolvedExistingFile, ResolvedPath

from ._errors import CommandError, ExitCode
from ._output import JsonLines, Printer

__all__ = ["clients"]

clients: Final = App(
    "clients",
    help="""Let applications ask for tokens of a cloud, by its database.

    An application that the cloud knows may ask, by OAuth2, for tokens; whoever has one of the cloud's own allows it in
    the browser. `littlebits`, this command itself, is known to every cloud. A cloud that serves the database takes note
    at once.

    For example:

    - `littlebits clients add my-app --redirect-uri https://app.example/callback --confidential --db cloud.db`
    - `littlebits clients add my-tool --redirect-uri http://127.0.0.1/callback --db cloud.db`
    - `littlebits clients list --db cloud.db`
    """,
    group_commands=Group("Commands"),
)


@clients.command
async def add(
    client_id: str,
    /,
    *,
    redirect_uri: Annotated[list[str], Parameter(negative="")],
    db: ResolvedPath,
    name: str | None = None,
    scopes: str = "read write",
    confidential: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    json: JsonLines = False,
) -> None:
    """Let an application ask for tokens.

    Prints `client <id>`, and for a confidential one `secret …`, which is shown only now.

    Args:
        client_id: What it calls itself when it asks.
        redirect_uri: Where the answer may go, to the letter; may be given again. `http://127.0.0.1/…` and
            `http://[::1]/…` of an application without a secret stand for any port.
        db: The database; made where there is none.
        name: What it is called where somebody is asked; without it its id.
        scopes: What it may ask for: some of `read`, `write`, `admin`.
        confidential: It runs on a server, and can keep a secret; else it must prove its codes its own by PKCE.
        json: Print `{"client": {"id": …, "secret": …}}`, the secret null where there is none.
    """
    # The extra `server` is not needed to be told how to use this.
    from ..localcloud.oauth import BadClientError, new_client  # noqa: PLC0415
    from ._database import database  # noqa: PLC0415

    try:
        client, secret = new_client(
            client_id,
            name=client_id if name is None else name,
            redirect_uris=redirect_uri,
            scopes=scopes.replace(",", " ").split(),
            confidential=confidential,
        )
    except BadClientError as exc:
        raise CommandError(f"clients add: {exc}", ExitCode.USAGE) from exc
    async with database(db) as store:
        if not await store.grants.add_client(client):
            raise CommandError(f"clients add: there is a client {client_id} already", ExitCode.REFUSED)
    say = Printer(json)
    say({"client": {"id": client_id, "secret": secret}}, f"client {client_id}")
    if secret is not None:
        say.note(f"secret {secret}")


@clients.command(name="list")
async def list_(*, db: ResolvedExistingFile, json: JsonLines = False) -> None:
    """List the applications that may ask for tokens.

    Prints of each: `client <id> <public|confidential> <scopes> <redirect URIs> <name>`.

    Args:
        db: The database.
        json: Print one JSON object a line: `{"client": {"id": …, "name": …, "confidential": …, "scopes": […],
            "redirect_uris": […]}}`.
    """
    from ._database import database  # noqa: PLC0415 - as above

    say = Printer(json)
    async with database(db) as store:
        found = await store.grants.clients()
    for client in found:
        scopes, is_confidential = sorted(client.scopes), client.secret is not None
        record = {
            "id": client.id,
            "name": client.name,
            "confidential": is_confidential,
            "scopes": scopes,
            "redirect_uris": client.redirect_uris,
        }
        kind, uris = "confidential" if is_confidential else "public", ",".join(client.redirect_uris)
        say({"client": record}, f"client {client.id} {kind} {','.join(scopes)} {uris} {client.name}")


@clients.command
async def remove(client_id: str, /, *, db: ResolvedExistingFile, json: JsonLines = False) -> None:
    """Let an application ask no more; all tokens that it got end.

    Args:
        client_id: Its id.
        db: The database.
        json: Print `{"removed": {"id": …}}`.
    """
    from ._database import database  # noqa: PLC0415 - as above

    async with database(db) as store:
        if not await store.grants.remove_client(client_id):
            raise CommandError("clients remove: no client has this id", ExitCode.REFUSED)
    Printer(json)({"removed": {"id": client_id}}, f"removed {client_id}")
