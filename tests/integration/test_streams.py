"""io without files: what is written to the standard streams is in the logs, and nothing can be read."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

import pytest
from luas import HAVE_ARENA, HAVE_GOTO
from stock_lua import our_answer, output, stock_answer

from luagauge import LuaEngine, MemoryLimitExceeded, ScriptTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def logged(engine: LuaEngine, source: str) -> list[tuple[str, str | bytes]]:
    """Return what a script logs."""
    result = engine.execute_script(source)
    assert result.error is None
    return [(entry.level, entry.message) for entry in result.logs]


def test_streams_log_a_line_an_entry(engine: LuaEngine) -> None:
    """A line is an entry once it has ended; the rest of the last one when the run does."""
    assert logged(engine, "io.write('one\\ntw', 'o\\n', '\\n', 3) io.write(' four')") == [
        ("print", "one"),
        ("print", "two"),
        ("print", ""),
        ("print", "3 four"),
    ]
    assert logged(engine, "io.write('') io.stdout:write()") == []


def test_streams_keep_order_with_print(engine: LuaEngine) -> None:
    """Print ends the line that io.write began, as on a terminal; stderr has lines and a level of its own."""
    source = """print("a") io.write("b") print("c", 1) io.stdout:write("d") io.stderr:write("e\\nf") log("info", "g")
    io.stdout:write("h\\n") print("i")"""
    assert logged(engine, source) == [
        ("print", "a"),
        ("print", "bc\t1"),
        ("stderr", "e"),
        ("info", "g"),
        ("print", "dh"),
        ("print", "i"),
        ("stderr", "f"),
    ]


def test_streams_keep_what_a_failed_run_wrote(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """The line that had not ended is there, however the run ended."""
    engine = make_engine(lua, timeout_ms=100, memory_limit_mb=4)
    for ending, error in (
        ("error('x')", None),
        ("while true do end", ScriptTimeoutError),
        ("local t = {} while true do t = {t} end", MemoryLimitExceeded),
    ):
        result = engine.execute_script(f"io.write('begun') {ending}")
        assert result.error is not None
        assert error is None or isinstance(result.error, (error, ScriptTimeoutError))
        assert [entry.message for entry in result.logs] == ["begun"]
    assert logged(engine, "io.write('next\\n')") == [("print", "next")]


def test_streams_take_any_bytes(engine: LuaEngine) -> None:
    """Bytes that are no UTF-8 are logged as print logs them."""
    (_, printed), (_, written) = logged(engine, "print('a\\255\\0b') io.write('a\\255\\0b')")
    assert printed == written


def test_streams_keep_to_the_bounds_of_logs(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A line that is too long is dropped whole and counted once, with or without its end."""
    engine = make_engine(lua, max_log_size=100, max_log_entries=3)
    result = engine.execute_script("for i = 1, 60 do io.write('0123456789') end io.write('\\nnext\\n')")
    assert ([entry.message for entry in result.logs], result.logs_dropped) == (["next"], 1)
    result = engine.execute_script("io.write(('x'):rep(101)) print('of the same line') print('next')")
    assert ([entry.message for entry in result.logs], result.logs_dropped) == (["next"], 1)
    result = engine.execute_script("io.write('a\\nb\\nc\\nd\\ne\\nf')")
    assert ([entry.message for entry in result.logs], result.logs_dropped) == (["a", "b", "c"], 3)


