"""The command's own files."""

import os
import stat
from pathlib import Path

import pytest

from littlebits_async.cli._errors import CommandError, ExitCode
from littlebits_async.cli._files import check_private, write_whole


def test_a_file_is_written_whole_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    for text in ("old", "a new text"):
        write_whole(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["file.json"]  # noqa: PTH208 - names


def test_a_write_that_fails_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_whole(path, "old")

    def refuse(_: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="full"):
        write_whole(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["file.json"]  # noqa: PTH208 - names


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token.json"
    write_whole(path, "{}")
    check_private(path)
    path.chmod(mode)
    with pytest.raises(CommandError, match=f"`chmod 600 {path}`") as caught:
        check_private(path)
    assert caught.value.code is ExitCode.USAGE
