"""No script outlives its deadline, an interrupt or its instruction budget, whatever it catches and wherever it hides."""

from __future__ import annotations

import bisect
import importlib
import threading
import time
from typing import TYPE_CHECKING

import pytest
from luas import HAVE_CLOSE

from luagauge import (
    InstructionLimitExceeded,
    LuaEngine,
    ScriptInterruptedError,
    ScriptResult,
    ScriptTimeoutError,
    _finder,
)

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = {
    "pcall loop": "while true do pcall(function() while true do end end) end",
    "pcall of pcall": "local function f() pcall(f) while true do end end while true do f() end",
    "pcall in many layers": """
        local f = function() while true do end end
        for i = 1, 100 do local g = f f = function() pcall(g) while true do pcall(g) end end end
        f()
    """,
    "xpcall loop": "while true do xpcall(function() while true do end end, function(e) return e end) end",
    "xpcall handler loops": "xpcall(function() error('x') end, function() while true do end end)",
    "handler of the interrupt loops": "xpcall(function() while true do end end, function() while true do end end)",
    "handlers in handlers": """
        local function h() xpcall(function() while true do end end, h) while true do end end
        xpcall(function() while true do end end, h)
    """,
    "handler raises": "while true do xpcall(function() while true do end end, function() error('again') end) end",
    "coroutine": "local co = coroutine.create(function() while true do end end) while true do coroutine.resume(co) end",
    "new coroutines": "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "wrapped in pcall": "while true do pcall(coroutine.wrap(function() while true do end end)) end",
    "coroutines in coroutines": """
        local function deep(n) if n == 0 then while true do end end coroutine.wrap(deep)(n - 1) end
        while true do pcall(deep, 20) end
    """,
    "a chain that resumes each other": """
        local cos = {}
        for i = 1, 10 do cos[i] = coroutine.wrap(function() while true do coroutine.yield(i) end end) end
        while true do for i = 1, 10 do pcall(cos[i]) end end
    """,
    "yields across pcall": """
        local co = coroutine.create(function() while true do pcall(coroutine.yield) end end)
        while true do coroutine.resume(co) end
    """,
    "__index": """
        local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) while true do
        pcall(function() return t[1] end) end
    """,
    "__index loops": "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
    "__newindex": "local t = setmetatable({}, {__newindex = function() while true do end end}) t.x = 1",
    "__eq": "local m = {__eq = function() while true do end end} return setmetatable({}, m) == setmetatable({}, m)",
    "__lt": "local m = {__lt = function() while true do end end} return setmetatable({}, m) < setmetatable({}, m)",
    "__concat": "return setmetatable({}, {__concat = function() while true do end end}) .. 'x'",
    "__unm": "return -setmetatable({}, {__unm = function() while true do end end})",
    "__call": "return setmetatable({}, {__call = function() while true do end end})()",
    "__tostring in tostring": "return tostring(setmetatable({}, {__tostring = function() while true do end end}))",
    "__tostring in print": "print(setmetatable({}, {__tostring = function() while true do end end}))",
    "__tostring of the error": "error(setmetatable({}, {__tostring = function() while true do end end}))",
    "__tostring of the error, pcall": """
        error(setmetatable({}, {__tostring = function() while true do pcall(function() while true do end end) end end}))
    """,
    "a loader that loops": "package.preload.m = function() while true do end end while true do pcall(require, 'm') end",
    "a searcher that loops": """
        table.insert(package.searchers or package.loaders, 1, function() while true do end end)
        while true do pcall(require, 'm') end
    """,
    "traceback as a handler": "while true do xpcall(function() while true do end end, debug.traceback) end",
    "traceback in a loop": "while true do pcall(debug.traceback, ('x'):rep(1000)) end",
    "error in a loop": "while true do pcall(error, {}) end",
    "error objects in layers": "local function f() local ok, e = pcall(f) error({e}) end while true do pcall(f) end",
    "sort comparator": "while true do pcall(table.sort, {3, 2, 1}, function() while true do end end) end",
    "gsub callback": "while true do pcall(string.gsub, 'abc', '.', function() while true do end end) end",
    "iterator": "for _ in function() return 1 end do end",
    "iterator in pcall": "while true do pcall(function() for _ in function() return 1 end do end end) end",
    "load reader": "while true do load(function() while true do end end) end",
    # Whitespace makes no code: a source that grows would meet the memory limit first, and load() returns that.
    "endless reader": "load(function() return ' ' end)",
    "loaded code": "while true do pcall((loadstring or load)('while true do end')) end",
    "log flood": "while true do print('x') log('info', 'y') end",
    "collecting": "while true do pcall(collectgarbage) end",
    "allocation and refusal": "while true do pcall(function() local s = 'x' while true do s = s .. s end end) end",
}

