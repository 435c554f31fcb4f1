"""SECURITY.md names the test that holds each attack: every name is one that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / "SECURITY.md").is_file(), reason="the page is in the source tree, not in the package"
)


def page() -> str:
    """Return the page."""
    return (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
    below = page().split(f"# {heading}\n", 1)[1]
    lines = re.search(r"(?:^\|.*\|\n)+", below, re.MULTILINE)
    assert lines is not None
    return [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in lines[0].splitlines()[2:]]


def named_tests() -> list[tuple[str, str]]:
    """Return every (file, function) that the page names; `::name` is of the file named last."""
    letters = dict(re.findall(r"`([A-Z])` is `(tests/[^`]+)`", page()))
    assert len(letters) == 5
    found = []
    file = ""
    for where, function in re.findall(r"`([\w./]*)::(\w+)`", page()):
        file = letters.get(where, where) or file
        found.append((file, function))
    return found


def test_security_page_names_tests_that_exist() -> None:
    """Each `file::test_name` is a function of that file, and each file is there."""
    names = named_tests()
    assert len(names) > 35
    for file, function in names:
        assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} has no {function}"
    for path in re.findall(r"`((?:tests|benchmarks|csrc)/[\w./]+)[`:]", page()):
        assert (ROOT / path).exists(), f"there is no {path}"


def test_security_page_names_a_test_for_each_attack() -> None:
    """No row of the attacks goes without a test, and none of the advisories without a test or a version floor."""
    attacks = rows("Known attacks and where they are held")
    assert len(attacks) >= 13
    for attack, held_by in attacks:
        assert re.search(r"`(?:\w+::|tests/|[A-Z]`)", held_by), attack
    advisories = rows("Published advisories")
    assert len(advisories) >= 16
    for advisory, _, here in advisories:
        assert re.fullmatch(r"CVE-\d{4}-\d{4,}", advisory)
        assert "`A::test_advisory_" in here or "`R::test_" in here, advisory


def test_security_page_leaves_no_advisory_test_out() -> None:
    """Every test of an advisory is named in the table."""
    source = (ROOT / "tests/security/test_advisories.py").read_text(encoding="utf-8")
    tests = re.findall(r"^def (test_advisory_\w+)", source, re.MULTILINE)
    assert tests
    assert sorted(tests) == sorted({function for _, function in named_tests() if function.startswith("test_advisory_")})


def test_security_page_names_benchmarks_that_exist() -> None:
    """The kinds of scripts that it quotes are measured."""
    source = (ROOT / "benchmarks/deadlines.py").read_text(encoding="utf-8")
    for kind in re.findall(r'"(a (?:pattern|gsub) bomb)"', page()):
        assert f'Kind("{kind}"' in source
