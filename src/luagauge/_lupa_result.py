"""What a run on lupa's counters came to: Lua's report of it, put together as a `ScriptResult`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luagauge import _binding
from luagauge._lupa_data import text
from luagauge.errors import (
    InstructionLimitExceeded,
    MemoryLimitExceeded,
    MemoryTrackingError,
    OutputLimitExceeded,
    ScriptError,
    ScriptInterruptedError,
    ScriptTimeoutError,
)
from luagauge.results import LogEntry, MemoryDelta, MemorySnapshot, ScriptMemory, ScriptResult

if TYPE_CHECKING:
    from luagauge._lupa_host import Host
    from luagauge.config import ScriptConfig

_MIB = 1048576
_KIB = 1024


def limit_bytes(config: ScriptConfig) -> int:
    """Return the memory limit in bytes, 0 for none."""
    return 0 if config.memory_limit_mb is None else max(1, int(config.memory_limit_mb * _MIB))


class Report:
    """What Lua says of a run: the values that finish() in _lua/run.lua returns."""

    __slots__ = (
        "end",
        "fatal",
        "kind",
        "line",
        "logs_dropped",
        "message",
        "outcome",
        "path",
        "peak_kib",
        "ref",
        "size",
        "spent",
        "start",
        "traceback",
    )

    def __init__(self, values: tuple[Any, ...]) -> None:
        """Take the values."""
        self.outcome: str = values[0].decode()
        self.message: bytes = values[1]
        self.line: int = values[2]
        self.traceback: bytes = values[3]
        self.path: bytes = values[4]
        self.kind: str = values[5].decode()
        self.start, self.end = int(values[6]), int(values[7])
        self.peak_kib = int(values[8])
        self.size = int(values[9])
        self.logs_dropped = int(values[10])
        self.spent = bool(values[11])
        self.ref = int(values[12])
        self.fatal: BaseException | bytes | None = values[13]


@dataclass(frozen=True, slots=True)
class Measured:
    """What Python measured around a run.

    Attributes:
        readings: The process before and after: a snapshot, why there is none, or None where none was wanted.
        seconds: The wall time from the call to Lua's report.
        sampled_bytes: The highest of the watching thread's samples of the memory in use.
        shared: Whether another run of the process was on meanwhile.
    """

    readings: tuple[MemorySnapshot | MemoryTrackingError | None, MemorySnapshot | MemoryTrackingError | None]
    seconds: float
    sampled_bytes: int
    shared: bool


def result_of(config: ScriptConfig, host: Host, report: Report, name: bytes | None, measured: Measured) -> ScriptResult:
    """Put the result of a run together.

    Args:
        config: The engine's.
        host: What the run had of Python's; its values are taken.
        report: What Lua says of the run.
        name: The chunk name the script was compiled by.
        measured: What Python measured.

    Raises:
        MemoryTrackingError: The process could not be measured, and `on_error` is "raise".
    """
    for reading in measured.readings:
        if isinstance(reading, MemoryTrackingError) and config.memory_tracking.on_error == "raise":
            raise reading
    peak = max(report.start, report.end, report.peak_kib * _KIB, measured.sampled_bytes)
    error = None if report.outcome == "ok" else _error(config, host, report, name, peak)
    output = None
    if error is None:
        values = host.incoming.take()
        output = None if not values else values[0] if len(values) == 1 else tuple(values)
    memory = None
    if config.memory_tracking.enabled:
        memory = ScriptMemory(
            start_bytes=report.start,
            end_bytes=report.end,
            peak_bytes=peak,
            allocated_bytes=None,
            allocation_count=None,
            refused_allocations=None,
            reserved_bytes=report.end,
            process=_delta(*measured.readings),
            process_shared=measured.shared,
            source="lupa",
        )
    return ScriptResult(
        success=error is None,
        output=output,
        logs=_logs(host.log),
        duration_ms=measured.seconds * 1000,
        memory_used_mb=None if memory is None else (peak - report.start) / _MIB,
        error=error,
        memory=memory,
        logs_dropped=report.logs_dropped,
        stopped="error" if isinstance(error, _LIMITS) else None,
        jit_off=config.lua.startswith("luajit"),
    )


_LIMITS = (
    InstructionLimitExceeded,
    MemoryLimitExceeded,
    OutputLimitExceeded,
    ScriptInterruptedError,
    ScriptTimeoutError,
)


def _error(config: ScriptConfig, host: Host, report: Report, name: bytes | None, peak: int) -> ScriptError:
    """Return the error of a run that did not end well."""
    outcome, line, cause = report.outcome, report.line, None
    if outcome == "due" or host.reason is not None:  # whatever it said when it was ended
        outcome = "budget" if report.spent else host.reason or "interrupted"
        if isinstance(report.fatal, BaseException):
            outcome, host.cause = "callback", report.fatal
        elif report.fatal is not None:  # Lua's own words: it had no room on its stack for calling the host
            outcome, report.message = "error", bytes(report.fatal)
        cause = host.cause if outcome == "callback" else None
    elif outcome == "error" and report.kind == "forbidden":
        outcome = "forbidden"
    elif outcome == "error" and report.kind == "callback":
        cause = host.cause
    elif outcome == "memory":
        limit = limit_bytes(config)
        outcome, peak = ("memory", max(peak, report.start + limit + 1)) if limit else ("no_memory", peak)
    elif outcome == "data":
        line = int(report.kind == "key")
    elif outcome == "syntax":
        line = _syntax_line(name or b"", report.message)
    return _binding.run_error(
        config,
        _binding.OUTCOMES[outcome],
        text(report.message),
        line,
        _traceback(report.traceback),
        text(report.path),
        (report.start, peak, report.size, 0),
        cause,
    )


def _delta(before: object, after: object) -> MemoryDelta | None:
    """Return the change between two readings, or None where one failed or was not taken."""
    if not isinstance(before, MemorySnapshot) or not isinstance(after, MemorySnapshot):
        return None
    heap = None
    if before.heap_size_bytes is not None and after.heap_size_bytes is not None:
        heap = after.heap_size_bytes - before.heap_size_bytes
    return MemoryDelta(heap, after.rss_bytes - before.rss_bytes, after.timestamp - before.timestamp)


def _logs(lines: list[bytes]) -> tuple[LogEntry, ...]:
    """Return the log entries: in each line the length of the level, the time, the level and the message."""
    entries = []
    for line in lines:
        length, moment, rest = line.split(b":", 2)
        level, message = rest[: int(length)], rest[int(length) :]
        entries.append(LogEntry(level.decode("utf-8", "backslashreplace"), text(message), float(moment)))
    return tuple(entries)


def _traceback(trace: bytes) -> str:
    """Return Lua's traceback without the frames of the sandbox itself."""
    lines = trace.decode("utf-8", "backslashreplace").strip("\n").split("\n")
    shown = [line for line in lines if not line.startswith("\tluagauge")]
    return "\n".join(shown) if any(line.startswith("\t") for line in shown) else ""


def _syntax_line(name: bytes, message: bytes) -> int:
    """Return the line in `name:LINE: message`, 0 where there is none; Lua shortens a long name to "..." and its end."""
    for found in re.finditer(rb":(\d+):", message):
        head = message[: found.start()]
        if head == name[1:] or (head[:3] == b"..." and name.endswith(head[3:])):
            return int(found[1])
    return 0