CLOSE = {
    "__close": """
        local function f() local c <close> = setmetatable({}, {__close = function() while true do end end}) error('x') end
        while true do pcall(f) end
    """,
    "__close of the interrupted": """
        local c <close> = setmetatable({}, {__close = function() while true do end end})
        while true do end
    """,
    "__close in layers": """
        local function f(n)
          local c <close> = setmetatable({}, {__close = function() while true do end end})
          if n > 0 then f(n - 1) end
          while true do end
        end
        while true do pcall(f, 50) end
    """,
    "__close in a coroutine": """
        local co = coroutine.create(function()
          local c <close> = setmetatable({}, {__close = function() while true do end end})
          coroutine.yield()
        end)
        coroutine.resume(co)
        while true do coroutine.close(co) end
    """,
    "__close of a wrapped error": """
        coroutine.wrap(function()
          local c <close> = setmetatable({}, {__close = function() while true do end end})
          error('x')
        end)()
    """,
    "__close of a for": """
        local closing = setmetatable({}, {__close = function() while true do end end})
        for i in function() return 1 end, nil, nil, closing do error('x') end
    """,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_deadline_cannot_be_outlived(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, name: str
) -> None:
    """Each ends in ScriptTimeoutError, and the engine runs the next script as if nothing had been."""
    engine = make_engine(lua, timeout_ms=20, memory_limit_mb=8)
    assert isinstance(engine.execute_script(HOSTILE[name]).error, ScriptTimeoutError)
    assert_usable(engine)


@pytest.mark.parametrize("version", HAVE_CLOSE)
@pytest.mark.parametrize("name", CLOSE)
def test_closing_variables_do_not_outlive_a_deadline(
    make_engine: Callable[..., LuaEngine],
    assert_usable: Callable[[LuaEngine], None],
    version: str,
    name: str,
) -> None:
    """The same for what runs while a scope is left."""
    engine = make_engine(version, timeout_ms=20, memory_limit_mb=8)
    assert isinstance(engine.execute_script(CLOSE[name]).error, ScriptTimeoutError)
    assert_usable(engine)


ITSELF = "local t = {} t.__call = t setmetatable(t, t) "
CHAINS = {
    "called": "return pcall(t)",
    "in a loop": "while true do pcall(t) end",
    "tail-called": "local function f() return t() end return f()",
    "on a large stack": "local function f(n) if n == 0 then return t() end return 1 + f(n - 1) end return f(1e5)",
    "as a metamethod": "return setmetatable({}, {__add = t}) + 1",
    "as an iterator": "for x in t do end",
    "in a coroutine": "return coroutine.wrap(function() return pcall(t) end)()",
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains_of_call_metamethods_do_not_outlive_a_deadline(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], name: str
) -> None:
    """A table that is its own __call keeps Lua 5.4 busy for minutes, without one instruction."""
    engine = make_engine("5.4", timeout_ms=50)
    result = engine.execute_script(ITSELF + CHAINS[name])
    assert isinstance(result.error, ScriptTimeoutError)
    assert result.stopped in {"error", "state"}
    assert_usable(engine)


@pytest.mark.parametrize("version", HAVE_CLOSE)
def test_chain_of_call_metamethods_that_closes_does_not_outlive_a_budget(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], version: str
) -> None:
    """The same where the run ends from the inside, and the chain begins on the way out."""
    engine = make_engine(version, timeout_ms=60_000, max_instructions=10_000)
    source = ITSELF + "local c <close> = setmetatable({}, {__close = t}) while true do end"
    result = engine.execute_script(source)
    assert isinstance(result.error, InstructionLimitExceeded)
    assert result.stopped in {"error", "state"}
    assert_usable(engine)


CALL_CHAIN = """
    local function callable(depth)
        local f = function(...) return select('#', ...) end
        for i = 1, depth do f = setmetatable({}, {__call = f}) end
        return f
    end
    local counts = {}
    for depth = 1, 40 do
        local ok, n = pcall(callable(depth), 'argument')
        counts[depth] = ok and n or 'refused'
    end
    return table.concat(counts, ' ')
"""


def test_chains_of_call_metamethods_are_as_in_stock_lua(engine: LuaEngine, lua: str) -> None:
    """Each version calls through as many metamethods as ever, and refuses what it always did."""
    stock = importlib.import_module(f"lupa.{_finder.MODULES[lua]}").LuaRuntime()
    assert engine.execute_script(CALL_CHAIN).output == stock.execute(CALL_CHAIN)


