"""What the compiler made of a file is kept, and taken again only where it would make the same."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from carried import cache, compilers, gnu, targets, toolchain
from carried.errors import CarriedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="MSVC's builds keep nothing")


class Files:
    """A directory with a source and a header, and the commands that were run there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Write the files, and note each command that makes assembly."""
        self.folder = folder
        self.compiled: list[list[str]] = []
        (folder / "given.h").write_text("#define GIVEN 5\n")
        (folder / "it.c").write_text('#include "given.h"\nint it(void) { return GIVEN + MORE; }\n')
        run = toolchain.run

        def note(command: Sequence[str | Path], where: Path) -> str:
            if "-S" in command:
                self.compiled.append([str(word) for word in command])
            return run(command, where)

        monkeypatch.setattr(toolchain, "run", note)

    def make(self, more: str = "1") -> bytes:
        """Compile the source; return the object file."""
        compiler = compilers.choose(targets.host(), None)
        result = compiler.compile_lua("it.c", self.folder, ["."], [f"MORE={more}"])
        return result.read_bytes()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Return such files, with a cache of their own."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "kept"))
    return Files(tmp_path, monkeypatch)


def test_cache_compiles_the_same_file_once(files: Files) -> None:
    """The second object is the first, byte for byte."""
    first = files.make()
    (files.folder / "it.s").unlink()
    assert files.make() == first
    assert len(files.compiled) == 1


def test_cache_takes_nothing_of_another_file_header_or_option(files: Files) -> None:
    """Whatever the compiler sees is part of what is compared."""
    first = files.make()
    assert files.make("2") != first
    (files.folder / "given.h").write_text("#define GIVEN 7\n")
    assert files.make() != first
    assert len(files.compiled) == 3


def test_cache_is_used_where_it_is_asked_for_only(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable every build compiles."""
    monkeypatch.delenv(cache.VARIABLE)
    assert files.make() == files.make()
    assert len(files.compiled) == 2
    assert not (files.folder / "kept").exists()


def test_cache_keeps_no_failure(files: Files) -> None:
    """A file that did not compile is compiled again."""
    for _ in range(2):
        with pytest.raises(CarriedError):
            files.make("(")
    assert [path for path in (files.folder / "kept").rglob("*") if path.is_file()] == []


def test_cache_holds_what_the_compiler_wrote(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moving code to Lua's section comes after, so a build that does it otherwise takes nothing wrong from it."""
    first = files.make()
    monkeypatch.setattr(gnu, "in_section", lambda assembly, _form: assembly)
    assert files.make() != first
    assert len(files.compiled) == 1
