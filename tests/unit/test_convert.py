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
import decimal
import enum
import math
import struct
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luagauge import LuaEngine, OutputLimitExceeded, ScriptConfig, ScriptRuntimeError, ScriptSerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FLOATS_ONLY = ("5.1", "5.2", "luajit2.0", "luajit2.1")
EXACT = 1 << 53
MAX_DEPTH = 200
# Fixtures that outlive an example are what hypothesis warns of; an engine gives every run fresh globals.
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.fixture(scope="module")
def echo(lua: str) -> Iterator[LuaEngine]:
    """Return an engine with a function that gives back what it gets."""
    with LuaEngine(ScriptConfig(lua=lua, functions={"echo": lambda value: value})) as engine:
        yield engine


def lua_number(value: float, lua: str) -> int | float:
    """Return what a number is once it was in Lua."""
    if lua not in FLOATS_ONLY:
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
    if lua not in FLOATS_ONLY:
        output = echo.execute_script("return context.value, math.type(context.value)", {"value": value}).output
        assert output == (value, "integer")
        return
    with pytest.raises(ScriptSerializationError, match=r"exact up to 2\*\*53"):
        echo.execute_script("return 1", {"value": value})


def test_numbers_keep_their_kind(echo: LuaEngine, lua: str) -> None:
    """1 and 1.0 stay apart where Lua keeps them apart."""
    output = echo.execute_script(
        "return {1, 1.0, 10 / 2, 7 // 1}" if lua not in FLOATS_ONLY else "return {1, 1.0, 10 / 2, 7}"
    )
    kinds = [type(item) for item in output.output]
    assert kinds == ([int, int, int, int] if lua in FLOATS_ONLY else [int, float, float, int])


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


@pytest.mark.parametrize("levels, fits", [(1, True), (MAX_DEPTH - 1, True), (MAX_DEPTH, False)])
def test_depth_is_bounded_in_both_directions(echo: LuaEngine, levels: int, fits: bool) -> None:  # noqa: FBT001 - a table
    """Two hundred levels of tables cross, one more is refused, going in and coming out."""
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    if fits:
        assert same(echo.execute_script("return context.v", {"v": value}).output, value)
    else:
        with pytest.raises(ScriptSerializationError, match="deeper than 200 levels") as caught:
            echo.execute_script("return 1", {"v": value})
        assert caught.value.path == "v" + "[0]" * (MAX_DEPTH - 1)
    source = f"local t = 'bottom' for i = 1, {levels + 1} do t = {{t}} end return t"
    result = echo.execute_script(source)
    if fits:
        assert result.error is None
    else:
        assert isinstance(result.error, ScriptSerializationError)
        assert result.error.path == "output" + "[1]" * MAX_DEPTH
        assert "deeper than 200 levels" in str(result.error)


# --- what cannot go in ------------------------------------------------------------------------------------------------


class Opaque:
    """Stands for any object that is no data."""


class Shy(str):
    """Text that does not show itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Raise."""
        raise RuntimeError


CYCLE: list[Any] = [1]
CYCLE.append({"again": CYCLE})

