"""The deadline: every kind of endless script ends in ScriptTimeoutError, whatever it tries, and nothing else ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from luagauge import LuaEngine, ScriptRuntimeError, ScriptTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.emulated

ENDLESS = {
    "while": "while true do end",
    "repeat": "repeat until false",
    "for": "for i = 1, math.huge do end",
    "tail calls": "local function f() return f() end f()",
    "goto-like closures": "local f f = function() local g = f while true do g = f end end f()",
    "allocating": "while true do local t = {} end",
    "strings": "while true do local s = ('x'):rep(1000) end",
    "arithmetic": "local x = 0 while true do x = x + 1 end",
    "calls": "local function f() end while true do f() end",
    "C calls": "while true do math.floor(1.5) end",
    "coroutine": "coroutine.wrap(function() while true do end end)()",
    "coroutines": "while true do coroutine.wrap(function() coroutine.yield() end)() end",
    "yielding": "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end",
    "sort": "while true do local t = {3, 1, 2} table.sort(t, function(a, b) return a < b end) end",
    "gsub": "while true do ('abc'):gsub('.', function(c) return c end) end",
    "load": "while true do (loadstring or load)('return 1')() end",
    "pcall": "while true do pcall(error, 'x') end",
    "collecting": "while true do collectgarbage() end",
    "printing": "while true do print('x') end",
}


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS.keys())
def test_deadline_ends_every_endless_script(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, source: str
) -> None:
    """The result says which time is over; logs and figures are there; the engine is as new."""
    engine = make_engine(lua, timeout_ms=30)
    # On a busy machine 30 ms may be over before the first instruction: once in some attempts the script has begun.
    attempts = (engine.execute_script("print('begun') " + source) for _ in range(10))
    result = next(attempt for attempt in attempts if attempt.logs)
    assert isinstance(result.error, ScriptTimeoutError)
    assert result.error.timeout_ms == 30
    assert "timeout_ms" in str(result.error)
    assert result.logs[0].message == "begun"
    assert result.memory_used_mb is not None
    assert result.duration_ms >= 30
    assert_usable(engine)


def test_deadline_spares_scripts_within_it(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Nothing is armed, and nothing is left of a deadline that was not needed."""
    engine = make_engine(lua, timeout_ms=60_000)
    for _ in range(200):
        assert engine.execute_script("local n = 0 for i = 1, 1000 do n = n + i end return n").output == 500_500


def test_deadline_of_one_run_does_not_reach_the_next(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A run that timed out leaves no interrupt behind."""
    engine = make_engine(lua, timeout_ms=5)
    for _ in range(20):
        assert isinstance(engine.execute_script("while true do end").error, ScriptTimeoutError)
        result = engine.execute_script("return 1")
        assert result.output == 1 or result.duration_ms >= 5  # a busy machine can cost it its own 5 ms


@pytest.mark.parametrize("timeout_ms", [1e-9, 1e-6, 0.001, 0.1])
def test_deadline_may_be_shorter_than_anything(
    make_engine: Callable[..., LuaEngine], lua: str, timeout_ms: float
) -> None:
    """However short: an endless script ends in it."""
    engine = make_engine(lua, timeout_ms=timeout_ms)
    error = engine.execute_script("while true do end").error
    assert isinstance(error, ScriptTimeoutError)
    assert error.timeout_ms == timeout_ms


def test_deadline_passes_while_a_function_blocks(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A Python function is not ended, its time counts, and the script gets no further."""
    after: list[str] = []
    engine = make_engine(lua, timeout_ms=10, functions={"wait": threading.Event().wait, "after": after.append})
    assert isinstance(engine.execute_script("wait(0.1) after('never')").error, ScriptTimeoutError)
    assert isinstance(engine.execute_script("pcall(wait, 0.1) after('never')").error, ScriptTimeoutError)
    assert after == []


def test_deadline_passes_while_the_output_is_read(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Reading the output is part of the run; it ends right whether the deadline falls before, in or after it."""
    engine = make_engine(lua, timeout_ms=25, max_output_size=1 << 34, memory_limit_mb=None)
    source = "local t = {} for i = 1, 22 do t = {t, t} end return t"  # small in Lua, millions of tables as output
    result = engine.execute_script(source)
    assert isinstance(result.error, ScriptTimeoutError)
    assert result.output is None


def test_no_deadline_is_no_deadline(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """None lets a run go on; interrupt() still ends it."""
    begun = threading.Event()
    engine = make_engine(lua, timeout_ms=None, functions={"begun": begun.set})
    thread = threading.Thread(target=lambda: (begun.wait(), engine.interrupt()))
    thread.start()
    result = engine.execute_script("begun() while true do end")
    thread.join()
    assert type(result.error).__name__ == "ScriptInterruptedError"


def test_deadlines_of_nested_runs_are_each_their_own(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A function that runs another engine: the inner deadline ends the inner run only."""
    inner = make_engine(lua, timeout_ms=10)
    outer = make_engine(
        lua,
        timeout_ms=60_000,
        functions={"inner": lambda: type(inner.execute_script("while true do end").error).__name__},
    )
    assert outer.execute_script("return inner()").output == "ScriptTimeoutError"


def test_outer_deadline_passes_during_an_inner_run(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str
) -> None:
    """The inner run goes to its own end, then the outer one is over."""
    inner = make_engine(lua, timeout_ms=100)
    outer = make_engine(
        lua, timeout_ms=10, functions={"inner": lambda: bool(inner.execute_script("while true do end"))}
    )
    assert isinstance(outer.execute_script("inner() while true do end").error, ScriptTimeoutError)
    assert_usable(inner)


def test_errors_before_the_deadline_stay_what_they_are(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A quick failure is not mistaken."""
    engine = make_engine(lua, timeout_ms=60_000)
    assert type(engine.execute_script("error('x')").error) is ScriptRuntimeError
