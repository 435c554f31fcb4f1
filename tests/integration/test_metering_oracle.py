"""The heap figures against Lua's own count of the same state, to the byte, at any moment of a run.

Lua keeps its own sum of what it allocated; `lua_gc(L, LUA_GCCOUNT)` and `LUA_GCCOUNTB` tell it. The function is called
here straight in its module, past everything of ours, on the lua_State of the engine: from host functions in the
middle of scripts, and between runs.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import pytest

from luagauge import LuaEngine, MemoryLimitExceeded, _finder

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.emulated

LUA_GCCOUNT, LUA_GCCOUNTB = 3, 4
WORD = ctypes.sizeof(ctypes.c_void_p)


def word_at(address: int) -> int:
    """Return the pointer-sized word at an address."""
    return ctypes.c_size_t.from_address(address).value


def lua_state_of(engine: LuaEngine) -> int:
    """Return the engine's lua_State.

    struct lg_engine is an object's head, three pointers, and that to the struct lg_state; there the lua_State follows
    the address of the version's calls, which is known.
    """
    state = word_at(id(engine._state) + object.__basicsize__ + 3 * WORD)
    calls = _finder.find_lua(engine.config.lua).address
    place = next(at for at in range(state, state + 65536, WORD) if word_at(at) == calls)
    return word_at(place + WORD)


def own_count(engine: LuaEngine) -> Callable[[], int]:
    """Return a function that asks Lua itself how many bytes the engine's heap holds."""
    lua_gc = ctypes.PyDLL(_finder.find_lua(engine.config.lua).path).lua_gc
    lua_gc.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    lua_gc.restype = ctypes.c_int
    state = lua_state_of(engine)
    return lambda: int(lua_gc(state, LUA_GCCOUNT, 0)) * 1024 + int(lua_gc(state, LUA_GCCOUNTB, 0))


class Oracle:
    """An engine whose scripts can call `check`, which notes our count and Lua's own at that moment."""

    def __init__(self, make_engine: Callable[..., LuaEngine], lua: str) -> None:
        """Make the engine."""
        self.pairs: list[tuple[int, int]] = []
        self.engine = make_engine(lua, memory_limit_mb=8, functions={"check": self.check})
        self.count = own_count(self.engine)

    def check(self) -> int:
        """Note both counts; return ours."""
        self.pairs.append((self.engine.stats().live_bytes, self.count()))
        return self.pairs[-1][0]


@pytest.fixture
def oracle(make_engine: Callable[..., LuaEngine], lua: str) -> Oracle:
    """Return the engine and its oracle."""
    return Oracle(make_engine, lua)


# No buffer-made strings here: Lua 5.5 leaves those out of its own count.
SCRIPTS = {
    "nothing": "check()",
    "tables": "local t = {} for i = 1, 300 do t[i] = {i} if i % 20 == 0 then check() end end",
    "array growth": "local t = {} for i = 1, 5000 do t[i] = i if i % 97 == 0 then check() end end",
    "hash growth": "local t = {} for i = 1, 500 do t[i + 0.5] = i if i % 9 == 0 then check() end end",
    "closures": "local t = {} for i = 1, 300 do t[i] = function() return i end if i % 10 == 0 then check() end end",
    "coroutines": """
        local t = {}
        for i = 1, 60 do
          t[i] = coroutine.wrap(function() check() coroutine.yield() check() end)
          t[i]()
        end
        for i = 1, 30 do t[i]() end
        t = nil collectgarbage() check()
    """,
    "recursion": """
        local function f(n) if n % 50 == 0 then check() end if n > 0 then return 1 + f(n - 1) end return 0 end
        f(2000)
    """,
    "garbage": "for i = 1, 20000 do local t = {i} if i % 1000 == 0 then check() end end",
    "collecting": """
        for i = 1, 20 do local t = {} for k = 1, 200 do t[k] = {} end check() t = nil collectgarbage() check() end
    """,
    "loading": "for i = 1, 20 do local f = (loadstring or load)('local a = ' .. i .. ' return a') check() f() end",
    "errors": "for i = 1, 50 do pcall(error, {i}) check() end",
    "metatables": """
        for i = 1, 50 do
          local o = setmetatable({}, {__index = function(_, k) return k end}) check() local x = o.a
        end
    """,
    "refusals": """
        local t = {}
        for i = 1, 4 do
          pcall(function() while true do t[#t + 1] = {} end end) pcall(check)
          t = nil collectgarbage() t = {} check()
        end
    """,
}
STRINGS = {
    "strings": "local t = {} for i = 1, 200 do t[i] = 'text ' .. i if i % 10 == 0 then check() end end",
    "long strings": "for i = 1, 30 do local s = ('x'):rep(i * 1000) check() end",
    "very long strings": """
        for i = 1, 4 do local s = ('x'):rep(i * 1000000) check() s = nil collectgarbage() check() end
    """,
    "concat": """
        local t = {} for i = 1, 100 do t[i] = 'p' .. i end
        for i = 1, 20 do local s = table.concat(t, ',') check() end
    """,
    "gsub": "for i = 1, 30 do local s = ('abc'):rep(i * 20):gsub('b', 'xyz') check() end",
    "format": "for i = 1, 50 do local s = ('%s-%d-%5.2f'):format('v', i, i / 3) check() end",
    "output": "check() return {('x'):rep(1000), {1, 2, 3}}",
    "context": "check() local n = #context.rows check()",
}


