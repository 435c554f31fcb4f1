"""What can go wrong on Windows alone, on each Lua that a wheel carries: `windows_cases.py [LUA...]`.

The cases are in windows_driver.c. LUAGAUGE_C_TEST_LUAS names the directory with the modules.
"""

from __future__ import annotations

import sys

import systems
from guard_sweep import guard_command
from lua_build import VERSIONS
from stop_storm import step_script

TIMEOUT_S = 1800  # for what hangs; a busy machine takes many times what an idle one does


def main(names: list[str]) -> int:
    """Run the driver on the versions named, or on all; the exit code."""
    failed = []
    for name in names or list(VERSIONS):
        print(f"{name}:", flush=True)
        command = [*guard_command(name, "plain", "windows_driver.c"), systems.path_there(step_script(name))]
        if not systems.passes(command, TIMEOUT_S):
            failed.append(name)
    if failed:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
