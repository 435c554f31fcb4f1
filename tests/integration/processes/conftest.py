"""Programs in processes of their own, on one Lua of each kind."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from process_prelude import PRELUDE

from luagauge import _finder

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(params=["5.4", "luajit2.1"])
def lua(request: pytest.FixtureRequest) -> str:
    """Return one Lua of each kind: processes are slow to start, and these differ in how hooks and stacks work."""
    version = str(request.param)
    if why_not := _finder.available()[version]:
        pytest.skip(why_not)  # as in tests/conftest.py
    return version


@pytest.fixture
def run(lua: str) -> Callable[[str], str]:
    """Return a function that runs a program with luagauge at hand and returns what it printed."""

    def run_program(code: str) -> str:
        program = PRELUDE + textwrap.dedent(code)
        # Python 3.12 and later warn of every fork of a process with threads; that is what is tested here.
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, lua]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run_program
