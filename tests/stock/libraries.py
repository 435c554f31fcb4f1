"""Public libraries and their own test suites, here and in stock Lua: `python tests/stock/libraries.py FOLDER`.

FOLDER holds a clone of each repository that `libraries.json` names, under the repository's own name. A library's
sources and its suite run as they are, in a copy of the clone: on lupa's Lua in that directory, and on an engine that
may use files below it. Each test that passes in stock Lua passes here, and the lines that the suite prints are the same,
but for what `libraries.json` lists: a pattern of what is told of a difference, and the reason.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
KNOWN = HERE / "libraries.json"
MODULES = {"5.1": "lua51", "5.2": "lua52", "5.3": "lua53", "5.4": "lua54", "5.5": "lua55", "luajit2.1": "luajit21"}
TIMEOUT_S = 600
MEMORY_MB = 1_500
OUTPUT_BYTES = 64 << 20
VARYING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,16}\b|\d+\.\d+ *(s\b|sec|ms)|\d\d:\d\d:\d\d")
END = "the suite comes to its end"
Library = dict[str, Any]


@dataclass
class Side:
    """What a suite did on one side: each test's outcome ("" or why it failed), and what was printed."""

    tests: dict[str, str] = field(default_factory=dict)
    asserted: int = 0
    lines: list[str] = field(default_factory=list)

    def passing(self) -> int:
        """Return how many tests pass; of a suite that is one program, how many assertions or lines there are."""
        tests = sum(why == "" for why in self.tests.values())
        return tests if len(self.tests) > 1 else self.asserted or len(self.lines)


def latin(text: str | bytes) -> str:
    """Return bytes of Lua as text, a character for each."""
    return (text if isinstance(text, bytes) else text.encode()).decode("latin-1")


def run_stock(version: str, text: str, functions: dict[str, Callable[..., Any]], _folder: Path) -> str:
    """Run the text on lupa's Lua; what it prints goes to standard output by itself."""
    lua = importlib.import_module("lupa." + MODULES[version]).LuaRuntime(encoding=None)
    for name, function in functions.items():
        lua.globals()[name.encode()] = function
    lua.execute(b"python = nil\nio.stdout:setvbuf('no')")
    lua.execute(b"assert((loadstring or load)(..., '=driver'))()", text.encode())
    return ""


def run_here(version: str, text: str, functions: dict[str, Callable[..., Any]], folder: Path) -> str:
    """Run the text on an engine; return what it printed."""
    from luagauge import LuaEngine, ScriptConfig

    config = ScriptConfig(
        lua=version,
        timeout_ms=TIMEOUT_S * 1000 // 2,
        memory_limit_mb=MEMORY_MB,
        max_output_size=OUTPUT_BYTES,
        functions=functions,
        allow_filesystem=True,
        filesystem_directories=[Path.cwd(), folder],
    )
    with LuaEngine(config) as engine:
        result = engine.execute_script(text, name="driver")
    if not result.success:
        functions["library_tell"]("fail", "the driver", str(result.error))
    return "".join(latin(entry.message) + "\n" for entry in result.logs if entry.level == "print")


def side(version: str, where: str, folder: Path, name: str, told: Path) -> None:
    """Run one suite on one side, in this process; its outcomes go to the file `told`, a JSON list on each line."""
    library = json.loads(KNOWN.read_text())["libraries"][name]

    def tell(*words: bytes | str) -> None:
        texts = [latin(word) for word in words]
        with told.open("a") as out:
            out.write(json.dumps(texts) + "\n")

    files = [path.as_posix() for glob in library.get("specs", []) for path in Path().glob(glob)]
    values = {
        "specs": "\n".join(sorted(files)),
        "run": library.get("run", ""),
        "path": ";".join([*library["path"], "driver/?.lua", "driver/?/init.lua", "driver/?/?.lua"]),
    }
    text = "".join(f"library_{key} = [==[{value}]==]\n" for key, value in values.items())
    text += (HERE / "libraries.lua").read_text()
    printed = (run_stock if where == "stock" else run_here)(version, text, {"library_tell": tell}, folder)
    sys.stdout.buffer.write(printed.encode("latin-1"))
    sys.stdout.flush()


