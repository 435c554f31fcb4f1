"""Build LuaJIT's objects: its Makefile's steps, for every compiler alike.

minilua, a Lua that runs here, turns the interpreter's source (vm_*.dasc) into C for buildvm. buildvm, built for this
machine with the target's properties, writes the interpreter and the generated headers. Then the rest is ordinary C.
"""

from __future__ import annotations

import re
from concurrent.futures import Executor
from pathlib import Path

from .errors import CarriedError
from .toolchain import Toolchain, run

LIBRARIES = ("base", "math", "bit", "string", "table", "io", "os", "package", "debug", "jit", "ffi", "buffer")
HEADERS = {"bcdef": "lj_bcdef.h", "ffdef": "lj_ffdef.h", "libdef": "lj_libdef.h", "recdef": "lj_recdef.h"}
GENERATED = [*HEADERS.values(), "lj_folddef.h", "luajit.h", "host/buildvm_arch.h"]
ARCHITECTURES = {"LJ_TARGET_X64": "x64", "LJ_TARGET_ARM64": "arm64"}
# Properties of the target that lj_arch.h finds out, and what dynasm is told of them.
DYNASM = {
    "LJ_LE": "ENDIAN_LE",
    "LJ_64": "P64",
    "LJ_HASJIT": "JIT",
    "LJ_HASFFI": "FFI",
    "LJ_DUALNUM": "DUALNUM",
    "LJ_ARCH_HASFPU": "FPU",
    "LJ_NO_UNWIND": "NO_UNWIND",
    "LJ_ABI_PAUTH": "PAUTH",
    "LJ_ABI_BRANCH_TRACK": "BRANCH_TRACK",
    "LJ_ABI_SHADOW_STACK": "SHADOW_STACK",
    "LJ_TARGET_WINDOWS": "WIN",
}
# Those that depend on the compiler's switches, not only on processor and OS; buildvm is told.
TOLD = ("LJ_ABI_PAUTH", "LJ_ABI_BRANCH_TRACK", "LJ_ABI_SHADOW_STACK")
SYSTEMS = {"linux": "LUAJIT_OS_LINUX", "macos": "LUAJIT_OS_OSX", "windows": "LUAJIT_OS_WINDOWS"}


def defines(toolchain: Toolchain) -> list[str]:
    """Return what every C file of LuaJIT is compiled with.

    CHECKHOOK makes compiled loops look at hooks. Outside Windows errors unwind by the platform's unwinder, which
    LuaJIT's own Makefile chooses for these processors too.
    """
    if toolchain.target.system == "windows":
        return ["LUAJIT_ENABLE_CHECKHOOK", "LUA_BUILD_AS_DLL"]
    return ["LUAJIT_ENABLE_CHECKHOOK", "LUAJIT_UNWIND_EXTERNAL", "_FILE_OFFSET_BITS=64", "_LARGEFILE_SOURCE"]


def properties(toolchain: Toolchain, folder: Path) -> tuple[set[str], int]:
    """Return what lj_arch.h says of the target, and its version of the processor's instruction set.

    Raises:
        CarriedError: It would not be a build with GC64, or is for a processor that modules are not built for.
    """
    asked = [*DYNASM, *ARCHITECTURES, "LJ_GC64", "LJ_FR2", "LJ_ABI_SOFTFP"]
    lines = ['#include "lj_arch.h"', *(f'#if {name}\nhas "{name}"\n#endif' for name in asked)]
    probe = folder / "luagauge_properties.c"
    probe.write_text("\n".join([*lines, "version LJ_ARCH_VERSION", ""]), encoding="ascii")
    said = toolchain.preprocess(probe, ["."], defines(toolchain))
    found = set(re.findall(r'^has "(\w+)"', said, re.MULTILINE))
    version = re.search(r"^version (\d+)", said, re.MULTILINE)
    if not {"LJ_GC64", "LJ_FR2"} <= found or "LJ_ABI_SOFTFP" in found or not found & ARCHITECTURES.keys():
        raise CarriedError(f"LuaJIT for {toolchain.target.name} would be no GC64 build: {', '.join(sorted(found))}")
    return found, int(version[1]) if version else 0


def write_header(folder: Path) -> None:
    """Make luajit.h, which names the release.

    Raises:
        CarriedError: The sdist does not say which release it is.
    """
    number = (folder / "luajit_relver.txt").read_text(encoding="ascii").strip()
    if not number.isdigit():
        raise CarriedError("luajit_relver.txt in lupa's sdist names no release of LuaJIT")
    text = (folder / "luajit_rolling.h").read_text(encoding="utf-8")
    text = re.sub(r"^#error.*\n", "", text, flags=re.MULTILINE).replace("ROLLING", number)
    (folder / "luajit.h").write_text(text, encoding="utf-8", newline="\n")


def make_buildvm(toolchain: Toolchain, host: Toolchain, folder: Path) -> Path:
    """Build the two programs that run here; return the second, which knows the target."""
    found, version = properties(toolchain, folder)
    (architecture,) = (name for key, name in ARCHITECTURES.items() if key in found)
    minilua = host.program(["host/minilua.c"], folder, "luagauge_minilua", [])
    flags = [word for key, name in DYNASM.items() if key in found for word in ("-D", name)]
    flags += ["-D", "HFABI", "-D", f"VER={version}"]
    source = f"vm_{architecture}.dasc"
    run([minilua, "../dynasm/dynasm.lua", *flags, "-o", "host/buildvm_arch.h", source], folder)
    told = [f"LUAJIT_TARGET=LUAJIT_ARCH_{architecture}", f"LUAJIT_OS={SYSTEMS[toolchain.target.system]}"]
    told += ["LUAJIT_ENABLE_CHECKHOOK", "LJ_ARCH_HASFPU=1", "LJ_ABI_SOFTFP=0"]
    told += [f"{name}=1" for name in TOLD if name in found]
    sources = sorted(f"host/{path.name}" for path in (folder / "host").glob("buildvm*.c"))
    paths = ["-I.", "-I../dynasm"]
    return host.program(sources, folder, "luagauge_buildvm", [*paths, *(f"-D{define}" for define in told)])


def build(toolchain: Toolchain, host: Toolchain, folder: Path, pool: Executor) -> list[Path]:
    """Build LuaJIT's object files in a copy of its sources; return them."""
    for name in GENERATED:
        (folder / name).unlink(missing_ok=True)  # the sdist has those of the machine that made it
    write_header(folder)
    buildvm = make_buildvm(toolchain, host, folder)
    libraries = [f"lib_{name}.c" for name in LIBRARIES]
    for mode, header in HEADERS.items():
        run([buildvm, "-m", mode, "-o", header, *libraries], folder)
    run([buildvm, "-m", "folddef", "-o", "lj_folddef.h", "lj_opt_fold.c"], folder)
    sources = sorted(path.name for pattern in ("lj_*.c", "lib_*.c") for path in folder.glob(pattern))

    def one(source: str) -> Path:
        return toolchain.compile_lua(source, folder, ["."], defines(toolchain))

    return [toolchain.assemble_vm(buildvm, folder), *pool.map(one, sources)]
