"""Draw the picture that README shows: the time of every program relative to plain lupa, and the mean per version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from benchmarks.figures import Figure
from benchmarks.overhead import topic_of
from benchmarks.sides import LUA54, VERSIONS

ALLOCATION, COMPUTE, EVEN = "#2a6f97", "#8d99ae", "#333333"
MEAN = "geometric mean ("


def programs(axes: Axes, figures: Sequence[Figure]) -> None:
    """Draw one bar a program on Lua 5.4, with its interval."""
    bars = [figure for figure in figures if figure.topic == topic_of(LUA54) and not figure.name.startswith(MEAN)]
    bars.reverse()
    names = [figure.name.partition(" (")[0].replace("_", " ") for figure in bars]
    values = [figure.value for figure in bars]
    lows = [figure.value - (figure.low or figure.value) for figure in bars]
    highs = [(figure.high or figure.value) - figure.value for figure in bars]
    colours = [ALLOCATION if "(allocation)" in figure.name else COMPUTE for figure in bars]
    axes.barh(names, values, xerr=(lows, highs), color=colours, height=0.7, error_kw={"lw": 1, "capsize": 2})
    axes.axvline(1, color=EVEN, lw=1)
    axes.set_xlim(0, max(1.1, *(figure.high or figure.value for figure in bars)))
    axes.set_title("Lua 5.4: time / plain lupa's time", fontsize=10)
    axes.set_xlabel("below 1: faster than without tracking", fontsize=9)


def means(axes: Axes, figures: Sequence[Figure]) -> None:
    """Draw the geometric means of both kinds for every version that is compared like with like."""
    labels = [version.label for version in VERSIONS if version.label[0].isdigit()]
    by_key = {(figure.topic, figure.name): figure.value for figure in figures}
    for offset, kind, colour in ((-0.2, "allocation", ALLOCATION), (0.2, "compute", COMPUTE)):
        values = [by_key.get((f"overhead, Lua {label}", f"{MEAN}{kind})"), float("nan")) for label in labels]
        places = [place + offset for place in range(len(labels))]
        axes.bar(places, values, 0.38, color=colour, label=kind)
    axes.axhline(1, color=EVEN, lw=1)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_title("geometric mean per Lua version", fontsize=10)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2, frameon=False)


def draw(figures: Sequence[Figure], folder: Path) -> None:
    """Write overhead.png and overhead.svg."""
    mpl.rcParams["svg.hashsalt"] = "luagauge"  # the same figures give the same file
    canvas = Canvas(figsize=(9, 4.2), layout="constrained")
    left, right = canvas.subplots(1, 2, width_ratios=(3, 2))
    programs(left, figures)
    means(right, figures)
    for axes in (left, right):
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    folder.mkdir(parents=True, exist_ok=True)
    canvas.savefig(folder / "overhead.png", dpi=150)
    canvas.savefig(folder / "overhead.svg", metadata={"Date": None})
