"""``littlebits completion``: the shell's part."""

import sys
from typing import Literal

__all__ = ["completion"]


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print what has a shell complete this command's words.

    Commands, options and their values are completed; labels are not, as that would cost requests.

    For example:

    - `source <(littlebits completion bash)` in `~/.bashrc`
    - `littlebits completion zsh > ~/.zfunc/_cyclopts_littlebits`, a folder of zsh's `fpath`, and a name that must be so
    - `littlebits completion fish > ~/.config/fish/completions/littlebits.fish`

    Args:
        shell: Which.
    """
    from ._app import COMMANDS, make_app  # noqa: PLC0415 - which has this

    application = make_app([command.name for command in COMMANDS])
    sys.stdout.write(application.generate_completion(prog_name="littlebits", shell=shell))
