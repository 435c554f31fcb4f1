"""Call the library with random arguments, here and in stock Lua: `python tests/stock/calls.py [--calls N] [VERSION...]`.

The calls are those of `calls.lua`, which both sides run. They must have the same results, the same error messages and the
same effects on tables. Addresses in texts are masked.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MODULES = {
    "5.1": "lua51",
    "5.2": "lua52",
    "5.3": "lua53",
    "5.4": "lua54",
    "5.5": "lua55",
    "luajit2.0": "luajit20",
    "luajit2.1": "luajit21",
}
BATCH = 5000
TIMEOUT_S = 600
FUNCTIONS = {
    "assert": "**",
    "error": "si",
    "getmetatable": "*",
    "ipairs": "t",
    "next": "t*",
    "pairs": "t",
    "pcall": "f**",
    "rawequal": "**",
    "rawget": "ts",
    "rawset": "ts*",
    "rawlen": "t",
    "select": "N**",
    "setmetatable": "tt",
    "tonumber": "sN",
    "tostring": "*",
    "type": "*",
    "unpack": "tjj",
    "warn": "s**",
    "xpcall": "ff*",
    "load": "kss",
    "loadstring": "ks",
    "coroutine.create": "f",
    "coroutine.resume": "c*",
    "coroutine.status": "c",
    "coroutine.wrap": "f",
    "coroutine.yield": "**",
    "coroutine.isyieldable": "c",
    "coroutine.running": "-",
    "coroutine.close": "c",
    "io.type": "*",
    "math.abs": "N",
    "math.acos": "N",
    "math.asin": "N",
    "math.atan": "NN",
    "math.atan2": "NN",
    "math.ceil": "N",
    "math.cos": "N",
    "math.cosh": "N",
    "math.deg": "N",
    "math.exp": "N",
    "math.floor": "N",
    "math.fmod": "NN",
    "math.frexp": "N",
    "math.ldexp": "ni",
    "math.log": "NN",
    "math.log10": "N",
    "math.max": "NN*",
    "math.min": "NN*",
    "math.mod": "NN",
    "math.modf": "N",
    "math.pow": "NN",
    "math.rad": "N",
    "math.random": "NN",
    "math.randomseed": "N",
    "math.sin": "N",
    "math.sinh": "N",
    "math.sqrt": "N",
    "math.tan": "N",
    "math.tanh": "N",
    "math.tointeger": "N",
    "math.type": "N",
    "math.ult": "NN",
    "os.date": "dN",
    "os.difftime": "NN",
    "os.time": "t",
    "string.byte": "sNN",
    "string.char": "ii",
    "string.find": "spi*",
    "string.format": "F**",
    "string.gfind": "sp",
    "string.gmatch": "spi",
    "string.gsub": "sps",
    "string.len": "s",
    "string.lower": "s",
    "string.match": "spi",
    "string.pack": "s**",
    "string.packsize": "s",
    "string.rep": "sjs",
    "string.reverse": "s",
    "string.sub": "sNN",
    "string.unpack": "ssi",
    "string.upper": "s",
    "table.concat": "tsjj",
    "table.create": "jj",
    "table.foreach": "tfj",
    "table.foreachi": "tfj",
    "table.getn": "tj",
    "table.insert": "tj*",
    "table.maxn": "tj",
    "table.move": "tjjj",
    "table.pack": "***",
    "table.remove": "tj",
    "table.setn": "tj",
    "table.sort": "tfj",
    "table.unpack": "tjj",
    "utf8.char": "NN",
    "utf8.codepoint": "sii",
    "utf8.codes": "s*",
    "utf8.len": "sNN",
    "utf8.offset": "sNN",
    "bit.arshift": "NN",
    "bit.band": "NN",
    "bit.bnot": "N",
    "bit.bor": "NN",
    "bit.bswap": "N",
    "bit.bxor": "NN",
    "bit.lshift": "NN",
    "bit.rol": "NN",
    "bit.ror": "NN",
    "bit.rshift": "NN",
    "bit.tobit": "N",
    "bit.tohex": "NN",
    "bit32.arshift": "NN",
    "bit32.band": "NN",
    "bit32.bnot": "N",
    "bit32.bor": "NN",
    "bit32.btest": "NN",
    "bit32.bxor": "NN",
    "bit32.extract": "Nii",
    "bit32.lrotate": "NN",
    "bit32.lshift": "NN",
    "bit32.replace": "NNii",
    "bit32.rrotate": "NN",
    "bit32.rshift": "NN",
}
"""What each function likes to get, as `calls.lua` says it."""

START = "assert((loadstring or load)(... or context.script, '=calls'))()"

Functions = dict[str, Callable[..., Any]]


def run_stock(version: str, script: bytes, functions: Functions) -> None:
    """Run the script on lupa's Lua."""
    lua = importlib.import_module("lupa." + MODULES[version]).LuaRuntime(encoding=None, unpack_returned_tuples=True)
    for name, function in functions.items():
        lua.globals()[name.encode()] = function
    lua.globals()[b"script"] = script
    lua.execute(b"if jit then jit.off() end python = nil")
    start = lua.eval(b"function(text, name) return (loadstring or load)(text, name) end")
    start(START.encode(), b"=script")(script)


