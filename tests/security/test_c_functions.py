"""Library functions that run no VM instruction look at the deadline and the limits too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from luas import HAVE_INTEGERS

from luagauge import LuaEngine, MemoryLimitExceeded, ScriptRuntimeError, ScriptTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

LYING = "setmetatable({}, {__len = function() return 2^53 - 1 end, __index = function() return 1 end})"
LYING_INT = LYING.replace("2^53 - 1", "math.maxinteger - 1")

# Each keeps one call busy for hours.
ENDLESS = {
    "find, optional items": "return ('a'):rep(40):find(('a?'):rep(40) .. ('a'):rep(40))",
    "find, stars": "return ('a'):rep(3000):find(('a*'):rep(30) .. 'b')",
    "find, lazy stars": "return ('a'):rep(3000):find(('a-'):rep(30) .. 'b')",
    "match, captures": "return ('a'):rep(3000):match('(a*)(a*)(a*)(a*)(a*)b')",
    "gmatch": "for _ in ('a'):rep(3000):gmatch(('a*'):rep(20) .. 'b') do end",
    "gsub": "return (('a'):rep(3000):gsub(('a*'):rep(20) .. 'b', 'x'))",
    "gsub on a long text": "return #(('a'):rep(3e6):gsub('a*a*a*b', 'x'))",
    "find from every place": "return ('a'):rep(3e6):find('a*b')",
    "balanced from every place": "return ('('):rep(3e6):find('%b()')",
    "plain find": "local s, p = ('a'):rep(3e6), ('a'):rep(1e6) .. 'c' while true do s:find(p, 1, true) end",
    "back reference": "return ('a'):rep(20000):find('(a*)%1b')",
    "sort, no order": """
        local t = {} for i = 1, 3e5 do t[i] = i % 7 end while true do table.sort(t, function(a, b) return a
        > b end) end
    """,
    "sort without a comparator": "local t = {} for i = 1, 3e5 do t[i] = i % 1000 end while true do table.sort(t) end",
    "concat": "local t = {} for i = 1, 1e6 do t[i] = '' end while true do table.concat(t) end",
    "insert in front": "local t = {} for i = 1, 3e5 do t[i] = i end while true do table.insert(t, 1, 0) end",
    "remove in front": "local t = {} for i = 1, 3e5 do t[i] = i end while true do table.remove(t, 1) t[#t + 1] = 0 end",
    "reverse": "local s = ('x'):rep(3e6) while true do s:reverse() end",
    "upper": "local s = ('x'):rep(3e6) while true do s:upper() end",
    "format": "local s = ('x'):rep(1e6) while true do string.format('%q', s) end",
    "tonumber": "local s = ('1'):rep(3e6) while true do tonumber(s) end",
    "tonumber with a base": "local s = ('1'):rep(3e6) while true do tonumber(s, 2) end",
    "load of a long text": "local s = ('x = 1 '):rep(3e5) while true do local f = (loadstring or load)(s) end",
    "many arguments": """
        local t = {} for i = 1, 5000 do t[i] = 'x' end while true do string.char(1, 2) print((unpack or
        table.unpack)(t)) end
    """,
    "date": "local f = ('%c '):rep(1e5) while true do os.date(f) end",
}
# With numbers that only the integers of 5.3 and later hold.
ENDLESS_NEWER = {
    "table.move": f"return table.move({LYING}, 1, 2^53, 2, {{}})",
    "table.concat of a liar": f"return table.concat({LYING_INT})",
    "table.insert into a liar": f"table.insert({LYING_INT}, 1, 0)",
    "table.remove from a liar": f"table.remove({LYING_INT}, 1)",
    "table.sort of a range": """
        table.sort(setmetatable({}, {__len = function() return 2^30 end, __index = function() return 1
        end}))
    """,
    "utf8.len": "local s = ('é'):rep(1e6) while true do utf8.len(s) end",
    "utf8.codepoint": "local s = ('é'):rep(1000) while true do utf8.codepoint(s, 1, -1) end",
    "utf8.offset": "local s = ('é'):rep(2e6) while true do utf8.offset(s, 1e6) end",
    "utf8.codes": "local s = ('é'):rep(1e6) while true do for _ in utf8.codes(s) do end end",
    "string.pack": "local f = ('i1'):rep(200) while true do pcall(string.pack, f) string.packsize(f) end",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_deadline_ends_a_library_function(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, name: str
) -> None:
    """However long the one call would take; the engine goes on."""
    engine = make_engine(lua, timeout_ms=60, memory_limit_mb=200)
    error = engine.execute_script(ENDLESS[name]).error
    if isinstance(error, ScriptRuntimeError):  # the version's own bound on patterns or orders came first
        assert any(text in str(error) for text in ("too complex", "invalid order", "malformed", "too many"))
    else:
        assert isinstance(error, ScriptTimeoutError)
    assert_usable(engine)


def test_deadline_ends_string_char_between_two_numerals(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Each argument is a numeral that the C library reads, where no hard stop can be: it comes after one, not after all."""
    numeral = "local d = '65.' .. ('0'):rep(2e6) "
    with make_engine(lua, timeout_ms=None) as engine:
        timed = "local at = os.clock() for i = 1, 10 do local v = d + 0 end return (os.clock() - at) / 10"
        one_s = engine.execute_script(numeral + timed).output
    engine = make_engine(lua, timeout_ms=60)
    start = time.thread_time()
    many = "local t = {} for i = 1, 3000 do t[i] = d end return string.char((unpack or table.unpack)(t))"
    error = engine.execute_script(numeral + many).error
    assert isinstance(error, ScriptTimeoutError)
    assert time.thread_time() - start < 100 * one_s


