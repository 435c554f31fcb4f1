"""The strategy for platforms whose lupa hides the Lua C API, against plain lupa: without a deadline, and with one.

Without a deadline there is no hook. With one, a hook looks at the clock every 1000 instructions; it slows every
instruction down, whatever its period: by a third on 5.1 and 5.2, by more than twice on 5.4 and 5.5.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.figures import Effort, Figure, compared, mean_of
from benchmarks.method import alternate
from benchmarks.sides import LUA54, VERSIONS, Version, gauged, output_of, plain
from benchmarks.workloads import WORKLOADS, Workload
from luagauge import ScriptConfig

# For allocation-heavy programs on Lua 5.4 without a deadline; the check's bound leaves room for a shared machine.
TARGET, BOUND = 1.10, 1.25
STATES = 3
BLOCK_NS, QUICK_BLOCK_NS = 20_000_000, 6_000_000
JITTED = "LuaJIT 2.1"  # the engine's interpreter against lupa's compiler: no comparison of strategies


@contextmanager
def on_lupa() -> Iterator[None]:
    """Let engines stand on lupa's own counters, wherever this is."""
    before = os.environ.get("LUAGAUGE_STRATEGY")
    os.environ["LUAGAUGE_STRATEGY"] = "lupa"
    try:
        yield
    finally:
        if before is None:
            del os.environ["LUAGAUGE_STRATEGY"]
        else:
            os.environ["LUAGAUGE_STRATEGY"] = before


def topic_of(version: Version) -> str:
    """Return the report's heading for one Lua version."""
    return f"fallback, Lua {version.label}" if version.label[0].isdigit() else f"fallback, {version.label}"


def measure_one(workload: Workload, version: Version, effort: Effort) -> tuple[Figure, Figure]:
    """Time one program in plain lupa and in the fallback, without and with a deadline.

    Raises:
        RuntimeError: A side returned something else than the program's known checksum, or than another side.
    """
    source = workload.source(workload.small if effort.quick else None)
    times: dict[str, list[float]] = {"no deadline": [], "deadline": [], "lupa": []}
    for _ in range(STATES):
        plain_call = plain(source, version)
        free = gauged(source, version, ScriptConfig(lua=version.lua, timeout_ms=None))
        watched = gauged(source, version, ScriptConfig(lua=version.lua, timeout_ms=60_000))
        seen = {plain_call(), output_of(free()), output_of(watched())}
        if len(seen) != 1 or (not effort.quick and seen != {workload.checksum}):
            raise RuntimeError(f"{workload.name} on {version.label} returned {seen}, not {workload.checksum!r}")
        sides = {"no deadline": free, "deadline": watched, "lupa": plain_call}
        block_ns = QUICK_BLOCK_NS if effort.quick else BLOCK_NS
        for side, taken in alternate(sides, rounds=max(1, effort.rounds // STATES), block_ns=block_ns).items():
            times[side] += taken
    held = version is LUA54 and workload.kind == "allocation"
    name, topic = f"{workload.name} ({workload.kind})", topic_of(version)
    return (
        compared(topic, f"{name}, no deadline", times, ("no deadline", "lupa"), target=TARGET if held else None),
        compared(topic, f"{name}, deadline", times, ("deadline", "lupa")),
    )


def measure(effort: Effort, versions: Sequence[Version] = VERSIONS) -> list[Figure]:
    """Time every program on every version; in the check the allocation-heavy ones on Lua 5.4 alone."""
    figures: list[Figure] = []
    workloads = [one for one in WORKLOADS if one.kind == "allocation" or not effort.quick]
    with on_lupa():
        for version in (LUA54,) if effort.quick else versions:
            if version.label == JITTED:
                continue
            by_kind: dict[str, list[Figure]] = {}
            for workload in workloads:
                free, watched = measure_one(workload, version, effort)
                by_kind.setdefault(f"{workload.kind}, no deadline", []).append(free)
                by_kind.setdefault(f"{workload.kind}, deadline", []).append(watched)
                figures += [free, watched]
            for kind, members in by_kind.items():
                held = version is LUA54 and kind == "allocation, no deadline"
                target, bound = (TARGET, BOUND) if held else (None, None)
                name = f"geometric mean ({kind})"
                figures.append(mean_of(topic_of(version), name, members, target=target, bound=bound))
    return figures
