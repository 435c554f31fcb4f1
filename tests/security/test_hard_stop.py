"""Single steps of Lua's own do not outlive a limit: where no hook gets a word in, the state is thrown away."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hard_stop import DELAYS_MS, Kept, again, assert_thrown_away, until_thrown_away, wait_for_cpu
from long_steps import LONG_STEPS, pure_step
from luas import HAVE_ARENA, HAVE_EPHEMERONS

from luagauge import (
    InstructionLimitExceeded,
    LuaEngine,
    MemoryLimitExceeded,
    ScriptInterruptedError,
    ScriptResult,
    ScriptTimeoutError,
    _finder,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LATE_CPU_MS = 1000  # a step takes several seconds, and its run is ended some 6 ms of CPU time late
PATIENCE_S = 60


@pytest.fixture(params=HAVE_ARENA)
def lua(request: pytest.FixtureRequest) -> str:
    """Return each Lua that has a hard stop."""
    version = str(request.param)
    why_not = _finder.available()[version]
    if why_not is None:
        with LuaEngine() as engine:
            why_not = engine.stats().no_hard_stop
    if why_not is not None:
        pytest.skip(why_not)
    return version


def long_step(lua: str) -> tuple[str, dict[str, Any]]:
    """Return the script that is one long step, which calls `begun` and logs first."""
    script, context = pure_step(lua, 16 if lua.startswith("luajit") else 17)
    return f"print('before') begun() {script}", context


class Steps:
    """Engines of one Lua that are set to the long step, one for each limit."""

    def __init__(self, make_engine: Callable[..., LuaEngine], lua: str) -> None:
        """Take the factory."""
        self.make_engine = make_engine
        self.lua = lua
        self.script, self.context = long_step(lua)
        self.begun = threading.Event()
        self.ident = 0
        self.cpu_ms = 0.0

    def begin(self) -> None:
        """Note the thread of the run: the host function `begun`."""
        self.ident = threading.get_ident()
        self.begun.set()

    def wait(self, delay_ms: float) -> None:
        """Wait until the script has begun, and its thread has had so much CPU time."""
        assert self.begun.wait(PATIENCE_S)
        wait_for_cpu(self.ident, delay_ms)

    def prepare(self, **settings: Any) -> Kept:
        """Return an engine with these limits and what it holds."""
        self.begun.clear()
        engine = self.make_engine(self.lua, functions={"begun": self.begin}, **settings)
        return Kept(engine, self.script)

    def run(self, kept: Kept) -> ScriptResult:
        """Run the step, and note the CPU time that it took."""
        before = time.thread_time()
        result = kept.engine.execute_script(kept.step, self.context)
        self.cpu_ms = (time.thread_time() - before) * 1000
        return result

    def after_begun(self, delay_ms: float, act: Callable[[], object]) -> threading.Thread:
        """Do something on another thread once the script has begun, and some time has passed."""

        def work() -> None:
            self.wait(delay_ms)
            act()

        thread = threading.Thread(target=work)
        thread.start()
        return thread


@pytest.fixture
def steps(make_engine: Callable[..., LuaEngine], lua: str) -> Steps:
    """Return what runs the long step."""
    return Steps(make_engine, lua)


@pytest.mark.parametrize("clock", ["timeout_ms", "cpu_time_ms"])
def test_single_step_does_not_outlive_a_limit_of_time(
    steps: Steps, assert_usable: Callable[[LuaEngine], None], clock: str
) -> None:
    """It ends soon after, with its logs and nothing else, and the engine is what it was before."""
    held: list[Kept] = []
    limits: list[float] = []

    def attempt(delay_ms: float) -> ScriptResult:
        held.append(steps.prepare(**{"timeout_ms": None, clock: delay_ms}))
        limits.append(delay_ms)
        return steps.run(held[-1])

    result = until_thrown_away(attempt)
    assert steps.cpu_ms < limits[-1] + LATE_CPU_MS
    assert_thrown_away(held[-1], result, ScriptTimeoutError)
    assert isinstance(result.error, ScriptTimeoutError)
    assert result.error.clock == ("cpu" if clock == "cpu_time_ms" else "wall")
    assert [entry.message for entry in result.logs] == ["before"]
    assert_usable(held[-1].engine)


def test_single_step_does_not_outlive_an_interrupt(steps: Steps, assert_usable: Callable[[LuaEngine], None]) -> None:
    """The same for interrupt() of another thread, on one engine again and again."""
    kept = steps.prepare(timeout_ms=None)

    def attempt(delay_ms: float) -> ScriptResult:
        steps.begun.clear()
        thread = steps.after_begun(delay_ms, kept.engine.interrupt)
        result = steps.run(kept)
        thread.join()
        return result

    for _ in range(3):
        result = until_thrown_away(attempt)
        assert_thrown_away(kept, result, ScriptInterruptedError)
        assert [entry.message for entry in result.logs] == ["before"]
    assert_usable(kept.engine)


def test_single_step_does_not_outlive_a_cancellation(steps: Steps, assert_usable: Callable[[LuaEngine], None]) -> None:
    """The same for a cancelled task: the await is over when the run is, and the worker thread is free."""
    kept = steps.prepare(timeout_ms=None)

    async def cancelled(delay_ms: float) -> None:
        task = asyncio.ensure_future(kept.engine.execute_script_async(kept.step, steps.context))
        await asyncio.to_thread(steps.wait, delay_ms)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for delay_ms in DELAYS_MS:
        steps.begun.clear()
        asyncio.run(cancelled(delay_ms))
        if kept.engine.stats().hard_stops:
            break
    assert kept.engine.stats().hard_stops == 1
    kept.assert_there()
    assert_usable(kept.engine)


def test_single_step_does_not_outlive_a_budget(
    make_engine: Callable[..., LuaEngine], lua: str, assert_usable: Callable[[LuaEngine], None]
) -> None:
    """A count of instructions that stands still for 100 ms of CPU time ends the run, with no limit of time beside it."""
    script, context = pure_step(lua, 18 if lua.startswith("luajit") else 17)
    kept = Kept(make_engine(lua, timeout_ms=None, max_instructions=2**60), script)
    before = time.thread_time()
    result = kept.engine.execute_script(kept.step, context)
    assert_thrown_away(kept, result, InstructionLimitExceeded)
    if not lua.startswith("luajit"):  # on which the step begins late
        assert (time.thread_time() - before) * 1000 < 100 + LATE_CPU_MS
    assert_usable(kept.engine)


CTRL_C = """
import os, signal, sys, threading
from luagauge import LuaEngine, ScriptConfig
signal.signal(signal.SIGINT, signal.default_int_handler)
engine = LuaEngine(ScriptConfig(lua=sys.argv[1], timeout_ms=None, functions={"begun": lambda: print("begun", flush=True)}))
sys.path.append(sys.argv[2])
from long_steps import pure_step
script, context = pure_step(sys.argv[1], 17)
if sys.platform == "win32":  # Ctrl-C cannot be sent to one process alone
    threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
