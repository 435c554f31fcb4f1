"""allow_filesystem: nothing outside the configured directories can be reached, and no handle outlives its run."""

from __future__ import annotations

import errno
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from links import everything_below, link_directory, link_file, unlink_directory
from stock_lua import output

from luagauge import (
    ConfigurationError,
    LuaEngine,
    MemoryLimitExceeded,
    ScriptConfig,
    ScriptRuntimeError,
    ScriptSerializationError,
)

ON_WINDOWS = sys.platform == "win32"


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


@pytest.mark.parametrize(
    "name", ["../secret", "..secret", "...secret", "/etc/passwd", "link.secret", "secret", "a\0b", "\0"]
)
@pytest.mark.parametrize(
    "path", ["./?.lua", "?", "../?.lua", "sub/../../?.lua", "%s/?.lua", "link/?.lua", "?;?.txt;../?.txt"]
)
def test_filesystem_requires_nothing_outside(engine: LuaEngine, tree: Path, name: str, path: str) -> None:
    """No name and no template of package.path leads out of the directories: by "..", an absolute path, a NUL or a link."""
    outside = tree.parent / "secret.lua"
    outside.write_text("return 'outside'")
    link_directory(tree / "link", tree.parent)
    if "%s" in path:
        path %= tree.parent
    source = """package.path = context.request
    local found = package.searchpath and package.searchpath(context.response, package.path)
    return found, pcall(require, context.response)"""
    found, loaded, message = engine.execute_script(source, {"request": path, "response": name}).output
    assert found in (None, False)
    assert loaded is False
    assert f"module '{name.partition(chr(0))[0]}' not found" in message


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


@pytest.mark.parametrize(
    "drop", ["io.open(name)", "io.lines(name)()", "io.input(name)", "local f = io.open(name) f = f:lines()"]
)
def test_filesystem_closes_what_a_script_has_dropped(engine: LuaEngine, drop: str) -> None:
    """A script that drops streams opens any number of files, as in stock Lua, and those that it holds stay open."""
    script = f"""local name, first = "data.txt", io.open("data.txt") first:read()
    for i = 1, 300 do {drop} end
    local n = 0 for i = 1, 1000 do
        local f = io.open(name) if not f then break end n = n + 1 files = {{files, f}}
    end return first:read(), n >= 62, io.open(name) == nil"""
    assert output(engine, script) == ("second", True, True)
    assert output(engine, f'collectgarbage("stop") {script}') == ("second", True, True)


def test_filesystem_handles_are_closed_to_scripts(engine: LuaEngine) -> None:
    """A file shows no number of the host's and no address, and what a script changes of its metatable is nothing to Lua."""
    script = """local f, g = io.open("data.txt"), io.open("data.txt") local changed = pcall(function() f.read = nil end)
    local meta, ran = getmetatable(f), false
    meta.__gc = function() ran = true end meta.__tostring = meta.__gc meta.__index.first = function(s) return s:read(5) end
    f:close() f = nil collectgarbage() collectgarbage()
    return type(g), tostring(g):gsub("^file %(0x%x+%)$", "an open file"), g:first(), tostring(io.stdout) == tostring(g),
        changed, io.popen, io.tmpfile, ran"""
    assert output(engine, script) == ("userdata", "an open file", "first", False, False, None, None, False)
    assert output(engine, 'return io.open("data.txt").first, getmetatable(io.stdout).__gc') == (None, None)


@pytest.mark.parametrize("script", ["return io.open('data.txt')", "return {file = io.open('data.txt')}"])
def test_filesystem_handles_are_no_plain_data(engine: LuaEngine, script: str) -> None:
    """A file that is returned is refused like a function, not taken for an empty table."""
    assert isinstance(engine.execute_script(script).error, ScriptSerializationError)


@pytest.mark.parametrize("given", ["link", "link/", "./link", "sub/../link", "{tree}/link"])
@pytest.mark.parametrize("others", [(), ("sub", "")])
def test_filesystem_is_reached_by_the_name_that_the_host_gave(
    tree: Path, monkeypatch: pytest.MonkeyPatch, given: str, others: tuple[str, ...]
) -> None:
    """A link that is configured and the directory that it leads to are one; no link beside it or below is followed."""
    tree = tree.resolve()
    (tree / "real").mkdir()
    (tree / "real" / "x.txt").write_text("here")
    link_directory(tree / "link", tree / "real")
    link_directory(tree / "linked", tree / "real")
    link_directory(tree / "real" / "up", tree.parent)
    monkeypatch.chdir(tree)
    config = ScriptConfig(
        allow_filesystem=True,
        filesystem_directories=[*(tree / other for other in others), given.format(tree=tree)],
    )
    assert config.filesystem_directories[-1] == str(tree / "real")
    script = """local function read(path) local f = io.open(path) return f and f:read("*a") or false end
    local all = {} for _, path in ipairs(context.paths) do all[#all + 1] = read(path) end
    return all, loadfile(context.paths[1]) ~= nil, os.rename(context.paths[1], context.paths[2])"""
    yes = [tree / "link" / "x.txt", tree / "real" / "x.txt", f"{tree}/link//./x.txt"]
    no = [f"{tree}/link/../real/x.txt", tree / "linked" / "x.txt", tree / "link" / "up" / "secret.txt", tree / "link"]
    context = {"paths": [str(path) for path in (*yes, *no, tree.parent / "secret.txt")]}
    for copy in (config, replace(config, lua="5.1"), pickle.loads(pickle.dumps(config))):  # noqa: S301
        with LuaEngine(copy) as engine:
            output_ = engine.execute_script(script, context).raise_for_error().output
        assert output_ == (["here"] * len(yes) + [False] * (len(no) + 1), False, True)


