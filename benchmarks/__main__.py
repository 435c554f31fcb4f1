"""Rerun the benchmarks: `python -m benchmarks`, or `python -m benchmarks --check` for the bounds alone."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks import readme, report
from benchmarks.figures import FULL, QUICK, Effort, Figure
from benchmarks.isolate import isolated
from benchmarks.topics import TOPICS, UNHELD, measure

RESULTS = Path(__file__).parent / "results"


def run(topics: Sequence[str], effort: Effort) -> tuple[list[Figure], list[str]]:
    """Run the topics one after the other, each in a fresh process, and print every figure as soon as it is there.

    Returns:
        The figures, and the names of the topics that have none because something failed in them.
    """
    figures: list[Figure] = []
    failed: list[str] = []
    for topic in topics:
        start = time.monotonic()
        print(f"== {topic}", flush=True)
        try:
            found = isolated(measure, topic, effort)
        except Exception:  # noqa: BLE001 - shown and counted; the other topics' figures are not lost with it
            traceback.print_exc()
            failed.append(topic)
            continue
        for figure in found:
            interval = "" if figure.low is None else f" [{figure.low:.3f}, {figure.high:.3f}]"
            judged = report.verdict(figure)
            shown = report.number(figure.value, figure.unit)
            print(f"{figure.topic}: {figure.name}: {shown}{interval}{judged and f' ({judged})'}")
        print(f"   {time.monotonic() - start:.0f} s", flush=True)
        figures += found
    return figures, failed


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for.

    Returns:
        0, or 1 when a topic failed or the check found a figure above its bound.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure luagauge against its peers.")
    parser.add_argument("--check", action="store_true", help="few rounds; fail where a ratio is above its bound")
    parser.add_argument("--only", action="append", choices=TOPICS, help="one topic; repeat for more")
    parser.add_argument("--rounds", type=int, help="rounds of every paired measurement")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the report goes")
    parser.add_argument("--readme", action="store_true", help="measure nothing: put the last report into README.md")
    options = parser.parse_args(arguments)
    if options.readme:
        readme.update(*report.read(options.results))
        return 0
    effort = QUICK if options.check else FULL
    if options.rounds is not None:
        effort = Effort(options.rounds, effort.quick)
    topics = options.only or [topic for topic in TOPICS if not (options.check and topic in UNHELD)]
    figures, failed = run(topics, effort)
    if failed:
        print(f"failed: {', '.join(failed)}")
    if options.check:
        lines = report.crossed(figures)
        held = sum(figure.bound is not None for figure in figures)
        print(f"{held} bounds held" if not lines else "above their bounds:\n" + "\n".join(lines))
        return 1 if lines or failed else 0
    report.write(figures, options.results)
    if "overhead" in topics and "overhead" not in failed:
        from benchmarks import plot  # noqa: PLC0415 - the check and single topics do without matplotlib

        plot.draw(figures, options.results)
    print(f"written to {options.results}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
