"""What a script logs: order, levels, text of any value, bounds, and what is left out is counted."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from luas import HAVE_CLOSE
from stock_lua import our_answer, stock_answer

from luagauge import LuaEngine, ScriptRuntimeError

if TYPE_CHECKING:
    from collections.abc import Callable


def test_logs_keep_order_level_and_text(engine: LuaEngine) -> None:
    """Print and log in one sequence."""
    result = engine.execute_script("print('one') log('info', 'two') print('three') log('my level', 'four')")
    assert [(entry.level, entry.message) for entry in result.logs] == [
        ("print", "one"),
        ("info", "two"),
        ("print", "three"),
        ("my level", "four"),
    ]
    assert result.logs_dropped == 0
    assert result.output is None


def test_print_joins_any_values_with_tabs(engine: LuaEngine, lua: str) -> None:
    """As Lua's own print, with numbers in place of addresses."""
    source = "print() print(nil) print(1, 2.5, true, 'x', nil) print({}, print)"
    messages = [entry.message for entry in engine.execute_script(source).logs]
    assert messages[:3] == ["", "nil", "1\t2.5\ttrue\tx\tnil"]
    assert re.fullmatch(r"table: 0x[0-9a-f]{12}\tfunction: 0x[0-9a-f]{12}", str(messages[3]))


def test_print_calls_a_tostring_of_the_script(engine: LuaEngine, lua: str) -> None:
    """Up to 5.3, where print is written with the global; from 5.4 on it is not looked at."""
    source = (
        "local old = tostring tostring = function(x) return '<' .. old(x) .. '>' end "
        "print(1, 'a', {} ~= nil) tostring = old print(2) tostring = function() return 7 end print('seven')"
    )
    own = lua not in HAVE_CLOSE
    expected = ["<1>\t<a>\t<true>", "2", "7"] if own else ["1\ta\ttrue", "2", "seven"]
    assert [entry.message for entry in engine.execute_script(source).raise_for_error().logs] == expected


def test_print_checks_a_tostring_of_the_script(engine: LuaEngine, lua: str) -> None:
    """What it returns, what it is, and the error that it raises; strict globals of a run that names none are not asked."""
    if lua in HAVE_CLOSE:
        pytest.skip("print does not look at tostring from 5.4 on")
    refused = engine.execute_script("tostring = function() return {} end print(1)").error
    assert "'tostring' must return a string to 'print'" in str(refused)
    assert "attempt to call" in str(engine.execute_script("tostring = 5 print(1)").error)
    assert "mine" in str(engine.execute_script("tostring = function() error('mine') end print(1)").error)
    strict = "setmetatable(_G, {__index = function(_, name) error('undeclared ' .. name) end}) print('fine')"
    assert [entry.message for entry in engine.execute_script(strict).raise_for_error().logs] == ["fine"]
    assert [entry.message for entry in engine.execute_script("print('next')").logs] == ["next"]


def test_print_uses_tostring_metamethods(engine: LuaEngine) -> None:
    """An object's own text is what is logged, by print and by log."""
    source = """
    local point = setmetatable({}, {__tostring = function() return 'P(1)' end})
    print(point, point) log('info', point) log('info', point, nil, 'x', nil)
    """
    expected = ["P(1)\tP(1)", "P(1)", "P(1)\tnil\tx\tnil"]
    assert [entry.message for entry in engine.execute_script(source).logs] == expected


@pytest.mark.parametrize("answer", ["{1, 2, 3}", "true", "nil", "print", "coroutine.create(function() end)"])
@pytest.mark.parametrize("call", ["print(bad)", "print('x', bad, 'y')", "log('info', bad)", "log('info', 1, bad)"])
def test_print_refuses_a_tostring_that_gives_no_string(
    engine: LuaEngine, assert_usable: Callable[[LuaEngine], None], answer: str, call: str
) -> None:
    """What is no text is a Lua error, and the entries around it are whole."""
    source = f"""
    local bad = setmetatable({{1, 2}}, {{__tostring = function() return {answer} end}})
    print('before') local ok, message = pcall(function() {call} end) print('after') return ok, message
    """
    result = engine.execute_script(source)
    assert result.error is None
    assert result.output[0] is False
    assert re.match(r"(script:3: )?'(__)?tostring' must return a string", result.output[1])
    assert [entry.message for entry in result.logs] == ["before", "after"]
    assert_usable(engine)


def test_print_takes_a_tostring_that_gives_a_number(engine: LuaEngine) -> None:
    """Numbers are text wherever Lua takes text."""
    source = "print(setmetatable({}, {__tostring = function() return 12 end}), 'x')"
    result = engine.execute_script(source)
    if result.error is None:
        assert [entry.message for entry in result.logs] == ["12\tx"]
    else:
        assert "must return a string" in str(result.error)


def test_logs_hold_bytes_where_text_is_not_utf8(engine: LuaEngine) -> None:
    """A message is never altered; a level is always text."""
    (entry, other) = engine.execute_script("print('caf\\195') log('\\255', 'a\\0b')").logs
    assert entry.message == b"caf\xc3"
    assert other.level == "\\xff"
    assert other.message == "a\0b"


