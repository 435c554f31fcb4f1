"""Files are read and written as by the stock library of each Lua version."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
from luas import HAVE_ENV, HAVE_GOTO, HAVE_INTEGERS, LUAJIT
from stock_lua import output, stock_lua

from luagauge import LuaEngine

ON_WINDOWS = sys.platform == "win32"


def test_filesystem_writes_numbers_as_the_version_does(engine: LuaEngine, tree: Path) -> None:
    """Each Lua shows a float in its own way; the stock library is asked."""
    numbers = "2.0, 7, 2^53, 1e15, -0.0, 0.1, 1/3, 1e300, -1e100, 123456789012345678"
    output(engine, f"io.open('out', 'w'):write({numbers})")
    stock = tree / "stock"
    stock_lua(engine).execute(f"local f = io.open({str(stock)!r}, 'w') f:write({numbers}) f:close()")
    assert (tree / "out").read_bytes() == stock.read_bytes()


def test_filesystem_reads_a_number_after_much_white_space(engine: LuaEngine) -> None:
    """White space is skipped in blocks, and the position afterwards is right behind the numeral."""
    script = """local f = io.open("spaces", "w+")
    f:write((" "):rep(65530) .. "\\t\\n" .. (" "):rep(70000) .. "17rest") f:seek("set", 0)
    local n, rest, none = f:read("*n", "*a", "*n")
    return n, rest, none"""
    assert output(engine, script) == (17, "rest", None)


any_names = pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="names are Unicode there")


NUMERALS = [
    *"12 00012 +7 -.5 1. 1.5.2 12abc 1e400 -1e400 1e5.5 . .. - +-5 1_000 0b1 x 0x.8 0xA.8p1 0x1.2.3 -0x10".split(),
    *"0x1p99999 -0x1p99999 0x1p-99999 0xffffffffffffffffff 0x8000000000000000 99999999999999999999".split(),
    *"9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 inf -infinity".split(),
    "1" * 199,
    "1" * 201,
    "- 5",
    "",
    "  ",
    "\u0661",
]


@pytest.mark.parametrize("text", NUMERALS)
def test_filesystem_reads_numbers_as_the_version_does(engine: LuaEngine, tree: Path, text: str) -> None:
    """A number of any size or none comes as the stock library reads it, and the position after it is the same."""
    path = tree / "numeral"
    path.write_text(text, encoding="utf-8")
    script = """local f = io.open(%r) local n = f:read("*n") local at = f:seek() f:close()
    return tostring(n), tostring(math.type and n and math.type(n)), at"""
    answer, stock = output(engine, script % "numeral"), stock_lua(engine).execute(script % str(path))
    assert isinstance(answer, tuple)
    if ON_WINDOWS and stock[0] == "nil" and engine.config.lua not in HAVE_INTEGERS:
        answer, stock = (
            answer[:-1],
            stock[:-1],
        )  # how far scanf() reads what is no number, each C runtime has for itself
    assert answer == stock


@pytest.mark.parametrize("number", ["1/0", "-1/0", "0/0", "2.5", "2^63", "-1", "2^62"])
def test_filesystem_seeks_as_the_version_does(engine: LuaEngine, tree: Path, number: str) -> None:
    """An offset that is no position answers in the version's own words."""
    if ON_WINDOWS and engine.config.lua not in HAVE_INTEGERS:
        pytest.skip("stock Lua's positions have 32 bits there")
    call = f"pcall(function() local at, why, code = f:seek('set', {number}) return at, why, code end)"
    script = f"local f = io.open(%r) return select(2, {call})"
    expected = stock_lua(engine).execute(script % str(tree / "data.txt"))
    answer = output(engine, script % "data.txt")
    if isinstance(expected, str):
        assert isinstance(answer, str)
        answer, expected = (message.split(": ", 1)[1] for message in (answer, expected))
    assert answer == expected


@pytest.mark.parametrize("number", ["1/0", "-1/0", "0/0", "2.5", "2^63", "-1"])
def test_filesystem_reads_as_many_bytes_as_the_version_does(engine: LuaEngine, number: str) -> None:
    """A count that is none is refused, or means what C makes of it."""
    script = f"return pcall(function() local text = io.open('code.lua'):read({number}) return text end)"
    words = list(output(engine, script))[1]  # type: ignore[call-overload]
    if engine.config.lua in HAVE_INTEGERS:
        memory, integer = "not enough memory", "bad argument #1 to 'read' (number has no integer representation)"
        assert words == f"script:1: {memory if number == '-1' else integer}"
    elif number == "2.5":
        assert words == "x "
    elif engine.config.lua not in HAVE_GOTO:
        assert words == "x = (x or 0) + 1 return x"
    else:
        assert words == "script:1: not enough memory"


