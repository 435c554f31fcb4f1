#!/usr/bin/env python3
"""Make sure that the wheels of a release are the ones meant: a wrong build selector is silently an empty one.

The wheels meant are listed in .github/wheel-identifiers.txt, one cibuildwheel build identifier a line.

    python3 tools/wheel_set.py identifiers          compare what cibuildwheel would build with the list
    python3 tools/wheel_set.py identifiers --write  write the list anew; its diff is the thing to review
    python3 tools/wheel_set.py files DIRECTORY      compare the wheels in a directory with the list, and what each
                                                    holds with what its platform's wheel carries

`identifiers` needs cibuildwheel (the `wheels` group of pyproject.toml); it asks for every platform, on any of them.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from carried import wheels

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / ".github" / "wheel-identifiers.txt"
ARCHITECTURES = {"linux": "x86_64,aarch64", "macos": "x86_64,arm64", "windows": "AMD64,ARM64"}


def listed() -> list[str]:
    """Read the committed list."""
    return LIST.read_text(encoding="ascii").split()


def selected() -> list[str]:
    """Ask cibuildwheel what pyproject.toml makes it build, for every platform."""
    found: list[str] = []
    for platform, architectures in ARCHITECTURES.items():
        done = subprocess.run(
            ["cibuildwheel", "--platform", platform, "--archs", architectures, "--print-build-identifiers", str(ROOT)],
            stdout=subprocess.PIPE,
            check=True,
        )
        found += done.stdout.decode("ascii").split()
    return sorted(found)


def wheel_pattern(identifier: str) -> re.Pattern[str]:
    """Say what the file name of a build's wheel looks like, tags included.

    An ordinary CPython's wheel is tagged for the stable ABI of 3.10, whichever version built it; a free-threaded one's
    for that version alone.
    """
    python, _, rest = identifier.partition("-")
    platform, _, machine = rest.partition("_")
    version = python.rstrip("t")
    tags = f"{version}-{python}" if python.endswith("t") else "cp310-abi3"
    return re.compile(rf"luagauge-[^-]+-{tags}-[^-]*{platform}[\d_]*_{machine}[^-]*\.whl")


def differences(expected: list[str], found: list[str]) -> list[str]:
    """Describe what is missing and what is too much."""
    return [f"missing: {name}" for name in sorted(set(expected) - set(found))] + [
        f"not in the list: {name}" for name in sorted(set(found) - set(expected))
    ]


def check_files(directory: Path) -> list[str]:
    """Match every listed identifier with exactly one wheel and every wheel with an identifier, and look inside."""
    left = sorted(path.name for path in directory.glob("*.whl"))
    problems = []
    for identifier in listed():
        pattern = wheel_pattern(identifier)
        hits = [name for name in left if pattern.fullmatch(name)]
        left = [name for name in left if name not in hits]
        if len(hits) != 1:
            problems.append(f"{identifier}: {len(hits)} wheels ({', '.join(hits) or 'none'})")
        for name in hits:
            problems += wheels.problems(directory / name)
    return problems + [f"not in the list: {name}" for name in left]


def main() -> int:
    """Run the comparison asked for.

    Returns:
        0 when list and reality agree, 1 otherwise.
    """
    parser = argparse.ArgumentParser(description="Compare wheels with the committed list of build identifiers.")
    commands = parser.add_subparsers(dest="command", required=True)
    identifiers = commands.add_parser("identifiers", help="compare what cibuildwheel would build")
    identifiers.add_argument("--write", action="store_true", help="write the list instead")
    commands.add_parser("files", help="compare built wheels").add_argument("directory", type=Path)
    options = parser.parse_args()
    if options.command == "identifiers":
        found = selected()
        if options.write:
            LIST.write_text("\n".join(found) + "\n", encoding="ascii")
        problems = differences(listed(), found)
    else:
        problems = check_files(options.directory)
    print("\n".join(problems) if problems else f"all {len(listed())} wheels are as listed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
