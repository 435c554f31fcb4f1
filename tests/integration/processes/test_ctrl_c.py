"""Ctrl-C ends a run in the main thread, whatever the script does."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from process_prelude import PRELUDE

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes and signals"),
    pytest.mark.emulated,
]


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


def test_ctrl_c_between_functions_that_look_at_no_signal(run: Callable[[str], str]) -> None:
    """A script that is in functions of C nearly all the time ends all the same: the tick waits until one is back."""
    out = run("""
        import functools
        signal.signal(signal.SIGINT, signal.default_int_handler)
        calls = iter(range(1000))
        busy = functools.partial(sum, range(1_000_000))
        e = engine(timeout_ms=None, functions={"busy": busy, "next": functools.partial(next, calls)})
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            e.execute_script("for i = 1, 1000 do busy() next() end")
        except KeyboardInterrupt:
            print(next(calls, 1000) < 900, e.execute_script("return 'goes on'").output)
    """)
    assert out == "True goes on\n"
