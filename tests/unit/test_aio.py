"""Runs from asyncio: the loop stays free, cancelling ends the run and only that run, errors come through."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from luagauge import EngineBusyError, EngineClosedError, LuaEngine, ScriptInterruptedError, ScriptTimeoutError
from luagauge._aio import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

FOREVER = "begun() while true do end"


def test_async_run_gives_the_same_result(engine: LuaEngine) -> None:
    """Source, context, name and compiled scripts, as in the blocking call."""

    async def main() -> None:
        result = await engine.execute_script_async("return context.a", {"a": 7})
        assert result.output == 7
        failed = await engine.execute_script_async("error('x')", name="rules")
        assert str(failed.error) == "rules:1: x"
        assert (await engine.execute_script_async(engine.precompile_script("return 8"))).output == 8

    asyncio.run(main())


def test_async_run_leaves_the_loop_free(make_engine: Callable[..., LuaEngine]) -> None:
    """The loop turns while a script waits for it."""
    turned = threading.Event()
    engine = make_engine(functions={"wait": turned.wait})

    async def main() -> None:
        task = asyncio.create_task(engine.execute_script_async("return wait()"))
        await asyncio.sleep(0)
        turned.set()  # never reached if the run blocked the loop
        assert (await task).output is True

    asyncio.run(main())


def test_async_runs_of_several_engines_overlap(make_engine: Callable[..., LuaEngine]) -> None:
    """Each waits for the other inside its script: one after the other they would never end."""
    barrier = threading.Barrier(2, timeout=60)
    engines = [make_engine(functions={"meet": lambda: barrier.wait() >= 0}) for _ in range(2)]

    async def main() -> None:
        results = await asyncio.gather(*(engine.execute_script_async("return meet()") for engine in engines))
        assert [result.output for result in results] == [True, True]
        assert all(result.memory is not None and result.memory.process_shared for result in results)

    asyncio.run(main())


def test_cancelling_ends_the_run(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str
) -> None:
    """A cancelled task comes back once its script has ended, and the engine is free."""
    begun = threading.Event()
    engine = make_engine(lua, timeout_ms=None, functions={"begun": begun.set})

    async def main() -> None:
        task = asyncio.create_task(engine.execute_script_async(FOREVER))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert_usable(engine)


def test_cancelling_a_waiting_task_spares_the_run_before_it(make_engine: Callable[..., LuaEngine]) -> None:
    """Two tasks on one engine: the one that waits is cancelled, the one that runs goes on to its own end."""
    begun, go_on = threading.Event(), threading.Event()
    engine = make_engine(timeout_ms=None, functions={"begun": begun.set, "go_on": go_on.is_set})

    async def main() -> None:
        first = asyncio.create_task(engine.execute_script_async("begun() while not go_on() do end return 'whole'"))
        await asyncio.to_thread(begun.wait)
        second = asyncio.create_task(engine.execute_script_async("while true do end"))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.wait([second], timeout=60)
        assert second.cancelled()  # it has not waited for the first
        await asyncio.sleep(0.05)  # time in which a wrong interrupt would hit that
        go_on.set()
        assert (await first).output == "whole"

    asyncio.run(main())


def test_cancelling_many_waiting_tasks_ends_every_wait(make_engine: Callable[..., LuaEngine]) -> None:
    """All threads that wait for one engine can be told at once, and each hears it."""
    begun, go_on = threading.Event(), threading.Event()
    engine = make_engine(timeout_ms=None, functions={"begun": begun.set, "go_on": go_on.is_set})
    outcomes: list[object] = []

    def wait() -> None:
        try:
            outcomes.append(engine.execute_script("return 1").output)
        except EngineBusyError as error:
            outcomes.append(type(error))

    first = threading.Thread(target=engine.execute_script, args=("begun() while not go_on() do end",))
    waiting = [threading.Thread(target=wait) for _ in range(20)]
    first.start()
    begun.wait()
    for thread in waiting:
        thread.start()
    rounds = 0
    while rounds < 5 and len(outcomes) < len(waiting):  # a slow machine's threads may not wait yet in the first
        rounds += 1
        time.sleep(0.5)
        for thread in waiting:
            assert engine._state.interrupt_thread(thread.ident or 0) is False
        deadline = time.monotonic() + 5
        while len(outcomes) < len(waiting) and time.monotonic() < deadline:
            time.sleep(0.01)
    ended = list(outcomes)
    go_on.set()
    for thread in (first, *waiting):
        thread.join()
    assert ended == [EngineBusyError] * len(waiting)
    assert engine.execute_script("return 1").output == 1


def test_cancelling_a_task_that_never_started_ends_it_at_once() -> None:
    """A call that still waits for a worker is not waited for, and never made."""
    busy, begun = threading.Event(), threading.Event()
    told: list[int] = []

    async def main() -> None:
        problems: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, problem: problems.append(problem))
        with ThreadPoolExecutor(1) as workers:
            loop.set_default_executor(workers)
            blocker = loop.run_in_executor(None, busy.wait)
            task = asyncio.create_task(run_in_thread(told.append, begun.set))
            await asyncio.sleep(0.05)
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=60)
            assert task in done  # while every worker is busy
            assert task.cancelled()
            busy.set()
            await blocker
            await loop.run_in_executor(None, len, ())  # the only worker is past the call that was given up
            del task, done
            await asyncio.sleep(0.01)
            gc.collect()  # a future whose exception nobody looked at complains when it is freed
        assert not begun.is_set()
        assert told == []
        assert problems == []

    asyncio.run(main())


def test_cancelling_swallows_the_late_error() -> None:
    """What the call raises after the cancellation is nobody's any more, and is not reported as never retrieved."""
    stop = threading.Event()

    def call() -> None:
        stop.wait()
        raise ValueError

    async def main() -> None:
        problems: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
        task = asyncio.create_task(run_in_thread(lambda _: stop.set(), call))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert problems == []

    asyncio.run(main())


