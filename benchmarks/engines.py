"""What an engine costs to make and to keep, and whether many of them slow one down."""

from __future__ import annotations

import gc
import resource

import psutil

from benchmarks.figures import Effort, Figure, absolute, compared
from benchmarks.isolate import isolated
from benchmarks.method import alternate, ratio
from benchmarks.sides import gauged, runtime
from luagauge import LuaEngine

TOPIC = "engines"
KIB = 1024
KEPT = 300
MANY = 1000
SOURCE = "return 1"

# A clock tells little here: an engine takes no more instructions than a LuaRuntime, to which instructions.py holds it,
# and system calls besides, whose time differs from machine to machine and from hour to hour (README.md beside this).
CREATING_BOUND = 4.0


def make_and_close() -> None:
    """Make an engine and end it."""
    LuaEngine().close()


def make_run_and_close() -> None:
    """Make an engine, use it once, end it."""
    with LuaEngine() as engine:
        engine.execute_script(SOURCE)


def kept_bytes(kind: str, count: int) -> float:
    """Return the resident bytes that each of many kept engines or runtimes adds; run in a process of its own."""

    def make() -> object:
        if kind == "lupa":
            made = runtime()
            made.execute(SOURCE)
            return made
        engine = LuaEngine()
        if kind == "luagauge, used once":
            engine.execute_script(SOURCE)
        return engine

    kept = [make() for _ in range(5)]
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    kept += [make() for _ in range(count)]
    gc.collect()
    return (process.memory_info().rss - before) / count


def system_us(effort: Effort) -> float:
    """Return the system time that an engine takes to make and close, in microseconds; run in a process of its own."""
    for _ in range(20):
        make_and_close()
    count = 100 * effort.rounds
    before = resource.getrusage(resource.RUSAGE_SELF).ru_stime
    for _ in range(count):
        make_and_close()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_stime - before) / count * 1e6


def image_bytes() -> int:
    """Return the size of the image that an engine takes before its first run."""
    with LuaEngine() as engine:
        before = engine.stats().reserved_bytes
        engine.execute_script(SOURCE)
        return engine.stats().reserved_bytes - before


def beside_others(effort: Effort, count: int) -> Figure:
    """Compare a trivial run before and after so many other engines exist; run in a process of its own."""
    call = gauged(SOURCE)
    before = alternate({"run": call}, rounds=effort.rounds)["run"]
    others = [gauged(SOURCE) for _ in range(count)]
    for other in others:
        other()
    after = alternate({"run": call}, rounds=effort.rounds)["run"]
    found = ratio(after, before)
    return Figure(
        TOPIC, f"a trivial run beside {count:,} engines / alone", found.value, low=found.low, high=found.high,
        target=1.05 if count == MANY else None, bound=1.5 if count == MANY else None,
    )  # fmt: skip


def measure(effort: Effort) -> list[Figure]:
    """Measure creation, idle memory, and the influence of other engines."""
    sides = {"engine": make_and_close, "engine, used once": make_run_and_close, "LuaRuntime": runtime}
    times = alternate(sides, rounds=effort.rounds)
    kinds = ("lupa", "luagauge", "luagauge, used once")
    memory = {kind: isolated(kept_bytes, kind, KEPT) for kind in kinds}
    figures = [
        compared(TOPIC, "creating an engine / a LuaRuntime", times, ("engine", "LuaRuntime"),
                 target=1.5, bound=CREATING_BOUND),
        compared(TOPIC, "creating and using one once / a LuaRuntime", times, ("engine, used once", "LuaRuntime")),
        *(absolute(TOPIC, f"creating: {name}", times[name]) for name in sides),
        Figure(TOPIC, "creating: engine, system time", isolated(system_us, effort), "µs"),
        Figure(TOPIC, "idle memory of an engine / a LuaRuntime", memory["luagauge"] / memory["lupa"],
               target=1.3, bound=1.5),
        Figure(TOPIC, "idle memory of an engine used once / a LuaRuntime",
               memory["luagauge, used once"] / memory["lupa"]),
        Figure(TOPIC, "the same without the engine's image / a LuaRuntime",
               (memory["luagauge, used once"] - image_bytes()) / memory["lupa"], bound=2.0),
        *(Figure(TOPIC, f"idle memory: {kind}", size / KIB, "KiB") for kind, size in memory.items()),
    ]  # fmt: skip
    counts = (MANY,) if effort.quick else (1, 10, 100, MANY)
    return figures + [isolated(beside_others, effort, count) for count in counts]
