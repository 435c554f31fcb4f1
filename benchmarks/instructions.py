"""Instructions of the compute-only programs, and of making an engine, counted by callgrind: exact where a clock is not.

A child process does one thing a few times under valgrind, twice with different numbers of times; the difference is what
these themselves executed, start-up and compilation cancelled out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.figures import Effort, Figure
from benchmarks.sides import LUA54, gauged, output_of, plain, runtime
from benchmarks.workloads import WORKLOADS
from luagauge import LuaEngine, ScriptConfig

TARGET, BOUND = 1.005, 1.02
# Under valgrind everything is some fifty times slower: sizes of some 20 to 50 million instructions a run.
SIZES = {"fannkuch": 7, "fib": 24, "mandelbrot": 60, "nbody": 4000, "sieve": 120000, "spectral_norm": 50}
FEW, MANY = 2, 5
CREATING, CREATING_BOUND = "creating an engine / a LuaRuntime", 1.05
FEW_ENGINES, MANY_ENGINES = 20, 120  # the first takes what all of them share
TIMEOUT_MS = 600_000.0  # a deadline as in every default run, but none that valgrind's fifty times could reach
SIDES = ("luagauge", "lupa")
ROOT = Path(__file__).parent.parent
TOPIC = "instructions, Lua 5.4"


def make_in_child(side: str, count: int) -> None:
    """Make so many engines, and close them, or runtimes."""
    for _ in range(count):
        if side == "lupa":
            runtime()
        else:
            LuaEngine().close()


def run_in_child(side: str, name: str, runs: int) -> None:
    """Run one program so many times; the body of the child process."""
    if name == CREATING:
        make_in_child(side, runs)
        return
    workload = next(workload for workload in WORKLOADS if workload.name == name)
    source = workload.source(SIZES[name])
    if side == "lupa":
        call = plain(source, LUA54)
        for _ in range(runs):
            call()
    else:
        execute = gauged(source, LUA54, ScriptConfig(lua=LUA54.lua, timeout_ms=TIMEOUT_MS))
        for _ in range(runs):
            output_of(execute())


def child(side: str, name: str, runs: int) -> list[str]:
    """Return the command line of a child process."""
    return [sys.executable, "-m", "benchmarks.instructions", side, name, str(runs)]


def collected(side: str, name: str, runs: int) -> int:
    """Return all instructions of one child process.

    Raises:
        RuntimeError: The child failed, or valgrind printed no total.
    """
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *child(side, name, runs)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"{' '.join(command)} exited with {done.returncode}: {done.stderr[-2000:]}")
    return int(found[1])


def per_run(name: str, few: int = FEW, many: int = MANY) -> dict[str, float]:
    """Return the instructions of one run on every side; the children run two at a time, which moves no count."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        totals = {(side, runs): pool.submit(collected, side, name, runs) for side in SIDES for runs in (many, few)}
        return {side: (totals[side, many].result() - totals[side, few].result()) / (many - few) for side in SIDES}


def figure(name: str, counts: dict[str, float], target: float, bound: float) -> Figure:
    """Make a figure of the counts of both sides."""
    raw = {f"{side} [instructions]": count for side, count in counts.items()}
    return Figure(TOPIC, name, counts["luagauge"] / counts["lupa"], target=target, bound=bound, raw=raw)


def measure(effort: Effort) -> list[Figure]:
    """Count the compute-only programs, in the check only one, and the making of engines; nothing without valgrind."""
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: no instruction counts")
        return []
    # Without this, the first child alone would compile the Python modules and write their caches.
    for side in SIDES:
        subprocess.run(child(side, "fib", 1), cwd=ROOT, check=True)
    names = ("fib",) if effort.quick else SIZES
    figures = [figure(name, per_run(name), TARGET, BOUND) for name in names]
    counts = per_run(CREATING, FEW_ENGINES, MANY_ENGINES)
    return [*figures, figure(CREATING, counts, CREATING_BOUND, CREATING_BOUND)]


if __name__ == "__main__":
    run_in_child(sys.argv[1], sys.argv[2], int(sys.argv[3]))
