"""The values that luagauge hands back. All are frozen; sizes are bytes, durations say their unit."""

from __future__ import annotations

from luagauge._annotations import typing
from luagauge._values import dataclass
from luagauge.errors import ScriptError


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """One reading of the memory of this process: all of it, whoever allocated it.

    Attributes:
        heap_size_bytes: Private data as this OS counts it, or None where it has no such figure. Linux: data and stack
            pages, mapped whether touched or not (VmData + VmStk). macOS: `phys_footprint`. Windows: `PrivateUsage`.
        rss_bytes: Memory resident in RAM, shared libraries included.
        timestamp: When, in seconds of `time.monotonic()`'s clock (on Windows: that of CPython 3.13 and later).
    """

    # The C module fills the slots by name and runs no __init__: a __post_init__ here would not be called.
    heap_size_bytes: int | None
    rss_bytes: int
    timestamp: float


@dataclass(frozen=True, slots=True)
class MemoryDelta:
    """What changed in this process between two snapshots.

    Attributes:
        heap_delta_bytes: Growth of `heap_size_bytes`, negative where it shrank, or None where a snapshot has none.
        rss_delta_bytes: Growth of `rss_bytes`, negative where it shrank.
        duration: Seconds between the two.
    """

    heap_delta_bytes: int | None
    rss_delta_bytes: int
    duration: float


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line that a script logged with `print` or `log`.

    Attributes:
        level: `"print"`, or the first argument of `log`.
        message: The text; bytes where it was not UTF-8. `print` joins its arguments with tabs.
        time: When, in seconds since the epoch (`time.time()`).
    """

    level: str
    message: str | bytes
    time: float


@dataclass(frozen=True, slots=True)
class ScriptMemory:
    """Everything that was measured about one run's memory. Lua heap figures are exact to the byte.

    Attributes:
        start_bytes: The Lua heap when the run began, its globals in place. Compiling, where needed, comes after.
        end_bytes: The Lua heap when the script returned, garbage included.
        peak_bytes: The highest the Lua heap ever was during the run.
        allocated_bytes: The sum of everything the run asked for, however soon it was freed.
        allocation_count: How often it asked for a block, or for a larger one.
        refused_allocations: How often the limit said no. More than 0 in a successful run means that a collection, or
            the script itself, made do with less.
        reserved_bytes: What the Lua state held from the operating system when the run ended, live or not, and the
            engine's image. On LuaJIT 2.0, whose allocator is its own: what it had in use; that allocator keeps more,
            nobody can say how much.
        process: What happened to the whole process meanwhile, or None where that was not measured. Never the script's
            own use: the host and other threads are in it, and freed memory may not be seen.
        process_shared: Other runs overlapped this one, so `process` is theirs too.
        source: Where the Lua heap figures come from. Always `"allocator"`: counted, byte by byte, where the heap is
            allocated.
    """

    start_bytes: int
    end_bytes: int
    peak_bytes: int
    allocated_bytes: int
    allocation_count: int
    refused_allocations: int
    reserved_bytes: int
    process: MemoryDelta | None
    process_shared: bool
    source: typing.Literal["allocator"]

    @property
    def used_bytes(self) -> int:
        """Peak growth of the Lua heap: what `memory_used_mb` says, in bytes."""
        return self.peak_bytes - self.start_bytes


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """What a run came to. A script's own failure is data: `success` is False, `error` is set, the rest is filled in.

    Attributes:
        success: The script ended by itself, without an error, and its output could be read.
        output: What the chunk returned as plain Python data, or the global `result` where it returned nothing. A table
            with the keys 1..n is a list (so is an empty one), any other a dict; several results are a tuple. Strings
            are str, or bytes where they are not UTF-8.
        logs: What it logged, oldest first.
        duration_ms: Wall time of the run in milliseconds, from globals to packed output.
        memory_used_mb: Peak growth of the Lua heap during the run in MiB (1,048,576 bytes), exact to the byte; None
            where tracking is off.
        error: What went wrong, or None.
        memory: Everything that was measured, or None where tracking is off.
        logs_dropped: Log entries that were left out because the limits were reached.
        stopped: How a limit or an interruption ended the run: `"error"`, by an error inside the script, so that
            `error.line` and `error.traceback` may say where; `"state"`, by throwing its Lua state away
            (`ScriptConfig.hard_stop`), of which only what it had logged is known. None where nothing had to end it.
        jit_off: This Lua has a JIT compiler, and it is off: luagauge does not use it yet.
    """

    success: bool
    output: typing.Any
    logs: tuple[LogEntry, ...]
    duration_ms: float
    memory_used_mb: float | None
    error: ScriptError | None
    memory: ScriptMemory | None
    logs_dropped: int = 0
    stopped: typing.Literal["error", "state"] | None = None
    jit_off: bool = False

    def raise_for_error(self) -> ScriptResult:
        """Raise `error` if there is one.

        Returns:
            This result, so that a call can be chained: `engine.execute_script(s).raise_for_error().output`.

        Raises:
            ScriptError: The run failed.

        Example:
            >>> with LuaEngine() as engine:
            ...     engine.execute_script("error('no such item', 0)").raise_for_error()
            Traceback (most recent call last):
            luagauge.errors.ScriptRuntimeError: no such item
        """
        if self.error is not None:
            raise self.error
        return self
