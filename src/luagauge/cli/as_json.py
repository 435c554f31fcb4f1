"""Results as JSON. The keys are those of the result types and stay as they are.

docs/command-line.md describes the notation.
"""

from __future__ import annotations

import base64
import math
from dataclasses import asdict, fields
from typing import Any

from luagauge.errors import ScriptError
from luagauge.results import LogEntry, ScriptResult

_FIRST, _LAST = ("success", "output", "logs", "logs_dropped"), ("error",)
_NAMES = (
    *_FIRST,
    *(one.name for one in fields(ScriptResult) if one.name not in (*_FIRST, *_LAST)),
    *_LAST,
)
"""The keys of a result, in their order."""


def encode(value: Any) -> Any:
    """Return plain data as what JSON can hold, so that nothing is lost and nothing is ambiguous.

    What JSON lacks becomes an object with one key that starts with `$`: `{"$bytes": base64}`, `{"$float": "nan"}` (or
    `"inf"`, `"-inf"`), `{"$tuple": [...]}`, and `{"$map": [[key, value], ...]}` for a dict with a key that is not text
    or that starts with `$`.
    """
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if isinstance(value, tuple):
        return {"$tuple": [encode(item) for item in value]}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: encode(item) for key, item in value.items()}
        return {"$map": [[encode(key), encode(item)] for key, item in value.items()]}
    return value


def error_fields(error: ScriptError) -> dict[str, Any]:
    """Return an error's type, message and figures."""
    figures = {name: encode(value) for name, value in vars(error).items() if not name.startswith("_")}
    return {"type": type(error).__name__, **figures, "message": str(error)}


def result_fields(result: ScriptResult) -> dict[str, Any]:
    """Return everything a result holds."""
    memory = None
    if result.memory is not None:
        memory = {"used_bytes": result.memory.used_bytes, **asdict(result.memory)}
    shown = {
        "logs": [_log_fields(entry) for entry in result.logs],
        "memory": memory,
        "error": None if result.error is None else error_fields(result.error),
    }
    return {name: shown[name] if name in shown else encode(getattr(result, name)) for name in _NAMES}


def _log_fields(entry: LogEntry) -> dict[str, Any]:
    """Return one log entry."""
    return {"level": encode(entry.level), "message": encode(entry.message), "time": entry.time}
