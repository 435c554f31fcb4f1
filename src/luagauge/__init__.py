"""Run Lua scripts inside Python and know exactly what memory each of them used, within limits."""

from __future__ import annotations

import _thread

# The names of this package by the module that holds each. A module is loaded when a name of it is first used, so that
# a program pays for what it uses only. Type checkers read __init__.pyi, which says the same.
_HOMES = {
    "LUA_VERSIONS": "config",
    "ConfigurationError": "errors",
    "EngineBusyError": "errors",
    "EngineClosedError": "errors",
    "EngineStateError": "errors",
    "EngineStats": "engine",
    "InstructionLimitExceeded": "errors",
    "InvalidDataError": "errors",
    "LogEntry": "results",
    "LuaEngine": "engine",
    "LuaGaugeError": "errors",
    "LuaScript": "engine",
    "Measurement": "tracker",
    "MeasurementFailedError": "errors",
    "MemoryDelta": "results",
    "MemoryLimitExceeded": "errors",
    "MemorySnapshot": "results",
    "MemoryTracker": "tracker",
    "MemoryTrackingConfig": "config",
    "MemoryTrackingError": "errors",
    "OutputLimitExceeded": "errors",
    "PlatformUnavailableError": "errors",
    "ScriptConfig": "config",
    "ScriptContext": "config",
    "ScriptError": "errors",
    "ScriptInterruptedError": "errors",
    "ScriptMemory": "results",
    "ScriptResult": "results",
    "ScriptRuntimeError": "errors",
    "ScriptSerializationError": "errors",
    "ScriptSyntaxError": "errors",
    "ScriptTimeoutError": "errors",
    "SecurityManager": "security",
    "SecurityViolation": "errors",
    "snapshot": "_binding",
    "use_signal": "_binding",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]  # the stub has it in full

_loading = _thread.RLock()
"""Held while a module is loaded, and by a thread that forks. So no child gets a module that is half loaded for ever."""

try:
    from posix import register_at_fork
except ImportError:  # Windows, which has no fork
    pass
else:
    register_at_fork(before=_loading.acquire, after_in_child=_loading.release, after_in_parent=_loading.release)
    del register_at_fork


def __getattr__(name: str) -> object:
    """Load what is asked for, and keep it: PEP 562."""
    if name == "__version__":
        value = _version()
    elif name in _HOMES:
        value = getattr(_module(_HOMES[name]), name)
    elif name in _HOMES.values():
        value = _module(name)
    else:
        raise AttributeError(f"module 'luagauge' has no attribute {name!r}")
    globals()[name] = value
    return value


def _module(name: str) -> object:
    """Load a module of this package."""
    with _loading:
        return __import__(f"luagauge.{name}", fromlist=(name,))


def __dir__() -> list[str]:
    """Name what there is, whether or not it was asked for yet."""
    here = {name for name in globals() if name.startswith("__")}
    return sorted({*here, *_HOMES, *_HOMES.values(), "__version__"})


def _version() -> str:
    """Look the version up; importlib.metadata takes longer to load than the rest of this package."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - see above

    try:
        return version("luagauge")
    except PackageNotFoundError:
        raise AttributeError("luagauge runs from a source tree that is not installed: it has no version") from None
