"""Without lupa, or with one that is too old: a sentence that names the version found and the remedy, exit code 7."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import util
from importlib.metadata import requires
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cli_process import TIMEOUT_S, environment
from installations import hide_lupa, path_environment, without_luas

from luagauge import LUA_VERSIONS, _finder

if TYPE_CHECKING:
    from collections.abc import Callable

REMEDY = "pip install 'lupa>=2.8'"
MISSING = "lupa is not installed"
# On Windows there is no LuaJIT 2.0 with any lupa.
OF_LUPA = [version for version in LUA_VERSIONS if _finder._has_lupas(version)]
OLD = "the installed lupa is {}, and luagauge needs 2.8 or later"


def child(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with `path` in front of what is installed, and in it a luagauge that carries no Lua."""
    if not (path / "luagauge").exists():
        without_luas(path)
    env = {**environment(), **path_environment(path), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=env
    )


def without_lupa(path: Path) -> str:
    """Hide lupa as if it had never been installed; return what is to be said."""
    hide_lupa(path)
    return MISSING


def with_remains(path: Path) -> str:
    """Put what Python makes of an empty directory in front, which an uninstallation may leave; return what is to be said."""
    (path / "lupa.py").write_text("__file__ = None", encoding="ascii")
    return MISSING


def with_old_lupa(path: Path) -> str:
    """Put the lupa that is there in front, as version 2.7; return what is to be said."""
    spec = util.find_spec("lupa")
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(Path(spec.origin).parent, path / "lupa", ignore=shutil.ignore_patterns("__pycache__"))
    (path / "lupa" / "version.py").write_text("__version__ = '2.7'\n", encoding="ascii")
    return OLD.format("2.7")


def with_ancient_lupa(path: Path) -> str:
    """Put the form that lupa had in its first version in front; return what is to be said."""
    (path / "lupa").mkdir()
    (path / "lupa" / "__init__.py").write_text("__version__ = '1.14.1'\n", encoding="ascii")
    return OLD.format("1.14.1")


def with_unnamed_lupa(path: Path) -> str:
    """Put one in front that names no version; return what is to be said."""
    (path / "lupa").mkdir()
    (path / "lupa" / "__init__.py").touch()
    return OLD.format("of no known version")


LUPAS = [without_lupa, with_remains, with_old_lupa, with_ancient_lupa, with_unnamed_lupa]
every_lupa = pytest.mark.parametrize("make", LUPAS, ids=lambda make: make.__name__)


@every_lupa
def test_commands_say_that_lupa_cannot_do(tmp_path: Path, make: Callable[[Path], str]) -> None:
    """`run` and `check` fail with 7 and one line on standard error."""
    said = make(tmp_path)
    script = tmp_path / "one.lua"
    script.write_text("return 1", encoding="ascii")
    for command in ("run", "check"):
        done = child(tmp_path, "-m", "luagauge", command, str(script))
        assert (done.returncode, done.stdout) == (7, "")
        assert done.stderr.startswith(f"Error: {said}")
        assert done.stderr.endswith(f"; {REMEDY}\n")
        assert done.stderr.count("\n") == 1


@every_lupa
def test_doctor_says_that_lupa_cannot_do(tmp_path: Path, make: Callable[[Path], str]) -> None:
    """`doctor` examines the rest, says it once, and fails with 7."""
    said = make(tmp_path)
    done = child(tmp_path, "-m", "luagauge", "doctor")
    assert done.returncode == 7, done.stderr
    assert done.stdout.count(said) == done.stdout.count(REMEDY) == 1
    assert "process" in done.stdout
    done = child(tmp_path, "-m", "luagauge", "doctor", "--json")
    facts = json.loads(done.stdout)
    assert (done.returncode, facts["healthy"]) == (7, False)
    assert facts["lupa_problem"].startswith(said)
    assert {facts["lua"][version]["problem"] for version in OF_LUPA} == {facts["lupa_problem"]}


def test_doctor_goes_by_the_metadata_too(tmp_path: Path) -> None:
    """An old distribution beside new modules is an installation that is not whole."""
    metadata = tmp_path / "lupa-2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: lupa\nVersion: 2.0\n", encoding="ascii")
    done = child(tmp_path, "-m", "luagauge", "doctor")
    assert done.returncode == 7
    assert OLD.format("2.0") in done.stdout


@every_lupa
def test_engines_say_that_lupa_cannot_do(tmp_path: Path, make: Callable[[Path], str]) -> None:
    """The package can be imported, and measures the process; an engine is a PlatformUnavailableError."""
    said = make(tmp_path)
    code = """
        import luagauge
        assert luagauge.snapshot().rss_bytes > 0
        for lua in luagauge.LUA_VERSIONS:
            for _ in range(2):
                try:
                    luagauge.LuaEngine(luagauge.ScriptConfig(lua=lua))
                except luagauge.PlatformUnavailableError as error:
                    print(error)
    """
    done = child(tmp_path, "-c", "if True:" + code)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2 * len(LUA_VERSIONS)
    assert lines.count(lines[0]) == 2 * len(OF_LUPA)
    assert lines[0].startswith(said)
    assert lines[0].endswith(f"; {REMEDY}")


def test_lupa_that_cannot_be_imported_is_told_from_none(tmp_path: Path) -> None:
    """One that fails as it is imported: its own error is in the sentence."""
    (tmp_path / "lupa.py").write_text("import no_such_module", encoding="ascii")
    done = child(tmp_path, "-m", "luagauge", "run", "-")
    assert done.returncode == 7
    assert done.stderr.startswith("Error: the installed lupa cannot be imported (No module named 'no_such_module'); ")
    (tmp_path / "lupa.py").write_text("raise ImportError('not here')", encoding="ascii")
    assert "(not here)" in child(tmp_path, "-m", "luagauge", "doctor").stdout


def test_oldest_lupa_is_the_one_required() -> None:
    """What is refused at run time is what pip would not install."""
    required = [one for one in requires("luagauge") or [] if one.startswith("lupa")]
    assert len(required) == 1
    assert f">={_finder.OLDEST_LUPA}" in required[0]


@pytest.mark.parametrize("version", ["2.8", "2.8.0", "2.8rc1", "2.10", "2.9.dev0", "3.0", "10.0"])
def test_later_lupas_are_taken(version: str) -> None:
    """Numbers are compared as numbers."""
    _finder.check_version(version)
