"""Calls while Python shuts down: from atexit handlers, finalizers and daemon threads. They work, or say that it is too late.

Python sets the names of modules to None, luagauge's and at last the built-in ones, before it finalizes what sys or a codec
holds. The finalizers here look up no names, for theirs are gone as well.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
import atexit, codecs, os, sys, threading, time, types
import luagauge
from luagauge import LuaEngine, MemoryTracker, MemoryTrackingConfig, ScriptConfig, ScriptContext, SecurityManager, snapshot

class User:
    def __init__(self, **settings):
        config = ScriptConfig(functions={"f": lambda x: x}, **settings)
        engine = LuaEngine(config)
        script = engine.precompile_script("return f(context.a)")
        context = ScriptContext(request={"a": 1})
        tracker = MemoryTracker()
        before = snapshot()
        proxy = types.MappingProxyType({"a": 1})
        def change(refused=AttributeError):
            try:
                before.rss_bytes = 1
            except refused:
                pass
        self.calls = {
            "source": lambda: engine.execute_script("return 1"),
            "new source": lambda: engine.execute_script("return 1 + 1", {"a": 1}),
            "script": lambda: engine.execute_script(script, {"a": 1}),
            "context": lambda: engine.execute_script(script, context),
            "mapping": lambda: engine.execute_script(script, proxy),
            "failing": lambda: engine.execute_script("error('x')"),
            "logs": lambda: engine.execute_script("print('x') log('a', 'b')"),
            "wrong context": lambda: engine.execute_script("return 1", {"a": 1j}),
            "wrong argument": lambda: engine.execute_script("return 1", 5),
            "validate": lambda: engine.validate_syntax("x ="),
            "precompile": lambda: engine.precompile_script("return 5"),
            "stats": lambda: engine.stats(),
            "interrupt": lambda: engine.interrupt(),
            "new engine": lambda LuaEngine=LuaEngine: LuaEngine(config),
            "new default engine": lambda LuaEngine=LuaEngine: LuaEngine(),
            "new config": lambda ScriptConfig=ScriptConfig: ScriptConfig(lua="5.1"),
            "new tracking config": lambda new=MemoryTrackingConfig: new(),
            "async": lambda: engine.execute_script_async("return 1").send(None),
            "snapshot": lambda snapshot=snapshot: snapshot(),
            "tracker": lambda: tracker.snapshot(),
            "delta": lambda: tracker.calculate_delta(before, before),
            "new tracker": lambda new=MemoryTracker: new(),
            "measure": lambda: tracker.measure().__enter__(),
            "to_mb": lambda: tracker.delta_to_mb(before),
            "first log entry": lambda new=luagauge.LogEntry: new("level", "message", 1.0),
            "manager": lambda new=SecurityManager: new().check_memory_limit(1e9),
            "change of a field": change,
            "reduce": lambda: config.__reduce__(),
            "decorator": lambda: tracker.measure()(snapshot),
            "close": lambda: engine.close(),
            "close again": lambda: engine.close(),
            "closed": lambda: engine.execute_script("return 1"),
        }

    def __del__(self, write=os.write, own=luagauge.LuaGaugeError, every=BaseException, type_of=type, text=str):
        for name, call in self.calls.items():
            try:
                call()
            except own as error:
                write(1, f"{name}: own\\n".encode("ascii"))
            except every as error:
                write(1, f"{name}: {type_of(error).__name__}: {text(error)}\\n".encode("ascii"))
            else:
                write(1, f"{name}: works\\n".encode("ascii"))

"""


def ends(code: str) -> list[str]:
    """Run a program to its end; return the lines it printed."""
    command = [sys.executable, "-X", "faulthandler", "-c", PRELUDE + textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "held",
    [
        "user = User()",
        "user = User()\nuser.itself = user",
        "sys.modules['other'] = types.ModuleType('other')\nsys.modules['other'].user = User()",
        "sys.user = User()",
        "sys.unraisablehook = lambda *_, user=User(): None",
        "codecs.register(lambda name, user=User(): None)",
        "codecs.register_error('own', lambda error, user=User(): None)",
        "import asyncio\nsys.user = User()",
    ],
)
def test_finalizers_get_no_error_but_our_own(held: str) -> None:
    """Whatever holds the object, and however late it goes."""
    wrong = [line for line in ends(held) if not line.endswith((": works", ": own"))]
    assert wrong == []


