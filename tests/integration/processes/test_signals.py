"""Signals of the host and the one that ends runs do not get in each other's way."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes and signals"),
    pytest.mark.emulated,
]


def test_signal_handlers_of_the_host_run_during_a_script(run: Callable[[str], str]) -> None:
    """A handler that returns lets the script go on; one that raises ends the run; one may interrupt the engine."""
    out = run("""
        seen = []
        e = engine(timeout_ms=None, functions={"seen": lambda: len(seen)})
        signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        print(e.execute_script("while seen() == 0 do for i = 1, 1e4 do end end return 'went on'").output)
        class Mine(Exception): pass
        def fail(*_): raise Mine("from the handler")
        signal.signal(signal.SIGALRM, fail)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            e.execute_script("while true do pcall(error) end")
        except Mine as error:
            print(error)
        signal.signal(signal.SIGALRM, lambda *_: seen.append(e.interrupt()))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        print(type(e.execute_script("while true do end").error).__name__, seen[-1])
    """)
    assert out == "went on\nfrom the handler\nScriptInterruptedError True\n"


def test_host_keeps_its_own_sigurg_handler(run: Callable[[str], str]) -> None:
    """Whoever used the signal before still gets it, and so does whoever takes it later."""
    out = run("""
        seen = []
        signal.signal(signal.SIGURG, lambda *_: seen.append("first"))
        e = engine(timeout_ms=20)
        assert type(e.execute_script("while true do end").error) is ScriptTimeoutError
        signal.raise_signal(signal.SIGURG)
        signal.signal(signal.SIGURG, lambda *_: seen.append("second"))
        for _ in range(3):
            assert type(e.execute_script("while true do end").error) is ScriptTimeoutError
        signal.raise_signal(signal.SIGURG)
        print(seen)
    """)
    assert out == "['first', 'second']\n"


def test_later_handler_that_passes_sigurg_on(run: Callable[[str], str]) -> None:
    """A handler put over ours, which passes signals on to it, is called once, and so is the one that was there first."""
    out = run("""
        import tempfile
        seen = []
        signal.signal(signal.SIGURG, lambda *_: seen.append("first"))
        e = engine(timeout_ms=20)
        assert runs(e)
        with tempfile.TemporaryFile("w+") as dump:
            faulthandler.register(signal.SIGURG, file=dump, all_threads=False, chain=True)
            assert type(e.execute_script("while true do end").error) is ScriptTimeoutError
            signal.raise_signal(signal.SIGURG)
            dump.seek(0)
            print(seen, dump.read().count("(most recent call first)"))
            assert type(e.execute_script("while true do end").error) is ScriptTimeoutError
    """)
    assert out == "['first'] 1\n"


def test_blocked_signals_do_not_keep_a_deadline_away(run: Callable[[str], str]) -> None:
    """A thread that blocks every signal, as server frameworks make them, still has its deadline."""
    out = run("""
        results = []
        def work():
            signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
            e = engine(timeout_ms=20)
            results.append(type(e.execute_script("while true do end").error).__name__)
        t = threading.Thread(target=work)
        t.start()
        t.join()
        print(results)
    """)
    assert out == "['ScriptTimeoutError']\n"


@pytest.mark.parametrize("name", ["SIGUSR2", "SIGRTMIN"])
def test_another_signal_holds_deadlines(run: Callable[[str], str], name: str) -> None:
    """Once named, it ends runs in every thread; SIGURG's handler and mask stay as they are."""
    if not hasattr(signal, name):
        pytest.skip(f"no {name} here")
    out = run(f"""
        number = signal.{name}
        use_signal(number)
        use_signal(number)
        def state():
            lines = open("/proc/thread-self/status").read().splitlines() if sys.platform == "linux" else []
            masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigCgt", "SigIgn", "SigBlk"))]
            return [mask >> signal.SIGURG - 1 & 1 for mask in masks]
        results = []
        def work():
            signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
            before = state()
            e = engine(timeout_ms=20)
            result = e.execute_script("while true do pcall(function() while true do end end) end")
            results.append((type(result.error).__name__, before == state()))
        t = threading.Thread(target=work)
        t.start()
        t.join()
        use_signal(number)
        results.append(type(engine(timeout_ms=20).execute_script("while true do end").error).__name__)
        def in_the_child():
            assert type(engine(timeout_ms=20).execute_script("while true do end").error) is ScriptTimeoutError
        print(results, in_child(in_the_child))
    """)
    assert out == "[('ScriptTimeoutError', True), 'ScriptTimeoutError'] 0\n"


