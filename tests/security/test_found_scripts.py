"""Scripts that once got round a limit, crashed the process or learnt an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luagauge import LuaEngine, MemoryLimitExceeded, ScriptTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

# Each went on for minutes or for ever after its deadline.
ENDLESS = {
    "handler of an overflow in the hook": """
        local function deep(n)
          if n == 0 then for i = 1, 1e5 do end return 'x' end
          return (string.gsub('x', 'x', function() return deep(n - 1) end))
        end
        while true do for n = 1, 215 do xpcall(function() deep(n) end, function() while true do end end) end end
    """,
    "set behind an escaped escape": "return ('a'):rep(3000):find('[%%]-a*a*a*a*b]')",
    "long set": """
        local s, p = ('a'):rep(1900), '[' .. ('c'):rep(1e6) .. 'ab]*[' .. ('c'):rep(1e6) .. ']'
        while true do s:find(p) end
    """,
    "optional items": "return ('a'):rep(1e6):find(('a?'):rep(21) .. 'b')",
    "long literal": """
        local s, p = ('a'):rep(1900), 'a-' .. ('a'):rep(1890) .. 'b'
        while true do s:find(p) end
    """,
    "comparing with a C function": """
        local t = {}
        for i = 1, 5e5 do t[i] = (i * 7919) % 1000003 end
        while true do pcall(table.sort, t, rawequal) end
    """,
    "errors with handlers": "while true do xpcall(error, function(e) return e end) end",
}
LONG_WALKS = {  # what 5.3 and later do through metatables, without an instruction
    "unpack": "while true do pcall(table.unpack, t, 1, 9e5) end",
    "concat": "while true do pcall(table.concat, t, '', 1, 9e4) end",
    "move": "while true do table.move(t, 1, 99999, 1, {}) end",
    "sort": "while true do pcall(table.sort, setmetatable({}, {__index = t, __len = function() return 4000 end})) end",
    "insert": "while true do pcall(table.insert, setmetatable({}, {__index = t, __len = #words}), 1, 'x') end",
}
CLOSING = {  # 5.4 and later
    "of a coroutine that an interrupt ended": """
        local co = coroutine.create(function()
          local x <close> = setmetatable({}, {__close = function() while true do end end})
          while true do end
        end)
        local y <close> = setmetatable({}, {__close = function() coroutine.close(co) end})
        coroutine.resume(co)
    """,
    "of a coroutine that died for want of memory": """
        while true do
          local co = coroutine.create(function()
            local x <close> = setmetatable({}, {__close = function() while true do end end})
            local t = {}
            pcall(function() local s = 'x' while true do s = s .. s t[#t + 1] = s end end)
            pcall(function() while true do t[#t + 1] = {} end end)
            pcall(function() while true do t = {t} end end)
            for i = 1, 1e5 do end
          end)
          pcall(coroutine.resume, co)
          collectgarbage()
          pcall(coroutine.close, co)
        end
    """,
    "of a coroutine that died for want of stack": """
        local function deep(n)
          if n == 0 then for i = 1, 1e4 do end return 'x' end
          return (string.gsub('x', 'x', function() return deep(n - 1) end))
        end
        while true do
          for n = 150, 200 do
            local co = coroutine.create(function()
              local x <close> = setmetatable({}, {__close = function() while true do end end})
              deep(n)
            end)
            if not coroutine.resume(co) then coroutine.close(co) end
          end
        end
    """,
}


def check_ends(engine: LuaEngine, source: str, assert_usable: Callable[[LuaEngine], None]) -> None:
    """Assert that the deadline ends it, and the next script is right."""
    error = engine.execute_script(source).error
    assert isinstance(error, ScriptTimeoutError), error
    assert_usable(engine)


@pytest.mark.parametrize("name", ENDLESS)
def test_found_script_ends_by_its_deadline(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, name: str
) -> None:
    """Handlers where no hook runs, patterns that are more work than they look, comparisons without an instruction."""
    check_ends(make_engine(lua, timeout_ms=200, memory_limit_mb=64), ENDLESS[name], assert_usable)


@pytest.mark.parametrize("version", ["5.3", "5.4", "5.5"])
@pytest.mark.parametrize("name", LONG_WALKS)
def test_found_walk_through_metatables_ends_by_its_deadline(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], version: str, name: str
) -> None:
    """Each element of such a table is thousands of tables away."""
    source = f"""
        local words = {{}}
        for i = 1, 1e5 do words[i] = 'x' end
        local t = words
        for i = 1, 1990 do t = setmetatable({{}}, {{__index = t}}) end
        {LONG_WALKS[name]}"""
    check_ends(make_engine(version, timeout_ms=200, memory_limit_mb=64), source, assert_usable)


@pytest.mark.parametrize("version", ["5.4", "5.5"])
@pytest.mark.parametrize("name", CLOSING)
def test_found_closing_ends_by_its_deadline(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], version: str, name: str
) -> None:
    """What a coroutine has yet to close may run where no hook does."""
    check_ends(make_engine(version, timeout_ms=300, memory_limit_mb=16), CLOSING[name], assert_usable)


@pytest.mark.parametrize("version", ["5.2", "5.3"])
def test_found_hook_that_never_has_the_stack_to_run_is_noticed(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], version: str
) -> None:
    """In step with the hook, each of its calls found the script where the C stack had no room for it."""

    def boom() -> None:
        raise ValueError

    engine = make_engine(version, timeout_ms=200, memory_limit_mb=1.5, functions={"boom": boom})
    source = """
        keep = {}
        pcall(function() while true do keep = {keep} end end)
        for i = 1, 2 do keep = keep[1] or keep end
        local function f() do local n = 5 boom() end do local n = 50 pcall(load, 'return ' .. n) end end
        local function deep(d) if d == 0 then pcall(f) return end pcall(deep, d - 1) end
        while true do pcall(deep, 195) keep = {} end"""
    assert isinstance(engine.execute_script(source).error, (ScriptTimeoutError, MemoryLimitExceeded))
    assert_usable(engine)


@pytest.mark.parametrize("timeout_ms", [300, None])
@pytest.mark.parametrize("item", ["a*", "a-", "a?", "(a*)"])
def test_found_pattern_is_bounded_by_the_c_stack(
    make_engine: Callable[..., LuaEngine],
    assert_usable: Callable[[LuaEngine], None],
    lua: str,
    item: str,
    timeout_ms: float | None,
) -> None:
    """5.1's own matcher has no bound: a pattern of a million items ended the process."""
    engine = make_engine(lua, timeout_ms=timeout_ms, memory_limit_mb=64)
    engine.execute_script(
        f"local p = ('{item}'):rep(1e6) return pcall(string.find, '', p), pcall(string.find, 'aaaa', p)"
    )
    assert_usable(engine)


@pytest.mark.parametrize(
    "source",
    [
        "local _, address = math.randomseed() return address",
        "return ('%s'):format(setmetatable({}, {__tostring = function() return {} end}))",
        "return ('%s %s'):format(1, setmetatable({}, {__tostring = function() return print end}))",
    ],
    ids=["seed", "table", "function"],
)
def test_found_script_learns_no_address(make_engine: Callable[..., LuaEngine], lua: str, source: str) -> None:
    """No figure is the same in a second engine that differs by its addresses, and no text looks like one."""
    outputs = [make_engine(lua).execute_script(source).output for _ in range(2)]
    for output in outputs:
        assert output is None or "0x" not in str(output)
    if isinstance(outputs[0], int) and isinstance(outputs[1], int):
        assert abs(outputs[0] - outputs[1]) > 1 << 32  # two states lie closer together


@pytest.mark.parametrize(
    "source",
    [
        "return #('%d'):rep(1e6):format((table.unpack or unpack)({}, 1, 3))",
        "local p = 'y' .. ('x'):rep(1e6) return (('x'):rep(100):find(p))",
        "local p = ('x'):rep(1e6) return #p:format()",
    ],
    ids=["malformed format", "pattern", "format"],
)
def test_found_pattern_is_not_kept(make_engine: Callable[..., LuaEngine], lua: str, source: str) -> None:
    """What is remembered of patterns does not hold on to a long one."""
    engine = make_engine(lua)
    engine.execute_script(source)
    before = engine.stats().live_bytes
    engine.execute_script("return 1")
    assert before < 500_000
    assert abs(engine.stats().live_bytes - before) < 100_000


@pytest.mark.parametrize(
    "lengths", ["{3, 2147483647}", "{2147483647, 3}", "{2147483647, 2147483647}", "{1e300, 3}", "{-1e300, 2147483647}"]
)
def test_found_length_may_change_between_two_looks(
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
