"""Build the objects of PUC-Rio's Luas."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

from .toolchain import Toolchain

PROGRAMS = {"lua.c", "luac.c", "print.c", "ltests.c", "onelua.c"}
"""Files that are programs or debugging aids, not the library."""


def defines(toolchain: Toolchain) -> list[str]:
    """Return what every file is compiled with.

    lupa defines nothing for the Luas that it builds, so luaconf.h chooses by itself what they are compatible with, and
    scripts find the same library here.
    """
    return ["LUA_BUILD_AS_DLL"] if toolchain.target.system == "windows" else []


def build(toolchain: Toolchain, folder: Path, pool: Executor) -> list[Path]:
    """Build a Lua's object files in a copy of its sources; return them."""
    sources = sorted(path.name for path in folder.glob("*.c") if path.name not in PROGRAMS)

    def one(source: str) -> Path:
        return toolchain.compile_lua(source, folder, ["."], defines(toolchain))

    return list(pool.map(one, sources))