# Steps of Lua's own that take seconds to hours without one look at a hook.
LONG_STEPS = {
    **{name: ("5.4", ITSELF + CHAINS[name]) for name in ("called", "in a coroutine")},
    "colliding keys": ("5.4", "local m, t = (2^18 // 1 | 0) - 1, {} for i = 1, 2^19 do t[i * m] = true end"),
}


@pytest.mark.parametrize("name", LONG_STEPS)
def test_run_in_one_long_step_loses_its_state_and_nothing_else(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], name: str
) -> None:
    """What it had logged stays, its compiled script too, the uses are counted, and later runs know nothing of it."""
    version, source = LONG_STEPS[name]
    engine = make_engine(version, timeout_ms=None, cpu_time_ms=100)  # of CPU: a busy machine takes it
    if why_not := engine.stats().no_hard_stop:
        pytest.skip(why_not)
    script = engine.precompile_script("print('begun') leak = 1 string.leak = 1 " + source)
    for times in range(1, 4):
        result = engine.execute_script(script)
        assert isinstance(result.error, ScriptTimeoutError)
        assert result.stopped == "state"
        assert result.output is None
        assert (result.error.line, result.error.traceback) == (None, None)
        assert [entry.message for entry in result.logs] == ["begun"]
        assert engine.stats().hard_stops == times
        assert engine.execute_script("return leak == nil and string.leak == nil").output is True
    assert_usable(engine)


def test_run_in_one_long_step_is_interrupted_and_held_to_cpu_time(make_engine: Callable[..., LuaEngine]) -> None:
    """The other limits end it the same way, and say which they were."""
    begun = threading.Event()
    engine = make_engine("5.4", timeout_ms=None, functions={"begun": begun.set})
    thread = threading.Thread(target=lambda: begun.wait() and engine.interrupt())
    thread.start()
    result = engine.execute_script(ITSELF + "begun() " + CHAINS["called"])
    thread.join()
    assert isinstance(result.error, ScriptInterruptedError)
    result = make_engine("5.4", timeout_ms=None, cpu_time_ms=50).execute_script(ITSELF + CHAINS["called"])
    assert isinstance(result.error, ScriptTimeoutError)
    assert result.error.clock == "cpu"
    assert result.stopped in {"error", "state"}


