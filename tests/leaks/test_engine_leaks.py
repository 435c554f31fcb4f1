"""Whatever an engine is asked, and however often, the process holds no more than before.

`OPERATIONS` has one entry per public operation of an engine and of the values around it; a test fails when a public
name has none.
"""

from __future__ import annotations

import asyncio
import copy
import pickle
import signal
import sys
import threading
from types import MappingProxyType
from typing import Any

import pytest
from held_memory import KIB, assert_flat

import luagauge
from luagauge import (
    ConfigurationError,
    EngineBusyError,
    LogEntry,
    LuaEngine,
    MemoryLimitExceeded,
    PlatformUnavailableError,
    ScriptConfig,
    ScriptContext,
    ScriptError,
    ScriptSerializationError,
    SecurityManager,
)


class Host:
    """An engine with everything a run can use, and the operations that are repeated on it."""

    def __init__(self, lua: str) -> None:
        """Make the engine."""
        self.engine = LuaEngine(
            ScriptConfig(
                lua=lua,
                memory_limit_mb=4,
                timeout_ms=30_000,
                max_output_size=100_000,
                max_log_entries=20,
                environment_variables={"A": "b"},
                functions={"echo": lambda value: value, "fail": self.fail, "busy": self.busy, "leave": self.leave},
            )
        )
        self.replay = LuaEngine(
            ScriptConfig(
                lua=lua, memory_limit_mb=4, timeout_ms=30_000, random_seed=1, clock=self.clock, on_log=self.take_entry
            )
        )
        self.script = self.engine.precompile_script("return context.request.n", name="kept")
        self.count = 0

    def clock(self) -> float:
        """Give a moment, as a clock may."""
        return 1000.5

    def take_entry(self, entry: LogEntry) -> None:
        """Take a log entry, or refuse it."""
        if entry.message == "refused":
            raise ValueError("on purpose")

    def fail(self) -> None:
        """Raise, as a host function may."""
        raise ValueError("on purpose")

    def leave(self) -> None:
        """Raise what no script can catch."""
        raise KeyboardInterrupt

    def busy(self) -> str:
        """Call the engine inside its own run."""
        try:
            self.engine.execute_script("return 1")
        except EngineBusyError:
            return "busy"
        return "not refused"

    def run(self, source: str, context: Any = None) -> Any:
        """Run a source and return the result."""
        return self.engine.execute_script(source, context)

    # Each operation checks that it did what it is named for.

    def execute_script(self) -> None:
        """Context in, logs, a function, output."""
        context = ScriptContext(request={"rows": [1, 2.5, "x", b"\xff", None, {"k": [True]}]})
        result = self.run("print('x') log('i', 'y') return echo(context.request), os.getenv('A')", context)
        assert result.success

    def execute_new_source(self) -> None:
        """A source that was never seen: compile, keep, and drop an old one."""
        self.count += 1
        assert self.run(f"return {self.count}").output == self.count

    def execute_long_source(self) -> None:
        """A source that is not kept."""
        assert self.run("--" + "x" * 70_000 + "\nreturn 1").output == 1

    def execute_bytes(self) -> None:
        """Bytes in, bytes out."""
        assert self.engine.execute_script(b"return '\xfe\xff'").output == b"\xfe\xff"

    def execute_precompiled(self) -> None:
        """A compiled script."""
        assert self.engine.execute_script(self.script, ScriptContext(request={"n": 1})).output == 1

    def execute_mappings(self) -> None:
        """Mappings inside each other, and keys of bytes beside text."""
        rows = MappingProxyType({"b": [MappingProxyType({"c": 1})], b"a": 2, "n": 3})
        assert self.run("return echo(context).b[1].c", rows).output == 1

    def precompile_script(self) -> None:
        """Compile and drop."""
        assert repr(self.engine.precompile_script("local a = {1, 2, 'text'} return a"))

    def precompile_bad_source(self) -> None:
        """A syntax error that is raised."""
        with pytest.raises(luagauge.ScriptSyntaxError):
            self.engine.precompile_script("return return")

    def validate_syntax(self) -> None:
        """Valid and not."""
        assert self.engine.validate_syntax("return 1") is None
        assert self.engine.validate_syntax("return return") is not None

    def syntax_error(self) -> None:
        """A syntax error in a result."""
        assert self.run("x = = 1").error is not None

    def runtime_error(self) -> None:
        """With message and traceback."""
        assert self.run("local function f() error('x') end f()").error.traceback

    def error_object(self) -> None:
        """An error that is a table with a text of its own."""
        assert str(self.run("error(setmetatable({}, {__tostring = function() return 'own' end}))").error) == "own"

    def memory_limit(self) -> None:
        """Stopped at the limit."""
        assert isinstance(self.run("return #('x'):rep(1e8)").error, MemoryLimitExceeded)

    def output_limit(self) -> None:
        """Stopped at the output's bound."""
        assert isinstance(self.run("return ('x'):rep(200000)").error, luagauge.OutputLimitExceeded)

    def output_error(self) -> None:
        """Output that is no data, deep inside."""
        assert isinstance(self.run("return {a = {1, {b = print}}}").error, ScriptSerializationError)

    def changed_state(self) -> None:
        """A run that changes what belongs to the state: strings' methods, the collector, texts of objects."""
        source = "string.upper = tostring collectgarbage('stop') return ('x'):upper(), tostring({}):sub(1, 6)"
        assert self.run(source).output == ("x", "table:")

    def context_error(self) -> None:
        """A context that cannot enter."""
        with pytest.raises(ScriptSerializationError):
            self.run("return 1", {"a": [1, 2, {"b": object()}]})

    def wrong_arguments(self) -> None:
        """Misuse of each kind."""
        wrong: list[Any] = [5, None, object()]
        for value in wrong:
            with pytest.raises(ConfigurationError):
                self.engine.execute_script(value)
        with pytest.raises(ConfigurationError):
            self.engine.execute_script("return 1", "text")  # type: ignore[arg-type]  # it is the point

    def function_error(self) -> None:
        """An exception of a host function, caught by the script and not."""
        assert self.run("return (pcall(fail))").output is False
        assert isinstance(self.run("fail()").error.__cause__, ValueError)

    def function_end(self) -> None:
        """An exception that ends the call."""
        with pytest.raises(KeyboardInterrupt):
            self.run("leave()")

    def function_busy(self) -> None:
        """The engine inside its own function."""
        assert self.run("return busy()").output == "busy"

    def dropped_logs(self) -> None:
        """More than is kept."""
        assert self.run("for i = 1, 100 do print(i) end").logs_dropped == 80

    def seed_clock_and_taker(self) -> None:
        """A clock that is asked, entries that are taken and one that is refused."""
        source = "print('taken') log('x', 'taken') return pcall(print, 'refused'), math.random(10) <= 10, os.time()"
        assert self.replay.execute_script(source).output == (False, True, 1000)

    def coroutines(self) -> None:
        """Finished, suspended and failed ones."""
        source = """
        for i = 1, 10 do coroutine.wrap(function() coroutine.yield(1) end)() end
        local co = coroutine.create(function() error('x') end) coroutine.resume(co)
        return coroutine.wrap(function() return 1 end)()
        """
        assert self.run(source).output == 1

    def execute_script_async(self) -> None:
        """Through asyncio."""

        async def main() -> None:
            assert (await self.engine.execute_script_async("return 1")).output == 1

        asyncio.run(main())

    def interrupt(self) -> None:
        """Nothing to interrupt, and a run that interrupts itself."""
        assert self.engine.interrupt() is False

    def use_signal(self) -> None:
        """The signal that is in use, and what is none."""
        if sys.platform != "win32":
            luagauge.use_signal(signal.SIGURG)
        with pytest.raises(PlatformUnavailableError if sys.platform == "win32" else ConfigurationError):
            luagauge.use_signal(0)

    def stats(self) -> None:
        """Figures, properties and the repr."""
        assert self.engine.stats().runs >= 0
        assert self.engine.config.lua in repr(self.engine)
        assert not self.engine.closed

    def raise_for_error(self) -> None:
        """Good and bad."""
        self.run("return 1").raise_for_error()
        with pytest.raises(ScriptError):
            self.run("error('x')").raise_for_error()

    def result_copies(self) -> None:
        """Copy, compare and pickle."""
        result = self.run("return {1}")
        assert copy.copy(result) == pickle.loads(pickle.dumps(result))  # noqa: S301 - our own bytes

    def check_memory_limit(self) -> None:
        """SecurityManager, both ways."""
        manager = SecurityManager(self.engine.config)
        manager.check_memory_limit(1)
        with pytest.raises(MemoryLimitExceeded):
            manager.check_memory_limit(5)

    def open_and_close(self) -> None:
        """A whole engine."""
        with LuaEngine(self.engine.config) as engine:
            assert engine.execute_script("return 1").output == 1


