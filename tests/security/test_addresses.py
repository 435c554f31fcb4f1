"""No text, number or order that a script sees tells it where anything lies in memory."""

from __future__ import annotations

import itertools
import json
import math
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from luas import HAVE_POINTERS, HAVE_TYPE_NAMES, LUAJIT

from luagauge import LuaEngine, ScriptRuntimeError

if TYPE_CHECKING:
    from collections.abc import Callable

OBJECTS = 10_000
BITS = 48
FAR = 7
"""Standard deviations that chance does not go beyond in any number of test runs."""


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
    """No figure is the same in a second engine that differs by its addresses."""
    outputs = [make_engine(lua).execute_script(source).output for _ in range(2)]
    if isinstance(outputs[0], int) and isinstance(outputs[1], int):
        assert abs(outputs[0] - outputs[1]) > 1 << 32  # two states lie closer together
    else:
        assert outputs == [None, None] or outputs[0] != outputs[1]


@pytest.mark.parametrize(
    "expression",
    [
        "select(2, pcall(error, {}))",
        "tostring(select(2, pcall(string.rep, {})))",
        "tostring(select(2, pcall(function() return {} .. {} end)))",
        "tostring(select(2, pcall(function() return #print end)))",
        "tostring(select(2, pcall(ipairs)))",
        "tostring(select(2, pcall(string.format, '%d', {})))",
        "select(2, (loadstring or load)('x ='))",
    ],
)
def test_messages_hold_no_addresses(engine: LuaEngine, expression: str) -> None:
    """An error message names the kind of a value, and no number; where the value is shown, it is as tostring shows it."""
    source = f"local text = {expression} return tostring(text), type(text) == 'string' and text:find('0x') ~= nil"
    assert engine.execute_script(source).raise_for_error().output[1] is False


def numbers(engine: LuaEngine, expression: str, count: int = OBJECTS) -> list[int]:
    """Return the numbers in the texts of new objects that are all alive, in the order in which they were made."""
    source = f"""
    local keep, texts = {{}}, {{}}
    for i = 1, {count} do keep[i] = {expression} end
    for i = 1, {count} do texts[i] = tostring(keep[i]) end
    return texts
    """
    texts = engine.execute_script(source).raise_for_error().output
    assert all(re.fullmatch(r"\w+: 0x[0-9a-f]{12}", text) for text in texts), texts[0]
    return [int(text.partition("0x")[2], 16) for text in texts]


def assert_as_chance_has_it(count: int, trials: int, probability: float) -> None:
    """So many of so many trials, each of that probability."""
    deviation = math.sqrt(trials * probability * (1 - probability))
    assert abs(count - trials * probability) <= FAR * deviation + 1, (count, trials, probability)


KINDS = ["{}", "{i}", "function() return i end", "coroutine.create(function() return i end)"]


