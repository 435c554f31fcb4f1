"""What the tests of the hard stop share: limits that fall into a long step, and what must be so after one."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from luagauge import LuaEngine, LuaScript, ScriptError, ScriptResult

if TYPE_CHECKING:
    from collections.abc import Callable

# A step begins after some milliseconds. LuaJIT's begin after some hundred, with as long of other work between them.
# Where a machine is so slow at times that the first are missed, later ones follow.
DELAYS_MS = (
    *(60, 240, 270, 300, 330, 370, 420, 480, 550, 220, 200, 180, 160, 140),
    *(620, 700, 800, 900, 1000, 1050, 1450, 1500, 1850, 1950, 2000, 2100, 2200, 2300, 2360),
)
REFERENCE = """
local t = {} for i = 1, 200 do t[i] = {i, 'text ' .. i} end
print(#t)
return #t, t[200][2]
"""


def wait_for_cpu(ident: int, delay_ms: float) -> None:
    """Wait until another thread has had so much CPU time from now on; where its clock cannot be read, so much time."""
    if sys.platform != "linux":
        time.sleep(delay_ms / 1000)
        return
    clock = time.pthread_getcpuclockid(ident)
    end = time.clock_gettime(clock) + delay_ms / 1000
    while time.clock_gettime(clock) < end:
        time.sleep(0.002)


def after_cpu(delay_ms: float, act: Callable[[], object]) -> threading.Thread:
    """Do something on another thread when this one has had so much CPU time; return that thread, started."""
    ident = threading.get_ident()

    def work() -> None:
        wait_for_cpu(ident, delay_ms)
        act()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def until_thrown_away(attempt: Callable[[float], ScriptResult]) -> ScriptResult:
    """Let `attempt` end a run after one delay after the other, until it has to be by throwing its state away.

    Beside a busy process the first may be over before the step has begun.
    """
    for delay_ms in DELAYS_MS:
        result = attempt(delay_ms)
        assert result.stopped in ("error", "state"), result
        if result.stopped == "state":
            return result
    pytest.fail("every run ended by an error: the step is none")


class Kept:
    """What an engine holds from before a hard stop: compiled scripts, and what the reference script comes to."""

    def __init__(self, engine: LuaEngine, step: str = "return") -> None:
        """Compile and run. Sources that are compiled later become part of what the engine holds, and change figures."""
        self.engine = engine
        self.step = engine.precompile_script(step, name="step")
        self.named = engine.precompile_script("return context.n + 1", name="kept")
        self.reference = engine.precompile_script(REFERENCE, name="reference")
        self.figures = self.run()
        self.stops = engine.stats().hard_stops

    def run(self) -> tuple[Any, ...]:
        """Run the reference script; a small limit of time may need several tries on a busy machine."""
        result = again(self.engine, self.reference)
        memory = result.memory
        assert result.error is None
        assert memory is not None
        grown = memory.end_bytes - memory.start_bytes
        figures = (memory.used_bytes, grown, memory.allocated_bytes, memory.allocation_count)
        return (result.output, [entry.message for entry in result.logs], *figures)

    def assert_there(self) -> None:
        """Check that the scripts still run, and that the reference script comes to the same, byte for byte."""
        assert again(self.engine, self.named, {"n": 41}).output == 42
        assert self.run() == self.figures
        assert self.run() == self.figures


def again(engine: LuaEngine, script: LuaScript, context: dict[str, Any] | None = None) -> ScriptResult:
    """Run a short script that must succeed; where the machine took all of its time, once more."""
    for _ in range(20):
        result = engine.execute_script(script, context)
        if result.stopped is None:
            return result
    pytest.fail(f"{script!r} never came to its end")


def assert_thrown_away(kept: Kept, result: ScriptResult, error: type[ScriptError]) -> None:
    """Check all that is promised of a run whose state was thrown away, but for its logs and its time."""
    stats = kept.engine.stats()
    assert result.stopped == "state"
    assert isinstance(result.error, error)
    assert result.error.line is None
    assert not result.success
    assert result.output is None
    assert stats.hard_stops == kept.stops + 1
    kept.stops += 1
    kept.assert_there()
    assert kept.engine.stats().hard_stops == kept.stops