CANNOT_ENTER: list[tuple[dict[Any, Any], str, str]] = [
    ({"request": {"items": [0, 0, 0, {"when": dt.date.min}]}}, "request.items[3].when", "date"),
    ({"a": Opaque()}, "a", "Opaque"),
    ({"a": print}, "a", "builtin_function_or_method"),
    ({"a": {1, 2}}, "a", "set"),
    ({"a": 1j}, "a", "complex"),
    ({"a": decimal.Decimal(1)}, "a", "Decimal"),
    ({"a": bytearray(b"x")}, "a", "bytearray"),
    ({"a": (1, [2, iter([])])}, "a[1][1]", "list_iterator"),
    ({"two words": {3: {b"\xff": Opaque()}}}, "['two words'][3][b'\\xff']", "Opaque"),
    ({"a": {None: 1}}, "a[None]", "NoneType"),
    ({"a": {(1, 2): 1}}, "a[(1, 2)]", "tuple"),
    ({"a": {math.nan: 1}}, "a[nan]", "NaN"),
    ({"a": {b"k": 1, "k": 2}}, "a[b'k']", "as str and as bytes"),
    ({"a": [{"caf\xe9": 1, b"caf\xc3\xa9": 2}]}, "a[0][b'caf\\xc3\\xa9']", "as str and as bytes"),
    ({5: {frozenset(): 1}}, "[5][frozenset()]", "frozenset"),
    ({"a": 1 << 63}, "a", "9223372036854775808 does not fit"),
    ({"a": -(1 << 63) - 1}, "a", "-9223372036854775809 does not fit"),
    ({"a": 10**100}, "a", "does not fit"),
    ({"a": {1 << 64: 1}}, "a[18446744073709551616]", "does not fit"),
    ({"a": 10**5000}, "a", "<unprintable int> does not fit"),  # Python shows no int of more than 4300 digits
    ({"a": {10**5000: 1}}, "a[<unprintable int>]", "does not fit"),
    ({"a": {Shy("two words"): Opaque()}}, "a[<unprintable Shy>]", "Opaque"),
    ({"a": "x\ud800"}, "a", "lone surrogate"),
    ({"a": {"\udfff": 1}}, "a['\\udfff']", "lone surrogate"),
    ({"a": CYCLE}, "a[1].again", "contains itself"),
    ({"t\u00eft\u00ebl": Opaque()}, "t\u00eft\u00ebl", "Opaque"),
]


@pytest.mark.parametrize("context, path, why", CANNOT_ENTER, ids=[path for _, path, _ in CANNOT_ENTER])
def test_context_that_is_not_plain_data_is_refused_with_its_path(
    echo: LuaEngine, assert_usable: Callable[[LuaEngine], None], context: dict[Any, Any], path: str, why: str
) -> None:
    """The error says where the value stands and what is wrong with it; the engine runs the next script."""
    with pytest.raises(ScriptSerializationError) as caught:
        echo.execute_script("return 1", context)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")
    assert why in str(caught.value)
    assert_usable(echo)


@pytest.mark.parametrize("value", [Opaque(), {1: {2}}, 1 << 70, "\ud800", math], ids=lambda value: type(value).__name__)
def test_function_that_returns_no_plain_data_is_an_error_of_the_run(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, value: Any
) -> None:
    """The script sees a Lua error; uncaught, its cause is the ScriptSerializationError."""
    engine = make_engine(lua, functions={"f": lambda: value})
    error = engine.execute_script("return f()").error
    assert isinstance(error, ScriptRuntimeError)
    assert isinstance(error.__cause__, ScriptSerializationError)
    assert error.__cause__.path.startswith("return value")
    assert engine.execute_script("return pcall(f)").output[0] is False
    assert_usable(engine)


def test_shared_containers_are_no_cycle(echo: LuaEngine) -> None:
    """One list in two places is copied twice."""
    shared = [1, 2]
    output = echo.execute_script("context.a[1] = 9 return context", {"a": shared, "b": shared}).output
    assert output == {"a": [9, 2], "b": [1, 2]}
    assert shared == [1, 2]
    assert echo.execute_script("local t = {1} return {t, t, {t}}").output == [[1], [1], [[1]]]


# --- what cannot come out ---------------------------------------------------------------------------------------------

CANNOT_LEAVE: list[tuple[str, str, str]] = [
    ("return print", "output", "a value of type function"),
    ("return coroutine.create(function() end)", "output", "a value of type thread"),
    ("return {a = {1, 2, function() end}}", "output.a[3]", "a value of type function"),
    ("return {[{}] = 1}", "output[table]", "a key of type table"),
    ("return {a = {[print] = 1}}", "output.a[function]", "a key of type function"),
    ("return 1, {x = {[2.5] = print}}", "output[2].x[2.5]", "a value of type function"),
    ("local t = {} t.me = {t} return t", "output.me[1]", "contains itself"),
    ("result = {1, print}", "output[2]", "a value of type function"),
    ("return {[true] = print}", "output[boolean]", "a value of type function"),
    ("return {[('k'):rep(100)] = print}", "output." + "k" * 40 + "...", "a value of type function"),
]


