"""What importing luagauge takes, beyond what Python itself takes to start.

Each import is in a fresh process. Its time is the CPU time of that process, the system's part included: of so short a
process the kernel knows the sum exactly, and tells user and system time apart by a few ticks of its clock only.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import lupa

import luagauge
from benchmarks.figures import Effort, Figure, absolute, compared
from benchmarks.method import alternate

TOPIC = "import"
BARE = "Python alone"
LUPA = "import lupa.lua54"
PACKAGE = "import luagauge"
ENGINE = "from luagauge import LuaEngine"
IMPORTS = (LUPA, PACKAGE, ENGINE)
BLOCK_NS = 100_000_000  # a few processes


def environment() -> dict[str, str]:
    """Return the environment of the children: both packages found, wherever they are, and nothing that a test adds."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_", "PYTHON"))}
    paths = [str(Path(package.__file__).parents[1]) for package in (luagauge, lupa)]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}


def children_ns() -> int:
    """Return the CPU time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1e9)


def starting(code: str, variables: dict[str, str]) -> Callable[[], object]:
    """Return a call that starts a Python for some code and waits for its end.

    Python starts without `site`: what an installation loads at every start is luagauge's no more than lupa's.
    """
    command = [sys.executable, "-S", "-c", code]
    return lambda: subprocess.run(command, env=variables, check=True)


def beyond(times: Sequence[float], bare: Sequence[float]) -> list[float]:
    """Return what each round took beyond Python alone in the same round."""
    return [taken - start for taken, start in zip(times, bare, strict=True)]


def measure(effort: Effort) -> list[Figure]:
    """Start Python with each import and with none."""
    variables = environment()
    sides = {BARE: starting("pass", variables), **{code: starting(code, variables) for code in IMPORTS}}
    times = alternate(sides, rounds=effort.rounds, block_ns=BLOCK_NS, clock=children_ns)
    added = {code: beyond(times[code], times[BARE]) for code in IMPORTS}
    return [
        compared(TOPIC, f"{PACKAGE} / {LUPA}", added, (PACKAGE, LUPA), target=1.0, bound=1.0),
        compared(TOPIC, f"{ENGINE} / {LUPA}", added, (ENGINE, LUPA), target=2.5, bound=3.0),
        absolute(TOPIC, BARE, times[BARE]),
        *(absolute(TOPIC, code, added[code]) for code in IMPORTS),
    ]