# What is repeated how often, and which public names it stands for.
OPERATIONS: dict[str, tuple[int, frozenset[str]]] = {
    "execute_script": (5000, frozenset({"LuaEngine.execute_script", "ScriptContext", "ScriptResult", "LogEntry"})),
    "execute_new_source": (4000, frozenset()),
    "execute_long_source": (300, frozenset()),
    "execute_bytes": (4000, frozenset()),
    "execute_precompiled": (5000, frozenset({"LuaScript"})),
    "execute_mappings": (3000, frozenset()),
    "precompile_script": (3000, frozenset({"LuaEngine.precompile_script"})),
    "precompile_bad_source": (2000, frozenset({"ScriptSyntaxError"})),
    "validate_syntax": (3000, frozenset({"LuaEngine.validate_syntax"})),
    "syntax_error": (3000, frozenset()),
    "runtime_error": (3000, frozenset({"ScriptRuntimeError", "ScriptError"})),
    "error_object": (3000, frozenset()),
    "memory_limit": (2000, frozenset({"MemoryLimitExceeded", "SecurityViolation"})),
    "output_limit": (1000, frozenset({"OutputLimitExceeded"})),
    "output_error": (3000, frozenset({"ScriptSerializationError"})),
    "changed_state": (3000, frozenset()),
    "context_error": (2000, frozenset()),
    "wrong_arguments": (1000, frozenset({"ConfigurationError"})),
    "function_error": (2000, frozenset()),
    "function_end": (2000, frozenset()),
    "function_busy": (2000, frozenset({"EngineBusyError", "EngineStateError"})),
    "dropped_logs": (1500, frozenset()),
    "seed_clock_and_taker": (1500, frozenset()),
    "coroutines": (1500, frozenset()),
    "execute_script_async": (150, frozenset({"LuaEngine.execute_script_async"})),
    "interrupt": (5000, frozenset({"LuaEngine.interrupt"})),
    "use_signal": (3000, frozenset({"use_signal"})),
    "stats": (
        5000,
        frozenset({"LuaEngine.stats", "LuaEngine.config", "LuaEngine.closed", "EngineStats", "ScriptConfig"}),
    ),
    "raise_for_error": (2000, frozenset({"ScriptResult.raise_for_error"})),
    "result_copies": (1000, frozenset({"ScriptMemory", "ScriptMemory.used_bytes"})),
    "check_memory_limit": (3000, frozenset({"SecurityManager", "SecurityManager.check_memory_limit"})),
    "open_and_close": (100, frozenset({"LuaEngine", "LuaEngine.close", "EngineClosedError"})),
}

