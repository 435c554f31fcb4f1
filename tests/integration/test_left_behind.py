"""A run leaves nothing of its patterns and buffers behind in the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luagauge import LuaEngine

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    "source",
    [
        "return #('%d'):rep(1e6):format((table.unpack or unpack)({}, 1, 3))",
        "local p = 'y' .. ('x'):rep(1e6) return (('x'):rep(100):find(p))",
        "local p = ('x'):rep(1e6) return #p:format()",
    ],
    ids=["malformed format", "pattern", "format"],
)
def test_pattern_is_not_kept(make_engine: Callable[..., LuaEngine], lua: str, source: str) -> None:
    """What is remembered of patterns does not hold on to a long one."""
    engine = make_engine(lua)
    engine.execute_script(source)
    before = engine.stats().live_bytes
    engine.execute_script("return 1")
    assert before < 500_000
    assert abs(engine.stats().live_bytes - before) < 100_000


def test_buffers_of_failed_calls_do_not_outlive_the_run(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Their finalizers failed where the collector called them with no C stack left, and were not called again."""
    source = """
    local big = ("x"):rep(1e6)
    local function nest(k) if k == 0 then return collectgarbage() end pcall(nest, k - 1) end
    for d = 190, 200 do
      for i = 1, 8 do pcall(table.concat, {big, big, {}}) end
      pcall(nest, d)
    end"""
    engine = make_engine(lua, memory_limit_mb=20)
    engine.execute_script(source)
    live = engine.stats().live_bytes
    for _ in range(5):
        assert engine.execute_script(source).error is None
    assert engine.stats().live_bytes <= live + 4096
