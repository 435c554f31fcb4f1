"""MemoryTracker and its configuration: readings, differences, MiB, measured blocks and functions."""

from __future__ import annotations

import dataclasses
import doctest
import math
import pickle
import sys
from typing import Any

import pytest

import luagauge.tracker
from luagauge import (
    ConfigurationError,
    InvalidDataError,
    MemoryDelta,
    MemorySnapshot,
    MemoryTracker,
    MemoryTrackingConfig,
    MemoryTrackingError,
    PlatformUnavailableError,
    _binding,
    snapshot,
)

pytestmark = pytest.mark.emulated

MIB = 1024 * 1024
EARLY = MemorySnapshot(10 * MIB, 20 * MIB, 100.0)
LATE = MemorySnapshot(13 * MIB, 19 * MIB, 100.5)
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="only the Linux probe can be pointed at another file")


def ignoring() -> MemoryTracker:
    """Return a tracker that ignores failures."""
    return MemoryTracker(MemoryTrackingConfig(on_error="ignore"))


def test_tracker_snapshot_is_the_module_level_one() -> None:
    """Both give a MemorySnapshot of this process."""
    taken = MemoryTracker().snapshot()
    assert type(taken) is MemorySnapshot
    assert abs(taken.rss_bytes - snapshot().rss_bytes) < MIB


