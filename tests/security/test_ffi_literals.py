"""LuaJIT makes 1LL and 1i with a library of its own, which it opens at the first one: refused memory does no harm there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luagauge import LuaEngine, MemoryLimitExceeded, _finder

if TYPE_CHECKING:
    from collections.abc import Callable

# Fill the heap but for `left` bytes, compile a literal, and go on with text of the script's where blocks were freed.
SOURCE = """
local left, limit, literal = context.left, context.limit, context.literal
local poke = load("local ok, e = pcall(function() local f = load('return 1LL + {}') return f() end) return tostring(e)")
collectgarbage()
local pad = {} for i = 1, 80 do pad[i] = 0 end
local n = 0
while true do
  local room = limit - collectgarbage("count") * 1024 - left
  if room < 200 then break end
  n = n + 1
  local want = math.floor(room / 3)
  if want < 200 then want = math.min(100, room - 60) end
  if want < 1 then break end
  pad[n] = string.rep(string.char(n % 250), want)
end
local _, made = pcall(load, "local a = " .. literal)
pad = nil
collectgarbage() collectgarbage()
local t = {}
for i = 1, 3000 do t[i] = string.rep("\\255", 30 + i % 20) .. i end
return poke()
"""


@pytest.fixture(params=["luajit2.0", "luajit2.1"])
def lua(request: pytest.FixtureRequest) -> str:
    """Return each LuaJIT."""
    version = str(request.param)
    if _finder.available()[version] is not None:
        pytest.skip(f"lupa has no {version} here")
    return version


@pytest.mark.parametrize("literal", ["1LL", "1ULL", "1i", "0x7fffffffffffffffll"])
def test_literal_that_memory_is_refused_to_does_no_harm(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, literal: str
) -> None:
    """Wherever in its making the limit is met, the script goes on, and the next literal is a number as before."""
    limit_mb = 4
    base_kb = make_engine(lua, memory_limit_mb=limit_mb).execute_script("return collectgarbage('count')").output
    for left in range(0, 6000, 100):
        engine = make_engine(lua, memory_limit_mb=limit_mb, timeout_ms=60_000)
        context = {"left": left, "limit": (limit_mb * 1024 + base_kb - 2) * 1024, "literal": literal}
        result = engine.execute_script(SOURCE, context)
        if result.error is None:
            assert "int64_t" in result.output
        else:
            assert isinstance(result.error, MemoryLimitExceeded)
        assert_usable(engine)
        engine.close()


def test_library_behind_literals_is_out_of_reach(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """The literals are all that there is of it: no script gets at the library, nor past the kind's own operators."""
    source = """
        local ok, found = pcall(function() return require('ffi') end)
        return {ffi == nil, ok, tostring(1LL + 1), tostring(2i), getmetatable(1LL) == nil or type(getmetatable(1LL))}
    """
    output = make_engine(lua).execute_script(source).output
    assert output[:4] == [True, False, "2LL", "0+2i"]
    assert output[4] in (True, "string")
