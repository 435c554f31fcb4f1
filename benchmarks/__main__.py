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

# How often the check measures a topic again in which a figure is above its bound.
RETRIES = 2
RESULTS = Path(__file__).parent / "results"


def run(topics: Sequence[str], effort: Effort) -> tuple[dict[str, list[Figure]], list[str]]:
    """Run the topics one after the other, each in a fresh process, and print every figure as soon as it is there.

    Returns:
        The figures by topic, and the names of the topics that have none because something failed in them.
    """
    figures: dict[str, list[Figure]] = {}
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
        figures[topic] = found
    return figures, failed


def check(topics: Sequence[str], effort: Effort) -> int:
    """Hold every figure to its bound; what is above it is measured again, since what disturbs a machine passes.

    Returns:
        0, or 1 when a topic failed, or a figure was above its bound in each of its runs.
    """
    figures, failed = run(topics, effort)
    held = sum(figure.bound is not None for found in figures.values() for figure in found)
    above = {topic: report.crossed(found) for topic, found in figures.items()}
    for _ in range(RETRIES):
        again = [topic for topic in topics if above.get(topic)]
        if not again or failed:
            break
        print("above their bounds, measured again:")
        print("\n".join(report.bound_line(figure) for topic in again for figure in above[topic]), flush=True)
        figures, failed = run(again, effort)
        names = {topic: {figure.name for figure in above[topic]} for topic in again}
        above = {
            topic: [figure for figure in report.crossed(found) if figure.name in names[topic]]
            for topic, found in figures.items()
        }
    lines = [report.bound_line(figure) for found in above.values() for figure in found]
    if failed:
        print(f"failed: {', '.join(failed)}")
    print(f"{held} bounds held" if not lines else "above their bounds:\n" + "\n".join(lines))
    return 1 if lines or failed else 0


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for.

    Returns:
        0, or 1 when a topic failed or the check found a figure above its bound.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure luagauge against its peers.")
    parser.add_argument("--check", action="store_true", help="few rounds; fail where a ratio is above its bound")
    parser.add_argument("--only", action="append", choices=TOPICS, help="one topic; repeat for more")
    parser.add_argument("--rounds", type=int, help="rounds of every paired measurement")
    parser.add_argument(
        "--results", type=Path, help=f"where the report goes; with --only nowhere, else {RESULTS.name}/"
    )
    parser.add_argument("--readme", action="store_true", help="measure nothing: put the last report into README.md")
    options = parser.parse_args(arguments)
    if options.readme:
        readme.update(*report.read(options.results or RESULTS))
        return 0
    effort = QUICK if options.check else FULL
    if options.rounds is not None:
        effort = Effort(options.rounds, effort.quick)
    topics = options.only or [topic for topic in TOPICS if not (options.check and topic in UNHELD)]
    if options.check:
        return check(topics, effort)
    by_topic, failed = run(topics, effort)
    figures = [figure for found in by_topic.values() for figure in found]
    if failed:
        print(f"failed: {', '.join(failed)}")
    if options.only and options.results is None:
        return 1 if failed else 0
    results: Path = options.results or RESULTS
    report.write(figures, results)
    if "overhead" in topics and "overhead" not in failed:
        from benchmarks import plot  # noqa: PLC0415 - the check and single topics do without matplotlib

        plot.draw(figures, results)
    print(f"written to {results}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
