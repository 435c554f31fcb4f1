"""What published advisories about embedded Luas were about, tried on every version: SECURITY.md says which is which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luagauge import LuaEngine, MemoryLimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

EDGES = (
    "-2147483648, 2147483647",
    "1, 2147483647",
    "0, 2147483647",
    "-2147483648, -2147483648 + 1e7",
    "-2147483640, 2147483640",
    "-1e9, 2147483647",
    "1, 1e8",
)


@pytest.mark.parametrize("edge", EDGES)
def test_advisory_unpack_of_a_range_that_overflows(
    engine: LuaEngine, assert_usable: Callable[[LuaEngine], None], edge: str
) -> None:
    """CVE-2025-46817: a range whose length does not fit an int is an error of the script's."""
    source = f"""local unpack = unpack or table.unpack
      return pcall(function() return (select('#', unpack({{}}, {edge}))) end)"""
    result = engine.execute_script(source)
    assert result.error is None
    assert isinstance(result.output, (list, tuple))
    assert result.output[0] is False
    assert_usable(engine)


@pytest.mark.parametrize("count", ["-2147483648", "2147483648", "-2147483647", "2 ^ 31", "-2 ^ 53", "9", "-9", "0"])
def test_advisory_tohex_of_any_width(engine: LuaEngine, assert_usable: Callable[[LuaEngine], None], count: str) -> None:
    """CVE-2024-31449: bit.tohex gives hexadecimal digits, at most 254 (LuaJIT 2.1) or 8, whatever width is asked for."""
    source = f"""if not bit then return true end
      local s = bit.tohex(65535, {count}) return #s <= 254 and not s:find('[^%x]')"""
    result = engine.execute_script(source)
    assert result.error is None
    assert result.output is True
    assert_usable(engine)


LONG_BRACKETS = ("", "--")


@pytest.mark.parametrize("comment", LONG_BRACKETS)
@pytest.mark.parametrize("rest", ["", "[", "x", "]", "\\n"])
def test_advisory_long_brackets_that_do_not_end(
    engine: LuaEngine, assert_usable: Callable[[LuaEngine], None], comment: str, rest: str
) -> None:
    """CVE-2025-46819: a bracket of any level, cut off anywhere, is a syntax error or a comment, and reads nothing else."""
    inside = "nil" if comment else "'inside'"
    source = f"""for _, n in ipairs{{0, 1, 2, 100, 65535, 65536, 1000000}} do
      local function compile(text) return load(function() local t = text text = nil return t end) end
      local level = ("="):rep(n)
      local f, message = compile("{comment}[" .. level .. "{rest}")
      assert(f or type(message) == "string")
      f = assert(compile("return {comment}[" .. level .. "[inside]" .. level .. "]"))
      assert(f() == {inside})
    end return true"""
    result = engine.execute_script(source)
    assert result.error is None
    assert result.output is True
    assert_usable(engine)


def test_advisory_long_brackets_are_bounded_by_the_memory_limit(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str
) -> None:
    """CVE-2025-46819: the 2^31 equals signs that the lexer's counter needs do not fit into a run's memory."""
    engine = make_engine(lua, memory_limit_mb=8, timeout_ms=60_000)
    source = """local piece, first = ("="):rep(2 ^ 20), true
      return load(function() if first then first = false return "[" end return piece end)"""
    result = engine.execute_script(source)
    assert result.output == (None, "not enough memory")
    assert result.memory is not None
    assert result.memory.refused_allocations > 0
    assert_usable(engine)


def test_advisory_collecting_while_a_chunk_is_read(
    engine: LuaEngine, assert_usable: Callable[[LuaEngine], None]
) -> None:
    """CVE-2025-49844: the name of a chunk lives as long as its parser, however often its reader collects."""
    result = engine.execute_script("""
      for i = 1, 100 do
        local pieces, at = {"local a", " = ", "1 ", "function ", "f() ", "return ", "a ", "end ", "error(", "'x')"}, 0
        local f = assert(load(function()
          at = at + 1
          collectgarbage()
          for k = 1, 20 do local s = ("unanchored " .. k):rep(3) end
          return pieces[at]
        end, "=" .. ("name " .. i):rep(3)))
        collectgarbage()
        local ok, message = pcall(f)
        assert(not ok and message:find(("name " .. i):rep(3), 1, true) == 1, message)
      end
      return true""")
    assert result.error is None
    assert result.output is True
    assert_usable(engine)


