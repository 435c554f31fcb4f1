"""How late a deadline ends scripts that do not want to end, beside a bare timed wait; and what it costs within time.

A run that is due has been woken up for by the system's timer, so what a bare wait of the same length is late by is not
the deadline's doing: both are measured in turn, and what counts is the difference of their percentiles.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from long_steps import CHAIN_OF_WEAK_KEYS
from luas import HAVE_CLOSE, HAVE_INTEGERS, HAVE_LEN

from benchmarks.figures import Effort, Figure
from benchmarks.method import percentile, quiet
from luagauge import LUA_VERSIONS, LuaEngine, ScriptConfig, ScriptTimeoutError

TOPIC = "deadlines"
TIMEOUT_MS = 10.0
MILLISECOND_NS = 1e6
TARGET_P50_MS, TARGET_P99_MS = 0.2, 2.0
TARGET_COST, BOUND_COST = 1.005, 1.01
TIMEOUT_COUNTED_MS = 600_000.0  # under valgrind everything takes some fifty times as long
WITH_CHAINS = ("5.4",)  # the others call a function at once, or give up after a few links
ROOT = Path(__file__).parent.parent

# A table that says it is endless, where the table functions believe that (5.3 and later).
ENDLESS = """local endless = setmetatable({}, {__len = function() return math.maxinteger - 1 end,
  __index = function() return "x" end, __newindex = function() end}) """
# An empty table of 2^30 elements, by its __len.
LONG = """local n = math.tointeger and math.tointeger(2 ^ 30) or 2 ^ 30
  local long = setmetatable({}, {__len = function() return n end}) """


@dataclass(frozen=True, slots=True)
class Kind:
    """One way of not ending.

    Attributes:
        name: How the report calls it.
        source: The script.
        luas: The versions that can run it; None: all.
        heap: Whether the script fills a heap: collecting that is a single step of Lua's, and freeing it is part of the
            run, so such a kind is reported without an aim.
    """

    name: str
    source: str
    luas: tuple[str, ...] | None = None
    heap: bool = False


KINDS = (
    Kind("a loop", "while true do end"),
    Kind("a loop of pcalls", "while true do pcall(function() while true do end end) end"),
    Kind("a loop of failing pcalls", "while true do pcall(error) end"),
    Kind("a coroutine", """local function loop() while true do end end
      while true do pcall(coroutine.wrap(function() while true do pcall(loop) end end)) end"""),
    Kind("many coroutines", "while true do coroutine.wrap(function() coroutine.yield() end)() end"),
    Kind("an xpcall handler", "while true do xpcall(error, function() while true do end end) end"),
    Kind("__close", """while true do pcall(function()
      local c <close> = setmetatable({}, {__close = function() while true do end end}) end) end""", HAVE_CLOSE),
    Kind("__tostring of the error", "error(setmetatable({}, {__tostring = function() while true do end end}))"),
    Kind("__index", "return setmetatable({}, {__index = function() while true do end end}).x"),
    Kind("__concat and __lt", """local m = {} m.__concat = function(a, b) return a < b end
      m.__lt = function() while true do end end
      return setmetatable({}, m) .. setmetatable({}, m)"""),
    Kind("a pattern bomb", "return (('a'):rep(40)):find(('a?'):rep(40) .. ('a'):rep(40) .. 'b')"),
    Kind("a gsub bomb", "return (('a'):rep(40)):gsub(('a?'):rep(40) .. ('a'):rep(40) .. 'b', '')"),
    Kind("gsub callbacks", "while true do ('abc'):gsub('.', function(c) return c end) end"),
    Kind("table.concat, lying __len", ENDLESS + "table.concat(endless)", HAVE_INTEGERS),
    Kind("table.insert, lying __len", """table.insert(setmetatable({}, {__len = function()
      return math.maxinteger - 1 end}), 1, 0)""", HAVE_INTEGERS),
    Kind("table.remove, lying __len", ENDLESS + "table.remove(endless, 1)", HAVE_INTEGERS),
    Kind("table.move", "table.move({}, 1, math.tointeger(2 ^ 62), 1)", HAVE_INTEGERS),
    Kind("table.sort, lying length", LONG + "table.sort(long, function() return false end)", HAVE_LEN),
    Kind("table.sort", """local t = {} for i = 1, 300 do t[i] = i % 7 end
      while true do table.sort(t, function(a, b) return a > b end) end"""),
    Kind("table.concat", "local t = {} for i = 1, 5000 do t[i] = 'x' end while true do table.concat(t) end"),
    Kind("unpack", "local unpack = unpack or table.unpack while true do unpack({}, 1, 7000) end"),
    Kind("string.rep", "while true do ('x'):rep(2 ^ 22) end"),
    Kind("string.format with widths", """local n, f = {}, {} for i = 1, 200 do n[i] = 1e300 + i f[i] = '%99.99f' end
      f = table.concat(f) local unpack = unpack or table.unpack while true do f:format(unpack(n)) end"""),
    Kind("gmatch", "for _ in (('a'):rep(1e6)):gmatch('.-b') do end"),
    Kind("utf8.len", "local s = ('x'):rep(1e6) while true do utf8.len(s) end", HAVE_INTEGERS),
    Kind("a chain of __call", "local t = {} t.__call = t setmetatable(t, t) while true do pcall(t) end", WITH_CHAINS),
    Kind("load with a reader", "load(function() return ' ' end)"),
    Kind("collectgarbage", "while true do collectgarbage() end"),
    Kind("many tables, kept (heap)", "local t = {} while true do t[#t + 1] = {} end", heap=True),
    Kind("collectgarbage of 20,000 tables (heap)",
         "local t = {} for i = 1, 20000 do t[i] = {} end while true do collectgarbage() end", heap=True),
    Kind("a chain of weak keys (heap)",
         f"local length = 5000 {CHAIN_OF_WEAK_KEYS} while true do collectgarbage() end", heap=True),
    Kind("long strings (heap)", "while true do ('x'):rep(2 ^ 25) end", heap=True),
)  # fmt: skip


def wait_late_ns() -> float:
    """Return how much later than asked for a bare wait ended."""
    start = time.perf_counter_ns()
    time.sleep(TIMEOUT_MS / 1000)
    return time.perf_counter_ns() - start - TIMEOUT_MS * MILLISECOND_NS


def run_late_ns(engine: LuaEngine, source: str) -> float:
    """Return how much later than its deadline a run returned to its caller.

    Raises:
        RuntimeError: The script ended in another way.
    """
    start = time.perf_counter_ns()
    result = engine.execute_script(source)
    late = time.perf_counter_ns() - start - TIMEOUT_MS * MILLISECOND_NS
    if not isinstance(result.error, ScriptTimeoutError):
        message = f"{source!r} ended with {result.error!r}"
        raise RuntimeError(message)  # noqa: TRY004 - not an argument's type: the script did not do what it is here for
    return late


def late_ns(kind: Kind, lua: str, samples: int) -> tuple[list[float], list[float]]:
    """Return how late runs and bare waits were, in turn."""
    runs: list[float] = []
    waits: list[float] = []
    with LuaEngine(ScriptConfig(lua=lua, timeout_ms=TIMEOUT_MS, memory_limit_mb=512)) as engine, quiet():
        run_late_ns(engine, kind.source)
        for _ in range(samples):
            waits.append(wait_late_ns())
            runs.append(run_late_ns(engine, kind.source))
    return runs, waits


def figures_of(name: str, runs: Sequence[float], waits: Sequence[float], *, aim: bool = True) -> Iterator[Figure]:
    """Make the figures of one row: the median's difference and the 99th percentile's."""
    for share, label, target in ((0.5, "p50", TARGET_P50_MS), (0.99, "p99", TARGET_P99_MS)):
        run, wait = (percentile(values, share) / MILLISECOND_NS for values in (runs, waits))
        yield Figure(
            TOPIC, f"{name}: late beyond a bare wait, {label}", run - wait, "ms",
            target=target if aim else None,
            raw={"run [µs]": run * 1000, "wait [µs]": wait * 1000, "samples": len(runs)},
        )  # fmt: skip


def overshoot(effort: Effort) -> list[Figure]:
    """Measure every kind on every Lua; one row a kind, one a Lua, and one of each heap kind."""
    by_lua: dict[str, tuple[list[float], list[float]]] = {lua: ([], []) for lua in LUA_VERSIONS}
    figures: list[Figure] = []
    for kind in KINDS:
        runs: list[float] = []
        waits: list[float] = []
        for lua in LUA_VERSIONS:
            if kind.luas is not None and lua not in kind.luas:
                continue
            run, wait = late_ns(kind, lua, effort.rounds)
            runs += run
            waits += wait
            if not kind.heap:
                by_lua[lua][0].extend(run)
                by_lua[lua][1].extend(wait)
        figures += figures_of(kind.name, runs, waits, aim=not kind.heap)
    for lua, (runs, waits) in by_lua.items():
        figures += figures_of(f"Lua {lua}, all kinds but the heaps'", runs, waits)
    return figures


# Scripts that end by themselves, and how often each is run: some tens of millions of instructions a child process.
WITHIN: Mapping[str, tuple[str, int]] = {
    "fib(22)": ("local function f(n) if n < 2 then return n end return f(n - 1) + f(n - 2) end return f(22)", 5),
    "a loop of 1,000,000": ("local x = 0 for i = 1, 1000000 do x = x + i % 3 end return x", 3),
    "return 1": ("return 1", 2000),
}


def run_within(name: str, way: str, runs: int, lua: str = "5.4") -> None:
    """Run a script so many times; the body of the child process. `way`: no deadline ("none") or one ("signal")."""
    source, _ = WITHIN[name]
    config = ScriptConfig(lua=lua, timeout_ms=None if way == "none" else TIMEOUT_COUNTED_MS)
    with LuaEngine(config) as engine:
        script = engine.precompile_script(source)
        for _ in range(runs):
            engine.execute_script(script).raise_for_error()


def instructions(name: str, way: str, runs: int, lua: str) -> int:
    """Return all instructions of one child process.

    Raises:
        RuntimeError: The child failed, or valgrind printed no total.
    """
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    command += ["-m", "benchmarks.deadlines", name, way, str(runs), lua]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        message = f"{' '.join(command)} exited with {done.returncode}: {done.stderr[-2000:]}"
        raise RuntimeError(message)
    return int(found[1])


def per_run(name: str, ways: tuple[str, str], lua: str = "5.4") -> dict[str, float]:
    """Return the instructions of one run in both ways; the children run two at a time, which moves no count."""
    runs = WITHIN[name][1]
    run_within(name, "none", 1, lua)  # the modules' caches are written before the first child counts
    with ThreadPoolExecutor(max_workers=2) as pool:
        totals = {
            (way, times): pool.submit(instructions, name, way, times * runs, lua) for way in ways for times in (2, 1)
        }
        return {way: (totals[way, 2].result() - totals[way, 1].result()) / runs for way in ways}


def cost(effort: Effort) -> list[Figure]:
    """Count what a deadline adds to runs that end within it; nothing without valgrind."""
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: no instruction counts")
        return []
    figures = []
    for name in list(WITHIN)[: 1 if effort.quick else None]:
        counts = per_run(name, ("signal", "none"))
        figures.append(
            Figure(
                TOPIC,
                f"{name}: instructions with a deadline / without, Lua 5.4",
                counts["signal"] / counts["none"],
                target=TARGET_COST,
                bound=BOUND_COST,
                raw={f"{way} [instructions]": count for way, count in counts.items()},
            )
        )
    return figures


def measure(effort: Effort) -> list[Figure]:
    """Measure how late deadlines are, and what they cost; in the check the cost alone, which no busy machine moves."""
    return cost(effort) if effort.quick else overshoot(effort) + cost(effort)


if __name__ == "__main__":
    run_within(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
