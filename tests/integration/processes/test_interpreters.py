"""Several interpreters in one process."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap

import pytest

from luagauge import _finder

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes and signals"),
    pytest.mark.emulated,
]


def in_subinterpreters(*programs: str) -> str:
    """Run each program in an interpreter of its own, all in one process, and return what they printed."""
    try:
        interpreters = importlib.import_module("_xxsubinterpreters")
    except ImportError:
        pytest.skip(
            "a private module of CPython 3.10 to 3.12, the only way to an interpreter of the old kind from Python"
        )
    old_kind = "isolated=False" if sys.version_info >= (3, 12) else ""  # since 3.12 the default has a GIL of its own
    program = f"import {interpreters.__name__} as i\n"
    for inside in programs:
        program += f"i.run_string(i.create({old_kind}), {textwrap.dedent(inside)!r})\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_deadline_holds_in_a_subinterpreter(lua: str) -> None:
    """The signal is sent to a thread, whatever interpreter runs there."""
    inside = f"""
        from luagauge import *
        result = LuaEngine(ScriptConfig(lua={lua!r}, timeout_ms=20)).execute_script("while true do end")
        print(type(result.error).__name__)
    """
    assert in_subinterpreters(inside) == "ScriptTimeoutError\n"


def test_wheels_own_module_serves_every_interpreter(lua: str) -> None:
    """It is no Python extension, so nothing binds it to the interpreter that came first."""
    if _finder.find_lua(lua).module != "luagauge":
        pytest.skip("lupa's module serves this Lua, and one interpreter only: the next test is about that")
    inside = f"""
        from luagauge import *
        print(LuaEngine(ScriptConfig(lua={lua!r})).execute_script("return 6 * 7").output)
    """
    assert in_subinterpreters(inside, inside) == "42\n42\n"


def test_second_interpreter_is_told_that_lupa_serves_one(lua: str) -> None:
    """Each of lupa's modules can be imported in one interpreter of a process: that is said, not that there is no Lua."""
    inside = f"""
        from luagauge import *
        try:
            LuaEngine(ScriptConfig(lua={lua!r}))
        except PlatformUnavailableError as error:
            print("module cannot be imported here" in str(error), "no such Lua" in str(error), repr(error.__cause__))
    """
    if _finder.find_lua(lua).module == "luagauge":
        pytest.skip("the wheel's own module is no Python extension, and serves them all")
    cause = (
        "ImportError('Interpreter change detected - this module can only be loaded into one interpreter per process.')"
    )
    assert in_subinterpreters(inside, inside) == f"True False {cause}\n"
