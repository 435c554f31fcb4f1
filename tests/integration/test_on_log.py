"""Log entries that go to the host as they come: order, moments, bounds, errors, and the result beside them."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable

import pytest
from hard_stop import again, until_thrown_away
from long_steps import pure_step
from luas import HAVE_ARENA

from luagauge import (
    EngineBusyError,
    LogEntry,
    LuaEngine,
    ScriptInterruptedError,
    ScriptResult,
    ScriptRuntimeError,
    ScriptTimeoutError,
)

MakeEngine = Callable[..., LuaEngine]


def test_entries_come_while_the_run_is_on(make_engine: MakeEngine, lua: str) -> None:
    """Each before the script goes on."""
    seen: list[LogEntry] = []
    engine = make_engine(lua, on_log=seen.append, functions={"count": lambda: len(seen)})
    result = engine.execute_script(
        "local a = count() print('x') local b = count() log('info', 'y') return a, b, count()"
    )
    assert result.output == (0, 1, 2)
    assert tuple(seen) == result.logs
    assert [(entry.level, entry.message) for entry in seen] == [("print", "x"), ("info", "y")]


def test_entries_are_those_of_the_result(make_engine: MakeEngine, lua: str) -> None:
    """Text, bytes, empty lines, long ones, levels that are not UTF-8; equal, the time included."""
    seen: list[LogEntry] = []
    engine = make_engine(lua, on_log=seen.append)
    source = "print() print('caf\\195', 1, nil) log('\\255', 'a\\0b') print(('x'):rep(300000)) log('', {})"
    for _ in range(3):
        seen.clear()
        result = engine.execute_script(source)
        assert result.error is None
        assert len(seen) == 5
        assert tuple(seen) == result.logs


def test_entries_of_streams_come_with_the_ends_of_their_lines(make_engine: MakeEngine, lua: str) -> None:
    """A line that print ends comes whole; what the script leaves unfinished comes when it has returned."""
    seen: list[LogEntry] = []
    engine = make_engine(lua, on_log=seen.append, functions={"count": lambda: len(seen)})
    result = engine.execute_script(
        "local n = {} io.write('a', 'b') n[1] = count() io.write('c\\nd\\ne') n[2] = count() io.stderr:write('f\\n')"
        " n[3] = count() print('g') n[4] = count() io.write('h') io.stderr:write('i') n[5] = count() return n"
    )
    assert result.output == [0, 2, 3, 4, 4]
    assert [(entry.level, entry.message) for entry in seen] == [
        ("print", "abc"), ("print", "d"), ("stderr", "f"), ("print", "eg"), ("print", "h"), ("stderr", "i"),
    ]  # fmt: skip
    assert tuple(seen) == result.logs


def test_lines_that_a_failed_run_began_are_in_its_result(make_engine: MakeEngine, lua: str) -> None:
    """Nothing of the host's is called once the script has failed."""
    seen: list[LogEntry] = []
    result = make_engine(lua, on_log=seen.append).execute_script("io.write('a\\nb') error('x')")
    assert isinstance(result.error, ScriptRuntimeError)
    assert [entry.message for entry in seen] == ["a"]
    assert [entry.message for entry in result.logs] == ["a", "b"]


def test_error_at_an_unfinished_line_is_the_runs(make_engine: MakeEngine, lua: str) -> None:
    """What on_log raises there ends the run as it does at a print; the entries stay."""

    def refuse(entry: LogEntry) -> None:
        raise ValueError(entry.message)

    result = make_engine(lua, on_log=refuse).execute_script("io.write('unfinished') return 1")
    assert isinstance(result.error, ScriptRuntimeError)
    assert isinstance(result.error.__cause__, ValueError)
    assert [entry.message for entry in result.logs] == ["unfinished"]


def test_entries_beyond_the_bounds_are_not_handed_on(make_engine: MakeEngine, lua: str) -> None:
    """By number and by size: what the result leaves out, nobody gets."""
    seen: list[LogEntry] = []
    result = make_engine(lua, on_log=seen.append, max_log_entries=3).execute_script("for i = 1, 9 do print(i) end")
    assert [entry.message for entry in seen] == ["1", "2", "3"]
    assert (tuple(seen), result.logs_dropped) == (result.logs, 6)
    seen.clear()
    engine = make_engine(lua, on_log=seen.append, max_log_size=10)
    result = engine.execute_script("print(('x'):rep(11)) print('y') print(('z'):rep(10))")
    assert [entry.message for entry in seen] == ["y"]
    assert result.logs_dropped == 2


def test_entries_come_before_what_ends_the_run(make_engine: MakeEngine, lua: str) -> None:
    """An error, a deadline, a full budget: what was logged before has been handed on."""
    for source, settings in (
        ("print('before') error('x')", {}),
        ("print('before') while true do end", {"timeout_ms": 60}),
        ("print('before') while true do end", {"max_instructions": 2000}),
    ):
        seen: list[LogEntry] = []
        result = make_engine(lua, on_log=seen.append, **settings).execute_script(source)
        assert result.error is not None
        # A busy machine may use the time up before the script has begun.
        if result.logs or not isinstance(result.error, ScriptTimeoutError):
            assert [entry.message for entry in seen] == ["before"]
        assert tuple(seen) == result.logs


