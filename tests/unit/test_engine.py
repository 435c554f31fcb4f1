"""The engine as an object: how it is made, what it refuses, how it compiles."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest

from luagauge import (
    ConfigurationError,
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


@pytest.mark.parametrize("script", NOT_SCRIPTS, ids=lambda value: type(value).__name__)
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
