"""The hard stop and its host: functions are let finish, and nothing of the process's is left half-way."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hard_stop import Kept, assert_thrown_away, until_thrown_away
from long_steps import pure_step

from luagauge import LuaEngine, ScriptInterruptedError, ScriptResult, ScriptTimeoutError, _finder

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and processes"),
]


@pytest.fixture(params=["5.1", "5.4", "luajit2.1"])
def lua(request: pytest.FixtureRequest) -> str:
    """Return a Lua of each kind that has a hard stop."""
    version = str(request.param)
    why_not = _finder.available()[version]
    if why_not is None:
        with LuaEngine() as engine:
            why_not = engine.stats().no_hard_stop
    if why_not is not None:
        pytest.skip(why_not)
    return version


def test_host_function_is_let_finish(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A limit that passes while one runs ends the script after it, by an error: the function has done all of its work."""
    done: list[int] = []

    def slow() -> int:
        for i in range(40):
            time.sleep(0.02)
            done.append(sum(range(200_000)) + i)
        return len(done)

    # Time enough for a busy machine to begin the function within the limit, and less than the function takes.
    for settings in ({"timeout_ms": 400}, {"timeout_ms": None, "cpu_time_ms": 25}):
        engine = make_engine(lua, functions={"slow": slow}, **settings)
        done.clear()
        result = engine.execute_script("pcall(slow) while true do pcall(slow) end")
        assert isinstance(result.error, ScriptTimeoutError)
        assert result.stopped == "error"
        assert len(done) == 40
        assert engine.stats().hard_stops == 0


