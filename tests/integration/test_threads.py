"""Engines and threads: one run at a time per engine, any number of engines side by side, interrupts from anywhere."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import pytest

from luagauge import EngineClosedError, LuaEngine, ScriptInterruptedError, ScriptTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = "local t = {} for i = 1, 2000 do t[i] = tostring(i) end return #t"


def run_all(targets: list[Callable[[], object]]) -> None:
    """Run each target on a thread of its own, and raise what one of them raised."""
    problems: list[BaseException] = []

    def guarded(target: Callable[[], object]) -> None:
        try:
            target()
        except BaseException as problem:  # noqa: BLE001 - raised again below
            problems.append(problem)

    threads = [threading.Thread(target=guarded, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def test_threads_share_an_engine_one_after_the_other(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Every run of every thread is whole, with its own context and logs."""
    engine = make_engine(lua)

    def work(number: int) -> None:
        for i in range(50):
            result = engine.execute_script("print(context.n) return context.n * 2", {"n": number * 1000 + i})
            assert result.output == 2 * (number * 1000 + i)
            assert [entry.message for entry in result.logs] == [str(number * 1000 + i)]

    run_all([lambda n=n: work(n) for n in range(4)])  # type: ignore[misc]  # mypy infers no default
    assert engine.stats().runs == 200


