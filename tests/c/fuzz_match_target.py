"""Fuzz pattern matching with libFuzzer, under ASan and UBSan: `fuzz_match_target.py [--seconds N] [LUA...]`.

Needs clang, and LUAGAUGE_LUPA_SDIST for the Luas. The corpus is kept beside the built programs (see lua_build.py).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import lua_build

SEEDS = (
    b"\x00\x07\x05(%w+)=ab=cd",
    b"\x01\x08\x0a^%s*(.-)$  trimmed ",
    b"\x02\x03\x09%a+one, two, %0",
    b"\x03\x05\x05%b()%fx(y)z<%1>",
    b"\x0b\x08\x04[^%a_-z]b-c]%0%1",
    b"\x83\x06\x06%f[%w]ab cd1x",
    b"\x00\x04\x06(.)%1aabbcc",
)


def fuzz(version: lua_build.Version, seconds: int) -> bool:
    """Return whether nothing was found."""
    folder = lua_build.build_folder() / f"corpus-{version.name}"
    folder.mkdir(exist_ok=True)
    for number, seed in enumerate(SEEDS):
        (folder / f"seed{number}").write_bytes(seed)
    os.environ["CC"] = "clang"
    sanitizers = ("-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined")
    target = lua_build.build_driver(version, "plain", source="fuzz_match_target.c", extra=sanitizers)
    os.environ["CC"] = "gcc"
    environment = {**os.environ, "LG_FUZZ_LUA": str(lua_build.build_lua(version, "plain"))}
    limits = [f"-max_total_time={seconds}", "-max_len=140", "-timeout=20", "-print_final_stats=1", "-verbosity=0"]
    print(f"{version.name}:", flush=True)
    return subprocess.run([str(target), *limits, str(folder)], check=False, env=environment).returncode == 0


def main() -> int:
    """Fuzz the versions that the arguments name; 1 when any input makes a difference."""
    parser = argparse.ArgumentParser(description="libFuzzer on pattern matching.")
    parser.add_argument("versions", nargs="*", default=[version.name for version in lua_build.PUC], help="lua51 ...")
    parser.add_argument("--seconds", type=int, default=60, help="for each version")
    options = parser.parse_args()
    passed = [fuzz(lua_build.VERSIONS[name], options.seconds) for name in options.versions]
    return 0 if all(passed) and passed else 1


if __name__ == "__main__":
    sys.exit(main())
