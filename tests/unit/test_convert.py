"""Plain data between Python and Lua: what comes back is what the rules say, for any data, on every Lua.

The rules, which `lua_image` states with Python's own means:
- None, bool, str and bytes go in as nil, boolean and string; strings come out as str where they are UTF-8, else bytes.
- int and float go in as numbers. From 5.3 on they stay what they are; before, Lua has floats only, and a whole number
  of at most 2**53 comes out as an int.
- list and tuple are tables with the keys 1..n, dict is a table with its keys. A table whose keys are exactly 1..n comes
  out as a list, an empty one too; any other as a dict. nil is no value: an item or entry that is None is not there.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
import struct
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from luas import ONLY_FLOATS

from luagauge import LuaEngine, ScriptSerializationError

if TYPE_CHECKING:
    from collections.abc import Callable

EXACT = 1 << 53
# Fixtures that outlive an example are what hypothesis warns of; an engine gives every run fresh globals.
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def lua_number(value: float, lua: str) -> int | float:
    """Return what a number is once it was in Lua."""
    if lua not in ONLY_FLOATS:
        return value
    whole = float(value)
    if whole.is_integer() and abs(whole) <= EXACT and (whole or math.copysign(1, whole) > 0):
        return int(whole)
    return whole


def lua_text(value: bytes) -> str | bytes:
    """Return what a string comes out as."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def lua_key(key: Any, lua: str) -> Any:
    """Return what a key comes out as: floats that are whole are the same key as the integer."""
    if isinstance(key, bytes):
        return lua_text(key)
    if isinstance(key, bool) or not isinstance(key, (int, float)):
        return key
    if isinstance(key, float) and key.is_integer() and -(1 << 63) <= key < 1 << 63:
        key = int(key)
    return lua_number(key, lua)


def lua_image(value: Any, lua: str) -> Any:
    """Return what a value is once it was in Lua; a table's entries decide, not what it was made from."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return lua_text(value)
    if isinstance(value, (int, float)):
        return lua_number(value, lua)
    pairs = enumerate(value, 1) if isinstance(value, (list, tuple)) else value.items()
    table = {lua_key(key, lua): lua_image(item, lua) for key, item in pairs if item is not None}
    ints = {key for key in table if isinstance(key, int) and not isinstance(key, bool)}
    if len(ints) == len(table) and ints == set(range(1, len(table) + 1)):
        return [table[i] for i in range(1, len(table) + 1)]
    return table


def same(one: Any, other: Any) -> bool:
    """Compare values, their types, the bits of floats and NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.isnan(one) if math.isnan(other) else struct.pack("d", one) == struct.pack("d", other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        shown = {(type(key), key) for key in one}
        return shown == {(type(key), key) for key in other} and all(same(item, other[key]) for key, item in one.items())
    return bool(one == other)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = TEXTS | st.integers(-EXACT, EXACT) | st.floats(allow_nan=False) | st.integers(-3, 5)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-EXACT, EXACT)
    | st.floats()
    | TEXTS
    | st.binary(max_size=12)
    | st.sampled_from([0.0, -0.0, 2.0**53, 2.0**53 + 2, -(2.0**63), 2.0**63, math.inf, math.nan, 5e-324])
)
DATA = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)


@SETTINGS
@given(value=DATA)
def test_conversion_gives_back_what_the_rules_say(echo: LuaEngine, lua: str, value: Any) -> None:
    """Any plain data, through a context into Lua and out as the output."""
    result = echo.execute_script("return context.value", {"value": value})
    assert result.error is None
    assert same(result.output, lua_image(value, lua))


@SETTINGS
@given(value=DATA)
def test_conversion_through_a_function_is_the_same(echo: LuaEngine, lua: str, value: Any) -> None:
    """Any plain data, as the argument and the return value of a Python function."""
    result = echo.execute_script("return echo(context.value)", {"value": value})
    assert result.error is None
    assert same(result.output, lua_image(lua_image(value, lua), lua))


MINUS_ZERO = "local minus_zero = -tonumber('0.0') "


