"""How late a deadline is where it falls into a single step of Lua's own that no hook interrupts: a report without aims.

    python -m benchmarks.single_steps [--limit-mb 100] [--samples 10] [LUA ...]

Each script fills its share of the memory limit and then repeats one step; its deadline falls some milliseconds after
the filling, at another moment each time. `run`: the most that the run took beyond its deadline. `return`: until
`execute_script` returned, with what the run left behind collected and given back: the most as well.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import dataclass

from luagauge import LUA_VERSIONS, LuaEngine, ScriptConfig, ScriptTimeoutError

MIB = 1 << 20
TABLE_BYTES = 80  # a table and its slot in another one; more on no Lua
ENDS = 40.0  # ms after the filling, at most


@dataclass(frozen=True, slots=True)
class Step:
    """One step: Lua text that fills `share` of the limit, `{}` of such units; then what is repeated."""

    name: str
    filling: str
    share: float
    unit_bytes: int
    step: str


TEXT = "local s = ('x'):rep({}) "
TWINS = "local a = ('x'):rep({}) local b = ('x'):rep(#a - 1) .. 'y' "
ZEROS = "local a = ('\\0'):rep({}) local b = a .. 'b' a = a .. 'a' "
DIGITS = "local d = ('1'):rep({}) "
TABLES = "local t = {{}} for i = 1, {} do t[i] = {{}} end "
NUMBERS = "local t = {{}} for i = 1, {} do t[i] = i end "
STRINGS = "local t = {{}} for i = 1, {} do t[i] = 'string ' .. i end "
STEPS = (
    Step("joining: s .. 'y'", TEXT, 0.3, 1, "local r = s .. 'y'"),
    Step("comparing: a < b", TWINS, 0.25, 1, "local r = a < b"),
    Step("comparing: a < b, of NULs", ZEROS, 0.22, 1, "local r = a < b"),
    Step("comparing: a == b", TWINS, 0.25, 1, "local r = a == b"),
    Step("converting: d + 1", DIGITS, 0.45, 1, "local r = d + 1"),
    Step("converting: tonumber(d, 36)", DIGITS, 0.45, 1, "local r = tonumber(d, 36)"),
    Step("copying: s:sub(2)", TEXT, 0.3, 1, "local r = s:sub(2)"),
    Step("a table grows", NUMBERS, 0.2, 16, "local u = {} for i = 1, #t do u[i] = i end"),
    Step("a hash grows", NUMBERS, 0.1, 16, "local u = {} for i = 1, #t / 2 do u[-i] = i end"),
    Step("collectgarbage(), tables", TABLES, 0.5, TABLE_BYTES, "collectgarbage()"),
    Step("collectgarbage(), one table", NUMBERS, 0.4, 16, "collectgarbage()"),
    Step("collectgarbage(), strings", STRINGS, 0.5, TABLE_BYTES, "collectgarbage()"),
    Step("garbage at the limit", TABLES, 0.6, TABLE_BYTES, "local u = {} for i = 1, 1000 do u[i] = {} end"),
    Step("only tables left behind", TABLES, 0.6, TABLE_BYTES, "local r = 1"),
    Step("only strings left behind", STRINGS, 0.6, TABLE_BYTES, "local r = 1"),
)


def lateness_ms(lua: str, step: Step, limit_mb: float, samples: int) -> tuple[float, float] | None:
    """Return the most that runs, and their callers, were late; None where the filling alone is over the limit."""
    filling = step.filling.format(int(limit_mb * MIB * step.share / step.unit_bytes))
    settings = {"lua": lua, "memory_limit_mb": limit_mb}
    with LuaEngine(ScriptConfig(timeout_ms=60_000, **settings)) as engine:
        filled = engine.execute_script(filling)
    if filled.error is not None:
        return None
    runs, returns = [], []
    for _ in range(samples):
        timeout_ms = filled.duration_ms * 1.3 + random.uniform(1, ENDS)  # noqa: S311 - a moment, no secret
        with LuaEngine(ScriptConfig(timeout_ms=timeout_ms, **settings)) as engine:
            start = time.perf_counter()
            result = engine.execute_script(f"{filling} while true do {step.step} end")
            returns.append((time.perf_counter() - start) * 1000 - timeout_ms)
            runs.append(result.duration_ms - timeout_ms)
        if not isinstance(result.error, ScriptTimeoutError):
            return None
    return max(runs), max(returns)


def main() -> None:
    """Print one line a step."""
    parser = argparse.ArgumentParser(description="How late a deadline is within a single step of Lua's.")
    parser.add_argument("--limit-mb", type=float, default=100.0)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("luas", nargs="*", default=list(LUA_VERSIONS))
    options = parser.parse_args()
    print(f"milliseconds late at memory_limit_mb={options.limit_mb:g}, the most of {options.samples}: run (return)")
    print(f"{'':32}" + "".join(f"{lua:>18}" for lua in options.luas))
    for step in STEPS:
        cells = []
        for lua in options.luas:
            late = lateness_ms(lua, step, options.limit_mb, options.samples)
            cells.append("-" if late is None else f"{late[0]:.1f} ({late[1]:.1f})")
        print(f"{step.name:32}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
