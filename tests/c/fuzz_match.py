"""Compare pattern matching with the stock functions on random pairs, in every Lua: `python tests/c/fuzz_match.py`.

The pairs and the comparison are in fuzz_match.lua. The Luas are those of the installed lupa, or with --sdist those
built from the sdist that LUAGAUGE_LUPA_SDIST names, where --sanitized adds AddressSanitizer and UBSan.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import lua_build

SCRIPT = Path(__file__).with_suffix(".lua")


def fuzz(version: lua_build.Version, variant: str, *, in_lupa: bool, pairs: int, seed: int) -> bool:
    """Return whether every call gave what the stock function gave; what was compared is printed."""
    command = lua_build.driver_command(version, variant, in_lupa=in_lupa)
    arguments = [str(SCRIPT), str(pairs), str(seed), "jit" if version.jit else "puc"]
    print(f"{version.name}, {variant}, seed {seed}:", end=" ", flush=True)
    return subprocess.run([*command, *arguments], check=False).returncode == 0


def main() -> int:
    """Fuzz the versions that the arguments name; 1 when any differs."""
    parser = argparse.ArgumentParser(description="Differential fuzz of pattern matching.")
    parser.add_argument("versions", nargs="*", default=list(lua_build.VERSIONS), help="lua51 ... luajit21")
    parser.add_argument("--pairs", type=int, default=1_000_000, help="pattern/subject pairs for each version")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sdist", action="store_true", help="Luas built from lupa's sdist, not the installed lupa's")
    parser.add_argument("--sanitized", action="store_true", help="with --sdist: under ASan and UBSan (PUC Luas only)")
    options = parser.parse_args()
    variant = "sanitized" if options.sanitized else "plain"
    passed = [
        fuzz(lua_build.VERSIONS[name], variant, in_lupa=not options.sdist, pairs=options.pairs, seed=options.seed)
        for name in options.versions
        if not (options.sanitized and lua_build.VERSIONS[name].jit)
    ]
    return 0 if all(passed) and passed else 1


if __name__ == "__main__":
    sys.exit(main())
