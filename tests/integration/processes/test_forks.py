"""Forks: engines, runs and limits in the child and in the parent."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from luagauge import EngineBusyError, LuaEngine

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes and signals"),
    pytest.mark.emulated,
]


def test_forked_child_runs_an_engine_of_its_parent(run: Callable[[str], str]) -> None:
    """Runs, limits, deadlines and figures work in the child, and go on working in the parent."""
    out = run("""
        e = engine(timeout_ms=50, memory_limit_mb=2)
        script = e.precompile_script("return 'compiled before'")
        assert e.execute_script("while true do end").error.timeout_ms == 50
        def work():
            assert e.execute_script("return 1").output == 1
            assert e.execute_script(script).output == "compiled before"
            assert type(e.execute_script("while true do end").error) is ScriptTimeoutError
            assert type(e.execute_script("return ('x'):rep(1e7)").error) is MemoryLimitExceeded
            assert e.execute_script("return 1").memory.process is not None
            with engine() as fresh:
                assert fresh.execute_script("return 2").output == 2
            e.close()
        for _ in range(3):
            assert in_child(work) == 0
            work_ok = e.execute_script("return 3").output == 3
            assert work_ok and type(e.execute_script("while true do end").error) is ScriptTimeoutError
        print("both fine")
    """)
    assert out == "both fine\n"


def test_fork_inside_a_function_of_a_run(run: Callable[[str], str]) -> None:
    """The child goes on with the run it was forked in, deadline included, and so does the parent."""
    out = run("""
        e = engine(timeout_ms=500, functions={"fork": os.fork})
        result = e.execute_script("local pid = fork() if pid == 0 then while true do end end return pid")
        if type(result.error) is ScriptTimeoutError:
            os._exit(7 if e.execute_script("return 5").output == 5 else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(result.output, 0)[1]), e.execute_script("return 'fine'").output)
    """)
    assert out == "7 fine\n"


def test_forks_while_other_threads_run(run: Callable[[str], str]) -> None:
    """A child made while other engines are busy runs engines of its own."""
    out = run("""
        stop = []
        def spin():
            e = engine(timeout_ms=5)
            while not stop:
                e.execute_script("while true do end")
        threads = [threading.Thread(target=spin) for _ in range(3)]
        for t in threads: t.start()
        mine = engine(timeout_ms=200)
        def work():
            with engine(timeout_ms=200) as fresh:
                for e in (fresh, mine):
                    assert runs(e)
                    assert type(e.execute_script("while true do end").error) is ScriptTimeoutError
        codes = [in_child(work) for _ in range(8)]
        stop.append(1)
        for t in threads: t.join()
        print(codes)
    """)
    assert out == f"{[0] * 8}\n"


def test_multiprocessing_workers_run_engines(run: Callable[[str], str]) -> None:
    """Fork and spawn; results come back by pickle."""
    out = run("""
        import concurrent.futures, multiprocessing
        e = engine()
        e.execute_script("return 1")
        context = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            print([result.output for result in pool.map(e.execute_script, [])])
        def one(n, queue):
            queue.put(engine().execute_script("print('x') return context.n", {"n": n}))
        queue = context.SimpleQueue()
        workers = [context.Process(target=one, args=(n, queue)) for n in range(3)]
        for worker in workers: worker.start()
        results = [queue.get() for _ in workers]
        for worker in workers: worker.join()
        print(sorted(result.output for result in results), results[0].logs[0].message)
    """)
    assert out == "[]\n[0, 1, 2] x\n"


def test_deadline_holds_in_a_child_forked_during_a_run(run: Callable[[str], str]) -> None:
    """Forked by a host function: parent and child both end in time, however much CPU time the parent has used."""
    out = run("""
        until = time.process_time() + 2
        while time.process_time() < until:
            pass
        pids = []
        e = engine(timeout_ms=200, functions={"fork": lambda: pids.append(os.fork())})
        for script in ("fork() while true do end", "fork() while true do local t = {} end"):
            before = time.thread_time()
            result = e.execute_script(script)
            used = time.thread_time() - (0 if pids[-1] == 0 else before)  # a child's clock begins with it
            ended = type(result.error) is ScriptTimeoutError and used < 1.5
            if pids[-1] == 0:
                os._exit(0 if ended else 1)
            print(ended, os.waitstatus_to_exitcode(os.waitpid(pids[-1], 0)[1]))
    """)
    assert out == "True 0\n" * 2


def test_cpu_limit_in_a_child_forked_during_a_run(run: Callable[[str], str]) -> None:
    """The child has what CPU time was left at the fork, by its own clock: neither less nor more."""
    out = run("""
        def fork():
            until = time.thread_time() + 0.2  # that much is gone in both
            while time.thread_time() < until:
                pass
            pids.append(os.fork())
        pids = []
        used = lambda: time.thread_time() * 1000
        e = engine(cpu_time_ms=500, timeout_ms=60000, functions={"fork": fork, "used": used})
        for script in ("fork() local from = used() while used() < from + 100 do end", "fork() while true do end"):
            error = e.execute_script(script).error
            if pids[-1] == 0:
                in_time = type(error) is ScriptTimeoutError and 250 < used() < 450
                os._exit(10 if error is None else 11 if in_time else 1)
            print(type(error).__name__, os.waitstatus_to_exitcode(os.waitpid(pids[-1], 0)[1]))
    """)
    assert out == "NoneType 10\nScriptTimeoutError 11\n"


def test_engine_that_ran_at_the_fork_is_refused_in_the_child(run: Callable[[str], str]) -> None:
    """The thread of that run is not in the child, so nothing there waits for it."""
    out = run("""
        begun, over = threading.Event(), threading.Event()
        def wait():
            begun.set()
            over.wait()
        e = engine(functions={"wait": wait})
        thread = threading.Thread(target=e.execute_script, args=("wait()",))
        thread.start()
        begun.wait()
        def in_the_child():
            for call in (lambda: e.execute_script("return 1"), lambda: e.validate_syntax("x = 1"), e.close):
                try:
                    call()
                except EngineBusyError as error:
                    assert "forked child" in str(error)
                else:
                    raise AssertionError
            assert engine().execute_script("return 1").output == 1
        print(in_child(in_the_child))
        over.set()
        thread.join()
        print(e.execute_script("return 1").output)
    """)
    assert out == "0\n1\n"


def test_fork_in_a_signal_handler_while_a_thread_waits(run: Callable[[str], str]) -> None:
    """The child goes on in that wait, for a run that is not there."""
    out = run("""
        begun, pids = threading.Event(), []
        def go_on():
            begun.set()
            time.sleep(0.01)
            return not pids
        e = engine(timeout_ms=60_000, functions={"go_on": go_on})
        thread = threading.Thread(target=e.execute_script, args=("while go_on() do end",))
        signal.signal(signal.SIGUSR1, lambda *_: pids.append(os.fork()))
        thread.start()
        begun.wait()
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        try:
            answer = e.execute_script("return 1").output
        except EngineBusyError:
            answer = "busy"
        if pids == [0]:
            os._exit(0 if answer == "busy" else 1)
        print(answer, os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]))
        thread.join()
    """)
    assert out == "1 0\n"


PATIENCE_S = 20.0  # what a hang is told by; nothing here needs a hundredth of it


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_engine_that_another_thread_used_at_a_fork_is_refused_in_the_child(
    make_engine: Callable[..., LuaEngine],
) -> None:
    """That thread is not in the child, so its run would never be over: a clear error instead of waiting for ever."""
    inside = threading.Event()
    engine = make_engine(timeout_ms=None, functions={"inside": inside.set})
    thread = threading.Thread(target=engine.execute_script, args=("inside() while true do end",))
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(int(PATIENCE_S))  # so that a failure here ends too
        try:
            engine.execute_script("return 1")
        except EngineBusyError:
            os._exit(0)
        os._exit(1)
    status = os.waitpid(child, 0)[1]
    engine.interrupt()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
    assert engine.execute_script("return 1").output == 1