def test_step_after_a_host_function_is_thrown_away(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Functions were called before, and Python's objects that they got and gave are whole."""
    script, context = pure_step(lua)
    held: list[Kept] = []
    seen: list[Any] = []

    def echo(value: Any) -> Any:
        seen.append(value)
        return value

    def attempt(delay_ms: float) -> ScriptResult:
        functions = {"echo": echo}
        engine = make_engine(lua, timeout_ms=None, cpu_time_ms=delay_ms, functions=functions)
        held.append(Kept(engine, f"for i = 1, 100 do echo({{i, 'x'}}) end {script}"))
        seen.clear()
        return engine.execute_script(held[-1].step, context)

    result = until_thrown_away(attempt)
    assert seen == [[i, "x"] for i in range(1, 101)]
    assert_thrown_away(held[-1], result, ScriptTimeoutError)


def test_inner_run_is_thrown_away_and_the_outer_goes_on(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A host function runs another engine, whose long step ends by its own limit."""
    script, context = pure_step(lua)
    held: list[Kept] = []
    ended: list[ScriptResult] = []

    def inner() -> str:
        ended.append(held[-1].engine.execute_script(held[-1].step, context))
        return "inner is over"

    def attempt(delay_ms: float) -> ScriptResult:
        held.append(Kept(make_engine(lua, timeout_ms=None, cpu_time_ms=delay_ms), script))
        outer = make_engine(lua, timeout_ms=60_000, functions={"inner": inner})
        assert outer.execute_script("local said = inner() return said, 6 * 7").output == ("inner is over", 42)
        assert outer.stats().hard_stops == 0
        return ended[-1]

    result = until_thrown_away(attempt)
    assert_thrown_away(held[-1], result, ScriptTimeoutError)


def test_outer_run_that_is_due_waits_for_the_inner(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str
) -> None:
    """The inner run's step is not the outer's: it goes on for all of its own time, and is ended by its own limit."""
    script, context = pure_step(lua)
    inner_engine = make_engine(lua, timeout_ms=None, cpu_time_ms=150)
    ended: list[ScriptResult] = []

    def inner() -> None:
        ended.append(inner_engine.execute_script(script, context))

    for timeout_ms in (10, 40, 160, 640):  # beside busy processes a short one may be over before the script begins
        outer = make_engine(lua, timeout_ms=timeout_ms, functions={"inner": inner})
        result = outer.execute_script("inner() while true do end")
        if ended:
            break
    assert isinstance(result.error, ScriptTimeoutError)
    assert result.stopped is not None
    assert isinstance(ended[0].error, ScriptTimeoutError)
    assert ended[0].error.clock == "cpu"
    assert_usable(outer)
    assert_usable(inner_engine)


def test_hard_steps_inside_and_outside(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Both engines are thrown away in turn: the inner in its step, then the outer in its own."""
    script, context = pure_step(lua)
    inner_limit_ms = 300 if lua.startswith("luajit") else 60
    inner = Kept(make_engine(lua, timeout_ms=None, cpu_time_ms=inner_limit_ms), script)
    inner_ends: list[str | None] = []

    def run_inner() -> None:
        inner_ends.append(inner.engine.execute_script(inner.step, context).stopped)

    def attempt(delay_ms: float) -> ScriptResult:
        limits = {"timeout_ms": None, "cpu_time_ms": delay_ms + inner_limit_ms + 20}
        outers.append(Kept(make_engine(lua, functions={"inner": run_inner}, **limits), f"inner() {script}"))
        return outers[-1].engine.execute_script(outers[-1].step, context)

    outers: list[Kept] = []
    result = until_thrown_away(attempt)
    assert_thrown_away(outers[-1], result, ScriptTimeoutError)
    assert set(inner_ends) <= {"error", "state"}
    inner.assert_there()


def test_interrupt_inside_a_host_function_of_the_other_engine(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """The outer engine is interrupted while the inner is in its step: each ends for its own reason."""
    script, context = pure_step(lua)
    inner = make_engine(lua, timeout_ms=None, cpu_time_ms=200)
    begun = threading.Event()

    def run_inner() -> None:
        begun.set()
        inner.execute_script(script, context)

    outer = make_engine(lua, timeout_ms=None, functions={"inner": run_inner})
    thread = threading.Thread(target=lambda: begun.wait() and outer.interrupt())
    thread.start()
    result = outer.execute_script("pcall(inner) while true do pcall(inner) end")
    thread.join()
    assert isinstance(result.error, ScriptInterruptedError)
    assert outer.execute_script("return 1").output == 1
    assert inner.execute_script("return 1").output == 1


def test_hard_stops_on_eight_threads_at_once(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Each thread's runs are its own: all engines come to the same figures as before."""
    # LuaJIT's steps are some tens of milliseconds apart, and where they lie depends on how it was built.
    k, limits_ms = (15, range(60, 140, 10)) if lua.startswith("luajit") else (13, [3] * 8)
    script, context = pure_step(lua, k)
    kept = [Kept(make_engine(lua, timeout_ms=None, cpu_time_ms=limit_ms), script) for limit_ms in limits_ms]
    wrong: list[BaseException] = []

    def work(one: Kept) -> None:
        try:
            for _ in range(8):
                assert one.engine.execute_script(one.step, context).stopped in (None, "error", "state")
                one.assert_there()
        except BaseException as error:  # noqa: BLE001 - reported by the main thread
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(one,)) for one in kept]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(one.engine.stats().hard_stops for one in kept) > 0


PRELUDE = """
import ctypes, faulthandler, os, signal, sys, threading, time
faulthandler.dump_traceback_later(100, exit=True)
sys.path.append(sys.argv[2])
from hard_stop import DELAYS_MS, after_cpu
from long_steps import pure_step
from luagauge import *
LUA = sys.argv[1]
SCRIPT, CONTEXT = pure_step(LUA)
def stopped_by_state(engine, script=SCRIPT):
    "End the step by interrupting the run after one delay after the other."
    before = engine.stats().hard_stops
    for delay_ms in DELAYS_MS:
        timer = after_cpu(delay_ms, engine.interrupt)
        result = engine.execute_script(script, CONTEXT)
        timer.join()
        assert type(result.error) is ScriptInterruptedError, result
        if result.stopped == "state":
            break
    assert engine.stats().hard_stops == before + 1
    assert engine.execute_script("return 1").output == 1
    return result.stopped
def engine(**settings):
    made = LuaEngine(ScriptConfig(lua=LUA, timeout_ms=None, **settings))
    made.execute_script("return 1")
    return made
"""


@pytest.fixture
def run(lua: str) -> Callable[[str], str]:
    """Return a function that runs a program with a long step at hand and returns what it printed."""

    def run_program(code: str) -> str:
        program = PRELUDE + textwrap.dedent(code)
        # Python 3.12 and later warn of every fork of a process with threads; that is what is tested here.
        options = ["-W", "ignore::DeprecationWarning", "-c", program]
        command = [sys.executable, *options, lua, str(Path(__file__).parent.parent / "support")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run_program


def test_hard_stop_before_and_after_a_fork(run: Callable[[str], str]) -> None:
    """Parent and child throw states away on, each its own; so does a child that was forked in a host function."""
    out = run("""
        def in_child(work):
            pid = os.fork()
            if pid == 0:
                try:
                    work()
                    os._exit(0)
                finally:
                    os._exit(1)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        mine = engine()
        kept = mine.precompile_script("return 'kept'")
        stopped_by_state(mine)
        def work():
            assert mine.execute_script(kept).output == "kept"
            stopped_by_state(mine)
            stopped_by_state(engine())
        print(in_child(work), in_child(work))
        stopped_by_state(mine)
        print(mine.execute_script(kept).output, mine.stats().hard_stops)
        inside = engine(functions={"fork": lambda: in_child(work)})
        print(inside.execute_script("return fork()").output)
        print(stopped_by_state(inside))
    """)
    assert out == "0 0\nkept 2\n0\nstate\n"


def test_forks_beside_hard_stops(run: Callable[[str], str]) -> None:
    """Another thread forks all the time; every child can use an engine and ends."""
    out = run("""
        over, codes = [], []
        def fork():
            while not over:
                pid = os.fork()
                if pid == 0:
                    code = 1
                    try:
                        code = 0 if engine().execute_script("return 6 * 7").output == 42 else 2
                    finally:
                        os._exit(code)
                codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        thread = threading.Thread(target=fork)
        thread.start()
        mine = engine()
        for _ in range(3):
            stopped_by_state(mine)
        over.append(1)
        thread.join()
        print(mine.stats().hard_stops, set(codes))
    """)
    assert out == "3 {0}\n"


def test_hard_stop_in_a_storm_of_signals(run: Callable[[str], str]) -> None:
    """A profiler's signal comes a thousand times a second, and is handled a thousand times."""
    out = run("""
        count = []
        signal.signal(signal.SIGPROF, lambda *_: count.append(1))
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
        mine = engine()
        ends = [stopped_by_state(mine) for _ in range(3)]
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(ends, len(count) > 0)
    """)
    assert out == "['state', 'state', 'state'] True\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the layout of stack_t is this system's")
def test_hard_stop_on_an_alternate_signal_stack(run: Callable[[str], str]) -> None:
    """A thread that handles signals on a stack of its own still has it afterwards, and is not on it."""
    out = run("""
        class Stack(ctypes.Structure):
            _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]
        faulthandler.enable()  # which uses one in the main thread
        library = ctypes.CDLL(None, use_errno=True)
        said = []
        def work(flags):
            memory = ctypes.create_string_buffer(1 << 20)
            mine = Stack(ctypes.addressof(memory), flags, len(memory))
            assert library.sigaltstack(ctypes.byref(mine), None) == 0
            for _ in range(2):
                said.append(stopped_by_state(engine()))
                now = Stack()
                assert library.sigaltstack(None, ctypes.byref(now)) == 0
                assert (now.sp, now.size, now.flags) == (mine.sp, mine.size, flags), now.flags
            assert library.sigaltstack(ctypes.byref(Stack(None, 2, 0)), None) == 0
        said.append(stopped_by_state(engine()))
        for flags in (0, -(1 << 31)):  # SS_AUTODISARM
            thread = threading.Thread(target=work, args=(flags,))
            thread.start()
            thread.join()
        print(said)
    """)
    assert out == f"{['state'] * 5}\n"


def test_hard_stop_under_a_foreign_handler(run: Callable[[str], str]) -> None:
    """Whoever takes the signal after the first run, in Python, is chained to; the step ends all the same."""
    out = run("""
        mine = engine()
        seen = []
        signal.signal(signal.SIGURG, lambda *_: seen.append(1))
        print(stopped_by_state(mine))
        signal.raise_signal(signal.SIGURG)
        print(len(seen) > 0)
        print(stopped_by_state(mine))
    """)
    assert out == "state\nTrue\nstate\n"


def test_signal_mask_is_what_it_was(run: Callable[[str], str]) -> None:
    """A hard stop returns from its handler: it leaves no signal blocked."""
    out = run("""
        mine = engine()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        for _ in range(2):
            stopped_by_state(mine)
        print(signal.pthread_sigmask(signal.SIG_BLOCK, []) == before)
    """)
    assert out == "True\n"


def test_hard_stop_by_another_signal(run: Callable[[str], str]) -> None:
    """A host that needs SIGURG for itself names another one before the first run, and keeps its own handler for that."""
    out = run("""
        seen = []
        signal.signal(signal.SIGUSR2, lambda *_: seen.append("host"))
        use_signal(signal.SIGUSR2)
        mine = engine()
        print(stopped_by_state(mine), signal.getsignal(signal.SIGURG) == signal.SIG_DFL)
        signal.raise_signal(signal.SIGUSR2)
        print(seen)
        try:
            use_signal(signal.SIGURG)
        except ConfigurationError as error:
            print("refused")
    """)
    assert out == "state True\n['host']\nrefused\n"
