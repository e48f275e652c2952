"""The command line's frame: errors, exit codes, what is printed."""

import json
import subprocess
import sys
from typing import NoReturn

import pytest

import littlebits_async as api
from littlebits_async.cli import main
from littlebits_async.cli._errors import CommandError, ExitCode, explain, unwrap
from littlebits_async.cli._output import Printer


class Fails:
    """An app whose every command fails with an error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, _: object) -> NoReturn:
        raise self.error


REFUSALS = [
    api.APIError("no"),
    api.AuthenticationError("no", status=401),
    api.NotFoundError("no", status=404),
    api.RateLimitedError("no", status=429),
    api.ServiceUnavailableError("no", status=503),
    api.BudgetExhaustedError("no", wait=3.0),
    api.DecodeError("no"),
    api.NoStreamsLeftError("no"),
    CommandError("no", ExitCode.REFUSED),
    PermissionError("no"),
]
UNREACHABLE = [api.TransportError("no"), api.RequestTimeoutError("no"), api.StreamStalledError("no")]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        *((error, 1) for error in REFUSALS),
        (api.InvalidArgumentError("no"), 2),
        *((error, 3) for error in UNREACHABLE),
        (ExceptionGroup("", [ExceptionGroup("", [api.TransportError("no")])]), 3),
        (ZeroDivisionError("no"), 70),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_is_a_line_and_a_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("littlebits_async.cli._frame.app", Fails(error))
    assert main([]) == code
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("littlebits: ")
    assert errors.count("\n") == 1
    assert "Traceback" not in errors


def test_ctrl_c_is_a_code_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("littlebits_async.cli._frame.app", Fails(KeyboardInterrupt()))
    assert main([]) == 130
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_while_modules_are_loaded_is_a_code_alone() -> None:
    code = (
        "import sys; from littlebits_async.cli import main\n"
        "class Interrupts:\n"
        "    def find_spec(self, *_): raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupts()); sys.exit(main(['--version']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(
    ("arguments", "code", "closed"),
    [
        *(("completion bash", 0, closed) for closed in ("<&-", ">&-", "2>&-")),
        *(("demo --nosuch", 2, closed) for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-")),
        ("demo --devices 2 --seconds 1 --plain", 0, "<&- >&- 2>&-"),  # whose sockets must not take their places
    ],
)
def test_streams_that_are_closed_are_no_error(closed: str, arguments: str, code: int) -> None:
    line = f'"{sys.executable}" -W error -m littlebits_async {arguments} {closed}'
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == code
    assert done.stderr.count("\n") == (1 if code and "2>" not in closed else 0)


def test_a_cloud_that_fails_ends_serve() -> None:
    code = (
        "import sys; from littlebits_async import cli, localcloud\n"
        "class Failing:\n"
        "    due = 0.0\n"
        "    def tick(self, now): raise ZeroDivisionError('no')\n"
        "class Fails(localcloud.LocalCloud):\n"
        "    async def create_token(self):\n"
        "        vars(self)['_ticker'].plan(Failing())\n"
        "        return 'token'\n"
        "localcloud.LocalCloud = Fails; sys.exit(cli.main(['serve', '--simulate', '0']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=10)
    assert done.returncode == ExitCode.BUG
    assert done.stderr.startswith("littlebits: ZeroDivisionError: no (a bug")
    assert done.stderr.count("\n") == 1


def test_every_error_of_the_package_has_a_meaning() -> None:
    classes = [getattr(api, name) for name in api.__all__ if name.endswith("Error")]
    codes = {cls: explain(cls("no"))[0] for cls in classes}
    assert set(codes.values()) == {ExitCode.REFUSED, ExitCode.USAGE, ExitCode.UNREACHABLE}
    assert all(code is ExitCode.REFUSED for cls, code in codes.items() if issubclass(cls, api.APIError))


def test_a_line_is_one_line_and_steers_no_terminal() -> None:
    _, line = explain(api.APIError("bad\n  thing \x1b[2J happened\r"))
    assert line == "bad thing \ufffd[2J happened"


def test_an_error_of_the_system_is_in_words() -> None:
    assert explain(FileNotFoundError(2, "No such file", "x.csv")) == (ExitCode.REFUSED, "x.csv: No such file")
    assert explain(OSError(28, "No space left on device")) == (ExitCode.REFUSED, "No space left on device")


@pytest.mark.parametrize(("module", "extra"), [("starlette", "server"), ("uvicorn.protocols", "server")])
def test_a_missing_extra_is_named(module: str, extra: str) -> None:
    code, line = explain(ModuleNotFoundError(f"No module named {module!r}", name=module))
    assert code is ExitCode.USAGE
    assert f'pip install "littlebits-async[{extra}]"' in line


def test_another_missing_module_is_a_bug() -> None:
    assert explain(ModuleNotFoundError("no", name="nosuch"))[0] is ExitCode.BUG


def test_serve_without_its_extra_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['starlette'] = None; from littlebits_async.cli import main; sys.exit(main(['serve']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert 'pip install "littlebits-async[server]"' in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_the_extra_cli_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['cyclopts'] = None; from littlebits_async.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert 'pip install "littlebits-async[cli]"' in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_loads_no_server() -> None:
    code = (
        "import sys; from littlebits_async.cli import main; code = main(['serve', '--help'])\n"
        "assert not {'starlette', 'uvicorn', 'limits'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "littlebits serve --port 8080" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "nosuch"),
        (["demo", "--nosuch"], "(see littlebits demo --help)"),
        (["demo", "--devices", "1"], "--devices"),
        (["demo", "--seconds", "-1"], "--seconds"),
        (["serve", "--port", "70000"], "--port"),
        (["serve", "--limit", "many"], "--limit"),
    ],
)
def test_wrong_usage_is_a_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == ExitCode.USAGE
    output, errors = capsys.readouterr()
    assert output == ""
    assert said in errors
    assert errors.count("\n") == 1


def test_a_variable_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LITTLEBITS_SERVE_PORT", "http")
    assert main(["serve"]) == ExitCode.USAGE
    assert "LITTLEBITS_SERVE_PORT" in capsys.readouterr().err


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"littlebits-async {api.__version__}\n"
    assert main([]) == 0
    everything = capsys.readouterr().out
    assert "LITTLEBITS_TOKEN" in everything
    assert "demo" in everything
    assert "serve" in everything


def test_the_words_of_the_process_are_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["littlebits", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("littlebits-async ")


def test_a_bug_shows_its_traceback_to_developers_only() -> None:
    code = (
        "import sys; from littlebits_async.cli import _frame\ndef broken(_): raise KeyError('x')\n"
        "_frame.app = broken; sys.exit(_frame.run([]))"
    )
    quiet, loud = (
        subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=False)
        for options in ([], ["-X", "dev"])
    )
    assert quiet.returncode == loud.returncode == ExitCode.BUG
    assert quiet.stderr.startswith("littlebits: KeyError: 'x'")
    assert loud.stderr.startswith("Traceback")


def test_log_records_are_lines() -> None:
    code = (
        "import logging, sys; from littlebits_async.cli import main; main(['--version'])\n"
        "try: 1 / 0\nexcept ZeroDivisionError: logging.getLogger('asyncio').exception('odd\\nthing')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "littlebits: odd thing\n"


def test_log_records_that_repeat_are_counted() -> None:
    code = (
        "import logging; from littlebits_async.cli import main; main(['--version'])\n"
        "for text in 'aaabcc': logging.getLogger('x').error(text)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == [
        *("littlebits: a", "littlebits: (the same 2 times more)", "littlebits: b"),
        *("littlebits: c", "littlebits: (the same 1 times more)"),
    ]


def test_the_first_error_of_a_group_counts() -> None:
    first = api.APIError("first")
    assert unwrap(BaseExceptionGroup("", [ExceptionGroup("", [first, ValueError()]), KeyboardInterrupt()])) is first


def test_printing(capsys: pytest.CaptureFixture[str]) -> None:
    for say in (Printer(as_json=False), Printer(as_json=True)):
        say({"device": {"label": "Läufer\n"}}, "device Läufer\n")
        say.note("a note")
    *text, record = capsys.readouterr().out.splitlines()
    assert text == ["device Läufer\ufffd", "a note"]
    assert json.loads(record) == {"device": {"label": "Läufer\n"}}
