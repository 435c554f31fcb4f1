"""Scripts compiled once: every run is fresh, and nothing is compiled twice."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import pytest

from luagauge import LuaEngine, ScriptRuntimeError, ScriptSyntaxError, ScriptTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable


def test_precompiled_script_runs_many_times(engine: LuaEngine) -> None:
    """With another context each time, its locals fresh."""
    script = engine.precompile_script("local n = 0 n = n + context.n return n", name="adder")
    assert [engine.execute_script(script, {"n": n}).output for n in range(50)] == list(range(50))
    assert script.name == "adder"


def test_precompiled_script_sees_fresh_globals(engine: LuaEngine) -> None:
    """What one run sets is gone in the next, in functions and loaded code too."""
    script = engine.precompile_script(
        "count = (count or 0) + 1 function f() return count end string.extra = 1 return f(), (loadstring or load)('return count')()"
    )
    for _ in range(3):
        assert engine.execute_script(script).output == (1, 1)
    assert engine.execute_script("return count == nil and f == nil and string.extra == nil").output is True


def test_precompiled_script_costs_no_compiling(engine: LuaEngine) -> None:
    """The runs' gross allocation is less than that of a run that compiles, and the same each time."""
    source = "local t = {} " + "t[#t + 1] = 'value' " * 200 + "return #t"
    script = engine.precompile_script(source)
    compiled = [engine.execute_script(script).memory for _ in range(3)]
    with LuaEngine(engine.config) as other:
        first = other.execute_script(source).memory
    assert first is not None
    for memory in compiled:
        assert memory is not None
        assert memory.allocated_bytes < first.allocated_bytes / 2
    assert len({memory.allocated_bytes for memory in compiled if memory is not None}) == 1


def test_precompiled_script_after_failures(engine: LuaEngine) -> None:
    """A script that failed, or timed out, runs again."""
    script = engine.precompile_script("if context.fail then error('x') end return 'fine'")
    assert isinstance(engine.execute_script(script, {"fail": True}).error, ScriptRuntimeError)
    assert engine.execute_script(script, {}).output == "fine"


def test_precompiled_script_that_timed_out_runs_again(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Nothing of the interrupt is left in it."""
    engine = make_engine(lua, timeout_ms=100)
    script = engine.precompile_script("while context.forever do end return 'fine'")
    for _ in range(2):
        assert isinstance(engine.execute_script(script, {"forever": True}).error, ScriptTimeoutError)
        assert engine.execute_script(script, {}).output == "fine"


def test_precompile_raises_syntax_errors(engine: LuaEngine, assert_usable: Callable[[LuaEngine], None]) -> None:
    """With the line, under the given name."""
    with pytest.raises(ScriptSyntaxError) as caught:
        engine.precompile_script("local a\nlocal b\nif", name="bad.lua")
    assert caught.value.line == 3
    assert str(caught.value).startswith("bad.lua:3: ")
    assert_usable(engine)


def test_precompiled_scripts_are_independent(engine: LuaEngine) -> None:
    """A hundred of them, run in any order, each its own."""
    scripts = [engine.precompile_script(f"return {i}") for i in range(100)]
    for i in [*range(99, -1, -1), *range(0, 100, 7)]:
        assert engine.execute_script(scripts[i]).output == i
    del scripts[::2]
    engine.precompile_script("return 'frees the others'")
    for i, script in enumerate(scripts):
        assert engine.execute_script(script).output == 2 * i + 1


def test_precompiled_script_without_a_mention_of_globals(engine: LuaEngine) -> None:
    """Scripts get what they name; one that names nothing and one that can reach all run side by side."""
    plain = engine.precompile_script("local a, b = 1, 2 return a + b")
    dynamic = engine.precompile_script("local names = {} for k in pairs(_G) do names[#names + 1] = k end return #names")
    assert engine.execute_script(plain).output == 3
    full = engine.execute_script(dynamic).output
    assert full > 20
    assert engine.execute_script(plain).output == 3
    assert engine.execute_script(dynamic).output == full


def test_dropped_scripts_are_freed_by_the_next_call_of_any_kind(engine: LuaEngine) -> None:
    """Whether it compiles or runs what is compiled already."""
    kept = engine.precompile_script("return 1")
    calls: list[Callable[[], object]] = [
        lambda: engine.execute_script(kept),
        lambda: engine.execute_script("return 2"),  # in the cache from the first time on
        lambda: engine.validate_syntax("x = 1"),
    ]
    for call in calls:
        call()
        before = engine.stats().live_bytes
        large = [engine.precompile_script("local t = {}" + " t[1] = function() return t end" * 500) for _ in range(5)]
        assert engine.stats().live_bytes > before + 100_000
        del large
        gc.collect()
        call()
        assert engine.stats().live_bytes < before + 20_000


def test_many_dropped_scripts_are_freed_at_once(engine: LuaEngine) -> None:
    """In one collection, not in one each, which would go through all that are left every time."""
    body = "local t = {} " + " ".join(f"t[{i}] = function(a) return a + {i} end" for i in range(20))
    scripts = [engine.precompile_script(f"{body} return {i}") for i in range(3000)]
    live = engine.stats().live_bytes
    kept = scripts[:300]
    del scripts
    gc.collect()
    began = time.thread_time()
    assert engine.execute_script("return 3").output == 3
    assert time.thread_time() - began < 1  # it was 2 to 10 s
    assert engine.stats().live_bytes < live / 5
    assert engine.execute_script(kept[7]).output == 7
