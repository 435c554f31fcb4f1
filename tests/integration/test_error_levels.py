"""Where an error is said to be, and what handlers see, through pcall, xpcall and coroutines: as in stock Lua."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from luas import PUC
from stock_lua import stock_lua

from luagauge import LuaEngine

LEVELS = [
    "local function f() error('m', 3) end local function g() return xpcall(f, function(m) return m end) end return g()",
    "local function f() error('m', 3) end local function g() return pcall(f) end return g()",
    """local function f(l) error('m', l) end
    local out = {}
    for l = 0, 8 do
        out[#out + 1] = tostring(select(2,
            xpcall(function() f(l) end, function(m) return m end)))
    end
    return table.concat(out, ' ')""",
    "return select(2, xpcall(function() return nil + 1 end, function(m) return m end))",
    """local co = coroutine.wrap(function() return xpcall(function() coroutine.yield(1) error('late', 2) end,
        function(m) return 'handled ' .. m end) end)
    co() return select(2, co())""",
    "return xpcall(function(...) return select('#', ...), ... end, print, 1, nil, 3)",
    "return pcall(xpcall)",
    "return pcall(xpcall, print)",
    "return pcall(xpcall, error, 5)",
    "local t = {} t.x = xpcall return pcall(function() t.x(print) end)",
    "return xpcall(error, type, 'm')",
    "return xpcall(error, select, 'm')",
    "return xpcall(error, error, 'm')",
    "return xpcall(error, xpcall, 'm')",
    "return xpcall(error, coroutine.wrap(function(m) return m .. '!' end), 'm')",
    "return xpcall(error, setmetatable, 'm')",
]
"""Scripts whose answer depends on how many calls lie between an error, its handler and what caught it."""
HANDLERS = [
    "local function h(n) if type(n) ~= 'number' then return n elseif n == 0 then return 'END' end error(n - 1, 0) end "
    f"return xpcall(error, h, {failures}, 0)"
    for failures in (0, 1, 5, 20, 60, 100, 170, 300)
]
"""Handlers that fail so many times, and then succeed."""
WRAPPED = [
    "local w w = coroutine.wrap(function() return w() end) return pcall(w)",
    "local w w = coroutine.wrap(function(...) return w(...) end) return pcall(w, 1, 2)",
    "local co co = coroutine.create(function() return coroutine.resume(co) end) return coroutine.resume(co)",
    "local co co = coroutine.create(function(...) return coroutine.resume(co, ...) end) return coroutine.resume(co, 1)",
    """local outer = coroutine.create(function(o) return coroutine.resume(coroutine.create(coroutine.resume), o) end)
    return pcall(coroutine.resume, outer, outer)""",
    "local co = coroutine.create(function() end) coroutine.resume(co) return coroutine.resume(co)",
    "local w = coroutine.wrap(function() end) w() return pcall(w)",
    "return pcall(coroutine.resume, 1)",
    "return pcall(coroutine.resume)",
    "return pcall(coroutine.status, 'x')",
    "return pcall(coroutine.wrap, print) == pcall(coroutine.create, print)",
    "local ok, e = pcall(coroutine.wrap(function() error(5, 0) end)) return type(e), e",
    "local w = coroutine.wrap(function() error(-2 ^ 63) end) local ok, e = pcall(function() w() end) return type(e), e",
    "return pcall(coroutine.wrap)",
    "return pcall(coroutine.wrap, {})",
    "local t = {resume = coroutine.resume} return pcall(function() t.resume('x') end)",
    "return pcall(coroutine.close or print, 5)",
]
"""Coroutines that are resumed when they cannot be, and what is none."""


def answer(engine: LuaEngine, script: str) -> tuple[object, object]:
    """Return what a script gives here and in stock Lua, as text.

    Addresses are left out, and so is the `_G.` that 5.2 puts before a name or not, as the hashes have it.
    """
    shown = (
        "local function all(...) local out = {} for i = 1, select('#', ...) do out[i] = tostring((select(i, ...))) end "
        "return (table.concat(out, '; '):gsub(': 0?x?%x%x%x%x%x%x+', ': (hidden)'):gsub(\"'_G%.\", \"'\")) end return all(pcall(function()\n"
        f"{script}\nend))"
    )
    stock = stock_lua(engine).eval("function(text) return (loadstring or load)(text, '=script')() end")(shown)
    return engine.execute_script(shown).raise_for_error().output, stock


@pytest.mark.parametrize("script", LEVELS)
def test_error_levels_count_as_in_stock_lua(engine: LuaEngine, script: str) -> None:
    """Calls of pcall and xpcall are one level each, and a handler is called from where the error was."""
    here, stock = answer(engine, script)
    assert here == stock


@pytest.mark.parametrize("script", HANDLERS)
def test_error_handlers_may_fail_as_often_as_in_stock_lua(engine: LuaEngine, script: str) -> None:
    """Each failure calls the handler anew, until Lua's own bound."""
    here, stock = answer(engine, script)
    assert here == stock


@pytest.mark.parametrize("script", WRAPPED)
def test_coroutine_complaints_are_those_of_stock_lua(engine: LuaEngine, script: str) -> None:
    """In words, and in where they say they are."""
    here, stock = answer(engine, script)
    assert here == stock


def test_error_handler_is_no_level_of_its_own(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """What a handler calls error for is the script's line, as deep as it says. In 5.1 a tail call is a level."""
    script = "return select(2, xpcall(function()\nerror('m', 0)\nend, function(m)\nlocal ok, e = pcall(error, m, 3)\nreturn e end))"
    here, stock = answer(make_engine(lua), script)
    assert here == stock or lua == PUC[0]
