"""getfenv and setfenv of Lua 5.1 and LuaJIT: as stock for what is the script's own, and nothing for what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from luas import HAVE_ENVIRONMENTS
from stock_lua import stock_lua

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from luagauge import LuaEngine

pytestmark = pytest.mark.emulated

AS_STOCK = """
return getfenv() == _G, getfenv(0) == _G, getfenv(1) == _G, getfenv(nil) == _G
return getfenv(print) == _G, getfenv(string.len) == _G, getfenv(coroutine.wrap(function() end)) == _G
local f = loadstring('return x') return setfenv(f, {x = 5}) == f, f()
local e = {} local function f() z = 1 end setfenv(f, e) f() return e.z, z
local f = setfenv(function() return function() return q end end, {q = 2}) return f()()
local function f() setfenv(2, {g = 3}) end f() return g, print
local function f() return getfenv(2) end local function g() local x = f() return x end setfenv(g, {}) return g() == getfenv(g)
local function f() return getfenv(1) == _G end return f(), xpcall(f, print)
setfenv(1, {r = 5}) return r
setfenv(0, {y = 7}) return loadstring('return y')(), print ~= nil, getfenv(0).y, getfenv(print).y, getfenv(1).y
setfenv('0', {y = 7}) return loadstring('return y')()
setfenv(0, {y = 7}) return coroutine.wrap(function() return loadstring('return y')() end)()
local f = coroutine.wrap(function() setfenv(0, {y = 8}) return loadstring('return y')() end) return f(), loadstring('return y')()
setfenv(0, {y = 7}) local n = 0 return load(function() n = n + 1 return n == 1 and 'return y' or nil end)()
return pcall(setfenv, print, {})
return pcall(setfenv, coroutine.wrap(function() end), {})
return pcall(setfenv, 0.5, {})
return pcall(setfenv, -1, {})
return pcall(setfenv, 99, {})
return pcall(setfenv, 'x', {})
return pcall(setfenv, {}, {})
return pcall(setfenv, 1)
return pcall(setfenv, 1, 2)
return pcall(setfenv)
return pcall(getfenv, -1)
return pcall(getfenv, 99)
return pcall(getfenv, 'x')
return pcall(getfenv, {})
local function f() setfenv(print, {}) end return pcall(f)
local function f() return getfenv(2) end local function g() return f() end local ok, e = pcall(g) return ok, ok or e
""".strip().splitlines()  # fmt: skip


@pytest.fixture
def engine(lua: str, make_engine: Callable[..., LuaEngine]) -> LuaEngine:
    """Return an engine of a Lua that has these functions."""
    if lua not in HAVE_ENVIRONMENTS:
        pytest.skip("functions have no environments there")
    return make_engine(lua)


@pytest.mark.parametrize("source", AS_STOCK)
def test_environments_are_as_in_stock_lua(engine: LuaEngine, source: str) -> None:
    """Levels, level 0, defaults, results and complaints."""
    show = (
        "local function show(...) local t = {} for i = 1, select('#', ...) do local v = select(i, ...)"
        " t[i] = type(v) == 'table' and 'table' or tostring(v) end return table.concat(t, '; ') end "
    )
    script = f"{show} return show((function() {source} end)())"
    stock = stock_lua(engine).eval("function(text) return loadstring(text, '=script')() end")(script)
    assert engine.execute_script(script).raise_for_error().output == stock


LIBRARY = """
local checked = 0
local function check(f)
  if type(f) ~= 'function' then return end
  checked = checked + 1
  assert(getfenv(f) == _G)
  local ok, why = pcall(setfenv, f, {})
  assert(not ok and why == "'setfenv' cannot change environment of given object")
end
for _, entry in pairs(_G) do
  check(entry)
  if type(entry) == 'table' then for _, f in pairs(entry) do check(f) end end
end
return checked
"""


def test_environments_of_the_library_are_not_to_be_had(engine: LuaEngine) -> None:
    """Not of C functions, nor of those that are written in Lua."""
    assert engine.execute_script(LIBRARY).raise_for_error().output > 80


def test_environments_of_the_hosts_functions_are_not_to_be_had(
    lua: str, make_engine: Callable[..., LuaEngine], tmp_path: Path
) -> None:
    """Not of Python functions, nor of require, as a level that called the script."""
    if lua not in HAVE_ENVIRONMENTS:
        pytest.skip("functions have no environments there")
    (tmp_path / "m.lua").write_text("return {getfenv(1), getfenv(2), pcall(setfenv, 3, {})}")
    engine = make_engine(lua, allow_filesystem=True, filesystem_directories=[tmp_path], functions={"f": lambda: 1})
    assert engine.execute_script(LIBRARY).raise_for_error().output > 95
    script = "local m = require('m') return m[1] == _G, m[2] == _G, m[3], m[4]"
    refusal = "'setfenv' cannot change environment of given object"
    assert engine.execute_script(script).raise_for_error().output == (True, True, False, refusal)


@pytest.mark.parametrize("name", ["=xpcall", "=[C]", "@builtin"])
def test_environments_do_not_depend_on_names(engine: LuaEngine, name: str) -> None:
    """A script names its chunks as it likes: they stay its own."""
    source = f"local f = loadstring('return x', '{name}') setfenv(f, {{x = 1}}) return f(), getfenv(f).x"
    assert engine.execute_script(source).raise_for_error().output == (1, 1)


@pytest.mark.parametrize(
    "change",
    [
        "setfenv(0, {})", "setfenv(1, {})", "setfenv(0, {}) error('x')", "setfenv(1, {}) local x = nil + 1",
        "getfenv(0).print = 5", "coroutine.wrap(function() setfenv(0, {}) end)()", "setfenv(0, {}) while true do end",
    ],
)  # fmt: skip
def test_environments_of_one_run_are_not_the_next_ones(
    lua: str, make_engine: Callable[..., LuaEngine], change: str
) -> None:
    """Neither another script's, nor those of the same script when it is kept; globals are fresh each time."""
    if lua not in HAVE_ENVIRONMENTS:
        pytest.skip("functions have no environments there")
    engine = make_engine(lua, timeout_ms=100 if "while" in change else 60_000)
    look = engine.precompile_script("return print ~= nil, x, getfenv(0) == _G, loadstring('return print ~= nil')()")
    first = engine.precompile_script(f"local before = print x = 1 {change} return before ~= nil")
    for _ in range(3):
        result = engine.execute_script(first)
        assert result.success is not any(word in change for word in ("error", "nil +", "while"))
        assert engine.execute_script(look).raise_for_error().output == (True, None, True, True)


def test_environment_of_a_run_is_what_loaded_code_sees(engine: LuaEngine) -> None:
    """getfenv() reaches every name, also those that the script does not mention otherwise."""
    assert engine.execute_script("return type(getfenv()['ma' .. 'th'])").output == "table"
