"""What the process holds, and the check that repeating an operation leaves it as it was."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

KIB = 1024


def resident_bytes() -> int:
    """Return the resident set once what is free has gone back to the system, as far as the C library can be told to.

    glibc raises the size from which a block is a mapping of its own, up to 32 MiB, whenever a larger one is freed, and
    keeps twice as much at the end of its heap: how much of what was freed stays resident depends on all that ran before
    (mallopt(3), M_MMAP_THRESHOLD).
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # glibc; musl has none
        trim(ctypes.c_size_t(0))
    return psutil.Process().memory_info().rss


def descriptors() -> int:
    """Return how many descriptors or handles the process has open."""
    process = psutil.Process()
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()


def held() -> dict[str, int]:
    """Return how many descriptors, threads, blocks of Python's allocator and resident bytes the process holds."""
    resident = resident_bytes()
    return {
        "descriptors": descriptors(),
        "threads": threading.active_count(),
        "blocks": sys.getallocatedblocks(),
        "rss_bytes": resident,
    }


def growth(operation: Callable[[], object], count: int) -> dict[str, int]:
    """Run `operation` `count` times and return by how much what `held` counts grew."""
    before = held()
    for _ in range(count):
        operation()
    return {name: value - before[name] for name, value in held().items()}


def assert_flat(operation: Callable[[], object], count: int, *, per_call_bytes: float = 1, calls: int = 1) -> None:
    """Run `operation`, which stands for `calls` calls, `count` times; RSS, blocks, descriptors and threads stay.

    A leak shows in every round; what the interpreter, pytest and the heap's own pools grow by does not come again. So a
    round that is not flat is repeated, with the same bounds.
    """
    bounds = {
        "descriptors": 0,
        "threads": 0,
        # Half a block per call. A coverage run keeps something per thread and per call.
        "blocks": max(100, count * calls // 2) if sys.gettrace() is None else sys.maxsize,
        # Far less than one byte per call, with room for what pytest and the interpreter do meanwhile.
        "rss_bytes": max(768 * KIB, count * per_call_bytes),
    }
    for _ in range(max(count // 5, 150)):  # caches fill (64 sources), pools grow to their working size
        operation()
    rounds: list[dict[str, int]] = []
    while len(rounds) < 3:
        rounds.append(growth(operation, count))
        if all(value <= bounds[name] for name, value in rounds[-1].items()):
            return
    pytest.fail(f"grew in every round: {rounds}; at most {bounds}")
