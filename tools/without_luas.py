#!/usr/bin/env python3
"""Run engines from an installed package that carries no Luas: they stand on lupa's modules, or say that they cannot.

    python tools/without_luas.py SITE-DIRECTORY

lupa's modules export Lua's API on Linux and macOS, and not on Windows; on macOS lupa has no LuaJIT.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

LUAS = ("5.4", "luajit2.1")
LENGTH = 1_000_000
THERE = {"linux": LUAS, "darwin": ("5.4",), "win32": ()}


def outcome(lua: str) -> str:
    """Run a script on a Lua; say how it went."""
    luagauge = importlib.import_module("luagauge")
    config = luagauge.ScriptConfig(lua=lua, memory_limit_mb=8)
    try:
        with luagauge.LuaEngine(config) as engine:
            result = engine.execute_script(f"return #string.rep('x', {LENGTH})")
            refused = engine.execute_script(f"return #string.rep('x', {10 * LENGTH})")
    except luagauge.PlatformUnavailableError as error:
        return f"unavailable: {error}"
    over = isinstance(refused.error, luagauge.MemoryLimitExceeded)
    return "runs" if result.output == LENGTH and over else f"wrong: {result.output!r}, {refused.error!r}"


def main() -> int:
    """Compare what each Lua does with what it should.

    Returns:
        0 when they agree, 1 otherwise.
    """
    site = Path(sys.argv[1]).resolve()
    sys.path.insert(0, str(site))
    package = importlib.import_module("luagauge")
    if site not in Path(str(package.__file__)).resolve().parents:
        print(f"this is {package.__file__}, not the package in {site}")
        return 1
    found = {lua: outcome(lua) for lua in LUAS}
    wanted = {lua: "runs" if lua in THERE.get(sys.platform, ()) else "unavailable" for lua in LUAS}
    for lua in LUAS:
        print(f"without carried Luas, {lua}: {found[lua]}")
    return 0 if all(found[lua].startswith(wanted[lua]) for lua in LUAS) else 1


if __name__ == "__main__":
    sys.exit(main())