def run(oracle: Oracle, source: str) -> Any:
    """Run a script and return its result."""
    result = oracle.engine.execute_script(source, {"rows": [{"id": i, "name": f"n{i}"} for i in range(200)]})
    assert result.error is None
    assert oracle.pairs
    return result


@pytest.mark.parametrize("name", SCRIPTS)
def test_count_equals_luas_own_at_every_moment(oracle: Oracle, name: str) -> None:
    """Both counts are equal in the middle of the script, every time, and after the run."""
    for _ in range(3):
        run(oracle, SCRIPTS[name])
        oracle.check()
    assert [ours - theirs for ours, theirs in oracle.pairs] == [0] * len(oracle.pairs)


@pytest.mark.parametrize("name", STRINGS)
def test_count_of_strings_equals_luas_own(oracle: Oracle, lua: str, name: str) -> None:
    """The same for strings of all kinds; in 5.5, whose own count leaves some out, ours is never lower."""
    for _ in range(3):
        run(oracle, STRINGS[name])
        oracle.check()
    differences = {ours - theirs for ours, theirs in oracle.pairs}
    assert differences == {0} or (lua == "5.5" and min(differences) >= 0)


def test_collectgarbage_count_is_the_same_figure(oracle: Oracle, lua: str) -> None:
    """What a script sees is what the host is told, and what Lua counts."""
    source = "local before = collectgarbage('count') local bytes = check() return before * 1024, bytes"
    oracle.engine.execute_script(source)
    result = run(oracle, source)
    before, at_call = result.output
    assert before == at_call
    ours, theirs = oracle.pairs[-1]
    assert (ours, theirs) == (before, before)
    assert result.memory.start_bytes <= before <= result.memory.peak_bytes


def test_figures_of_a_run_lie_where_the_counts_say(oracle: Oracle) -> None:
    """The peak is at least every count seen during the run, the start at most the first."""
    source = """
    check()
    local keep = {} for i = 1, 1000 do keep[i] = {i} end
    check()
    local drop = {} for i = 1, 3000 do drop[i] = {i} end
    check()
    drop = nil collectgarbage()
    check()
    return #keep
    """
    run(oracle, source)
    oracle.pairs.clear()
    memory = run(oracle, source).memory
    first, kept, highest, last = [ours for ours, _ in oracle.pairs]
    assert memory.start_bytes <= first < kept < highest
    assert memory.peak_bytes >= highest
    assert memory.peak_bytes - highest <= 4096  # nothing larger was made in between
    assert last <= memory.end_bytes <= last + 1024
    assert memory.allocated_bytes >= highest - memory.start_bytes


def test_count_is_right_after_failures(oracle: Oracle) -> None:
    """Errors, refusals, deadlines and interrupts leave both counts equal, and where they were."""
    oracle.engine.execute_script("return 1")
    oracle.engine.execute_script("error('x')")
    base = oracle.check()
    for source in ("error('x')", "error({})", "return print", "return ('x'):rep(5e7)", "setmetatable({}, {__gc = 1})"):
        oracle.engine.execute_script(source)
    for _ in range(3):
        assert isinstance(
            oracle.engine.execute_script("local t = {} while true do t[#t + 1] = {} end").error, MemoryLimitExceeded
        )
        assert oracle.engine.execute_script("return 1").output == 1
        ours, theirs = oracle.check(), oracle.count()
        assert ours == theirs
    assert oracle.check() - base <= 8192  # the compiled sources above are kept


def test_count_begins_and_ends_at_the_same_base(oracle: Oracle) -> None:
    """A hundred runs of one script: the same start, the same peak, the same gross figures, to the byte."""
    source = "local t = {} for i = 1, 100 do t[i] = {tostring(i)} end return #t"
    for _ in range(3):
        oracle.engine.execute_script(source)
    seen = set()
    for _ in range(100):
        memory = oracle.engine.execute_script(source).memory
        assert memory is not None
        seen.add((memory.start_bytes, memory.peak_bytes, memory.allocated_bytes, memory.allocation_count))
    assert len(seen) == 1
