"""Platforms that lack something, made for real in a child process: each gives a clear error, no wrong figure."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from installations import copy_of, path_environment, without_luas

from luagauge import _finder

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
    env = dict(os.environ) if path is None else path_environment(path)
    command = [sys.executable, "-c", textwrap.dedent(code)]
    if before:
        command = ["unshare", "-m", "sh", "-c", f'{before} && exec "$@"', "sh", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


OTHERS = {"5.4": "5.5", "5.1": "luajit2.1", "luajit2.0": "luajit2.1", "luajit2.1": "5.1"}


@pytest.mark.parametrize("version, other", OTHERS.items())
def test_lupa_with_another_lua_inside_is_refused(tmp_path: Path, version: str, other: str) -> None:
    """A module that holds another Lua than its name says is not called with the wrong version's calls."""
    name, inside = _finder.MODULES[version], _finder.MODULES[other]
    without_luas(tmp_path)
    copied = copy_of("lupa", tmp_path)
    if not list(copied.glob(f"{inside}*")):
        pytest.skip(f"this lupa has no {inside}")
    for module in copied.glob(f"{name}*"):
        module.unlink()
    text = f"from lupa.{inside} import *\nfrom lupa import {inside}\n__file__ = {inside}.__file__\n"
    (copied / f"{name}.py").write_text(text, encoding="ascii")
    code = f"""
        import json
        from luagauge import LuaEngine, PlatformUnavailableError, ScriptConfig
        try:
            LuaEngine(ScriptConfig(lua={version!r}))
        except PlatformUnavailableError as error:
            refusal = str(error)
        with LuaEngine(ScriptConfig(lua={other!r})) as engine:
            print(json.dumps({{"refusal": refusal, "output": engine.execute_script("return 1").output}}))
    """
    found = report(path=tmp_path, code=code)
    assert f"lupa's {name} module " in found["refusal"]
    if other == "5.1":  # which LuaJIT's calls are no part of
        assert "luaL_traceback is missing" in found["refusal"]
    else:
        assert f", not {version}; pip install 'lupa>=2.8' --force-reinstall" in found["refusal"]
    assert found["output"] == 1


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
