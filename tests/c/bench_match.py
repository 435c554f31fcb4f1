"""Time pattern matching against the stock functions, in every Lua of the installed lupa: `bench_match.py [VERSION...]`.

The work and the timing are in bench_match.lua: both sides turn and turn about in one process. Printed are the medians
of the rounds' ratios, this project's time over the stock function's, one column for each Lua.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import lua_build

SCRIPT = Path(__file__).with_suffix(".lua")


def measure(version: lua_build.Version, rounds: int) -> dict[str, float]:
    """Return the median ratio for each piece of work."""
    command = [*lua_build.driver_command(version, "plain", in_lupa=True), str(SCRIPT), str(rounds)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line.rsplit(maxsplit=2) for line in output.splitlines()]
    return {name.strip(): float(ratio) for name, ratio, _ in lines}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Pattern matching: time over the stock functions' time.")
    parser.add_argument("versions", nargs="*", default=list(lua_build.VERSIONS), help="lua51 ... luajit21")
    parser.add_argument("--rounds", type=int, default=201)
    options = parser.parse_args()
    columns = {name: measure(lua_build.VERSIONS[name], options.rounds) for name in options.versions}
    print(f"{'':42}" + "".join(f"{name:>9}" for name in columns))
    for work in next(iter(columns.values())):
        print(f"{work:42}" + "".join(f"{column[work]:9.2f}" for column in columns.values()))
    print(f"{'the highest':42}" + "".join(f"{max(column.values()):9.2f}" for column in columns.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
