"""Run one file of a suite on one side: `python tests/stock/side.py VERSION SIDE FOLDER FILE [LINE...]`.

SIDE is `stock` (lupa's Lua as it is) or `here` (an engine). Units that begin at the LINEs are not run. What `harness.lua`
tells goes to standard output, a line each; what the tests themselves write goes nowhere.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from statements import rewritten

HERE = Path(__file__).resolve().parent
MODULES = {"5.1": "lua51", "5.2": "lua52", "5.3": "lua53", "5.4": "lua54", "5.5": "lua55", "luajit2.1": "luajit21"}
TIMEOUT_MS = int(os.environ.get("SUITE_TIMEOUT_MS", "20000"))
MEMORY_MB = 1_500
Functions = dict[str, Callable[..., Any]]


def run_stock(version: str, harness: str, functions: Functions) -> None:
    """Run the harness on lupa's Lua."""
    lua = importlib.import_module("lupa." + MODULES[version]).LuaRuntime(encoding=None)
    globals_of_lua = lua.globals()
    for name, function in functions.items():
        globals_of_lua[name.encode()] = function
    lua.execute(b"python = nil")
    lua.eval(b"function(text) return (loadstring or load)(text, '=harness') end")(harness.encode("latin-1"))()


def run_here(version: str, harness: str, functions: Functions) -> None:
    """Run the harness on an engine."""
    from luagauge import LuaEngine, ScriptConfig

    config = ScriptConfig(
        lua=version,
        timeout_ms=TIMEOUT_MS,
        memory_limit_mb=MEMORY_MB,
        functions=functions,
        max_output_size=1 << 20,
        allow_filesystem=True,
        filesystem_directories=[Path.cwd()],
        environment_variables={"PATH": os.environ["PATH"]},
    )
    with LuaEngine(config) as engine:
        result = engine.execute_script(harness.encode("latin-1"), name="harness")
    if not result.success:
        functions["suite_tell"](f"ended {type(result.error).__name__} {result.error}".encode().replace(b"\n", b" "))


def main() -> None:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(description="One file of a suite, on one side.")
    parser.add_argument("version", choices=MODULES)
    parser.add_argument("side", choices=["stock", "here"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("file")
    parser.add_argument("skipped", nargs="*", type=int)
    options = parser.parse_args()
    tell_fd = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    known = json.loads((HERE / "differences.json").read_text())
    source = (options.folder / options.file).read_bytes().decode("latin-1")
    text = rewritten(source, options.version, frozenset(options.skipped))

    def file_text(name: bytes | str) -> bytes | None:
        name = name.decode() if isinstance(name, bytes) else name
        path = options.folder / name
        if not name:
            return text.encode("latin-1")
        return path.read_bytes() if path.is_file() else None

    def tell(line: bytes | str) -> None:
        os.write(tell_fd, (line if isinstance(line, bytes) else line.encode()) + b"\n")

    absent = "\n".join(known["absent"]) if options.side == "here" else ""
    functions: Functions = {
        "suite_text": file_text,
        "suite_name": options.file.encode,
        "suite_absent": absent.encode,
        "suite_tell": tell,
    }
    harness = (HERE / "harness.lua").read_text(encoding="utf-8")
    (run_stock if options.side == "stock" else run_here)(options.version, harness, functions)
    tell(b"done")


if __name__ == "__main__":
    main()