@pytest.mark.parametrize("value", ["''", "1", "true", "nil", "print", "coroutine.create(function() end)"])
def test_advisory_metatables_of_basic_types(
    engine: LuaEngine, assert_usable: Callable[[LuaEngine], None], value: str
) -> None:
    """CVE-2025-46818: a script gets hold of no metatable that all values of a type share, and sets none."""
    result = engine.execute_script(
        f"return not getmetatable({value}) and not pcall(setmetatable, {value}, {{}}) and debug.setmetatable == nil"
    )
    assert result.error is None
    assert result.output is True
    assert_usable(engine)


def test_advisory_package_loads_nothing_of_the_system(engine: LuaEngine) -> None:
    """CVE-2022-0543: package has nothing that loads a library of the system, and no path to one."""
    result = engine.execute_script(
        """local searchers = package.searchers or package.loaders package.cpath = "/usr/lib/?.so;/lib/x86_64-linux-gnu/lib?.so.6"
        return package.loadlib == nil and #searchers == 2 and not pcall(require, "c") and not pcall(require, "m")
            and io.popen == nil and os.execute == nil and package.loaded.io == io and package.loaded.os == os"""
    )
    assert result.output is True


def test_advisory_userdata_with_finalizers_cannot_be_made(engine: LuaEngine) -> None:
    """CVE-2024-46981: no value of a script's runs code when it is collected or when the state is closed."""
    result = engine.execute_script(
        """local function run() ran = true end
        getmetatable(io.stdout).__gc = run setmetatable({}, {__gc = run})
        io.stdout, io.stderr, io.stdin = nil for _ = 1, 3 do collectgarbage() end return newproxy == nil and ran == nil"""
    )
    assert result.output is True


CHUNKS = {
    "CVE-2022-28805": "local pcall = pcall local _ENV <const> = nil return not pcall(function() x = y end)",
    "CVE-2022-33099": """local function recurse()
        return error(setmetatable({}, {__index = recurse, __concat = recurse})) .. 1 end
      for i = 1, 20 do pcall(recurse) xpcall(recurse, recurse) end return true""",
    "CVE-2021-43519": """local function nest(n) local co = coroutine.wrap(nest) return co(n + 1) end
      pcall(nest, 1) return true""",
    "CVE-2021-44647": """local t = setmetatable({}, {__index = 1, __close = 1, __newindex = {}, __eq = 1, __lt = {},
        __len = 1, __call = 1})
      for _, f in ipairs{function() return t.x.y.z end, function() return t() end, function() return #t end,
        function() return t < t end, function() for k in t do end end, function() t.x.y = 1 end} do pcall(f) end
      return true""",
    "CVE-2021-44964": """for i = 1, 50 do local t = {} for k = 1, 100 do t[k] = setmetatable({}, {__mode = "kv"}) end
      local co = coroutine.wrap(function() collectgarbage() coroutine.yield() end) co() collectgarbage("step") end
      return true""",
    "CVE-2020-24371": """local t = setmetatable({}, {__mode = "k"})
      for i = 1, 2000 do t[{}] = {} collectgarbage("step", 1) t.x = ("y"):rep(i) end return true""",
    "CVE-2020-24370 and CVE-2020-24369": "return debug.getlocal == nil and debug.setlocal == nil and string.dump == nil",
}


@pytest.mark.parametrize("source", CHUNKS.values(), ids=CHUNKS.keys())
def test_advisory_of_lua_itself(engine: LuaEngine, assert_usable: Callable[[LuaEngine], None], source: str) -> None:
    """Scripts of the kinds that broke earlier Luas end, with or without an error, and the next one is right."""
    result = engine.execute_script(source)
    assert result.error is None or "ScriptSyntaxError" in type(result.error).__name__  # <const> before 5.4
    if result.error is None:
        assert result.output not in (False, None)
    assert_usable(engine)


@pytest.mark.parametrize(
    "call",
    [
        "('%99999999999d'):format(1)",
        "('%.99999999999f'):format(1)",
        "('%-+ #0100d'):format(1)",
        "('%' .. ('0'):rep(1000) .. 'd'):format(1)",
        "('x'):rep(2 ^ 31, ',')",
        "('x'):rep(2 ^ 53)",
        "('x'):rep(1e308)",
        "('a'):gsub('a', ('%0'):rep(2 ^ 20)):rep(2 ^ 12)",
        "('x'):sub(-2 ^ 63, 2 ^ 63)",
        "('x'):byte(-2 ^ 31, 2 ^ 31)",
    ],
)
def test_advisory_sizes_that_overflow(engine: LuaEngine, assert_usable: Callable[[LuaEngine], None], call: str) -> None:
    """Widths, counts and positions beyond any integer end in a value or an error of the script's."""
    result = engine.execute_script(f"return pcall(function() return #tostring({call}) end)")
    assert result.error is None or isinstance(result.error, MemoryLimitExceeded)
    assert_usable(engine)
