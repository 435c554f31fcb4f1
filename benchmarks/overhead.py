"""The time of a tracked, limited, sandboxed run over the time of the same program in plain lupa."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import Effort, Figure, compared, mean_of
from benchmarks.method import alternate
from benchmarks.sides import LUA54, VERSIONS, Version, gauged, output_of, plain
from benchmarks.workloads import WORKLOADS, Workload

# Aims for Lua 5.4 in the default configuration; the check's bounds leave room for few rounds on a shared machine.
MEAN_TARGET, MEAN_BOUND = 0.80, 0.90
ALLOCATION_TARGET, ALLOCATION_BOUND = 1.00, 1.10
COMPUTE_TARGET, COMPUTE_BOUND = 1.01, 1.10
STATES = 7
BLOCK_NS, QUICK_BLOCK_NS = 30_000_000, 6_000_000


def topic_of(version: Version) -> str:
    """Return the report's heading for one Lua version."""
    return f"overhead, Lua {version.label}" if version.label[0].isdigit() else f"overhead, {version.label}"


def measure_one(workload: Workload, version: Version, effort: Effort) -> Figure:
    """Time one program on both sides; in the check at a size that takes milliseconds.

    Raises:
        RuntimeError: A side returned something else than the program's known checksum, or than the other side.
    """
    source = workload.source(workload.small if effort.quick else None)
    times: dict[str, list[float]] = {"luagauge": [], "lupa": []}
    # Every Lua state hashes strings with a seed of its own, and a table's speed hangs on it: several pairs of states.
    for _ in range(STATES):
        plain_call, gauged_call = plain(source, version), gauged(source, version)
        seen = plain_call(), output_of(gauged_call())
        known = seen[0] if effort.quick else workload.checksum
        if seen != (known, known):
            raise RuntimeError(f"{workload.name} on {version.label} returned {seen}, not twice {known!r}")
        sides = {"luagauge": gauged_call, "lupa": plain_call}
        block_ns = QUICK_BLOCK_NS if effort.quick else BLOCK_NS
        for side, taken in alternate(sides, rounds=max(1, effort.rounds // STATES), block_ns=block_ns).items():
            times[side] += taken
    held = version is LUA54
    allocation = workload.kind == "allocation"
    return compared(
        topic_of(version),
        f"{workload.name} ({workload.kind})",
        times,
        ("luagauge", "lupa"),
        target=(ALLOCATION_TARGET if allocation else COMPUTE_TARGET) if held else None,
        bound=(ALLOCATION_BOUND if allocation else COMPUTE_BOUND) if held else None,
    )


def measure(effort: Effort, versions: Sequence[Version] = VERSIONS) -> list[Figure]:
    """Time every program on every version: in the check on Lua 5.4 alone."""
    figures = []
    for version in (LUA54,) if effort.quick else versions:
        by_kind: dict[str, list[Figure]] = {"allocation": [], "compute": []}
        for workload in WORKLOADS:
            figure = measure_one(workload, version, effort)
            by_kind[workload.kind].append(figure)
            figures.append(figure)
        held = version is LUA54
        for kind, members in by_kind.items():
            target, bound = (MEAN_TARGET, MEAN_BOUND) if held and kind == "allocation" else (None, None)
            name = f"geometric mean ({kind})"
            figures.append(mean_of(topic_of(version), name, members, target=target, bound=bound))
    return figures
