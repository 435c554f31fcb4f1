"""Weak tables: values are as weak as ever, and keys never cost the collector the square of their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from luagauge import LuaEngine

MARKS_WEAK_KEYS = ("5.1", "luajit2.0", "luajit2.1")
CHAIN = """
    local t, first = setmetatable({}, {__mode = 'k'}), {}
    local key = first
    for i = 1, 150000 do local value = {} t[key] = value key = value end
    for i = 1, 3 do collectgarbage() end
    local n = 0
    for _ in pairs(t) do n = n + 1 end
    return n, first
"""
LATE = CHAIN.replace("setmetatable({}, {__mode = 'k'})", "(function() local m = {} local t = setmetatable({}, m) "
                     "m.__mode = 'k' return t end)()")  # fmt: skip


@pytest.mark.native_only  # on lupa's counters the collector cannot be changed: SECURITY.md
@pytest.mark.parametrize("source", [CHAIN, LATE], ids=["at once", "set later"])
def test_chain_of_weak_keys_is_collected_in_time(make_engine: Callable[..., LuaEngine], lua: str, source: str) -> None:
    """Each value is the next key: the worst case of ephemerons, one collection of which took half a minute."""
    result = make_engine(lua, timeout_ms=60_000, max_output_size=1 << 24).execute_script(source)
    assert result.error is None
    assert result.output == (150_000, [])
    assert result.duration_ms < 10_000


@pytest.mark.parametrize("mode", ["v", "kv", "vk"])
def test_weak_values_are_collected(engine: LuaEngine, mode: str) -> None:
    """What only a weak table holds goes, numbers and what something else holds stay."""
    source = f"""
    local kept = {{}}
    local t = setmetatable({{{{}}, kept, 3, x = {{}}, y = kept}}, {{__mode = '{mode}'}})
    collectgarbage() collectgarbage()
    return t[1] == nil, t[2] == kept, t[3], t.x == nil, t.y == kept
    """
    assert engine.execute_script(source).output == (True, True, 3, True, True)


@pytest.mark.native_only  # on lupa's counters weak keys are what they are in the version
def test_weak_keys_alone_are_held(engine: LuaEngine, lua: str) -> None:
    """From 5.2 on, where they would be ephemerons; before, they are weak."""
    source = (
        "local t = setmetatable({}, {__mode = 'k'}) t[{}] = 1 collectgarbage() collectgarbage() return next(t) ~= nil"
    )
    assert engine.execute_script(source).output is (lua not in MARKS_WEAK_KEYS)


def test_metatable_of_a_weak_table_is_the_scripts_own(engine: LuaEngine) -> None:
    """It is handed back as it was given, works, can be replaced, and holds nothing that the script did not put there."""
    source = """
    local m = {__mode = 'v', __index = function(_, k) return k .. '!' end}
    local t = setmetatable({}, m)
    local same, works = getmetatable(t) == m, t.a == 'a!'
    local keys = 0
    for _ in pairs(getmetatable(t)) do keys = keys + 1 end
    local again = getmetatable(setmetatable(t, {__mode = 'kv'})).__mode
    setmetatable(t, nil)
    return same, works, keys, again, getmetatable(t) == nil
    """
    assert engine.execute_script(source).output == (True, True, 2, "kv", True)


def test_protected_metatable_of_a_weak_table_stays_protected(engine: LuaEngine) -> None:
    """With __metatable it cannot be seen or changed, whatever its mode."""
    source = """
    local t = setmetatable({}, {__mode = 'v', __metatable = 'no'})
    local ok, why = pcall(setmetatable, t, {})
    return getmetatable(t), ok, (tostring(why):gsub('^.-:%d+: ', ''))
    """
    assert engine.execute_script(source).output == ("no", False, "cannot change a protected metatable")


def test_metatable_that_is_large_is_not_copied_whole(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A class of many entries costs its objects no more memory than its events do; each looks at all of it once."""
    engine = make_engine(lua, timeout_ms=60_000)
    source = """
    local m, kept = {__mode = 'v', __index = function() return 1 end}, {}
    for i = 1, 20000 do m[i] = i m['name' .. i] = i end
    for i = 1, 500 do kept[i] = setmetatable({}, m) end
    return kept[500].x
    """
    result = engine.execute_script(source)
    assert result.output == 1
    assert result.memory_used_mb is not None
    assert result.memory_used_mb < 8
