"""How much data crosses at once, and how deep: bounds to the byte and to the level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from luagauge import LuaEngine, OutputLimitExceeded, ScriptSerializationError

if TYPE_CHECKING:
    from collections.abc import Callable


MAX_DEPTH = 200


@pytest.mark.parametrize("levels, fits", [(1, True), (MAX_DEPTH - 1, True), (MAX_DEPTH, False)])
def test_depth_is_bounded_in_both_directions(echo: LuaEngine, levels: int, fits: bool) -> None:  # noqa: FBT001 - a table
    """Two hundred levels of tables cross, one more is refused, going in and coming out."""
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    if fits:
        assert echo.execute_script("return context.v", {"v": value}).output == value
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
