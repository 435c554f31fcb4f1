"""What a run hands back: every field filled, frozen, comparable, and an error that can be raised."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from luas import LUAJIT

from luagauge import (
    LogEntry,
    LuaEngine,
    MemoryDelta,
    MemoryLimitExceeded,
    MemoryTrackingConfig,
    ScriptConfig,
    ScriptMemory,
    ScriptResult,
    ScriptRuntimeError,
    ScriptTimeoutError,
    _binding,
)
from luagauge._native import lib

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1048576
MEMORY = ScriptMemory(1000, 1500, 3000, 9000, 12, 1, 8192, MemoryDelta(1, -2, 0.5), False, "allocator")
RESULT = ScriptResult(True, {"a": [1]}, (LogEntry("info", "text", 1.5),), 2.5, 2000 / MIB, None, MEMORY, 3)


def test_result_of_a_run_has_every_field(engine: LuaEngine) -> None:
    """The values that C makes are whole: each field of each value type is set, with its documented type."""
    result = engine.execute_script("log('info', 'text') local s = ('x'):rep(100) return {s}")
    assert result.success is True
    assert result.error is None
    assert type(result.duration_ms) is float
    assert result.duration_ms > 0
    assert result.logs_dropped == 0
    assert result.stopped is None
    assert result.jit_off is (engine.config.lua in LUAJIT)
    assert result.output == ["x" * 100]
    (entry,) = result.logs
    assert type(entry) is LogEntry
    assert (entry.level, entry.message, type(entry.time)) == ("info", "text", float)
    memory = result.memory
    assert type(memory) is ScriptMemory
    assert memory.process is not None
    for field in dataclasses.fields(memory):
        if field.name not in {"process", "process_shared", "source"}:
            assert type(getattr(memory, field.name)) is int
    assert memory.source == "allocator"
    assert memory.process_shared is False
    assert type(memory.process.rss_delta_bytes) is int
    assert memory.process.duration > 0
    assert 0 < memory.start_bytes <= memory.end_bytes <= memory.peak_bytes
    assert memory.allocated_bytes >= memory.peak_bytes - memory.start_bytes
    assert memory.allocation_count > 0
    assert memory.refused_allocations == 0
    assert memory.reserved_bytes > 0
    assert memory.used_bytes == memory.peak_bytes - memory.start_bytes
    assert result.memory_used_mb == memory.used_bytes / MIB


def test_result_made_by_a_run_is_an_ordinary_one(engine: LuaEngine) -> None:
    """It equals, copies, pickles and shows itself as one made in Python does."""
    result = engine.execute_script("print('x') return {1}")
    assert dataclasses.replace(result) == result
    assert copy.deepcopy(result) == result
    assert pickle.loads(pickle.dumps(result)) == result  # noqa: S301 - our own bytes
    assert repr(result).startswith("ScriptResult(success=True, output=[1], ")
    assert dataclasses.asdict(result)["memory"]["source"] == engine.stats().source


@pytest.mark.parametrize("value", [RESULT, MEMORY, RESULT.logs[0], MEMORY.process], ids=lambda v: type(v).__name__)
def test_values_are_frozen_slotted_and_survive_copies(value: Any) -> None:
    """No field can be changed, none added; copies and pickles are equal."""
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)
    assert not hasattr(value, "__dict__")
    assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own bytes


def test_result_of_a_run_is_frozen(engine: LuaEngine) -> None:
    """The same holds for what C made."""
    result: Any = engine.execute_script("return 1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.output = 2


def test_used_bytes_are_the_peak_growth() -> None:
    """What the limit is held against."""
    assert MEMORY.used_bytes == 2000


def test_raise_for_error_returns_a_good_result_and_raises_a_bad_one(engine: LuaEngine) -> None:
    """So that calls can be chained."""
    assert engine.execute_script("return 7").raise_for_error().output == 7
    result = engine.execute_script("error('bad')")
    with pytest.raises(ScriptRuntimeError, match="script:1: bad") as caught:
        result.raise_for_error()
    assert caught.value is result.error


def test_failed_result_has_logs_figures_and_duration(engine: LuaEngine) -> None:
    """A failure keeps everything but the output."""
    result = engine.execute_script("print('got here') local s = ('x'):rep(50000) error('bad')")
    assert not result.success
    assert result.output is None
    assert [entry.message for entry in result.logs] == ["got here"]
    assert result.memory_used_mb is not None
    assert result.memory_used_mb > 50_000 / MIB
    assert result.duration_ms > 0


def test_failed_result_survives_pickle_with_its_error(engine: LuaEngine) -> None:
    """So that a worker process can hand it over."""
    result = engine.execute_script("local x\nerror('bad')")
    again = pickle.loads(pickle.dumps(result))  # noqa: S301 - our own bytes
    assert type(again.error) is ScriptRuntimeError
    assert (again.error.line, again.error.message) == (2, "script:2: bad")
    assert again.error.traceback == result.error.traceback  # type: ignore[union-attr]  # it failed


def test_result_without_tracking_has_no_figures(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Tracking off: None, never 0; the limits hold all the same."""
    engine = make_engine(lua, memory_tracking=MemoryTrackingConfig(enabled=False), memory_limit_mb=1)
    result = engine.execute_script("return 1")
    assert result.success
    assert result.memory is None
    assert result.memory_used_mb is None
    error = engine.execute_script("local t = {} for i = 1, 1e7 do t[i] = i end").error
    assert isinstance(error, MemoryLimitExceeded)


