"""All commands, and what they have in common."""

import sys
from collections.abc import Container, Iterable
from typing import Final

from attrs import frozen
from cyclopts import App, Group
from cyclopts.config import Env

from .._version import __version__
from ._terminal import is_screen

__all__ = ["COMMANDS", "Command", "app", "make_app"]


@frozen
class Command:
    """A command, which is loaded when it is run, or asked how it is used.

    Attributes:
        name: What it is called; its function is of the same name.
        module: Where that is, in this package.
        summary: The first line of its docstring.
        group: Under which heading it stands.
    """

    name: str
    module: str
    summary: str
    group: Group


_BITS, _INPUTS, _FOLLOWING, _CLOUD, _COMMUNITY, _SELF, _OPTIONS = (
    Group(name, sort_key=place)
    for place, name in enumerate(
        ("Your cloudBits", "Their inputs", "Who follows whom", "A cloud of your own", "The community", "You", "Options")
    )
)

COMMANDS: Final = (
    Command("devices", "_devices", "List your cloudBits.", _BITS),
    Command("device", "_devices", "Show one cloudBit.", _BITS),
    Command("output", "_write", "Set the output of cloudBits, in percent of 5 V.", _BITS),
    Command("light", "_write", "Set the light of cloudBits.", _BITS),
    Command("rename", "_owning", "Give a cloudBit another label.", _BITS),
    Command("activate", "_owning", "Make a cloudBit yours.", _BITS),
    Command("deactivate", "_owning", "Give a cloudBit up.", _BITS),
    Command("read", "_read", "Read the inputs of cloudBits, once.", _INPUTS),
    Command("watch", "_watch", "Watch the inputs of cloudBits, live.", _INPUTS),
    Command("dashboard", "_dashboard", "Watch and steer your cloudBits on a web page.", _INPUTS),
    Command("record", "_record", "Write the inputs of cloudBits to a file.", _INPUTS),
    Command("replay", "_replay", "Print the events of a recording, with the spacing that they had.", _INPUTS),
    Command("subscribe", "_following", "Have a cloudBit's input told to another cloudBit, or to a URL.", _FOLLOWING),
    Command("unsubscribe", "_following", "End a subscription.", _FOLLOWING),
    Command("subscriptions", "_following", "List who follows whom.", _FOLLOWING),
    Command("demo", "_demo", "Watch simulated cloudBits stream through a cloud on this machine.", _CLOUD),
    Command("serve", "_serve", "Run a littleBits cloud on this machine.", _CLOUD),
    Command("tokens", "_tokens", "Make and revoke access tokens in a cloud's database.", _CLOUD),
    Command("clients", "_clients", "Let applications ask for tokens of a cloud, by its database.", _CLOUD),
    Command("members", "_members", "See to the members of a cloud's community, by its database.", _CLOUD),
    Command("enrol", "_enrol", "Let a real cloudBit into a cloud, by its database.", _CLOUD),
    Command("projects", "_projects", "Find projects, look at them, say what you think of them.", _COMMUNITY),
    Command("products", "_products", "List bits, kits and accessories.", _COMMUNITY),
    Command("library", "_library", "Keep a list of the bits that you have.", _COMMUNITY),
    Command("community", "_community", "Join the community, log in and out.", _COMMUNITY),
    Command("login", "_login", "Log in at a cloud, for all other commands.", _SELF),
    Command("logout", "_logout", "Forget a login.", _SELF),
    Command("completion", "_completion", "Print what has a shell complete this command's words.", _SELF),
)

_HELP: Final = """littleBits cloudBits on the command line, and a cloud of your own.

The cloud is that of `littlebits login`, unless LITTLEBITS_BASE_URL names
another; LITTLEBITS_TOKEN goes before the token of a login. Any option can be
set by a variable too, as its command's help says.

A cloudBit is named by its id, its label, the beginning of its label, a pattern
of labels as 'kitchen*', or `all`.

Exit codes: 0 done, 1 the API said no, 2 usage, 3 not reachable, 70 a bug of
ours, 130 Ctrl-C before it was done.

For example:

  littlebits demo
  littlebits serve --simulate 4
  littlebits devices
  littlebits output 'kitchen*' 40 --duration 2s
  littlebits output --help
"""


def app(arguments: Iterable[str]) -> int | None:
    """Run the command that the arguments name; it returns nothing, or an exit code."""
    words = list(arguments)
    result: int | None = make_app(words)(words)
    return result


def make_app(named: Container[str]) -> App:
    """Make the application.

    Args:
        named: Commands that are of interest; of the others no more than a line is known, so they need not be loaded.
    """
    made = App(
        "littlebits",
        help=_HELP,
        version=f"littlebits-async {__version__}",
        config=Env("LITTLEBITS_"),
        group_commands=_OPTIONS,
        # The help of commands is Markdown, which takes its time to load; the one above needs none. Boxes are for eyes.
        help_format="markdown" if any(command.name in named for command in COMMANDS) else "plaintext",
        help_formatter="default" if is_screen(sys.stdout) else "plain",
        # Errors and results are the frame's.
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for place, command in enumerate(COMMANDS):
        if command.name in named:
            path = f"{__package__}.{command.module}:{command.name}"
            made.command(path, name=command.name, group=command.group, sort_key=place)
        else:
            made.command(App(command.name, help=command.summary, group=command.group, sort_key=place))
    return made