# Covered elsewhere: the probe and the tracker in test_probe_leaks.py, the file access and the ends of runs that take
# their time below, and names that are no operations.
ELSEWHERE = {
    "snapshot": "test_probe_leaks.py",
    "MemorySnapshot": "test_probe_leaks.py",
    "MemoryDelta": "test_probe_leaks.py",
    "MemoryTracker": "test_probe_leaks.py",
    "MemoryTrackingConfig": "test_probe_leaks.py",
    "Measurement": "test_probe_leaks.py",
    "MemoryTrackingError": "test_probe_leaks.py",
    "PlatformUnavailableError": "test_probe_leaks.py",
    "MeasurementFailedError": "test_probe_leaks.py",
    "InvalidDataError": "test_probe_leaks.py",
    "ScriptTimeoutError": "test_ended_runs_leak_nothing",
    "ScriptInterruptedError": "test_ended_runs_leak_nothing",
    "InstructionLimitExceeded": "test_ended_runs_leak_nothing",
    "LUA_VERSIONS": "a tuple",
    "LuaVersion": "a type alias",
    "LuaGaugeError": "the root of the errors",
}


@pytest.fixture(params=["5.4", "luajit2.1"])
def host(request: pytest.FixtureRequest) -> Any:
    """Return an engine on one Lua of each kind of allocator."""
    if luagauge._finder.available()[request.param] is not None:
        pytest.skip(f"lupa has no Lua {request.param} here")
    made = Host(request.param)
    yield made
    made.engine.close()
    made.replay.close()


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_leaks_nothing(host: Host, name: str) -> None:
    """Every operation, repeated, leaves RSS, Python's blocks, descriptors and threads flat, and the Lua heap too."""
    operation = getattr(host, name)
    for _ in range(150):
        operation()
    live = host.engine.stats().live_bytes
    assert_flat(operation, OPERATIONS[name][0])
    for _ in range(70):
        operation()
    assert host.engine.stats().live_bytes <= live + 8 * KIB


