"""Shows why the RSS of the process, before and after, says little about a script: python examples/rss_is_noise.py.

The same Lua scripts run twice: in plain lupa, with the resident set read before and after, and in luagauge, which
counts in Lua's own allocator. Each script fills a table whose size is known: an array of Lua 5.4 takes 16 bytes a slot,
and its slots are a power of two. All of them run in one process, one after the other, as they would in a server.
"""

from __future__ import annotations

import lupa.lua54

import luagauge

MIB = 1 << 20
SLOT_BYTES = 16
FILL = "local t = {{}} for i = 1, {slots} do t[i] = i end "
KINDS = {
    "kept to the end": FILL + "return #t",
    "dropped half-way": FILL + "t = nil collectgarbage() return {slots}",
}


def rss_growth(lua: lupa.lua54.LuaRuntime, script: str) -> int:
    """Run a script in plain lupa; return how much larger the resident set is afterwards, in bytes."""
    before = luagauge.snapshot().rss_bytes
    lua.execute(script)
    return luagauge.snapshot().rss_bytes - before


def main() -> None:
    """Print one line for each script: what it needs, and what both ways of measuring say."""
    lua = lupa.lua54.LuaRuntime()
    engine = luagauge.LuaEngine()
    errors: dict[str, list[float]] = {"RSS": [], "luagauge": []}
    print(f"{'table':34}  {'RSS before/after':>18}  {'luagauge':>18}")
    for kind, source in KINDS.items():
        for size in (64 << 10, MIB, 8 * MIB, 64 * MIB):
            for turn in ("first", "again"):
                script = source.format(slots=size // SLOT_BYTES)
                used = engine.execute_script(script).raise_for_error().memory_used_mb or 0.0
                figures = {"RSS": rss_growth(lua, script) / MIB, "luagauge": used}
                cells = []
                for name, figure in figures.items():
                    off = (figure * MIB - size) / size * 100
                    errors[name].append(off)
                    cells.append(f"{figure:8.3f} {off:+8.2f} %")
                print(f"{size / MIB:7.3f} MiB {kind:16} {turn:5}  {cells[0]:>18}  {cells[1]:>18}")
    for name, offs in errors.items():
        print(f"{name} is {min(offs):+.2f} % to {max(offs):+.2f} % off")


if __name__ == "__main__":
    main()
