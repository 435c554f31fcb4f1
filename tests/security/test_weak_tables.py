"""Weak tables: they are what they are in stock Lua of the same version, and what they cost ends with the deadline."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest
from long_steps import CHAIN_OF_WEAK_KEYS

from luagauge import ScriptTimeoutError, _finder

if TYPE_CHECKING:
    from collections.abc import Callable

    from luagauge import LuaEngine

# Each script tells all that it saw in one string. `seen(t)` lists what is left in a table, in an order of its own.
SEEN = """
    local function collect() for i = 1, 3 do collectgarbage() end end
    local function seen(t)
        local names = {}
        for k, v in pairs(t) do
            names[#names + 1] = (type(k) == 'table' and 'table' or tostring(k))
                .. '=' .. (type(v) == 'table' and 'table' or tostring(v))
        end
        table.sort(names)
        return table.concat(names, ' ')
    end
"""
STOCK = {
    "weak values": """
        local kept = {}
        local t = setmetatable({{}, kept, 3, 'text', x = {}, y = kept, z = print and 1}, {__mode = 'v'})
        collect() return seen(t)
    """,
    "weak keys": """
        local kept = {}
        local t = setmetatable({[{}] = 1, [kept] = 2, [3] = 3, s = {}}, {__mode = 'k'})
        collect() return seen(t)
    """,
    "weak keys and values": """
        local kept = {}
        local t = setmetatable({[{}] = 1, [kept] = {}, [3] = kept, s = {}}, {__mode = 'kv'})
        collect() return seen(t)
    """,
    "a key held by its own value": """
        local t = setmetatable({}, {__mode = 'k'})
        do local key = {} t[key] = {key} end
        collect() return seen(t)
    """,
    "a short chain of ephemerons, held": """
        local t, first = setmetatable({}, {__mode = 'k'}), {}
        local key = first
        for i = 1, 50 do local value = {} t[key] = value key = value end
        key = nil
        collect() local before = seen(t)
        first = nil
        collect() return before .. '; ' .. seen(t)
    """,
    "functions and coroutines as keys": """
        local t = setmetatable({}, {__mode = 'k'})
        t[coroutine.create(collect)] = 1 t[function() return t end] = 2 t['s'] = 3 t[1.5] = 4 t[true] = 5
        collect() return seen(t)
    """,
    "strings are never removed": """
        local t = setmetatable({['a' .. 1] = 'b' .. 1}, {__mode = 'kv'})
        collect() return seen(t)
    """,
    "a mode set late": """
        local m = {}
        local t = setmetatable({{}, [{}] = 1}, m)
        collect() local before = seen(t)
        m.__mode = 'kv' collect()
        return before .. '; ' .. seen(t)
    """,
    "a mode taken away": """
        local m = {__mode = 'kv'}
        local t = setmetatable({}, m)
        m.__mode = nil t[1] = {} t[{}] = 1
        collect() return seen(t)
    """,
    "modes that are none": """
        local list = {}
        for _, mode in ipairs({'', 'x', 'K', 'vk', 'weak', 1}) do
            local t = setmetatable({{}, [{}] = 1}, {__mode = mode})
            collect() list[#list + 1] = tostring(mode) .. ': ' .. seen(t)
        end
        return table.concat(list, '; ')
    """,
    "a metatable of its own": """
        local t = {__mode = 'k'}
        setmetatable(t, t) t[{}] = 1
        collect() return seen(t)
    """,
    "the metatable is handed back": """
        local m = {__mode = 'k', __index = function(_, k) return k .. '!' end}
        local t = setmetatable({}, m)
        local same, works = getmetatable(t) == m, t.a
        local again = getmetatable(setmetatable(t, {__mode = 'kv'})).__mode
        setmetatable(t, nil)
        return table.concat({tostring(same), works, seen(m):gsub('function: %S+', 'f'), again,
            tostring(getmetatable(t))}, ' ')
    """,
    "a protected metatable": """
        local t = setmetatable({}, {__mode = 'k', __metatable = 'no'})
        local ok, why = pcall(setmetatable, t, {})
        return getmetatable(t) .. ' ' .. tostring(ok) .. ' ' .. tostring(why):gsub('^.-:%d+: ', '')
    """,
    "what a weak table is made to hold while it is walked": """
        local t, n = setmetatable({}, {__mode = 'k'}), 0
        for i = 1, 200 do t[{}] = i t['key' .. i] = i end
        for k in pairs(t) do n = n + 1 t[k] = nil collectgarbage('step') end
        return tostring(n >= 200) .. tostring(next(t) == nil)
    """,
}


@pytest.mark.parametrize("name", STOCK)
def test_weak_tables_are_as_in_stock_lua(engine: LuaEngine, lua: str, name: str) -> None:
    """Entries go and stay as they do in lupa's Lua of the same version, ephemerons included."""
    stock = importlib.import_module(f"lupa.{_finder.MODULES[lua]}").LuaRuntime()
    source = SEEN + STOCK[name]
    result = engine.execute_script(source)
    assert result.error is None
    assert result.output == stock.execute(source)


CHAIN = f"local length = 100000 {CHAIN_OF_WEAK_KEYS} while true do collectgarbage() end"
ATTACKS = {
    "at once": CHAIN,
    "set later": CHAIN.replace(
        "setmetatable({}, {__mode = 'k'})",
        "(function() local m = {} local t = setmetatable({}, m) m.__mode = 'k' return t end)()",
    ),
    "in many tables": """
        local key = {}
        local first = key
        for i = 1, 200 do
            local t = setmetatable({}, {__mode = 'k'})
            for j = 1, 2000 do local value = {} t[key] = value key = value end
            key[1] = t
        end
        while true do collectgarbage('step', 1000) end
    """,
    "while it allocates": CHAIN.replace("collectgarbage()", "local garbage = {{}, {}, {}}"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_chain_of_weak_keys_does_not_outlive_a_deadline(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, name: str
) -> None:
    """One step of the collector takes as long as the chain's length squared; the run ends, and so do the later ones."""
    engine = make_engine(lua, timeout_ms=400, memory_limit_mb=200)
    for _ in range(2):
        result = engine.execute_script(ATTACKS[name])
        assert isinstance(result.error, ScriptTimeoutError)
        assert result.stopped in {"error", "state"}
    assert_usable(engine)


def test_metatable_that_is_large_is_not_copied(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A class of many entries costs its objects no memory."""
    engine = make_engine(lua, timeout_ms=60_000)
    source = """
    local m, kept = {__mode = 'k', __index = function() return 1 end}, {}
    for i = 1, 20000 do m[i] = i m['name' .. i] = i end
    for i = 1, 500 do kept[i] = setmetatable({}, m) end
    return kept[500].x
    """
    result = engine.execute_script(source)
    assert result.output == 1
    assert result.memory_used_mb is not None
    assert result.memory_used_mb < 8