def test_async_run_raises_what_the_call_raises(make_engine: Callable[..., LuaEngine]) -> None:
    """Misuse is raised; a script's failure is data."""
    engine = make_engine(timeout_ms=20)

    async def main() -> None:
        assert isinstance((await engine.execute_script_async("while true do end")).error, ScriptTimeoutError)
        engine.close()
        with pytest.raises(EngineClosedError):
            await engine.execute_script_async("return 1")

    asyncio.run(main())


def test_wait_for_ends_a_run_that_takes_too_long(make_engine: Callable[..., LuaEngine]) -> None:
    """Asyncio's own timeout works as on any other awaitable."""
    engine = make_engine(timeout_ms=None)

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(engine.execute_script_async("while true do end"), 0.05)
        assert (await engine.execute_script_async("return 1")).output == 1

    asyncio.run(main())


def test_interrupt_ends_an_async_run(make_engine: Callable[..., LuaEngine]) -> None:
    """Without cancelling: the result says that it was interrupted."""
    begun = threading.Event()
    engine = make_engine(timeout_ms=None, functions={"begun": begun.set})

    async def main() -> None:
        task = asyncio.create_task(engine.execute_script_async(FOREVER))
        await asyncio.to_thread(begun.wait)
        assert engine.interrupt() is True
        assert isinstance((await task).error, ScriptInterruptedError)

    asyncio.run(main())


def test_cancelling_again_still_waits_for_the_end(make_engine: Callable[..., LuaEngine]) -> None:
    """However often a task is cancelled, its host function is out and its run over before it comes back."""
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        inside.set()
        go_on.wait()
        inside.clear()

    engine = make_engine(timeout_ms=None, functions={"slow": slow})

    async def main() -> None:
        task = asyncio.create_task(engine.execute_script_async("slow()"))
        await asyncio.to_thread(inside.wait)
        for pause in (0.0, 0.0, 0.03, 0.0, 0.03):
            task.cancel()
            task.cancel()
            await asyncio.sleep(pause)
            assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not inside.is_set()
        assert (await engine.execute_script_async("return 1")).output == 1

    asyncio.run(main())


