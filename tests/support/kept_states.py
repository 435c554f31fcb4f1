"""Engines by what stays of their state from one run to the next: its image, a large state that is not put back, or nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from luagauge import LuaEngine

KINDS = ("image", "large")
"""`image`: a small state, whose image is put back after each run. `large`: one that holds so much compiled code that a run
which leaves little garbage ends without that."""


def engine_of(make_engine: Callable[..., LuaEngine], lua: str, kind: str, **settings: Any) -> LuaEngine:
    """Return an engine of that kind."""
    engine = make_engine(lua, **settings)
    if kind == "large":
        engine.precompile_script("".join(f"local a{i} = {{'text {i}', {i}}} do " for i in range(100)) + "end " * 100)
        for number in range(30):
            engine.precompile_script(f"return {{{', '.join(f'{number}{i}.5' for i in range(2000))}}}")
    return engine


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
