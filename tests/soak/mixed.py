"""A long mixed load: `python tests/soak/mixed.py --runs 1000000`, and the same with `--threads 8 --minutes 30`.

Good, failing, over the memory limit, over time, with context, logs and host functions, in turn. Without --threads one
engine per Lua version runs in turn, and RSS may grow by less than 1 MB after the warm-up. With --threads each thread
has an engine of its own, and another thread interrupts them at random moments; every run must end in a result that
fits.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from luagauge import (
    LUA_VERSIONS,
    LuaEngine,
    MemoryLimitExceeded,
    ScriptConfig,
    ScriptInterruptedError,
    ScriptRuntimeError,
    ScriptTimeoutError,
    snapshot,
)

MIB = 1048576
CASES: tuple[tuple[str, type[Exception] | None], ...] = (
    ("return 1 + 1", None),
    ("local t = {} for i = 1, 50 do t[i] = {i, tostring(i)} end return #t", None),
    ("for i = 1, 5 do print('line', i) end log('warn', 'done')", None),
    ("return context.request.name, #context.request.items", None),
    ("return double(21), double(1.5)", None),
    ("local co = coroutine.wrap(function() for i = 1, 5 do coroutine.yield(i) end end) return co() + co()", None),
    ("return (('hello world'):gsub('o', '0')), ('k=v'):match('(%w)=(%w)')", None),
    ("local s = {} for i = 1, 30 do s[i] = ('x'):rep(i) end return table.concat(s, ',')", None),
    ("error('on purpose')", ScriptRuntimeError),
    ("local t = nil; return t.x", ScriptRuntimeError),
    ("fail()", ScriptRuntimeError),
    ("return pcall(fail)", None),
)
RARE: tuple[tuple[str, type[Exception]], ...] = (
    ("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", MemoryLimitExceeded),
    ("while true do end", ScriptTimeoutError),
    ("while true do pcall(function() while true do end end) end", ScriptTimeoutError),
    ("return (('a'):rep(30)):find(('a?'):rep(30) .. ('a'):rep(30))", ScriptTimeoutError),
)
CONTEXT = {"request": {"name": "soak", "items": [1, 2, 3, {"deep": [True, None, "x"]}]}}


def fail() -> None:
    """Fail."""
    raise ValueError("host function")


def make_engine(version: str) -> LuaEngine:
    """Return an engine whose limits are reached quickly."""
    functions: dict[str, Callable[..., Any]] = {"double": lambda x: x * 2, "fail": fail}
    return LuaEngine(ScriptConfig(lua=version, timeout_ms=5, memory_limit_mb=2, functions=functions))


def one(engine: LuaEngine, source: random.Random, *, interrupted: bool) -> None:
    """Run one script and hold its result against what must come."""
    rare = source.random() < 0.001
    script, expected = source.choice(RARE) if rare else source.choice(CASES)
    result = engine.execute_script(script, CONTEXT)
    allowed: tuple[type[Exception], ...] = (expected,) if expected else ()
    if interrupted or rare:
        allowed += (ScriptInterruptedError, ScriptTimeoutError)
    fine = (result.success and expected is None) or isinstance(result.error, allowed)
    # A run may be late on a loaded machine: 5 ms of wall time can pass before its first instruction.
    if not fine and not isinstance(result.error, ScriptTimeoutError):
        raise AssertionError(f"{script!r} on {engine!r}: {result!r}")


def in_turn(runs: int, seed: int) -> int:
    """Run everything in this thread; the exit code."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    engines = [make_engine(version) for version in LUA_VERSIONS]
    for engine in engines * 3:  # every kind of run, on every engine: from here on memory is only used again
        for script, _ in (*CASES, *RARE):
            engine.execute_script(script, CONTEXT)
    warm_up, started, base = runs // 20, time.monotonic(), 0
    for number in range(runs):
        one(source.choice(engines), source, interrupted=False)
        if number == warm_up:
            gc.collect()
            base = snapshot().rss_bytes
    gc.collect()
    grown = snapshot().rss_bytes - base
    took = time.monotonic() - started
    print(f"{runs} runs in {took:.0f} s; RSS after {warm_up} of them: {base / MIB:.1f} MiB, then {grown:+d} bytes")
    return 0 if grown < MIB else 1


def in_threads(count: int, minutes: float, seed: int) -> int:
    """Run engines in threads under random interrupts; the exit code."""
    until = time.monotonic() + minutes * 60
    versions = [LUA_VERSIONS[i % len(LUA_VERSIONS)] for i in range(count)]
    engines = [make_engine(version) for version in versions]
    failures: list[BaseException] = []
    done = [0] * count

    def work(index: int) -> None:
        source = random.Random(seed + index)  # noqa: S311 - repeatable, not secret
        try:
            while time.monotonic() < until and not failures:
                one(engines[index], source, interrupted=True)
                done[index] += 1
        except BaseException as error:  # noqa: BLE001 - reported by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    source, interrupts = random.Random(seed - 1), 0  # noqa: S311 - repeatable, not secret
    while any(thread.is_alive() for thread in threads):
        interrupts += source.choice(engines).interrupt()
        time.sleep(source.random() * 0.002)
    for thread in threads:
        thread.join()
    print(f"{count} threads, {minutes:g} min: {sum(done)} runs, {interrupts} interrupts; {failures or 'no failure'}")
    return 1 if failures else 0


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=20000)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.threads:
        return in_threads(options.threads, options.minutes, options.seed)
    return in_turn(options.runs, options.seed)


if __name__ == "__main__":
    sys.exit(main())