def test_engines_run_side_by_side(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Eight engines on eight threads meet inside their scripts: none holds another up, and each measures itself."""
    barrier = threading.Barrier(8, timeout=60)

    def grown(meet: Callable[[], bool]) -> int:
        with LuaEngine(make_engine(lua, functions={"meet": meet}).config) as engine:
            assert engine.execute_script("return meet()").output is True
            engine.execute_script(COUNT)
            memory = engine.execute_script(COUNT).memory
            assert memory is not None
            return memory.peak_bytes - memory.start_bytes

    alone = grown(lambda: True)

    def work() -> None:
        assert grown(lambda: barrier.wait() >= 0) == alone

    run_all([work] * 8)


def test_runs_that_overlap_say_so(make_engine: Callable[..., LuaEngine]) -> None:
    """process_shared is True for both, and False for a run alone."""
    barrier = threading.Barrier(2, timeout=60)
    engines = [make_engine(functions={"meet": lambda: barrier.wait() >= 0}) for _ in range(2)]
    shared: list[Any] = []

    def work(engine: LuaEngine) -> None:
        memory = engine.execute_script("meet() return meet()").memory
        shared.append(memory is not None and memory.process_shared)

    run_all([lambda engine=engine: work(engine) for engine in engines])  # type: ignore[misc]  # as above
    assert shared == [True, True]
    memory = engines[0].execute_script("return 1").memory
    assert memory is not None
    assert memory.process_shared is False


def test_python_goes_on_while_a_script_runs(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A run holds no GIL: another thread ends it."""
    begun = threading.Event()
    engine = make_engine(lua, timeout_ms=None, functions={"begun": begun.set})

    def stop() -> None:
        begun.wait()
        assert sum(range(10_000)) == 49_995_000  # Python code, while the script spins
        assert engine.interrupt() is True

    results: list[Any] = []
    run_all([stop, lambda: results.append(engine.execute_script("begun() while true do end"))])
    assert isinstance(results[0].error, ScriptInterruptedError)


SPINS = [
    "while true do end",
    "while true do pcall(error) end",
    "while true do coroutine.wrap(function() for i = 1, 1000 do end end)() end",
    "while true do local t = {} for i = 1, 100 do t[i] = {} end end",
    "while true do string.rep('x', 1000) end",
]


@pytest.mark.parametrize("source", SPINS)
def test_interrupt_ends_any_run(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, source: str
) -> None:
    """From another thread; the result is an interruption, the engine goes on."""
    begun = threading.Event()
    engine = make_engine(lua, timeout_ms=None, functions={"begun": begun.set})
    assert engine.interrupt() is False
    thread = threading.Thread(target=lambda: begun.wait() and engine.interrupt())
    thread.start()
    result = engine.execute_script(f"begun() {source}")
    thread.join()
    assert isinstance(result.error, ScriptInterruptedError)
    assert result.output is None
    assert_usable(engine)


def test_interrupts_at_random_moments_never_hit_the_next_run(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Each run ends by itself or as interrupted, and what follows is always right."""
    engine = make_engine(lua, timeout_ms=None)
    over = threading.Event()
    rng = random.Random(5)  # noqa: S311 - moments, not secrets

    def disturb() -> None:
        while not over.wait(rng.random() * 0.002):
            engine.interrupt()

    thread = threading.Thread(target=disturb)
    thread.start()
    ended = {True: 0, False: 0}
    for i in range(150):
        result = engine.execute_script("local n = 0 for i = 1, 20000 do n = n + 1 end return {context.i, n}", {"i": i})
        assert result.success or isinstance(result.error, ScriptInterruptedError)
        ended[result.success] += 1
        if result.success:
            assert result.output == [i, 20_000]
    over.set()
    thread.join()
    assert sum(ended.values()) == 150
    assert engine.execute_script("return 1").output == 1


def test_deadlines_and_interrupts_race_cleanly(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Whichever comes first is the error; nothing is left of the other."""
    engine = make_engine(lua, timeout_ms=2)
    for _ in range(30):
        timer = threading.Timer(0.002, engine.interrupt)
        timer.start()
        error = engine.execute_script("while true do end").error
        assert isinstance(error, (ScriptTimeoutError, ScriptInterruptedError))
        timer.join()
        result = engine.execute_script("return 1")
        assert result.output == 1 or result.duration_ms >= 2  # a busy machine can cost it its own 2 ms


def test_close_waits_for_the_run_of_another_thread(make_engine: Callable[..., LuaEngine]) -> None:
    """The run ends by itself, then the engine is closed; whoever waits is told."""
    begun, go_on = threading.Event(), threading.Event()
    engine = make_engine(timeout_ms=None, functions={"begun": begun.set, "go_on": go_on.is_set})
    results: list[Any] = []

    def close() -> None:
        begun.wait()
        threading.Timer(0.02, go_on.set).start()
        engine.close()

    run_all([close, lambda: results.append(engine.execute_script("begun() while not go_on() do end return 'whole'"))])
    assert results[0].output == "whole"
    assert engine.closed
    with pytest.raises(EngineClosedError):
        engine.execute_script("return 1")


def test_waiting_threads_are_told_that_the_engine_was_closed(make_engine: Callable[..., LuaEngine]) -> None:
    """Each waiting call either ran before the close or raises EngineClosedError."""
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        threading.Event().wait(0.05)

    engine = make_engine(functions={"wait": wait})
    outcomes: list[str] = []

    def work() -> None:
        try:
            outcomes.append(str(engine.execute_script("wait() return 'ran'").output))
        except EngineClosedError:
            outcomes.append("closed")

    def close() -> None:
        begun.wait()
        engine.close()

    run_all([*[work] * 5, close])
    assert len(outcomes) == 5
    assert set(outcomes) <= {"ran", "closed"}
    assert "ran" in outcomes


def test_engines_used_here_are_closed_or_dropped_on_another_thread(
    lua: str, make_engine: Callable[..., LuaEngine]
) -> None:
    """Which thread ends an engine makes no difference to it, nor to the engines that stay."""
    stays = make_engine(lua)
    engines = [LuaEngine(stays.config) for _ in range(20)]
    for engine in engines:
        assert engine.execute_script("local t = {} for i = 1, 20000 do t[i] = {i} end return #t").output == 20000
    closed, dropped = engines[:10], engines[10:]
    engines.clear()
    del engine

    def end() -> None:
        for engine in closed:
            engine.close()
        dropped.clear()

    run_all([end])
    for engine in closed:
        with pytest.raises(EngineClosedError):
            engine.execute_script("return 1")
    assert stays.execute_script("return 1").output == 1


def test_engines_made_and_dropped_on_many_threads(lua: str, make_engine: Callable[..., LuaEngine]) -> None:
    """Making, running and closing are independent."""
    config = make_engine(lua).config

    def work() -> None:
        for i in range(10):
            with LuaEngine(config) as engine:
                assert engine.execute_script(f"return {i}").output == i

    run_all([work] * 6)