def test_another_signal_leaves_sigurg_to_the_host(run: Callable[[str], str]) -> None:
    """The host's handler of SIGURG is called for each of its own signals, for no run, and stays the one installed."""
    out = run("""
        use_signal(signal.SIGUSR2)
        seen = []
        def handler(*_):
            seen.append(1)
        signal.signal(signal.SIGURG, handler)
        e = engine(timeout_ms=20)
        print(type(e.execute_script("while true do end").error).__name__, len(seen))
        os.kill(os.getpid(), signal.SIGURG)
        print(len(seen), signal.getsignal(signal.SIGURG) is handler)
    """)
    assert out == "ScriptTimeoutError 0\n1 True\n"


def test_another_signal_is_passed_on_to_the_hosts_handler(run: Callable[[str], str]) -> None:
    """A handler that the host has for the signal it named hears of the host's own signals, before and after runs."""
    out = run("""
        seen = []
        signal.signal(signal.SIGUSR2, lambda *_: seen.append(1))
        use_signal(signal.SIGUSR2)
        e = engine(timeout_ms=20)
        for expected in (1, 2, 3):
            result = e.execute_script("while true do end")
            os.kill(os.getpid(), signal.SIGUSR2)
            print(type(result.error).__name__, len(seen) == expected)
    """)
    assert out == "ScriptTimeoutError True\n" * 3


def test_another_signal_that_is_pending_does_not_end_the_process(run: Callable[[str], str]) -> None:
    """One that was blocked and came before the first run is delivered to the handler, not by its default action."""
    out = run("""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        os.kill(os.getpid(), signal.SIGUSR2)
        use_signal(signal.SIGUSR2)
        print(type(engine(timeout_ms=20).execute_script("while true do end").error).__name__)
    """)
    assert out == "ScriptTimeoutError\n"


def test_another_signal_keeps_ctrl_c_working(run: Callable[[str], str]) -> None:
    """A run without a deadline looks at Python's signals by it as well."""
    out = run("""
        use_signal(signal.SIGUSR2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        e = engine(timeout_ms=None)
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            e.execute_script("while true do end")
        except KeyboardInterrupt:
            print("interrupted", e.execute_script("return 'goes on'").output)
    """)
    assert out == "interrupted goes on\n"


def test_another_signal_after_the_first_run_is_refused(run: Callable[[str], str]) -> None:
    """By then the handler is installed; the signal in use may be named again."""
    out = run("""
        e = engine(timeout_ms=20)
        use_signal(signal.SIGUSR1)  # making an engine begins no run
        use_signal(signal.SIGURG)
        e.execute_script("return 1")
        use_signal(signal.SIGURG)
        try:
            use_signal(signal.SIGUSR2)
        except ConfigurationError as error:
            print(error.setting, error.value is signal.SIGUSR2, "before the first script runs" in str(error))
        print(type(e.execute_script("while true do end").error).__name__)
    """)
    assert out == "signum True True\nScriptTimeoutError\n"


def test_system_calls_of_functions_survive_the_deadline_signal(run: Callable[[str], str]) -> None:
    """A host function that sleeps or reads while the run is due is not disturbed by the signal."""
    out = run("""
        reader, writer = os.pipe()
        def slow():
            timer = threading.Timer(0.6, lambda: os.write(writer, b"data"))
            timer.start()
            got.append(os.read(reader, 10))
            time.sleep(0.05)
        got = []
        e = engine(timeout_ms=400, functions={"slow": slow})  # which a busy machine begins within that time
        print(type(e.execute_script("slow()").error).__name__, got)
    """)
    assert out == "ScriptTimeoutError [b'data']\n"


def test_functions_in_the_main_thread_are_not_disturbed(run: Callable[[str], str]) -> None:
    """No system call of a host function ends early (EINTR) for the ticks that keep Ctrl-C working, nor of a signal handler."""
    out = run("""
        import ctypes
        wait = ctypes.CDLL(None).poll
        handled = []
        def handler(*_):
            handled.append(wait(None, 0, 250))
        signal.signal(signal.SIGALRM, handler)
        functions = {"wait": lambda: wait(None, 0, 250), "handled": lambda: len(handled)}
        e = engine(timeout_ms=None, functions=functions)
        print(e.execute_script("return {wait(), wait()}").output)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        print(e.execute_script("local n = 0 while handled() == 0 do for i = 1, 1e5 do n = n + 1 end end").error, handled)
    """)
    assert out == "[0, 0]\nNone [0]\n"
