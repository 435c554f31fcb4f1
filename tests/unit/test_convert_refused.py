"""What is no plain data is refused with its path, on the way in and on the way out."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from typing import TYPE_CHECKING, Any

import pytest

from luagauge import LuaEngine, ScriptRuntimeError, ScriptSerializationError

if TYPE_CHECKING:
    from collections.abc import Callable


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
