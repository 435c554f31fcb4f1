"""The values that luagauge hands back.

All are frozen. Sizes are bytes. Durations say their unit.
"""

from __future__ import annotations

from luagauge._annotations import typing
from luagauge._values import dataclass
from luagauge.errors import ScriptError


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """One reading of the memory of this process: all of it, whoever allocated it.

    Attributes:
        heap_size_bytes: Private data as this OS counts it, or None where the OS has no such
            figure. Linux: the data and stack pages that are mapped, touched or not (VmData +
            VmStk). macOS: `phys_footprint`. Windows: `PrivateUsage`.
        rss_bytes: Memory resident in RAM, shared libraries included.
        timestamp: When the reading was taken, in seconds of `time.monotonic()`'s clock. On Windows
            that is the clock of CPython 3.13 and later.
    """

    # The C module fills the slots by name and runs no __init__: a __post_init__ here would not be called.
    heap_size_bytes: int | None
    rss_bytes: int
    timestamp: float


@dataclass(frozen=True, slots=True)
class MemoryDelta:
    """What changed in this process between two snapshots.

    Attributes:
        heap_delta_bytes: Growth of `heap_size_bytes`, negative where it shrank. None where a
            snapshot has no such figure.
        rss_delta_bytes: Growth of `rss_bytes`, negative where it shrank.
        duration: Seconds between the two snapshots.
    """

    heap_delta_bytes: int | None
    rss_delta_bytes: int
    duration: float


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line that a script logged with `print` or `log`.

    Attributes:
        level: `"print"`, `"stderr"`, `"warning"`, or the first argument of `log`. Bytes that are not UTF-8 are
            escaped in it.
        message: The text, as bytes where it was not UTF-8. `print` joins its arguments with tabs.
        time: When the line was logged, in seconds since the epoch (`time.time()`). The real time,
            whatever `ScriptConfig.clock` is.
    """

    level: str
    message: str | bytes
    time: float


@dataclass(frozen=True, slots=True)
class ScriptMemory:
    """Everything that was measured about one run's memory. Lua heap figures are exact to the byte.

    Attributes:
        start_bytes: The Lua heap when the run began, with its globals in place. Compiling, where
            it is needed, comes after that moment.
        end_bytes: The Lua heap when the script returned, garbage included.
        peak_bytes: The largest size of the Lua heap during the run.
        allocated_bytes: The sum of everything that the run asked for, however soon it was freed.
        allocation_count: How often the run asked for a block, or for a larger one.
        refused_allocations: How often the limit refused memory. In a successful run a number above
            0 has one of two meanings: a collection then freed enough, or the script caught the
            error and went on with less.
        reserved_bytes: What the Lua state held from the operating system when the run ended, live
            or not, and the engine's image. LuaJIT 2.0 has an allocator of its own. There the
            figure is what that allocator had in use. It keeps more, and nobody can say how much.
        process: What happened to the whole process meanwhile, or None where that was not measured.
            This is never the script's own use. The host and other threads are in it, and freed
            memory may not be seen in it.
        process_shared: True where other runs overlapped this one. `process` is theirs too then.
        source: Where the figures of the Lua heap come from. Always `"allocator"`: they are
            counted, byte by byte, where the heap is allocated.
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
        """Peak growth of the Lua heap, in bytes; `memory_used_mb` is the same in MiB."""
        return self.peak_bytes - self.start_bytes


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """What a run came to.

    A failure of the script is data: `success` is False, `error` is set, and the rest is filled in.

    Attributes:
        success: True where the script ended by itself, without an error, and its output could be
            read.
        output: What the chunk returned, as plain Python data. Where it returned nothing, the
            global `result`. A table with the keys 1..n becomes a list, and so does an empty table.
            Any other table becomes a dict. Several results become a tuple. Strings become str, or
            bytes where they are not UTF-8.
        logs: What the script logged, oldest first.
        duration_ms: Wall time of the run in milliseconds, from globals to packed output.
        memory_used_mb: Peak growth of the Lua heap during the run in MiB (1,048,576 bytes), exact
            to the byte. None where tracking is off.
        error: What went wrong, or None.
        memory: Everything that was measured, or None where tracking is off.
        logs_dropped: How many log entries were left out because the limits were reached.
        stopped: How a limit or an interruption ended the run. `"error"`: by an error inside the
            script, so `error.line` and `error.traceback` may say where. `"state"`: by throwing the
            script's Lua state away (`ScriptConfig.hard_stop`), so only what it had logged is
            known. None where nothing had to end the run.
        jit_off: True where this Lua has a JIT compiler. The compiler is off then, because luagauge
            does not use it yet.
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
            This result, so that calls can be chained:
            `engine.execute_script(s).raise_for_error().output`.

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
