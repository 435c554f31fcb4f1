"""Run the corpus on each Lua version, and fail its allocations in turn: `guard_sweep.py [--whole] [LUA...]`.

Lua and the core are built with AddressSanitizer and UndefinedBehaviorSanitizer from lupa's sdist (LUAGAUGE_LUPA_SDIST); or
without, for the modules that a wheel carries (LUAGAUGE_C_TEST_LUAS).
"""

from __future__ import annotations

import sys
from pathlib import Path

import systems
from lua_build import (
    C_TESTS,
    CARRIED,
    DRIVEN,
    PUC,
    ROOT,
    VARIANTS,
    VERSIONS,
    WARNINGS,
    build_folder,
    build_lua,
    compiled,
    compiler,
    inputs_of,
    meter_files,
)

PROBE = ("probe/windows.c",) if systems.WINDOWS else ("probe/linux.c", "probe/procfs.c")
VARIANT = "plain" if CARRIED is not None else "sanitized"
TIMEOUT_S = 3600
DENSE, DENSE_WHOLE = 50, 400
"""How many allocations of a script fail each in turn; of those after them, samples. --whole takes the larger number."""


def core_files() -> list[Path]:
    """Return the C sources that are not compiled once per Lua version."""
    return [*(ROOT / "csrc" / part for part in systems.files((*PROBE, *DRIVEN))), *meter_files()]


def build_guard(name: str, variant: str, source: str = "guard_driver.c") -> Path:
    """Return a driver program for one Lua version."""
    result = build_folder() / f"{Path(source).stem}-{name}-{variant}{systems.SUFFIX}"
    core = ROOT / "csrc"
    files = [C_TESTS / source, core / "lua" / f"{name}.c", *core_files()]
    command = [*compiler(), "-std=c11", "-g", *WARNINGS, *VARIANTS[variant], f"-DLG_INSTANCE_UNDER_TEST={name}"]
    command += ["-I", str(core), "-I", str(C_TESTS), *map(str, files)]
    command += systems.flags(("-pthread", "-ldl", "-lm"))
    return compiled(command, result, inputs_of(source))


def guard_command(name: str, variant: str, source: str = "guard_driver.c") -> list[str]:
    """Return the command that runs a driver on its Lua, whose other arguments are to follow."""
    library = systems.path_there(build_lua(VERSIONS[name], variant))
    return [*systems.runner(), str(build_guard(name, variant, source)), library]


def main(arguments: list[str]) -> int:
    """Sweep the named versions, or all of PUC's, and LuaJIT where it is carried; the exit code."""
    failed = []
    names = [argument for argument in arguments if argument != "--whole"]
    dense = DENSE_WHOLE if "--whole" in arguments else DENSE
    carried = ["luajit21"] if CARRIED is not None else []
    for name in names or [*(version.name for version in PUC), *carried]:
        command = [*guard_command(name, VARIANT), systems.path_there(C_TESTS / "corpus.txt"), str(dense)]
        fine = systems.passes(command, TIMEOUT_S)
        print(f"{name}: {'ok' if fine else 'FAILED'}", flush=True)
        if not fine:
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
