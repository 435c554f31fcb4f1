"""Forks, signals and Ctrl-C, each in a process of its own."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from luagauge import _finder

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes and signals"),
    pytest.mark.emulated,
]

PRELUDE = """
import faulthandler, os, signal, sys, threading, time, traceback
faulthandler.dump_traceback_later(100, exit=True)
from luagauge import *
def engine(**settings):
    return LuaEngine(ScriptConfig(lua=sys.argv[1], **settings))
def runs(e):
    "Whether it runs a script. Only a run that a stall of the machine cost all of its own time is tried again."
    for _ in range(5):
        result = e.execute_script("return 1")
        if not isinstance(result.error, ScriptTimeoutError) or result.duration_ms < result.error.timeout_ms:
            break
    return result.output == 1
def in_child(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


@pytest.fixture(params=["5.4", "luajit2.1"])
def lua(request: pytest.FixtureRequest) -> str:
    """Return one Lua of each kind: processes are slow to start, and these differ in how hooks and stacks work."""
    version = str(request.param)
    if _finder.available()[version] is not None:
        pytest.skip(f"lupa has no Lua {version} here")
    return version


@pytest.fixture
def run(lua: str) -> Callable[[str], str]:
    """Return a function that runs a program with luagauge at hand and returns what it printed."""

    def run_program(code: str) -> str:
        program = PRELUDE + textwrap.dedent(code)
        # Python 3.12 and later warn of every fork of a process with threads; that is what is tested here.
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, lua]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run_program


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


CTRL_C = [
    "while true do end",
    "while true do pcall(error, 'x') end",
    "coroutine.wrap(function() while true do end end)()",
    "while true do local t = {} end",
]


