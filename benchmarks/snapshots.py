"""What one reading of the process's memory costs, alone and beside a thread that keeps the interpreter busy."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import psutil

from benchmarks.figures import Effort, Figure, absolute, compared
from benchmarks.method import Call, alternate, percentile
from luagauge import snapshot

TOPIC = "snapshot()"
# Long enough for hundreds of the interpreter's switch intervals of 5 ms.
SECONDS = 4.0


def python_work() -> int:
    """Do what a host does between two readings: some microseconds of Python."""
    return sum(number * number for number in range(60))


def beside_busy_thread(call: Call, seconds: float) -> list[float]:
    """Time single calls while another Python thread never stops, with Python work between them.

    Returns:
        The nanoseconds of each call.
    """
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            python_work()

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        times: list[float] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            python_work()
            start = time.perf_counter_ns()
            call()
            times.append(time.perf_counter_ns() - start)
        return times
    finally:
        stop.set()
        thread.join()


def measure(effort: Effort) -> list[Figure]:
    """Time a snapshot against the cheapest read that Python itself can make, and against psutil."""
    process = psutil.Process()
    descriptor = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        pread: Callable[[], object] = lambda: os.pread(descriptor, 128, 0)  # noqa: E731 - one of three like it
        times = alternate(
            {"snapshot": snapshot, "os.pread": pread, "psutil": process.memory_info}, rounds=effort.rounds
        )
        # What these come to hangs on whether the busy thread has a core of its own: not in the check.
        tails = {
            name: percentile(beside_busy_thread(call, SECONDS), 0.99) / 1e3
            for name, call in (("snapshot", snapshot), ("os.pread", pread), ("psutil", process.memory_info))
            if not effort.quick
        }
    finally:
        os.close(descriptor)
    return [
        compared(TOPIC, "snapshot / os.pread of a kept descriptor", times, ("snapshot", "os.pread"),
                 target=1.5, bound=2.0),
        compared(TOPIC, "snapshot / psutil memory_info", times, ("snapshot", "psutil"), target=1 / 12, bound=1 / 6),
        *(absolute(TOPIC, name, taken) for name, taken in times.items()),
        *(Figure(TOPIC, f"p99 beside a busy thread: {name}", tail, "µs", target=50 if name == "snapshot" else None)
          for name, tail in tails.items()),
    ]  # fmt: skip
