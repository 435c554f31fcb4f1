"""allow_filesystem: what the library of files gives a script."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from links import everything_below
from stock_lua import our_answer, output, stock_answer, stock_lua

from luagauge import LuaEngine, ScriptConfig, ScriptRuntimeError


def test_filesystem_reads_by_every_format(engine: LuaEngine) -> None:
    """Lines, numbers, counts and the rest come as Lua's manual says."""
    script = """local f = io.open("data.txt", "rb")
    local a, b, n, m, k, five, all, last = f:read("*l"), f:read("*l"), f:read("*n"), f:read("*n"), f:read("*n"),
        f:read(5), f:read("*a"), f:read("*l")
    f:close() return a, b, n, m, k, five, all, last, io.type(f), io.type(1)"""
    expected = ("first", "second", 42, 16, -150, " rest", b"\n\xff\x00end", None, "closed file", None)
    assert output(engine, script) == expected


def test_filesystem_iterates_over_lines(engine: LuaEngine) -> None:
    """io.lines and file:lines give every line, and io.lines closes at the end."""
    script = """local a, b = {}, {}
    for line in io.lines("data.txt") do a[#a + 1] = line end
    local f = io.open("data.txt") for line in f:lines() do b[#b + 1] = line end f:close()
    return #a, a[1], #b, b[2]"""
    assert output(engine, script) == (4, "first", 4, "second")


def test_filesystem_writes_seeks_renames_and_removes(engine: LuaEngine, tree: Path) -> None:
    """What a script writes is on disk; it can move and remove it."""
    script = """local f = io.open("sub/new.txt", "w+") f:write("abc", 1, 2.5) local at = f:seek("set", 1)
    local rest = f:read("*a") f:close() local name = os.tmpname()
    return at, rest, os.rename("sub/new.txt", "moved.txt"), os.remove(name)"""
    assert output(engine, script) == (1, "bc12.5", True, True)
    assert (tree / "moved.txt").read_bytes() == b"abc12.5"
    assert output(engine, 'return os.remove("moved.txt"), (os.remove("moved.txt"))') == (True, None)


