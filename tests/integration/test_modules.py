"""require and package: what stock Lua does with modules is done here, with files and without."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from luas import HAVE_CLOSE, HAVE_ENV, HAVE_ENVIRONMENTS
from stock_lua import our_answer, output, stock_answer

from luagauge import LuaEngine, ScriptRuntimeError

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = {
    "m.lua": "return 1",
    "a-b.lua": "return 2",
    "99b.lua": "return 3",
    "sub/m.lua": "return 4",
    "sub/init.lua": "return 'init'",
    "sh.lua": "#!/usr/bin/env lua\nreturn 5, debug.getinfo(1, 'l').currentline",
    "bom.lua": "\ufeffreturn 6",
    "both.lua": "\ufeff# a comment\nreturn 7",
    "only.lua": "# nothing else",
    "ca.lua": "return require 'cb'",
    "cb.lua": "return require 'ca'",
    "args.lua": "return {n = select('#', ...), ...}",
    "nothing.lua": "loads = (loads or 0) + 1",
    "wrong.lua": "\nreturn = 1",
    "fails.lua": "error('oops')",
    "compiled.lua": "\x1bLua",
    "hidden.lua": "#\n\x1bLua",
    "old.lua": "module(..., package.seeall)\nfunction twice(x) return x * 2, type(print) end",
}

SEARCHERS = "local searchers = package.searchers or package.loaders "
NO_C = SEARCHERS + "searchers[3] = nil searchers[4] = nil "
ONLY = SEARCHERS + "for i = #searchers, 1, -1 do searchers[i] = nil end "

EMPTY_TEMPLATES = ("", ";", "?;", ";?", "a;;?;")

STOCK = [
    "return require('math') == math, package.loaded.string == string, package.loaded._G == _G, require 'package' == package",
    "package.preload.p = function(...) return select('#', ...) .. tostring((select(2, ...))) end return require 'p'",
    "package.preload.p = function() end return require 'p', package.loaded.p",
    "package.preload.p = function() return false end local a = require 'p' return a, package.loaded.p, require 'p'",
    "package.preload.p = function() package.loaded.p = 'own' end return require 'p', package.loaded.p",
    "package.preload.p = function() package.loaded.p = 'own' return 'returned' end return require 'p', package.loaded.p",
    "package.preload.p = function() error('oops') end return pcall(require, 'p')",
    "package.preload.p = function() return 1 end local a = require 'p' package.preload.p = nil return a, require 'p'",
    "return pcall(require, {})",
    SEARCHERS + "table.insert(searchers, 2, function(n) if n ~= 'v' then return n .. ' no' end "
    "return function(...) return select('#', ...) .. tostring((select(2, ...))) end, 'data' end) return require 'v'",
    ONLY + "searchers[1] = function(n) return '\\n\\tno virtual' end searchers[2] = function() end "
    "searchers[3] = function() return 5 end return pcall(require, 'zzz')",
    ONLY + "return pcall(require, 'zzz')",
    "package.searchers, package.loaders = nil, nil return pcall(require, 'zzz')",
    NO_C + "package.path = '?.x;;?/?.y' return pcall(require, 'zz.z')",
    NO_C + "package.path = '' return pcall(require, 'zz.z')",
    NO_C + "package.path = 'a.?.b;' return pcall(require, 'zz?z')",
    NO_C + "package.path = nil return pcall(require, 'zzz')",
    ONLY.replace("1, -1", "2, -1") + "package.preload = nil return pcall(require, 'zzz')",
    "return package.searchpath and package.searchpath('a.b', '?.x;?/y')",
    "return package.searchpath and package.searchpath('a.b', '?.x;?/y', '')",
    "return package.searchpath and package.searchpath('a-b', '?.x;?/y', '-', '+')",
    *(f"return package.searchpath and select(2, package.searchpath('a', '{path}'))" for path in EMPTY_TEMPLATES),
    "return package.config",
    "return type(module), type(package.seeall), type(package.searchpath), type(package.searchers), type(package.loaders)",
]
OLD = [
    "module('mod.sub', package.seeall) function f() return _NAME end return _G ~= nil, f(), _PACKAGE, type(mod), type(_M)",
    "local p, g, t = package.loaded, _G, type module('mod') return t(f), g.mod == p.mod, print",
    "local seen module('mod', function(m) seen = m end) return seen == _M",
    "x = 5 return pcall(module, 'x')",
    "x = 5 return pcall(function() module('x.y') end)",
    "return pcall(function() module('string.zz') end), type(string.zz)",
    "return pcall(package.seeall, 5)",
    "return pcall(module)",
    "package.preload.p = function() error('oops') end pcall(require, 'p') return pcall(require, 'p')",
    "package.preload.p = function() package.loaded.p = nil end return require('p')",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory of modules."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def with_files(make_engine: Callable[..., LuaEngine], lua: str, folder: Path) -> LuaEngine:
    """An engine whose scripts may use the modules."""
    return make_engine(lua, allow_filesystem=True, filesystem_directories=[folder])


@pytest.mark.parametrize("source", STOCK)
def test_modules_are_as_in_stock_lua(engine: LuaEngine, source: str) -> None:
    """Results and messages of require and package are the stock library's."""
    ours, stock = our_answer(engine, source), stock_answer(engine, source)
    if engine.config.lua == "5.2":  # it finds require or _G.require first, as hashes have it
        ours, stock = (tuple(str(value).replace("'_G.", "'") for value in answer) for answer in (ours, stock))
    assert ours == stock


@pytest.mark.parametrize("source", OLD)
def test_modules_of_51_are_as_in_stock_lua(engine: LuaEngine, source: str) -> None:
    """Module and package.seeall are where stock Lua has them, and do the same."""
    if engine.config.lua in HAVE_ENVIRONMENTS:
        assert our_answer(engine, source) == stock_answer(engine, source)
    else:
        assert output(engine, "return module, package.seeall") == (None, None)


