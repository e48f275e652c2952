"""Importing the package loads what is asked for, when it is; nobody can tell but by the clock."""

import ast
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import littlebits_async
from littlebits_async import InputEvent, errors

PUBLIC = sorted(set(littlebits_async.__all__) - {"__version__"})
DEPENDENCIES = {"anyio", "attr", "attrs", "cattrs", "httpcore", "httpx", "msgspec", "sniffio"}
EXTRAS = {"cyclopts", "h2", "limits", "rich", "starlette", "trio", "uvicorn", "websockets"}


def loaded_by(code: str) -> set[str]:
    """The modules that an interpreter has when it has run some code, and not before."""
    code = f"""
import sys
before = set(sys.modules)
{code}
import json
print(json.dumps([*set(sys.modules) - before]))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def ours(modules: set[str]) -> set[str]:
    return {name.partition(".")[2] for name in modules if name.startswith("littlebits_async.")}


def test_importing_the_package_loads_nothing_else() -> None:
    loaded = loaded_by("import littlebits_async; littlebits_async.__version__; dir(littlebits_async)")
    assert ours(loaded) == {"_version"}
    assert not packages(loaded) & (DEPENDENCIES | EXTRAS | {"asyncio", "logging", "ssl"})


def test_a_name_loads_what_it_needs() -> None:
    assert not packages(loaded_by("from littlebits_async import AuthenticationError")) & DEPENDENCIES
    assert packages(loaded_by("from littlebits_async import Device, InputEvent")) & DEPENDENCIES == {"attr", "attrs"}
    assert "httpx" not in packages(loaded_by("from littlebits_async import TokenBucket"))


def test_a_cloud_loads_no_community_but_where_it_is_asked_for() -> None:
    asked = "from littlebits_async.localcloud import LocalCloud; LocalCloud({})"
    assert "localcloud.community" not in ours(loaded_by(asked.format("")))
    assert "localcloud.community" in ours(loaded_by(asked.format("community=True")))


def test_a_session_loads_no_reactor_and_no_extra_of_ours() -> None:
    loaded = loaded_by("from littlebits_async import Session")
    assert "session" in ours(loaded)
    assert not {name.partition(".")[0] for name in ours(loaded)} & {"cli", "cloudbit", "localcloud", "reactor"}
    # httpx and httpcore load these by themselves, where they find them.
    assert not packages(loaded) & (EXTRAS - {"h2", "rich", "trio"})


def test_the_command_line_says_its_version_without_client_or_cloud() -> None:
    loaded = loaded_by("from littlebits_async.cli import main; main(['--version'])")
    assert not {name.partition(".")[0] for name in ours(loaded)} & {"localcloud", "session", "transport"}
    assert not packages(loaded) & {"httpx", "starlette", "uvicorn"}


def test_everybody_has_the_same_public_names() -> None:
    """At run time, for type checkers, and in the modules that they are from."""
    assert len(set(littlebits_async.__all__)) == len(littlebits_async.__all__)
    tree = ast.parse(Path(littlebits_async.__file__).read_bytes())
    (typed,) = [node.body for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name)]
    names: list[str] = []
    for statement in typed:
        assert isinstance(statement, ast.ImportFrom)
        assert statement.module
        module = getattr(littlebits_async, statement.module)
        for name in (alias.name for alias in statement.names):
            assert name in module.__all__
            assert getattr(littlebits_async, name) is getattr(module, name)
            names.append(name)
    assert sorted(names) == PUBLIC


def test_the_public_names_can_be_seen_and_be_imported_with_a_star() -> None:
    assert set(dir(littlebits_async)) >= {*littlebits_async.__all__, "errors", "models"}
    namespace: dict[str, object] = {}
    exec("from littlebits_async import *", namespace)  # noqa: S102 - a star is for modules
    assert set(namespace) >= set(littlebits_async.__all__)


def test_the_modules_are_there_without_an_import_of_their_own() -> None:
    loaded = loaded_by("import littlebits_async; littlebits_async.errors.APIError; littlebits_async.models.Device")
    assert {"errors", "models"} <= ours(loaded)


def test_a_name_that_there_is_not_is_an_error_as_anywhere() -> None:
    with pytest.raises(AttributeError, match=r"^module 'littlebits_async' has no attribute 'Sesion'$"):
        _ = littlebits_async.Sesion  # type: ignore[attr-defined]  # to type checkers too, or this comment would be one
    with pytest.raises(ImportError, match="cannot import name 'Sesion'"):
        exec("from littlebits_async import Sesion")  # noqa: S102 - so that no type checker sees it


def test_what_is_loaded_late_is_the_thing_itself() -> None:
    assert littlebits_async.APIError is errors.APIError
    assert "APIError" in vars(littlebits_async)  # from then on at the cost of any name
    event = InputEvent("00e04c000001", 1, 50.0)
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301 - ours