def test_every_public_operation_has_a_leak_test() -> None:
    """A name that is added to the package must be added here."""
    covered = frozenset().union(*(names for _, names in OPERATIONS.values())) | ELSEWHERE.keys()
    missing = set(luagauge.__all__) - {name.split(".")[0] for name in covered}
    for owner in (LuaEngine, luagauge.LuaScript, luagauge.ScriptResult, luagauge.ScriptMemory, SecurityManager):
        fields = getattr(owner, "__dataclass_fields__", {})
        slots = getattr(owner, "__slots__", ())
        for member in vars(owner):
            if not member.startswith("_") and member not in fields and member not in slots:
                missing |= {f"{owner.__name__}.{member}"} - covered
    assert missing == set()
    assert {name for name in OPERATIONS if not hasattr(Host, name)} == set()


def test_ended_runs_leak_nothing(host: Host) -> None:
    """Deadlines, interrupts and instruction budgets end runs without a trace."""
    config = host.engine.config
    settings: dict[str, Any] = {"lua": config.lua, "memory_limit_mb": 8}
    with LuaEngine(ScriptConfig(timeout_ms=1, **settings)) as timed:
        script = "local t = {} while true do t[#t % 1000 + 1] = {} end"
        assert_flat(lambda: timed.execute_script(script), 300, per_call_bytes=100)
        assert isinstance(timed.execute_script(script).error, luagauge.ScriptTimeoutError)
    holder: list[LuaEngine] = []

    def stop() -> bool:
        return holder[0].interrupt()

    with LuaEngine(ScriptConfig(functions={"stop": stop}, **settings)) as stopped:
        holder.append(stopped)
        assert_flat(lambda: stopped.execute_script("stop() while true do end"), 300, per_call_bytes=100)
        assert isinstance(stopped.execute_script("stop() while true do end").error, luagauge.ScriptInterruptedError)
        holder.clear()
    with LuaEngine(ScriptConfig(max_instructions=10_000, **settings)) as counted:
        assert_flat(lambda: counted.execute_script("while true do end"), 1000, per_call_bytes=100)
        assert isinstance(counted.execute_script("while true do end").error, luagauge.InstructionLimitExceeded)


def test_ten_thousand_mixed_runs_leak_nothing(host: Host) -> None:
    """Every operation in turn, in one process."""
    quick = [getattr(host, name) for name, (count, _) in OPERATIONS.items() if count >= 1000]

    def all_of_them() -> None:
        for operation in quick:
            operation()

    assert_flat(all_of_them, 10_000 // len(quick), per_call_bytes=500, calls=len(quick))


def test_threads_leak_nothing(host: Host) -> None:
    """Runs on threads that come and go."""

    def on_a_thread() -> None:
        thread = threading.Thread(target=host.execute_script)
        thread.start()
        thread.join()

    assert_flat(on_a_thread, 300, per_call_bytes=500)


@pytest.mark.slow
def test_a_million_runs_leak_nothing(host: Host) -> None:
    """The soak: under 1 MB after warm-up."""
    quick = [getattr(host, name) for name, (count, _) in OPERATIONS.items() if count >= 2000]

    def all_of_them() -> None:
        for operation in quick:
            operation()

    assert_flat(all_of_them, 1_000_000 // len(quick), per_call_bytes=20, calls=len(quick))