def test_snapshot_made_in_c_is_an_ordinary_frozen_value() -> None:
    """It cannot be changed, has no __dict__, compares, hashes, pickles and replaces like one made in Python."""
    taken = snapshot()
    same = MemorySnapshot(taken.heap_size_bytes, taken.rss_bytes, taken.timestamp)
    assert taken == same
    assert hash(taken) == hash(same)
    assert repr(taken) == repr(same)
    assert pickle.loads(pickle.dumps(taken)) == taken  # noqa: S301 -- our own bytes
    assert dataclasses.replace(taken, rss_bytes=1).rss_bytes == 1
    assert not hasattr(taken, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        taken.rss_bytes = 0  # type: ignore[misc]


def test_calculate_delta_is_signed_and_exact() -> None:
    """Growth is positive, shrinking negative, time in seconds."""
    assert MemoryTracker().calculate_delta(EARLY, LATE) == MemoryDelta(3 * MIB, -MIB, 0.5)
    assert MemoryTracker().calculate_delta(EARLY, EARLY) == MemoryDelta(0, 0, 0.0)


@pytest.mark.parametrize("which", ["before", "after"])
def test_calculate_delta_without_a_heap_figure_says_none(which: str) -> None:
    """Where either snapshot has no heap figure, neither has the difference."""
    pair = {"before": EARLY, "after": LATE}
    pair[which] = dataclasses.replace(pair[which], heap_size_bytes=None)
    assert MemoryTracker().calculate_delta(**pair) == MemoryDelta(None, -MIB, 0.5)


def test_calculate_delta_refuses_the_wrong_order() -> None:
    """Before after after is an InvalidDataError, as no clock that counts runs backwards."""
    with pytest.raises(InvalidDataError, match="other way round"):
        MemoryTracker().calculate_delta(LATE, EARLY)


@pytest.mark.parametrize(
    "bad",
    [
        "a snapshot",
        5,
        MemoryDelta(0, 0, 0.0),
        {"rss_bytes": -1},
        {"rss_bytes": 1.5},
        {"rss_bytes": True},
        {"heap_size_bytes": -1},
        {"heap_size_bytes": "1"},
        {"timestamp": math.nan},
        {"timestamp": None},
    ],
)
def test_calculate_delta_refuses_what_is_no_reading(bad: Any) -> None:
    """Wrong types and impossible figures are InvalidDataErrors on either side, or None where failures are ignored."""
    if isinstance(bad, dict):
        bad = dataclasses.replace(EARLY, **bad)
    for pair in ((bad, LATE), (EARLY, bad)):
        with pytest.raises(InvalidDataError):
            MemoryTracker().calculate_delta(*pair)
        assert ignoring().calculate_delta(*pair) is None


def test_calculate_delta_passes_none_through() -> None:
    """A reading that was not taken gives no difference."""
    assert MemoryTracker().calculate_delta(None, LATE) is None
    assert MemoryTracker().calculate_delta(EARLY, None) is None


def test_delta_to_mb_counts_mib_of_the_chosen_figure() -> None:
    """A MiB is 1,048,576 bytes; rss unless heap is asked for."""
    delta = MemoryDelta(3 * MIB, -MIB // 2, 1.0)
    tracker = MemoryTracker()
    assert tracker.delta_to_mb(delta) == -0.5
    assert tracker.delta_to_mb(delta, of="rss") == -0.5
    assert tracker.delta_to_mb(delta, of="heap") == 3.0
    assert tracker.delta_to_mb(MemoryDelta(None, MIB, 1.0), of="heap") is None
    assert tracker.delta_to_mb(None) is None


@pytest.mark.parametrize(
    "delta_bytes, expected", [(MIB // 2, 0.5), (MIB // 2 - 1, 0.0), (-MIB // 2, -0.5), (-MIB // 2 + 1, 0.0), (0, 0.0)]
)
def test_delta_to_mb_drops_what_is_below_the_minimum(delta_bytes: int, expected: float) -> None:
    """A change smaller than min_delta_mb, up or down, is 0.0; one of just that size is kept."""
    tracker = MemoryTracker(MemoryTrackingConfig(min_delta_mb=0.5))
    assert tracker.delta_to_mb(MemoryDelta(delta_bytes, delta_bytes, 1.0)) == expected
    assert tracker.delta_to_mb(MemoryDelta(delta_bytes, delta_bytes, 1.0), of="heap") == expected


@pytest.mark.parametrize(
    "bad", [3.5, EARLY, *({"rss_delta_bytes": bad} for bad in (0.5, None, True)), {"heap_delta_bytes": 0.5}]
)
def test_delta_to_mb_refuses_what_is_no_delta(bad: Any) -> None:
    """Anything else is an InvalidDataError, or None where failures are ignored."""
    if isinstance(bad, dict):
        bad = dataclasses.replace(MemoryDelta(0, 0, 1.0), **bad)
    with pytest.raises(InvalidDataError):
        MemoryTracker().delta_to_mb(bad)
    assert ignoring().delta_to_mb(bad) is None


def test_delta_to_mb_refuses_an_unknown_figure() -> None:
    """A misspelt `of` is misuse and raises even where failures are ignored."""
    with pytest.raises(ConfigurationError, match="of is 'vms'"):
        ignoring().delta_to_mb(MemoryDelta(0, 0, 1.0), of="vms")  # type: ignore[arg-type]


@pytest.mark.real_malloc
def test_heap_in_use_bytes_counts_or_says_that_it_cannot() -> None:
    """An int where this platform's allocator can say, PlatformUnavailableError (or None) where it cannot."""
    if _binding.describe_probe().heap_in_use is None:
        assert ignoring().heap_in_use_bytes() is None
        with pytest.raises(PlatformUnavailableError):
            MemoryTracker().heap_in_use_bytes()
    else:
        in_use = MemoryTracker().heap_in_use_bytes()
        assert in_use is not None
        assert in_use > 0


@LINUX_ONLY
@pytest.mark.usefixtures("broken_probe")
def test_tracker_raises_when_told_to() -> None:
    """on_error="raise" lets the failure out of snapshot and measure."""
    with pytest.raises(PlatformUnavailableError):
        MemoryTracker().snapshot()
    with pytest.raises(PlatformUnavailableError), MemoryTracker().measure():
        pytest.fail("the block must not run unmeasured")


@LINUX_ONLY
@pytest.mark.usefixtures("broken_probe")
def test_tracker_ignores_when_told_to() -> None:
    """on_error="ignore" answers None, all the way to the MiB, and the measured code runs."""
    tracker = ignoring()
    assert tracker.snapshot() is None
    with tracker.measure() as measurement:
        ran = True
    assert ran
    assert (measurement.before, measurement.after, measurement.delta) == (None, None, None)
    assert tracker.delta_to_mb(measurement.delta) is None


def test_tracker_disabled_takes_no_reading() -> None:
    """enabled=False answers None to everything, and never touches the probe."""
    tracker = MemoryTracker(MemoryTrackingConfig(enabled=False))
    with tracker.measure() as measurement:
        assert tracker.snapshot() is None
    assert measurement.delta is None
    assert tracker.heap_in_use_bytes() is None


@pytest.mark.parametrize(
    "field, value",
    [
        ("enabled", 1),
        ("enabled", None),
        ("on_error", "warn"),
        ("on_error", None),
        ("on_error", []),
        ("min_delta_mb", -0.1),
        ("min_delta_mb", math.nan),
        ("min_delta_mb", math.inf),
        ("min_delta_mb", "1"),
        ("min_delta_mb", True),
        ("min_delta_mb", None),
    ],
)
def test_tracking_config_refuses_unusable_values(field: str, value: Any) -> None:
    """Each wrong value is a ConfigurationError that names the field and the value."""
    with pytest.raises(ConfigurationError, match=field) as caught:
        MemoryTrackingConfig(**{field: value})
    assert caught.value.setting == field
    assert repr(value) in str(caught.value)


def test_tracker_takes_a_config_and_nothing_else() -> None:
    """The default is MemoryTrackingConfig(); a dict, say, is refused."""
    assert MemoryTracker().config == MemoryTrackingConfig()
    assert MemoryTracker(MemoryTrackingConfig(min_delta_mb=2)).config.min_delta_mb == 2
    with pytest.raises(ConfigurationError, match="MemoryTrackingConfig"):
        MemoryTracker({"enabled": True})  # type: ignore[arg-type]


def test_tracker_failures_share_a_root() -> None:
    """A host that catches MemoryTrackingError catches whatever tracking can do to it."""
    with pytest.raises(MemoryTrackingError):
        MemoryTracker().calculate_delta(LATE, EARLY)


def test_tracker_examples_are_true() -> None:
    """Every example in the module's docstrings runs and gives what it says."""
    outcome = doctest.testmod(luagauge.tracker)
    assert outcome.attempted > 0
    assert outcome.failed == 0
