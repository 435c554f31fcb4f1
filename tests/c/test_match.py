"""Pattern matching of the sandbox, on the Luas that the installed lupa holds."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import lua_build  # noqa: E402  a script beside this file, in no package

CASES = re.findall(r"^function cases\.(\w+)", (HERE / "match_cases.lua").read_text(), re.MULTILINE)
TIMEOUT_S = 900
FUZZ_PAIRS = 5000

pytestmark = [
    pytest.mark.skipif(shutil.which(lua_build.compiler()[0]) is None, reason="the driver needs a C compiler"),
]


def run(version: lua_build.Version, *arguments: str) -> str:
    """Run a script of this folder on lupa's Lua; return what it printed, or fail with it."""
    if reason := lua_build.why_not(version):
        pytest.skip(reason)  # which module with this Lua is missing: why_not() says it
    command = [*lua_build.driver_command(version, "plain", in_lupa=True), str(HERE / arguments[0]), *arguments[1:]]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("version", lua_build.VERSIONS.values(), ids=lambda version: version.name)
@pytest.mark.parametrize("case", CASES)
def test_match_case_holds(version: lua_build.Version, case: str) -> None:
    """Deadlines, limits and long texts: each case of match_cases.lua passes."""
    run(version, "match_cases.lua", case, "jit" if version.jit else "puc")


@pytest.mark.parametrize("version", lua_build.VERSIONS.values(), ids=lambda version: version.name)
def test_match_agrees_with_stock(version: lua_build.Version) -> None:
    """Random patterns give the stock functions' results and error messages (fuzz_match.py does it at length)."""
    output = run(version, "fuzz_match.lua", str(FUZZ_PAIRS), "7", "jit" if version.jit else "puc")
    counts = re.fullmatch(r".*: (\d+) pairs, \d+ calls compared: (\d+) matched, \d+ did not, (\d+) raised\n", output)
    assert counts is not None
    assert int(counts[1]) == FUZZ_PAIRS
    assert int(counts[2]) > FUZZ_PAIRS / 10
    assert int(counts[3]) > FUZZ_PAIRS / 20
