"""The public names with their types, as users write them. Type-checked, never run."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any, Literal, TypedDict

import luagauge
from luagauge import (
    EngineStats,
    LogEntry,
    LuaEngine,
    LuaScript,
    Measurement,
    MemoryDelta,
    MemoryLimitExceeded,
    MemorySnapshot,
    MemoryTracker,
    MemoryTrackingConfig,
    OutputLimitExceeded,
    ScriptConfig,
    ScriptContext,
    ScriptError,
    ScriptMemory,
    ScriptResult,
    ScriptRuntimeError,
    ScriptSerializationError,
    ScriptSyntaxError,
    ScriptTimeoutError,
    SecurityManager,
)


class Order(TypedDict):
    """A context whose keys are known."""

    number: int
    items: list[str]


def use(*values: object) -> None:
    """Stand for what a user does with the values."""


def configure() -> ScriptConfig:
    """Every setting, and what reading it gives."""
    functions: Mapping[str, Callable[..., Any]] = {"f": len, "g": lambda *args: args}
    config = ScriptConfig(
        lua="5.4",
        timeout_ms=500,
        memory_limit_mb=0.5,
        max_output_size=1,
        max_log_entries=2,
        max_log_size=3,
        allow_filesystem=False,
        environment_variables={"A": "b"},
        functions=functions,
        random_seed=1,
        clock=datetime(2026, 1, 31, tzinfo=timezone.utc),
        on_log=lambda entry: use(entry.message),
        memory_tracking=MemoryTrackingConfig(enabled=True, on_error="ignore", min_delta_mb=0.1),
    )
    timeout_ms: float | None = config.timeout_ms
    memory_limit_mb: float | None = config.memory_limit_mb
    environment: Mapping[str, str] = config.environment_variables
    on_error: Literal["raise", "ignore"] = config.memory_tracking.on_error
    use(timeout_ms, memory_limit_mb, environment, on_error)
    seed: int | None = config.random_seed
    clock: float | datetime | Callable[[], float] | None = config.clock
    on_log: Callable[[LogEntry], object] | None = config.on_log
    use(seed, clock, on_log)
    ScriptConfig(clock=1.5)
    ScriptConfig(clock=lambda: 1)
    ScriptConfig(on_log=print)
    ScriptConfig(random_seed=1.5)  # type: ignore[arg-type]
    ScriptConfig(clock="now")  # type: ignore[arg-type]
    ScriptConfig(on_log=[])  # type: ignore[arg-type]
    ScriptConfig(lua=5.4)  # type: ignore[arg-type]
    ScriptConfig("5.4")  # type: ignore[call-arg]
    ScriptConfig(timeout_ms="5")  # type: ignore[arg-type]
    MemoryTrackingConfig(on_error="log")  # type: ignore[arg-type]
    config.timeout_ms = 5  # type: ignore[misc]
    return config


def run(engine: LuaEngine) -> ScriptResult:
    """Scripts in each form, with each kind of context."""
    script: LuaScript = engine.precompile_script("return 1", name="one")
    name: str = script.name
    engine.execute_script("return 1")
    engine.execute_script(b"return 1", {"a": 1}, name=name)
    engine.execute_script(script, ScriptContext(request={}, response=[], metadata=None))
    counts: dict[str, int] = {"a": 1}
    settings: Mapping[str, object] = counts
    order: Order = {"number": 1, "items": ["apple"]}
    engine.execute_script(script, counts)
    engine.execute_script(script, settings)
    engine.execute_script(script, MappingProxyType(counts))
    engine.execute_script(script, ChainMap(counts))
    engine.execute_script(script, order)
    engine.execute_script(script, {"request": order})
    problem: ScriptSyntaxError | None = engine.validate_syntax("return 1", name="x")
    line: int | None = problem.line if problem else None
    stats: EngineStats = engine.stats()
    live: int = stats.live_bytes
    stops: int = stats.hard_stops
    why_none: str | None = stats.no_hard_stop
    release: str = stats.release
    module: Literal["luagauge", "lupa"] = stats.module
    figures_from: Literal["allocator"] = stats.source
    interrupted: bool = engine.interrupt()
    closed: bool = engine.closed
    config: ScriptConfig = engine.config
    use(line, live, stops, why_none, release, module, figures_from, interrupted, closed, config)
    engine.execute_script(5)  # type: ignore[arg-type]
    engine.execute_script("return 1", "text")  # type: ignore[arg-type]
    engine.execute_script("return 1", [("a", 1)])  # type: ignore[arg-type]
    engine.execute_script("return 1", {1: "a"})  # type: ignore[dict-item]
    engine.execute_script("return 1", {}, "name")  # type: ignore[call-arg]
    with LuaEngine() as other:
        return other.execute_script("return 1").raise_for_error()


async def run_async(engine: LuaEngine, order: Order) -> ScriptResult:
    """The same, awaited."""
    await engine.execute_script_async("return 1", order)
    await engine.execute_script_async("return 1", MappingProxyType({"a": 1}))
    pending: Awaitable[ScriptResult] = engine.execute_script_async("return 1", {"a": 1}, name="x")
    return await pending


def read(result: ScriptResult) -> None:
    """Every field of a result."""
    success: bool = result.success
    output: Any = result.output
    logs: tuple[LogEntry, ...] = result.logs
    duration_ms: float = result.duration_ms
    used: float | None = result.memory_used_mb
    error: ScriptError | None = result.error
    dropped: int = result.logs_dropped
    stopped: Literal["error", "state"] | None = result.stopped
    jit_off: bool = result.jit_off
    memory: ScriptMemory | None = result.memory
    use(success, output, logs, duration_ms, used, error, dropped, stopped, jit_off)
    for entry in logs:
        level: str = entry.level
        message: str | bytes = entry.message
        time: float = entry.time
        use(level, message, time)
    if memory is not None:
        start: int = memory.start_bytes
        peak: int = memory.peak_bytes
        used_bytes: int = memory.used_bytes
        process: MemoryDelta | None = memory.process
        shared: bool = memory.process_shared
        source: Literal["allocator"] = memory.source
        use(start, peak, used_bytes, process, shared, source)
    result.output = 1  # type: ignore[misc]


def judge(error: ScriptError) -> tuple[object, ...]:
    """Every error's own figures."""
    if isinstance(error, ScriptSyntaxError):
        line: int | None = error.line
        return (line,)
    if isinstance(error, ScriptRuntimeError):
        message: str = error.message
        traceback: str | None = error.traceback
        return message, traceback, error.line
    if isinstance(error, ScriptTimeoutError):
        timeout_ms: float = error.timeout_ms
        return (timeout_ms,)
    if isinstance(error, MemoryLimitExceeded):
        used_mb: float = error.used_mb
        memory_error: MemoryError = error
        return used_mb, error.limit_mb, memory_error
    if isinstance(error, OutputLimitExceeded):
        size: int = error.size_bytes
        return size, error.limit_bytes
    if isinstance(error, ScriptSerializationError):
        path: str = error.path
        return (path,)
    return ()


def track() -> float | None:
    """The process side."""
    tracker = MemoryTracker(MemoryTrackingConfig())
    before: MemorySnapshot | None = tracker.snapshot()
    after: MemorySnapshot = luagauge.snapshot()
    delta: MemoryDelta | None = tracker.calculate_delta(before, after)
    with tracker.measure() as measurement:
        block: Measurement = measurement
    SecurityManager(ScriptConfig()).check_memory_limit(None)
    SecurityManager().check_memory_limit(1.5)
    SecurityManager().check_memory_limit("1")  # type: ignore[arg-type]
    use(block)
    return tracker.delta_to_mb(delta)
