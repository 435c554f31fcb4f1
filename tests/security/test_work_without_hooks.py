"""Work where no hook runs, or that is more than it looks, ends by its deadline all the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from luas import HAVE_CLOSE, HAVE_INTEGERS

from luagauge import LuaEngine, MemoryLimitExceeded, ScriptTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Each went on for minutes or for ever after its deadline.
ENDLESS = {
    "handler of an overflow in the hook": """
        local function deep(n)
          if n == 0 then for i = 1, 1e5 do end return 'x' end
          return (string.gsub('x', 'x', function() return deep(n - 1) end))
        end
        while true do for n = 1, 215 do xpcall(function() deep(n) end, function() while true do end end) end end
    """,
    "set behind an escaped escape": "return ('a'):rep(3000):find('[%%]-a*a*a*a*b]')",
    "long set": """
        local s, p = ('a'):rep(1900), '[' .. ('c'):rep(1e6) .. 'ab]*[' .. ('c'):rep(1e6) .. ']'
        while true do s:find(p) end
    """,
    "optional items": "return ('a'):rep(1e6):find(('a?'):rep(21) .. 'b')",
    "long literal": """
        local s, p = ('a'):rep(1900), 'a-' .. ('a'):rep(1890) .. 'b'
        while true do s:find(p) end
    """,
    "comparing with a C function": """
        local t = {}
        for i = 1, 5e5 do t[i] = (i * 7919) % 1000003 end
        while true do pcall(table.sort, t, rawequal) end
    """,
    "errors with handlers": "while true do xpcall(error, function(e) return e end) end",
}
LONG_WALKS = {  # what 5.3 and later do through metatables, without an instruction
    "unpack": "while true do pcall(table.unpack, t, 1, 9e5) end",
    "concat": "while true do pcall(table.concat, t, '', 1, 9e4) end",
    "move": "while true do table.move(t, 1, 99999, 1, {}) end",
    "sort": "while true do pcall(table.sort, setmetatable({}, {__index = t, __len = function() return 4000 end})) end",
    "insert": "while true do pcall(table.insert, setmetatable({}, {__index = t, __len = #words}), 1, 'x') end",
}
CLOSING = {  # 5.4 and later
    "of a coroutine that an interrupt ended": """
        local co = coroutine.create(function()
          local x <close> = setmetatable({}, {__close = function() while true do end end})
          while true do end
        end)
        local y <close> = setmetatable({}, {__close = function() coroutine.close(co) end})
        coroutine.resume(co)
    """,
    "of a coroutine that died for want of memory": """
        while true do
          local co = coroutine.create(function()
            local x <close> = setmetatable({}, {__close = function() while true do end end})
            local t = {}
            pcall(function() local s = 'x' while true do s = s .. s t[#t + 1] = s end end)
            pcall(function() while true do t[#t + 1] = {} end end)
            pcall(function() while true do t = {t} end end)
            for i = 1, 1e5 do end
          end)
          pcall(coroutine.resume, co)
          collectgarbage()
          pcall(coroutine.close, co)
        end
    """,
    "of a coroutine that died for want of stack": """
        local function deep(n)
          if n == 0 then for i = 1, 1e4 do end return 'x' end
          return (string.gsub('x', 'x', function() return deep(n - 1) end))
        end
        while true do
          for n = 150, 200 do
            local co = coroutine.create(function()
              local x <close> = setmetatable({}, {__close = function() while true do end end})
              deep(n)
            end)
            if not coroutine.resume(co) then coroutine.close(co) end
          end
        end
    """,
}


def check_ends(engine: LuaEngine, source: str, assert_usable: Callable[[LuaEngine], None]) -> None:
    """Assert that the deadline ends it, and the next script is right."""
    error = engine.execute_script(source).error
    assert isinstance(error, ScriptTimeoutError), error
    assert_usable(engine)


@pytest.mark.parametrize("name", ENDLESS)
def test_script_ends_by_its_deadline(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, name: str
) -> None:
    """Handlers where no hook runs, patterns that are more work than they look, comparisons without an instruction."""
    check_ends(make_engine(lua, timeout_ms=200, memory_limit_mb=64), ENDLESS[name], assert_usable)


@pytest.mark.parametrize("version", HAVE_INTEGERS)
@pytest.mark.parametrize("name", LONG_WALKS)
def test_walk_through_metatables_ends_by_its_deadline(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], version: str, name: str
) -> None:
    """Each element of such a table is thousands of tables away."""
    source = f"""
        local words = {{}}
        for i = 1, 1e5 do words[i] = 'x' end
        local t = words
        for i = 1, 1990 do t = setmetatable({{}}, {{__index = t}}) end
        {LONG_WALKS[name]}"""
    check_ends(make_engine(version, timeout_ms=200, memory_limit_mb=64), source, assert_usable)


IN_PIECES = {  # of a text or a list that is as long as a script likes
    "options of getinfo": ("local s = ('S'):rep(2 ^ 26)", "pcall(debug.getinfo, 1, s)"),
    "mode of open": ("local s = 'r' .. ('b'):rep(2 ^ 26)", "pcall(io.open, '/no', s)"),
    "formats of read": ("local t = {} for i = 1, 7000 do t[i] = '*a' end", "pcall(io.read, unpack(t))"),
    "path without templates": ("package.path = (';'):rep(2 ^ 26)", "pcall(require, 'm')"),
    "path of many templates": ("package.path = ('?;'):rep(2 ^ 16)", "pcall(require, 'm')"),
    "name of a module": ("local s = ('a.'):rep(2 ^ 16)", "pcall(module or require, s)"),
    "names of loaded modules": (
        "local t = {} for i = 1, 1e5 do t['k' .. i] = i end for i = 1, 1e4 do package.loaded['m' .. i] = t end",
        "pcall(string.rep)",
    ),
    "traceback": (
        "local function deep(n) if n == 0 then return debug.traceback() end return 1, deep(n - 1) end",
        "pcall(deep, 1e5)",
    ),
    "written text": ("local s = ('x'):rep(2 ^ 26)", "io.write(s)"),
}


@pytest.mark.parametrize("name", IN_PIECES)
def test_long_text_is_gone_through_in_pieces(
    make_engine: Callable[..., LuaEngine],
    assert_usable: Callable[[LuaEngine], None],
    lua: str,
    name: str,
    tmp_path: Path,
) -> None:
    """Without the hard stop too, each ends when its time is over, and not when it is done."""
    if name == "names of loaded modules" and lua == "5.2":
        pytest.skip("5.2 goes through the globals at one stretch, which only the hard stop ends")
    files = {"allow_filesystem": True, "filesystem_directories": [tmp_path]}
    engine = make_engine(lua, timeout_ms=None, cpu_time_ms=700, hard_stop=False, memory_limit_mb=400, **files)
    before, call = IN_PIECES[name]
    began = time.thread_time()
    result = engine.execute_script(f"local unpack = unpack or table.unpack {before} while true do {call} end")
    assert isinstance(result.error, ScriptTimeoutError), result.error
    assert time.thread_time() - began < 5
    assert_usable(engine)


@pytest.mark.parametrize("version", HAVE_CLOSE)
@pytest.mark.parametrize("name", CLOSING)
def test_closing_ends_by_its_deadline(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], version: str, name: str
) -> None:
    """What a coroutine has yet to close may run where no hook does."""
    check_ends(make_engine(version, timeout_ms=300, memory_limit_mb=16), CLOSING[name], assert_usable)


@pytest.mark.parametrize("version", ["5.2", "5.3"])
def test_hook_that_never_has_the_stack_to_run_is_noticed(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], version: str
) -> None:
    """In step with the hook, each of its calls found the script where the C stack had no room for it."""

    def boom() -> None:
        raise ValueError

    engine = make_engine(version, timeout_ms=200, memory_limit_mb=1.5, functions={"boom": boom})
    source = """
        keep = {}
        pcall(function() while true do keep = {keep} end end)
        for i = 1, 2 do keep = keep[1] or keep end
        local function f() do local n = 5 boom() end do local n = 50 pcall(loadstring or load, 'return ' .. n) end end
        local function deep(d) if d == 0 then pcall(f) return end pcall(deep, d - 1) end
        while true do pcall(deep, 195) keep = {} end"""
    assert isinstance(engine.execute_script(source).error, (ScriptTimeoutError, MemoryLimitExceeded))
    assert_usable(engine)
