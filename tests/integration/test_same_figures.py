"""An engine that holds little is after each run what it was before it: the same script shows the same figures, to the byte."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from luas import HAVE_ARENA

from luagauge import LuaEngine, ScriptResult, _finder

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "programs"
SIZES = {
    "binary_trees": 7,
    "closures": 2000,
    "coroutines": 500,
    "fannkuch": 6,
    "fib": 15,
    "json_like": 20,
    "mandelbrot": 20,
    "nbody": 200,
    "queue_churn": 2000,
    "sieve": 5000,
    "small_tables": 2000,
    "spectral_norm": 20,
    "string_building": 500,
    "table_growth": 3000,
    "task_scheduler": 200,
}
# What is hashed by its address, which Lua takes from the allocator.
KEYED = {
    "tables as keys": "local t = {} for i = 1, 3000 do t[{}] = i end local n = 0 for k, v in pairs(t) do n = n + v end return n",
    "functions as keys": "local t = {} for i = 1, 2000 do t[function() return i end] = i t[print] = i end return next(t) ~= nil",
    "coroutines as keys": """
        local t, n = {}, 0
        for i = 1, 300 do local co = coroutine.create(function(a) coroutine.yield(a) end) t[co] = i coroutine.resume(co, i) end
        for k, v in pairs(t) do if coroutine.status(k) == 'suspended' then n = n + v end end
        return n
    """,
    "the order of a walk": """
        local t, text = {}, {}
        for i = 1, 500 do t[{}] = i end
        for _, v in pairs(t) do text[#text + 1] = v end
        return table.concat(text, ' ')
    """,
    "weak keys": """
        local t = setmetatable({}, {__mode = 'k'})
        for i = 1, 5000 do t[{}] = {i} end
        local n = 0 for _ in pairs(t) do n = n + 1 end
        return n
    """,
    "errors caught": "local n = 0 for i = 1, 500 do n = n + #tostring(select(2, pcall(error, 'x' .. i))) end return n",
    "logs and data": """
        for i = 1, 50 do print(i, {} ~= nil) end
        local copy = {} for k, v in pairs(context.request) do copy[k] = v end
        return copy
    """,
    "math.random": "math.randomseed(42) local t = {} for i = 1, 1000 do t[math.random(1, 1e6)] = {i} end return t ~= nil",
    "text to code": "local n = 0 for i = 1, 50 do n = n + (loadstring or load)('return ' .. i)() end return n",
}
RUNS = 5


@pytest.fixture(params=HAVE_ARENA)
def lua(request: pytest.FixtureRequest) -> str:
    """Return each Lua whose heap lies in an arena."""
    version = str(request.param)
    if _finder.available()[version] is not None:
        pytest.skip(f"lupa has no Lua {version} here")
    return version


def figures(result: ScriptResult) -> tuple[Any, ...]:
    """Return what must be the same."""
    memory = result.memory
    assert result.error is None
    assert memory is not None
    return (
        result.output,
        memory.used_bytes,
        memory.end_bytes - memory.start_bytes,
        memory.allocated_bytes,
        memory.allocation_count,
    )


def assert_same(engine: LuaEngine, source: str) -> None:
    """Run a script and compare all runs but the first, which compiles.

    Not on the main thread: there a run is looked into every 50 ms for Ctrl-C, which can take a block of its stack.
    """
    context = {"request": {f"key {i}": [i] for i in range(20)}}
    with ThreadPoolExecutor(1) as thread:
        results = [thread.submit(engine.execute_script, source, context).result() for _ in range(RUNS)]
    first, *others = [figures(result) for result in results[1:]]
    assert first[1] > 0
    assert others == [first] * len(others)


@pytest.mark.parametrize("name", SIZES)
def test_figures_of_a_program_are_the_same_every_time(
    make_engine: Callable[..., LuaEngine], lua: str, name: str
) -> None:
    """Used, allocated, counted and left: nothing of an earlier run is seen."""
    source = (PROGRAMS / f"{name}.lua").read_text(encoding="utf-8")
    assert_same(make_engine(lua, timeout_ms=60_000), f"local N = {SIZES[name]}\n{source}")


@pytest.mark.parametrize("name", KEYED)
def test_figures_of_keys_by_address_are_the_same_every_time(
    make_engine: Callable[..., LuaEngine], lua: str, name: str
) -> None:
    """Blocks lie at the same addresses in each run, so tables have the same shape and the same order."""
    assert_same(make_engine(lua, timeout_ms=60_000), KEYED[name])


def test_figures_do_not_depend_on_other_runs(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Runs between that fill, fail, or are ended leave nothing that the next one shows."""
    engine = make_engine(lua, timeout_ms=60_000, memory_limit_mb=32, max_instructions=5_000_000)
    between = [
        engine.precompile_script("local t = {} for i = 1, 1e5 do t[{}] = tostring(i) end"),
        engine.precompile_script("local t = {} while true do t[#t + 1] = ('x'):rep(1e5) .. #t end"),
        engine.precompile_script("error({})"),
        engine.precompile_script("while true do pcall(function() while true do end end) end"),
        engine.precompile_script("for i = 1, 500 do coroutine.wrap(function() coroutine.yield() end)() end"),
    ]
    script = engine.precompile_script(KEYED["the order of a walk"])
    engine.execute_script(script)
    first = figures(engine.execute_script(script))
    for other in between:
        engine.execute_script(other)
        assert figures(engine.execute_script(script)) == first
