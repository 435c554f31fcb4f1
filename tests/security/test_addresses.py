"""No text, number or order that a script sees tells it where anything lies in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luagauge import LuaEngine, ScriptRuntimeError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    "source",
    [
        "local _, address = math.randomseed() return address",
        "return ('%s'):format(setmetatable({}, {__tostring = function() return {} end}))",
        "return ('%s %s'):format(1, setmetatable({}, {__tostring = function() return print end}))",
    ],
    ids=["seed", "table", "function"],
)
def test_script_learns_no_address(make_engine: Callable[..., LuaEngine], lua: str, source: str) -> None:
    """No figure is the same in a second engine that differs by its addresses, and no text looks like one."""
    outputs = [make_engine(lua).execute_script(source).output for _ in range(2)]
    for output in outputs:
        assert output is None or "0x" not in str(output)
    if isinstance(outputs[0], int) and isinstance(outputs[1], int):
        assert abs(outputs[0] - outputs[1]) > 1 << 32  # two states lie closer together


@pytest.mark.parametrize(
    "expression",
    [
        "tostring({})",
        "tostring(print)",
        "tostring(function() end)",
        "tostring(coroutine.create(function() end))",
        "tostring(setmetatable({}, {}))",
        "tostring(setmetatable({}, {__name = 'thing'}))",
        "select(2, pcall(string.format, '%s', {}))",
        "select(2, pcall(string.format, '%s %s', print, coroutine.running() or {}))",
        "table.concat({tostring(_G), tostring(string)}, ' ')",
        "select(2, pcall(error, {}))",
        "tostring(select(2, pcall(string.rep, {})))",
        "tostring(select(2, pcall(function() return {} .. {} end)))",
        "tostring(select(2, pcall(function() return #print end)))",
        "tostring(select(2, pcall(ipairs)))",
        "tostring(select(2, pcall(string.format, '%d', {})))",
        "select(2, pcall(string.format, '%p', {}))",
        "select(2, pcall(string.format, '%q', {}))",
        "select(2, pcall(string.format, '%s%q', 1, print))",
        "select(2, pcall(string.format, '%5q%s', coroutine.create(function() end), 1))",
        "select(2, (loadstring or load)('x ='))",
    ],
)
def test_texts_hold_no_addresses(engine: LuaEngine, expression: str) -> None:
    """Neither a text nor an error message tells where anything lies."""
    source = f"local text = tostring({expression}) return text, text:find('%x%x%x%x%x%x%x') == nil"
    result = engine.execute_script(source)
    assert result.error is None
    assert result.output[1] is True, result.output


def test_order_of_tables_tells_no_addresses(engine: LuaEngine) -> None:
    """Two tables cannot be ordered, hashed or told apart by text."""
    assert engine.execute_script("return tostring({}) == tostring({}), tostring(print) == tostring(pairs)").output == (
        True,
        True,
    )
    assert isinstance(engine.execute_script("return {} < {}").error, ScriptRuntimeError)
