"""`littlebits devices`, `output`, `read` and their like, against a cloud, as people and scripts run them."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from littlebits_async.cli import main
from littlebits_async.localcloud import Bit, LocalCloud
from littlebits_async.testing import RunningCloud, run_cloud
from tests.support.command import Result, command, run
from tests.support.local_cloud import free_port
from tests.support.terminal import Shown, run_in_terminal

LAMP, FAN, DIMMER = IDS = [f"00e04000000{number}" for number in (1, 2, 3)]
LABELS = ["kitchen lamp", "kitchen fan", "dimmer"]
NO_BIT = "00e04000000f"

Littlebits = Callable[..., Result]


@pytest.fixture
def cloud(running_cloud: RunningCloud) -> RunningCloud:
    """A cloud with three bits at 61 percent, the dimmer off line."""
    for device_id, label in zip(IDS, LABELS, strict=True):
        bit = running_cloud.portal.call(partial(running_cloud.add_device, device_id, label=label))
        running_cloud.portal.call(bit.set_input, 61)
        running_cloud.portal.call(partial(bit.set_connected, to=device_id != DIMMER))
    return running_cloud


@pytest.fixture
def littlebits(cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Littlebits:
    """Runs the command in this process."""
    monkeypatch.setenv("LITTLEBITS_BASE_URL", cloud.url)
    monkeypatch.setenv("LITTLEBITS_TOKEN", cloud.token)

    def call(*words: str) -> Result:
        code = main(words)
        output, errors = capsys.readouterr()
        return Result(code, output, errors)

    return call


def records(done: Result) -> list[dict[str, Any]]:
    assert done.errors == ""
    return [json.loads(line) for line in done.output.splitlines()]


def see(cloud: RunningCloud, look: Callable[[Bit], object]) -> dict[str, object]:
    """Look at each bit in its own thread."""

    def look_at_all(cloud: LocalCloud) -> dict[str, object]:
        return {bit.id: look(bit) for bit in cloud.devices.values()}

    return cloud.portal.call(cloud.see, look_at_all)


def test_devices_and_device(littlebits: Littlebits) -> None:
    header, *rows = littlebits("devices").output.splitlines()
    assert header.split()[:3] == ["label", "id", "state"]
    assert [row.split("  ")[0] for row in rows] == LABELS
    assert "off line" in rows[2]
    found = records(littlebits("devices", "kitchen*", "--json"))
    assert [(each["device"]["id"], each["device"]["is_connected"]) for each in found] == [(LAMP, True), (FAN, True)]
    for name in (DIMMER, "dimmer"):
        done = littlebits("device", name)
        assert (done.code, done.errors) == (0, "")
        assert f"id       {DIMMER}\nlabel    dimmer\nstate    off line\n" in done.output
        assert records(littlebits("device", name, "--json"))[0]["device"]["label"] == "dimmer"


def test_output_for_one_a_pattern_and_all(littlebits: Littlebits, cloud: RunningCloud) -> None:
    done = littlebits("output", "kitchen*", "40%", "--duration", "forever")
    assert (done.code, done.errors) == (0, "")
    assert sorted(done.output.splitlines()) == [
        *("kitchen fan: 40 % until the next", "kitchen lamp: 40 % until the next")
    ]
    assert see(cloud, lambda bit: bit.shown) == {LAMP: 40, FAN: 40, DIMMER: 0}
    assert records(littlebits("output", LAMP, "7", "--duration", "2s", "--json")) == [
        {"output": {"device_id": LAMP, "label": "", "is_connected": None, "percent": 7.0, "duration_ms": 2000}}
    ]
    done = littlebits("output", "all", "0")
    assert done.code == 0
    assert "dimmer: 0 % for 3 s, but it is off line\n" in done.output
    assert see(cloud, lambda bit: bit.shown) == dict.fromkeys(IDS, 0)


def test_light(littlebits: Littlebits, cloud: RunningCloud) -> None:
    done = littlebits("light", "kitchen l", "purple", "--mode", "blink", "--duration", "10s")
    assert (done.code, done.output, done.errors) == (0, "kitchen lamp: purple blink for 10 s\n", "")
    assert "purple" in repr(see(cloud, lambda bit: bit.light)[LAMP])
    (record,) = records(littlebits("light", LAMP, "--mode", "hold", "--json"))
    assert record["light"]["mode"] == "hold"
    assert littlebits("light", LAMP, "mauve").code == 2


def test_read(littlebits: Littlebits) -> None:
    done = littlebits("read", "kitchen*")
    assert (done.code, done.errors) == (0, "")
    _, *rows = done.output.splitlines()
    assert [row.split("  ")[0] for row in rows] == LABELS[:2]
    assert all("61 %" in row and "3.05 V" in row for row in rows)
    found = records(littlebits("read", LAMP, FAN, "--json"))
    assert {each["event"]["device_id"]: each["event"]["percent"] for each in found} == {LAMP: 61, FAN: 61}


def test_one_that_fails_leaves_the_others_and_tells_the_worst(littlebits: Littlebits) -> None:
    done = littlebits("read", "--timeout", "0.2")
    assert done.code == 3
    assert "kitchen lamp" in done.output
    assert "kitchen fan" in done.output
    told, summary = done.errors.splitlines()
    assert told.startswith(f"littlebits: dimmer: device {DIMMER}: no event in 0.2 s")
    assert summary == "littlebits: read: 1 of 3 cloudBits failed"
    done = littlebits("read", LAMP, NO_BIT, DIMMER, "--timeout", "0.2")
    assert (done.code, "61 %" in done.output) == (3, True)
    refused, _, summary = done.errors.splitlines()
    assert refused.startswith(f"littlebits: {NO_BIT}: ")
    assert summary == "littlebits: read: 2 of 3 cloudBits failed"


def test_subscriptions(littlebits: Littlebits) -> None:
    hook = "http://example.org/hook?key=1"
    done = littlebits("subscribe", "dimmer", "kitchen l", "--events", "amplitude")
    assert (done.code, done.output, done.errors) == (0, "kitchen lamp is told of dimmer: amplitude\n", "")
    events = ["amplitude:delta:ignite", "amplitude:delta:release"]
    assert records(littlebits("subscribe", FAN, hook, "--json", "--events", *events)) == [
        {"subscription": {"publisher_id": FAN, "subscriber_id": hook, "events": events}}
    ]
    listed = littlebits("subscriptions").output.splitlines()
    assert [line.split("  ")[0] for line in listed] == ["publisher", "dimmer", "kitchen fan"]
    assert hook in listed[2]
    assert [each["subscription"]["publisher_id"] for each in records(littlebits("subscriptions", "--json"))] == [
        *(DIMMER, FAN)
    ]
    for name in (LAMP, "dimmer"):
        (found,) = records(littlebits("subscriptions", name, "--json"))
        assert found["subscription"]["subscriber_id"] == LAMP
    assert f"tells    {LAMP} (amplitude)" in littlebits("device", "dimmer").output
    assert littlebits("unsubscribe", "dimmer", LAMP).output == "kitchen lamp is not told of dimmer any more\n"
    assert records(littlebits("unsubscribe", FAN, hook, "--json")) == [
        {"unsubscribed": {"publisher_id": FAN, "subscriber_id": hook}}
    ]
    assert littlebits("subscriptions").output == ""


def test_rename_deactivate_and_activate(littlebits: Littlebits) -> None:
    assert littlebits("rename", "dimmer", "knob").output == "dimmer is called knob now\n"
    assert records(littlebits("rename", DIMMER, "dial", "--json"))[0]["device"]["label"] == "dial"
    done = littlebits("deactivate", "dial")
    assert (done.code, done.output) == (2, "")
    assert "--yes means it" in done.errors
    assert littlebits("deactivate", "dial", "--yes").output == "dial belongs to nobody now\n"
    assert len(littlebits("devices").output.splitlines()) == 3
    assert littlebits("activate", DIMMER, "--label", "wheel").output == "wheel is yours\n"
    assert records(littlebits("activate", DIMMER, "--json"))[0]["device"]["id"] == DIMMER
    assert records(littlebits("deactivate", DIMMER, "-y", "--json")) == [{"deactivated": {"id": DIMMER, "label": ""}}]


def test_watch_in_a_pipe(littlebits: Littlebits) -> None:
    done = littlebits("watch", "kitchen*", "--seconds", "0.7")
    assert (done.code, done.errors) == (0, "")
    lines = done.output.splitlines()
    for device_id, label in zip(IDS[:2], LABELS, strict=False):
        assert any(line.endswith(f"{device_id} {label} live") for line in lines)
        assert any(line.endswith(f"{device_id} {label}  61.0 %") for line in lines)
    assert all(char.isprintable() or char == "\n" for char in done.output)
    found = records(littlebits("watch", LAMP, "--seconds", "0.7", "--json"))
    assert {next(iter(record)) for record in found} == {"status", "event"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("device", "nosuch"), 1, "no cloudBit is named 'nosuch': `littlebits devices` lists yours"),
        (("output", "dimer", "3"), 1, "did you mean 'dimmer'?"),
        (("output", "kitchen", "3"), 2, "'kitchen' is the beginning of the labels of 2 cloudBits"),
        (("rename", "kitchen*", "x"), 2, "means 2 cloudBits"),
        (("output", NO_BIT, "3"), 1, f"POST /devices/{NO_BIT}/output failed: 404"),
        (("output", "dimmer", "101"), 2, "a number from 0 to 100"),
        (("subscribe", "dimmer", LAMP, "--events", "nosuch"), 1, "must be one of amplitude"),
        (("unsubscribe", "dimmer", LAMP), 1, "404"),
        (("watch", "nosuch"), 1, "no cloudBit is named"),
        (("completion", "tcsh"), 2, "tcsh"),
    ],
)
def test_what_cannot_be_done_is_a_line_and_a_code(
    littlebits: Littlebits, words: tuple[str, ...], code: int, said: str
) -> None:
    done = littlebits(*words)
    assert (done.code, done.output) == (code, "")
    assert done.errors.startswith("littlebits: ")
    assert said in done.errors
    assert done.errors.count("\n") == 1


COMMANDS = [
    *(("devices",), ("device", LAMP), ("output", "all", "0"), ("light", LAMP), ("read", LAMP), ("watch",)),
    *(("rename", LAMP, "x"), ("activate", LAMP), ("deactivate", LAMP, "--yes")),
    *(("subscribe", LAMP, FAN), ("unsubscribe", LAMP, FAN), ("subscriptions",)),
]


def test_a_token_that_is_refused_is_a_line(littlebits: Littlebits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITTLEBITS_TOKEN", "nobody's")
    for words in COMMANDS:
        done = littlebits(*words)
        assert (done.code, done.output) == (1, ""), words
        assert "is LITTLEBITS_TOKEN a token of this cloud?" in done.errors
        assert "nobody's" not in done.errors
        assert done.errors.count("\n") == 1


def test_a_cloud_that_is_away_is_a_line(littlebits: Littlebits, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("LITTLEBITS_BASE_URL", nowhere)
    for words in COMMANDS[:6:4]:
        done = littlebits(*words)
        assert (done.code, done.output) == (3, ""), words
        assert done.errors.endswith(f"(is a cloud running at {nowhere}?)\n")
        assert done.errors.count("\n") == 1


def test_no_bits_are_no_error(
    running_cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables(running_cloud).items():
        monkeypatch.setenv(name, value)
    assert main(["devices", "--json"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["devices"]) == 0
    assert "`littlebits activate` makes one yours" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("littlebits --help | true", (0, 0)),
        ("littlebits devices | true", (0, 0)),
        ("littlebits output all 101 2>&1 | true", (2, 0)),
        ("littlebits read --timeout 0.2 2>&1 >/dev/null | true", (3, 0)),
        ("littlebits devices >/dev/full", (1,)),
    ],
)
def test_who_does_not_read_on_changes_no_code(cloud: RunningCloud, line: str, codes: tuple[int, ...]) -> None:
    script = f'littlebits() {{ sleep 0.05; "{sys.executable}" -W error -m littlebits_async "$@"; }}\n{line}\n'
    done = subprocess.run(
        ["/bin/bash", "-c", f'{script}echo "${{PIPESTATUS[@]}}"'],
        env=os.environ | variables(cloud),
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stdout.split() == [str(code) for code in codes]
    assert "Traceback" not in done.stderr


# The hour's requests


@pytest.fixture
def poor() -> Iterator[RunningCloud]:
    """A cloud with twelve bits that allows ten requests an hour."""
    with run_cloud(limit=10) as cloud:
        for number in range(12):
            cloud.portal.call(partial(cloud.add_device, f"00e04000000{number:x}", label=f"bit {number}"))
        yield cloud


def variables(cloud: RunningCloud) -> dict[str, str]:
    return {"LITTLEBITS_BASE_URL": cloud.url, "LITTLEBITS_TOKEN": cloud.token}


@pytest.mark.asyncio
async def test_who_waits_for_the_budget_says_so_and_how_long_and_can_be_ended(poor: RunningCloud) -> None:
    async with command("output", "all", "40", **variables(poor)) as running:
        assert running.process.stderr is not None
        told = (await running.process.stderr.readline()).decode()
        assert told == "littlebits: output: 9 of 12 done; waits 60 min for the hour's requests\n"
        done = await running.result(signal.SIGINT)
    assert done.code == 130
    assert done.output.count("\n") == 9
    assert done.errors == "littlebits: output: ended after 9 of 12\n"
    # One alone does not wait for an hour.
    done = await run("output", "00e040000001", "40", **variables(poor))
    assert (done.code, done.output) == (1, "")
    assert "429" in done.errors
    assert done.errors.count("\n") == 1


# Who one is


def kept(home: Path) -> dict[str, Path]:
    return {path.name: path for path in home.rglob("*.json")}


@pytest.mark.asyncio
async def test_a_token_that_one_has_is_kept_for_all_commands_until_logout(
    running_cloud: RunningCloud, tmp_path: Path
) -> None:
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    login = ("login", "--with-token", "--base-url", running_cloud.url)
    await running_cloud.add_device(LAMP, label="lamp")

    async def log_in(token: str) -> Result:
        async with command(*login, **home) as running:
            assert running.process.stdin is not None
            running.process.stdin.write(f"{token}\n".encode())
            running.process.stdin.close()
            return await running.result()

    refused = await log_in("nobody's")
    assert (refused.code, kept(tmp_path)) == (1, {})
    assert refused.errors == f"littlebits: login: {running_cloud.url} does not know this token\n"

    done = await log_in(running_cloud.token)
    assert (done.code, done.output, done.errors) == (0, f"logged in at {running_cloud.url}\n", "")
    assert sorted(kept(tmp_path)) == ["cloud.json", "token.json"]
    assert running_cloud.token not in done.output
    done = await run("devices", **home)  # that cloud, without being named
    assert (done.code, "lamp" in done.output) == (0, True)

    token = kept(tmp_path)["token.json"]
    token.chmod(0o644)
    done = await run("devices", **home)
    assert (done.code, done.output) == (2, "")
    assert f"chmod 600 {token}" in done.errors

    done = await run("logout", **home)
    assert (done.code, done.errors, kept(tmp_path)) == (0, "", {})
    assert done.output.startswith(f"logged out at {running_cloud.url}\nthe token stays valid")


def test_who_has_not_logged_in_is_told_how_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("LITTLEBITS_TOKEN", raising=False)
    monkeypatch.delenv("LITTLEBITS_BASE_URL", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    for words, code, said in [
        (
            ("devices",),
            2,
            "log in with `littlebits login`; the vendor's cloud is switched off, `littlebits serve` runs",
        ),
        (("logout",), 1, "logout: nobody has logged in at https://"),
        (("login", "--with-token", "--base-url", "http://127.0.0.1:1"), 2, "login: no token was given"),
    ]:
        assert main(words) == code
        output, errors = capsys.readouterr()
        assert output == ""
        assert said in errors
        assert errors.count("\n") == 1


def test_what_a_refused_token_records_leaves_no_file(
    littlebits: Littlebits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LITTLEBITS_TOKEN", "nobody's")
    path = tmp_path / "run.csv"
    assert (littlebits("record", "--to", str(path)).code, path.exists()) == (1, False)
    path.touch()
    assert littlebits("record", "--to", str(path)).code == 1
    assert path.exists()  # it was there before


# At a terminal


@pytest.mark.asyncio
async def test_watch_at_a_terminal_is_a_table_that_ctrl_c_ends(cloud: RunningCloud) -> None:
    shown = await run_in_terminal(
        "watch", columns=60, lines=12, replies=[("61 %.*61 %", signal.SIGINT)], environment=variables(cloud)
    )
    assert shown.code == 0
    during, left = shown.raw.split("\x1b[?1049l")
    assert during.startswith("\x1b[?1049h")
    lines = Shown(0, left).text.splitlines()
    assert lines[0].startswith("littlebits watch  2 of 3 live")
    drawn = [line for line in lines if line.startswith(("littlebits watch", "label", *LABELS))]
    assert len(drawn) == 2 + len(LABELS)
    assert [line for line in drawn if len(line) > 60] == []
    rows = [line for line in lines if "live " in line and "61 %" in line]
    assert [row[:12].strip() for row in rows] == LABELS[:2]
    assert all("▅" in row and "3.05 V" in row for row in rows)
    assert "requests are left this hour" in lines[-1]


@pytest.mark.asyncio
async def test_at_a_terminal_tables_have_bars_and_no_color_is_honoured(cloud: RunningCloud) -> None:
    shown = await run_in_terminal("read", "kitchen*", columns=60, environment=variables(cloud))
    assert shown.text.count("█") > 20
    assert "\x1b[36;" in shown.raw
    plain = await run_in_terminal("read", LAMP, columns=60, environment=variables(cloud) | {"NO_COLOR": "1"})
    assert "█" in plain.text
    assert not re.search(r"\x1b\[(3|4|38;|48;)\d", plain.raw)


@pytest.mark.asyncio
async def test_at_a_terminal_deactivate_asks(cloud: RunningCloud) -> None:
    question = r"give up dimmer \(00e040000003\)\? \[y/N\] "
    replies: list[tuple[str | signal.Signals, int, str]] = [
        ("\n", 1, "littlebits: deactivate: nothing was done"),
        (signal.SIGINT, 130, ""),
        ("y\n", 0, "dimmer belongs to nobody now"),
    ]
    for reply, code, said in replies:
        asked = [(question, reply)]
        shown = await run_in_terminal("deactivate", "dimmer", replies=asked, environment=variables(cloud))
        assert shown.code == code
        assert said in shown.text
    assert await cloud.see(lambda cloud: cloud.devices[DIMMER].user_id) is None


@pytest.mark.asyncio
async def test_at_a_terminal_a_token_is_asked_for_and_not_shown(running_cloud: RunningCloud, tmp_path: Path) -> None:
    shown = await run_in_terminal(
        *("login", "--with-token", "--base-url", running_cloud.url),
        replies=[("access token: ", f"{running_cloud.token}\n")],
        environment={"XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert (shown.code, sorted(kept(tmp_path))) == (0, ["cloud.json", "token.json"])
    assert running_cloud.token not in shown.raw
