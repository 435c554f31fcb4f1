"""Choose the compiler."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys
from pathlib import Path

from . import msvc
from .errors import CarriedError
from .gnu import GnuLike
from .targets import Target, host
from .toolchain import Toolchain

ZIG_SYSTEMS = {"linux": "linux-gnu.2.28", "macos": "macos", "windows": "windows-gnu"}
"""zig's names, with the oldest glibc that wheels run on. For musl the compiler's whole command is given."""
NO_ZIG_FOR_MACOS = (
    "zig's linker puts all code of a macOS module into one section, so Lua's would not be told from the rest:"
    " use the platform's clang"
)


def choose(target: Target, command: str | None) -> Toolchain:
    """Return the toolchain for a target.

    Args:
        target: What is built.
        command: The compiler as a shell would take it; "zig" stands for the one of the package ziglang. None: CC for
            the host, what is found for another target.

    Raises:
        CarriedError: There is no compiler for it.
    """
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", f"{target.machine}-{ZIG_SYSTEMS[target.system]}"]
    if target.format == "macho" and command and "zig" in command:
        raise CarriedError(NO_ZIG_FOR_MACOS)
    if command == "zig":
        if importlib.util.find_spec("ziglang") is None:
            raise CarriedError("no zig: pip install ziglang")
        return GnuLike(target, zig)
    if command is None and target == host():
        command = os.environ.get("CC") or None
    if command is None and target.system == "windows" and os.name == "nt":
        return msvc.Msvc(target, msvc.environment(target.machine))
    words = shlex.split(command) if command else _found(target, zig)
    if Path(words[0]).stem.lower() == "cl":
        return msvc.Msvc(target, msvc.environment(target.machine))
    if shutil.which(words[0]) is None:
        raise CarriedError(f"no C compiler: {words[0]!r} is not on PATH; install it, or name another with CC or --cc")
    return GnuLike(target, words)


def _found(target: Target, zig: list[str]) -> list[str]:
    """Look for a compiler where none is named."""
    if target == host():
        return ["cc"]
    if target.format == "macho":
        raise CarriedError(NO_ZIG_FOR_MACOS)
    if target.system == "windows" and shutil.which(f"{target.machine}-w64-mingw32-gcc"):
        return [f"{target.machine}-w64-mingw32-gcc"]
    if importlib.util.find_spec("ziglang"):
        return zig
    raise CarriedError(f"no compiler for {target.name}: install mingw's gcc or the package ziglang, or name one (--cc)")
