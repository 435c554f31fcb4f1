"""Compile and run the plain C tests: `python tests/c/run.py [--plain] [NAME...]`.

Each is one program without Python, built from its own file and the sources it names, with warnings as errors: once
under AddressSanitizer and UndefinedBehaviorSanitizer, and once without (a sanitizer replaces malloc, so some figures
can be checked without it only). --plain leaves the sanitizers out, for compilers that have none, such as musl-gcc.
CC chooses the compiler, CFLAGS adds to its arguments; LUAGAUGE_C_TEST_DIR names a directory to build in, which is kept.
For another CPU or system LUAGAUGE_C_TEST_RUNNER is the command that runs a program and LUAGAUGE_C_TEST_PLATFORM says which
(systems.py); LUAGAUGE_C_TEST_NO_WRAP=1 leaves out what has to be linked with --wrap, for linkers that do not know it, such as
zig's.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import systems

ROOT = Path(__file__).resolve().parents[2]
CFLAGS = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
SANITIZERS = [
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
    "-fno-omit-frame-pointer",
    "-DLG_TEST_SANITIZED",
]
TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Program:
    """One test: tests/c/<name>.c and the sources under csrc/ that it is linked with."""

    name: str
    sources: tuple[str, ...]
    flags: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    """The values of sys.platform that it can run on; none: all."""

    @property
    def wraps(self) -> bool:
        """Whether it puts itself in front of the system's calls."""
        return any(flag.startswith("-Wl,--wrap=") for flag in self.flags)


ARENA = (
    "meter/arena.c",
    "meter/arena_heap.c",
    "meter/arena_range.c",
    "meter/arena_segment.c",
    "meter/arena_slab.c",
    "meter/image.c",
    "meter/pages_posix.c",
    "meter/reaper.c",
    "os/clock_posix.c",
    "os/sync_posix.c",
)

GUARD = (
    "os/library_posix.c",
    "guard/watchdog.c",
    "guard/tell_posix.c",
    "guard/state.c",
    "guard/stackfloor_posix.c",
    "guard/hardstop.c",
    "guard/machine_elf.c",
    "guard/cputime_posix.c",
    "guard/buf.c",
    "meter/meter.c",
)

FIXED = ("-fno-pie", "-no-pie", "-pthread", "-ldl")
MACOS = ("probe/macos.c", "guard/cputime_macos.c")
# Not machine_macos.c: registers lie elsewhere here.
GUARD_ON_MACOS = tuple(
    name.replace("cputime_posix", "cputime_macos").replace("machine_elf", "machine_none") for name in GUARD
)
# In front of the system's headers; those of macOS hide nothing behind a standard's name.
AS_ON_MACOS = ("-I", str(ROOT / "tests" / "c" / "macos"), "-D_GNU_SOURCE=", "-pthread")

# What faults/calls_posix.h puts itself in front of, with GNU ld's and lld's --wrap.
SYSTEM_CALLS = (
    "pthread_create", "pthread_attr_init", "pthread_condattr_init", "pthread_condattr_setclock", "pthread_cond_init",
    "pthread_atfork", "pthread_sigmask", "pthread_getcpuclockid", "pthread_getattr_np", "pthread_attr_getstack",
    "pthread_attr_getguardsize", "pthread_key_create", "pthread_setspecific", "sigaction", "clock_gettime", "mmap",
    "munmap", "mprotect", "mremap", "madvise", "malloc", "calloc", "realloc",
)  # fmt: skip
WRAPPED = tuple(f"-Wl,--wrap={name}" for name in SYSTEM_CALLS)

# And faults/calls_windows.h, where calls go through pointers of these names.
WINDOWS_CALLS = (
    "CreateEventW", "CreateWaitableTimerExW", "SetWaitableTimer", "DuplicateHandle", "FlsAlloc", "FlsSetValue",
    "SuspendThread", "GetThreadContext", "SetThreadContext", "GetThreadTimes", "VirtualAlloc", "_beginthreadex",
)  # fmt: skip
WRAPPED_ON_WINDOWS = tuple(f"-Wl,--wrap=__imp_{name}" for name in WINDOWS_CALLS)

SOON_STILL = "-DLG_WATCH_STILL_NS=1000000"

