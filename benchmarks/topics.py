"""The parts of the report, in its order: each is a module here with a function `measure(effort)`."""

from __future__ import annotations

import importlib

from benchmarks.figures import Effort, Figure

TOPICS = (
    "overhead", "instructions", "deadlines", "fixed_cost", "snapshots", "conversion", "engines", "imports", "heaps",
    "threads", "peers",
)  # fmt: skip
# What the check leaves out: nothing there has a bound.
UNHELD = frozenset({"threads", "peers"})


def measure(topic: str, effort: Effort) -> list[Figure]:
    """Run one topic's measurements in this process."""
    figures: list[Figure] = importlib.import_module(f"benchmarks.{topic}").measure(effort)
    return figures
