"""What a run costs when the script does nothing: from the Python call to the result."""

from __future__ import annotations

from benchmarks.figures import Effort, Figure, absolute, compared
from benchmarks.method import alternate
from benchmarks.sides import LUA54, gauged, output_of, plain, runtime
from luagauge import LuaEngine, ScriptConfig

TOPIC = "fixed cost of a run"
SOURCE = "return 1"


def measure(effort: Effort) -> list[Figure]:
    """Time a trivial script: precompiled, as a source seen before, and as a source never seen."""
    bare = runtime()
    # An engine each: the cache that never finds anything must not drive out what the other one holds.
    cached, uncached = LuaEngine(ScriptConfig(lua=LUA54.lua)), LuaEngine(ScriptConfig(lua=LUA54.lua))
    unseen = iter(range(10**9))

    def in_new_runtime() -> object:
        return runtime().execute(SOURCE)

    sides = {
        "precompiled": gauged(SOURCE),
        "cached source": lambda: cached.execute_script(SOURCE),
        "new source": lambda: uncached.execute_script(f"return {next(unseen)}"),
        "lupa execute": lambda: bare.execute(SOURCE),
        "lupa precompiled": plain(SOURCE),
        "new LuaRuntime + execute": in_new_runtime,
    }
    if (output_of(cached.execute_script(SOURCE)), bare.execute(SOURCE)) != (1, 1):
        raise RuntimeError("the trivial script does not return 1")
    times = alternate(sides, rounds=effort.rounds)
    added = [a - b for a, b in zip(times["cached source"], times["precompiled"], strict=True)]
    fresh = "new LuaRuntime + execute"
    return [
        compared(TOPIC, f"precompiled / ({fresh})", times, ("precompiled", fresh), target=0.25, bound=0.4),
        compared(TOPIC, "precompiled / lupa execute", times, ("precompiled", "lupa execute"), target=6, bound=9),
        compared(TOPIC, "cached source / lupa execute", times, ("cached source", "lupa execute"), bound=11),
        compared(TOPIC, "new source / lupa execute", times, ("new source", "lupa execute")),
        absolute(TOPIC, "precompiled", times["precompiled"], target_us=12),
        absolute(TOPIC, "cached source, on top of precompiled", added, target_us=2),
        *(absolute(TOPIC, name, times[name]) for name in sides if name != "precompiled"),
    ]
