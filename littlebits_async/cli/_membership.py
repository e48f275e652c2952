"""Who the command line is in a community: the environment, or else whoever has logged in there."""

import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from ..community import Community
from ..errors import AuthenticationError, TransportError
from ._errors import CommandError, ExitCode
from ._files import check_private, write_whole

__all__ = ["KEY_VARIABLE", "Membership", "membership", "open_community"]

_BASE_URL: Final = "LITTLEBITS_COMMUNITY_URL"
KEY_VARIABLE: Final = "LITTLEBITS_COMMUNITY_KEY"


@frozen
class Membership:
    """What `littlebits community login` leaves behind: a key, and where it is good.

    Attributes:
        path: The file that keeps it, which only its owner may read.
    """

    path: Path

    def read(self) -> tuple[str | None, str | None]:
        """Return where somebody has logged in, and the key; None for both where nobody has.

        Raises:
            CommandError: Others may read the file.
        """
        try:
            check_private(self.path)
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            return str(kept["base_url"]), str(kept["api_key"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None, None

    def keep(self, base_url: str, api_key: str) -> None:
        """Keep a key, in place of any before."""
        write_whole(self.path, json.dumps({"base_url": base_url.rstrip("/"), "api_key": api_key}))

    def forget(self) -> None:
        """Forget it."""
        self.path.unlink(missing_ok=True)


def membership() -> Membership:
    """Return what the last login left."""
    import platformdirs  # noqa: PLC0415 - loaded where it is needed

    return Membership(platformdirs.user_config_path("littlebits") / "community.json")


@asynccontextmanager
async def open_community(base_url: str | None = None) -> AsyncGenerator[Community, None]:
    """Open the community, with the key of whoever this command is run by where there is one.

    Args:
        base_url: Where; None is ``LITTLEBITS_COMMUNITY_URL``, or where the last login was, or the vendor's.

    Raises:
        CommandError: Others may read the key; in the block: there is none and it takes one, or nobody answers.
    """
    kept_url, kept_key = membership().read()
    url = base_url or os.environ.get(_BASE_URL) or kept_url
    # Nobody else's is sent it.
    key = os.environ.get(KEY_VARIABLE) or (kept_key if url and url.rstrip("/") == kept_url else None)
    community = Community(key, base_url=url)
    try:
        async with community:
            yield community
    except AuthenticationError as exc:
        if community.has_key:
            hint = f"is {KEY_VARIABLE} a key of this community? " if os.environ.get(KEY_VARIABLE) else ""
            raise CommandError(f"{exc} ({hint}`littlebits community login` gets another)", ExitCode.REFUSED) from exc
        message = f"this takes a key: `littlebits community login`, or {KEY_VARIABLE} ({exc})"
        raise CommandError(message, ExitCode.REFUSED) from exc
    except TransportError as exc:
        if url is None:  # the vendor's, of which the client has something to say
            raise
        raise CommandError(f"{exc} (is a cloud running at {url}, with --community?)", ExitCode.UNREACHABLE) from exc
