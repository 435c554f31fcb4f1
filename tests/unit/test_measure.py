"""MemoryTracker.measure: blocks, functions and coroutines."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from luagauge import ConfigurationError, MemoryTracker, PlatformUnavailableError, _binding, snapshot

pytestmark = pytest.mark.emulated


MIB = 1024 * 1024


# More than glibc keeps of freed memory at the end of its heap (twice its largest mmap threshold, so 64 MiB): a block of
# this size is always new to the process, whatever ran before.
BIG_MIB = 96


LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="only the Linux probe can be pointed at another file")


@pytest.fixture(autouse=True)
def _without_garbage() -> None:
    """What earlier tests left is freed before a test, and not while it measures the process."""
    gc.collect()


def test_measure_block_sees_its_allocation() -> None:
    """A with block's delta holds what the block allocated and kept."""
    tracker = MemoryTracker()
    with tracker.measure() as measurement:
        assert measurement.before is not None
        assert measurement.delta is None
        kept = b"x" * (BIG_MIB * MIB)
    assert measurement.after is not None
    size_mb = tracker.delta_to_mb(measurement.delta)
    assert size_mb is not None
    assert BIG_MIB - 1 < size_mb < BIG_MIB + 4
    assert len(kept) == BIG_MIB * MIB


def test_measure_blocks_nest() -> None:
    """An inner block on the same object keeps its own start; after the outer one, the figures are the outer one's."""
    measurement = MemoryTracker().measure()
    with measurement:
        outer = measurement.before
        with measurement:
            inner = measurement.before
        assert measurement.before is inner
    assert measurement.before is outer
    assert inner is not outer


def test_measure_block_that_raises_is_measured_too() -> None:
    """The block's own exception comes out, and the delta is there."""
    measurement = MemoryTracker().measure()
    with pytest.raises(KeyError), measurement:
        raise KeyError
    assert measurement.delta is not None


@LINUX_ONLY
@pytest.mark.usefixtures("broken_probe")
def test_measure_never_replaces_the_exception_of_its_block() -> None:
    """When the block raises and the second reading fails, the block's exception wins."""
    _binding.set_statm_path(None)
    measurement = MemoryTracker().measure()

    def break_probe_and_raise() -> None:
        _binding.set_statm_path("/no/such/procfs/statm")
        raise KeyError

    with pytest.raises(KeyError), measurement:
        break_probe_and_raise()
    assert (measurement.after, measurement.delta) == (None, None)


@LINUX_ONLY
@pytest.mark.usefixtures("broken_probe")
def test_measure_reports_a_failed_second_reading() -> None:
    """When only the second reading fails, that failure comes out of the block."""
    _binding.set_statm_path(None)
    measurement = MemoryTracker().measure()
    with pytest.raises(PlatformUnavailableError), measurement:
        _binding.set_statm_path("/no/such/procfs/statm")
    assert measurement.before is not None
    assert measurement.delta is None


def test_measure_decorator_measures_every_call() -> None:
    """A decorated function works as before, and the last call's delta is at hand both ways."""
    measurement = MemoryTracker().measure()

    @measurement
    def load(size_mib: int, *, fill: bytes = b"x") -> bytes:
        """Load something."""
        return fill * (size_mib * MIB)

    assert load.__name__ == "load"
    assert load.__doc__ == "Load something."
    kept = load(BIG_MIB, fill=b"y")
    assert kept == b"y" * (BIG_MIB * MIB)
    first = measurement.delta
    assert first is not None
    assert first.rss_delta_bytes > (BIG_MIB - 1) * MIB
    load(0)
    assert measurement.delta is not first
    assert vars(load)["measurement"] is measurement


def test_measure_decorator_works_on_methods_and_recursion() -> None:
    """A method keeps its self, and a function that calls itself ends with the outermost call's figures."""
    measurement = MemoryTracker().measure()

    class Tree:
        def __init__(self) -> None:
            self.starts: list[float] = []

        @measurement
        def grow(self, depth: int) -> int:
            return 1 if depth == 0 else self.grow(depth - 1) + 1

    earlier = snapshot()
    assert Tree().grow(5) == 6
    assert measurement.before is not None
    assert measurement.after is not None
    assert measurement.delta is not None
    assert earlier.timestamp <= measurement.before.timestamp <= measurement.after.timestamp
    assert measurement.delta.duration == measurement.after.timestamp - measurement.before.timestamp


def test_measure_decorator_lets_exceptions_through() -> None:
    """A call that raises is measured too."""
    measurement = MemoryTracker().measure()

    @measurement
    def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert measurement.delta is not None


def test_measure_decorator_spans_the_whole_coroutine() -> None:
    """An async function is measured until it has finished, not until it first waits."""
    measurement = MemoryTracker().measure()

    @measurement
    async def load() -> bytes:
        await asyncio.sleep(0)
        return b"x" * (BIG_MIB * MIB)

    @measurement
    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError

    kept = asyncio.run(load())
    assert len(kept) == BIG_MIB * MIB
    assert measurement.delta is not None
    assert measurement.delta.rss_delta_bytes > (BIG_MIB - 1) * MIB
    last = measurement.delta
    with pytest.raises(KeyError):
        asyncio.run(fail())
    assert measurement.delta is not last


def test_measure_decorator_refuses_what_cannot_be_called() -> None:
    """At the decoration, not at the first call."""
    with pytest.raises(ConfigurationError, match="function is 5"):
        MemoryTracker().measure()(5)  # type: ignore[arg-type]  # what is tested


def test_measure_decorator_refuses_generator_functions() -> None:
    """A call of a generator function does nothing yet, so measuring it would mislead."""

    def numbers() -> Iterator[int]:
        yield 1

    async def async_numbers() -> AsyncIterator[int]:
        yield 1

    for function in (numbers, async_numbers):
        with pytest.raises(ConfigurationError, match="around the loop"):
            MemoryTracker().measure()(function)