DIRECTORIES = [
    *('io.open("")', 'io.open(".", "w")', 'io.open("./", "a")', 'io.open("sub/.", "r+")', 'io.open("sub", "w")'),
    *('io.open("{tree}", "w")', 'io.open("data.txt/")', 'io.open("data.txt/.")', 'io.open("nn/")', 'io.open("nn/.")'),
    *('io.open("data.txt/x", "w")', 'os.remove("")', 'os.remove(".")', 'os.remove("./")', 'os.remove("sub/.")'),
    *(
        'os.remove("sub/./")',
        'os.remove("data.txt/")',
        'os.remove("nn")',
        'os.rename(".", "u")',
        'os.rename("sub", ".")',
    ),
    *('os.rename("sub/.", "u")', 'os.rename("data.txt/", "u")', 'os.rename("data.txt", "u/")', 'os.rename("", "u")'),
    *('os.rename("sub/", "sub2/")', 'os.rename("data.txt", "nn/x")', 'os.rename("nn", "mm")', 'loadfile("data.txt/")'),
    *('pcall(io.lines, "")', 'pcall(io.input, "data.txt/")'),
]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other words, and no stock Lua that works in the tree")
@pytest.mark.parametrize("call", DIRECTORIES)
def test_filesystem_speaks_of_directories_as_stock_lua_does(
    engine: LuaEngine, tree: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The directory itself, a path that ends in a slash or in a dot, and no path at all get stock Lua's results."""
    monkeypatch.chdir(tree)
    call = call.format(tree=tree.resolve())
    before = everything_below(tree)
    answer = our_answer(engine, f"return {call}")
    if answer[1] is True:
        os.rename(tree / "sub2", tree / "sub")  # noqa: PTH104 - stock Lua is to find what was there
    assert everything_below(tree) == before
    assert answer == stock_answer(engine, f"return {call}")


@pytest.mark.parametrize("path", [".", "./", "sub", "sub/.", "sub/", "{tree}"])
def test_filesystem_opens_no_directory_for_scripts(engine: LuaEngine, tree: Path, path: str) -> None:
    """Stock Lua opens a directory on Linux, and says what it is when it is read; here opening it says that."""
    path = path.format(tree=tree.resolve().as_posix())
    script = f'local f, message, number = io.open("{path}") return f, message, number'
    number = errno.EISDIR if os.name != "nt" else errno.EINVAL if path == "sub/" else errno.EACCES
    assert output(engine, script) == (None, f"{path}: {os.strerror(number)}", number)


def test_filesystem_keeps_its_directory(engine: LuaEngine, tree: Path) -> None:
    """A script neither removes nor moves the directory itself, empty though it may be."""
    for path in sorted(tree.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    own = tree.resolve().as_posix()
    script = f"""return (os.remove("{own}")), (os.remove("{own}/")), (os.remove(".")), (os.rename("{own}", "{own}/x")),
        (os.rename("{own}", "{own}2"))"""
    assert output(engine, script) == (None,) * 5
    assert tree.is_dir()


def test_filesystem_loads_code_with_the_globals_of_the_run(engine: LuaEngine) -> None:
    """loadfile, dofile and require run text with the run's own globals; a module is loaded once in a run."""
    script = """local m = require("sub.mod") x = 40 dofile("code.lua")
    return m.name, m.six, m == require("sub.mod"), loadfile("code.lua")(), x"""
    assert output(engine, script) == ("sub.mod", 6, True, 42, 42)
    assert output(engine, 'return dofile("code.lua")') == 1


@pytest.mark.parametrize(
    "call",
    [
        "io.open()",
        "io.open('data.txt', {})",
        "io.open('data.txt', 'x')",
        "io.lines(true)",
        "io.lines('missing')",
        "io.input('missing')",
        "io.output('missing/x')",
        "os.remove()",
        "os.rename('a')",
        "dofile(print)",
        "dofile('missing')",
        "error(select(2, loadfile('missing')), 0)",
        "require()",
        "io.stdout:write({})",
        "io.write(1, {})",
        "io.stdin:seek('cur', 'x')",
        "io.stdin:seek({})",
        "io.stdin.read(5)",
        "io.stdin:lines(1, {})(1)",
        "io.stdout:setvbuf()",
        "io.close(5)",
        "io.type()",
        "io.output({})",
    ],
)
def test_filesystem_blames_the_script_as_stock_lua_does(engine: LuaEngine, call: str) -> None:
    """What is wrong with a call is said in the words of the stock library, at the script's own line."""
    words = stock_lua(engine).execute(
        f"return select(2, pcall((loadstring or load)([==[\n\n\n{call}\nreturn nil]==], '=script')))"
    )
    error = engine.execute_script(f"\n\n{call}\nreturn nil").error
    if words is None:  # 5.1 and LuaJIT open nothing to find a mode wrong
        assert error is None
        return
    assert isinstance(error, ScriptRuntimeError)
    assert error.message == words


@pytest.mark.parametrize(
    "call, complaint",
    [
        ("require('missing.x')", "module 'missing.x' not found:"),
        ("local f = io.open('data.txt') f:close() f:read()", "attempt to use a closed file"),
    ],
)
def test_filesystem_blames_the_script(engine: LuaEngine, call: str, complaint: str) -> None:
    """What is wrong with a call is said in Lua's words, at the script's own line."""
    error = engine.execute_script(f"\n\n{call}\nreturn nil").error
    assert isinstance(error, ScriptRuntimeError)
    assert error.message.startswith(f"script:3: {complaint}")
    assert error.line == 3


def test_filesystem_says_that_a_file_is_open_the_other_way(engine: LuaEngine) -> None:
    """Writing to what was opened to be read, and the other way round, fails as in stock Lua."""
    expected = (None, os.strerror(errno.EBADF), errno.EBADF)
    assert output(engine, "return io.open('data.txt'):write('x')") == expected
    assert output(engine, "return io.open('out', 'w'):read()") == expected


def test_filesystem_writes_more_than_a_call_carries(tree: Path) -> None:
    """max_output_size bounds outputs and arguments, not what is written."""
    config = ScriptConfig(allow_filesystem=True, filesystem_directories=[tree], max_output_size=1000)
    with LuaEngine(config) as engine:
        assert output(engine, "return io.open('out', 'w'):write(('0123456789'):rep(1e4), 'x', 5) ~= nil") is True
    assert (tree / "out").read_bytes() == b"0123456789" * 10_000 + b"x5"
