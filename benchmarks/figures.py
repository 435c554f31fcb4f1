"""What a measurement hands over: figures with their intervals, what is aimed at, and what the check holds them to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.method import Ratio, geometric_mean, ratio

MICROSECOND_NS = 1e3
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Effort:
    """How much measuring is done.

    Attributes:
        rounds: Rounds of every paired measurement.
        quick: True in the check: only what has a bound, with small sizes.
    """

    rounds: int
    quick: bool


FULL = Effort(rounds=21, quick=False)
QUICK = Effort(rounds=7, quick=True)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report.

    Attributes:
        topic: Which part of the report it belongs to.
        name: What was measured, and against what.
        value: The figure.
        unit: `"x"` for a ratio of two sides, or a physical unit.
        low: The lower end of the 95 % interval, or None for a single reading.
        high: The upper end.
        target: The aim: `value` at most this. None: reported only.
        bound: What the check fails above; looser than the aim, since it has few rounds on a busy machine.
        raw: The medians behind it, by name with unit.
    """

    topic: str
    name: str
    value: float
    unit: str = "x"
    low: float | None = None
    high: float | None = None
    target: float | None = None
    bound: float | None = None
    raw: Mapping[str, float] = field(default_factory=dict)


def compared(
    topic: str,
    name: str,
    times: Mapping[str, Sequence[float]],
    sides: tuple[str, str],
    *,
    target: float | None = None,
    bound: float | None = None,
) -> Figure:
    """Make a figure of the ratio of two sides, the first over the second.

    Args:
        topic: Which part of the report it belongs to.
        name: What was measured.
        times: What `method.alternate` returned.
        sides: The measured one, and the one it is held against.
        target: The aim for the ratio.
        bound: The check's limit for the ratio.
    """
    first, second = sides
    found: Ratio = ratio(times[first], times[second])
    return Figure(
        topic,
        name,
        found.value,
        low=found.low,
        high=found.high,
        target=target,
        bound=bound,
        raw={f"{side} [µs]": median(times[side]) / MICROSECOND_NS for side in sides},
    )


def mean_of(
    topic: str, name: str, members: Sequence[Figure], *, target: float | None = None, bound: float | None = None
) -> Figure:
    """Make the geometric mean of ratios; its interval is that of their ends, wider than the mean's own would be."""
    low = geometric_mean([member.value if member.low is None else member.low for member in members])
    high = geometric_mean([member.value if member.high is None else member.high for member in members])
    value = geometric_mean([member.value for member in members])
    return Figure(topic, name, value, low=low, high=high, target=target, bound=bound)


def absolute(topic: str, name: str, times: Sequence[float], *, target_us: float | None = None) -> Figure:
    """Make a figure of the time of one call in microseconds; never bounded, since machines differ."""
    return Figure(topic, name, median(times) / MICROSECOND_NS, "µs", target=target_us)