def test_streams_write_numbers_as_the_version_does(engine: LuaEngine, tmp_path: Path) -> None:
    """Each Lua shows a float in its own way; the stock library is asked."""
    numbers = "2.0, ' ', 7, ' ', 2^53, ' ', 1e15, ' ', -0.0, ' ', 0.1, ' ', 1/3, ' ', 1e300, ' ', 1/0, ' ', 123456789012345678"
    path = tmp_path / "stock"
    assert stock_answer(engine, f"local f = io.open({str(path)!r}, 'w') f:write({numbers}) f:close()")[0] is True
    assert logged(engine, f"io.write({numbers})") == [("print", path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(
    "source",
    [
        "return io.type(io.stdin), io.type(io.stdout), io.type(io.stderr), io.type(5), io.type({})",
        "return io.input() == io.stdin, io.output() == io.stdout, io.output(io.stderr) == io.stderr, io.output() == io.stderr",
        "return io.stdout:write('') == io.stdout, io.write('') == io.stdout, io.stdout:flush(), io.flush()",
        "return io.stdout:setvbuf('no'), io.stdout:setvbuf('full', 1024), io.stdout:setvbuf('line')",
        "return io.stdout:close()",
        "return io.close()",
        "return io.stderr:close()",
        "return pcall(io.stdout.close)",
        "return type(io.stdout), type(getmetatable(io.stdout)), type(getmetatable(io.stdout).__index.write)",
        "return pcall(io.write, {})",
        "return pcall(io.stdout.write, 5)",
        "return pcall(function() io.write(1, {}) end)",
        "return pcall(function() io.stdout:write({}) end)",
        "return pcall(function() io.stdout:write(nil) end)",
        "return pcall(io.stdout.setvbuf, io.stdout, 'x')",
        "return pcall(io.stdout.setvbuf, io.stdout)",
        "return pcall(io.stdout.seek, io.stdout, 'x')",
        "return pcall(io.type)",
        "return pcall(function() return io.stdout.x.y end)",
        "return pcall(function() return io.stdout + 1 end)",
        "return pcall(function() return #io.stdout end)",
        "return pcall(function() return io.stdout() end)",
        "return pcall(function() io.stdout.x = 1 end)",
        "getmetatable(io.stdout).__index.twice = function(s) return s, s end return select('#', io.stdout:twice())",
    ],
)
def test_streams_are_as_in_stock_lua(engine: LuaEngine, source: str) -> None:
    """Results and messages are the stock library's."""
    assert our_answer(engine, source) == stock_answer(engine, source)


def test_streams_read_nothing(engine: LuaEngine) -> None:
    """The standard input is at its end, where each format finds what it finds at the end of a file."""
    source = """local n = 0 for _ in io.lines() do n = n + 1 end for _ in io.stdin:lines() do n = n + 1 end
    return n, io.read(), io.read("*l"), io.read("*n"), io.read(0), io.read(5), io.stdin:read("*a"), select("#", io.read("*l", "*a"))"""
    assert output(engine, source) == (0, None, None, None, None, None, "", 1)
    assert output(engine, "return io.stdin:seek()") == (None, "Illegal seek", errno.ESPIPE)
    refused = (None, "Bad file descriptor", errno.EBADF)
    assert output(engine, "return io.stdout:read()") == refused
    assert output(engine, "return io.stdin:write('x')") == refused


def test_streams_take_the_formats_of_the_version(engine: LuaEngine) -> None:
    """A format without '*' is 5.1's and 5.2's error, and L is none of 5.1's."""
    lua = engine.config.lua
    plain = lua not in {"5.1", "5.2", "luajit2.0"}
    assert output(engine, "return (pcall(io.read, 'l')), (pcall(io.read, '*L'))") == (plain, lua in HAVE_GOTO)
    complaint = output(engine, "return select(2, pcall(function() return (io.read('*x')) end))")
    assert complaint == "script:1: bad argument #1 to 'read' (invalid format)"


def test_streams_tell_no_address_and_differ(engine: LuaEngine) -> None:
    """A stream's text tells it from the others, and is the same in the next run, where that finds the heap as it was."""
    texts = output(engine, "return tostring(io.stdin), tostring(io.stdout), tostring(io.stderr)")
    assert isinstance(texts, tuple)
    assert len(set(texts)) == 3
    assert all(re.fullmatch(r"file \(0x[0-9a-f]+\)", text) for text in texts)
    if engine.config.lua in HAVE_ARENA:
        assert output(engine, "return tostring(io.stdin), tostring(io.stdout), tostring(io.stderr)") == texts


def test_streams_belong_to_their_run(engine: LuaEngine) -> None:
    """The next run has streams and methods of its own."""
    change = """getmetatable(io.stdout).__index.mine = 1 getmetatable(io.stdout).__index.write = nil io.output(io.stderr)
    io.write = nil io.mine = 1 getmetatable(io.stdout).__gc = function() print("finalized") end"""
    check = "collectgarbage() return io.stdout.mine, io.mine, type(io.stdout.write), type(io.write), io.output() == io.stdout"
    for _ in range(2):
        assert logged(engine, change) == []
        assert output(engine, check) == (None, None, "function", "function", True)


def test_streams_have_no_finalizers(engine: LuaEngine) -> None:
    """What a script puts into a stream's metatable is not called when the stream is collected."""
    source = """local meta = getmetatable(io.stdout) ran = false
    meta.__gc = function() ran = true end
    for i = 1, 3 do io.stdout, io.stderr, io.stdin = nil collectgarbage() end return ran"""
    assert output(engine, source) is False


def test_streams_write_to_no_file_descriptor(engine: LuaEngine, capfd: pytest.CaptureFixture[str]) -> None:
    """What is written goes into the logs, never to the process."""
    logged(engine, "io.write('out\\n') io.stderr:write('err\\n') io.stdout:flush()")
    assert capfd.readouterr() == ("", "")


def test_streams_end_with_their_deadline(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A long text of many lines is written in pieces, and looks at the deadline between them."""
    engine = make_engine(lua, timeout_ms=200, memory_limit_mb=64)
    result = engine.execute_script("local s = ('\\n'):rep(2^24) while true do io.write(s) end")
    assert isinstance(result.error, ScriptTimeoutError)
