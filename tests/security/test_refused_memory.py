"""Memory refused where Lua has no handler for it crashes, hangs and leaks nothing; each script in a child process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from luas import LUAJIT
from refusal_scripts import COMPLAINTS, PRELUDE, REFUSAL_SCRIPTS

from luagauge import LuaEngine, MemoryLimitExceeded, ScriptConfig, ScriptRuntimeError

if TYPE_CHECKING:
    from collections.abc import Callable

CHILD = """
import sys
from luagauge import LuaEngine, ScriptConfig
engine = LuaEngine(ScriptConfig(lua=sys.argv[1], memory_limit_mb=float(sys.argv[2]), timeout_ms=10_000))
result = engine.execute_script(sys.stdin.read())
print(type(result.error).__name__, result.output)
print(engine.execute_script("return #('x'):rep(1000)").output)
"""

# fill(): to within 41 bytes of the limit, with nothing to collect.
FILLING = """
local count, sub = collectgarbage, string.sub
local pool = {} for i = 1, 9000 do pool[i] = 100000 + i * 7 end pool = table.concat(pool)
local keep, n, most, p
local function long(k) n = n + 1 keep[n] = ("x"):rep(k + n) end
local function put(size) n = n + 1 keep[n] = sub(pool, p, p + size - 1) p = p + 6 end
local function fine() local c = count("count") * 1024 if c > most then most = c end put(16) end
local function fill()
  while pcall(long, 40000) do end
  while pcall(long, 4000) do end
  while pcall(fine) do end
  while true do
    local left = most - count("count") * 1024
    if left < 34 then return elseif left >= 82 then put(16) else put(left > 65 and 20 or left - 25) return end
  end
end
local function begin() keep, n, most, p = {}, 0, 0, 1 for i = 1, 20000 do keep[i] = false end end
"""

RESUMED_RUNNING = (
    FILLING
    + """
begin()
local main = coroutine.running()
local co = coroutine.create(function() fill() return coroutine.resume(main) end)
pcall(coroutine.resume, co)
keep = nil count()
begin()
fill()
coroutine.resume(co)
keep = nil
return coroutine.status(co)
"""
)

RESUMED_AT_THE_DEEPEST = (
    FILLING
    + """
begin()
local reached
local function nest(d, inner)
  local co = coroutine.create(function() if d == 1 then return inner() end nest(d - 1, inner) end)
  coroutine.resume(co)
end
local deepest = 0
for d = 1, 300 do
  reached = false
  nest(d, function() reached = true end)
  if not reached then break end
  deepest = d
end
count()
local fresh = coroutine.create(function() end)
for off = 0, 2 do
  begin()
  pcall(nest, deepest - off, function() fill() coroutine.resume(fresh) end)
  keep = nil count()
end
return 'ended'
"""
)

MANY_ARGUMENTS = """
local keep, n = {}, 0
for i = 1, 8192 do keep[i] = false end
local co = coroutine.create(function(...) return select('#', ...) end)
local function go(...)
  pcall(function(...) while true do n = n + 1 keep[n] = ("x"):rep(30000 + n) end end, ...)
  return coroutine.resume(co, ...)
end
local a = {} for i = 1, 7000 do a[i] = i end
return go((unpack or table.unpack)(a))
"""


def run_in_child(lua: str, source: str, limit_mb: float) -> list[str]:
    """Run a script, then another one, and return what is said of both."""
    command = [sys.executable, "-c", CHILD, lua, str(limit_mb)]
    done = subprocess.run(command, input=source, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout.splitlines()


@pytest.mark.parametrize("limit_mb", [4, 16])
def test_refusal_while_a_running_coroutine_is_resumed(lua: str, limit_mb: float) -> None:
    """The text of that error was thrown to a handler that was gone."""
    outcome, after = run_in_child(lua, RESUMED_RUNNING, limit_mb)
    assert outcome.split()[0] in {"NoneType", "MemoryLimitExceeded"}
    assert after == "1000"


@pytest.mark.parametrize("limit_mb", [4, 16])
def test_refusal_where_coroutines_nest_no_deeper(lua: str, limit_mb: float) -> None:
    """The text of that error was thrown past all coroutines at once, and no deadline found the one that ran."""
    outcome, after = run_in_child(lua, RESUMED_AT_THE_DEEPEST, limit_mb)
    assert outcome.split()[0] in {"NoneType", "MemoryLimitExceeded"}
    assert after == "1000"


@pytest.mark.parametrize("limit_mb", [1, 4, 16])
def test_refusal_of_room_for_what_a_coroutine_is_given(lua: str, limit_mb: float) -> None:
    """5.1 ended the process; LuaJIT 2.0 took an argument for the error, and later ones hid the limit."""
    outcome, after = run_in_child(lua, MANY_ARGUMENTS, limit_mb)
    assert outcome.split()[0] in {"NoneType", "MemoryLimitExceeded"}
    assert "too many" not in outcome
    assert after == "1000"


def test_refusal_of_room_at_every_limit(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Wherever between nothing and enough the limit lies."""
    source = """
    local t = {} for i = 1, 500 do t[i] = i end
    local unpack = unpack or table.unpack
    local co = coroutine.wrap(function(...) return select('#', coroutine.yield(select('#', ...))) end)
    return {co(unpack(t)), co(unpack(t))}"""
    for limit in range(9_000, 60_000, 1_111):
        result = make_engine(lua, memory_limit_mb=limit / (1 << 20)).execute_script(source)
        assert result.output == [500, 500] or isinstance(result.error, MemoryLimitExceeded)


