"""The functions of the host that Lua's file library is made of, called without Lua."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from luagauge._filesystem import Filesystem

ON_WINDOWS = sys.platform == "win32"


UNDER_WINE = sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


windows_only = pytest.mark.skipif(not ON_WINDOWS, reason="about Windows")


posix_only = pytest.mark.skipif(ON_WINDOWS, reason="about POSIX")


class Host:
    """Calls the functions as csrc/stdlib/files.h does."""

    def __init__(self, *directories: Path) -> None:
        """Give access below these directories."""
        self.functions = Filesystem([str(directory) for directory in directories], 1 << 20, "5.4").functions()

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Return what a function answers."""
        return self.functions[f"fs.{name}"](*arguments)

    def read(self, path: str, mode: str = "rb") -> list[Any]:
        """Return all that is in a file, or the failed open's answer."""
        answer: list[Any] = self("open", path, mode)
        if answer[0] is False:
            return answer
        found: list[Any] = self("read", answer[0], "a")
        self("close", answer[0])
        return found

    def write(self, path: str, mode: str, *values: bytes) -> list[Any]:
        """Return what writing to a file answers."""
        answer: list[Any] = self("open", path, mode)
        if answer[0] is False:
            return answer
        answer, number = self("write", answer[0], list(values)), answer[0]
        self("close", number)
        return answer


def listed(directory: Path) -> list[str]:
    """Return the names in a directory."""
    return sorted(path.name for path in directory.iterdir())


def failure(path: str, number: int) -> list[Any]:
    """Return the answer of a call that failed in C's words."""
    return [False, f"{path}: {os.strerror(number)}".encode(), number]


def unnamed(number: int) -> list[Any]:
    """Return the answer of a rename that failed, of which csrc/stdlib/files.h makes what the Lua says."""
    return [False, os.strerror(number).encode(), number]


def handles() -> int:
    """Return how many files or other objects of the system this process has open."""
    if sys.platform == "win32" and UNDER_WINE:  # which counts none, and gives the lowest number that is free
        import msvcrt

        fd = os.open(os.devnull, os.O_RDONLY)
        number = msvcrt.get_osfhandle(fd) // 4
        os.close(fd)
        return number
    return int(getattr(psutil.Process(), "num_handles" if ON_WINDOWS else "num_fds")())