# --- the errors of outcomes that no script can provoke here ---------------------------------------------------------


def outcome_error(outcome: int, **fields: Any) -> Exception:
    """Return what run_error makes of an outcome."""
    values = {"message": "m", "line": 0, "traceback": "", "path": "", "figures": (0, 0, 0, 0), "cause": None, **fields}
    return _binding.run_error(ScriptConfig(), outcome, *values.values())


def test_run_error_of_memory_the_system_refused() -> None:
    """Not the script's limit: a runtime error that says so."""
    error = outcome_error(lib.LG_RUN_NO_MEMORY, line=3)
    assert type(error) is ScriptRuntimeError
    assert "operating system" in str(error)
    assert error.line == 3


def test_run_error_of_a_run_without_a_watchdog() -> None:
    """Nothing was run; the OS's reason is in the text."""
    error = outcome_error(lib.LG_RUN_UNWATCHED, figures=(0, 0, 0, 11))
    assert type(error) is ScriptRuntimeError
    assert "errno 11" in str(error) or "11" in str(error)


def test_run_error_raises_what_no_script_may_swallow() -> None:
    """The exception of the host function, or KeyboardInterrupt where it could not be kept."""
    with pytest.raises(SystemExit):
        outcome_error(lib.LG_RUN_CALLBACK, cause=SystemExit())
    with pytest.raises(KeyboardInterrupt):
        outcome_error(lib.LG_RUN_CALLBACK)


def test_run_error_shows_bytes_that_are_not_utf8() -> None:
    """Message, traceback and path are text in every case."""
    error = outcome_error(lib.LG_RUN_ERROR, message=b"a\xff", traceback=b"t\xfe", line=2)
    assert isinstance(error, ScriptRuntimeError)
    assert (error.message, error.traceback) == ("a\\xff", "t\\xfe")
    error = outcome_error(lib.LG_RUN_DATA, message="function", path=b".\xff")
    assert str(error).startswith("output.\\xff: a value of type function")


def test_run_error_has_the_limits_of_the_config() -> None:
    """A timeout's figure is the setting, in milliseconds."""
    error = outcome_error(lib.LG_RUN_TIMEOUT)
    assert isinstance(error, ScriptTimeoutError)
    assert error.timeout_ms == 5000