def literal(value: Any) -> str:
    """Return Lua source whose value this is, without any of the conversion's own code; MINUS_ZERO goes in front."""
    if value is None or isinstance(value, bool):
        return {None: "nil", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return literal(value.encode())
    if isinstance(value, bytes):
        return '"' + "".join(f"\\{byte:03d}" for byte in value) + '"'
    if isinstance(value, int):
        return f"({value})"
    if isinstance(value, float):
        if math.isnan(value):
            return "(0/0)"
        if math.isinf(value):
            return "(1e999)" if value > 0 else "(-1e999)"
        if value == 0 and math.copysign(1, value) < 0:
            return "minus_zero"  # not a literal: 5.1 takes -0.0 and 0 for one constant
        return f"({value!r})" if "e" in repr(value) else f"({value!r}e0)"
    pairs = enumerate(value, 1) if isinstance(value, (list, tuple)) else value.items()
    return "{" + ",".join(f"[{literal(key)}]={literal(item)}" for key, item in pairs) + "}"


@SETTINGS
@given(value=DATA)
def test_output_is_what_the_literal_says(echo: LuaEngine, lua: str, value: Any) -> None:
    """Any plain data that a script spells out itself comes out as the same data."""
    result = echo.execute_script(f"{MINUS_ZERO} return {literal(value)}")
    assert result.error is None
    assert same(result.output, lua_image(value, lua))


@SETTINGS
@given(value=DATA)
def test_context_is_what_the_literal_says(echo: LuaEngine, lua: str, value: Any) -> None:
    """Any plain data that goes in equals, inside Lua, what the script spells out."""
    source = f"""
    {MINUS_ZERO}
    local function same(a, b)
      if type(a) ~= type(b) then return false end
      if type(a) ~= "table" then
        return a == b and (a ~= 0 or type(a) ~= "number" or 1 / a == 1 / b) or (a ~= a and b ~= b)
      end
      for k, v in pairs(a) do if not same(v, b[k]) then return false end end
      for k in pairs(b) do if a[k] == nil then return false end end
      return true
    end
    return same(context.value, {literal(value)})
    """
    assert echo.execute_script(source, {"value": value}).output is True


@pytest.mark.parametrize("value", [(1 << 63) - 1, -(1 << 63), EXACT + 1, -EXACT - 1])
def test_integers_of_64_bits_are_exact_where_lua_has_them(echo: LuaEngine, lua: str, value: int) -> None:
    """From 5.3 on every 64-bit integer crosses unchanged; before, beyond 2**53, none is let through to be rounded."""
    if lua not in ONLY_FLOATS:
        output = echo.execute_script("return context.value, math.type(context.value)", {"value": value}).output
        assert output == (value, "integer")
        return
    with pytest.raises(ScriptSerializationError, match=r"exact up to 2\*\*53"):
        echo.execute_script("return 1", {"value": value})


def test_numbers_keep_their_kind(echo: LuaEngine, lua: str) -> None:
    """1 and 1.0 stay apart where Lua keeps them apart."""
    output = echo.execute_script(
        "return {1, 1.0, 10 / 2, 7 // 1}" if lua not in ONLY_FLOATS else "return {1, 1.0, 10 / 2, 7}"
    )
    kinds = [type(item) for item in output.output]
    assert kinds == ([int, int, int, int] if lua in ONLY_FLOATS else [int, float, float, int])


def test_subclasses_go_in_as_what_they_are(echo: LuaEngine) -> None:
    """Enumerations of ints and strings, ordered dicts and named tuples are plain data."""

    class Level(enum.IntEnum):
        HIGH = 3

    class Color(str, enum.Enum):
        RED = "red"

    value = OrderedDict(
        level=Level.HIGH, color=Color.RED, pair=struct.unpack("2B", b"\1\2"), when=dt.date.min.timetuple()
    )
    output = echo.execute_script("return context.value", {"value": value}).output
    assert output["level"] == 3
    assert output["color"] == "red"
    assert output["pair"] == [1, 2]
    assert output["when"][0] == 1


def test_booleans_are_keys_of_their_own(echo: LuaEngine) -> None:
    """True and False as keys cross both ways."""
    output = echo.execute_script("return {yes = context.v[true], back = {[false] = 1}}", {"v": {True: "t"}}).output
    assert output == {"yes": "t", "back": {False: 1}}
    assert type(next(iter(output["back"]))) is bool


@pytest.mark.parametrize(
    "source", ["{[1] = 'a', [true] = 'b'}", "{[true] = 'b', [1] = 'a', x = 0}", "{[0] = 1, [false] = 2}"]
)
def test_keys_that_python_takes_for_one_are_an_error(
    echo: LuaEngine, assert_usable: Callable[[LuaEngine], None], source: str
) -> None:
    """True and 1 are two keys in Lua and one in Python: nothing is lost without a word."""
    error = echo.execute_script(f"return {{ok = 1, sub = {source}}}").error
    assert isinstance(error, ScriptSerializationError)
    assert error.path.startswith("output.sub")
    assert "key" in str(error)
    assert_usable(echo)


def test_text_that_is_not_utf8_comes_out_as_bytes(echo: LuaEngine) -> None:
    """As a value, inside a table and as a key; cut-off sequences, overlong forms and surrogates are not UTF-8."""
    for raw in (b"\xff", b"caf\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\0\xfe"):
        assert echo.execute_script("return context.v, {context.v}, {[context.v] = 1}", {"v": raw}).output == (
            raw,
            [raw],
            {raw: 1},
        )
        assert echo.execute_script("return #context.v", {"v": raw}).output == len(raw)


def test_text_keeps_nul_and_every_plane(echo: LuaEngine) -> None:
    """NUL, controls and characters beyond the basic plane are ordinary text."""
    text = "a\0b\r\n\x1b é € 😀 \U0010ffff"
    output = echo.execute_script("return context.v, #context.v", {"v": text}).output
    assert output == (text, len(text.encode()))


def test_several_results_are_a_tuple(echo: LuaEngine) -> None:
    """None keeps its place there."""
    assert echo.execute_script("return 1, nil, 'x', {}, nil").output == (1, None, "x", [], None)
    assert echo.execute_script("return nil").output is None
    assert echo.execute_script("return").output is None
    assert echo.execute_script("return nil, nil").output == (None, None)


def test_result_global_is_the_output_of_a_chunk_that_returns_nothing(echo: LuaEngine) -> None:
    """And only then."""
    assert echo.execute_script("result = {a = 1}").output == {"a": 1}
    assert echo.execute_script("result = 1 return nil").output is None
    assert echo.execute_script("local result = 1").output is None
