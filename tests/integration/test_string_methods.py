"""Strings' methods are what the run's own string library holds, and the next run's are its own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest
from hard_stop import after_cpu, until_thrown_away
from kept_states import KINDS, engine_of
from long_steps import pure_step
from luas import HAVE_ARENA

from luagauge import LuaEngine, ScriptResult, _finder

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.emulated

AS_STOCK = [
    "function string.trim(s) return (s:gsub('^%s*(.-)%s*$', '%1')) end return ('  x '):trim()",
    "string.upper = function() return 'mine' end return ('a'):upper(), string.upper('a')",
    "string = nil return ('a'):upper()",
    "string = {upper = function() return 'other' end} return ('a'):upper(), string.upper('a')",
    "local old = string string = {} old.upper = function() return 'mine' end return ('a'):upper()",
    "string.upper = nil return pcall(function() return ('a'):upper() end) == false",
    "for name in pairs(string) do string[name] = nil end return ('a').len == nil, next(string) == nil",
    "setmetatable(string, {__index = function(_, name) return function(s) return name .. s end end}) return ('a'):foo()",
    "setmetatable(string, {__newindex = function(t, k) rawset(t, k, type) end}) function string.bar() end return ('a'):bar()",
    "string.x = 7 return ('a').x, ('b').x, (#'text')",
    "function string.add(a, b) return a + b end return ('2'):add(3)",
    "local co = coroutine.wrap(function() string.co = type coroutine.yield() return (1 .. ''):co() end) co() return ('a'):co(), co()",
    "pcall(function() function string.half() return 'half' end error('x') end) return ('a'):half()",
    "local f = (loadstring or load)('function string.loaded() return 1 end') f() return ('a'):loaded()",
    "_G['string']['via'] = function() return 2 end return ('a'):via()",
    "local s = string function s.alias() return 3 end return ('a'):alias()",
    "return ('%d'):rep(2):format(1, 2), ('x'):byte(), ('abc'):sub(2):upper()",
]


@pytest.mark.parametrize("source", AS_STOCK)
def test_methods_are_as_in_stock_lua(engine: LuaEngine, lua: str, source: str) -> None:
    """Whatever a script does to its string library, strings' methods follow as they do in the same Lua without a sandbox."""
    module = importlib.import_module(f"lupa.{_finder.MODULES[lua]}")
    stock = module.LuaRuntime(unpack_returned_tuples=True).execute(source)
    assert engine.execute_script(source).raise_for_error().output == stock


CHANGES = "string.upper = function() return 'mine' end function string.mine() return 1 end "
ENDINGS = {
    "at its end": "",
    "by an error": "error('fails')",
    "in a coroutine": "coroutine.wrap(function() error('fails') end)()",
    "by the deadline": "while true do end",
    "by the memory limit": "local t = {} while true do t = {t} end",
    "without its library": "string = nil",
    "with no result": "return print",
}
UNCHANGED = "return ('a'):upper(), ('a').mine == nil"
"""Mentions no library: what it sees is what nobody may change."""
OWN = "return ('a'):upper(), ('a').mine == nil and string.mine == nil and ('a').upper == string.upper"


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_changes_are_gone_with_the_run(make_engine: Callable[..., LuaEngine], lua: str, kind: str, ending: str) -> None:
    """However it ends, the next run's strings have the methods of its own library, mentioned or not."""
    engine = engine_of(make_engine, lua, kind, memory_limit_mb=4, timeout_ms=300 if "deadline" in ending else 60_000)
    for _ in range(2):
        for check in (UNCHANGED, OWN):
            engine.execute_script(CHANGES + ENDINGS[ending])
            assert engine.execute_script(check).raise_for_error().output == ("A", True)


@pytest.mark.parametrize("kind", KINDS)
def test_changes_are_gone_with_a_state_that_is_thrown_away(
    make_engine: Callable[..., LuaEngine], lua: str, kind: str
) -> None:
    """After a hard stop too."""
    if lua not in HAVE_ARENA:
        pytest.skip("this Lua has no hard stop")
    engine = engine_of(make_engine, lua, kind, timeout_ms=60_000)
    script, context = pure_step(lua, 16)

    def attempt(delay_ms: float) -> ScriptResult:
        interrupting = after_cpu(delay_ms, engine.interrupt)
        result = engine.execute_script(CHANGES + script, context)
        interrupting.join()
        for check in (UNCHANGED, OWN):
            assert engine.execute_script(check).raise_for_error().output == ("A", True)
        return result

    until_thrown_away(attempt)


@pytest.mark.parametrize("kind", KINDS)
def test_kept_scripts_have_methods_of_their_own(make_engine: Callable[..., LuaEngine], lua: str, kind: str) -> None:
    """Compiled scripts in turn, some of which change their library, some of which do not mention it."""
    engine = engine_of(make_engine, lua, kind)
    counting = engine.precompile_script("string.n = (string.n or 0) + 1 return ('a').n")
    without = engine.precompile_script("return ('a').n == nil and ('a'):upper()")
    with_it = engine.precompile_script("return string.n == nil and ('a').n == nil and ('a'):upper()")
    for _ in range(3):
        for script, output in (
            (counting, 1),
            (without, "A"),
            (counting, 1),
            (counting, 1),
            (with_it, "A"),
            (without, "A"),
        ):
            assert engine.execute_script(script).raise_for_error().output == output


def test_changes_are_seen_by_no_other_engine(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Not by one that runs inside a function of the first, nor by one beside it."""
    other = make_engine(lua)

    def inside() -> Any:
        return list(other.execute_script(OWN).raise_for_error().output)

    engine = make_engine(lua, functions={"inside": inside})
    output = (
        engine.execute_script(CHANGES + "local r = inside() return r[1], r[2], ('a'):upper()").raise_for_error().output
    )
    assert output == ("A", True, "mine")
    assert other.execute_script(UNCHANGED).raise_for_error().output == ("A", True)


def test_files_do_not_use_the_methods_of_the_script(
    make_engine: Callable[..., LuaEngine], lua: str, tmp_path: Any
) -> None:
    """The library's own Lua text keeps to the functions that it was made with."""
    engine = make_engine(lua, allow_filesystem=True, filesystem_directories=[tmp_path])
    (tmp_path / "a.txt").write_text("first\nsecond\n", encoding="ascii")
    (tmp_path / "m.lua").write_text("return 5", encoding="ascii")
    source = """
    for name in pairs(string) do string[name] = function() error('called: ' .. name) end end
    local lines = {}
    for line in io.lines('a.txt') do lines[#lines + 1] = line end
    local file = io.open('a.txt') local all = file:read('*a') file:close()
    return lines[1], #all, require('m')
    """
    assert engine.execute_script(source).raise_for_error().output[:3] == ("first", 13, 5)


def test_getmetatable_of_strings_stays_closed(engine: LuaEngine) -> None:
    """The metatable itself is out of reach, with a changed library too."""
    source = "string.x = 1 return getmetatable(''), pcall(setmetatable, '', {})"
    assert engine.execute_script(source).raise_for_error().output[:2] == (False, False)
