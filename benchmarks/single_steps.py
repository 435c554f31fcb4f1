"""How late a limit is where it falls into a single step: a report without aims.

    python -m benchmarks.single_steps [--limit-mb 100] [--samples 10] [--locale NAME] [LUA ...]

Each script fills its share of the memory limit and then repeats one step; its CPU time is used up some milliseconds
after the filling, at another moment each time. The figure is the most CPU time that `execute_script` took beyond that
until it had returned, with what the run left behind given back. Steps of Lua's own come first, then what is one call of
the C library or of the kernel. Last is what runs that end by themselves leave behind: there it is the most CPU time
between the end of the run and the return to its caller.
"""

from __future__ import annotations

import argparse
import locale
import random
import time
from dataclasses import dataclass

from long_steps import CHAIN_OF_WEAK_KEYS
from luas import HAVE_EPHEMERONS

from luagauge import LUA_VERSIONS, LuaEngine, LuaScript, ScriptConfig, ScriptTimeoutError

MIB = 1 << 20
TABLE_BYTES = 80  # a table and its slot in another one; more on no Lua
ENDS = 40.0  # ms after the filling, at most
LUA, CALL, LEFT = "Lua's own", "a call of libc or the kernel", "left behind"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: Lua text that fills `share` of the limit, `{}` of such units; then what is repeated, on these Luas."""

    kind: str
    name: str
    filling: str
    share: float
    unit_bytes: int
    step: str
    luas: tuple[str, ...] = LUA_VERSIONS


TEXT = "local s = ('x'):rep({}) "
TWINS = "local a = ('x'):rep({}) local b = ('x'):rep(#a - 1) .. 'y' "
ZEROS = "local a = ('\\0'):rep({}) local b = a .. 'b' a = a .. 'a' "
DIGITS = "local d = ('1'):rep({}) "
TABLES = "local t = {{}} for i = 1, {} do t[i] = {{}} end "
NUMBERS = "local t = {{}} for i = 1, {} do t[i] = i end "
STRINGS = "local t = {{}} for i = 1, {} do t[i] = 'string ' .. i end "
COROUTINES = "local t = {{}} local c = coroutine.create for i = 1, {} do t[i] = c(print) end "
CHAIN = "local length = {} " + CHAIN_OF_WEAK_KEYS.replace("{", "{{").replace("}", "}}")
# Keys whose hashes are all the same, as each Lua makes them of numbers; see its ltable.c.
COLLIDING = {
    "5.1": "local M, t, n = 2^17 - 1, {{}}, 0 for mh = 0, 1e5 do for j = math.ceil((0x43300000 + mh) / M), 2^31 / M do "
    "n = n + 1 t[2^52 + mh * 2^32 + j * M - 0x43300000 - mh] = true end end",
    "5.3": "local M, t = 2^17 - 1, {{}} for e = 1, 1000 do for j = math.ceil((2^30 + e) / M), (2^31 - 1) // M do "
    "local key = (j * M - e) / 2^31 * 2^e if key % 1 ~= 0 then t[key] = true end end end",
    "5.4": "local M, t = (2^18 // 1 | 0) - 1, {{}} for i = 1, 2^17 + 1 do t[i * M] = true end",
}
STEPS = (
    *(Step(LUA, f"colliding keys, {lua}", "", 0, 1, text.format(), (lua,)) for lua, text in COLLIDING.items()),
    Step(LUA, "a chain of __call", "", 0, 1, "local t = {} t.__call = t setmetatable(t, t) pcall(t)", ("5.4",)),
    Step(LUA, "collecting a chain of weak keys", CHAIN, 0.3, 150, "collectgarbage()", HAVE_EPHEMERONS),
    Step(LUA, "a hash grows", NUMBERS, 0.1, 16, "local u = {} for i = 1, #t / 2 do u[-i] = i end"),
    Step(LUA, "collectgarbage(), tables", TABLES, 0.5, TABLE_BYTES, "collectgarbage()"),
    Step(LUA, "collectgarbage(), one table", NUMBERS, 0.4, 16, "collectgarbage()"),
    Step(LUA, "collectgarbage(), strings", STRINGS, 0.5, TABLE_BYTES, "collectgarbage()"),
    Step(LUA, "garbage at the limit", TABLES, 0.6, TABLE_BYTES, "local u = {} for i = 1, 1000 do u[i] = {} end"),
    Step(CALL, "joining: s .. 'y'", TEXT, 0.3, 1, "local r = s .. 'y'"),
    Step(CALL, "comparing: a < b", TWINS, 0.25, 1, "local r = a < b"),
    Step(CALL, "comparing: a < b, of NULs", ZEROS, 0.22, 1, "local r = a < b"),
    Step(CALL, "comparing: a == b", TWINS, 0.25, 1, "local r = a == b"),
    Step(CALL, "converting: d + 1", DIGITS, 0.45, 1, "local r = d + 1"),
    Step(CALL, "converting: tonumber(d, 36)", DIGITS, 0.45, 1, "local r = tonumber(d, 36)"),
    Step(CALL, "copying: s:sub(2)", TEXT, 0.3, 1, "local r = s:sub(2)"),
    Step(CALL, "a table grows", NUMBERS, 0.2, 16, "local u = {} for i = 1, #t do u[i] = i end"),
    Step(LEFT, "tables", TABLES, 0.6, TABLE_BYTES, ""),
    Step(LEFT, "strings", STRINGS, 0.6, TABLE_BYTES, ""),
    Step(LEFT, "coroutines", COROUTINES, 0.6, 1100, ""),
    Step(LEFT, "one array", NUMBERS, 0.4, 16, ""),
    Step(LEFT, "a chain of weak keys", CHAIN, 0.3, 150, "", HAVE_EPHEMERONS),
)


def lateness_ms(lua: str, step: Step, limit_mb: float, samples: int) -> float | None:
    """Return the most CPU milliseconds that calls were late; None where the filling alone is over the limit."""
    filling = step.filling.format(int(limit_mb * MIB * step.share / step.unit_bytes))
    config = ScriptConfig(lua=lua, memory_limit_mb=limit_mb, timeout_ms=None)
    with LuaEngine(config) as engine:
        start = time.thread_time()
        filled = engine.execute_script(filling)
        filling_ms = (time.thread_time() - start) * 1000
    if filled.error is not None:
        return None
    late = []
    for _ in range(samples):
        limit_ms = filling_ms * 1.3 + random.uniform(1, ENDS)  # noqa: S311 - a moment, no secret
        with LuaEngine(
            ScriptConfig(lua=lua, memory_limit_mb=limit_mb, timeout_ms=None, cpu_time_ms=limit_ms)
        ) as engine:
            script = engine.precompile_script(f"{filling} while true do {step.step} end")
            start = time.thread_time()
            result = engine.execute_script(script)
            late.append((time.thread_time() - start) * 1000 - limit_ms)
        if not isinstance(result.error, ScriptTimeoutError):
            return None
    return max(late)


def left_ms(lua: str, step: Step, limit_mb: float, samples: int) -> float | None:
    """Return the most CPU milliseconds that a caller waited for what a run left to be given back."""
    filling = step.filling.format(int(limit_mb * MIB * step.share / step.unit_bytes))
    waits = []
    ended = [0.0]
    functions = {"done": lambda: ended.__setitem__(0, time.thread_time())}  # the last thing the run does
    with LuaEngine(ScriptConfig(lua=lua, memory_limit_mb=limit_mb, timeout_ms=None, functions=functions)) as engine:
        script: LuaScript = engine.precompile_script(f"{filling} done()")
        for _ in range(samples):
            if engine.execute_script(script).error is not None:
                return None
            waits.append((time.thread_time() - ended[0]) * 1000)
    return max(waits)


def main() -> None:
    """Print one line a step."""
    parser = argparse.ArgumentParser(description="How late a limit is within a single step.")
    parser.add_argument("--limit-mb", type=float, default=100.0)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--locale", help="compare strings as in this locale (LC_COLLATE), such as en_US.UTF-8")
    parser.add_argument("luas", nargs="*", default=list(LUA_VERSIONS))
    options = parser.parse_args()
    if options.locale:
        locale.setlocale(locale.LC_COLLATE, options.locale)
    print(f"milliseconds of CPU at memory_limit_mb={options.limit_mb:g}, the most of {options.samples}")
    kind = ""
    for step in STEPS:
        if step.kind != kind:
            kind = step.kind
            print(f"{kind + ':':34}" + "".join(f"{lua:>11}" for lua in options.luas))
        measure = left_ms if step.kind == LEFT else lateness_ms
        cells = []
        for lua in options.luas:
            late = measure(lua, step, options.limit_mb, options.samples) if lua in step.luas else None
            cells.append("-" if late is None else f"{late:.1f}")
        print(f"  {step.name:32}" + "".join(f"{cell:>11}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
