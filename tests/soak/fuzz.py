"""Run random programs on an engine and look for what no script may cause: `python tests/soak/fuzz.py --runs 200000`.

A crash ends the process (build with LUAGAUGE_SANITIZE=1 to have AddressSanitizer name it); the program that was running
is in the file named by --last. After every program the engine must run the next script right, and now and then its heap
must be back where it was. Prints one line per Lua version; exit code 1 on a finding.
"""

from __future__ import annotations

import argparse
import collections
import random
import sys
import time
from pathlib import Path

from grammar import Generator  # a file beside this one: Python finds it when this one is the program

from luagauge import LUA_VERSIONS, LuaEngine, ScriptConfig, ScriptTimeoutError

HEAP_SLACK_BYTES = 64 * 1024  # compiled forms of the 64 sources used last


def host(*arguments: object) -> object:
    """Give back what was given."""
    return arguments[0] if arguments else None


def boom(*arguments: object) -> object:
    """Fail."""
    raise ValueError(arguments)


def next_goes_wrong(engine: LuaEngine) -> str:
    """Run a script that must succeed; what it came to where it did not. A loaded machine may cost it its 20 ms once."""
    for _ in range(3):
        result = engine.execute_script("return 6 * 7")
        if not isinstance(result.error, ScriptTimeoutError):
            break
    return "" if result.output == 42 else repr(result)


def fuzz(version: str, seed: int, runs: int, last: Path) -> list[str]:
    """Run programs on one Lua; the findings."""
    config = ScriptConfig(
        lua=version, timeout_ms=20, memory_limit_mb=8, max_output_size=1 << 16, functions={"host": host, "boom": boom}
    )
    engine, outcomes, findings = LuaEngine(config), collections.Counter[str](), []
    engine.execute_script("return 0")
    base, started = engine.stats().live_bytes, time.monotonic()
    for number in range(runs):
        source = Generator(random.Random(seed + number), version).program()  # noqa: S311 - repeatable, not secret
        last.write_text(f"-- {version} {seed + number}\n{source}", encoding="utf-8")
        result = engine.execute_script(source, {"request": {"a": [1, 2, {"b": "c"}]}})
        outcomes[type(result.error).__name__ if result.error else "ok"] += 1
        wrong = next_goes_wrong(engine)
        if wrong:
            findings.append(f"{version} seed {seed + number}: the next script went wrong: {wrong}")
        if number % 500 == 499 and engine.stats().live_bytes > base + 64 * HEAP_SLACK_BYTES:
            findings.append(f"{version} seed {seed + number}: {engine.stats().live_bytes} bytes live, {base} at first")
    rate = runs / (time.monotonic() - started)
    print(f"{version}: {runs} programs, {rate:.0f}/s, {dict(outcomes.most_common())}", flush=True)
    return findings


def main() -> int:
    """Parse the arguments and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=2000, help="programs in all, spread over the versions")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lua", action="append", choices=LUA_VERSIONS, help="only these versions")
    parser.add_argument("--last", type=Path, default=Path("fuzz-last.lua"), help="where the running program is kept")
    options = parser.parse_args()
    versions = options.lua or LUA_VERSIONS
    findings = []
    for version in versions:
        findings += fuzz(version, options.seed, options.runs // len(versions), options.last)
    print("\n".join(findings) or "no finding")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
