"""Recursion of every form ends in an error, never in the end of the C stack."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from luagauge import (
    LuaEngine,
    MemoryLimitExceeded,
    ScriptError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DEEP = {
    "calls": "local function f() return 1 + f() end return f()",
    "many arguments": "local function f(...) return 1 + f(1, ...) end return f()",
    "pcall": "local function f() return pcall(f), 1 end return f()",
    "xpcall": "local function f() return xpcall(f, function(e) return e end), 1 end return f()",
    "handlers": "local function f() return xpcall(error, f), 1 end return f()",
    "__index": "local t t = setmetatable({}, {__index = function(_, k) return t[k .. 'x'] end}) return t.a",
    "__index chain": "local t = {} for i = 1, 1e5 do t = setmetatable({}, {__index = t}) end return t.a",
    "__newindex": "local t t = setmetatable({}, {__newindex = function(_, k) t[k + 1] = 1 end}) t[1] = 1",
    "__call": "local t t = setmetatable({}, {__call = function() return t(), 1 end}) return t()",
    "__call chain": "local t = {} for i = 1, 1e4 do t = setmetatable({}, {__call = t}) end return t()",
    "__concat": "local t t = setmetatable({}, {__concat = function(a) return a .. 'x', 1 end}) return t .. 'x'",
    "__eq": """
        local m = {} m.__eq = function(a, b) return a == b and 1 end return setmetatable({}, m) ==
        setmetatable({}, m)
    """,
    "__tostring": """
        local t t = setmetatable({}, {__tostring = function() return tostring(t) .. 'x' end}) return
        tostring(t)
    """,
    "gsub": "local function f() return (string.gsub('x', 'x', f)) .. 'y' end return f()",
    "sort": "local function f() table.sort({3, 2, 1}, f) return true end return f()",
    "load": "local function f() return load(f) end return f()",
    "coroutines": "local function f() return coroutine.wrap(f)(), 1 end return f()",
    "resumes": "local function f() return coroutine.resume(coroutine.create(f)), 1 end return f()",
    "coroutines and pcall": "local function f() return pcall(coroutine.wrap(f)), 1 end return f()",
    "gsub in coroutines": """
        local function f() return (coroutine.wrap(function() return string.gsub('x', 'x', f) end)()) end
        return f()
    """,
    "sort in coroutines": """
        local function f() coroutine.wrap(function() table.sort({2, 1}, f) end)() return true end return f()
    """,
    "load in coroutines": "local function f() return coroutine.wrap(function() return load(f) end)() end return f()",
    "require": "package.preload.m = function() package.loaded.m = nil return require('m') end return require('m')",
    "searchers": """
        local list = package.searchers or package.loaders
        local function f() return require(tostring({})) end
        table.insert(list, 1, f) return require('m')
    """,
    "__index of loaded modules": """
        setmetatable(package.loaded, {__index = function(_, k) return require(k .. 'x') end}) return require('m')
    """,
    "__index of preloaded modules": """
        local find = (package.searchers or package.loaders)[1]
        setmetatable(package.preload, {__index = function(_, k) return find(k .. 'x') end}) return find('m')
    """,
    "__index of package": """
        local find = (package.searchers or package.loaders)[2]
        package.path = nil setmetatable(package, {__index = function() return find('m') end}) return find('m')
    """,
    "module": "local n = 0 local function f() n = n + 1 (module or require)('m' .. n, f) end return f()",
    "print": "local t t = setmetatable({}, {__tostring = function() print(t) return 'x' end}) print(t)",
    "error objects": "local e e = setmetatable({}, {__tostring = function() error(e) end}) error(e)",
    "ipairs": """
        local t t = setmetatable({}, {__index = function() for _ in ipairs(t) do end end}) for _ in
        ipairs(t) do end
    """,
    "nested parentheses": "return (loadstring or load)('return ' .. ('('):rep(1e5) .. '1' .. (')'):rep(1e5))()",
    "nested tables": "return (loadstring or load)('return ' .. ('{'):rep(1e5) .. ('}'):rep(1e5))()",
    "nested functions": "return (loadstring or load)(('return function() '):rep(1e4) .. ('end '):rep(1e4))()",
    "nested blocks": "return (loadstring or load)(('do '):rep(1e5) .. ('end '):rep(1e5))()",
    "long concatenation": "return #(loadstring or load)('return ' .. ('\"x\" .. '):rep(1e5) .. '\"x\"')()",
    "long chain of powers": "return (loadstring or load)('return ' .. ('2 ^ '):rep(1e5) .. '1')()",
    "long chain of nots": "return (loadstring or load)('return ' .. ('not '):rep(1e5) .. '1')()",
    "else chains": """
        return (loadstring or load)('local x = 0 if x == 1 then ' .. ('elseif x == 2 then '):rep(1e4) .. ' end return 1')()
    """,
    "deep pattern": "return ('x'):rep(3e5):find(('x?'):rep(1e5) .. 'y')",
    "nested captures": "return ('x'):find(('('):rep(40) .. 'x' .. (')'):rep(40))",
    "balanced": "return ('('):rep(3e5):find('%b()')",
    "unpack": "return select('#', (table.unpack or unpack)({}, 1, 1e7))",
    "string.byte": "return select('#', ('x'):rep(1e7):byte(1, -1))",
    "many results": """
        local t = {} for i = 1, 1e6 do t[i] = i end return (function(...) return select('#', ...)
        end)((table.unpack or unpack)(t))
    """,
    "many upvalues": "return (loadstring or load)('local a = 1 ' .. ('local b = a '):rep(300))()",
    "many locals in a call": "return (loadstring or load)('return select(\"#\", ' .. ('1,'):rep(1e5) .. '1)')()",
}


@pytest.mark.parametrize("name", DEEP)
def test_recursion_of_every_form_ends_in_an_error(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, name: str
) -> None:
    """The process lives, the result says why or is right, and the engine goes on."""
    engine = make_engine(lua, timeout_ms=500, memory_limit_mb=64)
    result = engine.execute_script(DEEP[name])
    assert result.error is None or isinstance(result.error, ScriptError)
    assert_usable(engine)


# Nested until something is refused; then what Lua nests by itself, in the little room that is left.
AT_THE_END = {
    "pcall": "local function p() return pcall(p), 1 end p()",
    "parentheses": "(loadstring or load)('return ' .. ('('):rep(190) .. '1' .. (')'):rep(190))",
    "tables": "(loadstring or load)('return ' .. ('{'):rep(190) .. ('}'):rep(190))",
    "functions": "(loadstring or load)('return ' .. ('function() return '):rep(190) .. ('end '):rep(190))",
    "pattern": "('x'):rep(1000):find(('x?'):rep(300) .. 'y')",
    "sort": "pcall(table.sort, {3, 2, 1}, function(a, b) return a < b end)",
}
NESTING = [
    ("coroutine.wrap(f)", 8192),
    ("coroutine.wrap(f)", 256),
    ("string.gsub, 'x', 'x', f", 256),
    ("load, f", 256),
    ("table.sort, {2, 1}, f", 256),
]


def run_on_a_stack(engine: LuaEngine, source: str, stack_kib: int) -> None:
    """Run a script on a thread with this much stack, and check that it ends as data and the engine goes on."""
    outcome: list[ScriptError | None] = []
    before = threading.stack_size(stack_kib * 1024)
    try:
        thread = threading.Thread(target=lambda: outcome.append(engine.execute_script(source).error))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert outcome[0] is None or isinstance(outcome[0], ScriptError)
    assert engine.execute_script("return 1").output == 1


@pytest.mark.parametrize("nest, stack_kib", NESTING)
@pytest.mark.parametrize("last", AT_THE_END)
def test_depth_of_every_kind_adds_up_to_an_error(
    make_engine: Callable[..., LuaEngine], lua: str, nest: str, last: str, stack_kib: int
) -> None:
    """Each way to nest, then each of the ways that Lua bounds by itself, on small stacks and usual ones."""
    source = f"local function f() pcall({nest}) {AT_THE_END[last]} return nil end return f()"
    run_on_a_stack(make_engine(lua, timeout_ms=100, memory_limit_mb=64), source, stack_kib)


SMALL = ["pcall", "gsub", "sort", "coroutines", "__index", "load", "gsub in coroutines", "searchers", "module"]


@pytest.mark.parametrize("name", [*SMALL, *(name for name in DEEP if name.startswith(("require", "__index of")))])
def test_recursion_on_a_small_stack_ends_in_an_error(
    make_engine: Callable[..., LuaEngine], lua: str, name: str
) -> None:
    """Threads of a host have what stack it gave them: 256 KiB is little, and enough to be refused on."""
    run_on_a_stack(make_engine(lua, timeout_ms=300, memory_limit_mb=64), DEEP[name], 256)


SMALL_STACKS = """
import sys, threading
from luagauge import *