@pytest.mark.parametrize("call", ["f:read({})", "f:read(1, 'x')", "f:read('')", "f:read(print)", "f:seek('x')"])
def test_filesystem_refuses_formats_in_the_words_of_the_version(engine: LuaEngine, tree: Path, call: str) -> None:
    """What is no format, and no place to seek from, is an error of the script's."""
    script = f"local f = io.open(%r) return select(2, pcall(function() local a = {call} return a end))"
    words = output(engine, script % "data.txt")
    expected = stock_lua(engine).execute(script % str(tree / "data.txt"))
    if engine.config.lua in LUAJIT:  # which does not know what the function was called as
        expected = expected.split("(", 1)[1]
    assert str(words).endswith(expected.split(": ", 1)[-1])


@any_names
def test_filesystem_takes_names_of_any_bytes(engine: LuaEngine, tree: Path) -> None:
    """A name need not be UTF-8: files are made, read, moved, loaded and removed by its bytes."""
    (tree / "\udcff").mkdir()
    (tree / "\udcff" / "\udcfe.lua").write_text("return 6")
    script = r"""local f = io.open("\255/a\254", "w") f:write("text") f:close()
    local text = io.open("\255/a\254"):read("*a")
    local six, again = require("\255.\254"), dofile("\255/\254.lua")
    return text, six, again, os.rename("\255/a\254", "b\254"), os.remove("b\254"), select(2, os.remove("\255"))"""
    message = b"\xff: " + os.strerror(errno.ENOTEMPTY).encode()
    assert output(engine, script) == ("text", 6, 6, True, True, message, errno.ENOTEMPTY)


@any_names
@pytest.mark.parametrize("call", ["io.open(n)", "io.open(n, 'r+')", "os.remove(n)", "os.rename(n, 'x')", "loadfile(n)"])
def test_filesystem_names_what_is_no_text_in_its_bytes(engine: LuaEngine, call: str) -> None:
    """The message says the name as it was given; that of os.rename says none from 5.2 on."""
    answer = output(engine, rf"local n = '\255x' return select(2, {call})")
    message = answer[0] if isinstance(answer, tuple) else answer
    if "rename" in call and "5.2" <= engine.config.lua < "6":
        assert message == os.strerror(errno.ENOENT)
        return
    missing = b"\xffx: " + os.strerror(errno.ENOENT).encode()
    assert message == (b"cannot open " + missing if "load" in call else missing)
    raised = output(engine, r"return select(2, pcall(io.lines, '\255x')), select(2, pcall(require, '\255x'))")
    assert isinstance(raised, tuple)
    lines = (b"bad argument #1 to '?' (%b)", b"cannot open file '\xffx' (%b)")[engine.config.lua in HAVE_ENV]
    assert raised[0] == lines % (missing, missing[4:])[engine.config.lua in HAVE_ENV]
    start = b"module '\xffx' not found:\n\tno field package.preload['\xffx']\n\tno file './\xffx.lua'"
    assert raised[1].startswith(start)


@pytest.mark.skipif(not ON_WINDOWS, reason="text mode is another one on Windows only")
def test_filesystem_translates_text_as_stock_lua_does(engine: LuaEngine, tree: Path) -> None:
    r"""Without "b" a line's end is "\r\n" in the file and Ctrl-Z ends it; the stock library is asked."""
    script = """local out, found = io.open(%r, "w"), {} out:write("a\\nb\\r\\n\\26c\\n") out:close()
    for _, mode in ipairs({"r", "rb", "r+", "a+"}) do
        local f = io.open(%r, mode) found[#found + 1] = f:read("*a") f:close()
        for line in io.lines(%r) do found[#found + 1] = line end
    end
    return table.concat(found, "|")"""
    path = str(tree / "stock")
    assert output(engine, script % (("ours",) * 3)) == stock_lua(engine).execute(script % ((path,) * 3))
    assert (tree / "ours").read_bytes()[:3] == (tree / "stock").read_bytes()[:3] == b"a\r\n"


def test_filesystem_reads_what_it_appends_to(engine: LuaEngine, tree: Path) -> None:
    """A file that is opened to be appended to is read from its beginning, as by the stock library."""
    script = """local f = io.open(%r, "a+") local text, at = f:read("*a"), f:seek()
    f:seek("set", 1) f:write("!") f:close() return text, at, io.open(%r):read("*a")"""
    (tree / "ours").write_bytes(b"text")
    (tree / "stock").write_bytes(b"text")
    path = str(tree / "stock")
    assert output(engine, script % (("ours",) * 2)) == stock_lua(engine).execute(script % ((path,) * 2))