try:
    engine.execute_script("begun() " + script, context)
except KeyboardInterrupt:
    print(engine.stats().hard_stops, engine.execute_script("return 'goes on'").output)
"""


@pytest.mark.parametrize("version", ["5.1", "5.3", "5.4", "5.5"])
def test_single_step_does_not_outlive_ctrl_c(version: str) -> None:
    """SIGINT raises KeyboardInterrupt out of the run though no hook runs in it."""
    command = [sys.executable, "-c", CTRL_C, version, str(Path(__file__).parent.parent / "support")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        if sys.platform != "win32":
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "1 goes on\n"
        assert process.wait(timeout=120) == 0


@pytest.mark.parametrize("name", LONG_STEPS)
def test_long_steps_do_not_outlive_a_deadline(
    make_engine: Callable[..., LuaEngine], lua: str, name: str, assert_usable: Callable[[LuaEngine], None]
) -> None:
    """Whatever takes long ends in time, one way or the other, and the next run is right."""
    kept = Kept(make_engine(lua, timeout_ms=None, cpu_time_ms=30, memory_limit_mb=64))
    before = time.thread_time()
    result = kept.engine.execute_script(LONG_STEPS[name])
    assert (time.thread_time() - before) * 1000 < 30 + LATE_CPU_MS
    assert result.stopped in ("error", "state")
    assert isinstance(result.error, (ScriptTimeoutError, MemoryLimitExceeded))
    assert kept.engine.stats().hard_stops == kept.stops + (result.stopped == "state")
    assert_usable(kept.engine)


@pytest.mark.parametrize("version", HAVE_EPHEMERONS)
def test_collection_of_a_chain_of_weak_keys_is_thrown_away(make_engine: Callable[..., LuaEngine], version: str) -> None:
    """One collection marks a chain of ephemerons in the square of its length."""
    held: list[Kept] = []

    def attempt(delay_ms: float) -> ScriptResult:
        held.append(Kept(make_engine(version, timeout_ms=None, cpu_time_ms=delay_ms), LONG_STEPS["ephemerons"]))
        return held[-1].engine.execute_script(held[-1].step)

    result = until_thrown_away(attempt)
    assert_thrown_away(held[-1], result, ScriptTimeoutError)


def test_chain_of_call_metamethods_is_thrown_away(make_engine: Callable[..., LuaEngine]) -> None:
    """A table that is its own __call is looked up for minutes by Lua 5.4, in one instruction."""
    source = "local t = {} t.__call = t setmetatable(t, t) return t()"
    kept = Kept(make_engine("5.4", timeout_ms=None, cpu_time_ms=50), source)
    result = kept.engine.execute_script(kept.step)
    assert_thrown_away(kept, result, ScriptTimeoutError)


def colliding_constants(k: int) -> str:
    """Return a source that makes the compiler's own table of constants one long step, on Lua 5.4."""
    return "return {" + ",".join(str(i * (2**k - 1)) for i in range(2 ** (k - 1) + 2)) + "}"


