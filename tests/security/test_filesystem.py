"""allow_filesystem: what it gives, and that nothing outside the configured directories can be reached."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from links import everything_below, link_directory, link_file

from luagauge import (
    LUA_VERSIONS,
    ConfigurationError,
    LuaEngine,
    ScriptConfig,
    ScriptRuntimeError,
    ScriptSerializationError,
    _finder,
)

ON_WINDOWS = sys.platform == "win32"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with files, and around it what must stay out of reach."""
    (tmp_path / "secret.txt").write_text("secret")
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "data.txt").write_bytes(b"first\nsecond\n 42 0x10 -1.5e2 rest\n\xff\x00end")
    (inside / "sub" / "mod.lua").write_text("local M = ... return {name = M, six = math.floor(6.5)}")
    (inside / "code.lua").write_text("x = (x or 0) + 1 return x")
    (inside / "bytecode.lua").write_bytes(b"\x1bLua")
    return inside


@pytest.fixture(params=LUA_VERSIONS)
def engine(request: pytest.FixtureRequest, tree: Path) -> LuaEngine:
    """An engine of each Lua whose scripts may use the tree."""
    why_not = _finder.available()[request.param]
    if why_not is not None:
        pytest.skip(why_not)
    config = ScriptConfig(lua=request.param, allow_filesystem=True, filesystem_directories=[tree])
    return LuaEngine(config)


def output(engine: LuaEngine, script: str) -> object:
    """Return what a script returns."""
    return engine.execute_script(script).raise_for_error().output


def stock_lua(engine: LuaEngine) -> Any:
    """Return a plain runtime of lupa's, of the engine's Lua."""
    name = engine.config.lua.replace(".", "")
    return importlib.import_module(f"lupa.{name if name.startswith('luajit') else 'lua' + name}").LuaRuntime()


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


def test_filesystem_refuses_bytecode(engine: LuaEngine) -> None:
    """A compiled chunk in a file is not loaded."""
    answer = output(engine, 'return loadfile("bytecode.lua")')
    assert isinstance(answer, tuple)
    assert answer[0] is None
    assert "binary" in answer[1]


OUTSIDE = ["../secret.txt", "sub/../../secret.txt", "/etc/passwd", "sub", "", "a\0b"]
OUTSIDE_ON_WINDOWS = [
    *("..\\secret.txt", "C:secret.txt", "C:\\Windows\\win.ini", "\\secret.txt", "\\\\localhost\\C$\\x", "\\\\?\\C:\\x"),
    *("\\\\.\\NUL", "NUL", "aux.txt", "COM1", "CONIN$", "data.txt:stream", "data.txt.", "data.txt ", "data.t?t"),
]


@pytest.mark.parametrize("path", OUTSIDE + OUTSIDE_ON_WINDOWS * ON_WINDOWS, ids=ascii)
@pytest.mark.parametrize("mode", ["r", "w", "a+"])
def test_filesystem_gives_nothing_outside(engine: LuaEngine, tree: Path, path: str, mode: str) -> None:
    """No parent directory, absolute path, device, stream or directory can be opened, in any mode."""
    refuses(engine, tree, path, mode)


@pytest.mark.parametrize("kind", ["directory", "file", "pipe"])
@pytest.mark.parametrize("mode", ["r", "w", "a+"])
def test_filesystem_follows_nothing_outside(engine: LuaEngine, tree: Path, kind: str, mode: str) -> None:
    """No symbolic link, junction or pipe can be opened or walked through, in any mode."""
    if kind == "directory":
        link_directory(tree / "link", tree.parent)
    elif kind == "file":
        link_file(tree / "link.txt", tree.parent / "secret.txt")
    elif sys.platform == "win32":
        pytest.skip("pipes are no files in a directory on Windows")
    else:
        os.mkfifo(tree / "fifo")
    refuses(engine, tree, {"directory": "link/secret.txt", "file": "link.txt", "pipe": "fifo"}[kind], mode)


def refuses(engine: LuaEngine, tree: Path, path: str, mode: str) -> None:
    """Check that a script gets nothing by this path, and that nothing changes."""
    before = everything_below(tree.parent)
    context = {"request": path, "response": mode}
    result = engine.execute_script("return io.open(context.request, context.response)", context)
    assert result.raise_for_error().output[0] is None
    assert (tree.parent / "secret.txt").read_text() == "secret"
    assert everything_below(tree.parent) == before


@pytest.mark.parametrize("script", ['os.remove("link.txt/x")', 'os.rename("data.txt", "../out.txt")', 'require("..x")'])
def test_filesystem_changes_nothing_outside(engine: LuaEngine, tree: Path, script: str) -> None:
    """Removing, renaming and requiring hold the same line."""
    engine.execute_script(script)
    assert sorted(path.name for path in tree.parent.iterdir()) == ["inside", "secret.txt"]
    assert (tree / "data.txt").exists()


