"""Ways round the limits that were found once, each with the shortest script that went it."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from luagauge import EngineBusyError, InstructionLimitExceeded, LuaEngine, ScriptRuntimeError

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 20.0  # what a hang is told by; nothing here needs a hundredth of it


def in_thread(engine: LuaEngine, source: str) -> Any:
    """Run a script outside the main thread, where no tick for Ctrl-C helps; return its result or what it raised."""
    ended: list[Any] = []

    def work() -> None:
        try:
            ended.append(engine.execute_script(source))
        except BaseException as error:  # noqa: BLE001 - a host function's own, whatever it is
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE_S)
    hung = thread.is_alive()
    engine.interrupt()  # so that a failure here ends too
    thread.join()
    assert not hung, "the script went on"
    return ended[0]


@pytest.mark.parametrize(
    "source",
    [
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
    ],
    ids=["pcall", "xpcall", "coroutine"],
)
def test_instruction_limit_outlives_pcall_without_a_deadline(
    make_engine: Callable[..., LuaEngine], lua: str, source: str
) -> None:
    """A used up budget ends the run by itself, however often the script catches what ends it."""
    engine = make_engine(lua, timeout_ms=None, max_instructions=10_000)
    assert isinstance(in_thread(engine, source).error, InstructionLimitExceeded)
    assert engine.execute_script("return 1").output == 1


@pytest.mark.parametrize(
    "source",
    [
        "while true do pcall(stop) end",
        "pcall(stop) while true do end",
        "pcall(coroutine.wrap(function() pcall(stop) while true do end end)) while true do end",
    ],
    ids=["loop", "after", "coroutine"],
)
def test_host_function_that_ends_the_run_outlives_pcall(
    make_engine: Callable[..., LuaEngine], lua: str, source: str
) -> None:
    """SystemExit from a host function comes out though the script catches it and has no deadline."""

    def stop() -> None:
        raise SystemExit(3)

    engine = make_engine(lua, timeout_ms=None, functions={"stop": stop})
    assert isinstance(in_thread(engine, source), SystemExit)
    assert engine.execute_script("return 1").output == 1


def test_load_reads_what_a_function_gives_in_pieces_of_any_length(
    make_engine: Callable[..., LuaEngine], lua: str
) -> None:
    """Long pieces are handed on in short ones with a look at the deadline between them; the code is the same."""
    source = """
        local words = {}
        for i = 1, 400 do words[i] = "x = (x or 0) + " .. i .. " -- " .. ("c"):rep(i) .. "\\n" end
        local text = table.concat(words) .. "return x, '" .. ("s"):rep(3000) .. "'"
        local function pieces(size)
          local at = 1
          return function()
            if at > #text then return nil end
            at = at + size
            return text:sub(at - size, at - 1)
          end
        end
        local sums = {}
        for i, size in ipairs({1, 511, 512, 513, 100000}) do
          x = nil
          local sum, rest = assert(load(pieces(size)))()
          sums[i] = sum + #rest
        end
        local binary = {pcall(load, function() return "\\27Lua" .. ("x"):rep(2000) end)}
        return {sums = sums, refused = binary[2] == nil or not binary[1]}
    """
    result = make_engine(lua).execute_script(source)
    assert result.output == {"sums": [83_200] * 5, "refused": True}, result.error


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


class Emptying(int):
    """A number that no Lua holds, and that empties the list it lies in when it is shown."""

    home: list[Any]

    def __repr__(self) -> str:
        """Leave nothing that keeps this object alive."""
        self.home.clear()
        gc.collect()
        return "shown " * 3


class EmptyingKey(str):
    """The same as a key that UTF-8 cannot hold."""

    __slots__ = ("home",)
    home: dict[Any, Any]

    def __repr__(self) -> str:
        """Leave nothing that keeps this object alive."""
        self.home.clear()
        gc.collect()
        return "shown"


def test_conversion_keeps_values_whose_repr_empties_their_container(
    make_engine: Callable[..., LuaEngine], lua: str
) -> None:
    """What is shown in the error, and the keys on its path, stay alive until the error is made."""
    items: list[Any] = []
    pairs: dict[Any, Any] = {}

    def from_list() -> list[Any]:
        items.append(Emptying(2**70))
        items[0].home = items
        return items

    def from_dict() -> dict[Any, Any]:
        key = EmptyingKey("\ud800")
        key.home = pairs
        pairs[key] = 1
        return pairs

    engine = make_engine(lua, functions={"from_list": from_list, "from_dict": from_dict})
    for source, shown in (("from_list()", "shown shown shown"), ("from_dict()", "the text shown has a lone surrogate")):
        error = engine.execute_script(source).error
        assert isinstance(error, ScriptRuntimeError)
        assert shown in str(error)


class Unspeakable(Exception):
    """An exception whose text ends the program."""

    def __str__(self) -> str:
        """Raise what a signal handler may raise anywhere."""
        raise KeyboardInterrupt


def test_interrupt_while_an_exception_is_described_comes_out(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """KeyboardInterrupt in the __str__ of a host function's error is not lost."""

    def fail() -> None:
        raise Unspeakable

    engine = make_engine(lua, functions={"fail": fail})
    with pytest.raises(KeyboardInterrupt):
        engine.execute_script("pcall(fail) return 1")


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
