"""Platforms that lack something, made for real in a child process: each gives a clear error, no wrong figure."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it changes ELF files and mounts over /proc")
GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is about glibc's mallinfo2")

REPORT = """
import json, sys
from luagauge import (LuaEngine, MemoryTracker, MemoryTrackingConfig, MemoryTrackingError, ScriptConfig, _binding, snapshot)

def attempt(call):
    try:
        return call()
    except MemoryTrackingError as error:
        return type(error).__name__

strict = ScriptConfig(memory_tracking=MemoryTrackingConfig(on_error="raise"))
with LuaEngine() as engine, LuaEngine(strict) as careful:
    result = engine.execute_script("return #('x'):rep(1000000)")
    memory = result.memory
    over = LuaEngine(ScriptConfig(memory_limit_mb=1)).execute_script("return #('x'):rep(2e6)")
    print(json.dumps({
        "rss": attempt(lambda: snapshot().rss_bytes),
        "in_use": attempt(_binding.heap_in_use_bytes),
        "described": _binding.describe_probe().heap_in_use,
        "output": result.output,
        "used": memory.used_bytes,
        "source": memory.source,
        "process": memory.process is not None,
        "over": type(over.error).__name__,
        "strict": attempt(lambda: careful.execute_script("return 1").output),
    }))
"""


def report(*, path: Path | None = None, before: str = "", code: str = REPORT) -> dict[str, Any]:
    """Return what a child process reports, with `path` first on its path, after shell commands run as root."""
    env = dict(os.environ)
    if path is not None:
        env["PYTHONPATH"] = f"{path}{os.pathsep}{env.get('PYTHONPATH', '')}"
    command = [sys.executable, "-c", textwrap.dedent(code)]
    if before:
        command = ["unshare", "-m", "sh", "-c", f'{before} && exec "$@"', "sh", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def copy_of(package: str, target: Path) -> Path:
    """Copy an installed package; return the copy."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    copied = target / package
    shutil.copytree(Path(spec.origin).parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
    return copied


def hide_lua_api(module: Path) -> int:
    """Rename what an ELF file exports of Lua, so that nobody finds it by name; return how many names there were.

    "lu" becomes "mT", which GNU's symbol hash (h * 33 + c) takes for the same: the module's own references still meet.
    """
    content = bytearray(module.read_bytes())
    sections_at, entry, count, names_index = (
        struct.unpack_from("<Q", content, 40)[0],
        *struct.unpack_from("<HHH", content, 58),
    )
    headers = [struct.unpack_from("<IIQQQQ", content, sections_at + entry * number) for number in range(count)]
    names_at = headers[names_index][4]
    for name, _, _, _, offset, size in headers:
        if content[names_at + name : names_at + name + 8] == b".dynstr\0":
            table = content[offset : offset + size]
            hidden = table.replace(b"\0lua", b"\0mTa")
            content[offset : offset + size] = hidden
            module.write_bytes(content)
            return table.count(b"\0lua")
    raise AssertionError(f"{module} has no dynamic symbols")


@pytest.mark.skipif(
    sys.maxsize < 1 << 32 or sys.byteorder != "little", reason="it edits 64-bit little-endian ELF files"
)
def test_lupa_without_exported_lua_is_stood_on_by_its_counters(tmp_path: Path) -> None:
    """A build of lupa that exports no Lua: exact current use and limit, a sampled peak that says so, no gross figures."""
    copied = copy_of("lupa", tmp_path)
    modules = sorted(copied.glob("lua54*.so"))
    assert len(modules) == 1
    assert hide_lua_api(modules[0]) > 50
    found = report(path=tmp_path)
    assert (found["output"], found["source"], found["over"]) == (1_000_000, "lupa", "MemoryLimitExceeded")
    assert found["used"] > 999_000
    assert found["process"]


def test_lupa_with_another_lua_inside_is_refused(tmp_path: Path) -> None:
    """A module that holds another Lua than its name says is not called with the wrong version's calls."""
    copied = copy_of("lupa", tmp_path)
    for module in copied.glob("lua54*"):
        module.unlink()
    (copied / "lua54.py").write_text("from lupa.lua55 import *\nfrom lupa import lua55\n__file__ = lua55.__file__\n")
    code = """
        import json
        from luagauge import ConfigurationError, LuaEngine, ScriptConfig
        found = {}
        for version in ("5.4", "5.6"):
            try:
                LuaEngine(ScriptConfig(lua=version))
            except ConfigurationError as error:
                found[version] = str(error)
        with LuaEngine(ScriptConfig(lua="5.5")) as engine:
            found["5.5"] = engine.execute_script("return _VERSION").output
        print(json.dumps(found))
    """
    found = report(path=tmp_path, code=code)
    assert "holds Lua 5.5" in found["5.4"]
    assert "5.6" in found["5.6"]
    assert found["5.5"] == "Lua 5.5"


@GLIBC
def test_glibc_without_mallinfo2_has_no_figure_of_the_allocator(tmp_path: Path) -> None:
    """Glibc before 2.33 lacks it: what the allocator holds is unavailable, all the rest is as ever."""
    copied = copy_of("luagauge", tmp_path)
    modules = sorted(copied.glob("_native*.so"))
    assert len(modules) == 1
    content = modules[0].read_bytes()
    assert b"mallinfo2\0" in content
    modules[0].write_bytes(content.replace(b"mallinfo2\0", b"mallinfo9\0"))
    found = report(path=tmp_path)
    assert (found["in_use"], found["described"]) == ("PlatformUnavailableError", None)
    assert found["rss"] > 1_000_000
    assert (found["output"], found["process"], found["strict"]) == (1_000_000, True, 1)


def may_mount() -> bool:
    """Return whether this process may have a view of the file system of its own, and mount there."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /proc"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


mounting = pytest.mark.skipif(not may_mount(), reason="it mounts over /proc, which needs root")


@pytest.mark.real_malloc  # a sanitizer reads /proc itself
@mounting
@pytest.mark.parametrize(
    "before, error",
    [
        ("mount -t tmpfs none /proc", "PlatformUnavailableError"),
        ("mount --bind /dev/null /proc/$$/statm", "InvalidDataError"),
        ("mount -t tmpfs none /proc/$$", "PlatformUnavailableError"),
    ],
    ids=["nothing mounted", "masked file", "masked directory"],
)
def test_process_without_procfs_has_no_process_figures(before: str, error: str) -> None:
    """The script's own figures and limits do not come from /proc; the process's are missing, or raised where asked for."""
    found = report(before=before)
    assert (found["rss"], found["strict"]) == (error, error)
    assert (found["output"], found["over"]) == (1_000_000, "MemoryLimitExceeded")
    assert found["used"] > 999_000
    assert not found["process"]


@mounting
def test_procfs_that_hides_other_processes_is_enough() -> None:
    """hidepid=2, as in hardened containers: a process still sees itself."""
    found = report(before="mount -t proc -o hidepid=2 none /proc")
    assert found["rss"] > 1_000_000
    assert (found["output"], found["process"], found["strict"]) == (1_000_000, True, 1)
