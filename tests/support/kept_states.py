"""Engines by what stays of their state from one run to the next: its image, a large state that is not put back, or nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    from luagauge import LuaEngine, LuaScript

KINDS = ("image", "large")
"""`image`: a small state, whose image is put back after each run. `large`: one that holds so much compiled code that a run
which leaves little garbage ends without that."""


def engine_of(make_engine: Callable[..., LuaEngine], lua: str, kind: str, **settings: Any) -> LuaEngine:
    """Return an engine of that kind."""
    engine = make_engine(lua, **settings)
    if kind == "large":
        source = f"return {{{', '.join(f'{i}.5' for i in range(20_000))}}}"
        _compiled[engine] = engine.precompile_script(source)
        assert engine.stats().live_bytes > LARGE_BYTES
    return engine


LARGE_BYTES = 150_000
"""More than twice of what is always put back (`lg_worth_cleaning` in csrc/guard/upkeep.h)."""
_compiled: WeakKeyDictionary[LuaEngine, LuaScript] = WeakKeyDictionary()


BARE = """
import json, resource, sys
from luagauge import LuaEngine, ScriptConfig
lua, settings, scripts = json.loads(sys.argv[1])
LuaEngine(ScriptConfig(lua=lua)).execute_script("return 1")  # so that all is loaded
in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + (900 << 10), resource.RLIM_INFINITY))
engine = LuaEngine(ScriptConfig(lua=lua, **settings))
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
outputs = []
for script in scripts:
    result = engine.execute_script(script)
    outputs.append(result.output if result.success else type(result.error).__name__)
json.dump([engine.stats().no_hard_stop, outputs], sys.stdout)
"""
"""A program for Linux: runs scripts in a state that has neither a reservation nor an image, and prints why, and their outputs."""
