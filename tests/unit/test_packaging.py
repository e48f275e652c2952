"""What is shipped, and what importing it costs."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What the extras bring, and what only some of them need.
EXTRAS = {"cyclopts", "rich", "starlette", "uvicorn", "limits", "h2", "trio", "pytest", "hypothesis"}


def test_the_package_needs_no_extra_and_loads_no_part_of_one() -> None:
    # httpx itself tries rich and others; None in sys.modules makes every import of them fail, as if not installed.
    code = f"""
import sys
sys.modules.update(dict.fromkeys({sorted(EXTRAS)!r}))
from littlebits_async import *
import json
print(json.dumps(sorted(name for name in sys.modules if name.startswith("littlebits_async."))))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert "littlebits_async.reactor" in loaded
    assert not [name for name in loaded if name.startswith(("littlebits_async.localcloud", "littlebits_async.cli"))]


def test_the_wheel_ships_the_package_and_its_types(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "littlebits_async/py.typed" in names
    assert not [name for name in names if not name.startswith(("littlebits_async/", "littlebits_async-"))]
