"""The two sides of most comparisons: a script as plain lupa runs it, and as luagauge does."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from luas import PUC

from luagauge import LuaEngine, ScriptConfig, ScriptResult, _finder


@dataclass(frozen=True, slots=True)
class Version:
    """One Lua to compare on.

    Attributes:
        label: How the report calls it.
        lua: luagauge's name for it.
        module: The module of lupa that holds it.
        prelude: What plain lupa runs first, to make the two comparable.
    """

    label: str
    lua: str
    module: str
    prelude: str = ""


VERSIONS = (
    *(Version(lua, lua, _finder.MODULES[lua]) for lua in PUC),
    Version("LuaJIT 2.1", "luajit2.1", "luajit21"),
    Version("LuaJIT 2.1, both interpreted", "luajit2.1", "luajit21", "jit.off()"),
)
LUA54 = next(version for version in VERSIONS if version.lua == "5.4")


def runtime(version: Version = LUA54, *, max_memory: int | None = None) -> Any:
    """Make a plain lupa runtime."""
    module = importlib.import_module(f"lupa.{version.module}")
    made = module.LuaRuntime() if max_memory is None else module.LuaRuntime(max_memory=max_memory)
    if version.prelude:
        made.execute(version.prelude)
    return made


def plain(source: str, version: Version = LUA54, *, max_memory: int | None = None) -> Callable[[], object]:
    """Compile a script once in a plain lupa runtime, and return the function that runs it."""
    function: Callable[[], object] = runtime(version, max_memory=max_memory).compile(source)
    return function


def gauged(source: str, version: Version = LUA54, config: ScriptConfig | None = None) -> Callable[[], ScriptResult]:
    """Precompile a script once in an engine, and return a call that runs it."""
    engine = LuaEngine(config or ScriptConfig(lua=version.lua))
    script = engine.precompile_script(source)
    execute = engine.execute_script
    return lambda: execute(script)


def output_of(result: ScriptResult) -> object:
    """Return what a run returned.

    Raises:
        LuaGaugeError: The run failed.
    """
    result.raise_for_error()
    return result.output
