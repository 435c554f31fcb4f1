"""`luagauge check`, `luagauge doctor` and the command itself, in real child processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_process import ENDLESS, TIMEOUT_S, call, environment

import luagauge
from luagauge import _finder


def test_check_prints_a_line_for_each_file(tmp_path: Path) -> None:
    """`check` goes through all files, gives each a line, and fails when one of them does."""
    good, bad, missing = tmp_path / "good.lua", tmp_path / "bad.lua", tmp_path / "missing.lua"
    good.write_text("local x <const> = 1", encoding="ascii")
    bad.write_text("\n\nlocal = 1", encoding="ascii")
    done = call("check", str(bad), str(missing), str(good), "-", stdin="goto nowhere")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(f"{bad}:3: ")
    assert "'='" in lines[0]
    assert lines[1].startswith(f"{missing}: cannot be read: ")
    assert lines[2] == f"{good}: ok"
    assert lines[3].startswith("-:1: ")


def test_check_runs_nothing_and_knows_versions(tmp_path: Path) -> None:
    """A good file gives 0, is not run, and is judged by the version asked for."""
    script = tmp_path / "s.lua"
    script.write_text(f"local x = 7 // 2 {ENDLESS}", encoding="ascii")
    assert call("check", str(script)).returncode == 0
    assert call("check", "--lua", "5.1", str(script)).returncode == 1


def test_check_knows_no_limits(tmp_path: Path) -> None:
    """A file whose compiled form is larger than what a script may use is checked like any other."""
    large = tmp_path / "large.lua"
    large.write_text(f"return {{{str(list(range(2_500_000)))[1:-1]}}}", encoding="ascii")
    done = call("check", str(large))
    assert (done.returncode, done.stdout) == (0, f"{large}: ok\n")


def test_check_refuses_compiled_code() -> None:
    """A binary chunk is no source, whatever its version."""
    done = call("check", "-", stdin=b"\x1bLua")
    assert done.returncode == 1
    assert "compiled" in done.stdout


def test_doctor_tries_every_lua_and_says_what_it_found() -> None:
    """`doctor --json` agrees with what the library itself finds."""
    done = call("doctor", "--json")
    facts = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert facts["healthy"] is True
    assert facts["luagauge"] == luagauge.__version__
    assert list(facts["lua"]) == list(luagauge.LUA_VERSIONS)
    way = "suspension" if sys.platform == "win32" else "signal"
    assert facts["carried"] == _finder.carried_releases()
    for lua, problem in _finder.available().items():
        found = facts["lua"][lua]
        assert found["problem"] == problem
        assert found["usable"] is found["ok"] is (problem is None)
        if problem is None:
            assert found["source"] == "allocator"
            served = _finder.find_lua(lua)
            assert (found["module"], found["path"], found["release"]) == (served.module, served.path, served.release)
            assert found["stopped_after_ms"] >= found["deadline_ms"]
            assert found["deadlines"] == way
            with luagauge.LuaEngine(luagauge.ScriptConfig(lua=lua)) as engine:
                assert found["hard_stop"] == (engine.stats().no_hard_stop or "on")
            assert (found["note"] is not None) is lua.startswith("luajit")
    assert list(facts["deadlines"]) == [way]
    assert facts["probe"]["snapshot"]["rss_bytes"] > 0


def test_doctor_text_names_the_probe_and_every_lua() -> None:
    """The text has a line for each part."""
    done = call("doctor")
    assert done.returncode == 0, done.stdout
    starts = [line.split("  ")[0] for line in done.stdout.splitlines()]
    for name in ("luagauge", "Python", "platform", "process", "deadlines", "Lua 5.1", "Lua 5.5", "LuaJIT 2.1"):
        assert name in starts
    everything = "everything that is usable" if "not usable" in done.stdout else "everything"
    assert done.stdout.splitlines()[-1] == f"{everything} works here"


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_missing_extra_is_named(missing: str) -> None:
    """Without click or rich the command says what to install."""
    code = f"import sys; sys.modules[{missing!r}] = None; from luagauge.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"luagauge: the command line needs {missing}, which is not installed; "
        "install the extra: pip install 'luagauge[cli]'\n"
    )


def test_version_is_the_package_version() -> None:
    """--version prints name and version."""
    done = call("--version")
    assert done.stdout == f"luagauge {luagauge.__version__}\n"
    assert done.returncode == 0


def test_help_lists_the_exit_codes() -> None:
    """`run --help` documents every exit code there is, each on a line of its own."""
    lines = [line.split() for line in call("run", "--help").stdout.splitlines()]
    listed = {int(words[0]) for words in lines if words and words[0].isdigit()}
    assert listed == {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130}


def test_no_command_is_a_usage_error() -> None:
    """The bare command shows how it is used."""
    done = call()
    assert done.returncode == 2
    assert "Usage: luagauge" in done.stdout + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only the Linux probe can be made to fail at will")
def test_doctor_names_a_probe_that_fails(tmp_path: Path) -> None:
    """Where the process's memory cannot be read, doctor says why, and is not content."""
    code = (
        "import sys; from luagauge import _binding; from luagauge.cli import main;"
        "_binding.set_statm_path(sys.argv.pop()); main()"
    )
    missing = str(tmp_path / "statm")
    for arguments in (["doctor"], ["doctor", "--json"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments, missing], env=environment(), capture_output=True, text=True,
            check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
        assert done.returncode == 1
        assert "errno 2" in done.stdout
