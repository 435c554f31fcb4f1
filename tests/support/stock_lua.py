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
