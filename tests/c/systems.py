"""Which system the C tests are built for, and what it has in place of another's: files of csrc/, flags, a command that runs.

LUAGAUGE_C_TEST_PLATFORM  a value of sys.platform; this one's unless it is set
LUAGAUGE_C_TEST_RUNNER    the command that runs a program, such as an emulator's, or wine
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

PLATFORM = os.environ.get("LUAGAUGE_C_TEST_PLATFORM", sys.platform)
WINDOWS = PLATFORM == "win32"
SUFFIX = ".exe" if WINDOWS else ""
"""Of a program's name."""
OF_POSIX = ("-pthread", "-ldl")
"""Flags that Windows has no need of."""
WITH_SIGNALS = frozenset({"guard/chain_posix.c", "guard/thread_posix.c"})
"""Sources that Windows, which has no signals, has nothing in place of."""
MINGW_UCRT = (
    "-D_UCRT", "-D__USE_MINGW_ANSI_STDIO=0", "-Wno-format", "-static-libgcc", "-nodefaultlibs",
    "-Wl,--start-group", "-lucrt", "-lmingw32", "-lgcc", "-lgcc_eh", "-lmingwex", "-lkernel32", "-Wl,--end-group",
)  # fmt: skip
"""For mingw's gcc: the C runtime that CPython and the wheel's Luas use. Its own default is an older one, and what it thinks of
format strings is about that."""


def files(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the sources of csrc/ for this system, given those for Linux."""
    if not WINDOWS:
        return names
    wanted = (name for name in names if name not in WITH_SIGNALS)
    return tuple(name.replace("_posix.c", "_windows.c").replace("_elf.c", "_windows.c") for name in wanted)


def flags(given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the flags that this system takes."""
    if not WINDOWS:
        return given
    runtime = MINGW_UCRT if "mingw" in os.environ.get("CC", "") else ()
    return (*(flag for flag in given if flag not in (*OF_POSIX, "-lm")), *runtime)


def runner() -> list[str]:
    """Return the command that runs a program of this system."""
    return shlex.split(os.environ.get("LUAGAUGE_C_TEST_RUNNER", ""))


def passes(command: list[str], timeout_s: float, folder: Path | None = None) -> bool:
    """Run a program of C tests and show what it prints; return whether it came to its end, and found nothing.

    Its last line says so (lg_test.h). The exit code alone does not: wine's may be 0 after a crash.
    """
    try:
        done = subprocess.run(command, check=False, cwd=folder, timeout=timeout_s, stdout=subprocess.PIPE)
    except subprocess.TimeoutExpired as error:
        print((error.stdout or b"").decode(errors="replace"), f"still running after {timeout_s} s", sep="", flush=True)
        return False
    printed = done.stdout.decode(errors="replace")
    print(printed, end="", flush=True)
    return done.returncode == 0 and printed.rstrip().endswith(" checks, 0 failed")


def path_there(path: Path) -> str:
    """Return a file's name as a program of this system is to be told it: wine shows the root as drive Z."""
    return f"Z:{path}" if WINDOWS and sys.platform != "win32" else str(path)
