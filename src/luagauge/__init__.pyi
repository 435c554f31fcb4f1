from luagauge import config as config
from luagauge import engine as engine
from luagauge import errors as errors
from luagauge import results as results
from luagauge import security as security
from luagauge import tracker as tracker
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
