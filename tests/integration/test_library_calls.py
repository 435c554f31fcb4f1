"""The library answers random calls as stock Lua's does. `python tests/stock/calls.py` makes more of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from luas import HAVE_ENVIRONMENTS
from stock_lua import our_answer, output, stock_answer, stock_lua

from luagauge import LuaEngine

STOCK = Path(__file__).resolve().parents[1] / "stock"
sys.path.insert(0, str(STOCK))
import calls  # noqa: E402  a script of that folder, in no package

CALLS = 2000
SEEDED = ("5.4", "5.5", "luajit2.0", "luajit2.1")
"""Luas whose random numbers are their own, and not the C library's."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_library_answers_many_calls_as_stock_lua(lua: str, seed: int) -> None:
    """The soak: results, messages and effects on tables."""
    assert calls.differing(lua, seed, 20_000) == []


def test_library_answers_calls_as_stock_lua(lua: str) -> None:
    """Results, messages and effects on tables, of every function and in every way of calling one."""
    assert calls.differing(lua, 1, CALLS) == []


def test_library_calls_meet_every_function_and_fail_often_enough(lua: str) -> None:
    """The sample is worth something: all functions that this Lua has were called, and calls failed and returned."""
    lines = calls.lines(lua, "here", 1, 1, CALLS)
    called = {name for name in calls.FUNCTIONS if any(f" {name}(" in line for line in lines)}
    missing = {line.split(" ")[1] for line in lines if line.endswith(" is absent")}
    assert called | missing == set(calls.FUNCTIONS)
    assert sum(" fails " in line for line in lines) > CALLS // 10
    assert sum(" returns " in line for line in lines) > CALLS // 10


@pytest.mark.parametrize("seed", ["0", "1", "42", "-7", "123456789", "2^31", "2^53"])
def test_random_numbers_of_a_seed_are_those_of_stock_lua(
    make_engine: Callable[..., LuaEngine], lua: str, seed: str
) -> None:
    """Where Lua has a generator of its own."""
    if lua not in SEEDED:
        pytest.skip("stock Lua's numbers are those of the C library there, which the whole process shares")
    script = (
        f"local seed = {seed} math.randomseed(math.tointeger and math.tointeger(seed) or seed) local out = {{}} "
        "for i = 1, 200 do out[#out + 1] = string.format('%.17g %.17g %.17g', math.random(), math.random(1000), math.random(-5, 2^40)) "
        "end return table.concat(out, ' ')"
    )
    engine = make_engine(lua)
    assert engine.execute_script(script).raise_for_error().output == stock_lua(engine).execute(script)


def test_random_numbers_without_a_seed_are_those_of_a_fresh_luajit(
    make_engine: Callable[..., LuaEngine], lua: str
) -> None:
    """LuaJIT begins with a seed of its own, the same in every process: so does every run."""
    if not lua.startswith("luajit"):
        pytest.skip("LuaJIT's")
    engine = make_engine(lua)
    script = "return string.format('%.17g %d', math.random(), math.random(1000000))"
    expected = stock_lua(engine).execute(script)
    assert [engine.execute_script(script).output for _ in range(3)] == [expected] * 3


def test_known_differences_of_calls_have_reasons() -> None:
    """Each pattern in the list says why."""
    known = json.loads((STOCK / "differences.json").read_text())["calls"]
    assert all(entry["pattern"] and len(entry["reason"]) > 20 for entry in known)


@pytest.mark.parametrize("mode", ["B", "bB", "tB", "b", "t", "", "x"])
def test_load_takes_the_modes_of_stock_lua(engine: LuaEngine, mode: str) -> None:
    """A text that is not compiled, for the mode or for what it says, gives stock Lua's message."""
    source = f"return pcall(load, 'return 1 +', 'x', '{mode}')"
    assert our_answer(engine, source) == stock_answer(engine, source)


@pytest.mark.parametrize("arguments", ["'2', print, print", "print, true, {}", "'return 1', {}, 't'"])
def test_load_complains_about_the_argument_that_stock_lua_does(engine: LuaEngine, arguments: str) -> None:
    """Of several that are wrong, the same one."""
    source = f'local ok, e = pcall(load, {arguments}) return ok, (tostring(e):gsub("\'_G%.", "\'"))'
    assert our_answer(engine, source) == stock_answer(engine, source)


def test_gcinfo_is_the_count_in_whole_kilobytes(engine: LuaEngine) -> None:
    """Where the version has it."""
    here = output(engine, "return gcinfo and math.floor(collectgarbage('count')) - gcinfo()")
    assert here == (0 if engine.config.lua in HAVE_ENVIRONMENTS else None)
    assert (here is None) == (stock_answer(engine, "return type(gcinfo)") == (True, "nil"))
