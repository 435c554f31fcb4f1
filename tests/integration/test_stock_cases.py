"""Programs that stumbled over the sandbox once: results and messages are those of stock Lua."""

from __future__ import annotations

import importlib
import locale
from typing import Any

import pytest
from luas import HAVE_CLOSE, HAVE_ENV, HAVE_ENVIRONMENTS, HAVE_EPHEMERONS

from luagauge import LUA_VERSIONS, LuaEngine, ScriptConfig, _finder

CASES: list[tuple[str, tuple[str, ...], str]] = [
    (
        "a method of the script's own",
        LUA_VERSIONS,
        "function string.trim(s) return (s:gsub('^%s*(.-)%s*$', '%1')) end return ('  x '):trim()",
    ),
    ("a method replaced", LUA_VERSIONS, "string.upper = function() return 'mine' end return ('a'):upper()"),
    (
        "numbers after a seed",
        (*HAVE_CLOSE, "luajit2.0", "luajit2.1"),
        "math.randomseed(42) return math.random(1000), math.random(1000), math.random(5)",
    ),
    ("load of a text", LUA_VERSIONS, "if pcall(load, '') then return 'new' else return 'old' end"),
    (
        "a function's globals",
        HAVE_ENVIRONMENTS,
        "local f = loadstring('return x') setfenv(f, {x = 5}) return f()",
    ),
    (
        "a coroutine that resumes itself",
        LUA_VERSIONS,
        "local w w = coroutine.wrap(function() return w() end) return pcall(w)",
    ),
    (
        "a level beyond xpcall",
        HAVE_ENV,
        (
            "local function f() error('m', 3) end local function g() return xpcall(f, function(m) return m end) end "
            "local a, b = g() return a, b"
        ),
    ),
    ("a wrong metatable", LUA_VERSIONS, "return select(2, pcall(setmetatable, {}, 1))"),
    ("a wrong coroutine", LUA_VERSIONS, "return select(2, pcall(coroutine.resume, 1))"),
    ("a wrong option", LUA_VERSIONS, "return select(2, pcall(collectgarbage, 'foo'))"),
    ("how many results count has", LUA_VERSIONS, "return select('#', collectgarbage('count'))"),
    ("gfind", LUA_VERSIONS, "return string.gfind == string.gmatch"),
    (
        "a conversion that no date has",
        ("luajit2.1",),
        "return os.date('!%5', 0)",
    ),
    (
        "weak keys",
        HAVE_EPHEMERONS,
        "local t = setmetatable({}, {__mode = 'k'}) t[{}] = 1 collectgarbage() collectgarbage() return next(t) == nil",
    ),
    (
        "texts of tables",
        LUA_VERSIONS,
        (
            "local a, b = {}, {} return tostring(a) == tostring(a), tostring(a) == tostring(b), "
            "(tostring(a):gsub('0?x?%x+$', ''))"
        ),
    ),
    (
        "a finalizer",
        LUA_VERSIONS,
        "local t = setmetatable({}, {__gc = function() end, __index = {x = 1}}) return t.x",
    ),
    (
        "a traceback",
        LUA_VERSIONS,
        "return type(debug.traceback('x')), (xpcall(error, debug.traceback, 'x'))",
    ),
    (
        "modules of the library",
        LUA_VERSIONS,
        "return type(io.write), type(package.loaded.string), package.loaded.string == string, require('math') == math",
    ),
    (
        "methods of streams",
        LUA_VERSIONS,
        (
            "local m = getmetatable(io.stdout) m.__index.hello = function() return 'hello' end "
            "return m.__index == m, io.stdout:hello(), io.stdin.hello == m.__index.hello, type(m.write)"
        ),
    ),
    ("a locale that is not there", LUA_VERSIONS, "return os.setlocale('no such')"),
    ("a wrong locale", LUA_VERSIONS, "return select(2, pcall(os.setlocale, {}))"),
    ("a wrong category", LUA_VERSIONS, "return select(2, pcall(os.setlocale, 'C', 'none'))"),
    ("a collector that is stopped", LUA_VERSIONS, "return collectgarbage('stop'), collectgarbage('restart')"),
]


def told(values: Any) -> list[str]:
    """Return what a script came to as texts, in which a chunk is called the same on both sides.

    5.2 names a function of the globals with `_G.` or without it, as its hashes have it.
    """
    several = values if isinstance(values, tuple) else (values,)
    return [str(value).replace('[string "<python>"]:', "script:").replace("'_G.", "'") for value in several]


@pytest.mark.parametrize(
    "version, source",
    [pytest.param(version, source, id=f"{name}-{version}") for name, luas, source in CASES for version in luas],
)
def test_case_is_as_in_stock_lua(version: str, source: str) -> None:
    """The results, or the error's first line."""
    if _finder.available()[version] is not None:
        pytest.skip(f"there is no Lua {version} here")
    stock = importlib.import_module(f"lupa.{_finder.MODULES[version]}")
    try:
        expected = stock.LuaRuntime(unpack_returned_tuples=True).execute(source)
    except stock.LuaError as error:
        expected = str(error).split("\n")[0]
    with LuaEngine(ScriptConfig(lua=version)) as engine:
        result = engine.execute_script(source)
    assert told(result.output if result.success else str(result.error)) == told(expected)


def test_locale_is_told_and_not_set(engine: LuaEngine) -> None:
    """Stock Lua would set the one of this process."""
    before = locale.setlocale(locale.LC_ALL)
    script = "return os.setlocale(), os.setlocale(''), os.setlocale('C'), os.setlocale('POSIX', 'numeric')"
    assert engine.execute_script(script).raise_for_error().output == ("C",) * 4
    assert locale.setlocale(locale.LC_ALL) == before
