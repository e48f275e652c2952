"""What is shipped, and what importing it costs."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import littlebits_async

ROOT = Path(__file__).parents[2]
# What the extras bring, and what only some of them need.
EXTRAS = {"cyclopts", "rich", "starlette", "uvicorn", "limits", "h2", "trio", "pytest", "hypothesis"}


def modules_after(*imports: str) -> set[str]:
    code = f"import json, sys, {', '.join(imports)}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_no_extra() -> None:
    # httpx itself imports rich and trio where they are installed; what it brings is not ours.
    loaded = modules_after("httpx", "littlebits_async") - modules_after("httpx")
    assert "littlebits_async.reactor" in loaded
    assert sorted(loaded & EXTRAS) == []
    assert not any(name.startswith(("littlebits_async.localcloud", "littlebits_async.cli")) for name in loaded)


def test_the_wheel_ships_the_package_and_its_types(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "littlebits_async/py.typed" in names
    assert not [name for name in names if not name.startswith(("littlebits_async/", "littlebits_async-"))]


def test_every_public_name_is_there_once() -> None:
    names = [name for name in littlebits_async.__all__ if name != "__version__"]
    assert all(hasattr(littlebits_async, name) for name in names)
    assert len(set(names)) == len(names)