def test_filesystem_closes_what_a_run_leaves_open(engine: LuaEngine) -> None:
    """Descriptors of one run are gone with it, and there is a bound on them within one."""
    script = """local n = 0 for i = 1, 1000 do
        local f = io.open("data.txt") if not f then break end n = n + 1 files = {files, f}
    end return n"""
    assert output(engine, script) == 64  # the first run of the process opens what the probe keeps
    open_files = getattr(psutil.Process(), "num_handles" if ON_WINDOWS else "num_fds")
    before = open_files()
    assert [output(engine, script) for _ in range(5)] == [64] * 5
    assert open_files() <= before + 5 * ON_WINDOWS  # other threads of the system's come and go


def test_filesystem_handles_are_closed_to_scripts(engine: LuaEngine) -> None:
    """A file shows no metatable, no number and no address, and cannot be changed."""
    script = """local f = io.open("data.txt") local changed = pcall(function() f.read = nil end)
    local key, value = next(f)
    return getmetatable(f), tostring(f), key == io.type and value, next(f, key), changed, io.popen, io.stdout"""
    assert output(engine, script) == (False, "file", True, None, False, None, None)


@pytest.mark.parametrize("script", ["return io.open('data.txt')", "return {file = io.open('data.txt')}"])
def test_filesystem_handles_are_no_plain_data(engine: LuaEngine, script: str) -> None:
    """A file that is returned is refused like a function, not taken for an empty table."""
    assert isinstance(engine.execute_script(script).error, ScriptSerializationError)


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


def test_filesystem_writes_numbers_as_the_version_does(engine: LuaEngine, tree: Path) -> None:
    """Each Lua shows a float in its own way; the stock library is asked."""
    numbers = "2.0, 7, 2^53, 1e15, -0.0, 0.1, 1/3, 1e300, -1e100, 123456789012345678"
    output(engine, f"io.open('out', 'w'):write({numbers})")
    stock = tree / "stock"
    stock_lua(engine).execute(f"local f = io.open({str(stock)!r}, 'w') f:write({numbers}) f:close()")
    assert (tree / "out").read_bytes() == stock.read_bytes()


def test_filesystem_writes_more_than_a_call_carries(tree: Path) -> None:
    """max_output_size bounds outputs and arguments, not what is written."""
    config = ScriptConfig(allow_filesystem=True, filesystem_directories=[tree], max_output_size=1000)
    with LuaEngine(config) as engine:
        assert output(engine, "return io.open('out', 'w'):write(('0123456789'):rep(1e4), 'x', 5) ~= nil") is True
    assert (tree / "out").read_bytes() == b"0123456789" * 10_000 + b"x5"


@pytest.mark.parametrize("directories", [[], ["/no/such/directory"], "text", [b"bytes"], None])
def test_filesystem_settings_are_checked(directories: object) -> None:
    """allow_filesystem needs directories that exist."""
    with pytest.raises(ConfigurationError, match="filesystem_directories"):
        ScriptConfig(allow_filesystem=True, filesystem_directories=directories)  # type: ignore[arg-type]


def test_filesystem_is_off_by_default() -> None:
    """Without it there is no io, require, loadfile or dofile, and os has no file functions."""
    names = LuaEngine().execute_script("return io, require, loadfile, dofile, os.remove, os.tmpname").output
    assert names == (None,) * 6


def test_filesystem_bounds_what_one_read_makes(tree: Path) -> None:
    """Many formats in one call get no more together than one: a sparse file would fill the host's memory."""
    engine = LuaEngine(
        ScriptConfig(memory_limit_mb=1, timeout_ms=None, allow_filesystem=True, filesystem_directories=[tree])
    )
    script = """local f = io.open("sparse", "w+")
    f:seek("set", 2^24) f:write("x") f:seek("set", 0)
    local many = {} for i = 1, 16 do many[i] = 2^19 end
    local one, none = f:read(2^19), select("#", f:read(2^17, 2^17))
    return #one, none, f:read(table.unpack(many))"""
    given = list(output(engine, script))  # type: ignore[call-overload]
    assert given[:4] == [2**19, 2, None, "more than 1048576 bytes"]