def test_entries_of_a_run_that_was_thrown_away_have_come(make_engine: MakeEngine, lua: str) -> None:
    """The hard stop never ends a run inside the host's function, and the next run hands on as before."""
    if lua not in HAVE_ARENA or make_engine(lua).stats().no_hard_stop is not None:
        pytest.skip("there is no hard stop")
    step, context = pure_step(lua)
    seen: list[LogEntry] = []
    engines: list[LuaEngine] = []

    def attempt(delay_ms: float) -> ScriptResult:
        seen.clear()
        engines.append(make_engine(lua, on_log=seen.append, timeout_ms=None, cpu_time_ms=delay_ms))
        return engines[-1].execute_script("print('begun') " + step, context)

    result = until_thrown_away(attempt)
    assert [entry.message for entry in seen] == ["begun"]
    assert tuple(seen) == result.logs
    seen.clear()
    assert again(engines[-1], engines[-1].precompile_script("print('next') return 1")).output == 1
    assert {entry.message for entry in seen} == {"next"}


def test_entries_come_from_coroutines_metamethods_and_sorts(make_engine: MakeEngine, lua: str) -> None:
    """Wherever a script may log."""
    seen: list[LogEntry] = []
    source = """
    local speaking = setmetatable({}, {__tostring = function() print('inside') return 'outside' end})
    print(speaking)
    coroutine.wrap(function() print('coroutine') coroutine.yield() end)()
    table.sort({2, 1}, function(a, b) log('sort', 'compared') return a < b end)
    xpcall(error, function() print('handler') end, 'x')
    """
    result = make_engine(lua, on_log=seen.append).execute_script(source)
    assert result.error is None
    messages = [entry.message for entry in seen]
    assert messages[:3] == ["inside", "outside", "coroutine"]
    assert set(messages[3:-1]) == {"compared"}
    assert messages[-1] == "handler"
    assert tuple(seen) == result.logs


def test_error_of_the_taker_is_an_error_of_the_script(make_engine: MakeEngine, lua: str) -> None:
    """As with a host function; the entry is in the result all the same."""

    def refuse(entry: LogEntry) -> None:
        raise ValueError(f"no {entry.message!s}")

    engine = make_engine(lua, on_log=refuse)
    result = engine.execute_script("local a = 1\nprint('thanks')")
    assert isinstance(result.error, ScriptRuntimeError)
    assert str(result.error) == "script:2: config.on_log: ValueError: no thanks"
    assert result.error.line == 2
    assert isinstance(result.error.__cause__, ValueError)
    assert [entry.message for entry in result.logs] == ["thanks"]
    result = engine.execute_script("local ok, text = pcall(log, 'info', 'one') return ok, text")
    assert result.output == (False, "config.on_log: ValueError: no one")
    assert [entry.message for entry in result.logs] == ["one"]


def test_exception_that_is_no_exception_comes_out(make_engine: MakeEngine, lua: str) -> None:
    """No pcall of the script's keeps it in."""

    def leave(_entry: LogEntry) -> None:
        raise KeyboardInterrupt

    engine = make_engine(lua, on_log=leave)
    with pytest.raises(KeyboardInterrupt):
        engine.execute_script("pcall(print, 1) while true do end")
    assert engine.execute_script("return 1").output == 1


def test_taker_may_interrupt_the_run(make_engine: MakeEngine, lua: str) -> None:
    """A host that has seen enough ends the run."""
    engines: list[LuaEngine] = []
    engines.append(make_engine(lua, on_log=lambda _entry: engines[0].interrupt()))
    result = engines[0].execute_script("while true do pcall(print, 'x') end")
    assert isinstance(result.error, ScriptInterruptedError)
    assert len(result.logs) == 1


def test_taker_may_use_other_engines_and_not_its_own(make_engine: MakeEngine, lua: str) -> None:
    """The engine is in a run; another one is free."""
    other = make_engine(lua)
    engines: list[LuaEngine] = []
    caught: list[object] = []

    def use(entry: LogEntry) -> None:
        caught.append(other.execute_script("return context.text", {"text": entry.message}).output)
        try:
            engines[0].execute_script("return 1")
        except EngineBusyError as error:
            caught.append(type(error))

    engines.append(make_engine(lua, on_log=use))
    assert engines[0].execute_script("print('x')").error is None
    assert caught == ["x", EngineBusyError]


def test_what_the_taker_returns_is_not_looked_at(make_engine: MakeEngine, lua: str) -> None:
    """It need not be plain data."""
    engine = make_engine(lua, on_log=lambda _entry: object())
    assert engine.execute_script("return select('#', print('x'))").output == 0


def test_taker_costs_a_script_no_memory(make_engine: MakeEngine, lua: str) -> None:
    """The figures are those of a run whose entries are only collected."""
    source = "for i = 1, 20 do print(i, 'text') end"
    used = []
    for settings in ({}, {"on_log": lambda _entry: None}):
        engine = make_engine(lua, **settings)
        engine.execute_script(source)
        memory = engine.execute_script(source).memory
        assert memory is not None
        used.append((memory.allocation_count, memory.allocated_bytes))
    assert used[0] == used[1]


def test_taker_runs_on_the_thread_and_in_the_context_of_the_run(make_engine: MakeEngine) -> None:
    """Synchronous runs: the caller's thread. Awaited ones: a worker's, with the context variables of the task."""
    name = contextvars.ContextVar("name", default="none")
    seen: list[tuple[int, str]] = []
    engine = make_engine(on_log=lambda _entry: seen.append((threading.get_ident(), name.get())))
    engine.execute_script("print('x')")
    assert seen == [(threading.get_ident(), "none")]

    async def main() -> None:
        name.set("task")
        await engine.execute_script_async("print('x')")

    asyncio.run(main())
    assert seen[1][0] != threading.get_ident()
    assert seen[1][1] == "task"
