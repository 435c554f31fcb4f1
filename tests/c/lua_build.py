"""Build the Luas of lupa's source distribution, and drivers for them, for the C tests.

LUAGAUGE_LUPA_SDIST names lupa's sdist (a .tar.gz, or the directory it unpacks to). Results are kept in
LUAGAUGE_C_TEST_DIR (default tests/c/build) under names that hold version and variant, and built anew only when what they
are made of has changed (kept.py). The PUC versions are compiled here; LuaJIT is built by its own Makefile. For Windows (systems.py) the modules that
the wheel carries are tested instead: LUAGAUGE_C_TEST_LUAS names the directory that tools/build_luas.py made.

    python tests/c/lua_build.py [plain|sanitized] [lua51 ...]    prints the paths
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import systems
from kept import digest_of, keep

ROOT = Path(__file__).resolve().parents[2]
C_TESTS = ROOT / "tests" / "c"
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-Wno-unused-function"]
if systems.WINDOWS:
    WARNINGS.append("-Wno-float-conversion")  # mingw's macros in math.h convert for types that are not there
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
VARIANTS = {"plain": ["-O2"], "sanitized": ["-O1", "-g", *SANITIZERS]}
TOLERATED = ["-fno-sanitize=alignment,signed-integer-overflow"]
"""What the Luas themselves do and UBSan minds. 5.5.1 places its main state 8 bytes into a block, for a union that wants
16; 5.1 and 5.2 let integers wrap where a table is asked for a number that is no index."""
IN_LUPA = """
import ctypes, importlib, sys
name, driver, *arguments = sys.argv[1:]
module = importlib.import_module("lupa." + name)
words = [word.encode() for word in (driver, module.__file__, *arguments)]
sys.exit(ctypes.CDLL(driver).lg_driver_main(len(words), (ctypes.c_char_p * (len(words) + 1))(*words)))
"""
"""Runs a driver inside Python, on the Lua that one of lupa's modules holds."""
DRIVEN = (
    "guard/buf.c",
    "guard/chain_posix.c",
    "guard/cputime_posix.c",
    "guard/ending.c",
    "guard/hardstop.c",
    "guard/kept.c",
    "guard/machine_elf.c",
    "guard/stackfloor_posix.c",
    "guard/state.c",
    "guard/tell_posix.c",
    "guard/thread_posix.c",
    "guard/watch_due.c",
    "guard/watch_fork.c",
    "guard/watch_thread.c",
    "guard/watchdog.c",
    "os/clock_posix.c",
    "os/library_posix.c",
    "os/random_posix.c",
    "os/sync_posix.c",
)
"""What the library's functions are linked with, of csrc, beside the meter."""
UNUSED = {"lua.c", "luac.c", "ltests.c", "onelua.c", "print.c"}
"""Sources of a Lua that are programs or debugging aids, not the library."""


@dataclass(frozen=True, slots=True)
class Version:
    """A Lua as the C core names it."""

    name: str
    number: int
    """LG_LUA: 501 for 5.1 and LuaJIT, to 505."""
    jit: int = 0
    """LG_JIT: 20, 21, or 0."""

    @property
    def defines(self) -> list[str]:
        """The compiler arguments that choose this version in the core's sources."""
        return [f"-DLG_LUA={self.number}", f"-DLG_JIT={self.jit}", f"-DLG_INSTANCE={self.name}"]


CARRIED = os.environ.get("LUAGAUGE_C_TEST_LUAS")
"""Where the modules are that a wheel would carry; None where the Luas of lupa, or those built here, are tested."""


def said_by(source: Path) -> Version:
    """Return the version that one of csrc/lua/lua*.c says it is."""
    said = dict(re.findall(r"#define (LG_\w+) (\w+)", source.read_text(encoding="utf-8")))
    return Version(said["LG_INSTANCE"], int(said["LG_LUA"]), int(said["LG_JIT"]))


EVERY = tuple(said_by(source) for source in sorted((ROOT / "csrc" / "lua").glob("lua*[0-9].c")))
PUC = tuple(version for version in EVERY if not version.jit)
LUAJIT = tuple(version for version in EVERY if version.jit and not (systems.WINDOWS and version.name == "luajit20"))
VERSIONS = {version.name: version for version in (*PUC, *LUAJIT)}


def build_folder() -> Path:
    """Return where results are kept; made when it is not there."""
    folder = Path(os.environ.get("LUAGAUGE_C_TEST_DIR") or C_TESTS / "build")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def sdist() -> Path:
    """Return the directory of lupa's unpacked sdist.

    Raises:
        LookupError: LUAGAUGE_LUPA_SDIST is not set, or names nothing that holds Lua's sources.
    """
    named = os.environ.get("LUAGAUGE_LUPA_SDIST")
    if not named:
        message = "LUAGAUGE_LUPA_SDIST is not set: it names lupa's sdist (a .tar.gz or an unpacked directory)"
        raise LookupError(message)
    path = Path(named)
    if path.is_file():
        target = build_folder() / "sdist"
        keep(target, digest_of([], [], [path]), functools.partial(unpack, path, target))
        path = next(target.iterdir())
    if not (path / "third-party").is_dir():
        message = f"{path} holds no third-party/ directory"
        raise LookupError(message)
    return path


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an sdist into a directory of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")


def compiler() -> list[str]:
    """Return the C compiler's command (CC)."""
    return shlex.split(os.environ.get("CC", "gcc"))


def compiled(command: list[str], result: Path, inputs: Iterable[Path]) -> Path:
    """Return what a compiler's command makes, whose last argument is the result; made when it is not there already."""

    def make() -> None:
        subprocess.run([*command, "-o", str(result)], check=True)

    return keep(result, digest_of(command, compiler(), inputs), make)


