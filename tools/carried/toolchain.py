"""What every compiler and linker here is asked for, and what they share."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from .errors import CarriedError
from .targets import Format, Target

ADDED = Path(__file__).resolve().parents[2] / "csrc" / "carried"
API = ("lua_*", "luaL_*", "luaopen_*", "luaJIT_*", "luagauge_release", "luagauge_text")
"""What a module exports, as linkers' patterns."""
SECTIONS: dict[Format, str] = {"elf": "luatext", "macho": "__TEXT,__luatext", "pe": ".luatext"}


class Toolchain(Protocol):
    """A compiler and a linker for one target."""

    @property
    def target(self) -> Target:
        """What it makes code for."""
        ...

    def preprocess(self, source: Path, includes: Sequence[str], defines: Sequence[str]) -> str:
        """Return a file after preprocessing."""
        ...

    def compile_lua(self, source: str, folder: Path, includes: Sequence[str], defines: Sequence[str]) -> Path:
        """Compile a file of a Lua, in its directory; return the object file, whose code is in the named section."""
        ...

    def compile_added(self, source: Path, folder: Path, defines: Sequence[str]) -> Path:
        """Compile a file of ours in the same place; its code stays in the ordinary section."""
        ...

    def assemble_vm(self, buildvm: Path, folder: Path) -> Path:
        """Have LuaJIT's buildvm write its interpreter; return the object file."""
        ...

    def program(self, sources: Sequence[str], folder: Path, name: str, flags: Sequence[str]) -> Path:
        """Make a program that runs here; return its path. Only for the host."""
        ...

    def link(self, objects: Sequence[Path], result: Path) -> None:
        """Link the module."""
        ...


def run(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it prints.

    Raises:
        CarriedError: It is not there, or fails; the message holds what it said.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise CarriedError(f"cannot run {words[0]}: {error.strerror}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise CarriedError(f"{' '.join(words)}: exit code {done.returncode}\n{said}")
    return done.stdout.decode(errors="replace").replace("\r\n", "\n")


def peobj_vm(buildvm: Path, folder: Path) -> Path:
    """Have buildvm write a COFF object, and name its text section for Lua's.

    The section table follows the header of 20 bytes, 40 bytes a section; a name has 8. The symbol that stands for the
    section has its name too.

    Raises:
        CarriedError: There is not exactly one section `.text`.
    """
    result = folder / "lj_vm.obj"
    run([buildvm, "-m", "peobj", "-o", result.name], folder)
    data = bytearray(result.read_bytes())
    old, new = b".text\0\0\0", SECTIONS["pe"].encode()
    count = int.from_bytes(data[2:4], "little")
    places = [20 + 40 * index for index in range(count) if data[20 + 40 * index :][:8] == old]
    if len(places) != 1:
        raise CarriedError(f"{result.name}, which buildvm wrote, has {len(places)} sections named .text, not one")
    symbols, symbol_count = (int.from_bytes(data[at : at + 4], "little") for at in (8, 12))
    places += [symbols + 18 * index for index in range(symbol_count) if data[symbols + 18 * index :][:8] == old]
    for place in places:
        data[place : place + 8] = new
    result.write_bytes(data)
    return result
