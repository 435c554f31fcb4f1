"""The engine as an object: how it is made, what it refuses, what it keeps, how it closes."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from luagauge import (
    ConfigurationError,
    EngineBusyError,
    EngineClosedError,
    EngineStats,
    LuaEngine,
    LuaScript,
    MemoryLimitExceeded,
    PlatformUnavailableError,
    ScriptConfig,
    ScriptContext,
    ScriptSyntaxError,
    ScriptTimeoutError,
    _binding,
    _finder,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# What is no script, however it is given.
NOT_SCRIPTS: list[Any] = [None, 5, 1.5, True, ["return 1"], {"a": 1}, object(), memoryview(b"return 1"), "\ud800"]


def test_engine_without_a_config_has_the_defaults() -> None:
    """LuaEngine() is LuaEngine(ScriptConfig())."""
    with LuaEngine() as engine:
        assert engine.config == ScriptConfig()
        assert engine.execute_script("return _VERSION").output == "Lua 5.4"


@pytest.mark.parametrize("config", [{}, "5.4", ScriptConfig, 0, False])
def test_engine_refuses_what_is_no_config(config: Any) -> None:
    """Anything but a ScriptConfig or None is named and refused, falsy or not."""
    with pytest.raises(ConfigurationError, match="give a ScriptConfig") as caught:
        LuaEngine(config)
    assert caught.value.setting == "config"
    assert caught.value.value is config


def test_engine_runs_the_version_it_was_made_for(engine: LuaEngine, lua: str) -> None:
    """Each configured Lua is the one that runs."""
    expected = "Lua 5.1" if lua.startswith("luajit") else f"Lua {lua}"
    assert engine.execute_script("return _VERSION").output == expected
    assert engine.config.lua == lua


def test_engine_says_what_it_is(make_engine: Callable[..., LuaEngine]) -> None:
    """The repr names the Lua and whether it is closed."""
    engine = make_engine("5.4")
    assert repr(engine) == "<LuaEngine lua=5.4 open>"
    engine.close()
    assert repr(engine) == "<LuaEngine lua=5.4 closed>"


def test_engine_names_a_lua_that_lupa_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where lupa has no such module, the error names the version; nothing is remembered of it."""
    _finder.find_lua.cache_clear()
    monkeypatch.setitem(sys.modules, "lupa.lua54", None)
    monkeypatch.setattr(_finder, "carried_releases", dict)
    with pytest.raises(PlatformUnavailableError, match=r"no such Lua as 5\.4 .*; install a luagauge wheel"):
        LuaEngine()
    assert "no such Lua as 5.4" in str(_finder.available()["5.4"])
    monkeypatch.undo()
    with LuaEngine() as engine:
        assert engine.execute_script("return 1").output == 1


def test_engine_needs_every_call_of_lua(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the module lacks a call and the wheel has no Lua of its own, the error names the call and what to do."""
    _finder.find_lua.cache_clear()
    monkeypatch.setattr(_finder, "carried_releases", dict)
    monkeypatch.setattr(_binding, "resolve_lua", lambda instance, path: (0, f"lua_close of {instance} is missing", ""))
    with pytest.raises(PlatformUnavailableError, match=r"lua_close of lua54 is missing.*; install a luagauge wheel"):
        LuaEngine()
    assert "lua_close of luajit21" in str(_finder.available()["luajit2.1"])


def test_resolving_a_file_without_lua_names_what_is_missing() -> None:
    """The search itself says 0 and a name for a module that is not lupa's, and for a version nobody knows."""
    fast = sys.modules["luagauge._fast"].__file__
    address, missing, release = _binding.resolve_lua("lua54", str(fast))
    assert (address, bool(missing), release) == (0, True, "")
    assert _binding.resolve_lua("lua99", str(fast))[0] == 0


# --- what it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", NOT_SCRIPTS, ids=repr)
def test_execute_refuses_what_is_no_script(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], script: Any
) -> None:
    """A script that is not text raises, names the value, and leaves the engine as it was."""
    engine = make_engine()
    for call, parameter in (
        (engine.execute_script, "script"),
        (engine.precompile_script, "source"),
        (engine.validate_syntax, "source"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            call(script)
        assert caught.value.setting == parameter
        assert caught.value.value is script
    assert_usable(engine)


@pytest.mark.parametrize("context", ["text", 5, [1], (1,), object(), ScriptContext, False])
def test_execute_refuses_what_is_no_context(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], context: Any
) -> None:
    """A context is a ScriptContext, a mapping or None."""
    engine = make_engine()
    with pytest.raises(ConfigurationError, match="give a ScriptContext, a dict or another mapping, or None") as caught:
        engine.execute_script("return 1", context)
    assert caught.value.setting == "context"
    assert_usable(engine)


@pytest.mark.parametrize("name", [5, b"name", "nul\0inside", 0, False, [], ("a",)])
def test_execute_refuses_what_is_no_name(make_engine: Callable[..., LuaEngine], name: Any) -> None:
    """A name is a str without NUL; falsy values are no exception."""
    engine = make_engine()
    for call in (engine.execute_script, engine.precompile_script, engine.validate_syntax):
        with pytest.raises(ConfigurationError, match="give a str without NUL") as caught:
            call("return 1", name=name)
        assert caught.value.setting == "name"


def test_execute_refuses_a_script_of_another_engine(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None]
) -> None:
    """Compiled code belongs to the engine that compiled it."""
    one, other = make_engine(), make_engine()
    script = one.precompile_script("return 1")
    with pytest.raises(ConfigurationError, match="another engine"):
        other.execute_script(script)
    assert_usable(other)