def test_filesystem_names_are_found_once(tree: Path) -> None:
    """A link that leads elsewhere after the config was made changes nothing: not for the config, nor for a copy."""
    (tree / "real").mkdir()
    link_directory(tree / "link", tree / "real")
    config = ScriptConfig(allow_filesystem=True, filesystem_directories=[tree / "link"])
    unlink_directory(tree / "link")
    link_directory(tree / "link", tree.parent)
    for copy in (config, replace(config, timeout_ms=None)):
        with LuaEngine(copy) as engine:
            path = (tree / "link" / "secret.txt").as_posix()
            assert output(engine, f"return select(3, io.open('{path}'))") == errno.ENOENT


@pytest.mark.parametrize("directories", [[], ["/no/such/directory"], "text", [b"bytes"], None])
def test_filesystem_settings_are_checked(directories: object) -> None:
    """allow_filesystem needs directories that exist."""
    with pytest.raises(ConfigurationError, match="filesystem_directories"):
        ScriptConfig(allow_filesystem=True, filesystem_directories=directories)  # type: ignore[arg-type]


def test_filesystem_is_off_by_default() -> None:
    """Without it nothing opens a file: neither io, os nor package has what does, and a path is a file that is not there."""
    with LuaEngine() as engine:
        names = output(engine, "return io.open, loadfile, dofile, os.remove, os.rename, os.tmpname, package.loadlib")
        assert names == (None,) * 7
        for call in (f"io.lines({__file__!r})", f"io.input({__file__!r})", f"io.output({__file__!r})"):
            error = engine.execute_script(call).error
            assert isinstance(error, ScriptRuntimeError)
            assert os.strerror(errno.EACCES) in error.message
        found = output(engine, f"return package.searchpath('x', {__file__!r})")
        assert found == (None, f"no file '{__file__}'")


def test_filesystem_bounds_what_one_read_makes(tree: Path) -> None:
    """Many formats in one call get no more together than the heap holds: a sparse file would fill the host's memory."""
    engine = LuaEngine(
        ScriptConfig(memory_limit_mb=1, timeout_ms=None, allow_filesystem=True, filesystem_directories=[tree])
    )
    script = """local f = io.open("sparse", "w+")
    f:seek("set", 2^24) f:write("x") f:seek("set", 0)
    local many = {} for i = 1, 16 do many[i] = 2^19 end
    local one, none = f:read(2^19), select("#", f:read(2^17, 2^17))
    return #one, none%s"""
    assert output(engine, script % "") == (2**19, 2)
    result = engine.execute_script(script % ", f:read(table.unpack(many))")
    assert isinstance(result.error, MemoryLimitExceeded)


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
        assert answer[3].startswith("/: the path is" if ON_WINDOWS else f"/: {os.strerror(errno.EISDIR)}")
        assert answer[4] is None
        if not ON_WINDOWS:
            assert output(engine, f'return io.open("/{real.as_posix()}/data.txt"):read()') == "first"
            (tree / "link.txt").symlink_to(tree.parent / "secret.txt")
            assert output(engine, f'return (io.open("{real.as_posix()}/link.txt"))') is None


@pytest.mark.parametrize("nested", ["sub", "deep/er"])
def test_filesystem_follows_no_link_in_the_place_of_a_directory(tree: Path, nested: str) -> None:
    """Of directories within each other, a script can rename a link to where the inner one was, or one above it."""
    (tree / nested).mkdir(parents=True, exist_ok=True)
    outside = tree.parent / "outside"
    (outside / "er").mkdir(parents=True)
    for secret in (outside / "secret.txt", outside / "er" / "secret.txt"):
        secret.write_text("secret")
    link_directory(tree / "link", outside)
    top, inner = tree.as_posix(), (tree / nested).as_posix()
    first = nested.partition("/")[0]
    script = f"""os.rename("{top}/{first}", "{top}/away") os.rename("{top}/link", "{top}/{first}")
    local f = io.open("{inner}/secret.txt") return f and f:read() or nil, (io.open("{inner}/new.txt", "w"))"""
    config = ScriptConfig(allow_filesystem=True, filesystem_directories=[tree / nested, tree])
    with LuaEngine(config) as engine:
        assert output(engine, script) == (None, None)
    assert not list(outside.rglob("new.txt"))


def test_filesystem_numbers_of_files_do_not_go_on(engine: LuaEngine) -> None:
    """A run that opens as many files as the one before takes as much memory."""
    script = engine.precompile_script('local t = {} for i = 1, 5 do t[i] = io.open("data.txt") end return #t')
    used = []
    for _ in range(5):
        result = engine.execute_script(script).raise_for_error()
        assert result.memory is not None
        used.append(result.memory.used_bytes)
    assert len(set(used)) == 1
