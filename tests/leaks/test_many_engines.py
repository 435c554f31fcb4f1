"""Engines that were closed, and runs that were large or thrown away, leave nothing behind."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from held_memory import KIB, assert_flat, resident_bytes
from long_steps import pure_step
from luas import HAVE_ARENA

import luagauge
from luagauge import LuaEngine, ScriptConfig


@pytest.mark.parametrize("version", HAVE_ARENA)
def test_hard_stops_leak_nothing(version: str) -> None:
    """A run that is thrown away in a step of Lua's own leaves none of its heap, its logs or its context behind."""
    if luagauge._finder.available()[version] is not None:
        pytest.skip(f"lupa has no Lua {version} here")
    late = version.startswith("luajit")
    source, context = pure_step(version, 15 if late else 13)
    settings: dict[str, Any] = {"timeout_ms": None, "cpu_time_ms": 60 if late else 2, "functions": {"echo": str}}
    with LuaEngine(ScriptConfig(lua=version, memory_limit_mb=32, **settings)) as engine:
        if engine.stats().no_hard_stop is not None:
            pytest.skip(str(engine.stats().no_hard_stop))
        script = engine.precompile_script(f"print('x', echo(1)) {source}")
        assert_flat(lambda: engine.execute_script(script, context), 30 if late else 300, per_call_bytes=100)
        assert engine.stats().hard_stops > 0 or late  # on which a step may fall beside every limit


def test_engines_after_hard_stops_leak_nothing() -> None:
    """Made, thrown away once in a run and once in a compile, and closed."""
    source, _ = pure_step("5.4", 13)
    settings: dict[str, Any] = {"timeout_ms": None, "cpu_time_ms": 2, "memory_limit_mb": 32}
    constants = "return {" + ",".join(str(i * (2**13 - 1)) for i in range(2**12 + 2)) + "}"
    stops = [0]

    def one() -> None:
        with LuaEngine(ScriptConfig(lua="5.4", **settings)) as engine:
            engine.execute_script(source)
            engine.execute_script(constants)
            stops[0] += engine.stats().hard_stops

    assert_flat(one, 150, per_call_bytes=1000)
    assert stops[0] > 0


@pytest.mark.real_malloc
@pytest.mark.parametrize("version", ["5.1", "5.4", "luajit2.1"])
def test_an_idle_engine_holds_nothing_of_a_large_run(version: str) -> None:
    """Neither the text that string.rep had begun to put together when the deadline came, nor a large output."""
    settings: dict[str, Any] = {"lua": version, "memory_limit_mb": 400, "max_output_size": 1 << 27}
    with LuaEngine(ScriptConfig(timeout_ms=20, **settings)) as timed, LuaEngine(ScriptConfig(**settings)) as patient:
        before = resident_bytes()
        for _ in range(3):
            ended = timed.execute_script("while true do local s = ('x'):rep(90e6) end")
            assert isinstance(ended.error, luagauge.ScriptTimeoutError)
        assert len(patient.execute_script("return ('x'):rep(3e7)").output) == 30_000_000
        assert resident_bytes() - before < 16 * 1024 * KIB


def test_a_thousand_engines_leak_nothing(lua: str) -> None:
    """Made, used in every way that leaves something to free, and closed or dropped."""
    config = ScriptConfig(lua=lua, memory_limit_mb=4, functions={"f": lambda: 1})

    def one(*, close: bool) -> None:
        engine = LuaEngine(config)
        script = engine.precompile_script("return f()")
        assert engine.execute_script(script).output == 1
        engine.execute_script("local t = {} for i = 1, 1000 do t[i] = {i} end")
        engine.execute_script("return #('x'):rep(1e8)")
        if close:
            engine.close()

    def both() -> None:
        one(close=True)
        one(close=False)

    assert_flat(both, 500 // 3, per_call_bytes=2000)


def test_ten_thousand_engines_leak_nothing() -> None:
    """Made and closed, one after the other and two hundred at a time, on this thread and on another."""
    config = ScriptConfig()

    def close(engines: list[LuaEngine]) -> None:
        for engine in engines:
            engine.close()

    def two_hundred() -> None:
        engines = [LuaEngine(config) for _ in range(200)]
        closing = threading.Thread(target=close, args=(engines[::2],))
        closing.start()
        closing.join()
        close(engines[1::2])

    def one() -> None:
        LuaEngine(config).close()

    assert_flat(one, 5000, per_call_bytes=50)
    assert_flat(two_hundred, 25, per_call_bytes=4000, calls=200)
