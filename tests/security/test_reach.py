"""What a script can name, reach and change: the allowed, and nothing of the host's or of another run's."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest
from luas import HAVE_CLOSE, HAVE_ENV, HAVE_ENVIRONMENTS, HAVE_FRESH_RANDOM, HAVE_INTEGERS, LUAJIT, ONLY_FLOATS

from luagauge import LuaEngine, ScriptRuntimeError, ScriptSyntaxError, _finder

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.emulated

BASE = """_G _VERSION assert collectgarbage error getmetatable ipairs load log next pairs pcall print rawequal rawget rawset
    select setmetatable tonumber tostring type xpcall coroutine math os string table context io debug package require""".split()
JIT_OR_51 = ["unpack", "loadstring", "gcinfo", "getfenv", "setfenv", "module"]
LIBRARIES: dict[str, str] = {
    "coroutine": "create resume running status wrap yield",
    "os": "clock date difftime getenv setlocale time",
    "string": "byte char find format gmatch gsub len lower match rep reverse sub upper",
    "math": "abs ceil cos deg exp floor fmod huge log max min modf pi rad random randomseed sin sqrt tan acos asin atan",
    "table": "concat insert remove sort",
    "io": "close flush input lines output read type write stdin stdout stderr",
    "debug": "traceback getinfo",
    "package": "loaded preload path cpath config",
}
STREAMS = {"stdin", "stdout", "stderr"}
NEVER = """dofile loadfile python newproxy ffi jit arg
    os.execute os.exit os.remove os.rename os.tmpname string.dump io.open io.popen io.tmpfile
    package.loadlib package.loaded.ffi package.loaded.jit package.loaded.python debug.getregistry debug.sethook
    debug.gethook debug.getlocal debug.setlocal debug.getupvalue debug.setupvalue debug.upvalueid debug.upvaluejoin
    debug.getmetatable debug.setmetatable debug.getuservalue debug.setuservalue debug.getfenv debug.setfenv debug.debug
    jit.util ffi.C coroutine.clone table.dump load.env _ENV._G.debug""".split()

WALK = """
local seen, found = {}, {}
local function walk(value, path)
  found[#found + 1] = path .. ': ' .. type(value)
  if type(value) ~= 'table' or seen[value] then return end
  seen[value] = true
  for k, v in pairs(value) do
    if v ~= found and v ~= seen then walk(v, path .. '.' .. tostring(k)) end
  end
  local meta = getmetatable(value)
  if meta ~= nil then walk(meta, path .. '<meta>') end
end
walk(_G, '_G')
return found
"""


def extras(lua: str) -> tuple[set[str], dict[str, set[str]]]:
    """Return the further globals and library members of a Lua version."""
    globals_: set[str] = set(JIT_OR_51) if lua in HAVE_ENVIRONMENTS else {"rawlen"}
    globals_ |= {"warn"} if lua in HAVE_CLOSE else set()
    members: dict[str, set[str]] = {name: set() for name in LIBRARIES}
    members["package"] |= {"loaders", "seeall"} if lua in HAVE_ENVIRONMENTS else {"searchers"}
    members["package"] |= set() if lua == "5.1" else {"searchpath"}
    if lua in HAVE_ENVIRONMENTS:
        members["table"] |= {"maxn", "foreach", "foreachi", "getn", "setn"}
        members["string"] |= {"gfind"}
        members["math"] |= {"mod"}
    if lua in ONLY_FLOATS:
        members["math"] |= {"atan2", "cosh", "frexp", "ldexp", "log10", "pow", "sinh", "tanh"}
    if lua == "5.2":
        globals_ |= {"bit32", "unpack", "loadstring"}
        members["table"] |= {"maxn"}
    if lua in LUAJIT:
        globals_ |= {"bit", "rawlen"}
        members["coroutine"] |= {"isyieldable"}
        members["table"] |= {"move", "new", "clear", "pack", "unpack"}
    if lua in HAVE_ENV:
        members["table"] |= {"pack", "unpack"}
    if lua in HAVE_INTEGERS:
        globals_ |= {"utf8"}
        members["table"] |= {"move", "create"}
        members["string"] |= {"pack", "packsize", "unpack"}
        members["math"] |= {"maxinteger", "mininteger", "tointeger", "type", "ult", "frexp", "ldexp"}
        members["math"] |= {"cosh", "sinh", "tanh", "pow", "log10", "atan2"}  # compatibility builds have them
        members["coroutine"] |= {"isyieldable", "close"}
    return globals_, members


def test_globals_are_the_allowed_ones(engine: LuaEngine, lua: str) -> None:
    """Everything that can be walked to from _G is on the list, and all that every Lua has is there."""
    found = set(engine.execute_script(WALK).raise_for_error().output)
    globals_, members = extras(lua)
    top = {entry.split(": ")[0].removeprefix("_G.") for entry in found if entry.count(".") == 1}
    libraries = {name for name in top if any(entry.startswith(f"_G.{name}.") for entry in found)}
    assert top - {"_G"} <= set(BASE) | globals_
    assert set(BASE) - {"_G", "context"} - top == set()
    for name in libraries - {"context", "utf8", "bit", "bit32", "_G"}:
        inside = {entry.split(": ")[0].split(".")[2] for entry in found if entry.startswith(f"_G.{name}.")}
        inside = {member.removesuffix("<meta>") for member in inside}
        allowed = set(LIBRARIES[name].split())
        assert allowed <= inside
        assert inside <= allowed | members[name]
    streams = {entry for entry in found if entry.endswith(": userdata")}
    assert {entry.split(": ")[0].rsplit(".", 1)[1] for entry in streams} == STREAMS
    kinds = {entry.rsplit(": ", 1)[1] for entry in found - streams}
    assert kinds <= {"table", "function", "string", "number", "boolean"}  # no thread
    assert not any("<meta>" in entry for entry in found)


@pytest.mark.parametrize("name", NEVER)
def test_names_outside_the_sandbox_are_nil(engine: LuaEngine, name: str) -> None:
    """By name, through _G, and through code loaded at run time."""
    first, *rest = name.split(".")
    source = f"""
    local value = _G['{first}']
    for _, key in ipairs{{{", ".join(repr(part) for part in rest)}}} do
      if type(value) ~= 'table' then value = nil break end
      value = value[key]
    end
    return value == nil, (loadstring or load)('return {first} == nil')(), rawget(_G, '{first}') == nil
    """
    output = engine.execute_script(source).output
    assert output[0] is True
    if not rest:
        assert output == (True, True, True)


def test_nothing_is_taken_from_the_callers_lupa(lua: str, make_engine: Callable[..., LuaEngine]) -> None:
    """What a host does with lupa itself in the same process is not seen, nor the other way round."""
    runtime = importlib.import_module(f"lupa.{_finder.MODULES[lua]}").LuaRuntime()
    runtime.execute("leaked = 1 string.leaked = 2")
    engine = make_engine(lua)
    assert engine.execute_script("return leaked == nil and string.leaked == nil and python == nil").output is True
    engine.execute_script("mine = 1 string.mine = 2")
    assert runtime.eval("mine == nil and string.mine == nil") is True


TAMPERING = {
    "globals": ("x = 1 _G.y = 2 rawset(_G, 'z', 3)", "x == nil and y == nil and z == nil"),
    "functions replaced": (
        "print = nil tostring = function() return 'mine' end",
        "tostring(1) == '1' and print ~= nil",
    ),
    "libraries changed": ("string.rep = nil math.pi = 4 table.new = 1", "string.rep ~= nil and math.pi < 3.2"),
    "libraries replaced": ("string = nil os = {}", "string ~= nil and os.time ~= nil"),
    "string methods": ("string.upper = function() return 'mine' end", "('a'):upper() == 'A'"),
    "metatable of _G": ("setmetatable(_G, {__index = function() return 'mine' end})", "undefined == nil"),
    "metatable of a library": ("setmetatable(string, {__index = {mine = 1}})", "string.mine == nil"),
    "coroutine state": ("co = coroutine.create(function() coroutine.yield() end) coroutine.resume(co)", "co == nil"),
    "result": ("result = 5", "result == nil"),
    "context": ("context.request.mine = 1 context = nil", "context.request.mine == nil"),
    "streams": (
        "io.write('begun') io.output(io.stderr) getmetatable(io.stdout).__index.mine = 1 io.stdout.__index = 1",
        "io.stdout.mine == nil and io.output() == io.stdout",
    ),
    "modules": (
        "package.loaded.mine = 1 package.preload.p = print package.path = '' package.loaded.string = nil",
        "package.loaded.mine == nil and package.preload.p == nil and #package.path > 0 and require('string') == string",
    ),
    "names of functions": (
        "package.loaded.mine = {evil = io.write} package.loaded.io = nil package.loaded._G = nil",
        "not select(2, pcall(io.write, {})):find('evil') and not debug.traceback('x', 0):find('evil')",
    ),
    "debug": ("debug.traceback = nil debug.getinfo = print", "debug.getinfo(1, 'l').currentline == 1"),
    "random numbers": ("math.randomseed(5) seen = math.random()", "math.random(1, 10) <= 10"),
}


@pytest.mark.parametrize("name", TAMPERING)
@pytest.mark.parametrize(
    "ending", ["", " error('fails')", " while true do end", " local t = {} while true do t = {t} end"]
)
def test_nothing_is_seen_by_the_next_run(
    make_engine: Callable[..., LuaEngine], lua: str, name: str, ending: str
) -> None:
    """However a run ends, cached or not: the next begins with everything as it was."""
    # Long enough for the check on a busy machine; only the endless loop waits for it.
    engine = make_engine(lua, timeout_ms=80 if ending == " while true do end" else 5000, memory_limit_mb=2)
    tamper, check = TAMPERING[name]
    check = f"return {check}"
    assert engine.execute_script(check).output is True
    for _ in range(2):
        engine.execute_script(tamper + ending)
        result = engine.execute_script(check)
        assert result.output is True or result.duration_ms >= 15  # a busy machine can cost it its own 15 ms


def test_random_numbers_belong_to_the_run(engine: LuaEngine, lua: str) -> None:
    """A seed that a run sets is its own: the next begins as the version does, anew from 5.4 on, the same before."""
    draw = "return {math.random(1, 2^30), math.random(1, 2^30), math.random(1, 2^30)}"
    seeded = f"math.randomseed(7) {draw}"
    first, second = engine.execute_script(draw).output, engine.execute_script(draw).output
    assert engine.execute_script(seeded).output == engine.execute_script(seeded).output
    third = engine.execute_script(draw).output
    if lua in HAVE_FRESH_RANDOM:
        assert len({tuple(first), tuple(second), tuple(third)}) == 3
    else:
        assert first == second == third


def test_string_metatable_is_out_of_reach(engine: LuaEngine) -> None:
    """It can be neither read nor changed; strings' methods are the run's own string library."""
    assert engine.execute_script("return getmetatable('')").output is False
    error = engine.execute_script("setmetatable('', {})").error
    assert isinstance(error, ScriptRuntimeError)
    source = "getmetatable('').__index = nil"
    assert isinstance(engine.execute_script(source).error, ScriptRuntimeError)
    assert engine.execute_script("return (function(s) return s.upper end)('x') == string.upper").output is True


FINALIZERS = """
finalized, count = finalized or {}, 0
local function made(meta)
  meta.__gc = function(object) count = count + 1 finalized[#finalized + 1] = object string.ran = true end
  return setmetatable({}, meta), meta
end
made{}
local shared = select(2, made{__index = {x = 1}})
for _ = 1, 50 do setmetatable({}, shared) end
local own = {} own.__gc = own made(own) setmetatable(own, own)
for _, value in ipairs{false, true, 1, 'text', print} do setmetatable({}, {__gc = value}) end
local meta = {} setmetatable({}, meta) meta.__gc = shared.__gc rawset(meta, '__gc', shared.__gc)
coroutine.wrap(function() local in_coroutine = made{} coroutine.yield() end)()
local dead = coroutine.create(function() made{} error('dies') end) coroutine.resume(dead)
for _, mode in ipairs{'k', 'v', 'kv'} do setmetatable({made{}}, {__mode = mode, __gc = shared.__gc}) end
"""


def test_finalizers_never_run(engine: LuaEngine, assert_usable: Callable[[LuaEngine], None]) -> None:
    """A metatable with __gc is accepted, whatever that is, and nothing calls it: not in collections, nor in a later run."""
    collect = "for _ = 1, 5 do collectgarbage() end for _ = 1, 20000 do local t = {} end "
    for ending in (collect + "return count, #finalized", collect + "error(count .. ' ' .. #finalized)"):
        result = engine.execute_script(FINALIZERS + ending)
        assert result.output == (0, 0) or str(result.error).endswith("0 0")
        later = "return finalized == nil and count == nil and string.ran == nil"
        assert engine.execute_script(collect + later).raise_for_error().output is True
    assert_usable(engine)


def test_finalizers_do_not_run_when_a_state_ends(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Neither when the engine is closed, nor after its limits ended a run."""
    called: list[object] = []
    engine = make_engine(lua, functions={"tell": called.append}, memory_limit_mb=4, timeout_ms=2000)
    source = "for i = 1, 100 do keep = setmetatable({keep}, {__gc = function() tell(1) end}) end "
    for ending in ("", "error('fails')", "local t = {} while true do t = {t} end", "while true do end"):
        engine.execute_script(source + ending)
        assert engine.execute_script("collectgarbage() return 1").output == 1
    engine.execute_script(source)
    engine.close()
    assert called == []


def test_metatables_with_finalizers_are_as_any_other(engine: LuaEngine, lua: str) -> None:
    """Setmetatable returns the table, the metatable keeps its fields in their order, and the other events work."""
    source = """
    local meta, order, after = {a = 1, __gc = {}, b = 2, __index = {x = 7}, __call = function() return 8 end}, {}, {}
    local gc = meta.__gc
    for k in pairs(meta) do order[#order + 1] = k end
    local t = {}
    local same = setmetatable(t, meta) == t
    for k in pairs(meta) do after[#after + 1] = k end
    return same, getmetatable(t) == meta, rawget(meta, '__gc') == gc, table.concat(order, ' ') == table.concat(after, ' '), t.x, t()
    """
    assert engine.execute_script(source).raise_for_error().output == (True, True, True, True, 7, 8)
    assert engine.execute_script("local m = {__gc = false} setmetatable(m, m) return m.__gc").output is False
    messages = engine.execute_script(
        "return {pcall(setmetatable, {}, 1), select(2, pcall(setmetatable, {}, 1))}"
    ).output
    assert messages[0] is False
    assert messages[1].endswith(
        "(nil or table expected)" if lua in ONLY_FLOATS or lua == "5.3" else "(nil or table expected, got number)"
    )
    protected = "return select(2, pcall(setmetatable, setmetatable({}, {__metatable = 1, __gc = print}), {}))"
    assert engine.execute_script(protected).output == "cannot change a protected metatable"


@pytest.mark.parametrize("chunk", ["'\\27Lua'", "'\\27LJ\\2'", "'\\27'", "('\\27Lua'):rep(10)"])
def test_bytecode_cannot_be_loaded(engine: LuaEngine, assert_usable: Callable[[LuaEngine], None], chunk: str) -> None:
    """As text, through a reader in one piece or byte by byte, in any mode."""
    for call in (
        f"(loadstring or load)({chunk})",
        f"(loadstring or load)({chunk}, 'name', 'b')",
        f"(loadstring or load)({chunk}, 'name', 'bt')",
        f"(function() local s, i = {chunk}, 0 return load(function() i = i + 1 return s:sub(i, i) end) end)()",
        f"(function() local s = {chunk} return load(function() local r = s s = nil return r end) end)()",
    ):
        result = engine.execute_script(f"local f, why = {call} return f == nil, why")
        assert result.error is None
        assert result.output[0] is True
    assert engine.execute_script("return string.dump == nil").output is True
    assert_usable(engine)


def test_real_bytecode_cannot_be_loaded(engine: LuaEngine, lua: str) -> None:
    """What the very same Lua compiled is refused in every way that it could be handed over."""
    runtime = importlib.import_module(f"lupa.{_finder.MODULES[lua]}").LuaRuntime(encoding=None)
    code = runtime.execute(b"return string.dump(function() return 42 end)")
    assert code[:1] == b"\x1b"
    source = """
    local code = context.code
    local function pieces(size)
      local at = 1 - size
      return function() at = at + size return code:sub(at, at + size - 1) end
    end
    local function late() local n = 0 return function() n = n + 1 return n == 2 and code or n < 2 and "" or nil end end
    local refused = {}
    for i, chunk in ipairs({code, pieces(#code), pieces(1), pieces(7), late()}) do
      local f = (type(chunk) == 'string' and loadstring or load)(chunk)
      refused[i] = f == nil or not pcall(f) and "failed" or f() ~= 42 and "other" or "RUNS"
    end
    return refused
    """
    result = engine.execute_script(source, {"code": code})
    assert result.error is None
    assert result.output[:4] == [True, True, True, True]
    assert result.output[4] != "RUNS"
    assert isinstance(engine.execute_script(code).error, ScriptSyntaxError)


def test_loaded_code_stays_inside(engine: LuaEngine, lua: str) -> None:
    """It sees the run's own globals, or those it is given, where the version can."""
    assert engine.execute_script("x = 5 return (loadstring or load)('return x, os.exit == nil')()").output == (5, True)
    if lua in HAVE_ENV:
        assert engine.execute_script("return load('return y', 'n', 't', {y = 6})()").output == 6
        assert engine.execute_script("local _ENV = {} return x").output is None


def test_no_python_object_is_reachable(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Host functions are plain Lua functions: no attributes, no metatable, no userdata anywhere."""
    engine = make_engine(lua, functions={"f": lambda: {"a": [1]}})
    source = "local r = f() return type(f), getmetatable(f) == nil, type(r), getmetatable(r) == nil, pcall(function() return f.x end)"
    output: Any = engine.execute_script(source).output
    assert output[:5] == ("function", True, "table", True, False)


def test_environment_is_what_the_config_says(
    make_engine: Callable[..., LuaEngine], monkeypatch: pytest.MonkeyPatch, lua: str
) -> None:
    """No variable of the process is seen."""
    monkeypatch.setenv("LUAGAUGE_TEST_HOST_ONLY", "host")
    engine = make_engine(lua, environment_variables={"MODE": "test", "EMPTY": ""})
    source = "return os.getenv('MODE'), os.getenv('EMPTY'), os.getenv('LUAGAUGE_TEST_HOST_ONLY'), os.getenv('PATH')"
    assert engine.execute_script(source).output == ("test", "", None, None)


def test_process_output_is_not_written(engine: LuaEngine, capfd: pytest.CaptureFixture[str]) -> None:
    """What is printed goes into the logs, never to the process."""
    engine.execute_script("print('to the log') log('info', 'too')")
    assert capfd.readouterr() == ("", "")
