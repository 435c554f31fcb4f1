"""Put the figures of the last report into README.md, between the marks of its section on speed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import conversion, deadlines, engines, fixed_cost, heaps, instructions, overhead, snapshots
from benchmarks.figures import Figure
from benchmarks.report import number
from benchmarks.sides import LUA54, VERSIONS

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"
ALL = ""  # a part of every name


def span(figures: Sequence[Figure], topic: str, part: str, without: str | None = None) -> str:
    """Return the least and the greatest of the figures of a topic whose names hold `part`, once where they read alike.

    Raises:
        LookupError: The report holds none: it was not a full run.
    """
    found = sorted(
        (figure for figure in figures
         if figure.topic == topic and part in figure.name and (without is None or without not in figure.name)),
        key=lambda figure: figure.value,
    )  # fmt: skip
    if not found:
        raise LookupError(f"the report has no figure of {topic!r} with {part!r} in its name: run all of it first")
    ends = [number(figure.value, figure.unit) for figure in (found[0], found[-1])]
    return " to ".join(dict.fromkeys(ends))


def rows(figures: Sequence[Figure]) -> list[tuple[str, str, str]]:
    """Return what is shown: what was measured, the figures, and the topic that measures them again."""
    on_54 = overhead.topic_of(LUA54)
    others = [version for version in VERSIONS if version is not LUA54 and version.label[0].isdigit()]
    means = ", ".join(
        f"{span(figures, overhead.topic_of(version), 'mean (allocation)')} on {version.label}" for version in others
    )
    here: Callable[..., str] = lambda *key: span(figures, *key)  # noqa: E731 - `span` with one argument less
    return [
        ("nine allocation-heavy programs, tracked against plain lupa, geometric mean of CPU time",
         f"{here(on_54, 'mean (allocation)')} ({means})", "overhead"),
        ("each of the nine", here(on_54, "(allocation)", "mean"), "overhead"),
        ("each of six compute-only programs", here(on_54, "(compute)", "mean"), "overhead"),
        ("the same by instructions", here(instructions.TOPIC, ALL, instructions.CREATING), "instructions"),
        ("instructions that a deadline costs a run within its time",
         here(deadlines.TOPIC, "with a deadline / without"), "deadlines"),
        ("a trivial precompiled script, against a new `LuaRuntime` and `execute`",
         here(fixed_cost.TOPIC, "precompiled / (new"), "fixed_cost"),
        ("creating an engine, and its idle memory, against a `LuaRuntime`",
         f"{here(engines.TOPIC, 'creating an engine')}, and {here(engines.TOPIC, 'idle memory of an engine / ')}",
         "engines"),
        ("resident memory left after a run that held 500 MiB", here(heaps.TOPIC, "RSS left after"), "heaps"),
        ("`snapshot()` against `os.pread` of a kept descriptor, and against psutil",
         f"{here(snapshots.TOPIC, '/ os.pread')}, and {here(snapshots.TOPIC, '/ psutil')}", "snapshots"),
        ("10,000 values in and out, against `json.dumps` and `json.loads`",
         here(conversion.TOPIC, "10,000 values", "lupa"), "conversion"),
    ]  # fmt: skip


def section(figures: Sequence[Figure], facts: Mapping[str, str]) -> str:
    """Return the section's text."""
    lines = [
        "![The time of every program relative to plain lupa](benchmarks/results/overhead.png)",
        "",
        "`python -m benchmarks` measures luagauge against plain lupa, psutil and other embedded engines.",
        "[The page of the benchmarks](benchmarks/README.md) says how.",
        "[The last report](benchmarks/results/latest.md) has all that was found.",
        "",
        f"The machine was {facts['cpu']}, {facts['system']},",
        f"with CPython {facts['python']} and lupa {facts['lupa']}.",
        "The Lua is 5.4 where nothing else is said.",
        "A figure below 1 means less than without luagauge.",
        "",
        "| what | figure | command |",
        "|---|---|---|",
    ]
    lines += [f"| {what} | {shown} | `python -m benchmarks --only {topic}` |" for what, shown, topic in rows(figures)]
    return "\n".join(lines)


def put(text: str, shown: str) -> str:
    """Return a document with what stands between the marks replaced."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{shown}\n{END}{after}"


def update(figures: Sequence[Figure], facts: Mapping[str, str]) -> None:
    """Rewrite the section in README.md."""
    README.write_text(put(README.read_text(encoding="utf-8"), section(figures, facts)), encoding="utf-8")