def run_here(version: str, script: bytes, functions: Functions) -> None:
    """Run the script on an engine."""
    from luagauge import LuaEngine, ScriptConfig

    config = ScriptConfig(
        lua=version, functions=functions, timeout_ms=TIMEOUT_S * 1000, memory_limit_mb=500, max_output_size=1 << 26
    )
    with LuaEngine(config) as engine:
        engine.execute_script(START, {"script": script}).raise_for_error()


def side(version: str, where: str, seed: int, first: int, last: int) -> None:
    """Print what calls do on one side."""

    def tell(text: bytes | str) -> None:
        sys.stdout.buffer.write((text if isinstance(text, bytes) else text.encode()) + b"\n")

    names = "\n".join(f"{name} {signature}" for name, signature in FUNCTIONS.items())
    functions: Functions = {
        "calls_wanted": f"{seed} {first} {last}".encode,
        "calls_functions": names.encode,
        "calls_tell": tell,
    }
    script = (HERE / "calls.lua").read_bytes()
    (run_stock if where == "stock" else run_here)(version, script, functions)
    sys.stdout.flush()


def lines(version: str, where: str, seed: int, first: int, last: int) -> list[str]:
    """Run calls in a process of their own; what it printed, a line a call."""
    command = [sys.executable, str(HERE / "calls.py"), "--side", where, version]
    command += ["--seed", str(seed), "--first", str(first), "--calls", str(last - first + 1)]
    done = subprocess.run(command, check=False, capture_output=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise RuntimeError(f"{version} {where} from call {first}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout.decode("latin-1").rstrip("\n").split("\n")


def compared(version: str, seed: int, calls: int) -> Iterator[tuple[str, str]]:
    """Give each call as both sides have it: stock's line, and the one from here."""
    for first in range(1, calls + 1, BATCH):
        last = min(first + BATCH - 1, calls)
        yield from zip(*(lines(version, where, seed, first, last) for where in ("stock", "here")), strict=True)


def differing(version: str, seed: int, calls: int) -> list[tuple[str, str]]:
    """Return the calls that differ, but for those that are meant to (`differences.json`)."""
    known = [re.compile(entry["pattern"]) for entry in json.loads((HERE / "differences.json").read_text())["calls"]]
    return [
        (stock, here)
        for stock, here in compared(version, seed, calls)
        if stock != here and not any(pattern.search(stock) for pattern in known)
    ]


def main() -> int:
    """Compare in the versions that the arguments name; 1 when any call differs."""
    parser = argparse.ArgumentParser(description="Random calls of the library, here and in stock Lua.")
    parser.add_argument("versions", nargs="*", default=list(MODULES), metavar="VERSION")
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--show", type=int, default=20, help="differing calls to print, for each version")
    options = parser.parse_args()
    if options.side is not None:
        side(options.versions[0], options.side, options.seed, options.first, options.first + options.calls - 1)
        return 0
    bad = 0
    for version in options.versions:
        found = differing(version, options.seed, options.calls)
        for stock, here in found[: options.show]:
            print(f"  stock {stock}\n  here  {here}")
        print(f"{version}: {options.calls} calls, {len(found)} differ", flush=True)
        bad += len(found)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
