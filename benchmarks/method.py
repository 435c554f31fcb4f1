"""How everything here is measured: sides timed in turn in one process, and the median of their ratios per round."""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat

Call = Callable[[], object]
Clock = Callable[[], int]

# Nanoseconds of CPU that all threads of the process used: what others do on the machine meanwhile is not in it.
CPU: Clock = time.process_time_ns
# Nanoseconds that went by: for sides that use several threads at once, or wait.
WALL: Clock = time.perf_counter_ns

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the ratios of two sides, one ratio a round.

    Attributes:
        value: The median; below 1 where the first side is the faster.
        low: The lower end of its 95 % interval, from the order of the ratios alone.
        high: The upper end.
        rounds: How many ratios there were.
    """

    value: float
    low: float
    high: float
    rounds: int


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Python's cycle collector from running inside a measurement, as it would at moments of its own choice."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def timed_ns(call: Call, calls: int, clock: Clock) -> int:
    """Return the nanoseconds that so many calls in a row take."""
    start = clock()
    for _ in repeat(None, calls):
        call()
    return clock() - start


def calls_for(call: Call, block_ns: int) -> int:
    """Return how many calls make a block of about that many nanoseconds: at least one."""
    calls = 1
    while (taken := timed_ns(call, calls, WALL)) < block_ns // 4:
        calls *= 4
    return max(1, round(calls * block_ns / taken))


def alternate(
    sides: Mapping[str, Call], *, rounds: int, block_ns: int = 4_000_000, clock: Clock = CPU
) -> dict[str, list[float]]:
    """Time every side once a round, in another order each time: who comes before must not matter.

    What disturbs a machine lasts longer than a round, so it meets all sides alike, and their ratios stay.

    Args:
        sides: What to call, by name.
        rounds: How many rounds are kept; one more, before them, warms everything up.
        block_ns: How long one side's block is to take; cheap calls are repeated until it does.
        clock: What to time with.

    Returns:
        For every side the nanoseconds of one call, round by round.
    """
    calls = {name: calls_for(call, block_ns) for name, call in sides.items()}
    names = list(sides)
    order = random.Random(rounds)  # noqa: S311 - nothing secret: the same order in every run
    times: dict[str, list[float]] = {name: [] for name in names}
    with quiet():
        for number in range(rounds + 1):
            order.shuffle(names)
            for name in names:
                taken = timed_ns(sides[name], calls[name], clock) / calls[name]
                if number > 0:
                    times[name].append(taken)
    return times


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the narrowest pair of order statistics that holds the median in 95 % of samples (binomial, exact).

    With fewer than six values no pair does; the smallest and the largest stand in.
    """
    ordered = sorted(values)
    count = len(ordered)
    outside = 0.0
    rank = 0
    for below in range(count // 2):
        outside += 2 * math.comb(count, below) / 2**count
        if outside > 1 - CONFIDENCE:
            break
        rank = below
    return ordered[rank], ordered[count - 1 - rank]


def ratio(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """Return the median ratio of two sides that were timed in the same rounds."""
    ratios = [a / b for a, b in zip(first, second, strict=True)]
    low, high = median_interval(ratios)
    return Ratio(statistics.median(ratios), low, high, len(ratios))


def geometric_mean(values: Sequence[float]) -> float:
    """Return the mean that treats twice as fast and twice as slow alike."""
    return statistics.geometric_mean(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that is not below the given share (0 to 1) of them all."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
