"""Run Lua's official test suites here and in stock Lua: `python tests/stock/suites.py 5.4=FOLDER 5.1=FOLDER ...`.

FOLDER holds the suite of that version, unpacked by whoever runs this (CONTRIBUTING.md says where suites are). Nothing of it
enters this repository. Each file is taken apart into statements that run by themselves (`statements.py`), on an engine and
on lupa's Lua of the same version. An assertion that holds in stock Lua must hold here.

`differences.json` says what need not:

- `absent`: what scripts do not have, each with the key of its reason: functions, `debug.` for a table, `io.stdin=` for a value,
  `require:ffi` for a module.
  A statement that uses one is not compared, nor are those that use what it sets.
- `files`: files and folders that are not run, for each version.
- `differences`: for each version, file and key of a reason, the lines of statements that differ on purpose; `*` stands for all.
- `reasons`: the reasons by their keys.
- `calls`: see `calls.py`.

A difference that is not listed is an error, and so is one that is listed and does not occur. With `--accept REASON` what is
not listed is added under that key, and with `--prune` what does not occur is taken out: for review.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from statements import Names, names_of

HERE = Path(__file__).resolve().parent
KNOWN = HERE / "differences.json"
TIMEOUT_S = 150
MOST_SKIPPED = 30
"""Statements of one file that may hang or end the process."""


@dataclass
class Unit:
    """What a statement did, in all its runs."""

    line: int
    errors: list[str] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)
    passed: dict[int, int] = field(default_factory=dict)
    failed: dict[int, int] = field(default_factory=dict)

    def add(self, error: str, absent: str, counts: str) -> None:
        """Add a run, in the words of `harness.lua`."""
        if error != "-":
            self.errors.append(unquote(error, "latin-1"))
        self.absent |= set(absent.split(",")) - {"-"}
        for count in counts.split(",") if counts != "-" else []:
            at, passed, failed = map(int, count.split(":"))
            if passed:
                self.passed[at] = self.passed.get(at, 0) + passed
            if failed:
                self.failed[at] = self.failed.get(at, 0) + failed


@dataclass
class Side:
    """What a file did on one side."""

    units: dict[int, Unit] = field(default_factory=dict)
    ended: dict[int, str] = field(default_factory=dict)
    """Statements that did not come to an end, and how they ended instead."""
    broken: str = ""
    """Why the file was not run at all."""


def read(side: Side, told: str) -> int | None:
    """Add what a run told; the line of the statement that it ended in, or None where it came to its end."""
    open_units: list[int] = []
    why = "ends the process"
    for row in told.rstrip("\n").split("\n") if told else []:
        kind, *words = row.split(" ")
        if kind in ("start", "unit") and not words[0].isdigit():
            continue  # a hook of LuaJIT's own suite changes what is on the stack
        if kind == "start":
            open_units.append(int(words[0]))
        elif kind == "unit":
            line = int(words[0])
            if line:
                open_units.pop()
            side.units.setdefault(line, Unit(line)).add(*words[1:])
        elif kind == "loaded":
            side.broken = unquote(words[0], "latin-1") if words[0] != "-" else ""
        elif kind == "ended":
            why = " ".join(words)
        elif kind == "done" and why == "ends the process":
            return None
    if not open_units:
        side.broken = side.broken or why
        return None
    side.ended[open_units[-1]] = why
    return open_units[-1]


def run_side(version: str, where: str, folder: Path, file: str) -> Side:
    """Run a file on one side, again without each statement that ends the run."""
    skipped: list[int] = []
    while True:
        side = Side(ended={})
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / "suite"
            shutil.copytree(folder, copy)
            (copy / "libs" / "P1").mkdir(
                parents=True, exist_ok=True
            )  # an empty folder of the suites, which no repository keeps
            command = [sys.executable, str(HERE / "side.py"), version, where, ".", file, *map(str, skipped)]
            try:
                done = subprocess.run(command, check=False, cwd=copy, capture_output=True, timeout=TIMEOUT_S)
                told = done.stdout
            except subprocess.TimeoutExpired as late:
                told = late.stdout or b""
        line = read(side, told.decode("latin-1"))
        for before in skipped:
            side.ended.setdefault(before, "does not end")
        if line is None or line in skipped or len(skipped) == MOST_SKIPPED:
            return side
        skipped.append(line)


ADDRESS = re.compile(r"(0x)?[0-9a-f]{8,16}\b")


def difference(stock: Unit, here: Unit | None) -> str | None:
    """Say how a statement differs here, or None."""
    if here is None:
        return "is not reached"
    for at in stock.passed:
        if at not in stock.failed and (at in here.failed or at not in here.passed):
            error = f": {here.errors[0]}" if here.errors and not stock.errors else ""
            return f"assertion {at} {'fails' if at in here.failed else 'is not reached'}{error}"
    theirs, ours = ([ADDRESS.sub("(address)", e) for e in unit.errors] for unit in (stock, here))
    if theirs != ours:
        return f"raises {ours[:1]}, stock {theirs[:1]}"
    return None


@dataclass
class Count:
    """What was counted for one suite."""

    files: int = 0
    sites: int = 0
    sites_here: int = 0
    executed: int = 0
    executed_here: int = 0
    needing: dict[str, int] = field(default_factory=dict)
    listed: dict[str, int] = field(default_factory=dict)
    unlisted: list[tuple[str, str, str]] = field(default_factory=list)
    """File, line, and how it differs."""
    idle: list[tuple[str, str, str]] = field(default_factory=list)
    """File, line and reason of what is listed and does not occur."""


class Comparison:
    """Compares one file: each difference is listed, or it comes from what scripts do not have, or it is an error.

    What a statement with a reason did not set differs in the statements after it, which have its reason then.
    """

    def __init__(self, count: Count, file: str, names: dict[int, Names], listed: dict[str, str]) -> None:
        """Compare a file whose statements have these names; `listed` are its lines in the list."""
        self.count = count
        self.file = file
        self.names = names
        self.listed = listed
        self.left = dict(listed)
        self.tainted: dict[str, tuple[str, bool]] = {}

    def reason(self, line: int, here: Unit | None) -> tuple[str, bool] | None:
        """Return why a statement differs, and whether the list says so; None where nothing says it."""
        for key in (str(line), "*"):
            if key in self.listed:
                self.left.pop(key, None)
                return self.listed[key], True
        if here is not None and here.absent:
            return min(here.absent), False
        used = self.names[line].used if line in self.names else set()
        return next((self.tainted[name] for name in sorted(used) if name in self.tainted), None)

    def statement(self, stock: Unit, here: Unit | None, ended: str | None) -> None:
        """Compare one statement."""
        count = self.count
        held = {at for at in stock.passed if at not in stock.failed}
        held_here = {at for at in held if here is not None and at in here.passed and at not in here.failed}
        count.sites += len(held)
        count.sites_here += len(held_here)
        count.executed += sum(stock.passed[at] for at in held)
        count.executed_here += sum(here.passed[at] for at in held_here) if here is not None else 0
        how = ended or difference(stock, here)
        names = self.names.get(stock.line, Names())
        if how is None:
            self.tainted = {name: why for name, why in self.tainted.items() if name not in names.set}
            if here is not None and here.absent:
                self.tainted |= dict.fromkeys(names.set, (min(here.absent), False))
            return
        why = self.reason(stock.line, here)
        if why is None:
            count.unlisted.append((self.file, str(stock.line), how))
            return
        counts = count.listed if why[1] else count.needing
        counts[why[0]] = counts.get(why[0], 0) + len(held) - len(held_here)
        self.tainted |= dict.fromkeys(names.set, why)

    def run(self, stock: Side, here: Side) -> None:
        """Compare all statements."""
        for line, unit in sorted(stock.units.items()):
            self.statement(unit, here.units.get(line), here.ended.get(line))
        if here.broken != stock.broken:
            how = f"{here.broken or 'loads'}, stock {stock.broken or 'loads'}"
            self.count.unlisted.append((self.file, "*", how))
        self.count.idle += [(self.file, line, reason) for line, reason in self.left.items()]


def report(version: str, count: Count) -> None:
    """Print what was counted."""
    print(f"Lua {version}: {count.files} files")
    print(f"  assertions that hold in stock Lua   {count.sites:6} sites, {count.executed:9} times")
    print(f"  of these, that hold here            {count.sites_here:6} sites, {count.executed_here:9} times")
    for title, counts in (
        ("that need what scripts do not have", count.needing),
        ("different on purpose", count.listed),
    ):
        print(f"  {title:35} {sum(counts.values()):6} sites")
        for name, number in sorted(counts.items(), key=lambda item: -item[1]):
            print(f"      {number:5}  {name}")
    print(f"  failing here only, and not listed   {len(count.unlisted):6} statements")
    for file, line, how in count.unlisted:
        print(f"      {file}:{line}: {how}")
    print(f"  listed, and not different           {len(count.idle):6} statements")
    for file, line, reason in count.idle:
        print(f"      {file}:{line} ({reason})")
    sys.stdout.flush()


def listed_lines(known: dict[str, Any], version: str, file: str) -> dict[str, str]:
    """Return the lines of a file that differ on purpose, each with the key of its reason."""
    by_reason = known["differences"].get(version, {}).get(file, {})
    return {line: reason for reason, lines in by_reason.items() for line in lines.split()}


def run_suite(version: str, folder: Path, known: dict[str, Any], only: str, jobs: int) -> Count:
    """Run a suite on both sides, and compare."""
    skipped = known["files"].get(version, {})
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.lua"))
    names = [n for n in names if not any(n == s or (s.endswith("/") and n.startswith(s)) for s in skipped)]
    names = [n for n in names if only in n]
    count = Count(files=len(names))
    with ThreadPoolExecutor(jobs) as pool:
        sides = [[pool.submit(run_side, version, where, folder, n) for where in ("stock", "here")] for n in names]
        for file, (stock, here) in zip(names, sides, strict=True):
            listed = listed_lines(known, version, file)
            names_in = names_of((folder / file).read_bytes().decode("latin-1"), version)
            Comparison(count, file, names_in, listed).run(stock.result(), here.result())
    return count


def rewrite(known: dict[str, Any], version: str, count: Count, accept: str | None, *, prune: bool) -> None:
    """Change the list as the arguments ask for."""
    files = known["differences"].setdefault(version, {})
    changed = {file for file, _, _ in [*count.unlisted, *count.idle]}
    for file in changed:
        lines = listed_lines(known, version, file)
        if accept is not None:
            lines |= {line: accept for name, line, _ in count.unlisted if name == file}
        if prune:
            lines = {line: why for line, why in lines.items() if (file, line, why) not in count.idle}
        files[file] = {
            why: " ".join(sorted((line for line in lines if lines[line] == why), key=lambda line: (len(line), line)))
            for why in sorted(set(lines.values()))
        }
    known["differences"][version] = {file: files[file] for file in sorted(files) if files[file]}
    if accept is not None or prune:
        KNOWN.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")


def main() -> int:
    """Run the suites that the arguments name; 1 where one differs in what is not listed."""
    parser = argparse.ArgumentParser(description="Lua's official test suites, here and in stock Lua.")
    parser.add_argument("suites", nargs="+", metavar="VERSION=FOLDER", help="5.1=... to 5.5=..., luajit2.1=...")
    parser.add_argument("--only", default="", help="run the files whose names hold this text")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--accept", metavar="REASON", help="list what is not listed, for this reason")
    parser.add_argument("--prune", action="store_true", help="take out of the list what does not occur")
    options = parser.parse_args()
    known = json.loads(KNOWN.read_text())
    bad = 0
    for suite in options.suites:
        version, _, name = suite.partition("=")
        count = run_suite(version, Path(name).resolve(), known, options.only, options.jobs)
        report(version, count)
        rewrite(known, version, count, options.accept, prune=options.prune)
        bad += len(count.unlisted) + len(count.idle)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
