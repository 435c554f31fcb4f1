"""Compile and run the plain C tests: `python tests/c/run.py [--plain] [--whole] [NAME...]`.

Each is one program without Python, built from its own file and the sources it names, with warnings as errors: once
under AddressSanitizer and UndefinedBehaviorSanitizer, and once without (a sanitizer replaces malloc, so some figures
can be checked without it only). Those with threads are run under ThreadSanitizer too. --plain leaves the sanitizers out, for compilers that have none, such as musl-gcc.
--whole makes the sweep of refused allocations (guard_sweep.py) whole.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import lua_build
import systems

ROOT = Path(__file__).resolve().parents[2]
CFLAGS = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
SANITIZERS = [
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
    "-fno-omit-frame-pointer",
    "-DLG_TEST_SANITIZED",
]
THREADS = ["-fsanitize=thread", "-fno-omit-frame-pointer", "-DLG_TEST_SANITIZED"]
VARIANTS = {"sanitized": SANITIZERS, "plain": [], "threads": THREADS}
TIMEOUT_S = 1800  # for what hangs; a busy machine takes many times what an idle one does


@dataclass(frozen=True, slots=True)
class Program:
    """One test: tests/c/<name>.c and the sources under csrc/ that it is linked with."""

    name: str
    sources: tuple[str, ...]
    flags: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    """The values of sys.platform that it can run on; none: all."""
    threads: bool = False
    """Whether it has several, for ThreadSanitizer."""

    @property
    def wraps(self) -> bool:
        """Whether it puts itself in front of the system's calls."""
        return any(flag.startswith("-Wl,--wrap=") for flag in self.flags)


ARENA = (
    "meter/arena.c",
    "meter/arena_heap.c",
    "meter/arena_huge.c",
    "meter/arena_keep.c",
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
    "guard/watch_due.c",
    "guard/watch_fork.c",
    "guard/watch_thread.c",
    "guard/tell_posix.c",
    "guard/chain_posix.c",
    "guard/thread_posix.c",
    "guard/ending.c",
    "guard/kept.c",
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
    Program("test_identity", ()),
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
    Program("test_image", ARENA, ("-DLG_TEST_FAULTS", "-pthread"), ("linux", "darwin", "win32"), threads=True),
    Program("test_threads", (*GUARD, *ARENA), ("-pthread", "-ldl"), ("linux",), threads=True),
    Program("test_os_faults", (*GUARD, *ARENA), ("-pthread", "-ldl", *WRAPPED), ("linux",)),
    Program("test_windows_faults", (*GUARD, *ARENA), WRAPPED_ON_WINDOWS, ("win32",)),
    Program("test_meter", ("meter/meter.c", *ARENA), ("-DLG_TEST_FAULTS", "-pthread"), ("linux", "darwin", "win32")),
)

BY_NAME = {program.name: program for program in PROGRAMS}

SCRIPTS = ("audit", "guard_sweep", "stop_storm", *(("windows_cases",) if systems.WINDOWS else ()))
"""Checks of whole Luas: tests/c/<name>.py, run where LUAGAUGE_LUPA_SDIST names the sdist to build them from, or
LUAGAUGE_C_TEST_LUAS the modules that a wheel carries."""
OF_EACH_LUA = {"guard_sweep": [version.name for version in lua_build.PUC]}
"""Those whose work on one Lua has nothing to do with that on another."""
AT_A_TIME = 1 if systems.WINDOWS or systems.runner() else os.cpu_count() or 1
"""Emulated systems take their time, and share what is not made to be shared."""


def of_scripts(names: list[str], options: list[str]) -> dict[str, list[str]]:
    """Return the commands that run scripts, by what they are called."""
    commands = {}
    for name in names:
        luas = [[lua] for lua in OF_EACH_LUA.get(name, [])] if lua_build.CARRIED is None else []
        for lua in luas or [[]]:
            script = str(ROOT / "tests" / "c" / f"{name}.py")
            more = options if name == "guard_sweep" else []
            commands[" ".join([name, *lua])] = [sys.executable, script, *more, *lua]
    return commands


def of_programs(names: list[str], variants: list[str], folder: str) -> dict[str, list[str]]:
    """Return the commands that build and run programs, by what they are called."""
    one = [sys.executable, str(Path(__file__).resolve()), "--one", folder]
    return {
        f"{name} ({variant})": [*one, name, variant]
        for name in names
        for variant in variants
        if variant != "threads" or BY_NAME[name].threads
    }


def run_all(commands: dict[str, list[str]]) -> list[str]:
    """Run commands beside each other, show what each printed when it has ended, and return the names of those that failed."""

    def run_one(name: str) -> bool:
        done = subprocess.run(commands[name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        print(f"== {name}\n{done.stdout.decode(errors='replace')}", end="", flush=True)
        return done.returncode == 0

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return [name for name, fine in zip(commands, pool.map(run_one, commands), strict=True) if not fine]


def build_and_run(program: Program, folder: Path, variant: str) -> bool:
    """Return whether `program` compiles without a warning and exits with 0."""
    binary = folder / f"{program.name}-{variant}{systems.SUFFIX}"
    sources = [
        str(ROOT / "tests" / "c" / f"{program.name}.c"),
        *(str(ROOT / "csrc" / name) for name in systems.files(program.sources)),
    ]
    compiler = shlex.split(os.environ.get("CC", "gcc"))
    includes = ["-I", str(ROOT / "csrc"), "-I", str(ROOT / "tests" / "c")]
    user = shlex.split(os.environ.get("CFLAGS", ""))
    command = [*compiler, *CFLAGS, *VARIANTS[variant], *user, *includes, *sources, "-o", str(binary)]
    command += systems.flags(program.flags)
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
    if arguments[:1] == ["--one"]:
        folder, name, variant = arguments[1:]
        return 0 if build_and_run(BY_NAME[name], Path(folder), variant) else 1
    names = [argument for argument in arguments if argument not in {"--plain", "--whole"}]
    variants = ["plain"] if "--plain" in arguments else list(VARIANTS)
    unknown = sorted(set(names) - {*BY_NAME, *SCRIPTS})
    if unknown:
        print(
            f"no such test: {', '.join(unknown)}; there are {', '.join(sorted({*BY_NAME, *SCRIPTS}))}", file=sys.stderr
        )
        return 2
    chosen = [name for name in BY_NAME if not names or name in names]
    for name in chosen:
        if reason := why_not(BY_NAME[name]):
            print(f"== {name}: left out, {reason}")
    wanted = [name for name in SCRIPTS if not names or name in names]
    if wanted and lua_build.CARRIED is None and ("--plain" in arguments or "LUAGAUGE_LUPA_SDIST" not in os.environ):
        print(f"== {', '.join(wanted)}: left out, without LUAGAUGE_LUPA_SDIST or sanitizers")
        wanted = []
    # gcov's counters lie beside the programs and must outlive the run when they are wanted.
    kept = os.environ.get("LUAGAUGE_C_TEST_DIR")
    with contextlib.nullcontext(kept) if kept else tempfile.TemporaryDirectory() as folder:
        run_here = [name for name in chosen if why_not(BY_NAME[name]) is None]
        failed = run_all({
            **of_scripts(wanted, [argument for argument in arguments if argument == "--whole"]),
            **of_programs(run_here, variants, folder),
        })  # fmt: skip
    if failed:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