@pytest.mark.parametrize("held", ["sys.user = User()", "codecs.register(lambda name, user=User(): None)"])
def test_finalizers_come_that_late(held: str) -> None:
    """The test above is about something: these are called, and some of what they try is over by then."""
    lines = ends(held)
    assert len(lines) == 32
    assert "new source: own" in lines
    assert "closed: own" in lines


def test_finalizers_of_ordinary_objects_may_run_scripts() -> None:
    """What modules hold is finalized while everything works."""
    lines = ends("user = User()")
    expected = {"wrong context", "wrong argument", "to_mb", "manager", "closed", "async"}
    expected |= {"change of a field", "reduce", "decorator"}  # nothing is imported any more, and these would
    assert {line.removesuffix(": own") for line in lines if not line.endswith(": works")} <= expected
    assert {"new source: works", "failing: works", "new engine: works"} <= set(lines)


def test_finalizers_of_engines_with_files_get_no_error_but_our_own() -> None:
    """Their runs end in Python code of ours."""
    lines = ends("sys.user = User(allow_filesystem=True, filesystem_directories=['.'])")
    assert [line for line in lines if not line.endswith((": works", ": own"))] == []


def test_atexit_handlers_may_run_scripts() -> None:
    """Engines old and new work; a run in a thread of asyncio's is refused, for Python starts no more threads."""
    lines = ends("""
        engine = LuaEngine()

        @atexit.register
        def late():
            import asyncio

            print(engine.execute_script("return 1").output, LuaEngine().execute_script("return 2").output)

            async def main():
                return await engine.execute_script_async("return 3")

            try:
                print(asyncio.run(main()).output)
            except luagauge.EngineClosedError as error:
                print(3)
    """)
    assert lines == ["1 2", "3"]


def test_daemon_threads_do_not_disturb_the_exit() -> None:
    """Runs, waits, deadlines and host functions that are under way when Python ends, and finalizers that take their time."""
    lines = ends("""
        def work(**settings):
            engine = LuaEngine(ScriptConfig(functions={"f": time.sleep}, **settings))
            while True:
                engine.execute_script("for i = 1, 20 do f(0.001) end print('x') return context", {b"a": 1, "b": [1]})
                engine.execute_script("while true do end")
                LuaEngine().close()

        for settings in ({}, {"timeout_ms": 2}, {"timeout_ms": 1}, {"cpu_time_ms": 3}):
            threading.Thread(target=work, kwargs=settings, daemon=True).start()
        spinning = LuaEngine(ScriptConfig(timeout_ms=None))
        for source in ("while true do end", "return 1"):
            threading.Thread(target=spinning.execute_script, args=(source,), daemon=True).start()

        class Slow:
            def __del__(self, sleep=time.sleep):
                for _ in range(20):
                    sleep(0.002)

        sys.slow, cycle = Slow(), Slow()
        cycle.itself = cycle
        time.sleep(0.05)
    """)
    assert lines == []


def test_process_that_ends_within_a_run_ends() -> None:
    """os._exit() in a host function takes the other threads away, the watchdog's too, whatever they hold."""
    program = """
        import os, threading, time
        from luagauge import LuaEngine, ScriptConfig

        def loop():
            engine = LuaEngine(ScriptConfig(timeout_ms=5))
            while True:
                engine.execute_script("while true do pcall(string.rep) end")

        for _ in range(4):
            threading.Thread(target=loop, daemon=True).start()
        time.sleep(0.3)
        LuaEngine(ScriptConfig(functions={"quit": lambda: os._exit(8)})).execute_script("quit()")
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    for _ in range(4):
        assert subprocess.run(command, timeout=120, check=False).returncode == 8


THREADS_AT_EXIT = """
import sys, threading, time
from luagauge import LuaEngine, ScriptConfig

threading.stack_size(64 << 20)  # too large for glibc to keep the stack of a thread that has ended
inside = threading.Semaphore(0)

def wait():
    inside.release()
    time.sleep(0.01)

def work():
    LuaEngine(ScriptConfig(lua=sys.argv[1], timeout_ms=700, functions={"wait": wait})).execute_script(
        "while true do wait() end")

for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
for _ in range(8):
    inside.acquire()

class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(1.5)

sys.slow = Slow()  # goes late in the shutdown
"""


def test_interpreter_exits_while_daemon_threads_are_in_host_functions(lua: str) -> None:
    """CPython ends such threads in the midst of their runs; the watchdog must not send them signals afterwards."""
    ended = subprocess.run([sys.executable, "-c", THREADS_AT_EXIT, lua], capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
