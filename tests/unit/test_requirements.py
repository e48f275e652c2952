"""Each promise has its tests, each test that names one is run, and each promise can be broken."""

import re
from pathlib import Path

import pytest

from tests.mutants import FAULTS, Fault
from tests.mutants._run import Colour, Verdict, confirm, judge
from tests.requirements import REQUIREMENTS, MarkedTest, Requirement, asks_for, gaps, is_known
from tests.support.marks import collect

ROOT = Path(__file__).parents[2]
MANIFEST = {known: Requirement(known, "what is promised", "here") for known in ("R1", "R2.one", "R2.two")}


def test_each_promise_has_a_test() -> None:
    # Of all tests collecting alone takes a while; a mark is written in one way only.
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if "requirement(" in path.read_text(encoding="utf-8")]
    tests = collect(*files, root=ROOT)
    assert len(tests) > 200
    assert gaps(REQUIREMENTS, tests) == []


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ([MarkedTest("a", ("R1", "R2.one")), MarkedTest("b", ("R2.two",))], []),
        ([MarkedTest("a", ("R1", "R2.one"))], ["R2.two: no test holds to it"]),
        ([MarkedTest("a", ("R1", "R2.one", "R2"))], ["R2.two: no test holds to it"]),
        ([MarkedTest("a", ("R1", "R2.one", "R2.two", "R2"))], []),
        ([MarkedTest("a", ("R1", "R2.one", "R2.two", "R10"))], ["a: names 'R10', which the manifest does not know"]),
        ([MarkedTest("a", ("R1", "R2.one", "R2.two", "R2.three"))], ["a: names 'R2.three'"]),
        (
            [MarkedTest("a", ("R1", "R2.one")), MarkedTest("b", ("R2.two",), "skip")],
            ["R2.two: no test holds to it", "b: names R2.two, and never runs (skip)"],
        ),
        ([], ["R1: no test holds to it", "R2.one: no test", "R2.two: no test"]),
    ],
)
def test_a_gap_is_told(tests: list[MarkedTest], said: list[str]) -> None:
    found = gaps(MANIFEST, tests)
    assert [line[: len(start)] for line, start in zip(found, said, strict=True)] == said


def test_marks_of_any_kind_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "test_marks.py"
    file.write_text(
        """
import pytest

pytestmark = pytest.mark.requirement("R1.order")

@pytest.mark.requirement("R2", "R2.block")
@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.requirement("R10"))])
def test_function(n): ...

class TestClass:
    pytestmark = pytest.mark.skip
    def test_method(self): ...

@pytest.mark.xfail
def test_hopeless(): ...

@pytest.mark.skipif(True, reason="this machine")
def test_elsewhere(): ...
""",
        encoding="utf-8",
    )
    found = {test.name.partition("::")[2]: (set(test.ids), test.idle) for test in collect(file, root=ROOT)}
    assert found == {
        "test_function[1]": ({"R1.order", "R2", "R2.block"}, ""),
        "test_function[2]": ({"R1.order", "R2", "R2.block", "R10"}, ""),
        "TestClass::test_method": ({"R1.order"}, "skip"),
        "test_hopeless": ({"R1.order"}, "xfail"),
        "test_elsewhere": ({"R1.order"}, ""),
    }


def test_what_cannot_be_collected_is_no_answer(tmp_path: Path) -> None:
    file = tmp_path / "test_broken.py"
    file.write_text("import nothing_of_that_name", encoding="utf-8")
    with pytest.raises(AssertionError, match="nothing_of_that_name"):
        collect(file, root=ROOT)


def test_the_id_of_a_promise_stands_for_its_clauses_and_for_no_other() -> None:
    assert asks_for("R1", "R1")
    assert asks_for("R1", "R1.order")
    assert asks_for("R1.order", "R1.order")
    assert not asks_for("R1", "R10")
    assert not asks_for("R1.order", "R1")
    assert is_known("R2", MANIFEST)
    assert not is_known("R3", MANIFEST)


def test_no_promise_with_clauses_has_an_id_of_its_own() -> None:
    assert not [known for known in REQUIREMENTS if known.partition(".")[0] in REQUIREMENTS and "." in known]


def table(readme: str) -> list[list[str]]:
    """Return the rows of "What happens when", each a list of its cells."""
    section = readme.partition("\n## What happens when\n")[2].partition("\n## ")[0]
    _, _, *rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def rows_of(manifest: dict[str, Requirement]) -> list[tuple[str, str]]:
    """Return what the table must say of each line: when, and the ids."""
    lines = [requirement for requirement in manifest.values() if requirement.rests_on]
    return [(line.promise, f"{line.id}: {', '.join(line.rests_on)}") for line in lines]


def test_the_readme_and_the_manifest_agree() -> None:
    rows = table((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [(row[0], row[-1]) for row in rows] == rows_of(dict(REQUIREMENTS))
    assert [row[-1].partition(":")[0] for row in rows] == [f"W{number}" for number in range(1, len(rows) + 1)]
    for requirement in REQUIREMENTS.values():
        assert all(re.match("[RB]", known) and is_known(known, REQUIREMENTS) for known in requirement.rests_on)


def test_each_promise_can_be_broken() -> None:
    broken = {known for fault in FAULTS for known in fault.breaks}
    assert broken == set(REQUIREMENTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.breaks[0]} {fault.what}")
def test_each_fault_can_be_applied(fault: Fault) -> None:
    source = (ROOT / "littlebits_async" / fault.path).read_text(encoding="utf-8")
    faulty = fault.applied_to(source)
    assert faulty != source
    compile(faulty, fault.path, "exec")


@pytest.mark.parametrize("source", ["", "old old"])
def test_a_stale_fault_says_so(source: str) -> None:
    with pytest.raises(ValueError, match="not once: 'old'"):
        Fault(("R1",), "nothing", "nowhere.py", "old", "new").applied_to(source)


@pytest.mark.parametrize(
    ("new", "colour"),
    [
        ("FIRST: Final = 60.0  # as it was", Colour.GREEN),
        ("FIRST: Final = 6.0", Colour.RED),
        ("FIRST: Final = ", Colour.BROKEN),
    ],
)
def test_a_fault_is_red_only_where_a_test_fails(new: str, colour: Colour) -> None:
    test = MarkedTest("tests/unit/test_hold.py::test_a_429_that_says_nothing_holds_for_a_minute", ("B4.doubling",))
    fault = Fault(("B4.doubling",), "what it holds at first", "session/_hold.py", "FIRST: Final = 60.0", new)
    (verdict,) = confirm(judge(fault, fault.breaks, [test]))
    assert verdict.colour is colour, verdict
    assert verdict.witness == (test.name if colour is Colour.RED else "")


def test_a_stale_fault_and_a_test_that_fails_anyway_prove_nothing() -> None:
    stale = Fault(("R1.order",), "nothing", "stream.py", "no such text", "")
    (verdict,) = judge(stale, stale.breaks, [])
    assert verdict.colour is Colour.STALE
    anyway = Verdict("R1.order", stale, Colour.RED, "tests/unit/test_hold.py::no_such_test")
    assert [each.colour for each in confirm([anyway])] == [Colour.BROKEN]
