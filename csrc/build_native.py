"""The cffi recipe for `luagauge._native`, and the sources and flags of `luagauge._fast`.

Paths are relative to the root of the source tree, which is where setup.py runs. Two environment variables change the
build of both modules: LUAGAUGE_SANITIZE=1 adds AddressSanitizer and UndefinedBehaviorSanitizer, LUAGAUGE_COVERAGE=1
adds gcov's counters.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import cffi


class System(NamedTuple):
    """How the names of a system's own files end, by contract."""

    probe: tuple[str, ...] = ("unsupported",)
    cputime: str = "posix"
    machine: str = "elf"
    others: str = "posix"


SYSTEMS = {
    "linux": System(probe=("linux", "procfs")),
    "darwin": System(probe=("macos",), cputime="macos", machine="macos"),
    "win32": System(probe=("windows",), cputime="windows", machine="windows", others="windows"),
}
"""By Python's name for the platform; one that is not here is taken for a POSIX system without a probe."""
SYSTEM = SYSTEMS.get(sys.platform, System())

# One list per room of csrc/.
CORE_SOURCES = ["csrc/core.c"]
PROBE_SOURCES = [f"csrc/probe/{name}.c" for name in SYSTEM.probe]
OS_SOURCES = [f"csrc/os/{name}_{SYSTEM.others}.c" for name in ("clock", "library", "random", "sync")]
METER_SOURCES = [
    *sorted(path.as_posix() for path in Path("csrc/meter").glob("*.c") if not path.name.startswith("pages_")),
    f"csrc/meter/pages_{SYSTEM.others}.c",
]
GUARD_SOURCES = [
    "csrc/guard/buf.c",
    f"csrc/guard/cputime_{SYSTEM.cputime}.c",
    "csrc/guard/ending.c",
    "csrc/guard/hardstop.c",
    "csrc/guard/kept.c",
    f"csrc/guard/machine_{SYSTEM.machine}.c",
    f"csrc/guard/stackfloor_{SYSTEM.others}.c",
    "csrc/guard/state.c",
    f"csrc/guard/tell_{SYSTEM.others}.c",
    "csrc/guard/watch_due.c",
    "csrc/guard/watch_fork.c",
    "csrc/guard/watch_thread.c",
    "csrc/guard/watchdog.c",
    *(f"csrc/guard/{name}_posix.c" for name in ("chain", "thread") if SYSTEM.others == "posix"),
]
# resolve.c, and the core once per Lua version.
LUA_SOURCES = sorted(path.as_posix() for path in Path("csrc/lua").glob("*.c"))

NATIVE_SOURCES = [*CORE_SOURCES, *OS_SOURCES, *PROBE_SOURCES, *METER_SOURCES, *GUARD_SOURCES, *LUA_SOURCES]
# buf.c has no state: each module has its own copy.
FAST_SOURCES = [
    "csrc/fast/fastmodule.c",
    "csrc/fast/make.c",
    "csrc/fast/engine_type.c",
    "csrc/fast/settings.c",
    "csrc/fast/run.c",
    "csrc/fast/callback.c",
    "csrc/fast/result.c",
    "csrc/fast/encode.c",
    "csrc/fast/trail.c",
    "csrc/fast/foreign.c",
    "csrc/fast/texts.c",
    "csrc/fast/decode.c",
    "csrc/guard/buf.c",
]
ENUMERATIONS = ["lg_status.h", "guard/outcome.h"]
NATIVE_HEADERS = [*ENUMERATIONS, "lg_core.h", "probe/lg_probe.h", "guard/signal.h", "guard/wire.h"]
NATIVE_MACROS: list[tuple[str, str | None]] = []
FAST_MACROS: list[tuple[str, str | None]] = []

if sys.platform == "win32":
    # <stdatomic.h> is complete, but its name is not, in the C compiler of Visual Studio 2022 17.5 and later.
    COMPILE_ARGS = ["/O2", "/std:c11", "/experimental:c11atomics", "/W3"]
    LINK_ARGS: list[str] = []
else:
    COMPILE_ARGS = ["-O2", "-std=c11", "-fvisibility=hidden", "-Wall", "-Wextra"]
    LINK_ARGS = ["-pthread"]
    if sys.platform == "linux":
        LINK_ARGS.append("-ldl")  # a part of libc only since glibc 2.34

if os.environ.get("LUAGAUGE_SANITIZE") == "1":
    SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g"]
    COMPILE_ARGS += SANITIZERS
    LINK_ARGS += SANITIZERS
if os.environ.get("LUAGAUGE_COVERAGE") == "1":
    # Counted atomically: threads that count at once make counters that gcov shows as negative, and gcovr refuses.
    COMPILE_ARGS += ["--coverage", "-fprofile-update=atomic", "-O0"]
    LINK_ARGS += ["--coverage"]

ffibuilder = cffi.FFI()
for name in ENUMERATIONS:  # cffi reads declarations, and no lines of the preprocessor
    declared = Path("csrc", name).read_text(encoding="utf-8")
    ffibuilder.cdef("".join(line for line in declared.splitlines(keepends=True) if not line.startswith("#")))
ffibuilder.cdef(Path("csrc/native.cdef.txt").read_text(encoding="utf-8"))
# py_limited_api is left to cffi: it asks for the stable ABI except on debug and free-threaded builds, which have none.
ffibuilder.set_source(
    "luagauge._native",
    "".join(f'#include "{header}"\n' for header in NATIVE_HEADERS),
    sources=NATIVE_SOURCES,
    include_dirs=["csrc"],
    define_macros=NATIVE_MACROS,
    extra_compile_args=COMPILE_ARGS,
    extra_link_args=LINK_ARGS,
)
