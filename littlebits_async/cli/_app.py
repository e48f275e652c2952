"""All commands, and what they have in common."""

from typing import Final

from cyclopts import App
from cyclopts.config import Env

from .._version import __version__
from ._demo import demo
from ._login import login
from ._record import record
from ._replay import replay
from ._serve import serve
from ._tokens import tokens

__all__ = ["app"]

app: Final = App(
    "littlebits",
    help="""littleBits cloudBits on the command line, and a cloud of your own.

    `LITTLEBITS_TOKEN` is the access token, else whoever has logged in is asked for one; `LITTLEBITS_BASE_URL` is the
    cloud. Any option can be set by a variable too, as its command's help says. Exit codes: 0 done, 1 the API said no,
    2 usage, 3 not reachable, 70 a bug of ours, 130 Ctrl-C before anything was done.

    For example:

    - `littlebits demo`
    - `littlebits serve --port 8080 --db cloud.db`
    - `littlebits tokens create --db cloud.db --scopes read`
    """,
    version=f"littlebits-async {__version__}",
    config=Env("LITTLEBITS_"),
    # Errors and results are the frame's.
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)

app.command(demo)
app.command(login)
app.command(record)
app.command(replay)
app.command(serve)
app.command(tokens)