@pytest.mark.parametrize("version", HAVE_INTEGERS)
@pytest.mark.parametrize("name", ENDLESS_NEWER)
def test_deadline_ends_a_library_function_of_later_versions(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], version: str, name: str
) -> None:
    """The same for what came with 5.3."""
    engine = make_engine(version, timeout_ms=60, memory_limit_mb=200)
    error = engine.execute_script(ENDLESS_NEWER[name]).error
    if isinstance(error, ScriptRuntimeError):
        assert any(
            text in str(error)
            for text in ("too many", "too big", "too large", "wrap around", "invalid order", "no integer")
        )
    else:
        assert isinstance(error, (ScriptTimeoutError, MemoryLimitExceeded))
    assert_usable(engine)


HUGE = {
    "rep": "return #string.rep('x', 1e9)",
    "rep with a separator": "return #string.rep('x', 1e9, ', ')",
    "concat": "local s = ('x'):rep(1e6) local t = {} for i = 1, 100 do t[i] = s end return #table.concat(t)",
    "gsub": "return #(('x'):rep(1e6):gsub('.', ('y'):rep(100)))",
    "format": """
        local s = ('x'):rep(1e6) return #string.format(('%s'):rep(90), (table.unpack or unpack)((function()
        local t = {} for i = 1, 90 do t[i] = s end return t end)()))
    """,
    "format width": "return #string.format('%99d', 1) + #('x'):rep(5e7)",
    "upper": "local t = {} for i = 1, 100 do t[i] = (('x'):rep(1e6) .. i):upper() end return #t",
    "reverse": "local t = {} for i = 1, 100 do t[i] = (('x'):rep(1e6) .. i):reverse() end return #t",
    "char": "local t = {} for i = 1, 100 do t[i] = ('x'):rep(1e6) .. string.char(i) end return #t",
    "loaded constants": "return (loadstring or load)('return \"' .. ('x'):rep(6e7) .. '\"')()",
    "date": "return #os.date(('%c'):rep(5e6))",
}


@pytest.mark.parametrize("name", HUGE)
def test_limit_holds_inside_a_library_function(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, name: str
) -> None:
    """No function makes more than the limit, or makes the host hold what it would have made."""
    engine = make_engine(lua, timeout_ms=60_000, memory_limit_mb=40)
    result = engine.execute_script(HUGE[name])
    if isinstance(result.error, ScriptRuntimeError):
        assert any(text in str(result.error) for text in ("too", "invalid", "overflow"))
    else:
        assert isinstance(result.error, MemoryLimitExceeded)
    assert result.memory_used_mb is not None
    assert result.memory_used_mb <= 40
    assert_usable(engine)


def test_load_copies_no_source_for_its_name(engine: LuaEngine) -> None:
    """A chunk without a name is named by its source, in messages as ever, but not by a second copy of it all."""
    size = 20_000_000
    result = engine.execute_script(f"local s = (' '):rep({size}) return (loadstring or load)(s) ~= nil")
    assert result.output is True
    assert result.memory is not None
    assert result.memory.used_bytes < 1.1 * size
    shown = engine.execute_script("""
      local long = "return )" .. (" "):rep(5000)
      return {select(2, (loadstring or load)(long)), select(2, (loadstring or load)(long, long:sub(1, 400)))}
    """).output
    assert shown[0] == shown[1]
    assert shown[0].startswith('[string "return )')


def test_load_reads_what_a_function_gives_in_pieces_of_any_length(
    make_engine: Callable[..., LuaEngine], lua: str
) -> None:
    """Long pieces are handed on in short ones with a look at the deadline between them; the code is the same."""
    source = """
        local words = {}
        for i = 1, 400 do words[i] = "x = (x or 0) + " .. i .. " -- " .. ("c"):rep(i) .. "\\n" end
        local text = table.concat(words) .. "return x, '" .. ("s"):rep(3000) .. "'"
        local function pieces(size)
          local at = 1
          return function()
            if at > #text then return nil end
            at = at + size
            return text:sub(at - size, at - 1)
          end
        end
        local sums = {}
        for i, size in ipairs({1, 511, 512, 513, 100000}) do
          x = nil
          local sum, rest = assert(load(pieces(size)))()
          sums[i] = sum + #rest
        end
        local binary = {pcall(load, function() return "\\27Lua" .. ("x"):rep(2000) end)}
        return {sums = sums, refused = binary[2] == nil or not binary[1]}
    """
    result = make_engine(lua).execute_script(source)
    assert result.output == {"sums": [83_200] * 5, "refused": True}, result.error


@pytest.mark.parametrize(
    "lengths", ["{3, 2147483647}", "{2147483647, 3}", "{2147483647, 2147483647}", "{1e300, 3}", "{-1e300, 2147483647}"]
)
def test_length_may_change_between_two_looks(
    engine: LuaEngine, assert_usable: Callable[[LuaEngine], None], lengths: str
) -> None:
    """A __len that answers differently each time leads no function past a check that it made."""
    result = engine.execute_script(f"""
        local lengths, asked = {lengths}, 0
        local t = setmetatable({{}}, {{__len = function() asked = asked + 1 return lengths[asked] or 1 end}})
        for _, first in ipairs{{-5, -2147483648, 0, 2147483647}} do
          asked = 0
          pcall(table.unpack or unpack, t, first)
        end
        return true""")
    assert result.output is True
    assert_usable(engine)