def test_cancelling_again_lets_the_first_word_through() -> None:
    """The exception that comes out is that of the first cancellation, with its message."""
    stop, begun = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        stop.wait()

    async def wait() -> None:  # inside: what awaits a task gets an error of asyncio's own making on 3.10
        with pytest.raises(asyncio.CancelledError, match="first"):
            await run_in_thread(lambda _: None, call)

    async def main() -> None:
        task = asyncio.create_task(wait())
        await asyncio.to_thread(begun.wait)
        task.cancel("first")
        await asyncio.sleep(0)
        task.cancel("second")
        await asyncio.sleep(0)
        stop.set()
        await task

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout and TaskGroup came with 3.11")
@pytest.mark.parametrize("outer_first", [False, True])
def test_timeouts_inside_each_other_are_told_apart(
    make_engine: Callable[..., LuaEngine],
    outer_first: bool,  # noqa: FBT001 - a table
) -> None:
    """Both are over while the host function keeps the run from ending: the outer one is what the caller sees."""
    if sys.version_info < (3, 11):  # for mypy
        return
    engine = make_engine(timeout_ms=None, functions={"slow": lambda: time.sleep(0.2)})
    inner, outer = (0.1, 0.05) if outer_first else (0.05, 0.1)
    heard: list[str] = []

    async def nested() -> None:
        async with asyncio.timeout(outer):
            try:
                async with asyncio.timeout(inner):
                    await engine.execute_script_async("slow()")
            except TimeoutError:
                heard.append("inner")

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(TimeoutError):
            await nested()
        assert task.cancelling() == 0
        assert (await engine.execute_script_async("return 1")).output == 1

    asyncio.run(main())
    assert heard == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout and TaskGroup came with 3.11")
def test_task_group_with_a_failing_sibling_waits_for_the_run(make_engine: Callable[..., LuaEngine]) -> None:
    """A TaskGroup cancels the run when a sibling fails; what else cancels it meanwhile does not let it go early."""
    if sys.version_info < (3, 11):  # for mypy
        return
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        inside.set()
        go_on.wait()
        inside.clear()

    engine = make_engine(timeout_ms=None, functions={"slow": slow})

    async def fail() -> None:
        await asyncio.to_thread(inside.wait)
        asyncio.get_running_loop().call_later(0.1, go_on.set)
        raise LookupError

    async def group_of_two() -> None:
        async with asyncio.TaskGroup() as group:
            run = group.create_task(engine.execute_script_async("slow()"))
            asyncio.get_running_loop().call_later(0.05, run.cancel)
            group.create_task(fail())

    async def main() -> None:
        with pytest.raises(Exception, match="unhandled errors") as caught:
            await group_of_two()
        assert [type(error) for error in getattr(caught.value, "exceptions", ())] == [LookupError]
        assert not inside.is_set()

    asyncio.run(main())


def test_functions_see_the_context_variables_of_the_awaiting_task(make_engine: Callable[..., LuaEngine]) -> None:
    """As with asyncio.to_thread: each task its own values, and what a function sets stays in that run."""
    request = contextvars.ContextVar("request", default="nobody")

    def take() -> str:
        before = request.get()
        request.set("changed")
        return before

    engines = [make_engine(functions={"take": take}) for _ in range(3)]

    async def ask(engine: LuaEngine, name: str) -> Any:
        request.set(name)
        output = (await engine.execute_script_async("return {take(), take()}")).output
        return [*output, request.get()]

    async def main() -> None:
        names = ["a", "b", "c"]
        found = await asyncio.gather(*(ask(engine, name) for engine, name in zip(engines, names, strict=True)))
        assert found == [[name, "changed", name] for name in names]
        assert request.get() == "nobody"

    asyncio.run(main())
