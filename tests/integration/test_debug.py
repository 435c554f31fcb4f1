"""debug.traceback and debug.getinfo: what stock Lua says of a script's own functions and frames, and nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from luas import HAVE_ENV
from stock_lua import our_answer, output, stock_answer

from luagauge import LuaEngine, ScriptTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

SUSPENDED = "local co = coroutine.create(function() local x = 1 coroutine.yield() end) coroutine.resume(co) return "
DEAD = "local co = coroutine.create(function() error('dead') end) coroutine.resume(co) return "
DEEP = """local function r(n) if n == 0 then local text = debug.traceback('deep'%s) return text end
local text = r(n - 1) return text end local text = r(%d) return text"""

TRACEBACKS = [
    "local text = debug.traceback('m') return text",
    "local text = debug.traceback() return text",
    "return debug.traceback(nil)",
    "return type(debug.traceback({})), debug.traceback(true), debug.traceback(5)",
    "local text = debug.traceback(nil, 1) return text",
    "local text = debug.traceback('m', 100) return text",
    "local text = debug.traceback('m', -1) return text:gsub('.*main', 'main')",
    "local function f() return debug.traceback('in f') end local a = f() return a",
    "local function f() local a = debug.traceback('in f') return a end local a = f() return a",
    "function glob() local a = debug.traceback('in f') return a end local a = glob() return a",
    "local t = {} function t.m() local a = debug.traceback('in f') return a end local a = t.m() return a",
    "local t = {} function t:m() local a = debug.traceback('in f') return a end local a = t:m() return a",
    "local a = {pcall(debug.traceback, 'x')} return a[2]",
    "local a = ('x'):gsub('x', function() local t = debug.traceback('g') return t end) return a",
    "local a table.sort({1, 2, 3}, function(x, y) a = debug.traceback('s') return x < y end) return a",
    SUSPENDED + "debug.traceback(co)",
    SUSPENDED + "debug.traceback(co, 'msg')",
    SUSPENDED + "debug.traceback(co, 'msg', 1)",
    SUSPENDED + "debug.traceback(co, nil)",
    DEAD + "debug.traceback(co)",
    "local co = coroutine.create(function() end) return debug.traceback(co)",
    "local co = coroutine.wrap(function() local t = debug.traceback('in co') return t end) return co()",
    *(DEEP % (level, depth) for depth in range(16, 27) for level in ("", ", 0", ", 3", ", 11", ", 12", ", 13", ", 40")),
]

INFO = """local function f(a, b, ...) local info = debug.getinfo(%s) return info end
local function g() local info = f() return info end
local info = g()
if not info then return 'none' end
local found = {}
for name, value in pairs(info) do
  if name ~= 'func' and name ~= 'activelines' then found[#found + 1] = name .. '=' .. tostring(value) end
end
table.sort(found)
return table.concat(found, ' ')"""
ARGUMENTS = (
    "1; 0; 2; 3; 4; 100; -7; string.rep; debug.getinfo; pcall; 1, 'S'; 1, 'l'; 1, 'n'; 1, 'u'; 1, 'fL'; 1, ''; 1, 'SSSlnu'; "
    "function(a) end; function(...) end, 'Su'; function(a, b) return a end, 'S'; coroutine.create(function() end), 0; "
    "coroutine.create(function(a, b) end), 1; 1.0, 'l'; '1', 'l'; f"
).split("; ")


@pytest.mark.parametrize("source", TRACEBACKS)
def test_traceback_is_as_in_stock_lua(engine: LuaEngine, source: str) -> None:
    """Messages, levels, coroutines and names come as the stock library words them."""
    assert our_answer(engine, source) == stock_answer(engine, source)


def test_traceback_is_a_handler(engine: LuaEngine) -> None:
    """xpcall(f, debug.traceback) gives the message with the stack, and an error that is no text as it is."""
    answer: Any = output(
        engine,
        """local function fails() error("oops") end
        local ok, text = xpcall(fails, debug.traceback) local t = {}
        return ok, text, select(2, xpcall(error, debug.traceback, t)) == t or select(2, xpcall(function() error(t) end,
            debug.traceback)) == t""",
    )
    ok, text, same = answer
    assert (ok, same) == (False, True)
    assert text.startswith("script:1: oops\nstack traceback:\n")
    assert "\n\tscript:1: in " in text
    assert text.endswith("in main chunk")


def test_traceback_shows_nothing_of_the_host(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A host function is a C function, below the script is nothing, and no text holds an address."""
    engine = make_engine(lua, functions={"host": lambda f: None})
    source = """local texts = {debug.traceback("t", 0)}
    texts[2] = debug.getinfo(host).what .. debug.getinfo(host).short_src .. debug.getinfo(host).source
    texts[3] = debug.getinfo(xpcall).what .. debug.getinfo(xpcall).source
    texts[4] = debug.getinfo(string.len).what .. debug.getinfo(math.deg).short_src
    return texts"""
    texts: Any = output(engine, source)
    first, host, own, builtin = texts
    assert first.endswith("script:1: in main chunk")
    assert "0x" not in first
    assert (host, own, builtin) == ("C[C]=[C]", "C=[C]", "C[C]")


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_getinfo_is_as_in_stock_lua(engine: LuaEngine, arguments: str) -> None:
    """Each option gives the stock library's fields."""
    source = INFO % arguments
    ours, stock = our_answer(engine, source), stock_answer(engine, source)
    assert ours[0] is stock[0]
    assert ours == stock or (ours[0] is False and str(stock[1]).startswith(str(ours[1])))


@pytest.mark.parametrize("option", ["x", "Sx", ">", "S>", ">S", "t", "r", "tS"])
def test_getinfo_refuses_options_as_the_version_does(engine: LuaEngine, option: str) -> None:
    """What is no option of the version is its error; a '>' would take a function from a stack that has none."""
    lua = engine.config.lua
    source = f"return pcall(debug.getinfo, 1, {option!r})"
    if ">" in option:
        ours = our_answer(engine, source)
        assert ours[1] is False
        assert "invalid option" in ours[2]
        return
    ours, stock = our_answer(engine, source), stock_answer(engine, source)
    assert ours[1] is stock[1]
    assert ours[1] or ours[2] == stock[2]
    assert lua not in HAVE_ENV or option != "t" or ours[1] is True


def test_handler_of_51_finds_a_tail_call(make_engine: Callable[..., LuaEngine]) -> None:
    """What docs/sandbox.md says of levels in an error handler; the other Luas have no such level."""
    script = """local function run(handler) return select(2, xpcall(function() error("x", 0) end, handler)) end
    return run(function(m) return debug.traceback(m, 2) end):match("traceback:\\n\\t([^\\n]*)"),
        run(function() return debug.getinfo(2).what end)"""
    assert make_engine(lua="5.1").execute_script(script).output == ("(tail call): ?", "tail")
    assert make_engine(lua="5.4").execute_script(script).output == ("[C]: in function 'error'", "C")


def test_getinfo_gives_no_function(engine: LuaEngine) -> None:
    """Whatever is asked for, all values are texts, numbers and booleans."""
    source = """local kinds = {}
    local function look(...) for _, value in pairs(debug.getinfo(...)) do kinds[type(value)] = true end end
    local co = coroutine.create(function() coroutine.yield() end) coroutine.resume(co)
    look(1) look(1, "fL") look(1, "f") look(look) look(look, "fLS") look(print) look(co, 0) look(co, 1, "fLSlnu")
    local names = {} for name in pairs(kinds) do names[#names + 1] = name end table.sort(names)
    return table.concat(names, " "), next(debug.getinfo(1, "f")), next(debug.getinfo(look, "fL"))"""
    assert output(engine, source) == (
        "boolean number string" if engine.config.lua != "5.1" else "number string",
        None,
        None,
    )
    names = "local n = {} for name in pairs(debug) do n[#n + 1] = name end table.sort(n) return table.concat(n, ' ')"
    assert output(engine, names) == "getinfo traceback"


def test_traceback_of_a_deep_recursion_ends_with_its_deadline(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Many tracebacks of many levels look at the deadline, also as the handler of an overflow."""
    engine = make_engine(lua, timeout_ms=300, memory_limit_mb=100)
    source = """local function deep(n) if n == 0 then while true do debug.traceback() debug.getinfo(1000) end end
    local x = deep(n - 1) return x end return deep(15000)"""
    assert isinstance(engine.execute_script(source).error, ScriptTimeoutError)
    source = """local function f() local x = f() return x end
    while true do xpcall(f, debug.traceback) end"""
    assert isinstance(engine.execute_script(source).error, ScriptTimeoutError)


def test_debug_belongs_to_its_run(engine: LuaEngine) -> None:
    """What a run makes of the table is gone with it."""
    for _ in range(2):
        output(engine, "debug.traceback = nil debug.mine = 1 debug = nil return true")
        assert output(engine, "return debug.mine, type(debug.traceback)") == (None, "function")
