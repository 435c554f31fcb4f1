"""What a script returns, and the stock Lua beside which it is looked at."""

from __future__ import annotations

import importlib
from typing import Any

from luagauge import LuaEngine, _finder


def output(engine: LuaEngine, script: str) -> object:
    """Return what a script returns."""
    return engine.execute_script(script).raise_for_error().output


def stock_lua(engine: LuaEngine) -> Any:
    """Return a plain runtime of lupa's, of the engine's Lua."""
    return importlib.import_module(f"lupa.{_finder.MODULES[engine.config.lua]}").LuaRuntime()


def stock_answer(engine: LuaEngine, source: str) -> tuple[Any, ...]:
    """Return what stock Lua of the engine's version makes of a script: True and its results, or False and the message."""
    module = importlib.import_module(f"lupa.{_finder.MODULES[engine.config.lua]}")
    runtime = module.LuaRuntime(unpack_returned_tuples=True)
    script = runtime.execute("return assert((loadstring or load)(..., '@script'))", source)
    try:
        answer = script()
    except module.LuaError as error:
        return False, str(error).split("\nstack traceback:")[0]
    return (True, *(answer if isinstance(answer, tuple) else (answer,)))


def our_answer(engine: LuaEngine, source: str) -> tuple[Any, ...]:
    """Return the same of the engine."""
    result = engine.execute_script(source)
    if result.error is not None:
        return False, getattr(result.error, "message", str(result.error))
    return (True, *(result.output if isinstance(result.output, tuple) else (result.output,)))
