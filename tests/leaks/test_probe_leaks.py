"""Whatever the probe is asked, and however often, the process holds no more than before."""

from __future__ import annotations

import sys

import pytest
from held_memory import assert_flat

import luagauge
from luagauge import MemoryTracker, MemoryTrackingConfig, _binding

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="it is about the descriptor on /proc/self/statm")


def test_snapshot_leaks_nothing() -> None:
    """A hundred thousand readings leave memory and descriptors flat."""
    assert_flat(luagauge.snapshot, 100_000)


def test_measure_leaks_nothing() -> None:
    """Nor do measured blocks, with all they compute."""
    tracker = MemoryTracker()

    def measure() -> None:
        with tracker.measure() as measurement:
            pass
        tracker.delta_to_mb(measurement.delta)

    assert_flat(measure, 30_000)


def test_heap_in_use_leaks_nothing() -> None:
    """Nor does asking the allocator."""
    tracker = MemoryTracker(MemoryTrackingConfig(on_error="ignore"))
    assert_flat(tracker.heap_in_use_bytes, 30_000)


def test_describe_probe_leaks_nothing() -> None:
    """Nor does the description."""
    assert_flat(_binding.describe_probe, 30_000)


@LINUX_ONLY
def test_reopening_leaks_nothing() -> None:
    """Nor does a probe whose descriptor is dropped before every reading."""

    def reopen() -> None:
        _binding.set_statm_path(None)
        luagauge.snapshot()

    reopen()
    assert_flat(reopen, 30_000)


@LINUX_ONLY
@pytest.mark.parametrize("path", ["/no/such/procfs/statm", "/dev/null", "/proc/self/mem"])
def test_failing_leaks_nothing(path: str) -> None:
    """Nor does a reading that fails, in any of the three ways."""
    tracker = MemoryTracker(MemoryTrackingConfig(on_error="ignore"))
    _binding.set_statm_path(path)
    try:
        assert_flat(tracker.snapshot, 30_000)
    finally:
        _binding.set_statm_path(None)
