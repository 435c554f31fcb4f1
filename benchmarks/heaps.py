"""Whether the size of heaps matters: to the overhead, to the cost of a run, and to the process afterwards."""

from __future__ import annotations

import gc
import time
from functools import partial
from statistics import median

import psutil

from benchmarks.figures import MIB, Effort, Figure, compared
from benchmarks.isolate import isolated
from benchmarks.method import Call, alternate, ratio
from benchmarks.sides import gauged, output_of, plain, runtime
from luagauge import LuaEngine, ScriptConfig

TOPIC = "heap size"
MANY_SCRIPTS = 100
SETTLED_S = 0.05
ROOMY = ScriptConfig(memory_limit_mb=4096, timeout_ms=600_000)
# Small tables, as programs keep them: on Lua 5.4 8,000 of them take 1 MiB with their places in the array.
HOLDER = """
local kept = {}
for i = 1, N * 8000 do
  kept[i] = { i, name = "x" }
end
return #kept
"""


def holder(size_mib: int) -> str:
    """Return a script that holds a heap of so many MiB until it ends."""
    return f"local N = {size_mib}{HOLDER}"


def overhead_at(size_mib: int, effort: Effort) -> Figure:
    """Time a script that builds a heap of that size on both sides; run in a process of its own."""
    source = holder(size_mib)
    sides = {"luagauge": gauged(source, config=ROOMY), "lupa": plain(source)}
    rounds = effort.rounds if size_mib <= 64 else 5
    times = alternate(sides, rounds=rounds)
    return compared(TOPIC, f"a run that builds {size_mib:,} MiB / lupa", times, ("luagauge", "lupa"))


def trivial_after(size_mib: int, effort: Effort) -> Figure:
    """Compare trivial runs of an engine before and after a run that held that much; run in a process of its own."""
    engine = LuaEngine(ROOMY)
    script = engine.precompile_script("return 1")
    call = partial(engine.execute_script, script)
    before = alternate({"run": call}, rounds=effort.rounds)["run"]
    output_of(engine.execute_script(holder(size_mib)))
    after = alternate({"run": call}, rounds=effort.rounds)["run"]
    found = ratio(after, before)
    held = size_mib == 256
    return Figure(
        TOPIC, f"a trivial run after one that held {size_mib:,} MiB / before", found.value, low=found.low,
        high=found.high, target=1.05 if held else None, bound=1.5 if held else None,
    )  # fmt: skip


def trivial_beside_scripts(count: int, effort: Effort) -> Figure:
    """Compare trivial runs before and after the state holds so many large precompiled scripts."""
    engine = LuaEngine(ROOMY)
    script = engine.precompile_script("return 1")
    call = partial(engine.execute_script, script)
    before = alternate({"run": call}, rounds=effort.rounds)["run"]
    kept = [
        engine.precompile_script("return {" + ",".join(f'"{number} {index} kept"' for index in range(4000)) + "}")
        for number in range(count)
    ]
    after = alternate({"run": call}, rounds=effort.rounds)["run"]
    found = ratio(after, before)
    held = count == MANY_SCRIPTS
    return Figure(
        TOPIC, f"a trivial run in a state that holds {len(kept)} scripts of 4,000 strings / before", found.value,
        low=found.low, high=found.high, target=1.05 if held else None, bound=1.5 if held else None,
        raw={"held [MiB]": engine.stats().live_bytes / MIB, "run [µs]": median(after) / 1e3},
    )  # fmt: skip


def resident_after(kind: str, size_mib: int) -> float:
    """Return by how many MiB a run that held so much leaves the process larger; run in a process of its own."""
    process = psutil.Process()
    source = holder(size_mib)
    calls: tuple[Call, ...]
    if kind == "lupa":
        bare = runtime()
        calls = partial(bare.execute, source), partial(bare.execute, "collectgarbage() collectgarbage()")
    else:
        engine = LuaEngine(ROOMY)
        script = engine.precompile_script(source)
        output_of(engine.execute_script("return 1"))
        # Nothing after the run: that the engine clears up by itself is what is measured.
        calls = (lambda: output_of(engine.execute_script(script)),)
    gc.collect()
    before = process.memory_info().rss
    for call in calls:
        call()
    return (settled_rss(process) - before) / MIB


def settled_rss(process: psutil.Process) -> int:
    """Return the RSS once it has not fallen for 50 ms: a large run's memory is given back on a thread of its own."""
    least = int(process.memory_info().rss)
    quiet_until = time.monotonic() + SETTLED_S
    while time.monotonic() < quiet_until:
        time.sleep(SETTLED_S / 10)
        now = int(process.memory_info().rss)
        if now < least:
            least, quiet_until = now, time.monotonic() + SETTLED_S
    return least


def measure(effort: Effort) -> list[Figure]:
    """Measure every question at its sizes, each in a process of its own."""
    figures = []
    if not effort.quick:
        figures += [isolated(overhead_at, size, effort) for size in (1, 4, 16, 64, 256, 1024)]
    afters = (256,) if effort.quick else (1, 16, 256, 1024)
    figures += [isolated(trivial_after, size, effort) for size in afters]
    counts = (MANY_SCRIPTS,) if effort.quick else (1, 10, MANY_SCRIPTS)
    figures += [isolated(trivial_beside_scripts, count, effort) for count in counts]
    left = isolated(resident_after, "luagauge", 500)
    figures.append(Figure(TOPIC, "RSS left after a run that held 500 MiB", left, "MiB", target=8, bound=16))
    if not effort.quick:
        left = isolated(resident_after, "lupa", 500)
        figures.append(Figure(TOPIC, "RSS left in plain lupa, collected twice", left, "MiB"))
    return figures