def test_compiling_is_thrown_away(make_engine: Callable[..., LuaEngine]) -> None:
    """The compiler keeps constants in a table: a source can make it one long step, compiled for a run or for later."""
    kept = Kept(make_engine("5.4", timeout_ms=None, cpu_time_ms=250))
    source = colliding_constants(17)
    for operation in (kept.engine.precompile_script, kept.engine.validate_syntax):
        with pytest.raises(ScriptTimeoutError):
            operation(source)
        assert kept.engine.stats().hard_stops == kept.stops + 1
        kept.stops += 1
        kept.assert_there()
    assert_thrown_away(kept, kept.engine.execute_script(source), ScriptTimeoutError)


@pytest.mark.parametrize("timeout_ms", [None, PATIENCE_S * 1000.0])
def test_standstill_is_told_from_a_library_function_at_work(
    make_engine: Callable[..., LuaEngine], timeout_ms: float | None
) -> None:
    """A long step of Lua's own is a standstill always, a long sort only where nothing else would end it."""
    engine = make_engine("5.4", max_instructions=10**9, timeout_ms=timeout_ms)
    step, context = pure_step("5.4", 18)
    result = engine.execute_script(step, context)
    assert isinstance(result.error, InstructionLimitExceeded)
    assert result.error.stalled
    assert result.stopped == "state"
    result = engine.execute_script(
        "local t = {} for i = 1, 1e6 do t[i] = i * 7919 % 1000003 end table.sort(t) return #t"
    )
    if timeout_ms is None:
        assert isinstance(result.error, InstructionLimitExceeded)
        assert result.error.stalled
        assert result.stopped == "error"
    else:
        assert result.output == 1_000_000


def test_scripts_compiled_in_a_row_are_there_after_a_hard_stop(make_engine: Callable[..., LuaEngine]) -> None:
    """Scripts join the image before the next run; dropped ones leave it, and what took their place is right."""
    engine = make_engine("5.4", timeout_ms=None, cpu_time_ms=150)
    step, context = pure_step("5.4", 17)
    hard = engine.precompile_script(step)
    scripts = [engine.precompile_script(f"return {i}, 'text {i}'") for i in range(400)]
    for _ in range(3):
        assert engine.execute_script(hard, context).stopped == "state"
        outputs = [again(engine, script).output for script in scripts]
        assert outputs == [(i, f"text {i}") for i in range(400)]
        scripts[::2] = [engine.precompile_script(f"return {i}, 'text {i}'") for i in range(0, 400, 2)]


