"""The harness that runs Lua's official suites, on a suite of a few lines: what it counts, and what it takes for a difference."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

STOCK = Path(__file__).resolve().parents[1] / "stock"
sys.path.insert(0, str(STOCK))
import statements  # noqa: E402  scripts of that folder, in no package
import suites  # noqa: E402

SUITE = """\
assert(1 + 1 == 2)
local a, b = 1, string.upper('b')
do
  assert(b == 'B')
  for i = 1, 10 do assert(i > 0) end
  error('ends its statement')
end
assert(a == 1)
local f = package.loadlib('x', 'y')
assert(f == nil)
local function helper(v) assert(v) end
helper(true)
helper(getmetatable('') ~= false)
if a then assert(b) return end
assert(not pcall(error))
while getmetatable('') == false do end
assert('the end')
"""
LINES_HERE_ONLY = {"13", "16"}


def known(**lines: str) -> dict[str, Any]:
    """Return a list of differences for the suite."""
    return {
        "absent": {"package.loadlib": "modules"},
        "files": {},
        "differences": {"5.4": {"suite.lua": lines}},
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the suite in it; the side that hangs is given up early."""
    (tmp_path / "suite.lua").write_text(SUITE)
    monkeypatch.setenv("SUITE_TIMEOUT_MS", "2000")
    return tmp_path


def test_suite_counts_assertions_and_finds_what_differs(folder: Path) -> None:
    """A statement that fails, needs what is absent, or does not end costs no other statement."""
    count = suites.run_suite("5.4", folder, known(), "", 2)
    assert (count.sites, count.sites_here) == (10, 8)
    assert (count.executed, count.executed_here) == (19, 17)
    assert {line for _, line, _ in count.unlisted} == LINES_HERE_ONLY
    assert count.needing == {"package.loadlib": 1}
    assert count.idle == []


def test_suite_accepts_what_is_listed_and_wants_it_to_occur(folder: Path) -> None:
    """A listed difference is counted under its reason; one that does not occur is reported."""
    count = suites.run_suite("5.4", folder, known(strings="13 16", other="1"), "", 2)
    assert count.unlisted == []
    assert count.listed == {"strings": 1}
    assert count.idle == [("suite.lua", "1", "other")]


@pytest.mark.parametrize(
    "source",
    [
        "local t = {f = function(...) return ... end, [1] = 'a;b', ['x'] = 2; 3}\nreturn t.f{1}.x, t:f'y' ; ",
        "for i, v in pairs{} do if i then break end end\nrepeat local x = 1 until x == 1",
        "goto done\n::done:: local x <const> = 5 return x // 2 ~ 3 << 1",
        "local s = [==[\nassert(]==] assert(s) -- assert(\n--[[ assert( ]] return #s .. '' == '1'",
        "function a.b.c:d(...) local n = select('#', ...) return n end",
        "do local a = 1; do local b = a + f(2) end end",
    ],
)
def test_statements_keep_lines_and_meaning(source: str) -> None:
    """What is put in stands between tokens, on their lines; without it the source is as it was."""
    text = statements.rewritten(source, "5.4")
    assert text.count("\n") == source.count("\n")
    left = iter(text)
    assert all(character in left for character in source)


def test_list_of_differences_has_a_reason_for_each() -> None:
    """Every key is that of a reason, and every reason is used."""
    listed = json.loads((STOCK / "differences.json").read_text())
    used = set(listed["absent"].values())
    for files in listed["files"].values():
        used |= set(files.values())
    for files in listed["differences"].values():
        for reasons in files.values():
            used |= set(reasons)
            assert all(lines.strip() for lines in reasons.values())
    assert used <= set(listed["reasons"])