@pytest.mark.parametrize("max_instructions", [None, 2**60])
@pytest.mark.parametrize("source", CTRL_C)
def test_ctrl_c_stops_a_running_script(lua: str, source: str, max_instructions: int | None) -> None:
    """SIGINT, as a terminal sends it, raises KeyboardInterrupt out of the run, counted or not; the engine goes on."""
    program = PRELUDE + textwrap.dedent("""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        settings = {"max_instructions": int(sys.argv[3]) or None, "timeout_ms": None}
        e = engine(functions={"begun": lambda: print("begun", flush=True)}, **settings)
        try:
            e.execute_script("begun() " + sys.argv[2])
        except KeyboardInterrupt:
            print(e.execute_script("return 'goes on'").output)
    """)
    command = [sys.executable, "-c", program, lua, source, str(max_instructions or 0)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "goes on\n"
        assert process.wait(timeout=120) == 0


def test_ctrl_c_without_a_handler_of_its_own_ends_the_program(lua: str) -> None:
    """A program that does not catch it ends as Python programs do."""
    program = PRELUDE + 'engine(timeout_ms=None, functions={"go": lambda: os.kill(os.getpid(), signal.SIGINT)})'
    program += '.execute_script("go() while true do end")'
    done = subprocess.run(
        [sys.executable, "-c", program, lua], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in {-signal.SIGINT, 128 + signal.SIGINT}
    assert "KeyboardInterrupt" in done.stderr


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


def test_deadline_holds_in_a_child_forked_during_a_run(run: Callable[[str], str]) -> None:
    """Forked by a host function: parent and child both end in time, however much CPU time the parent has used."""
    out = run("""
        until = time.process_time() + 2
        while time.process_time() < until:
            pass
        pids = []
        e = engine(timeout_ms=200, functions={"fork": lambda: pids.append(os.fork())})
        for script in ("fork() while true do end", "fork() while true do local t = {} end"):
            result = e.execute_script(script)
            ended = type(result.error) is ScriptTimeoutError and result.duration_ms < 1500
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


def in_subinterpreters(*programs: str) -> str:
    """Run each program in an interpreter of its own, all in one process, and return what they printed."""
    try:
        interpreters = importlib.import_module("_xxsubinterpreters")
    except ImportError:
        pytest.skip(
            "a private module of CPython 3.10 to 3.12, the only way to an interpreter of the old kind from Python"
        )
    old_kind = "isolated=False" if sys.version_info >= (3, 12) else ""  # since 3.12 the default has a GIL of its own
    program = f"import {interpreters.__name__} as i\n"
    for inside in programs:
        program += f"i.run_string(i.create({old_kind}), {textwrap.dedent(inside)!r})\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_deadline_holds_in_a_subinterpreter(lua: str) -> None:
    """The signal is sent to a thread, whatever interpreter runs there."""
    inside = f"""
        from luagauge import *
        result = LuaEngine(ScriptConfig(lua={lua!r}, timeout_ms=20)).execute_script("while true do end")
        print(type(result.error).__name__)
    """
    assert in_subinterpreters(inside) == "ScriptTimeoutError\n"


def test_wheels_own_module_serves_every_interpreter(lua: str) -> None:
    """It is no Python extension, so nothing binds it to the interpreter that came first."""
    if _finder.find_lua(lua).module != "luagauge":
        pytest.skip("it is lupa's")
    inside = f"""
        from luagauge import *
        print(LuaEngine(ScriptConfig(lua={lua!r})).execute_script("return 6 * 7").output)
    """
    assert in_subinterpreters(inside, inside) == "42\n42\n"


def test_second_interpreter_is_told_that_lupa_serves_one(lua: str) -> None:
    """Each of lupa's modules can be imported in one interpreter of a process: that is said, not that there is no Lua."""
    inside = f"""
        from luagauge import *
        try:
            LuaEngine(ScriptConfig(lua={lua!r}))
        except PlatformUnavailableError as error:
            print("module cannot be imported here" in str(error), "no such Lua" in str(error), repr(error.__cause__))
    """
    if _finder.find_lua(lua).module == "luagauge":
        pytest.skip("the wheel's own module is no Python extension, and serves them all")
    cause = (
        "ImportError('Interpreter change detected - this module can only be loaded into one interpreter per process.')"
    )
    assert in_subinterpreters(inside, inside) == f"True False {cause}\n"


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
        e = engine(timeout_ms=2000)
        thread = threading.Thread(target=e.execute_script, args=("while true do end",))
        pids = []
        signal.signal(signal.SIGUSR1, lambda *_: pids.append(os.fork()))
        thread.start()
        time.sleep(0.2)
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


def test_ctrl_c_between_functions_that_look_at_no_signal(run: Callable[[str], str]) -> None:
    """A script that is in functions of C nearly all the time ends all the same: the tick waits until one is back."""
    out = run("""
        import functools
        signal.signal(signal.SIGINT, signal.default_int_handler)
        busy = functools.partial(sum, range(1_000_000))
        e = engine(timeout_ms=None, functions={"busy": busy})
        began = time.monotonic()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            e.execute_script("for i = 1, 1000 do busy() end")
        except KeyboardInterrupt:
            print(time.monotonic() - began < 5, e.execute_script("return 'goes on'").output)
    """)
    assert out == "True goes on\n"


def test_exit_with_open_engines_is_clean(run: Callable[[str], str]) -> None:
    """Engines, scripts and even a run on a daemon thread do not hold up or crash the end of the program."""
    out = run("""
        kept = [engine() for _ in range(3)]
        scripts = [e.precompile_script("return 1") for e in kept]
        begun = threading.Event()
        spinning = engine(timeout_ms=None, functions={"begun": begun.set})
        threading.Thread(target=spinning.execute_script, args=("begun() while true do end",), daemon=True).start()
        begun.wait()
        print("ends")
    """)
    assert out == "ends\n"


def test_environment_of_the_process_is_not_the_scripts(run: Callable[[str], str]) -> None:
    """os.getenv sees what the config says, and nothing else."""
    out = run("""
        os.environ["HOST_ONLY"] = "host"
        source = "return {os.getenv('HOST_ONLY') or 'hidden', os.getenv('PATH') or 'hidden', os.getenv('MODE') or ''}"
        print(engine(environment_variables={"MODE": "t\\u00ebst"}).execute_script(source).output)
    """)
    assert out == "['hidden', 'hidden', 't\u00ebst']\n"
