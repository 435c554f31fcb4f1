"""The sandbox's string, table, math, os and utf8 functions, on the Luas that the installed lupa holds."""

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

TIMEOUT_S = 900
ROUNDS = 300
"""Rounds of the differential test; each makes some twenty calls."""

pytestmark = [
    pytest.mark.skipif(shutil.which(lua_build.compiler()[0]) is None, reason="the driver needs a C compiler"),
    pytest.mark.parametrize("version", lua_build.VERSIONS.values(), ids=lambda version: version.name),
]


def run(version: lua_build.Version, *arguments: str) -> str:
    """Run a script of this folder on lupa's Lua; return what it printed, or fail with it."""
    if reason := lua_build.why_not(version):
        pytest.skip(reason)  # which module with this Lua is missing: why_not() says it
    command = lua_build.driver_command(version, "plain", in_lupa=True, libs="lib_all.h")
    command += [str(HERE / arguments[0]), *arguments[1:]]
    done = subprocess.run(command, check=False, capture_output=True, timeout=TIMEOUT_S)
    output = done.stdout.decode(errors="replace").replace("\r\n", "\n")
    assert done.returncode == 0, f"{shlex.join(command)}\n{output}{done.stderr.decode(errors='replace')}"
    return output


def test_libs_agree_with_stock(version: lua_build.Version) -> None:
    """Generated calls give the stock functions' results, error messages and side effects (fuzz_libs.py: many more)."""
    output = run(version, "test_lib_stock.lua", str(ROUNDS), "5")
    counts = re.fullmatch(r"\w+: (\d+) calls equal to stock \((\d+) of them errors\)\n", output)
    assert counts is not None, output
    assert int(counts[1]) > 20 * ROUNDS
    assert int(counts[2]) > ROUNDS


def test_libs_stop_when_interrupted(version: lua_build.Version) -> None:
    """Calls that would run for seconds or for ever end as interrupted, each of them."""
    output = run(version, "test_lib_hostile.lua")
    assert re.search(r": [4-9]\d hostile calls stopped", output), output


def test_libs_refuse_as_lua_does(version: lua_build.Version) -> None:
    """A call that needs more memory than the limit leaves fails with LUA_ERRMEM, and with nothing else."""
    output = run(version, "test_lib_limit.lua")
    assert re.search(r": [5-9]\d cases of too little memory", output), output


def test_libs_hide_addresses(version: lua_build.Version) -> None:
    """No function of the libraries shows an address, whatever it is given."""
    assert "no address" in run(version, "test_lib_secrets.lua")


def test_libs_collect_in_steps(version: lua_build.Version) -> None:
    """A collection of a large heap looks at the deadline on the way, and leaves no garbage all the same."""
    assert "collected in steps" in run(version, "test_lib_collect.lua")
