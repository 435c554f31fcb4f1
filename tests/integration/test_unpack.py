"""The global unpack of Lua 5.1 and LuaJIT, which is the sandbox's own: results and complaints as stock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from luas import HAVE_ENVIRONMENTS, LUAJIT
from stock_lua import stock_lua

if TYPE_CHECKING:
    from collections.abc import Callable

    from luagauge import LuaEngine

CALLS = [
    "unpack({1, 2, 3})", "unpack({1, 2, 3}, 2)", "unpack({1, 2, 3}, 2, 3)", "unpack({1, 2, 3}, 1.7, 2.9)", "unpack({}, 2, 1)",
    "unpack({1, 2}, '1', '2')", "unpack({1, 2, 3}, nil, nil)", "unpack({}, 1, 3)", "unpack({}, 1, 7999)",
    "unpack({}, 1, 8000)", "unpack({}, 1, 8001)", "unpack({}, 1, 1e8)",
    "unpack()", "unpack(1)", "unpack({}, 'x')", "unpack({}, 1, 'y')", "pcall(unpack)", "pcall(unpack, 5)",
]  # fmt: skip
CALLS_THAT_CRASH_5_1 = [
    "unpack({}, 0, 2^31 - 1)",
    "unpack({}, -2^31, 2^31 - 1)",
    "unpack({[2^31] = 7}, 2^31 - 1, 2^31 - 1)",
]


@pytest.mark.parametrize("call", CALLS + CALLS_THAT_CRASH_5_1)
def test_unpack_is_as_in_stock_lua(make_engine: Callable[..., LuaEngine], lua: str, call: str) -> None:
    """How many results, which, and what is refused in which words."""
    if lua not in HAVE_ENVIRONMENTS or (call in CALLS_THAT_CRASH_5_1 and lua not in LUAJIT):
        pytest.skip("there is none, or stock Lua crashes")
    script = (
        f"local function f() return {call} end"
        " local function show(...) local t = {select('#', ...)} for i = 1, 5 do t[i + 1] = tostring((select(i, ...))) end"
        " return table.concat(t, '; ') end return show(pcall(f))"
    )
    engine = make_engine(lua)
    stock = stock_lua(engine).eval("function(text) return loadstring(text, '=script')() end")(script)
    assert engine.execute_script(script).raise_for_error().output == stock
