"""What all commands of `littlebits` have in common: their help, and what it costs to be told."""

import json
import re
import subprocess
import sys
from importlib import import_module
from typing import Literal

import pytest
from cyclopts import App

from littlebits_async.cli import main
from littlebits_async.cli._app import COMMANDS, Command

each_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


def help_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words, "--help"]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    return output


@each_command
def test_the_summary_is_the_first_line_of_its_help(command: Command) -> None:
    function = getattr(import_module(f"littlebits_async.cli.{command.module}"), command.name)
    text = function.help if isinstance(function, App) else function.__doc__
    assert text.splitlines()[0] == command.summary


@each_command
def test_its_help_has_an_example_and_is_plain_where_nobody_looks_on(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    text = help_of(capsys, command.name)
    assert command.summary.split()[0] in text
    assert re.search(rf"For example:\s+(•|-) .*littlebits {command.name}", text)
    assert not set(text) & set("\x1b╭│─╰")


@each_command
def test_what_prints_can_print_json(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    if command.name in {"completion", "dashboard"}:
        return  # a script; a page
    function = getattr(import_module(f"littlebits_async.cli.{command.module}"), command.name)
    within: list[tuple[str, ...]] = [()]
    if isinstance(function, App):
        within = [(name,) for name in function if not name.startswith("-")]
        assert within
    for words in within:
        assert "--json" in help_of(capsys, command.name, *words), words


def test_the_help_names_every_command_and_loads_none() -> None:
    code = (
        "import json, sys; from littlebits_async.cli import main; main(['--help'])\n"
        "sys.stderr.write(json.dumps([*sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in COMMANDS:
        assert f"  {command.name}: {command.summary}" in done.stdout
    loaded = set(json.loads(done.stderr))
    assert not {f"littlebits_async.cli.{command.module}" for command in COMMANDS} & loaded
    assert not {"rich.markdown", "httpx", "anyio", "starlette", "platformdirs"} & loaded
    assert all(len(line) < 80 for line in done.stdout.splitlines())


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_is_a_script(shell: Literal["zsh", "fish"], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command.name in script for command in COMMANDS)
    assert "--duration" in script or "duration" in script


def test_the_help_names_the_file_that_zsh_wants(capsys: pytest.CaptureFixture[str]) -> None:
    # Of another name it defines the function each time that it is to complete, and completes nothing.
    assert main(["completion", "zsh"]) == 0
    functions = re.findall(r"^(\w+)\(\) \{", capsys.readouterr().out, re.MULTILINE)
    assert len(functions) == 1
    assert f"~/.zfunc/{functions[0]}" in help_of(capsys, "completion")


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["unsub"], ["unsubscribe"]),
        (["output", "--dur"], ["--duration"]),
        (["light", "--mode", "bl"], ["blink"]),
        (["tokens", "re"], ["revoke"]),
    ],
)
def test_bash_completes_with_it(words: list[str], completed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    asks = (
        f"COMP_WORDS=(littlebits {' '.join(words)}); COMP_CWORD={len(words)}; _littlebits\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["/bin/bash", "-c", f"{script}\n{asks}"], capture_output=True, text=True, check=True)
    assert [word.strip() for word in done.stdout.splitlines()] == completed
