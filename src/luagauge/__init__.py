"""Run Lua scripts inside Python and know exactly what memory each of them used, within limits."""

from __future__ import annotations

from luagauge._binding import snapshot, use_signal
from luagauge.config import LUA_VERSIONS, MemoryTrackingConfig, ScriptConfig, ScriptContext
from luagauge.engine import EngineStats, LuaEngine, LuaScript
from luagauge.errors import (
    ConfigurationError,
    EngineBusyError,
    EngineClosedError,
    EngineStateError,
    InstructionLimitExceeded,
    InvalidDataError,
    LuaGaugeError,
    MeasurementFailedError,
    MemoryLimitExceeded,
    MemoryTrackingError,
    OperationNotAllowed,
    OutputLimitExceeded,
    PlatformUnavailableError,
    ScriptError,
    ScriptInterruptedError,
    ScriptRuntimeError,
    ScriptSerializationError,
    ScriptSyntaxError,
    ScriptTimeoutError,
    SecurityViolation,
)
from luagauge.results import LogEntry, MemoryDelta, MemorySnapshot, ScriptMemory, ScriptResult
from luagauge.security import SecurityManager
from luagauge.tracker import Measurement, MemoryTracker

__all__ = [
    "LUA_VERSIONS",
    "ConfigurationError",
    "EngineBusyError",
    "EngineClosedError",
    "EngineStateError",
    "EngineStats",
    "InstructionLimitExceeded",
    "InvalidDataError",
    "LogEntry",
    "LuaEngine",
    "LuaGaugeError",
    "LuaScript",
    "Measurement",
    "MeasurementFailedError",
    "MemoryDelta",
    "MemoryLimitExceeded",
    "MemorySnapshot",
    "MemoryTracker",
    "MemoryTrackingConfig",
    "MemoryTrackingError",
    "OperationNotAllowed",
    "OutputLimitExceeded",
    "PlatformUnavailableError",
    "ScriptConfig",
    "ScriptContext",
    "ScriptError",
    "ScriptInterruptedError",
    "ScriptMemory",
    "ScriptResult",
    "ScriptRuntimeError",
    "ScriptSerializationError",
    "ScriptSyntaxError",
    "ScriptTimeoutError",
    "SecurityManager",
    "SecurityViolation",
    "snapshot",
    "use_signal",
]

__version__: str


def __getattr__(name: str) -> object:
    """Look the version up when it is asked for: importlib.metadata costs more than the rest of this import."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - see above

        try:
            return version("luagauge")
        except PackageNotFoundError:
            raise AttributeError("luagauge runs from a source tree that is not installed: it has no version") from None
    raise AttributeError(f"module 'luagauge' has no attribute {name!r}")
