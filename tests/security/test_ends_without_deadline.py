"""A used up budget and a host function's SystemExit end a run without a deadline, whatever the script catches."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from luagauge import InstructionLimitExceeded, LuaEngine

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
