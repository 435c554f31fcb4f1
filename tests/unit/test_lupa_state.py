"""Engines on lupa's own counters, chosen whatever the platform offers: what differs from the C core, and what must not."""

from __future__ import annotations

import gc
import math
import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from luagauge import (
    LUA_VERSIONS,
    ConfigurationError,
    EngineBusyError,
    EngineClosedError,
    InstructionLimitExceeded,
    LuaEngine,
    MemoryLimitExceeded,
    MemoryTrackingConfig,
    OperationNotAllowed,
    OutputLimitExceeded,
    PlatformUnavailableError,
    ScriptConfig,
    ScriptInterruptedError,
    ScriptRuntimeError,
    ScriptSerializationError,
    ScriptSyntaxError,
    ScriptTimeoutError,
    _lupa,
    _lupa_state,
    _lupa_watch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1048576
# Run until something from outside ends them, without asking Lua for memory or asking for it all the time.
ENDLESS = {
    "loop": "while true do end",
    "pcall loop": "while true do pcall(function() while true do end end) end",
    "xpcall handler": "while true do xpcall(function() while true do end end, function() while true do end end) end",
    "coroutine": "coroutine.wrap(function() while true do end end)()",
    "nested coroutines": "local function f(n) if n == 0 then while true do end end "
    "return coroutine.resume(coroutine.create(function() return f(n - 1) end)) end f(20)",
    "resume loop": "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "allocating": "while true do local t = {} end",
    "allocating in pcall": "while true do pcall(function() local t = {} while true do t[#t + 1] = {} end end) end",
    "metamethod": "local t = setmetatable({}, {__index = function(t, k) while true do end end}) return t.x",
    "tostring": "print(setmetatable({}, {__tostring = function() while true do end end}))",
    "sort": "local t = {} for i = 1, 1e4 do t[i] = 1 end while true do table.sort(t, function() return false end) end",
    "gsub": "return (('x'):rep(1e4):gsub('.', function() while true do end end))",
    "pattern": "local s = ('a'):rep(30) return s:find(('a?'):rep(30) .. ('a'):rep(30))",
    "pattern of captures": "local s = ('a'):rep(3e3) return s:match('(.-)(.-)(.-)(.-)b')",
    "gmatch": "for _ in (('a'):rep(1e5)):gmatch('.-b') do end",
    "error object": "error(setmetatable({}, {__tostring = function() while true do end end}))",
    "load": "load(function() return 'x = 1 ' end)",
    "empty rep": "while true do string.rep('', 1e9) end",
}
# Ways to have more memory than there is.
GREEDY = {
    "table": "local t = {} for i = 1, 1e9 do t[i] = i end",
    "string": "local s = 'x' while true do s = s .. s end",
    "rep": "return #string.rep('x', 1e9)",
    "coroutine": "return coroutine.wrap(function() local t = {} while true do t[#t + 1] = {} end end)()",
    "load": "local s = 'return 1' while true do s = s .. ' + 1' .. s:sub(9) load(s) end",
}


@pytest.fixture(autouse=True)
def on_lupa(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose lupa's own counters for every engine of these tests."""
    monkeypatch.setenv("LUAGAUGE_STRATEGY", "lupa")


@pytest.fixture(params=[version for version in LUA_VERSIONS if version != "luajit2.0"])
def version(request: pytest.FixtureRequest) -> str:
    """Return each Lua version that this can limit."""
    try:
        _lupa.strategy(request.param)
    except ConfigurationError as error:
        pytest.skip(str(error))  # lupa's wheels hold different Luas on different platforms
    return str(request.param)


@pytest.fixture
def make() -> Iterator[Callable[..., LuaEngine]]:
    """Return a function that makes an engine; all are closed afterwards."""
    engines: list[LuaEngine] = []

    def engine(lua: str = "5.4", **settings: Any) -> LuaEngine:
        engines.append(LuaEngine(ScriptConfig(lua=lua, **settings)))
        return engines[-1]

    yield engine
    for made in engines:
        made.close()


def check_usable(engine: LuaEngine) -> None:
    """Assert that the next run is right, with data in, log and data out, and nothing left of the last one."""
    result = engine.execute_script(
        "print('next') return {context.a, leak == nil, result == nil, #('x'):rep(1000)}", {"a": 1}
    )
    assert result.error is None
    assert result.output == [1, True, True, 1000]
    assert [entry.message for entry in result.logs] == ["next"]


def test_lupa_says_what_it_is(make: Callable[..., LuaEngine], version: str) -> None:
    """Results and statistics name the source; what lupa does not know is None, the rest is a figure."""
    engine = make(version)
    result = engine.execute_script("local t = {} for i = 1, 1e4 do t[i] = {} end return #t")
    memory = result.memory
    assert engine.stats().source == "lupa"
    assert memory is not None
    assert memory.source == "lupa"
    assert (memory.allocated_bytes, memory.allocation_count, memory.refused_allocations) == (None, None, None)
    assert 0 < memory.start_bytes < memory.end_bytes <= memory.peak_bytes
    assert memory.used_bytes >= 10_000 * 40
    assert result.memory_used_mb == memory.used_bytes / MIB
    assert engine.stats().live_bytes < memory.end_bytes


def test_lupa_current_use_is_exact(make: Callable[..., LuaEngine], version: str) -> None:
    """What is in use at the end is what Lua itself counts, to within the few values of asking."""
    if version == "5.5":
        pytest.skip("5.5's own count leaves out strings made by its buffers")
    result = make(version).execute_script("local s = ('x'):rep(3e6) return collectgarbage('count') * 1024, #s")
    assert result.memory is not None
    assert result.output[0] == pytest.approx(result.memory.end_bytes, abs=2000)


def test_lupa_refuses_a_lua_without_limits() -> None:
    """A 64-bit LuaJIT 2.0 takes no memory limit from lupa, so no engine stands on it."""
    if sys.maxsize < 1 << 32:
        pytest.skip("the 32-bit one does")
    try:
        with pytest.raises(PlatformUnavailableError, match=r"luajit2\.1"):
            LuaEngine(ScriptConfig(lua="luajit2.0"))
    except ConfigurationError:
        pytest.skip("this lupa has no LuaJIT 2.0")


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS.keys())
def test_lupa_deadline_ends_every_endless_script(make: Callable[..., LuaEngine], version: str, source: str) -> None:
    """Nothing a script does keeps it going past its deadline for long, and the engine is as new."""
    engine = make(version, timeout_ms=60, memory_limit_mb=50)
    began = time.monotonic()
    error = engine.execute_script(source).error
    assert isinstance(error, ScriptTimeoutError)
    assert time.monotonic() - began < 60
    check_usable(make(version))
    again = engine.execute_script("return 1")
    assert again.output == 1 or isinstance(again.error, ScriptTimeoutError)  # 60 ms may be short on a busy machine


@pytest.mark.parametrize("source", GREEDY.values(), ids=GREEDY.keys())
def test_lupa_memory_limit_ends_every_greedy_script(make: Callable[..., LuaEngine], version: str, source: str) -> None:
    """The limit holds, the error says so, and the engine is as new; with and without a deadline."""
    for timeout_ms in (None, 60_000):
        engine = make(version, memory_limit_mb=4, timeout_ms=timeout_ms)
        result = engine.execute_script(source)
        if not isinstance(result.error, ScriptRuntimeError):  # a version may call a string too large before that
            assert isinstance(result.error, MemoryLimitExceeded)
            assert result.error.used_mb > result.error.limit_mb == 4
        assert result.memory_used_mb is not None
        assert result.memory_used_mb <= 4
        check_usable(engine)


def test_lupa_survives_ends_at_any_moment(make: Callable[..., LuaEngine], version: str) -> None:
    """Memory may be refused in the middle of the sandbox's own steps; the next run is right all the same."""
    functions: dict[str, Any] = {"f": lambda value: [value]}
    engine = make(version, timeout_ms=3, memory_limit_mb=1, functions=functions)
    source = "while true do local t = {f({1})} print(t) pcall(error) coroutine.wrap(function() f(t) end)() end"
    for _ in range(40):
        error = engine.execute_script(source).error
        assert isinstance(error, (ScriptTimeoutError, MemoryLimitExceeded))
    for limit in (*range(1, 4000, 97), *range(4000, 20000, 997)):
        small = make(version, memory_limit_mb=limit / MIB, functions=functions)
        error = small.execute_script("local t = {f({1})} print(t[1]) coroutine.wrap(function() f(t) end)()").error
        assert error is None or isinstance(error, MemoryLimitExceeded)
        small.close()


def test_lupa_memory_limit_can_be_caught(make: Callable[..., LuaEngine], version: str) -> None:
    """After a refusal a script may make do with less; raised again it is still the limit."""
    engine = make(version, memory_limit_mb=4)
    caught = engine.execute_script("local ok, e = pcall(string.rep, 'x', 1e8) return ok, e, #('y'):rep(1000)")
    assert caught.output == (False, "not enough memory", 1000)
    again = engine.execute_script("local ok, e = pcall(string.rep, 'x', 1e8) error(e, 0)")
    assert isinstance(again.error, MemoryLimitExceeded)


def test_lupa_never_refuses_the_host(make: Callable[..., LuaEngine], version: str) -> None:
    """What the host gives goes in however little the script may use: a refusal there would end the process."""
    engine = make(version, memory_limit_mb=1, functions={"big": lambda: "x" * 8 * MIB, "small": lambda: "y"})
    given = engine.execute_script(
        "return #context.text", {"text": "x" * 3 * MIB, "rows": [{"id": i} for i in range(99)]}
    )
    assert given.error is None or isinstance(given.error, MemoryLimitExceeded)
    assert isinstance(engine.execute_script("return #big()").error, MemoryLimitExceeded)
    assert engine.execute_script("local ok = pcall(big) return ok, small()").output == (False, "y")
    check_usable(engine)


def test_lupa_data_crosses_as_on_the_core(make: Callable[..., LuaEngine], version: str) -> None:
    """Contexts, arguments, answers and outputs of every shape, in batches small and large."""
    engine = make(version, functions={"echo": lambda *values: list(values)}, max_output_size=1 << 24)
    value = {
        "list": [1, 2.5, -0.5, True, False, "text", b"\xff\x00", [], {}],
        "map": {"a": {"b": {"c": [[[]]]}}, "7": "seven"},
        "many": list(range(1000)),
        "wide": {f"key {i}": i for i in range(300)},
        "huge": 2**53,
        "small": -(2**53),
        "tiny": 5e-324,
    }
    expected = {**value, "list": [1, 2.5, -0.5, True, False, "text", b"\xff\x00", [], []]}
    assert engine.execute_script("return context", value).output == expected
    assert engine.execute_script("return echo(context)[1]", value).output == expected
    assert engine.execute_script("return nil, 1, nil").output == (None, 1, None)
    assert engine.execute_script("return echo(1, nil, 'x', nil)").output == {1: 1, 3: "x"}
    floats = engine.execute_script("return 0.5, 1/0, -1/0, 2^60, -0.0").output
    assert floats[:3] == (0.5, math.inf, -math.inf)
    assert (type(floats[3]), floats[3]) == (float, 2.0**60)
    assert math.copysign(1, floats[4]) == -1 or version in {"5.1", "luajit2.1"}  # their compilers fold -0.0
    assert engine.execute_script("return 0/0").output != engine.execute_script("return 0/0").output
    check_usable(engine)


@pytest.mark.parametrize(
    "source, path",
    [
        ("return {a = {print}}", "output.a[1]"),
        ("local t = {} t.self = t return t", "output.self"),
        ("return 1, {x = coroutine.create(print)}", "output[2].x"),
        ("return {[{}] = 1}", "output[table]"),
        ("return {[true] = 1, [1] = 2}", "output[boolean]"),
        ("local t = {} for i = 1, 300 do t = {t} end return t", "output" + "[1]" * 200),
    ],
)
def test_lupa_names_what_is_no_data(make: Callable[..., LuaEngine], version: str, source: str, path: str) -> None:
    """An output that is not plain data is an error with its path."""
    error = make(version).execute_script(source).error
    assert isinstance(error, ScriptSerializationError)
    assert error.path == path


def test_lupa_bounds_output_logs_and_arguments(make: Callable[..., LuaEngine], version: str) -> None:
    """Sizes are counted by the rules of the settings."""
    engine = make(version, max_output_size=100, max_log_entries=2, functions={"f": lambda *_: None})
    error = engine.execute_script("return ('x'):rep(101)").error
    assert isinstance(error, OutputLimitExceeded)
    assert (error.size_bytes, error.limit_bytes) == (106, 100)
    assert engine.execute_script("return ('x'):rep(95)").output == "x" * 95
    logged = engine.execute_script("for i = 1, 5 do print(i, {}, nil) end log('warn', 'last')")
    assert [entry.message for entry in logged.logs] == ["1\ttable: (hidden)\tnil", "2\ttable: (hidden)\tnil"]
    assert logged.logs_dropped == 4
    assert "larger than max_output_size" in str(engine.execute_script("f(('x'):rep(200))").error)
    assert "function is not plain data" in str(engine.execute_script("f(print)").error)


def test_lupa_errors_have_line_traceback_and_cause(make: Callable[..., LuaEngine], version: str) -> None:
    """Errors are those of the C core; the sandbox's own frames are not shown."""

    def fail() -> None:
        raise LookupError("nothing there")

    engine = make(version, functions={"fail": fail})
    error = engine.execute_script("local x\n\nlocal function inner() return x.y end\ninner()", name="rules").error
    assert isinstance(error, ScriptRuntimeError)
    assert error.line == 3
    assert error.traceback is not None
    assert "rules:3:" in error.traceback
    assert "luagauge" not in error.traceback
    failed = engine.execute_script("\nfail()").error
    assert isinstance(failed, ScriptRuntimeError)
    assert str(failed) == "script:2: fail: LookupError: nothing there"
    assert isinstance(failed.__cause__, LookupError)
    caught = engine.execute_script("local ok, e = pcall(fail) return e").output
    assert caught.endswith("fail: LookupError: nothing there")
    syntax = engine.execute_script("x =\n= 1").error
    assert isinstance(syntax, ScriptSyntaxError)
    assert syntax.line == 2


@pytest.mark.parametrize(
    "source",
    [
        "return debug == nil and io == nil and package == nil and require == nil and python == nil and newproxy == nil",
        "return os.execute == nil and os.remove == nil and os.exit == nil and string.dump == nil and dofile == nil",
        "return getfenv == nil and setfenv == nil and module == nil and loadfile == nil and gcinfo == nil",
        "return getmetatable('') == false and not pcall(setmetatable, '', {})",
        "string.upper = nil return ('x'):upper() == 'X'",
        "return not tostring({}):find('0x') and not tostring(print):find('%x%x%x%x')",
        "return not pcall(string.format, '%p', {}) and not ('%s'):rep(2):find('0x')",
        "return (load or loadstring)('\\27Lua') == nil",
        "return _G._G == _G and context.request ~= nil",
        "local ok, e = pcall(collectgarbage, 'stop') return not ok",
    ],
)
def test_lupa_sandbox_is_closed(make: Callable[..., LuaEngine], version: str, source: str) -> None:
    """What a script must not reach is not there, and what it changes is its own."""
    engine = make(version)
    result = engine.execute_script(source)
    assert result.output is True, result.error
    check_usable(engine)


def test_lupa_refuses_finalizers(make: Callable[..., LuaEngine], version: str) -> None:
    """A __gc would run where nothing ends it."""
    error = make(version).execute_script("setmetatable({}, {__gc = function() end})").error
    assert isinstance(error, OperationNotAllowed)
    assert error.operation == "a finalizer (__gc)"


def test_lupa_runs_inherit_nothing(make: Callable[..., LuaEngine], version: str) -> None:
    """Globals, libraries and random numbers are each run's own, of a kept script too."""
    engine = make(version)
    script = engine.precompile_script(
        "count = (count or 0) + 1 string.extra = (string.extra or 0) + 1 math.randomseed(7) return count, string.extra"
    )
    for _ in range(3):
        assert engine.execute_script(script).output == (1, 1)
    assert engine.execute_script("return count == nil and string.extra == nil").output is True


def test_lupa_interrupt_ends_a_run(make: Callable[..., LuaEngine], version: str) -> None:
    """From another thread: with a deadline whatever the script does, without one when it next takes memory."""
    for timeout_ms, source in ((60_000, "while true do end"), (None, "while true do local t = {{}} end")):
        begun = threading.Event()
        engine = make(version, timeout_ms=timeout_ms, functions={"begun": begun.set})
        thread = threading.Thread(target=lambda: (begun.wait(), engine.interrupt()))  # noqa: B023 - joined below
        thread.start()
        result = engine.execute_script(f"begun() {source}")
        thread.join()
        assert isinstance(result.error, ScriptInterruptedError)
        assert engine.interrupt() is False
        check_usable(engine)


def test_lupa_interrupt_before_the_script_begins_is_not_lost(
    make: Callable[..., LuaEngine], version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that comes while the run is still being set up ends it too, and only it."""
    engine = make(version, timeout_ms=60_000)
    add, told = _lupa_watch.Watcher.add, []

    def add_late(watcher: _lupa_watch.Watcher, run: _lupa_watch.Watched) -> None:
        add(watcher, run)
        told.append(engine.interrupt())

    with monkeypatch.context() as patch:
        patch.setattr(_lupa_watch.Watcher, "add", add_late)
        result = engine.execute_script("while true do end")
    assert told == [True]
    assert isinstance(result.error, ScriptInterruptedError)
    check_usable(engine)


def test_lupa_watcher_starts_again_after_a_start_that_was_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of a signal handler's may come out of Thread.start, in the first run of a process."""

    class Run:
        owner = None

        def __init__(self) -> None:
            self.seen = threading.Event()

        def look(self) -> None:
            self.seen.set()

    def cut_short(_thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    watcher, first, second = _lupa_watch.Watcher(), Run(), Run()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cut_short)
        with pytest.raises(KeyboardInterrupt):
            watcher.add(first)
        watcher.remove(first)
    watcher.add(second)
    assert second.seen.wait(60)
    watcher.remove(second)


def test_lupa_runs_end_while_the_interpreter_shuts_down(version: str) -> None:
    """A run in a __del__ at exit needs no watching thread, which can neither be started then nor goes on."""
    program = f"""
import faulthandler, time
faulthandler.dump_traceback_later(100, exit=True)
from luagauge import LuaEngine, ScriptConfig
class Last:
    def __init__(self):
        self.engine = LuaEngine(ScriptConfig(lua={version!r}, timeout_ms=50, memory_limit_mb=4))
        self.engine.execute_script("return 1")
    def __del__(self):
        outcome = lambda result: result.output if result.error is None else type(result.error).__name__
        for script in (
            "return 2",
            "while true do end",
            "while true do pcall(function() while true do end end) end",
            "local t = {{}} for i = 1, 1e7 do t[i] = i end",
            "error('x')",
            "return 3",
        ):
            print(outcome(self.engine.execute_script(script)))
        self.engine.close()
last = Last()
"""
    environment = {**os.environ, "LUAGAUGE_STRATEGY": "lupa"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    expected = "2 ScriptTimeoutError ScriptTimeoutError MemoryLimitExceeded ScriptRuntimeError 3".split()
    assert done.stdout.split() == expected, done.stderr


def test_lupa_runs_without_a_watching_thread_where_none_can_be_started(
    make: Callable[..., LuaEngine], version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What CPython says from 3.12 on; a lack of threads for other reasons is an error."""
    reasons = ["can't create new thread at interpreter shutdown", "can't start new thread"]

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError(reasons.pop(0))

    engine = make(version, timeout_ms=20)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        patch.setattr(_lupa_state, "watcher", _lupa_watch.Watcher())
        assert isinstance(engine.execute_script("while true do end").error, ScriptTimeoutError)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            engine.execute_script("return 1")
    check_usable(engine)


def test_lupa_ends_a_run_at_a_keyboard_interrupt(make: Callable[..., LuaEngine], version: str) -> None:
    """What a host function raises that is no Exception comes through, and no pcall keeps it."""

    def stop() -> None:
        raise KeyboardInterrupt

    engine = make(version, functions={"stop": stop})
    with pytest.raises(KeyboardInterrupt):
        engine.execute_script("while true do pcall(stop) end")
    check_usable(engine)


def test_lupa_counts_instructions(make: Callable[..., LuaEngine], version: str) -> None:
    """The budget ends a run, in coroutines too; enough of it does not."""
    engine = make(version, max_instructions=50_000)
    assert isinstance(engine.execute_script("while true do end").error, InstructionLimitExceeded)
    source = "coroutine.wrap(function() while true do pcall(error) end end)()"
    assert isinstance(engine.execute_script(source).error, InstructionLimitExceeded)
    assert engine.execute_script("local n = 0 for i = 1, 1000 do n = n + i end return n").output == 500_500


def test_lupa_limits_cpu_time(make: Callable[..., LuaEngine], version: str) -> None:
    """The thread's own CPU time ends a run that computes."""
    error = make(version, timeout_ms=None, cpu_time_ms=30).execute_script("while true do end").error
    assert isinstance(error, ScriptTimeoutError)
    assert error.clock == "cpu"


@pytest.mark.parametrize("limits", [{"timeout_ms": None, "cpu_time_ms": 30}, {"timeout_ms": 30}])
def test_lupa_deadline_holds_where_the_clock_has_run_out(
    make: Callable[..., LuaEngine], monkeypatch: pytest.MonkeyPatch, version: str, limits: dict[str, Any]
) -> None:
    """After 24.8 days Windows' clock() gives the C library's -1 for good, which is less than any time to look again."""
    stock = _lupa_state._source

    def source(part: str) -> bytes:
        return (b"os.clock = function() return -0.001 end " if part == "guard" else b"") + stock(part)

    monkeypatch.setattr(_lupa_state, "_source", source)
    engine = make(version, **limits)
    assert isinstance(engine.execute_script("while true do end").error, ScriptTimeoutError)
    assert engine.execute_script("local n = 0 for i = 1, 1e5 do n = n + i end return os.clock() < 0").output is True


@pytest.mark.parametrize(
    "deeper", ["pcall(deep, n - 1)", "coroutine.wrap(deep)(n - 1)", "string.gsub('x', 'x', function() deep(n - 1) end)"]
)
def test_lupa_functions_can_be_called_at_any_depth(make: Callable[..., LuaEngine], version: str, deeper: str) -> None:
    """Where the C stack has no room left for calling the host, that is an error of the script's."""
    engine = make(version, functions={"f": lambda: 7}, timeout_ms=60_000)
    source = f"local function deep(n) if n == 0 then return f() end {deeper} end deep(context.n) return f()"
    for n in range(150, 205):
        result = engine.execute_script(source, {"n": n})
        assert result.output == 7 or isinstance(result.error, ScriptRuntimeError)
    check_usable(engine)


def test_lupa_deadline_can_stand_still_in_functions(make: Callable[..., LuaEngine]) -> None:
    """The time of host functions counts, or does not, as configured."""
    wait = threading.Event().wait
    settings: dict[str, Any] = {"timeout_ms": 300, "functions": {"wait": wait}}
    assert isinstance(make(**settings).execute_script("wait(0.4) return 1").error, ScriptTimeoutError)
    spared = make(**settings, deadline_includes_callbacks=False).execute_script("wait(0.4) return 1")
    assert spared.output == 1


def test_lupa_engine_that_is_new_lets_threads_wait(make: Callable[..., LuaEngine]) -> None:
    """Whoever comes second waits, at the very first use as well."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    problems: list[BaseException] = []

    def work(engine: LuaEngine) -> None:
        try:
            assert engine.execute_script("return 1").output == 1
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test is to show it
            problems.append(error)

    try:
        for _ in range(40):
            engine = make(timeout_ms=None)
            threads = [threading.Thread(target=work, args=(engine,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(before)
    assert problems == []


def test_lupa_engine_is_for_one_user_at_a_time(make: Callable[..., LuaEngine]) -> None:
    """A call from inside a run is refused; another thread waits; a closed engine says so."""
    refused: list[str] = []

    def inside() -> None:
        try:
            engine.execute_script("return 1")
        except EngineBusyError as error:
            refused.append(type(error).__name__)

    engine = make(functions={"inside": inside})
    engine.execute_script("inside()")
    assert refused == ["EngineBusyError"]
    outputs: list[Any] = []
    threads = [
        threading.Thread(target=lambda: outputs.append(engine.execute_script("return 2").output)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outputs == [2] * 4
    engine.close()
    engine.close()
    with pytest.raises(EngineClosedError):
        engine.execute_script("return 1")
    with pytest.raises(EngineClosedError):
        engine.stats()


def test_lupa_state_is_freed_with_its_engine(version: str) -> None:
    """Closed or dropped, nothing of the runtime stays: Lua and Python hold each other, and both let go."""

    def runtimes() -> int:
        gc.collect()
        return sum(type(found).__name__ == "LuaRuntime" for found in gc.get_objects())

    before = runtimes()
    for closed in (True, False):
        engine = LuaEngine(ScriptConfig(lua=version, functions={"f": lambda: 1}))
        assert engine.execute_script("return f()").output == 1
        if closed:
            engine.close()
        del engine
    assert runtimes() == before


def test_lupa_gives_back_what_a_run_took(make: Callable[..., LuaEngine], version: str) -> None:
    """After runs that ended well and badly the heap is what it was, coroutines left behind included."""
    engine = make(version, memory_limit_mb=8)
    source = (
        "local t = {} for i = 1, 500 do t[i] = coroutine.create(function() coroutine.yield() end) "
        "coroutine.resume(t[i]) end return #t"
    )
    script = engine.precompile_script(source)
    engine.execute_script(script)
    base = engine.stats().live_bytes
    for _ in range(5):
        assert engine.execute_script(script).output == 500
        assert engine.execute_script("error('x')").error is not None
    assert engine.stats().live_bytes <= base + 4096


def test_lupa_measures_the_process(make: Callable[..., LuaEngine]) -> None:
    """The process's delta is there, and left out where tracking is off; limits hold all the same."""
    memory = make().execute_script("return 1").memory
    assert memory is not None
    assert memory.process is not None
    assert memory.process.duration > 0
    off = make(memory_limit_mb=1, memory_tracking=MemoryTrackingConfig(enabled=False))
    result = off.execute_script("return #('x'):rep(1e8)")
    assert (result.memory, result.memory_used_mb) == (None, None)
    assert isinstance(result.error, MemoryLimitExceeded)


def test_lupa_compiles_without_running(make: Callable[..., LuaEngine], version: str) -> None:
    """Syntax is checked, a broken source has its line, bytecode is refused, and a huge one held to the deadline."""
    engine = make(version)
    assert engine.validate_syntax("return 1") is None
    error = engine.validate_syntax("x =\n\n= 2")
    assert error is not None
    assert error.line == 3
    assert "compiled" in str(engine.validate_syntax(b"\x1bLua"))
    late = make(version, timeout_ms=1)
    with pytest.raises(ScriptTimeoutError):
        late.precompile_script("do local x = 1 + 2 * 3 end\n" * 400_000)


MATCHES = [
    ("find", "hello world", "o w"), ("find", "a+b", "+", 1, True), ("match", "key = value", "^(%w+)%s*=%s*(%w+)$"),
    ("match", "  trim  ", "^%s*(.-)%s*$"), ("find", "THE (quick) fox", "%((%a+)%)"), ("gsub", "abc", "%w", "%0%0"),
    ("gsub", "hello world", "o", "0", 1), ("gsub", "abc", "", "-"), ("gsub", "a.b-c", "%p", "%%"),
    ("match", "x=[[y]]", "%[(=*)%[(.-)%]%1%]"), ("match", "f(a(b)c)d", "%b()"), ("find", "THE fox", "%f[%a]%a+"),
    ("gsub", "one two", "(%w+) (%w+)", "%2 %1"), ("match", "2024-01-02", "(%d+)-(%d+)-(%d+)"), ("match", "abc", "()b()"),
    ("find", "abc", "[a-"), ("find", "abc", "%"), ("match", "abc", "(a"), ("match", "abc", "a)"), ("gsub", "abc", "a", "%9"),
    ("find", "a\0b", "%z"), ("find", "abc", "[^%s]", -1), ("find", "", ""), ("find", "abc", "b", 10), ("match", "aaa", "a-$"),
    ("find", "a]b", "[]]"), ("find", "a^b", "a^"), ("gsub", "abc def", "%f[%w]%w+", "X"), ("match", "aXb", "%u"),
    ("gsub", "hello", "l*", "x"), ("match", "0x1F", "^0[xX](%x+)$"), ("find", "abcabc", "abc", 2), ("match", "äö", "[\x80-\xff]+"),
]  # fmt: skip


@pytest.mark.parametrize("call", MATCHES, ids=[f"{call[0]} {call[2]}" for call in MATCHES])
def test_lupa_matcher_agrees_with_the_stock_one(
    make: Callable[..., LuaEngine], version: str, call: tuple[Any, ...]
) -> None:
    """The matcher for long subjects gives what Lua's own gives: here both are asked about the same short ones."""
    name, *arguments = call
    engine = make(version)
    state: Any = engine._state
    shared = state._shared
    shared[b"hooked"] = False
    slow = shared[b"slow_gsub" if name == "gsub" else b"slow_find"]
    runtime = state._runtime
    values = [value.encode("latin-1") if isinstance(value, str) else value for value in arguments]
    source = b"local slow, name, s, p, a, b = ... local stock = ({...})[7]\n"
    source += (
        b"local function tidy(ok, ...) if ok then return ... end return (tostring((...)):gsub('^.-:%d+: ', '')) end\n"
    )
    source += b"local n = #s\n"
    source += b"if name == 'gsub' then return tidy(pcall(slow, s, p, a, b or n + 1)) end\n"
    source += b"local at = a or 1 if at < 0 then at = n + at + 1 end if at < 1 then at = 1 end\n"
    source += b"if b or at > n + 1 then return tidy(pcall(stock, s, p, a, b)) end\n"
    source += b"return tidy(pcall(slow, s, p, at, name == 'match'))"
    helper = runtime.compile(b"local tostring, pcall = ... return function(...) " + source + b" end")(
        shared[b"base"][b"tostring"], shared[b"base"][b"pcall"]
    )
    stock = shared[b"string"][name.encode()]
    padded = [*values, None, None][:4]
    got = helper(slow, name.encode(), *padded, stock)
    expected = engine.execute_script(
        f"local ok, a, b, c, d, e = pcall(string.{name}, context.v[1], context.v[2], context.v[3], context.v[4]) "
        "return {ok and 1 or 0, a == nil and 'nil' or a, b == nil and 'nil' or b, c == nil and 'nil' or c}",
        {"v": values},
    ).output
    assert expected is not None
    found = list(got) if isinstance(got, tuple) else [got]
    found = ["nil" if value is None else value for value in found] + ["nil"] * 3
    if expected[0] == 0:
        assert text(found[0]) == text(expected[1]).partition(": ")[2] or text(found[0]) == text(expected[1])
    else:
        assert [text(value) for value in found[:3]] == [text(value) for value in expected[1:4]]


def text(value: Any) -> Any:
    """Return bytes as str, so that both sides' strings compare."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def test_lupa_engines_work_after_a_fork() -> None:
    """A forked child has no watching thread until it needs one; its runs are watched all the same."""
    if not hasattr(os, "fork"):
        pytest.skip("this platform does not fork")
    program = textwrap.dedent("""
        import os, warnings
        from luagauge import LuaEngine, ScriptConfig
        warnings.simplefilter("ignore", DeprecationWarning)  # CPython warns of threads at a fork
        config = ScriptConfig(timeout_ms=50)
        LuaEngine(config).execute_script("return 1")
        child = os.fork()
        error = LuaEngine(config).execute_script("while true do local t = {} end").error
        if child == 0:
            os._exit(0 if type(error).__name__ == "ScriptTimeoutError" else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), type(error).__name__)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "0 ScriptTimeoutError\n", done.stderr