def test_filesystem_reads_a_number_after_much_white_space(engine: LuaEngine) -> None:
    """White space is skipped in blocks, and the position afterwards is right behind the numeral."""
    script = """local f = io.open("spaces", "w+")
    f:write((" "):rep(65530) .. "\\t\\n" .. (" "):rep(70000) .. "17rest") f:seek("set", 0)
    local n, rest, none = f:read("n", "a", "n")
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
    if ON_WINDOWS and stock[0] == "nil" and not "5.3" <= engine.config.lua < "6":
        answer, stock = (
            answer[:-1],
            stock[:-1],
        )  # how far scanf() reads what is no number, each C runtime has for itself
    assert answer == stock


@pytest.mark.parametrize("number", ["1/0", "-1/0", "0/0", "2.5", "2^63", "-1", "2^62"])
def test_filesystem_seeks_as_the_version_does(engine: LuaEngine, tree: Path, number: str) -> None:
    """An offset that is no position answers in the version's own words."""
    if ON_WINDOWS and not "5.3" <= engine.config.lua < "6":
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
    if "5.3" <= engine.config.lua < "6":
        memory, integer = "not enough memory", "bad argument #1 to 'read' (number has no integer representation)"
        assert words == f"script:1: {memory if number == '-1' else integer}"
    elif number == "2.5":
        assert words == "x "
    elif engine.config.lua == "5.1":
        assert words == "x = (x or 0) + 1 return x"
    else:
        assert words == "script:1: not enough memory"


@pytest.mark.parametrize("call", ["f:read({})", "f:read(1, 'x')", "f:read('')", "f:read(print)", "f:seek('x')"])
def test_filesystem_refuses_formats_in_the_words_of_the_version(engine: LuaEngine, tree: Path, call: str) -> None:
    """What is no format, and no place to seek from, is an error of the script's."""
    script = f"local f = io.open(%r) return select(2, pcall(function() local a = {call} return a end))"
    words = output(engine, script % "data.txt")
    expected = stock_lua(engine).execute(script % str(tree / "data.txt"))
    if engine.config.lua.startswith("luajit"):  # which does not know what the function was called as
        expected = expected.split("(", 1)[1]
    assert str(words).endswith(expected.split(": ", 1)[-1])


@any_names
def test_filesystem_takes_names_of_any_bytes(engine: LuaEngine, tree: Path) -> None:
    """A name need not be UTF-8: files are made, read, moved, loaded and removed by its bytes."""
    (tree / "\udcff").mkdir()
    (tree / "\udcff" / "\udcfe.lua").write_text("return 6")
    script = r"""local f = io.open("\255/a\254", "w") f:write("text") f:close()
    local text = io.open("\255/a\254"):read("a")
    local six, again = require("\255.\254"), dofile("\255/\254.lua")
    return text, six, again, os.rename("\255/a\254", "b\254"), os.remove("b\254"), select(2, os.remove("\255"))"""
    message = b"\xff: " + os.strerror(errno.ENOTEMPTY).encode()
    assert output(engine, script) == ("text", 6, 6, True, True, message, errno.ENOTEMPTY)


@any_names
@pytest.mark.parametrize("call", ["io.open(n)", "io.open(n, 'r+')", "os.remove(n)", "os.rename(n, 'x')", "loadfile(n)"])
def test_filesystem_names_what_is_no_text_in_its_bytes(engine: LuaEngine, call: str) -> None:
    """The message says the name as it was given."""
    answer = output(engine, rf"local n = '\255x' return select(2, {call})")
    message = answer[0] if isinstance(answer, tuple) else answer
    assert message == b"\xffx: " + os.strerror(errno.ENOENT).encode()
    raised = output(engine, r"return select(2, pcall(io.lines, '\255x')), select(2, pcall(require, '\255x'))")
    assert raised == (message, b"\xffx: module not found")


def test_filesystem_gives_all_below_the_root(tree: Path) -> None:
    """The root itself can be configured, and links are followed there no more than elsewhere."""
    real = tree.resolve()
    config = ScriptConfig(allow_filesystem=True, filesystem_directories=[real.anchor])
    below = real.relative_to(real.anchor).as_posix()
    script = f"""local function first(path) local f, why = io.open(path) return f and f:read() or why end
    return first("{real.as_posix()}/data.txt"), first("{real.as_posix()}//data.txt"), first("{below}/data.txt"),
        first("/"), (io.open("{real.as_posix()}/../secret.txt"))"""
    with LuaEngine(config) as engine:
        answer = output(engine, script)
        assert isinstance(answer, tuple)
        assert answer[:3] == ("first", "first", "first")
        assert answer[3].startswith("/: the path is" if ON_WINDOWS else "/: outside the directories")
        assert answer[4] is None
        if not ON_WINDOWS:
            assert output(engine, f'return io.open("/{real.as_posix()}/data.txt"):read()') == "first"
            (tree / "link.txt").symlink_to(tree.parent / "secret.txt")
            assert output(engine, f'return (io.open("{real.as_posix()}/link.txt"))') is None


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