def attempt():
    print(engine.execute_script(script).error)
    try:
        print(engine.validate_syntax("return 1"))
    except ScriptError as error:
        print(error)

def attempt_on(stack_size):
    if sys.platform != "win32":
        threading.stack_size(stack_size)
        thread = threading.Thread(target=attempt)
        thread.start()
        return thread.join()
    # CPython's threads have at least the program's own stack there.
    import ctypes
    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    def begin_here(_):
        low, high = ctypes.c_size_t(), ctypes.c_size_t()
        kernel32.GetCurrentThreadStackLimits(ctypes.byref(low), ctypes.byref(high))
        if high.value - low.value > 2 * stack_size:
            print("a stack of", (high.value - low.value) // 1024, "KiB instead")
        else:
            attempt()
        return 0
    begin = ctypes.WINFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)(begin_here)
    kernel32.CreateThread.argtypes = [ctypes.c_void_p, ctypes.c_size_t, type(begin), ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p]
    kernel32.CreateThread.restype = ctypes.c_void_p
    STACK_SIZE_PARAM_IS_A_RESERVATION = 0x10000
    thread = kernel32.CreateThread(None, stack_size, begin, None, STACK_SIZE_PARAM_IS_A_RESERVATION, None)
    kernel32.WaitForSingleObject(ctypes.c_void_p(thread), -1)

