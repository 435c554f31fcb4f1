"""A run that filled its heap gives the memory back when it is over, at a small share of what filling it cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from luas import HAVE_ARENA

from luagauge import LuaEngine, _finder

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
FILLED_BYTES = 60 * MIB
ENOUGH_BYTES = 8 * MIB  # kept for the next run, which finds it warm
SHARE = 0.25  # of the run's CPU time that the rest of the call may take; it is a hundredth where nothing else runs

HEAPS = {
    "tables": "local t = {} for i = 1, 1e9 do t[i] = {i} if i % 500 == 0 and full() then break end end",
    "strings": """
        local t = {}
        for i = 1, 1e9 do t[i] = i .. ' is the number of this one' if i % 500 == 0 and full() then break end end
    """,
    "coroutines": """
        local t = {}
        for i = 1, 1e9 do
          t[i] = coroutine.wrap(function() coroutine.yield(i) end) t[i]()
          if i % 500 == 0 and full() then break end
        end
    """,
    "closures": """
        local t = {} for i = 1, 1e9 do t[i] = function() return i end if i % 500 == 0 and full() then break end end
    """,
    "one array": "local t = {} for i = 1, 1e9 do t[i] = i if i % 500 == 0 and full() then break end end",
}
# Of what the script holds, so that it is live when the run ends.
FULL = "local function full() return collectgarbage('count') * 1024 > LIMIT end "


@pytest.fixture(params=HAVE_ARENA)
def lua(request: pytest.FixtureRequest) -> str:
    """Return each Lua whose heap lies in an arena."""
    version = str(request.param)
    if _finder.available()[version] is not None:
        pytest.skip(f"lupa has no Lua {version} here")
    return version


def filling(name: str) -> str:
    """Return a script that fills its heap."""
    return FULL.replace("LIMIT", str(FILLED_BYTES)) + HEAPS[name]


@pytest.mark.parametrize("name", HEAPS)
def test_memory_of_a_large_run_is_given_back(make_engine: Callable[..., LuaEngine], lua: str, name: str) -> None:
    """The engine holds little once the call is over, and the next run is right."""
    engine = make_engine(lua, timeout_ms=None, memory_limit_mb=400)
    script = engine.precompile_script(filling(name))
    for _ in range(2):
        result = engine.execute_script(script)
        assert result.error is None
        assert result.memory is not None
        assert result.memory.used_bytes > 0.95 * FILLED_BYTES  # what the engine holds is part of the script's count
        assert engine.stats().reserved_bytes < ENOUGH_BYTES
        assert engine.stats().live_bytes < MIB
        assert engine.execute_script("return 6 * 7").output == 42


@pytest.mark.parametrize("name", HEAPS)
def test_giving_back_costs_a_share_of_the_run(make_engine: Callable[..., LuaEngine], lua: str, name: str) -> None:
    """What the caller waits for after the script's end, its thread's CPU time, is small beside the script's own."""
    marks: list[float] = []
    functions = {"mark": lambda: marks.append(time.thread_time())}
    engine = make_engine(lua, timeout_ms=None, memory_limit_mb=400, functions=functions)
    source = engine.precompile_script(f"mark() {filling(name)} mark()")
    shares = []
    for _ in range(3):
        marks.clear()
        assert engine.execute_script(source).error is None
        marks.append(time.thread_time())
        begun, over, returned = marks
        shares.append((returned - over) / (over - begun))
        if shares[-1] < SHARE:
            break
    assert min(shares) < SHARE


def test_closing_costs_a_share_of_the_run(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """An engine that holds much compiled code is closed without looking at each piece of it."""
    shares = []
    for _ in range(3):
        engine = make_engine(lua, timeout_ms=None, memory_limit_mb=400)
        before = time.thread_time()
        scripts = [engine.precompile_script(f"do local x{i} = {{{i}}} end " * 300) for i in range(150)]
        middle = time.thread_time()
        engine.close()
        shares.append((time.thread_time() - middle) / (middle - before))
        assert len(scripts) == 150
    assert min(shares) < SHARE


def test_memory_of_many_large_runs_is_bounded(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Runs that fill, each right after the one before, end with as little as one does."""
    engine = make_engine(lua, timeout_ms=None, memory_limit_mb=400)
    script = engine.precompile_script(filling("tables"))
    for _ in range(6):
        assert engine.execute_script(script).error is None
    assert engine.stats().reserved_bytes < ENOUGH_BYTES