def test_refused_coroutine_is_none_that_can_be_started(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """LuaJIT 2.1 left it as if it had not begun: resumed once more, it called one of its arguments."""
    source = """
    local unpack = unpack or table.unpack
    local t, waiting = {}, {}
    for i = 1, 3000 do t[i] = function() return 'called' end end
    for i = 1, 200 do
      waiting[i] = coroutine.create(function() while true do coroutine.yield('waits') end end)
      coroutine.resume(waiting[i])
    end
    for round = 1, 2 do
      for i = 1, 200 do
        local done, ok, what = pcall(coroutine.resume, waiting[i], unpack(t, 1, 1000))
        if done and (ok and what ~= 'waits' or tostring(what):find('call')) then return tostring(what) end
      end
    end
    return 'as it should be'"""
    for limit_kib in (250, 300, 400, 800):
        result = make_engine(lua, memory_limit_mb=limit_kib / 1024).execute_script(source)
        assert result.output == "as it should be" or isinstance(result.error, (MemoryLimitExceeded, ScriptRuntimeError))


@pytest.mark.skipif(sys.platform != "linux", reason="limits the data of the process")
@pytest.mark.real_malloc
def test_refusal_of_the_system_while_a_stack_shrinks(lua: str) -> None:
    """Lua takes it that a block can always be made smaller, and some of it outside every protected call."""
    program = """
import resource, sys
from luagauge import LuaEngine, ScriptConfig
engine = LuaEngine(ScriptConfig(lua=sys.argv[1]))
engine.execute_script("return 1")
size = int(open("/proc/self/statm").read().split()[5]) * 4096  # data and stack: of addresses a state has enough
failed = [False] * 7
for n, slack in enumerate((0, 4096, 65536, 262144, 1 << 20, 2 << 20, 4 << 20)):
    resource.setrlimit(resource.RLIMIT_DATA, (size + slack, resource.RLIM_INFINITY))
    try:
        failed[n] = engine.execute_script("local function f() return f() + 1 end f()").error is not None
    except MemoryError:  # Python itself had none for the result
        failed[n] = True
resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(*failed, sep="\\n")
print(engine.execute_script("return 1").output)
"""
    command = [sys.executable, "-c", program, lua]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert done.stdout.splitlines() == ["True"] * 7 + ["1"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits the data of the process")
@pytest.mark.real_malloc
def test_refusal_of_the_system_while_many_stacks_shrink(lua: str) -> None:
    """However many: the collector shrinks the stacks of all coroutines that wait."""
    program = """
import resource, sys
from luagauge import LuaEngine, ScriptConfig
engine = LuaEngine(ScriptConfig(lua=sys.argv[1], memory_limit_mb=None, timeout_ms=10_000))
engine.execute_script("return 1")
size = int(open("/proc/self/statm").read().split()[5]) * 4096  # data and stack: of addresses a state has enough
resource.setrlimit(resource.RLIMIT_DATA, (size + (4 << 20), resource.RLIM_INFINITY))
result = None
try:
    result = engine.execute_script('''
    local waiting = {}
    local function deep(n) if n == 0 then return 0 end return 1 + deep(n - 1) end
    for i = 1, 60 do
      waiting[i] = coroutine.create(function() while true do deep(180) coroutine.yield() end end)
    end
    for i = 1, 60 do coroutine.resume(waiting[i]) end
    local fill = {}
    pcall(function()
      local size = 1e6
      while true do
        if not pcall(function() fill[#fill + 1] = ('x'):rep(size) .. #fill end) then
          size = math.floor(size / 2)
          if size < 8 then break end
        end
      end
    end)
    pcall(function() local n = 0 while true do n = n + 1 fill[#fill + 1] = {n} end end)
    for round = 1, 6 do pcall(collectgarbage) end
    fill = nil
    local same = 0
    for i = 1, 60 do same = same + (coroutine.resume(waiting[i]) and 1 or 0) end
    return same''')
except MemoryError:  # as above
    pass
resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(*(("-", "NoneType") if result is None else (result.output, type(result.error).__name__)))
print(engine.execute_script("return 1").output)
"""
    command = [sys.executable, "-c", program, lua]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    first, after = done.stdout.splitlines()
    assert first.endswith((" NoneType", " ScriptRuntimeError"))
    assert after == "1"


@pytest.mark.parametrize("name", REFUSAL_SCRIPTS)
def test_refusal_is_said_to_be_one_at_every_limit(make_engine: Callable[..., LuaEngine], lua: str, name: str) -> None:
    """From little memory to more than enough: success, or a memory error after a refusal, whatever asked for it."""
    source = PRELUDE + REFUSAL_SCRIPTS[name]
    functions = {"echo": lambda value: value}
    plenty = make_engine(lua, functions=functions).execute_script(source).raise_for_error()
    assert plenty.memory is not None
    outcomes = set()
    for percent in range(5, 121, 3):
        limit_mb = plenty.memory.used_bytes * percent / 100 / 1048576
        with LuaEngine(ScriptConfig(lua=lua, memory_limit_mb=limit_mb, functions=functions)) as engine:
            result = engine.execute_script(source)
        assert result.error is None or isinstance(result.error, MemoryLimitExceeded), percent
        assert result.memory is not None
        assert result.error is None or result.memory.refused_allocations > 0
        assert result.memory.used_bytes <= limit_mb * 1048576 or lua in LUAJIT
        outcomes.add(result.success)
        if result.success:
            assert result.output == plenty.output
    assert False in outcomes


@pytest.mark.parametrize("name", COMPLAINTS)
def test_refusal_of_room_for_a_complaint_is_said_to_be_one(
    make_engine: Callable[..., LuaEngine], lua: str, name: str
) -> None:
    """An error is the one that enough memory gives, or a memory error: never a part of a message."""
    source = PRELUDE + COMPLAINTS[name]
    plenty = make_engine(lua).execute_script(source)
    assert type(plenty.error) is ScriptRuntimeError
    assert plenty.memory is not None
    kinds = set()
    for percent in range(5, 161, 3):
        limit_mb = plenty.memory.used_bytes * percent / 100 / 1048576
        with LuaEngine(ScriptConfig(lua=lua, memory_limit_mb=limit_mb)) as engine:
            error = engine.execute_script(source).error
        kinds.add(type(error))
        assert isinstance(error, MemoryLimitExceeded) or str(error) == str(plenty.error), percent
    assert kinds == {MemoryLimitExceeded, ScriptRuntimeError}


FORGOTTEN = """
import resource, sys
from luagauge import LuaEngine, ScriptConfig

def used():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()

def limit(size):
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))

engine = LuaEngine(ScriptConfig(lua=sys.argv[1], functions={"tight": lambda: limit(used())}))
victim = "return ('%s!'):format(context.request.secret), pcall(collectgarbage, 'setpause', 150)"
context = {"request": {"secret": "s3cret"}}
expected = engine.execute_script(victim, context).output
engine.execute_script('''
    local log, concat, pc, chain = print, table.concat, pcall, false
    function string.format(...) log('STOLEN ' .. concat({...}, ',')) return 'forged' end
    if not pcall(collectgarbage, 'setpause', 1000) then collectgarbage('param', 'pause', 1000) end
    local function table_more() chain = {chain} end
    local function closure_more() local held = chain chain = function() return held end end
    tight()
    for round = 1, 8 do repeat until not pc(table_more) repeat until not pc(closure_more) end
    KEEP = chain''')
for size in (None, resource.RLIM_INFINITY):
    if size is not None:
        limit(size)
    result = engine.execute_script(victim, context)
    print(result.output == expected, type(result.error).__name__, len(result.logs))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS bounds a process on Linux")
def test_run_is_forgotten_where_the_system_has_no_memory(lua: str) -> None:
    """The next run finds nothing of it: at worst it cannot begin, and once there is memory it does."""
    command = [sys.executable, "-c", FORGOTTEN, lua]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    at_once, later = done.stdout.splitlines()
    assert at_once in {"True NoneType 0", "False ScriptRuntimeError 0"}
    assert later == "True NoneType 0"
