"""What an engine keeps of the sources that it ran, and what its statistics say of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from luagauge import EngineStats, LuaEngine, ScriptSyntaxError, _finder

if TYPE_CHECKING:
    from collections.abc import Callable


def test_execute_reads_a_changed_bytearray_anew(make_engine: Callable[..., LuaEngine]) -> None:
    """What can change is never taken for what it was."""
    engine = make_engine()
    source: Any = bytearray(b"return 1")
    assert engine.execute_script(source).output == 1
    source[-1:] = b"2"
    assert engine.execute_script(source).output == 2


def test_cache_keeps_the_sources_used_last(make_engine: Callable[..., LuaEngine]) -> None:
    """Sixty-four sources are kept; the one used longest ago goes first, and a use counts."""
    engine = make_engine()
    engine.execute_script("return 'first'")
    for i in range(100):
        assert engine.execute_script(f"return {i}").output == i
        assert engine.execute_script("return 'first'").output == "first"
    assert engine.stats().cached_scripts == 64
    kept = {source for source, *_ in engine._cache}
    assert "return 'first'" in kept
    assert "return 36" not in kept
    assert "return 37" in kept


def test_cache_frees_what_it_drops(make_engine: Callable[..., LuaEngine]) -> None:
    """Ten times as many sources as are kept hold no more of the Lua heap than as many as are kept."""
    engine = make_engine()
    for i in range(65):
        engine.execute_script(f"return {i + 1000}")
    full = engine.stats().live_bytes
    for i in range(640):
        engine.execute_script(f"return {i + 2000}")
    assert engine.stats().live_bytes == full


def test_cache_leaves_out_long_sources(make_engine: Callable[..., LuaEngine]) -> None:
    """A source over 64 KiB is compiled each time."""
    engine = make_engine()
    long = "--" + "x" * (1 << 16) + "\nreturn 7"
    assert [engine.execute_script(long).output for _ in range(2)] == [7, 7]
    assert engine.stats().cached_scripts == 0


def test_cache_tells_names_and_types_apart(make_engine: Callable[..., LuaEngine]) -> None:
    """One source under two names shows the right one in each error."""
    engine = make_engine()
    for _ in range(2):
        for name in ("one", "two"):
            assert str(engine.execute_script("error('x')", name=name).error) == f"{name}:1: x"
    assert engine.stats().cached_scripts == 2


def test_cache_keeps_no_source_that_does_not_compile(make_engine: Callable[..., LuaEngine]) -> None:
    """A syntax error is reported each time and kept never; a failing script is kept."""
    engine = make_engine()
    for _ in range(2):
        assert isinstance(engine.execute_script("return return").error, ScriptSyntaxError)
        assert not engine.execute_script("error('x')").success
    assert engine.stats().cached_scripts == 1


def test_dropped_scripts_are_freed(make_engine: Callable[..., LuaEngine]) -> None:
    """The compiled code of a LuaScript goes with its last reference."""
    engine = make_engine()
    source = "local t = {" + "'some text', " * 500 + "} return #t"
    engine.precompile_script(source)
    engine.precompile_script("return 1")  # frees the one before
    base = engine.stats().live_bytes
    scripts = [engine.precompile_script(source) for _ in range(10)]
    assert engine.stats().live_bytes > base + 10_000
    assert engine.execute_script(scripts[3]).output == 500
    scripts.clear()
    engine.precompile_script("return 1")
    assert engine.stats().live_bytes <= base + 1_000


def test_scripts_that_threads_share_are_never_mixed_up(make_engine: Callable[..., LuaEngine]) -> None:
    """Threads that push each other's sources out of the cache get their own results all the same."""
    engine = make_engine(functions={"nothing": lambda: None})  # a callback lets the other threads in
    wrong: list[Any] = []

    def work(first: int) -> None:
        for i in range(first, first + 150):
            output = engine.execute_script(f"nothing() return {i % 70}").output
            if output != i % 70:
                wrong.append((i % 70, output))

    threads = [threading.Thread(target=work, args=(17 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_stats_count_runs_and_compilations(make_engine: Callable[..., LuaEngine]) -> None:
    """Every run and every compilation on its own counts once."""
    engine = make_engine("5.3")
    engine.execute_script("return 1")
    engine.execute_script("return 1")
    engine.validate_syntax("return 1")
    engine.execute_script(engine.precompile_script("return 2"))
    stats = engine.stats()
    served = _finder.find_lua("5.3")
    assert stats == EngineStats(
        "5.3", stats.live_bytes, stats.reserved_bytes, 5, 1, "allocator", 0, stats.no_hard_stop, served.release,
        served.module,
    )  # fmt: skip
    assert served.release.startswith("Lua 5.3.")
    assert stats.live_bytes > 0


def test_stats_show_a_heap_that_stays_flat(engine: LuaEngine) -> None:
    """After the first runs the live heap between runs is the same to the byte, whatever the runs made."""
    script = "local t = {} for i = 1, 1000 do t[i] = {tostring(i)} end"
    for _ in range(3):
        engine.execute_script(script)
    base = engine.stats().live_bytes
    for _ in range(20):
        assert engine.execute_script(script).success
    assert engine.stats().live_bytes == base
