"""Run the corpus on each Lua version, and fail every allocation in turn: `guard_sweep.py [LUA...]`.

Lua and the core are built with AddressSanitizer and UndefinedBehaviorSanitizer from lupa's sdist (LUAGAUGE_LUPA_SDIST).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lua_build import C_TESTS, PUC, ROOT, VARIANTS, VERSIONS, WARNINGS, build_folder, build_lua, compiler, is_current

SHARED = (
    "probe/linux.c",
    "probe/procfs.c",
    "guard/buf.c",
    "guard/hardstop.c",
    "guard/machine_elf.c",
    "guard/state.c",
    "guard/stackfloor.c",
    "guard/watchdog.c",
    "guard/cputime_posix.c",
)
TIMEOUT_S = 600


def core_files() -> list[Path]:
    """Return the C sources that are not compiled once per Lua version."""
    core = ROOT / "csrc"
    meter = sorted(path for path in (core / "meter").glob("*.c") if path.name != "pages_windows.c")
    return [*(core / part for part in SHARED), *meter]


def build_guard(name: str, variant: str) -> Path:
    """Return the driver program for one Lua version."""
    result = build_folder() / f"guard_driver-{name}-{variant}"
    core = ROOT / "csrc"
    files = [C_TESTS / "guard_driver.c", core / "lua" / f"{name}.c", *core_files()]
    if not is_current(result, [*files, *core.rglob("*.h"), *C_TESTS.glob("*.h")]):
        command = [*compiler(), "-std=c11", "-g", *WARNINGS, *VARIANTS[variant], f"-DLG_INSTANCE_UNDER_TEST={name}"]
        command += ["-I", str(core), "-I", str(C_TESTS), *map(str, files), "-pthread", "-ldl", "-lm", "-o", str(result)]
        subprocess.run(command, check=True)
    return result


def main(names: list[str]) -> int:
    """Sweep the named versions, or all of PUC's; the exit code."""
    failed = []
    for name in names or [version.name for version in PUC]:
        library = build_lua(VERSIONS[name], "sanitized")
        command = [str(build_guard(name, "sanitized")), str(library), str(C_TESTS / "corpus.txt"), "sweep"]
        done = subprocess.run(command, check=False, timeout=TIMEOUT_S)
        print(f"{name}: {'ok' if done.returncode == 0 else f'exit {done.returncode}'}", flush=True)
        if done.returncode != 0:
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
