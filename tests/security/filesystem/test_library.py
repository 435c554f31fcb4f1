"""allow_filesystem: what the library of files gives a script."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from stock_lua import output

from luagauge import LuaEngine, ScriptConfig, ScriptRuntimeError


def test_filesystem_reads_by_every_format(engine: LuaEngine) -> None:
    """Lines, numbers, counts and the rest come as Lua's manual says."""
    script = """local f = io.open("data.txt", "rb")
    local a, b, n, m, k, five, all, last = f:read("l"), f:read("L"), f:read("n"), f:read("n"), f:read("n"), f:read(5),
        f:read("a"), f:read("l")
    f:close() return a, b, n, m, k, five, all, last, io.type(f), io.type(1)"""
    expected = ("first", "second\n", 42, 16, -150, " rest", b"\n\xff\x00end", None, "closed file", None)
    assert output(engine, script) == expected


def test_filesystem_iterates_over_lines(engine: LuaEngine) -> None:
    """io.lines and file:lines give every line, and io.lines closes at the end."""
    script = """local a, b = {}, {}
    for line in io.lines("data.txt") do a[#a + 1] = line end
    local f = io.open("data.txt") for line in f:lines("L") do b[#b + 1] = line end f:close()
    return #a, a[1], #b, b[2]"""
    assert output(engine, script) == (4, "first", 4, "second\n")


def test_filesystem_writes_seeks_renames_and_removes(engine: LuaEngine, tree: Path) -> None:
    """What a script writes is on disk; it can move and remove it."""
    script = """local f = io.open("sub/new.txt", "w+") f:write("abc", 1, 2.5) local at = f:seek("set", 1)
    local rest = f:read("a") f:close() local name = os.tmpname()
    return at, rest, os.rename("sub/new.txt", "moved.txt"), os.remove(name)"""
    assert output(engine, script) == (1, "bc12.5", True, True)
    assert (tree / "moved.txt").read_bytes() == b"abc12.5"
    assert output(engine, 'return os.remove("moved.txt"), (os.remove("moved.txt"))') == (True, None)


def test_filesystem_loads_code_with_the_globals_of_the_run(engine: LuaEngine) -> None:
    """loadfile, dofile and require run text with the run's own globals; a module is loaded once in a run."""
    script = """local m = require("sub.mod") x = 40 dofile("code.lua")
    return m.name, m.six, m == require("sub.mod"), loadfile("code.lua")(), x"""
    assert output(engine, script) == ("sub.mod", 6, True, 42, 42)
    assert output(engine, 'return dofile("code.lua")') == 1


@pytest.mark.parametrize(
    "call, complaint",
    [
        ("io.open()", "bad argument #1 to 'open' (string expected, got no value)"),
        ("io.open('data.txt', {})", "bad argument #2 to 'open' (string expected, got table)"),
        ("io.lines(true)", "bad argument #1 to 'lines' (string expected, got boolean)"),
        ("io.lines('missing')", "missing: No such file or directory"),
        ("os.remove()", "bad argument #1 to 'remove' (string expected, got no value)"),
        ("os.rename('a')", "bad argument #2 to 'rename' (string expected, got no value)"),
        ("loadfile()", "bad argument #1 to 'loadfile' (string expected, got no value)"),
        ("dofile(print)", "bad argument #1 to 'dofile' (string expected, got function)"),
        ("require()", "bad argument #1 to 'require' (string expected, got no value)"),
        ("require('missing')", "missing: module not found"),
        ("io.open('w', 'w'):write({})", "bad argument #1 to 'write' (string expected, got table)"),
        ("io.open('data.txt'):seek('cur', 'x')", "bad argument #2 to 'seek' (number expected, got string)"),
        ("local f = io.open('data.txt') f:close() f:read()", "attempt to use a closed file"),
    ],
)
def test_filesystem_blames_the_script(engine: LuaEngine, call: str, complaint: str) -> None:
    """What is wrong with a call is said in Lua's words, at the script's own line."""
    error = engine.execute_script(f"\n\n{call}\nreturn nil").error
    assert isinstance(error, ScriptRuntimeError)
    assert error.message == f"script:3: {complaint}"
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
