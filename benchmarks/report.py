"""Write what was measured: JSON for programs, Markdown for people; and say which aims are met."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from benchmarks.figures import Figure

PACKAGES = ("luagauge", "lupa", "psutil", "quickjs", "mini-racer", "wasmtime")


def machine() -> dict[str, str]:
    """Say what the figures were measured on; they hold for nothing else."""
    cpu = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
    except OSError:  # no procfs: the architecture's name has to do
        pass
    facts = {
        "cpu": cpu,
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
    }
    return facts | {name: version(name) for name in PACKAGES}


def number(value: float, unit: str) -> str:
    """Show a figure with the digits that mean something."""
    if unit == "x":
        return f"{value:.3f}"
    return f"{value:.1f} {unit}" if abs(value) >= 10 else f"{value:.2f} {unit}"


def verdict(figure: Figure) -> str:
    """Say whether the aim is met; where the interval holds the aim, that it is too close to call."""
    if figure.target is None:
        return ""
    if figure.value <= figure.target:
        return "met"
    if figure.low is not None and figure.low <= figure.target:
        return "not met, within the interval"
    return "not met"


def row(figure: Figure) -> str:
    """Return one line of a table."""
    interval = "" if figure.low is None or figure.high is None else f"{figure.low:.3f} to {figure.high:.3f}"
    aim = "" if figure.target is None else f"≤ {number(figure.target, figure.unit)}"
    raw = ", ".join(f"{name} {value:,.1f}" for name, value in figure.raw.items())
    cells = (figure.name, number(figure.value, figure.unit), interval, aim, verdict(figure), raw)
    return f"| {' | '.join(cells)} |"


def markdown(figures: Iterable[Figure], facts: dict[str, str]) -> str:
    """Return the report: one table a topic, in the order in which they were measured."""
    by_topic: dict[str, list[Figure]] = {}
    for figure in figures:
        by_topic.setdefault(figure.topic, []).append(figure)
    lines = [
        "# Benchmarks",
        "",
        "Made by `python -m benchmarks`; README.md beside this folder says how to read it.",
        "",
    ]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    for topic, members in by_topic.items():
        lines += ["", f"## {topic}", ""]
        lines += ["| what | figure | 95 % interval | aim | | medians |", "|---|--:|--:|--:|---|---|"]
        lines += [row(figure) for figure in members]
    return "\n".join(lines) + "\n"


def write(figures: Sequence[Figure], folder: Path) -> None:
    """Write latest.json and latest.md."""
    facts = machine()
    folder.mkdir(parents=True, exist_ok=True)
    document = {"machine": facts, "figures": [asdict(figure) for figure in figures]}
    (folder / "latest.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "latest.md").write_text(markdown(figures, facts), encoding="utf-8")


def read(folder: Path) -> tuple[list[Figure], dict[str, str]]:
    """Read the figures of an earlier run, and what they were measured on, back from latest.json."""
    document = json.loads((folder / "latest.json").read_text(encoding="utf-8"))
    return [Figure(**figure) for figure in document["figures"]], document["machine"]


def crossed(figures: Iterable[Figure]) -> list[Figure]:
    """Return every figure above its bound: with its whole interval, where it has one."""
    return [
        figure
        for figure in figures
        if figure.bound is not None and not (figure.value if figure.low is None else figure.low) <= figure.bound
    ]


def bound_line(figure: Figure) -> str:
    """Return the line that says what a figure is and what it should be at most."""
    shown, bound = number(figure.value, figure.unit), number(figure.bound or 0, figure.unit)
    return f"{figure.topic}: {figure.name}: {shown}, bound {bound}"