def test_modules_are_known_by_the_names_of_the_version(engine: LuaEngine) -> None:
    """What package has beside what loads C is what the stock library has; so it is with what is loaded."""
    names = (
        "local names = {} for name in pairs(%s) do names[#names + 1] = name end table.sort(names) return unpack(names)"
    )
    for table, absent in (("package", {"loadlib"}), ("package.loaded", {"python", "jit", "jit.opt", "jit.util"})):
        source = f"local unpack = unpack or table.unpack {names % table}"
        assert set(our_answer(engine, source)) == set(stock_answer(engine, source)) - absent
    assert output(engine, "return package.cpath, package.path") == ("", "./?.lua;./?/init.lua")


def test_modules_are_found_by_stock_names(with_files: LuaEngine) -> None:
    """Any name that stands for a file below the directories is a module's."""
    for name, value in {"m": 1, "a-b": 2, "99b": 3, "sub/m": 4, "sub.m": 4, "sub": "init", "./m": 1}.items():
        assert output(with_files, f"return (require '{name}')") == value


def test_modules_get_arguments_and_give_results_as_the_version_does(with_files: LuaEngine) -> None:
    """A loader gets the file's name from 5.2 on, and require returns it from 5.4 on."""
    lua = with_files.config.lua
    source = "local t, file = require 'args' return t.n, t[1], t[2], file"
    name, second = "args", "./args.lua" if lua in HAVE_ENV else None
    assert output(with_files, source) == (
        1 + (lua in HAVE_ENV),
        name,
        second,
        "./args.lua" if lua in HAVE_CLOSE else None,
    )


def test_modules_skip_what_only_a_file_has(with_files: LuaEngine) -> None:
    """A first line that begins with '#' and a byte order mark are skipped by each that loads a file; lines keep numbers."""
    source = "return (require 'sh'), (dofile 'sh.lua'), loadfile('sh.lua')()"
    assert output(with_files, source) == (5, 5, 5, 2)
    assert output(with_files, "return (require 'bom'), dofile 'bom.lua', (require 'both')") == (6, 6, 7)
    assert output(with_files, "return dofile 'only.lua', (require 'only')") == (None, True)
    assert output(with_files, "return loadfile('compiled.lua') == nil, loadfile('hidden.lua') == nil") == (True, True)


def test_modules_store_nothing_in_the_globals(with_files: LuaEngine) -> None:
    """A module is kept in package.loaded alone, so a strict _G does not notice it."""
    source = """setmetatable(_G, {__newindex = function(_, name) error("undeclared " .. name) end})
    local one = require "m" for name in pairs(_G) do if name:find("%.") then return name end end return one"""
    assert output(with_files, source) == 1
    assert output(with_files, "require 'nothing' require 'nothing' return loads, package.loaded.nothing") == (1, True)


def test_modules_that_go_in_circles_fail_at_once(with_files: LuaEngine) -> None:
    """5.1 and LuaJIT see the loop; the others run out of nested calls."""
    result = with_files.execute_script("return pcall(require, 'ca')")
    assert result.error is None
    assert result.output[0] is False
    words = "loop or previous error loading module 'ca'" if with_files.config.lua in HAVE_ENVIRONMENTS else "overflow"
    assert words in result.output[1]


@pytest.mark.parametrize(
    "name, words",
    [
        ("wrong", "error loading module 'wrong' from file './wrong.lua':\n\t./wrong.lua:2: "),
        ("compiled", "error loading module 'compiled' from file './compiled.lua':\n\tattempt to load a binary chunk"),
        ("fails", "./fails.lua:1: oops"),
    ],
)
def test_modules_that_fail_say_where(with_files: LuaEngine, name: str, words: str) -> None:
    """The message names the file as the templates of package.path do."""
    error = with_files.execute_script(f"require '{name}'").error
    assert isinstance(error, ScriptRuntimeError)
    assert error.message.startswith(words)


def test_modules_are_looked_up_by_the_path(with_files: LuaEngine, folder: Path) -> None:
    """package.path is read each time; what lies outside is not found by any template."""
    assert output(with_files, "package.path = 'sub/?.lua' return (require 'm')") == 4
    outside = folder.parent / "outside.lua"
    outside.write_text("return 'outside'")
    for template in ("../?.lua", f"{folder.parent}/?.lua", "./sub/../../?.lua"):
        source = "package.path = context.template return pcall(require, 'outside')"
        ok, message = with_files.execute_script(source, {"template": template}).output
        assert ok is False
        assert f"no file '{template.replace('?', 'outside')}'" in message


def test_modules_of_51_are_loaded_from_files(with_files: LuaEngine) -> None:
    """The way in which most modules of 5.1 begin works, and the globals stay as they were."""
    if with_files.config.lua in HAVE_ENVIRONMENTS:
        source = "require 'old' local n, kind = old.twice(4) return n, kind, twice, old == package.loaded.old"
        assert output(with_files, source) == (8, "function", None, True)


def test_modules_belong_to_their_run(with_files: LuaEngine) -> None:
    """The next run begins with nothing loaded, whatever this one made of package."""
    change = """require 'm' package.loaded.string = nil package.preload.p = print package.path = '' package.loaded.mine = 1
    local s = package.searchers or package.loaders s[1] = nil setmetatable(package.loaded, {__index = error})"""
    check = "return package.loaded.m, package.loaded.mine, package.preload.p, package.loaded.string == string, (require 'm')"
    for _ in range(2):
        with_files.execute_script(change).raise_for_error()
        assert output(with_files, check) == (None, None, None, True, 1)
