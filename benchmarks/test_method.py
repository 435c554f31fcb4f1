"""The arithmetic behind the figures, checked against cases worked out by hand."""

from __future__ import annotations

import pytest

import benchmarks.__main__
from benchmarks import readme
from benchmarks.figures import QUICK, Effort, Figure, mean_of
from benchmarks.method import median_interval, percentile, ratio
from benchmarks.report import crossed, verdict


@pytest.mark.parametrize("count,rank", [(1, 0), (5, 0), (6, 0), (9, 1), (21, 5), (50, 17)])
def test_median_interval_is_the_binomial_one(count: int, rank: int) -> None:
    """The ranks are those of the published table of order-statistic intervals for the median."""
    assert median_interval([float(value) for value in range(count)]) == (rank, count - 1 - rank)


def test_ratio_pairs_the_rounds() -> None:
    """A round that was slow for both sides moves neither the median nor the interval."""
    found = ratio([2.0, 20.0, 2.0], [1.0, 10.0, 1.0])
    assert (found.value, found.low, found.high, found.rounds) == (2.0, 2.0, 2.0, 3)


def test_percentile_is_a_value_that_was_seen() -> None:
    """99 of 100 values are not above the 99th percentile."""
    assert percentile([float(value) for value in range(1, 101)], 0.99) == 99.0


def test_crossed_names_only_what_is_above_its_bound() -> None:
    """A figure without a bound never fails the check, and one that is not a number always does."""
    figures = [
        Figure("t", "free", 9.0),
        Figure("t", "under", 1.0, bound=1.0),
        Figure("t", "over", 1.1, bound=1.0),
        Figure("t", "perhaps", 1.1, low=0.9, high=1.2, bound=1.0),
        Figure("t", "surely", 1.1, low=1.05, high=1.2, bound=1.0),
        Figure("t", "lost", float("nan"), bound=1.0),
    ]
    assert [figure.name for figure in crossed(figures)] == ["over", "surely", "lost"]


@pytest.mark.parametrize("later, status", [([9.0, 1.0], 0), ([1.0], 0), ([9.0, 9.0], 1)])
def test_check_measures_again_what_is_above_its_bound(
    later: list[float], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails where a figure is above in each run; parts within their bounds are not measured twice."""
    values = {"steady": [1.0], "swings": [9.0, *later]}

    def measured(_measure: object, topic: str, _effort: Effort) -> list[Figure]:
        return [Figure(f"{topic}, Lua 5.4", "n", values[topic].pop(0), bound=2.0)]

    monkeypatch.setattr(benchmarks.__main__, "isolated", measured)
    assert benchmarks.__main__.check(list(values), QUICK) == status
    assert values == {"steady": [], "swings": []}


def test_mean_has_an_interval_of_its_members_ends() -> None:
    """Two ratios of 0.5 and 2 come to 1, between 0.25 and 4."""
    mean = mean_of("t", "mean", [Figure("t", "a", 0.5, low=0.125, high=2.0), Figure("t", "b", 2.0, low=0.5, high=8.0)])
    assert (mean.value, mean.low, mean.high) == pytest.approx((1.0, 0.25, 4.0))


def test_readme_shows_the_ends_of_a_topic() -> None:
    """Figures that read alike stand once; a report that lacks one is refused; text outside the marks stays."""
    figures = [Figure("t", f"a {value}", value) for value in (1.0001, 1.0002, 1.5)]
    assert readme.span(figures, "t", "a") == "1.000 to 1.500"
    assert readme.span(figures, "t", "a", "1.5") == "1.000"
    with pytest.raises(LookupError, match="run all of it"):
        readme.span(figures, "t", "b")
    text = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n"
    assert readme.put(text, "new") == f"before\n{readme.BEGIN}\nnew\n{readme.END}\nafter\n"


def test_readme_has_the_marks_once() -> None:
    """What is put between them replaces nothing else."""
    text = readme.README.read_text(encoding="utf-8")
    assert (text.count(readme.BEGIN), text.count(readme.END)) == (1, 1)


def test_verdict_tells_a_miss_from_a_tie() -> None:
    """An aim inside the interval is too close to call."""
    assert verdict(Figure("t", "n", 1.05, low=1.02, high=1.1, target=1.0)) == "not met"
    assert verdict(Figure("t", "n", 1.05, low=0.99, high=1.1, target=1.0)) == "not met, within the interval"
    assert verdict(Figure("t", "n", 0.99, target=1.0)) == "met"
