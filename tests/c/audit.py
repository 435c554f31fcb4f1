"""Compare what scripts can reach with the reviewed lists: `audit.py [--accept] [LUA...]`.

The lists are tests/c/reachable/<lua>.txt. --accept writes them anew, for a review of the difference in version control.
"""

from __future__ import annotations

import difflib
import subprocess
import sys
from pathlib import Path

import systems
from guard_sweep import VARIANT, core_files
from lua_build import (
    C_TESTS,
    LUAJIT,
    PUC,
    VARIANTS,
    VERSIONS,
    WARNINGS,
    Version,
    build_folder,
    build_lua,
    compiled,
    compiler,
    inputs_of,
)

REVIEWED = C_TESTS / "reachable"


def reachable(version: Version) -> str:
    """Return one line for everything that a script of this Lua can reach, sorted."""
    variant = "plain" if version.jit else VARIANT
    result = build_folder() / f"audit_driver-{version.name}-{variant}{systems.SUFFIX}"
    instance = f'-DLG_INSTANCE_FILE="lua/{version.name}.c"'
    command = [*compiler(), "-std=c11", *WARNINGS, *VARIANTS[variant], instance, "-I", str(C_TESTS.parents[1] / "csrc")]
    command += [str(C_TESTS / "audit_driver.c"), *map(str, core_files()), *systems.flags(("-pthread", "-ldl", "-lm"))]
    compiled(command, result, inputs_of("audit_driver.c"))
    command = [*systems.runner(), str(result), systems.path_there(build_lua(version, variant))]
    out = subprocess.run(command, check=True, capture_output=True, text=True)
    return "".join(sorted(out.stdout.splitlines(keepends=True)))


def differences(version: Version, *, accept: bool) -> list[str]:
    """Return the lines that are not as reviewed."""
    found, path = reachable(version), Path(REVIEWED / f"{version.name}.txt")
    if accept:
        REVIEWED.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    reviewed = path.read_text(encoding="utf-8").splitlines()
    return list(difflib.unified_diff(reviewed, found.splitlines(), "reviewed", "found", lineterm="", n=0))


def main(arguments: list[str]) -> int:
    """Check the named versions, or all; the exit code."""
    names = [name for name in arguments if name in VERSIONS] or [version.name for version in (*PUC, *LUAJIT)]
    failed = 0
    for name in names:
        lines = differences(VERSIONS[name], accept="--accept" in arguments)
        print(f"{name}: {'as reviewed' if not lines else 'NOT as reviewed'}")
        print("\n".join(lines), end="\n" if lines else "")
        failed |= bool(lines)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
