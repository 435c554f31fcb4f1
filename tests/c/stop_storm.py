"""End many runs beside a thread that formats numbers: `stop_storm.py [--stops N] [LUA...]`; on Windows 1,000 on each Lua.

The Luas are those built from lupa's sdist (LUAGAUGE_LUPA_SDIST), or the modules that a wheel carries (LUAGAUGE_C_TEST_LUAS).
What is run is in stop_driver.c.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import systems
from guard_sweep import guard_command
from lua_build import PUC, ROOT, build_folder

sys.path.insert(0, str(ROOT / "tests" / "support"))
from long_steps import pure_step

TIMEOUT_S = 3600
DEADLINES_MS = {"luajit21": ("10", "140")}
"""When the first run in a long step is due, and over how long the others spread; LuaJIT's steps begin late, and are few."""
LUA_NAMES = {**{version.name: f"5.{version.number % 10}" for version in PUC}, "luajit21": "luajit2.1"}


def step_script(name: str) -> Path:
    """Write the script whose steps take long, with some formatting between them."""
    step, context = pure_step(LUA_NAMES[name], 15)
    keys = ", ".join(map(repr, context.get("keys", [])))
    path = build_folder() / f"step-{name}.lua"
    path.write_text(
        f"local context = {{keys = {{{keys}}}}}\n"
        "for i = 1, 50 do local text = string.format('%.17g', i / 7) .. i / 11 end\n"
        f"while true do local function step() {step} end step() end\n",
        encoding="ascii",
    )
    return path


def main() -> int:
    """Run the driver on the versions named, or on all; the exit code."""
    parser = argparse.ArgumentParser(description="Hard stops by the thousand.")
    every = [version.name for version in PUC] + ["luajit21"]
    # Elsewhere tests/soak/hard_stops.py makes more of them, in Python; one Lua shows that the driver is right.
    luas, stops = (every, 1000) if systems.WINDOWS else (["lua54"], 100)
    parser.add_argument("versions", nargs="*", default=luas, help=f"of {', '.join(every)}")
    parser.add_argument("--stops", type=int, default=stops, help="how many runs are ended on each")
    options = parser.parse_args()
    failed = []
    for name in options.versions:
        command = [*guard_command(name, "plain", "stop_driver.c"), systems.path_there(step_script(name))]
        print(f"{name}:", flush=True)
        if not systems.passes([*command, str(options.stops), *DEADLINES_MS.get(name, ("2", "29"))], TIMEOUT_S):
            failed.append(name)
    if failed:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