def test_precompile_refuses_what_is_compiled(make_engine: Callable[..., LuaEngine]) -> None:
    """Compiling a LuaScript again says to give its source."""
    engine = make_engine()
    script = engine.precompile_script("return 1")
    again: Any = script
    with pytest.raises(ConfigurationError, match="compiled already"):
        engine.precompile_script(again)
    with pytest.raises(ConfigurationError, match="compiled already"):
        engine.validate_syntax(again)


@pytest.mark.parametrize("source", [b"return 'b'", bytearray(b"return 'b'"), "return 'b'"], ids=repr)
def test_execute_takes_text_in_three_forms(make_engine: Callable[..., LuaEngine], source: Any) -> None:
    """Bytes and bytearrays are sources too, the first time and again."""
    engine = make_engine()
    assert [engine.execute_script(source).output for _ in range(3)] == ["b"] * 3
    assert engine.execute_script(engine.precompile_script(source)).output == "b"
    assert engine.validate_syntax(source) is None


def test_execute_reads_a_changed_bytearray_anew(make_engine: Callable[..., LuaEngine]) -> None:
    """What can change is never taken for what it was."""
    engine = make_engine()
    source: Any = bytearray(b"return 1")
    assert engine.execute_script(source).output == 1
    source[-1:] = b"2"
    assert engine.execute_script(source).output == 2


def test_execute_takes_a_str_without_a_hash(make_engine: Callable[..., LuaEngine]) -> None:
    """A subclass of str that cannot be a key is compiled each time."""

    class Unhashable(str):
        __slots__ = ()
        __hash__ = None  # type: ignore[assignment]

    engine = make_engine()
    for _ in range(2):
        assert engine.execute_script(Unhashable("return 3")).output == 3
    assert engine.stats().cached_scripts == 0


@pytest.mark.parametrize(
    "name", ["", "plain", "with space.lua", "ünïcode", "=literal", "@file", "two\nlines", "\ud800"]
)
def test_execute_takes_any_text_as_a_name(make_engine: Callable[..., LuaEngine], name: str) -> None:
    """Whatever a file may be called stands in front of the message, and the line is found."""
    engine = make_engine()
    shown = name.encode(errors="replace").decode()
    error = engine.execute_script("\nlocal = 1", name=name).error
    assert isinstance(error, ScriptSyntaxError)
    assert str(error).startswith(f"{shown}:2: ")
    assert error.line == 2
    script = engine.precompile_script("error('x')", name=name)
    assert script.name == name
    assert repr(script) == f"<LuaScript {name!r}>"


# --- what it keeps ----------------------------------------------------------------------------------------------------


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


# --- how it closes ----------------------------------------------------------------------------------------------------


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


# --- compiling --------------------------------------------------------------------------------------------------------


def test_validate_syntax_returns_the_error(engine: LuaEngine, assert_usable: Callable[[LuaEngine], None]) -> None:
    """Valid source gives None, invalid the error with its line; nothing is run."""
    assert engine.validate_syntax("error('not run')") is None
    error = engine.validate_syntax("local a = 1\nlocal b = = 2\n", name="rules.lua")
    assert isinstance(error, ScriptSyntaxError)
    assert error.line == 2
    assert str(error).startswith("rules.lua:2: ")
    assert_usable(engine)


def test_compiling_is_held_to_the_memory_limit(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str
) -> None:
    """A source whose code is larger than the limit ends in MemoryLimitExceeded, raised where there is no result."""
    engine = make_engine(lua, memory_limit_mb=0.25)
    source = "return {" + ",".join(f"'{i}'" for i in range(50_000)) + "}"
    error = engine.execute_script(source).error
    assert isinstance(error, MemoryLimitExceeded)
    assert error.limit_mb == 0.25
    with pytest.raises(MemoryLimitExceeded):
        engine.precompile_script(source)
    with pytest.raises(MemoryLimitExceeded):
        engine.validate_syntax(source)
    assert_usable(engine)


def test_compiling_is_held_to_the_deadline(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A source that takes longer to compile than there is time ends in ScriptTimeoutError."""
    engine = make_engine(lua, timeout_ms=1)
    source = "x = y + 1\n" * 500_000
    error = engine.execute_script(source).error
    assert isinstance(error, ScriptTimeoutError)
    with pytest.raises(ScriptTimeoutError):
        engine.precompile_script(source)
    with pytest.raises(ScriptTimeoutError):
        engine.validate_syntax(source)


def test_scripts_are_made_by_engines_only() -> None:
    """LuaScript is public for annotations; what the engine makes is one."""
    with LuaEngine() as engine:
        assert type(engine.precompile_script("return 1")) is LuaScript


def test_engines_and_scripts_are_neither_copied_nor_pickled(make_engine: Callable[..., LuaEngine]) -> None:
    """Both are tied to one Lua state; the error says what can be handed on instead."""
    engine = make_engine()
    for one, remedy in ((engine, "hand on its config"), (engine.precompile_script("return 1"), "hand on its source")):
        for call in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match=remedy):
                call(one)


def test_result_that_cannot_be_made_is_an_exception_of_its_own(make_engine: Callable[..., LuaEngine]) -> None:
    """Too little of Python's own stack left for a deep output: RecursionError, though a log that is not UTF-8 comes next."""
    engine = make_engine()
    script = engine.precompile_script("print('\\255') local t = {} for i = 1, 150 do t = {t} end return t")

    def descend(levels: int) -> bool:
        """Run the script so many calls further down; whether there was room for its output."""
        if levels > 0:
            return descend(levels - 1)
        try:
            return engine.execute_script(script).success
        except RecursionError:
            return False

    depth = len(inspect.stack())
    outcomes = {descend(sys.getrecursionlimit() - depth - left) for left in range(20, 260, 20)}
    assert True in outcomes