def test_run_that_a_hook_ends_says_where_it_was(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """An end by an error knows the line and the call stack; nothing is thrown away for it."""
    engine = make_engine(lua, timeout_ms=50)
    result = engine.execute_script("local function f()\n  while true do end\nend\nf()")
    assert isinstance(result.error, ScriptTimeoutError)
    assert result.stopped == "error"
    assert result.error.line == 2
    assert (result.error.traceback or "").startswith("stack traceback:\n\tscript:2: in ")
    assert engine.stats().hard_stops == 0


def test_engine_says_why_it_has_no_hard_stop(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Turned off by the config, it is said so; its runs end by their hooks as ever."""
    engine = make_engine(lua, timeout_ms=50, hard_stop=False)
    assert engine.stats().no_hard_stop
    result = engine.execute_script("while true do end")
    assert isinstance(result.error, ScriptTimeoutError)
    assert result.stopped == "error"
    assert engine.stats().hard_stops == 0
    assert engine.execute_script("return 1").stopped is None


FUNCTIONS = """
    local names = {}
    local function add(functions, prefix)
        for name, f in pairs(functions) do
            if type(f) == 'function' then names[#names + 1] = prefix .. name end
        end
    end
    for _, library in ipairs({'_G', 'string', 'table', 'math', 'os', 'coroutine', 'utf8', 'bit', 'bit32', 'io', 'package', 'debug'}) do
        add(_G[library] or {}, library .. '.')
    end
    add(getmetatable(io.stdout).__index, 'io.stdout.')
    return names
"""


TRAPS = """
    local endless = function() while true do end end
    local traps = {__index = endless, __newindex = endless, __len = endless, __call = endless, __tostring = endless}
    package.path = nil
    for _, t in ipairs({package.loaded, package.preload, package, string}) do setmetatable(t, traps) end
"""
"""A function that was called with the text of an error would come upon these."""


@pytest.mark.parametrize("traps", ["", TRAPS], ids=["", "traps"])
def test_no_function_as_error_handler_outlives_a_deadline(
    make_engine: Callable[..., LuaEngine], lua: str, traps: str
) -> None:
    """A handler that is a C function is called as it is, where no hook runs: none goes on, and no host function is called."""
    called: list[object] = []
    names = list(make_engine(lua).execute_script(FUNCTIONS).raise_for_error().output)
    assert len(names) > 60
    engine = make_engine(lua, timeout_ms=10, hard_stop=False, functions={"host": called.append})
    handlers = [*names, "host", "coroutine.wrap(function() while true do end end)", "string.gmatch('aaa', 'a')"]
    handlers += [f"(package.searchers or package.loaders)[{i}]" for i in (1, 2)]
    for handler in handlers:
        script = f"local f = {handler} {traps} xpcall(function() while true do end end, f) while true do end"
        result = engine.execute_script(script)
        assert isinstance(result.error, ScriptTimeoutError), handler
        assert result.logs == ()
    assert called == []


@pytest.mark.parametrize("name", ["pcall loop", "handler of the interrupt loops", "coroutines in coroutines"])
def test_interrupt_cannot_be_outlived(
    make_engine: Callable[..., LuaEngine],
    assert_usable: Callable[[LuaEngine], None],
    lua: str,
    name: str,
) -> None:
    """The same for interrupt(), which uses the same means."""
    begun = threading.Event()
    engine = make_engine(lua, timeout_ms=None, functions={"begun": begun.set})
    thread = threading.Thread(target=lambda: begun.wait() and engine.interrupt())
    thread.start()
    assert isinstance(engine.execute_script(f"begun() {HOSTILE[name]}").error, ScriptInterruptedError)
    thread.join()
    assert_usable(engine)


@pytest.mark.parametrize("name", HOSTILE)
def test_instruction_budget_cannot_be_outlived(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, name: str
) -> None:
    """The same for max_instructions; what spends its time elsewhere ends by its deadline."""
    engine = make_engine(lua, timeout_ms=2000, max_instructions=10_000, memory_limit_mb=4)
    error = engine.execute_script(HOSTILE[name]).error
    assert isinstance(error, (InstructionLimitExceeded, ScriptTimeoutError))
    assert_usable(engine)


def test_instruction_budget_is_the_same_every_time(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A script that fits in a budget always does, and one that does not never does."""
    source = "local n = 0 for i = 1, context.n do n = n + i end return n"
    engine = make_engine(lua, max_instructions=100_000)
    for _ in range(5):
        assert engine.execute_script(source, {"n": 1000}).success
        error = engine.execute_script(source, {"n": 1_000_000}).error
        assert isinstance(error, InstructionLimitExceeded)
        assert error.limit == 100_000
        assert "max_instructions" in str(error)


def test_instruction_budget_does_not_depend_on_the_clock(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """The ticks that a run in the main thread gets every 50 ms take nothing off the count."""
    source = "for i = 1, context.n do end"

    def run(n: int, budget: int) -> ScriptResult:
        engine = make_engine(lua, timeout_ms=None, max_instructions=budget)
        result = engine.execute_script(source, {"n": n})
        engine.close()
        return result

    def least(n: int) -> int:
        """Of a run that is over before the first tick."""
        return bisect.bisect_left(range(10 * n), x=True, lo=1, key=lambda budget: run(n, budget).success)

    short = 10_000  # of a length that is a number of whole steps, like the differences below
    each = (least(2 * short) - least(short)) // short
    began = time.perf_counter()
    assert run(100 * short, 10**9).success
    n = short * max(100, int(0.3 / (time.perf_counter() - began) * 100))  # six ticks
    enough = least(short) + each * (n - short)
    for _ in range(3):
        assert run(n, enough).success
        assert isinstance(run(n, enough - 1).error, InstructionLimitExceeded)


def test_cpu_time_cannot_be_outlived(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A limit of CPU time ends what computes, and says which clock it was."""
    engine = make_engine(lua, timeout_ms=None, cpu_time_ms=20)
    for name in ("pcall loop", "coroutine", "handler of the interrupt loops", "allocation and refusal"):
        error = engine.execute_script(HOSTILE[name]).error
        assert isinstance(error, ScriptTimeoutError)
        assert error.clock == "cpu"
        assert "cpu_time_ms" in str(error)
        assert engine.execute_script("return 1").output == 1


def test_time_of_functions_can_be_left_out(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """With deadline_includes_callbacks=False a slow function costs the script nothing; its own time counts."""
    engine = make_engine(
        lua,
        timeout_ms=60,
        deadline_includes_callbacks=False,
        functions={"slow": lambda: threading.Event().wait(0.05)},
    )
    assert engine.execute_script("slow() slow() return 'whole'").output == "whole"
    assert isinstance(engine.execute_script("slow() while true do end").error, ScriptTimeoutError)
