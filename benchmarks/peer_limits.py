"""What happens when a script runs into its memory limit: how fast the host learns of it, and what is left behind."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

import psutil

from benchmarks.figures import MIB, Figure
from benchmarks.isolate import isolated
from benchmarks.method import Call
from benchmarks.peer_hosts import WASM_PAGE, WasmHost, quickjs_context, racer_context
from benchmarks.sides import runtime
from luagauge import LuaEngine, MemoryLimitExceeded, ScriptConfig

LIMIT_MB = 32
REPEATS = 5
LUA_HOG = "local kept = {} while true do kept[#kept + 1] = { #kept } end"
JS_HOG = "(() => { const kept = []; while (true) kept.push([kept.length]); })()"


def refused(call: Call, reported: Callable[[Exception], bool]) -> None:
    """Make a call that has to fail, and in the way that reports a limit.

    Raises:
        RuntimeError: It returned.
    """
    try:
        call()
    except Exception as error:
        if reported(error):
            return
        raise
    raise RuntimeError("the limit was not reported")


def luagauge_limit() -> None:
    """Hit the limit in a new engine.

    Raises:
        TypeError: The result's error is another one.
    """
    with LuaEngine(ScriptConfig(memory_limit_mb=LIMIT_MB)) as engine:
        result = engine.execute_script(LUA_HOG)
    if not isinstance(result.error, MemoryLimitExceeded):
        raise TypeError(f"luagauge reported {result.error!r}")


def lupa_limit() -> None:
    """Hit the limit in a new lupa runtime."""
    limited = runtime(max_memory=LIMIT_MB * MIB)
    refused(lambda: limited.execute(LUA_HOG), lambda error: type(error).__name__ == "LuaMemoryError")


def quickjs_limit() -> None:
    """Hit the limit in a new QuickJS context: it throws an error object, or null where it cannot even make that."""
    evaluate = quickjs_context(LIMIT_MB)
    refused(lambda: evaluate(JS_HOG), lambda error: str(error).strip() == "null" or "out of memory" in str(error))


def racer_limit() -> None:
    """Hit the limit in a new V8 isolate."""
    evaluate = racer_context(LIMIT_MB)
    refused(lambda: evaluate(JS_HOG), lambda error: type(error).__name__ == "JSOOMException")


def wasm_limit() -> None:
    """Grow the linear memory of a new instance until it is refused.

    Raises:
        RuntimeError: It ended at another size than the limit.
    """
    pages = WasmHost().instance("grow", LIMIT_MB)()
    if pages * WASM_PAGE != LIMIT_MB * MIB:
        raise RuntimeError(f"wasmtime let the memory grow to {pages} pages")


LIMITED: dict[str, Call] = {
    "luagauge": luagauge_limit,
    "lupa with max_memory": lupa_limit,
    "quickjs": quickjs_limit,
    "mini-racer (V8)": racer_limit,
    "wasmtime (growing a linear memory)": wasm_limit,
}


def limit_reached(name: str) -> tuple[float, float]:
    """Hit one engine's limit some times; run in a process of its own.

    Returns:
        The median of the milliseconds that one took, and by how many MiB the process is larger afterwards.
    """
    process = psutil.Process()
    call = LIMITED[name]
    call()
    gc.collect()
    before = process.memory_info().rss
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1e3)
    gc.collect()
    return statistics.median(taken), (process.memory_info().rss - before) / MIB


def measure() -> list[Figure]:
    """Let a script run into the limit of every engine."""
    topic = f"peers: a limit of {LIMIT_MB} MiB is hit in a new engine"
    figures = []
    for name in LIMITED:
        taken, left = isolated(limit_reached, name)
        figures.append(Figure(topic, f"time to the report: {name}", taken, "ms"))
        figures.append(Figure(topic, f"RSS left by {REPEATS} more: {name}", left, "MiB"))
    return figures