@pytest.mark.parametrize("expression", KINDS)
def test_texts_of_objects_are_as_if_drawn_by_lot(
    make_engine: Callable[..., LuaEngine], lua: str, expression: str
) -> None:
    """All differ; each bit is set in half of them; neither differences nor the order of making them show."""
    engine = make_engine(lua, memory_limit_mb=200, max_output_size=10_000_000, timeout_ms=60_000)
    found = numbers(engine, expression)
    assert len(set(found)) == OBJECTS
    for bit in range(BITS):
        assert_as_chance_has_it(sum(number >> bit & 1 for number in found), OBJECTS, 0.5)
    pairs = list(itertools.pairwise(found))
    for bit in range(BITS):  # neighbours share no bit: not the lowest, as blocks do, nor those of a page
        assert_as_chance_has_it(sum((one ^ other) >> bit & 1 for one, other in pairs), len(pairs), 0.5)
    assert len({one ^ other for one, other in pairs}) > len(pairs) - 5
    assert len({one - other for one, other in pairs}) > len(pairs) - 5
    # Of n numbers in random order n/2 are larger than the one before, with a variance of n/12.
    ascents = sum(other > one for one, other in pairs)
    assert abs(ascents - OBJECTS / 2) < FAR * math.sqrt(OBJECTS / 12)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_texts_name_no_mapping(lua: str) -> None:
    """Objects lie in mappings of the process; the numbers in their texts are no more often there than chance has it."""
    program = f"""
import json, sys
from luagauge import LuaEngine, ScriptConfig
with LuaEngine(ScriptConfig(lua={lua!r}, memory_limit_mb=200, max_output_size=10_000_000, timeout_ms=60_000)) as engine:
    source = "local t = {{}} for i = 1, {OBJECTS} do t[i] = {{}} end for i = 1, {OBJECTS} do t[i] = tostring(t[i]) end return t"
    texts = engine.execute_script(source).raise_for_error().output
    with open("/proc/self/maps") as maps:
        ranges = [[int(x, 16) for x in line.split()[0].split("-")] for line in maps]
json.dump([texts, ranges], sys.stdout)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=300)
    texts, ranges = json.loads(done.stdout)
    mapped = sum(end - begin for begin, end in ranges if end < 1 << BITS)
    inside = sum(any(begin <= int(text[9:], 16) < end for begin, end in ranges) for text in texts)
    assert_as_chance_has_it(inside, len(texts), min(mapped / (1 << BITS), 1.0))


def test_text_of_an_object_stays(engine: LuaEngine, lua: str) -> None:
    """It is the same each time, through collections too, and other objects of any kind have other ones."""
    source = """
    local objects = {{}, {}, print, pairs, function() end, coroutine.create(function() end), _G, string}
    local before, seen = {}, {}
    for i, object in ipairs(objects) do before[i] = tostring(object) end
    collectgarbage() collectgarbage()
    for i, object in ipairs(objects) do
      if tostring(object) ~= before[i] then return 'changed' end
      if seen[before[i]] then return 'twice' end
      seen[before[i]] = true
      if string.format('%s', setmetatable({}, {__tostring = function() return before[i] end})) ~= before[i] then return 'other' end
    end
    return before
    """
    if lua == "5.1":
        source = source.replace("string.format('%s', ", "tostring(")
    texts = engine.execute_script(source).raise_for_error().output
    kinds = ["table", "table", "function", "function", "function", "thread", "table", "table"]
    assert [text.partition(":")[0] for text in texts] == kinds


def test_texts_repeat_with_the_heap(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A run that does the same finds the same texts, which another engine does not have."""
    source = "local t = {} for i = 1, 20 do t[i] = tostring({}) end return t"
    engine = make_engine(lua)
    script = engine.precompile_script(source)
    first = engine.execute_script(script).raise_for_error().output
    if lua != "luajit2.0":  # its heap is not put back
        assert engine.execute_script(script).raise_for_error().output == first
    assert not set(first) & set(make_engine(lua).execute_script(source).raise_for_error().output)


def test_format_shows_the_same_number(engine: LuaEngine, lua: str) -> None:
    """%p, where the version has it, gives what tostring shows, and for what has no identity what stock gives."""
    if lua not in HAVE_POINTERS:
        error = engine.execute_script("return string.format('%p', {})").error
        assert isinstance(error, ScriptRuntimeError)
        assert "invalid option '%p'" in str(error)
        return
    source = """
    local t, f = {}, function() end
    return tostring(t) == 'table: ' .. string.format('%p', t), tostring(f) == 'function: ' .. string.format('%p', f),
      string.format('%p', 'text') == string.format('%p', 'te' .. 'xt'), string.format('%p %p %p', 1, true, nil),
      string.format('[%20p][%-20p]', t, t) == '[' .. (' '):rep(6) .. tostring(t):sub(8) .. '][' .. tostring(t):sub(8) .. (' '):rep(6) .. ']'
    """
    none = "NULL" if lua in LUAJIT else "(null)"
    padded = lua not in LUAJIT  # which knows no width there
    assert engine.execute_script(source).raise_for_error().output == (True, True, True, " ".join([none] * 3), padded)


def test_metatables_name_their_values(engine: LuaEngine, lua: str) -> None:
    """From 5.3 on __name stands in place of the kind."""
    text = engine.execute_script("return tostring(setmetatable({}, {__name = 'Account'}))").raise_for_error().output
    assert re.fullmatch(r"(\w+): 0x[0-9a-f]{12}", text).group(1) == ("Account" if lua in HAVE_TYPE_NAMES else "table")  # type: ignore[union-attr]


def test_order_of_tables_tells_no_addresses(engine: LuaEngine) -> None:
    """Two tables cannot be ordered."""
    assert isinstance(engine.execute_script("return {} < {}").error, ScriptRuntimeError)
