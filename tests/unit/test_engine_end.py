"""How an engine ends: closed, dropped, or held by its scripts."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from luagauge import EngineBusyError, EngineClosedError, LuaEngine, ScriptConfig

if TYPE_CHECKING:
    from collections.abc import Callable


def test_close_ends_every_use(engine: LuaEngine) -> None:
    """A closed engine says so to every call that would need the state, and closing again is fine."""
    script = engine.precompile_script("return 1")
    engine.execute_script("return 1")
    assert not engine.closed
    engine.close()
    engine.close()
    assert engine.closed
    calls: list[Callable[[], object]] = [
        lambda: engine.execute_script("return 1"),
        lambda: engine.execute_script("return 2"),
        lambda: engine.execute_script(script),
        lambda: engine.precompile_script("return 1"),
        lambda: engine.validate_syntax("return 1"),
        engine.stats,
    ]
    for call in calls:
        with pytest.raises(EngineClosedError, match="make a new LuaEngine"):
            call()
    assert engine.interrupt() is False


def test_with_closes_the_engine_after_an_error_too() -> None:
    """Leaving the block closes, however it is left."""
    with LuaEngine() as engine:
        assert not engine.closed
    assert engine.closed
    with pytest.raises(KeyError), LuaEngine() as engine:
        raise KeyError
    assert engine.closed


def test_close_from_inside_a_run_is_refused(make_engine: Callable[..., LuaEngine]) -> None:
    """An engine cannot close under its own script; afterwards it can."""
    errors: list[Exception] = []

    def close() -> None:
        try:
            engine.close()
        except EngineBusyError as error:
            errors.append(error)

    engine = make_engine(functions={"close": close})
    assert engine.execute_script("close() return 'still here'").output == "still here"
    assert len(errors) == 1
    engine.close()
    assert engine.closed


def test_dropped_engines_are_freed_without_being_closed() -> None:
    """The last reference frees the state, even where host functions refer to the engine."""
    plain = LuaEngine()
    plain.execute_script("return 1")
    gone = weakref.ref(plain)
    del plain
    assert gone() is None

    def make_cycle() -> weakref.ref[LuaEngine]:
        holder: list[LuaEngine] = []
        holder.append(LuaEngine(ScriptConfig(functions={"me": lambda: repr(holder)})))
        holder[0].execute_script("return me()")
        return weakref.ref(holder[0])

    gone = make_cycle()
    gc.collect()
    assert gone() is None


def test_scripts_keep_their_engine_alive(make_engine: Callable[..., LuaEngine]) -> None:
    """A LuaScript holds the engine it can be run by."""
    engine = LuaEngine()
    gone = weakref.ref(engine)
    script = engine.precompile_script("return 1")
    del engine
    assert gone() is not None
    del script
    assert gone() is None