def test_figures_after_a_hard_stop_are_a_fresh_engines(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A run after a hard stop uses as much, to the byte, as in an engine that never had one."""
    script, context = long_step(lua)
    settings: dict[str, Any] = {"timeout_ms": None, "functions": {"begun": int}}
    fresh = Kept(make_engine(lua, **settings), script)
    held: list[Kept] = []

    def attempt(delay_ms: float) -> ScriptResult:
        held.append(Kept(make_engine(lua, cpu_time_ms=delay_ms, **settings), script))
        return held[-1].engine.execute_script(held[-1].step, context)

    until_thrown_away(attempt)
    assert held[-1].run() == fresh.figures


def test_figures_of_a_run_that_was_thrown_away(make_engine: Callable[..., LuaEngine]) -> None:
    """What it had used when it was given up is known, within its limits."""
    script, context = pure_step("5.4", 17)
    result = make_engine("5.4", timeout_ms=None, cpu_time_ms=60, memory_limit_mb=64).execute_script(script, context)
    assert result.stopped == "state"
    memory = result.memory
    assert memory is not None
    assert 2**20 < memory.used_bytes < 64 * 2**20
    assert memory.allocated_bytes >= memory.used_bytes


def test_hard_stops_in_a_row_leave_the_engine_right(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Many of them, and a run of a compiled script between each two."""
    # LuaJIT's steps are some tens of milliseconds apart, and where they lie depends on how it was built.
    k, limits_ms, runs = (15, (60, 90, 120), 4) if lua.startswith("luajit") else (13, (3,), 40)
    source, context = pure_step(lua, k)
    all_stops = 0
    for limit_ms in limits_ms:
        kept = Kept(make_engine(lua, timeout_ms=None, cpu_time_ms=limit_ms), source)
        figures = kept.run()
        stops = 0
        for _ in range(runs):
            result = kept.engine.execute_script(kept.step, context)
            stops += result.stopped == "state"
            assert kept.run() == figures
        assert kept.engine.stats().hard_stops == stops
        all_stops += stops
    assert all_stops > 0


@pytest.mark.parametrize("how", ["timeout_ms", "cpu_time_ms"])
def test_without_a_hard_stop_a_run_ends_with_its_step(
    make_engine: Callable[..., LuaEngine], lua: str, how: str, assert_usable: Callable[[LuaEngine], None]
) -> None:
    """hard_stop=False lets the step be over first, and says so."""
    settings: dict[str, Any] = {"timeout_ms": None, how: 250 if lua.startswith("luajit") else 60}
    engine = make_engine(lua, hard_stop=False, **settings)
    script, context = pure_step(lua, 15)
    result = engine.execute_script(f"local function f() {script} end f() while true do end", context)
    assert isinstance(result.error, ScriptTimeoutError)
    assert result.stopped == "error"
    stats = engine.stats()
    assert stats.hard_stops == 0
    assert stats.no_hard_stop is not None
    assert "hard_stop=False" in stats.no_hard_stop
    assert_usable(engine)


def test_luajit_without_a_hard_stop_says_why(make_engine: Callable[..., LuaEngine]) -> None:
    """LuaJIT 2.0 brings an allocator of its own, and its runs end by errors alone."""
    if _finder.available()["luajit2.0"] is not None:
        pytest.skip("lupa has no LuaJIT 2.0 here")
    engine = make_engine("luajit2.0", timeout_ms=20)
    assert "allocator" in (engine.stats().no_hard_stop or "")
    assert engine.execute_script("while true do end").stopped == "error"
    assert engine.stats().hard_stops == 0


def test_ends_that_need_no_hard_stop_are_told_apart(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """`stopped` says "error" where a limit ended the script from inside, and None where nothing had to."""
    engine = make_engine(lua, timeout_ms=None, cpu_time_ms=30, memory_limit_mb=4, max_output_size=1000)
    assert engine.execute_script("return 1").stopped is None
    assert engine.execute_script("error('x')").stopped is None
    assert engine.execute_script("while true do end").stopped == "error"
    assert engine.execute_script("return #('x'):rep(1e8)").stopped == "error"
    assert engine.execute_script("return ('x'):rep(2000)").stopped == "error"
    assert engine.stats().hard_stops == 0
