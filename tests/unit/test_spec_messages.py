"""The example messages: all named, and what says JSON is JSON."""

import msgspec
import pytest

from tests.spec_messages import FOLDER, event_data, message

FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("*/*"))


@pytest.mark.parametrize("name", FILES)
def test_the_readme_names_it(name: str) -> None:
    folder, _, file = name.partition("/")
    sections = message("README.md").decode().split("\n## ")
    assert any(section.startswith(f"{folder}/ ") and f"`{file}`" in section for section in sections)


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
def test_json_is_json(name: str) -> None:
    msgspec.json.decode(message(name))


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".broken.txt")])
def test_broken_is_broken_and_stands_repaired_beside_it(name: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(message(name))
    assert name.replace(".broken.txt", ".json") in FILES


def test_the_event_is_json_behind_its_field() -> None:
    msgspec.json.decode(event_data("blog/input-event.sse"))
