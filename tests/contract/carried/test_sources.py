"""What carried Luas are built from: the pinned sdist, a compiler and a platform that are there, and words where they are not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import fetch_lupa
import pytest
from carried import compilers, modules, sdist, targets
from carried.errors import CarriedError

ROOT = Path(__file__).resolve().parents[3]


HOST = targets.host()


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run tools/build_luas.py."""
    names = {**os.environ, **environment}
    clean = {name: value for name, value in names.items() if value}
    words = [sys.executable, str(ROOT / "tools" / "build_luas.py"), *arguments]
    return subprocess.run(words, env=clean, capture_output=True, text=True, check=False, timeout=300)


def test_the_command_says_that_the_variable_is_missing(tmp_path: Path) -> None:
    """And what to do."""
    done = command(str(tmp_path / "out"), LUAGAUGE_LUPA_SDIST="")
    assert done.returncode == 1
    assert "LUAGAUGE_LUPA_SDIST is not set" in done.stderr
    assert "tools/fetch_lupa.py" in done.stderr


def test_the_command_says_that_there_is_no_compiler(archive: Path, tmp_path: Path) -> None:
    """By the name that was looked for; nothing is written."""
    done = command("--cc", "no-such-compiler", str(tmp_path / "out"), LUAGAUGE_LUPA_SDIST=str(archive))
    assert done.returncode == 1
    assert "no C compiler: 'no-such-compiler' is not on PATH" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_failing_compiler_is_quoted(archive: Path, tmp_path: Path) -> None:
    """What it said is what helps."""
    compiler = f'"{sys.executable}"'.replace("\\", "/")
    done = command("--cc", compiler, str(tmp_path / "out"), LUAGAUGE_LUPA_SDIST=str(archive))
    assert done.returncode == 1
    assert re.search(r"exit code \d+\n.*unknown option", done.stderr, re.IGNORECASE)


def test_other_sources_are_refused(tmp_path: Path) -> None:
    """What is no lupa, and what is another lupa than the pinned one."""
    with pytest.raises(CarriedError, match="does not exist"):
        sdist.unpacked(tmp_path / "absent", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CarriedError, match="is no unpacked sdist of lupa"):
        sdist.unpacked(tmp_path / "empty", tmp_path)
    (tmp_path / "other.tar.gz").write_bytes(b"something else")
    with pytest.raises(CarriedError, match=r"is not the pinned sdist, lupa \d[\d.]*: its SHA-256 is [0-9a-f]{64}"):
        sdist.unpacked(tmp_path / "other.tar.gz", tmp_path)
    (tmp_path / "old" / "third-party").mkdir(parents=True)
    for name, version in (("lupa", "2.5"), ("other", sdist.pin().version)):
        (tmp_path / "old" / "PKG-INFO").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n")
        with pytest.raises(CarriedError, match=rf"is {name} {version}, not lupa {sdist.pin().version}"):
            sdist.unpacked(tmp_path / "old", tmp_path)


def test_the_pinned_lupa_is_one_that_the_package_takes() -> None:
    """Or its scripts would run on a Lua that lupa's range excludes."""
    requirement = re.search(r'"lupa>=([\d.]+),<(\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert requirement is not None
    pinned = [int(part) for part in sdist.pin().version.split(".")]
    assert [int(part) for part in requirement[1].split(".")] <= pinned < [int(requirement[2])]


@pytest.mark.parametrize("name", ["solaris-x86_64", "linux-i686", "windows", ""])
def test_other_platforms_are_refused_by_name(name: str) -> None:
    """The message lists those that there are."""
    with pytest.raises(CarriedError, match=r"the targets are linux-x86_64, .*windows-aarch64"):
        targets.parse(name)


def test_zig_is_refused_for_macos() -> None:
    """Its linker would not keep the section."""
    with pytest.raises(CarriedError, match="use the platform's clang"):
        compilers.choose(targets.Target("macos", "aarch64"), "zig")


@pytest.mark.skipif(HOST.system == "macos", reason="the platform's clang is chosen here")
def test_zig_is_not_chosen_for_macos() -> None:
    """Where no compiler is named, the message is that for zig."""
    with pytest.raises(CarriedError, match="use the platform's clang"):
        compilers.choose(targets.Target("macos", "aarch64"), None)


@pytest.mark.parametrize("name", ["luajit20", "lua56", "5.4"])
def test_a_lua_that_is_not_there_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """Before anything is unpacked or compiled; the message lists those that there are."""
    message = f"^no Lua module '{name}'; there are lua51, lua52, lua53, lua54, lua55, luajit21$"
    with pytest.raises(CarriedError, match=message):
        modules.build(HOST, tmp_path / "no.tar.gz", tmp_path / "built", luas=["lua54", name])
    assert not (tmp_path / "built").exists()


def test_a_newer_lupa_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do, and by an exit code that fails the scheduled workflow."""
    pinned = sdist.pin().version
    monkeypatch.setattr(sys, "argv", ["fetch_lupa.py", "--newest"])
    monkeypatch.setattr(fetch_lupa, "unearth", lambda *_words: f'{{"name": "lupa", "version": "{pinned}"}}')
    assert fetch_lupa.main() == 0
    monkeypatch.setattr(fetch_lupa, "unearth", lambda *_words: '{"name": "lupa", "version": "2.99"}')
    assert fetch_lupa.main() == 1
    assert f"lupa 2.99 is out, and wheels carry the Luas of {pinned}" in capsys.readouterr().err


def test_unearth_that_is_not_installed_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """In words that a pip without --group can follow too."""
    said = subprocess.CompletedProcess([], 1, "", "python: No module named unearth")
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_options: said)
    with pytest.raises(CarriedError, match=r"pip install unearth, or `pip install --group lupa` with pip 25\.1"):
        fetch_lupa.unearth("lupa")


def test_another_file_than_the_pinned_one_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the index says that it is."""

    def serve(_option: str, folder: str, _requirement: str) -> str:
        Path(folder, "lupa-1.0.tar.gz").write_bytes(b"not lupa")
        return ""

    target = tmp_path / "new" / "lupa.tar.gz"
    monkeypatch.setattr(fetch_lupa, "unearth", serve)
    monkeypatch.setattr(sys, "argv", ["fetch_lupa.py", str(target)])
    assert fetch_lupa.main() == 1
    assert "than the pinned one: its SHA-256 is" in capsys.readouterr().err
    assert not target.exists()