PROGRAMS = (
    Program("test_procfs", ("probe/procfs.c",)),
    Program("test_probe_unsupported", ("probe/unsupported.c",)),
    Program("test_probe_linux", ("probe/linux.c", "probe/procfs.c"), ("-pthread", "-ldl"), ("linux",)),
    Program("test_probe_fixed", ("probe/linux.c", "probe/procfs.c"), FIXED, ("linux",)),
    Program("test_macos_answers", MACOS, AS_ON_MACOS, ("linux",)),
    Program(
        "test_macos_faults", (*GUARD_ON_MACOS, *ARENA), (*AS_ON_MACOS, "-D__APPLE__=1", "-ldl", *WRAPPED), ("linux",)
    ),
    Program("test_probe_windows", ("probe/windows.c",), (), ("win32",)),
    Program("test_arena", ARENA, ("-DLG_TEST_FAULTS", "-pthread"), ("linux", "darwin", "win32")),
    Program("test_arena_giving_back", ARENA, ("-DLG_TEST_FAULTS", "-pthread"), ("linux", "darwin", "win32")),
    Program("test_arena_refusals", ARENA, ("-DLG_TEST_FAULTS", "-pthread"), ("linux", "darwin", "win32")),
    Program("test_image", ARENA, ("-DLG_TEST_FAULTS", "-pthread"), ("linux", "darwin", "win32")),
    Program("test_os_faults", (*GUARD, *ARENA), ("-pthread", "-ldl", *WRAPPED), ("linux",)),
    Program("test_windows_faults", (*GUARD, *ARENA), WRAPPED_ON_WINDOWS, ("win32",)),
    Program("test_meter", ("meter/meter.c", *ARENA), ("-DLG_TEST_FAULTS", "-pthread"), ("linux", "darwin", "win32")),
)


SCRIPTS = ("audit", "guard_sweep", "stop_storm", *(("windows_cases",) if systems.WINDOWS else ()))
"""Checks of whole Luas: tests/c/<name>.py, run where LUAGAUGE_LUPA_SDIST names the sdist to build them from, or
LUAGAUGE_C_TEST_LUAS the modules that a wheel carries."""


def run_script(name: str) -> bool:
    """Return whether tests/c/<name>.py exits with 0."""
    print(f"== {name}", flush=True)
    script = ROOT / "tests" / "c" / f"{name}.py"
    return subprocess.run([sys.executable, str(script)], check=False).returncode == 0


def build_and_run(program: Program, folder: Path, variant: str, extra: list[str]) -> bool:
    """Return whether `program` compiles without a warning and exits with 0."""
    binary = folder / f"{program.name}-{variant}{systems.SUFFIX}"
    sources = [
        str(ROOT / "tests" / "c" / f"{program.name}.c"),
        *(str(ROOT / "csrc" / name) for name in systems.files(program.sources)),
    ]
    compiler = shlex.split(os.environ.get("CC", "gcc"))
    includes = ["-I", str(ROOT / "csrc"), "-I", str(ROOT / "tests" / "c")]
    user = shlex.split(os.environ.get("CFLAGS", ""))
    command = [*compiler, *CFLAGS, *extra, *user, *includes, *sources, "-o", str(binary)]
    command += systems.flags(program.flags)
    print(f"== {program.name} ({variant})", flush=True)
    try:
        built = subprocess.run(command, check=False).returncode == 0
    except OSError as error:
        print(f"cannot run {compiler[0]}: {error.strerror}; set CC to a C compiler that is here", file=sys.stderr)
        return False
    if not built:
        return False
    return systems.passes([*systems.runner(), str(binary)], TIMEOUT_S, folder)


def why_not(program: Program) -> str | None:
    """Say why a program cannot be built or run here, or return None."""
    if program.platforms and systems.PLATFORM not in program.platforms:
        return f"it runs on {', '.join(program.platforms)}"
    if os.environ.get("LUAGAUGE_C_TEST_NO_WRAP") == "1" and program.wraps:
        return "LUAGAUGE_C_TEST_NO_WRAP=1"
    return None


def main(arguments: list[str]) -> int:
    """Run the named programs, or all that this platform can run; return the exit code."""
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0
    names = [argument for argument in arguments if argument != "--plain"]
    plain: tuple[str, list[str]] = ("plain", [])
    variants = [plain] if "--plain" in arguments else [("sanitized", SANITIZERS), plain]
    known = {program.name for program in PROGRAMS} | set(SCRIPTS)
    unknown = sorted(set(names) - known)
    if unknown:
        print(f"no such test: {', '.join(unknown)}; there are {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    chosen = [program for program in PROGRAMS if not names or program.name in names]
    failed = []
    # gcov's counters lie beside the programs and must outlive the run when they are wanted.
    kept = os.environ.get("LUAGAUGE_C_TEST_DIR")
    with contextlib.nullcontext(kept) if kept else tempfile.TemporaryDirectory() as folder:
        for program in chosen:
            if reason := why_not(program):
                print(f"== {program.name}: left out, {reason}")
                continue
            for variant, extra in variants:
                if not build_and_run(program, Path(folder), variant, extra):
                    failed.append(f"{program.name} ({variant})")
    wanted = [name for name in SCRIPTS if not names or name in names]
    carried = "LUAGAUGE_C_TEST_LUAS" in os.environ
    if wanted and not carried and ("--plain" in arguments or "LUAGAUGE_LUPA_SDIST" not in os.environ):
        print(f"== {', '.join(wanted)}: left out, without LUAGAUGE_LUPA_SDIST or sanitizers")
    else:
        failed += [name for name in wanted if not run_script(name)]
    if failed:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