def run_side(version: str, where: str, sources: Path, name: str, library: Library) -> Side:
    """Run one suite on one side, in a process and a directory of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, told = Path(scratch, "library"), Path(scratch, "told")
        shutil.copytree(sources / name, folder)
        inside = folder / library.get("in", ".")
        for place, source in {**json.loads(KNOWN.read_text())["driver"], **library.get("with", {})}.items():
            shutil.copytree(sources / source, inside / "driver" / place)
        for path in (inside / "driver" / "luassert").glob("*.lua"):  # the driver's, on both sides
            path.write_text(re.sub(r"debug\.([gs]etmetatable)", r"\1", path.read_text()))
        command = [sys.executable, __file__, str(folder), "--side", version, where, name, str(told)]
        done = subprocess.run(
            command, check=False, cwd=inside, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S
        )
        made = Side(lines=VARYING.sub("(varies)", done.stdout.decode("latin-1").replace(str(folder), "")).splitlines())
        for row in told.read_text().splitlines() if told.exists() else []:
            kind, test, why = json.loads(row)
            if kind == "asserted":
                made.asserted = int(test)
            else:
                again = sum(known == test or known.startswith(test + " #") for known in made.tests)
                made.tests[f"{test} #{again + 1}" if again else test] = why and VARYING.sub("(varies)", why)
        if done.returncode or not made.tests:
            end = (done.stderr.decode(errors="replace").strip().splitlines() or ["ends the process"])[-1]
            made.tests[END] = f"{done.returncode}: {end}"
        return made


def differences(stock: Side, here: Side) -> dict[str, str]:
    """Say what differs here, by the test's name: whether it passes, where a suite ends, and what is printed."""
    found = {}
    for test in {**stock.tests, **here.tests}:
        both = [side.tests.get(test, "is not reached") for side in (here, stock)]
        if (both[0] == "") != (both[1] == "") or (test == END and both[0] != both[1]):
            ours, theirs = ((why or "passes").partition("\n")[0][:200] for why in both)
            found[test] = f"{ours}; stock: {theirs}"
    if stock.lines != here.lines:
        pairs = [(a, b) for a, b in zip(here.lines, stock.lines, strict=False) if a != b]
        first = pairs[0] if pairs else (f"{len(here.lines)} lines", f"{len(stock.lines)} lines")
        found["output"] = f"{first[0][:200]!r}; stock: {first[1][:200]!r}"
    return found


def main() -> int:
    """Run the suites; 1 where one differs in what is not listed, or where what is listed does not occur."""
    parser = argparse.ArgumentParser(description="Public libraries' own test suites, here and in stock Lua.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="libraries whose names hold this text")
    parser.add_argument("--lua", action="append", choices=MODULES, help="these Luas only")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--side", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        version, where, name, told = options.side
        side(version, where, options.folder, name, Path(told))
        return 0
    bad = 0
    known = json.loads(KNOWN.read_text())["libraries"]
    with ThreadPoolExecutor(options.jobs) as pool:
        for name, library in sorted(known.items()):
            if options.only not in name:
                continue
            if not (options.folder / name).is_dir():
                print(f"{name}: no clone of github.com/{library['repository']} in {options.folder}")
                bad += 1
                continue
            left = dict(library.get("differs", {}))
            luas = [lua for lua in library["luas"] if lua in (options.lua or MODULES)]
            sides = [
                [pool.submit(run_side, lua, where, options.folder, name, library) for where in ("stock", "here")]
                for lua in luas
            ]
            for lua, (stock, here) in zip(luas, sides, strict=True):
                found = differences(stock.result(), here.result())
                print(f"{name}, {lua}: {stock.result().passing()} in stock Lua, {here.result().passing()} here")
                for test, how in found.items():
                    why = f"{lua}: {test}: {how}"
                    listed = next((pattern for pattern in library.get("differs", {}) if re.search(pattern, why)), None)
                    left.pop(listed, None)
                    bad += listed is None
                    print(f"    {test}: {how if listed is None else library['differs'][listed]}")
                sys.stdout.flush()
            if not options.lua:
                bad += len(left)
                print("".join(f"    listed, and not different: {pattern}\n" for pattern in left), end="")
    return 1 if bad else 0


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path[1:]))
    sys.exit(main())