def test_log_joins_its_values_and_takes_any_short_level(engine: LuaEngine) -> None:
    """Values are joined by tabs, names of other levels may be used, and a level that is no UTF-8 is escaped."""
    result = engine.execute_script(
        r"log('info', 'a', 1, true) log('stderr', 'b') log('\255', 'c') log(('x'):rep(32), 'd')"
    )
    assert [(entry.level, entry.message) for entry in result.raise_for_error().logs] == [
        ("info", "a\t1\ttrue"),
        ("stderr", "b"),
        (r"\xff", "c"),
        ("x" * 32, "d"),
    ]
    assert "at most 32 bytes" in str(engine.execute_script("log(('x'):rep(33), 'e')").error)


def test_logs_have_the_time_they_were_made_at(engine: LuaEngine) -> None:
    """Seconds since the epoch, in order."""
    before = time.time()
    logs = engine.execute_script("print('a') for i = 1, 1e5 do end print('b')").logs
    after = time.time()
    assert before - 1 <= logs[0].time <= logs[1].time <= after + 1  # the clocks' ticks differ


@pytest.mark.parametrize("call", ["log()", "log('info')", "log({}, 'x')", "log(nil, 'x')", "log(('x'):rep(33), 'x')"])
def test_log_refuses_wrong_arguments(engine: LuaEngine, assert_usable: Callable[[LuaEngine], None], call: str) -> None:
    """A level of at most 32 bytes and a message; the error names the argument."""
    result = engine.execute_script(call)
    assert isinstance(result.error, ScriptRuntimeError)
    assert "bad argument #" in str(result.error)
    assert result.logs == ()
    assert_usable(engine)


def test_logs_are_bounded_in_entries(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Exactly the bound is kept, the oldest ones, and the rest counted."""
    engine = make_engine(lua, max_log_entries=10)
    result = engine.execute_script("for i = 1, 35 do print(i) end")
    assert [entry.message for entry in result.logs] == [str(i) for i in range(1, 11)]
    assert result.logs_dropped == 25
    assert engine.execute_script("print('next')").logs_dropped == 0


def test_logs_are_bounded_in_bytes_of_messages(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """The bound is of the messages together, to the byte; an entry is kept whole or not at all."""
    engine = make_engine(lua, max_log_size=10)
    result = engine.execute_script("print('12345') print('678901') log('a long level', '67890') print('x') print('')")
    assert [entry.message for entry in result.logs] == ["12345", "67890", ""]
    assert result.logs_dropped == 2
    assert len(engine.execute_script("print('1234567890')").logs) == 1


def test_no_logs_are_kept_where_none_are_wanted(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """0 entries, or 0 bytes: counted all the same."""
    result = make_engine(lua, max_log_entries=0).execute_script("print('x') print('')")
    assert (result.logs, result.logs_dropped) == ((), 2)
    result = make_engine(lua, max_log_size=0).execute_script("print('x') print('')")
    assert ([entry.message for entry in result.logs], result.logs_dropped) == ([""], 1)


def test_logs_of_coroutines_and_callbacks_are_in_order(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """One log for the run, whoever writes."""
    engine = make_engine(lua, functions={"f": lambda: None})
    source = (
        "local co = coroutine.wrap(function() print(2) coroutine.yield() print(4) end) print(1) co() f() print(3) co()"
    )
    assert [entry.message for entry in engine.execute_script(source).logs] == ["1", "2", "3", "4"]


def test_logs_of_a_failed_run_are_kept_and_not_the_next_runs(engine: LuaEngine) -> None:
    """Each result has its own."""
    assert [entry.message for entry in engine.execute_script("print('a') error('x')").logs] == ["a"]
    assert engine.execute_script("return 1").logs == ()


def test_warnings_are_entries_once_they_are_on(engine: LuaEngine) -> None:
    """They are off at first, and in the next run again; an order is a piece alone."""
    if engine.config.lua not in HAVE_CLOSE:
        assert engine.execute_script("return warn").output is None
        return
    source = "warn('one') warn('@on') warn('t', 'w', 0) warn('@what') warn('@', 'off') warn('@off') warn('four')"
    for _ in range(2):
        logs = engine.execute_script(source).logs
        assert [(entry.level, entry.message) for entry in logs] == [("warning", "tw0"), ("warning", "@off")]


@pytest.mark.parametrize(
    "call", ["pcall(warn)", "pcall(warn, {})", "pcall(warn, 1, nil)", "pcall(warn, 'a', 1, {})", "warn('x', 1)"]
)
def test_warnings_check_their_pieces_as_stock_lua(engine: LuaEngine, call: str) -> None:
    """All pieces are texts or numbers."""
    if engine.config.lua not in HAVE_CLOSE:
        pytest.skip("this Lua has no warn")
    assert our_answer(engine, f"return {call}") == stock_answer(engine, f"return {call}")
