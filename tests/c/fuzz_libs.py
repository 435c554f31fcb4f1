"""Compare the library functions with the stock ones on generated calls, in every Lua: `python tests/c/fuzz_libs.py`.

The calls and the comparison are in test_lib_stock.lua. The Luas are those of the installed lupa, or with --sdist those
built from the sdist that LUAGAUGE_LUPA_SDIST names, where --sanitized adds AddressSanitizer and UBSan and also runs the
scripts with hostile calls, too little memory, and secrets.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import lua_build

HERE = Path(__file__).resolve().parent
OTHERS = ("test_lib_hostile.lua", "test_lib_limit.lua", "test_lib_secrets.lua")


def run(version: lua_build.Version, variant: str, *, in_lupa: bool, script: str, arguments: tuple[str, ...]) -> bool:
    """Return whether a script passes; it prints what it did."""
    command = lua_build.driver_command(version, variant, in_lupa=in_lupa, libs="lib_all.h")
    print(f"{variant} {script} {' '.join(arguments)}:", end=" ", flush=True)
    return subprocess.run([*command, str(HERE / script), *arguments], check=False).returncode == 0


def main() -> int:
    """Compare in the versions that the arguments name; 1 when any differs."""
    parser = argparse.ArgumentParser(description="Differential fuzz of the library functions.")
    parser.add_argument("versions", nargs="*", default=list(lua_build.VERSIONS), help="lua51 ... luajit21")
    parser.add_argument("--rounds", type=int, default=4000, help="rounds of some 25 to 35 calls for each version")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sdist", action="store_true", help="Luas built from lupa's sdist, not the installed lupa's")
    parser.add_argument("--sanitized", action="store_true", help="with --sdist: under ASan and UBSan (PUC Luas only)")
    options = parser.parse_args()
    variant = "sanitized" if options.sanitized else "plain"
    passed = []
    for name in options.versions:
        version = lua_build.VERSIONS[name]
        if options.sanitized and version.jit:
            continue
        scripts: dict[str, tuple[str, ...]] = {"test_lib_stock.lua": (str(options.rounds), str(options.seed))}
        if options.sanitized:
            scripts |= dict.fromkeys(OTHERS, ())
        for script, arguments in scripts.items():
            passed.append(run(version, variant, in_lupa=not options.sdist, script=script, arguments=arguments))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
