"""What a script tells the collector acts on its own run, weakens no limit, and is gone with the run."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from kept_states import BARE, KINDS, engine_of
from luas import HAVE_MODES, LUAJIT, PUC

from luagauge import LuaEngine, MemoryLimitExceeded, ScriptTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

READ = """
local function try(...)
  local ok, value = pcall(collectgarbage, ...)
  return ok and tostring(value) or 'no such option'
end
local found = {try('isrunning')}
local function add(...) found[#found + 1] = try(...) end
for _, name in ipairs{'minormul', 'majorminor', 'minormajor', 'pause', 'stepmul', 'stepsize'} do add('param', name) end
add('setpause', 200) add('setstepmul', 100) add('setmajorinc', 200)
add('incremental')
return table.concat(found, ' ')
"""
"""What can be read of the settings."""
LIFETIME = """
pcall(collectgarbage, 'generational')
local probe, made = setmetatable({{}}, {__mode = 'v'}), 0
local function alive() return probe[1] ~= nil end -- whose frame is gone again: what is on the stack is not collected
while alive() do
  made = made + 1
  local t = {made, made}
end
return made
"""
"""How much garbage there must be before some of it is collected, by generations."""
TELL = """
for _, call in ipairs{{'setpause', 1000}, {'setstepmul', 900}, {'setmajorinc', 999}, {'param', 'pause', 999},
    {'param', 'stepmul', 20}, {'param', 'stepsize', 99999}, {'param', 'minormul', 90}, {'param', 'majorminor', 2},
    {'param', 'minormajor', 5}, {'incremental', 1000, 900, 20}, {'generational', 100, 400}, {'stop'}} do
  pcall(collectgarbage, (table.unpack or unpack)(call))
end
"""
"""Changes all of them."""
ENDINGS = {
    "at its end": "",
    "by an error": " error('fails')",
    "in a coroutine": " coroutine.wrap(function() error('fails') end)()",
    "by the deadline": " while true do end",
    "by the memory limit": " local t = {} while true do t = {t} end",
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_settings_are_gone_with_the_run(
    make_engine: Callable[..., LuaEngine], lua: str, kind: str, ending: str
) -> None:
    """However it ends, the next run finds the collector as a new state's."""
    engine = engine_of(make_engine, lua, kind, memory_limit_mb=4, timeout_ms=500 if "deadline" in ending else 60_000)
    expected = engine.execute_script(READ).raise_for_error().output
    for _ in range(2):
        engine.execute_script(TELL + ENDINGS[ending])
        assert engine.execute_script(READ).raise_for_error().output == expected


@pytest.mark.real_malloc  # a sanitizer's has an address space of its own to take from
@pytest.mark.skipif(sys.platform != "linux", reason="bounds the address space by what /proc says is in use")
def test_settings_are_gone_without_an_image(lua: str) -> None:
    """Where no image is put back the settings are set back, one by one; those that nothing reads too, as their effect shows."""
    scripts = [READ, LIFETIME]
    for ending in ENDINGS.values():
        scripts += [TELL + ending, READ, LIFETIME]
    arguments = json.dumps([lua, {"memory_limit_mb": 64, "timeout_ms": 3000}, scripts])
    done = subprocess.run(
        [sys.executable, "-c", BARE, arguments], check=True, capture_output=True, text=True, timeout=300
    )
    why, outputs = json.loads(done.stdout)
    assert why is not None
    assert outputs[3::3] == [outputs[0]] * len(ENDINGS)
    for made in outputs[4::3]:
        assert outputs[1] / 2.5 < made < outputs[1] * 2.5


def test_settings_act_within_the_run(engine: LuaEngine, lua: str) -> None:
    """A stopped collector collects nothing by itself, and goes on when it is told to."""
    source = """
    collectgarbage('stop')
    local probe = setmetatable({{}}, {__mode = 'v'})
    for i = 1, 20000 do local t = {i, i} end
    local kept = probe[1] ~= nil
    collectgarbage('restart')
    for i = 1, 200000 do local t = {i, i} end
    return kept, probe[1] == nil, select('#', pcall(collectgarbage, 'generational'))
    """
    kept, gone, _ = engine.execute_script(source).raise_for_error().output
    assert (kept, gone) == (True, True)
    mode = engine.execute_script("return (pcall(collectgarbage, 'generational'))").output
    assert mode is (lua in HAVE_MODES)


GARBAGE = (
    "local keep = {} for i = 1, 10000 do keep[i] = {i, i} end for i = 1, 300000 do local t = {i, i} end return 'fits'"
)


@pytest.mark.parametrize("how", ["stop", "generational"])
def test_garbage_at_the_limit_is_collected_whatever_was_told(
    make_engine: Callable[..., LuaEngine], lua: str, how: str
) -> None:
    """A collector that a script has stopped collects before memory is refused, where the version does that at all."""
    engine = make_engine(lua, memory_limit_mb=3, timeout_ms=60_000)
    result = engine.execute_script(f"pcall(collectgarbage, '{how}') {GARBAGE}")
    if lua in PUC and lua != "5.1":
        assert result.raise_for_error().output == "fits"
    else:
        assert result.success or isinstance(result.error, MemoryLimitExceeded)
    tells = f"pcall(collectgarbage, '{how}') local t = {{}} while true do t = {{t}} end"
    assert isinstance(engine.execute_script(tells).error, MemoryLimitExceeded)


@pytest.mark.parametrize("call", ["'collect'", "'step', 2^20", "'step', 0", "'generational'", "'incremental'"])
def test_collections_do_not_outlive_a_deadline(make_engine: Callable[..., LuaEngine], lua: str, call: str) -> None:
    """Collections again and again, of a heap that takes long, in every mode and with every setting, end at the deadline."""
    engine = make_engine(lua, memory_limit_mb=100, timeout_ms=1500)
    source = f"{TELL} local keep = {{}} for i = 1, 300000 do keep[i] = {{i}} end while true do pcall(collectgarbage, {call}) end"
    result = engine.execute_script(source)
    assert isinstance(result.error, ScriptTimeoutError)
    assert engine.execute_script("return 1").output == 1


def test_options_that_are_not_there_are_named(engine: LuaEngine, lua: str) -> None:
    """An unknown option gets stock Lua's message."""
    message = engine.execute_script("return select(2, pcall(collectgarbage, 'foo'))").raise_for_error().output
    name = "?" if lua == "5.1" or lua in LUAJIT else "collectgarbage"
    assert message == f"bad argument #1 to '{name}' (invalid option 'foo')"


def test_steps_end_a_cycle(engine: LuaEngine, lua: str) -> None:
    """Small steps add up to a cycle, and the one that ends it says so; small and large heaps alike."""
    for size in (100, 300_000):
        source = f"""
        local keep = {{}}
        for i = 1, {size} do keep[i] = {{i}} end
        local probe = setmetatable({{{{}}}}, {{__mode = 'v'}})
        local cycles, steps = 0, 0
        while cycles < 3 do
          local ended = collectgarbage('step', {100_000 if lua == "5.5" else 100})
          if ended then cycles = cycles + 1 end
          if type(ended) ~= 'boolean' then return 'no boolean' end
          steps = steps + 1
        end
        return probe[1] == nil
        """
        assert engine.execute_script(source).raise_for_error().output is True
