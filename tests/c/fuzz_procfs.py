"""Fuzz the parser of /proc/<pid>/statm with libFuzzer, under ASan and UBSan: `fuzz_procfs.py [--seconds N]`.

Needs clang. The corpus is kept beside the built program (see lua_build.py).
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from lua_build import C_TESTS, ROOT, WARNINGS, build_folder

PAGE_SIZES = (4096, 65536, 1 << 40, -1)
TEXTS = (
    b"5903 3316 1540 710 0 2106 0\n",
    b"90 20 0 0 0 0 0\n",
    b"18446744073709551615 1 0 0 0 18446744073709551615 0\n",
    b"18446744073709551616 1 1 1 0 1 0\n",
    b"5903  3316 1540 710 0 2106 0\n",
    b"5903 3316 1540 710 0 2106",
)


def main() -> int:
    """Build and fuzz; the exit code of the fuzzer."""
    parser = argparse.ArgumentParser(description="libFuzzer on the parser of statm.")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    folder = build_folder() / "corpus-procfs"
    folder.mkdir(exist_ok=True)
    for number, (text, page_size) in enumerate((text, size) for text in TEXTS for size in PAGE_SIZES):
        (folder / f"seed{number}").write_bytes(page_size.to_bytes(8, "little", signed=True) + text)
    target = build_folder() / "fuzz_procfs"
    sources = [str(C_TESTS / "fuzz_procfs.c"), str(ROOT / "csrc" / "probe" / "procfs.c")]
    command = ["clang", "-std=c11", "-g", "-O1", *WARNINGS, "-fsanitize=fuzzer,address,undefined"]
    command += ["-fno-sanitize-recover=undefined", "-I", str(ROOT / "csrc"), *sources, "-o", str(target)]
    subprocess.run(command, check=True)
    limits = [f"-max_total_time={options.seconds}", "-max_len=200", "-timeout=20", "-print_final_stats=1"]
    return subprocess.run([str(target), *limits, "-verbosity=0", str(folder)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