def build_puc(version: Version, variant: str) -> Path:
    """Return the shared object of a PUC Lua."""
    folder = sdist() / "third-party" / version.name
    folder = folder / "src" if (folder / "src").is_dir() else folder
    sources = sorted(source for source in folder.glob("*.c") if source.name not in UNUSED)
    result = build_folder() / f"lib{version.name}-{variant}.so"
    command = [*compiler(), "-std=gnu99", "-w", "-fPIC", "-shared", *VARIANTS[variant], *TOLERATED]
    return compiled([*command, "-I", str(folder), *map(str, sources), "-lm"], result, [*sources, *folder.glob("*.h")])


def build_luajit(version: Version) -> Path:
    """Return the shared object of a LuaJIT, built by its own Makefile in a copy of its sources."""
    result = build_folder() / f"lib{version.name}-plain.so"
    source = sdist() / "third-party" / version.name
    work = build_folder() / f"{version.name}-src"
    command = ["make", "-C", str(work / "src"), "BUILDMODE=dynamic", "libluajit.so"]

    def make() -> None:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(source, work)
        environment = {key: value for key, value in os.environ.items() if key not in {"CFLAGS", "LDFLAGS"}}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        shutil.copy2(work / "src" / "libluajit.so", result)

    return keep(result, digest_of(command, compiler(), (path for path in source.rglob("*") if path.is_file())), make)


def build_lua(version: Version, variant: str) -> Path:
    """Return the shared object of a Lua; LuaJIT is never sanitized (it manages its own memory)."""
    if CARRIED is not None:
        return Path(CARRIED).absolute() / f"luagauge_{version.name}.{'dll' if systems.WINDOWS else 'so'}"
    return build_luajit(version) if version.jit else build_puc(version, variant)


def inputs_of(source: str) -> list[Path]:
    """Return all that a driver may be made of: its file in tests/c, what such files include, and the core."""
    drivers = {C_TESTS / source, C_TESTS / "lib_driver.c"}
    return [*drivers, *C_TESTS.glob("*.h"), *(ROOT / "csrc").rglob("*.[ch]")]


def meter_files() -> list[Path]:
    """Return the meter's sources for the system."""
    (pages,) = systems.files(("pages_posix.c",))
    return sorted(
        path
        for path in (ROOT / "csrc" / "meter").glob("*.c")
        if path.name == pages or not path.name.startswith("pages_")
    )


def build_driver(
    version: Version,
    variant: str,
    *,
    source: str = "lib_driver.c",
    libs: str | None = None,
    shared: bool = False,
    extra: tuple[str, ...] = (),
) -> Path:
    """Return the driver program for a Lua version.

    Args:
        version: The Lua it is compiled for.
        variant: "plain" or "sanitized".
        source: Its main file in tests/c.
        libs: LG_DRIVER_LIBS, a header below csrc/ or tests/c.
        shared: Make a shared object, to be called inside Python.
        extra: More compiler arguments.
    """
    tag = "" if libs is None else "-" + Path(libs).stem
    result = build_folder() / f"{Path(source).stem}{tag}-{version.name}-{variant}{'.so' if shared else systems.SUFFIX}"
    files = [C_TESTS / source, *meter_files(), *(ROOT / "csrc" / name for name in systems.files(DRIVEN))]
    command = [*compiler(), "-std=c11", "-g", *WARNINGS, *VARIANTS[variant], *version.defines, *extra]
    if libs is not None:
        command.append(f'-DLG_DRIVER_LIBS="{libs}"')
    if shared:
        command += ["-fPIC", "-shared"]
    command += ["-I", str(ROOT / "csrc"), "-I", str(C_TESTS), *map(str, files), *systems.flags(("-pthread", "-ldl"))]
    return compiled(command, result, inputs_of(source))


def driver_command(version: Version, variant: str, *, in_lupa: bool = False, libs: str | None = None) -> list[str]:
    """Return the command that runs a script, whose path and arguments are to follow.

    Args:
        version: The Lua to run on.
        variant: "plain" or "sanitized".
        in_lupa: Use the Lua of the installed lupa (plain only), not one built from its sdist. On Windows that exports
            nothing, and the module that a wheel carries is used.
        libs: As for build_driver.
    """
    if in_lupa and CARRIED is None:
        driver = build_driver(version, variant, libs=libs, shared=True)
        return [sys.executable, "-c", IN_LUPA, version.name, str(driver)]
    library = systems.path_there(build_lua(version, variant))
    return [*systems.runner(), str(build_driver(version, variant, libs=libs)), library]


def why_not(version: Version) -> str | None:
    """Say why driver_command(in_lupa=True) cannot be had here, or return None."""
    if CARRIED is not None:
        return None if build_lua(version, "plain").is_file() else f"LUAGAUGE_C_TEST_LUAS holds no {version.name}"
    if systems.WINDOWS:
        return "lupa's Windows wheels export no Lua API, and LUAGAUGE_C_TEST_LUAS is not set"
    return None if importlib.util.find_spec(f"lupa.{version.name}") else f"the installed lupa has no {version.name}"


def main(arguments: list[str]) -> int:
    """Build what the arguments name and print where it is."""
    variant = "sanitized" if "sanitized" in arguments else "plain"
    names = [argument for argument in arguments if argument in VERSIONS] or [version.name for version in PUC]
    for name in names:
        print(build_lua(VERSIONS[name], variant), build_driver(VERSIONS[name], variant))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