@pytest.mark.parametrize("source, path, why", CANNOT_LEAVE, ids=[path for _, path, _ in CANNOT_LEAVE])
def test_output_that_is_not_plain_data_is_the_runs_error(
    echo: LuaEngine, assert_usable: Callable[[LuaEngine], None], source: str, path: str, why: str
) -> None:
    """The error says where and what; logs and figures are there all the same."""
    result = echo.execute_script(f"print('before') {source}")
    assert not result.success
    assert result.output is None
    assert isinstance(result.error, ScriptSerializationError)
    assert result.error.path == path
    assert why in str(result.error)
    assert [entry.message for entry in result.logs] == ["before"]
    assert result.memory_used_mb is not None
    assert_usable(echo)


@pytest.mark.parametrize("argument", ["print", "{{print}}", "{[{}] = 1}", "coroutine.create(function() end)"])
def test_arguments_that_are_not_plain_data_are_lua_errors(echo: LuaEngine, argument: str) -> None:
    """A function is not called with them; the script can catch the error."""
    ok, message = echo.execute_script(f"return pcall(echo, {argument})").output
    assert ok is False
    assert "bad argument #1 to 'echo'" in message
    assert "not plain data" in message


def test_metatables_do_not_show(echo: LuaEngine) -> None:
    """Output is read raw: nothing of the script's runs after its end."""
    source = """
    local trap = function() error('called') end
    local meta = {__index = trap, __len = trap, __pairs = trap, __ipairs = trap, __tostring = trap, __call = trap}
    return setmetatable({1, 2, x = setmetatable({}, meta)}, meta)
    """
    assert echo.execute_script(source).output == {1: 1, 2: 2, "x": []}


# --- sizes ------------------------------------------------------------------------------------------------------------

SIZES = [
    ("return nil", 1),
    ("return true", 1),
    ("return 5", 9),
    ("return ('x'):rep(100)", 105),
    ("return {}", 9),
    ("return {1, 2}", 9 + 9 + 9),
    ("return {a = 1}", 9 + 6 + 9),
    ("return 1, 2", 9 + 9 + 9),
]


@pytest.mark.parametrize("source, size", SIZES)
def test_output_is_bounded_to_the_byte(make_engine: Callable[..., LuaEngine], lua: str, source: str, size: int) -> None:
    """An output of exactly the bound passes, of one byte more does not; both figures are in the error."""
    assert make_engine(lua, max_output_size=size).execute_script(source).success
    error = make_engine(lua, max_output_size=size - 1).execute_script(source).error
    assert isinstance(error, OutputLimitExceeded)
    assert error.limit_bytes == size - 1
    assert error.size_bytes >= 0
    assert "max_output_size" in str(error)


def test_output_of_nothing_fits_any_bound(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A host that wants no output sets 0 and still runs scripts."""
    engine = make_engine(lua, max_output_size=0)
    assert engine.execute_script("local x = 1").success
    assert isinstance(engine.execute_script("return 1").error, OutputLimitExceeded)


def test_arguments_are_bounded_together(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """The bound holds for all arguments of a call, not for each."""
    sizes: list[int] = []
    engine = make_engine(lua, max_output_size=1000, functions={"f": lambda *texts: sizes.append(len(texts))})
    assert engine.execute_script("local s = ('x'):rep(400) f(s, s)").success
    ok, message = engine.execute_script("local s = ('x'):rep(400) return pcall(f, s, s, s)").output
    assert ok is False
    assert "larger than max_output_size" in message
    assert sizes == [2]


@pytest.mark.parametrize("size", [0, 1, 255, 65_535, 65_536, 1 << 20, 30_000_000])
def test_long_strings_cross_whole(make_engine: Callable[..., LuaEngine], lua: str, size: int) -> None:
    """Every byte arrives, both ways."""
    engine = make_engine(lua, max_output_size=1 << 30, memory_limit_mb=200)
    text = "abcdefghij" * (size // 10) + "x" * (size % 10)
    assert engine.execute_script("return context.v", {"v": text}).output == text
