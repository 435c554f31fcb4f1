"""Floods of output, logs and error texts are bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luagauge import LuaEngine, OutputLimitExceeded, ScriptSerializationError

if TYPE_CHECKING:
    from collections.abc import Callable


LAUGHS = {
    "shared tables": "local t = {1} for i = 1, 60 do t = {t, t} end return t",
    "shared maps": "local t = {a = 1} for i = 1, 60 do t = {a = t, b = t} end return t",
    "shared strings": "local s = ('x'):rep(1e5) local t = {} for i = 1, 1e4 do t[i] = s end return t",
    "wide and deep": """
        local t = {} for i = 1, 1000 do t[i] = true end for i = 1, 50 do t = {t, t, t, t, t, t, t, t} end
        return t
    """,
}


@pytest.mark.parametrize("name", LAUGHS)
def test_output_that_unfolds_without_end_is_bounded(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, name: str
) -> None:
    """Small in Lua, huge as data: OutputLimitExceeded, or an error to the script where it is an argument."""
    engine = make_engine(lua, functions={"f": lambda value: None})
    error = engine.execute_script(LAUGHS[name]).error
    assert isinstance(error, OutputLimitExceeded)
    assert error.size_bytes <= 2 * (1 << 20)
    called = LAUGHS[name].replace("return t", "return pcall(f, t)")
    assert engine.execute_script(called).output[0] is False
    assert_usable(engine)


def test_log_flood_is_bounded(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Entries and bytes are bounded, what is dropped is counted, and nothing of it is on the Lua heap."""
    engine = make_engine(lua, timeout_ms=60_000)
    result = engine.execute_script("for i = 1, 1e5 do print('line', i) end")
    assert result.error is None
    assert len(result.logs) == 1000
    assert result.logs_dropped == 99_000
    result = engine.execute_script("local s = ('x'):rep(1e6) for i = 1, 200 do print(s) log('info', s) end")
    assert result.error is None
    assert sum(len(entry.message) for entry in result.logs) <= 1 << 20
    assert len(result.logs) + result.logs_dropped == 400


def test_log_with_a_flood_of_arguments_is_bounded(engine: LuaEngine) -> None:
    """A hundred thousand arguments, or one of them huge, in one entry."""
    result = engine.execute_script("print((table.unpack or unpack)({}, 1, 5000)) print(('x'):rep(2e6), 'y')")
    assert result.error is None
    assert result.logs[0].message == "\t".join(["nil"] * 5000)
    assert result.logs_dropped == 1


@pytest.mark.parametrize(
    "source",
    [
        "error(('x'):rep(5e7))",
        "error(setmetatable({}, {__tostring = function() return ('x'):rep(5e7) end}))",
        "local t = {} t[('k'):rep(5e7)] = print return t",
        "local s = ('x'):rep(5e7) return s.y.z",
        "(loadstring or load)(('x'):rep(5e7) .. ' = = 1', ('n'):rep(1e6))",
        "error(('x'):rep(5e7) .. '\\255')",
        "assert(false, ('x'):rep(5e7))",
        "local s = ('x'):rep(5e7) return s + 1",
        "return _G[('x'):rep(5e7)].y",
    ],
)
def test_huge_messages_are_bounded(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, source: str
) -> None:
    """Message, path and traceback of any error stay within a few hundred KiB."""
    engine = make_engine(lua, memory_limit_mb=500, timeout_ms=60_000)
    error = engine.execute_script(source).error
    if error is not None:
        assert len(str(error)) < 300_000
        assert len(getattr(error, "traceback", None) or "") < 100_000
        assert len(getattr(error, "path", "")) < 10_000
    assert_usable(engine)


def test_cycles_through_metatables_and_keys_are_found(engine: LuaEngine) -> None:
    """Every way a table can contain itself as data."""
    for source in (
        "local t = {} t[1] = t return t",
        "local t, u = {}, {} t.u = u u.t = t return {t, u}",
        "local t = {} t.a = {b = {c = {t}}} return t",
        "local t = {} for i = 1, 150 do t = {t} end local u = t while type(u[1]) == 'table' do u = u[1] end u[1] = t return t",
    ):
        error = engine.execute_script(source).error
        assert isinstance(error, ScriptSerializationError)
        assert "itself" in str(error)