engine = LuaEngine(ScriptConfig(lua=sys.argv[1]))
script = engine.precompile_script("local function f() return pcall(f), 1 end return f()")
for stack_kib in (64, 128, 192):
    attempt_on(stack_kib * 1024)
print(engine.execute_script("return 1").output)
"""


def test_too_small_a_stack_is_refused(lua: str) -> None:
    """Where Lua's own 200 nested calls have no room, a run ends before it begins, and compiling too."""
    # In a process of its own: the C library gives a new thread the larger stack of an old one where it has one.
    command = [sys.executable, "-c", SMALL_STACKS, lua]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    lines = done.stdout.splitlines()
    if sys.platform == "win32" and lines[:1] and lines[0].endswith("instead"):
        pytest.skip(f"this system gives a thread {lines[0]}")
    refusal = "C stack overflow: a script needs 224 KiB of its thread's stack (threading.stack_size)"
    assert lines == [refusal] * 6 + ["1"], done.stderr


def test_host_side_work_is_never_refused(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """At the very edge of its memory, a run's globals, context, functions, logs, errors and output still come through."""
    calls: list[int] = []
    engine = make_engine(lua, memory_limit_mb=1, functions={"note": lambda: calls.append(1)})
    source = """
    local t = {}
    pcall(function() while true do t[#t + 1] = {} end end)
    pcall(note) pcall(print, 'full') pcall(log, 'info', 'full')
    return true, t == nil
    """
    result = engine.execute_script(source, {"data": ["x" * 1000] * 50})
    assert result.output == (True, False) or isinstance(result.error, MemoryLimitExceeded)
    for limit_kib in (1, 2, 4, 8, 16):  # compiling takes nearly one
        with LuaEngine(make_engine(lua, memory_limit_mb=limit_kib / 1024).config) as tiny:
            for _ in range(3):
                result = tiny.execute_script("return context.a", {"a": "x" * 100_000, "b": list(range(1000))})
                assert isinstance(result.error, MemoryLimitExceeded | None)
                assert tiny.execute_script("return 1").output == 1


@pytest.mark.parametrize("timeout_ms", [300, None])
@pytest.mark.parametrize("item", ["a*", "a-", "a?", "(a*)"])
def test_pattern_is_bounded_by_the_c_stack(
    make_engine: Callable[..., LuaEngine],
    assert_usable: Callable[[LuaEngine], None],
    lua: str,
    item: str,
    timeout_ms: float | None,
) -> None:
    """5.1's own matcher has no bound: a pattern of a million items ended the process."""
    engine = make_engine(lua, timeout_ms=timeout_ms, memory_limit_mb=64)
    engine.execute_script(
        f"local p = ('{item}'):rep(1e6) return pcall(string.find, '', p), pcall(string.find, 'aaaa', p)"
    )
    assert_usable(engine)


DEEP_HOST = """
import sys, threading
from luagauge import LuaEngine, ScriptConfig
class Node:
    def __init__(self, deep):
        self.deep = deep
    def __len__(self):
        return 0 if self.deep == 0 else 1 + len(Node(self.deep - 1))
def depth(n):
    try:
        return len(Node(n))
    except RecursionError:
        return "RecursionError"
engine = LuaEngine(ScriptConfig(lua=sys.argv[1], functions={"depth": depth}, timeout_ms=20_000))
def go():
    print(engine.execute_script('''
        local last
        local function deep()
          pcall(string.gsub, 'x', 'x', function() coroutine.wrap(deep)() end)
          if not last then last = {pcall(depth, 2000)} end
        end
        deep()
        return {depth(300), last}''').output)
if len(sys.argv) > 2:
    threading.stack_size(int(sys.argv[2]) << 10)
    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
else:
    go()
"""


@pytest.mark.real_malloc  # a sanitizer's frames are several times as large
@pytest.mark.parametrize("stack_kib", [None, 640])
def test_script_leaves_host_functions_their_stack(lua: str, stack_kib: int | None) -> None:
    """A host function that recurses to Python's own limit is an error there, however deep the script that calls it is."""
    command = [sys.executable, "-c", DEEP_HOST, lua, *([] if stack_kib is None else [str(stack_kib)])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert done.stdout.startswith("[300, [")
