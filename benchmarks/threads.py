"""Whether two threads with an engine each use two cores."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from benchmarks.figures import Effort, Figure
from benchmarks.method import WALL, Call, alternate, ratio
from benchmarks.sides import gauged, plain
from benchmarks.workloads import WORKLOADS

TOPIC = "threads"
PROGRAMS = ("binary_trees", "fib", "json_like")
REPEATS = 3


def together(calls: Sequence[Call]) -> Call:
    """Return a call that makes every given one three times, each in a thread of its own, and waits for them all."""

    def repeated(call: Call) -> Callable[[], None]:
        def body() -> None:
            for _ in range(REPEATS):
                call()

        return body

    def run() -> None:
        threads = [threading.Thread(target=repeated(call)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return run


def measure(effort: Effort) -> list[Figure]:
    """Compare the throughput of two threads with that of one, on both sides."""
    figures = []
    for name in PROGRAMS:
        source = next(workload for workload in WORKLOADS if workload.name == name).source()
        for side, make in (("luagauge", gauged), ("lupa", plain)):
            first, second = make(source), make(source)
            times = alternate(
                {"one": together([first]), "two": together([first, second])}, rounds=effort.rounds, clock=WALL
            )
            found = ratio([2 * taken for taken in times["one"]], times["two"])
            figures.append(
                Figure(TOPIC, f"{name}: throughput of two threads / one, {side}", found.value,
                       low=found.low, high=found.high)
            )  # fmt: skip
    return figures
