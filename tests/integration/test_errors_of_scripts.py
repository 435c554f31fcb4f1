"""What a failing script says: message, line and traceback, whatever was raised and from wherever."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

import pytest
from luas import CHECK_HANDLERS, HAVE_GOTO

from luagauge import LuaEngine, ScriptRuntimeError, ScriptSyntaxError

if TYPE_CHECKING:
    from collections.abc import Callable

SYNTAX = [
    ("x = = 1", 1, "="),
    ("\n\nlocal 5 = 1", 3, "5"),
    ("if true then", 1, "end"),
    ("return 1\nreturn 2", 2, "return"),
    ("local s = 'open\nlocal t", 1, "unfinished string"),
    ("--[[ open\n\n", 3, "unfinished"),
    ("x = 1 +", 1, "unexpected symbol"),
    ("break", 1, "break"),
    ("local t = {1, 2", 1, "}"),
    ("f(", 1, "unexpected symbol"),
    ("x = 0xg", 1, "malformed number"),
    ("return \0", 1, "unexpected symbol"),
    ("return x\0 + 2", 1, ""),
]


@pytest.mark.parametrize("source, line, why", SYNTAX, ids=[repr(source) for source, _, _ in SYNTAX])
def test_syntax_error_names_line_and_token(
    engine: LuaEngine, assert_usable: Callable[[LuaEngine], None], source: str, line: int, why: str
) -> None:
    """The compiler's own message, with the line as a figure."""
    result = engine.execute_script(source)
    error = result.error
    assert type(error) is ScriptSyntaxError
    assert why in str(error)
    assert error.line in {line, None} if "break" in source else error.line == line
    assert result.output is None
    assert result.memory_used_mb is not None
    assert_usable(engine)


@pytest.mark.parametrize("length", [1, 52, 53, 58, 59, 60, 61, 71, 72, 73, 80, 100, 1000])
def test_syntax_error_finds_the_line_behind_any_name(engine: LuaEngine, length: int) -> None:
    """Lua shortens long names, each version at its own length."""
    error = engine.execute_script("local a\n\nlocal = 1", name="n" * length).error
    assert isinstance(error, ScriptSyntaxError)
    assert error.line == 3
    error = engine.execute_script("local a\n\nlocal = 1", name="3:4:" * (length // 4 + 1)).error
    assert isinstance(error, ScriptSyntaxError)
    assert error.line == 3


def test_empty_sources_run(engine: LuaEngine) -> None:
    """Nothing, blanks and comments are valid scripts."""
    for source in ("", " ", "\n\n", "-- nothing", b"", "--[[ long\ncomment ]]"):
        result = engine.execute_script(source)
        assert (result.success, result.output) == (True, None)


def test_sources_may_hold_any_bytes_in_strings(engine: LuaEngine) -> None:
    """Bytes that are not UTF-8 inside a literal come out as they went in."""
    assert engine.execute_script(b"return 'caf\xe9'").output == b"caf\xe9"
    assert engine.execute_script("return '日本語'").output == "日本語"


def test_bytecode_is_no_source(engine: LuaEngine, assert_usable: Callable[[LuaEngine], None]) -> None:
    """A script that begins with the mark of compiled Lua is refused before Lua sees it."""
    for source in (b"\x1bLua", b"\x1bLJ\x02", b"\x1b", "\x1bLuaS\0"):
        error = engine.execute_script(source).error
        assert isinstance(error, ScriptSyntaxError)
        assert "compiled" in str(error)
        with pytest.raises(ScriptSyntaxError):
            engine.precompile_script(source)
    assert_usable(engine)


def test_deeply_nested_source_is_an_error(engine: LuaEngine, assert_usable: Callable[[LuaEngine], None]) -> None:
    """The parser's own bound, not the C stack's end."""
    for opening, closing in (("(", ")"), ("{", "}"), ("not ", ""), ("function() return ", " end"), ("f(", ")")):
        source = f"return {opening * 100_000} 1 {closing * 100_000}"
        error = engine.execute_script(source).error
        assert type(error) is ScriptSyntaxError
        error = engine.execute_script(f"{'do ' * 100_000} {'end ' * 100_000}").error
        assert type(error) is ScriptSyntaxError
        assert_usable(engine)


RUNTIME = [
    ("error('text')", 1, "script:1: text"),
    ("\nlocal x = nil\nx.y = 1", 3, "script:3: attempt to index"),
    ("local t = {}\nreturn t.a.b", 2, "script:2: attempt to index"),
    ("return nil + 1", 1, "script:1: attempt to perform arithmetic"),
    ("undefined()", 1, "script:1: attempt to call"),
    ("return 1 < 'x'", 1, "script:1: attempt to compare"),
    ("return #5", 1, "script:1: attempt to get length"),
    ("return 'a' .. {}", 1, "script:1: attempt to concatenate"),
    ("local f = function()\n  error('deep')\nend\nf()", 2, "script:2: deep"),
    ("assert(false, 'asserted')", 1, "asserted"),
    ("assert(nil)", 1, "assertion failed!"),
    ("error('bare', 0)", 1, "bare"),
    ("error()", 1, "nil"),
    ("error(nil)", 1, "nil"),
    ("error({})", 1, "(error object is a table value)"),
    ("error(true)", 1, "(error object is a boolean value)"),
    ("error(print)", 1, "(error object is a function value)"),
    ("error(42)", 1, "42"),
    ("error(setmetatable({}, {__tostring = function() return 'custom text' end}))", 1, "custom text"),
    ("('x'):rep(-1):bad()", 1, "script:1: attempt to call"),
    ("string.rep()", 1, "bad argument #1 to 'rep'"),
    ("math.floor({})", 1, "bad argument #1 to 'floor'"),
]


@pytest.mark.parametrize("source, line, message", RUNTIME, ids=[source for source, _, _ in RUNTIME])
def test_runtime_error_has_message_line_and_traceback(
    engine: LuaEngine, assert_usable: Callable[[LuaEngine], None], source: str, line: int, message: str
) -> None:
    """Lua's own words, and where it happened."""
    error = engine.execute_script(source).error
    assert type(error) is ScriptRuntimeError
    assert message in str(error)
    assert error.message == str(error)
    assert error.line == line
    assert error.traceback is not None
    assert error.traceback.startswith("stack traceback:")
    assert_usable(engine)


def test_traceback_names_the_functions_on_the_way(engine: LuaEngine) -> None:
    """Every level with its line, under the script's name."""
    source = "local function inner()\n  error('x')\nend\nlocal function outer()\n  inner()\n  return 1\nend\nouter()"
    error = engine.execute_script(source, name="rules.lua").error
    assert isinstance(error, ScriptRuntimeError)
    assert error.traceback is not None
    for place in ("rules.lua:2:", "rules.lua:5:", "rules.lua:8:"):
        assert place in error.traceback
    assert error.traceback.index("rules.lua:2:") < error.traceback.index("rules.lua:8:")


@pytest.mark.parametrize(
    "source", ["error('x')", "string.gsub('x', 'x', function() error('y') end)", "pcall() error({})", "math.floor({})"]
)
def test_errors_and_tracebacks_show_no_addresses(engine: LuaEngine, source: str) -> None:
    """They may be shown to whoever wrote the script."""
    error = engine.execute_script(source).error
    assert isinstance(error, ScriptRuntimeError)
    assert not re.search(r"0x[0-9a-fA-F]{4,}", f"{error} {error.traceback}")


def test_traceback_of_deep_recursion_is_bounded(engine: LuaEngine, assert_usable: Callable[[LuaEngine], None]) -> None:
    """A stack overflow ends in a runtime error with a readable traceback."""
    error = engine.execute_script("local function f() return 1 + f() end return f()").error
    assert type(error) is ScriptRuntimeError
    assert "stack overflow" in str(error)
    assert len(error.traceback or "") < 20_000  # LuaJIT has no room left to make one
    assert_usable(engine)


def test_huge_error_messages_are_cut(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """64 KiB are kept, however much was raised."""
    engine = make_engine(lua, memory_limit_mb=None)
    error = engine.execute_script("error(('x'):rep(20000000))").error
    assert type(error) is ScriptRuntimeError
    assert len(str(error)) <= 65_536
    error = engine.execute_script(
        "error(setmetatable({}, {__tostring = function() return ('y'):rep(20000000) end}))"
    ).error
    assert type(error) is ScriptRuntimeError
    assert len(str(error)) <= 65_536


def test_huge_error_messages_are_cut_between_characters(engine: LuaEngine) -> None:
    """The end of what is kept is whole, wherever the bound falls."""
    for lead in range(3):
        error = engine.execute_script(f"error(('x'):rep({lead}) .. ('€'):rep(30000), 0)").error
        assert str(error).rstrip("€") == "x" * lead
        assert 21_840 <= len(str(error)) <= 21_846


@pytest.mark.parametrize(
    "source, byte", [("return 1".encode("utf-16"), 4), ("return 1".encode("utf-16-le"), 2), (b"return x\0 + 1", 9)]
)
def test_syntax_error_of_a_source_with_nul_says_so(engine: LuaEngine, source: bytes, byte: int) -> None:
    """Lua names no NUL; UTF-16, which is full of them, is the likely reason."""
    error = engine.execute_script(source).error
    assert type(error) is ScriptSyntaxError
    assert f"byte {byte} of the source is NUL: give UTF-8 text" in str(error)


def test_error_messages_that_are_not_utf8_are_text(engine: LuaEngine) -> None:
    """Bytes are shown escaped, never lost."""
    error = engine.execute_script("error('caf\\233', 0)").error
    assert str(error) == "caf\\xe9"


@pytest.mark.parametrize("answer", ["error('again')", "return {}", "return nil", "return 5", "local t = nil; t.x = 1"])
def test_error_objects_with_a_failing_tostring_still_end_the_run(
    engine: LuaEngine, assert_usable: Callable[[LuaEngine], None], answer: str
) -> None:
    """Whatever __tostring does, there is an error with some text."""
    error = engine.execute_script(f"error(setmetatable({{}}, {{__tostring = function() {answer} end}}))").error
    assert type(error) is ScriptRuntimeError
    assert str(error)
    assert_usable(engine)


def test_xpcall_blames_the_script_for_a_handler_that_is_none(engine: LuaEngine, lua: str) -> None:
    """Where the version looks at it, at the script's line and by the function's own name."""
    if lua not in CHECK_HANDLERS:
        assert engine.execute_script("\nxpcall(print, {})").error is None
        return
    error = engine.execute_script("\nxpcall(print, {})").error
    assert str(error) == "script:2: bad argument #2 to 'xpcall' (function expected, got table)"


def test_errors_inside_coroutines_reach_the_result(engine: LuaEngine) -> None:
    """Through wrap, and through resume and error."""
    error = engine.execute_script("coroutine.wrap(function() error('inside') end)()").error
    assert type(error) is ScriptRuntimeError
    assert "inside" in str(error)
    error = engine.execute_script(
        "error(select(2, coroutine.resume(coroutine.create(function() error('in') end))), 0)"
    ).error
    assert str(error) == "script:1: in"


def test_yield_outside_a_coroutine_is_an_error(engine: LuaEngine, assert_usable: Callable[[LuaEngine], None]) -> None:
    """The chunk itself is no coroutine."""
    error = engine.execute_script("coroutine.yield(1)").error
    assert type(error) is ScriptRuntimeError
    assert "yield" in str(error)
    assert_usable(engine)


# What goes wrong with load and xpcall, or does not; %b is a chunk that is text.
LOADS = [
    "load(%b, 'n', 'b')", "load(%b, 'n', 't')", "load(%b, 'n', 'bt')", "load(%b, 'n', 'x')", "load(%b, 'n', '')",
    "load(%b, 'n', 5)", "load(%b, 'n', {})", "load(%b, 'n', false)", "load(%b, 'n', nil)", "load('', '=n', 'b')",
    "load('return x', 'n', 't', {x = 3})()", "load('x x', 'n', 'b')", "load(function() return nil end, 'n', 'b')", "load(function() return 5 end, 'n', 'b')",
    "load(function() return '' end, 'n', 'b')", "load(function() error('x') end, 'n', 'b')",
]  # fmt: skip
NUMBERS_AND_HANDLERS = [
    "load(5)", "load(5.5, 'x')", "load(1/0)", "load()", "load({})", "load(true)", "load(function() end)",
    "xpcall(print)", "xpcall(nil)", "xpcall(error)", "xpcall(print, nil)", "xpcall(error, nil)", "xpcall(print, 5)",
    "xpcall(function() error('x') end, 5)", "xpcall(function() error('x') end, tostring)",
    "xpcall(function(...) return select('#', ...) end, print, nil, 2, nil)", "select('#', load(function() end))",
    "load(function() return nil end, 'n', 't', {})",
]  # fmt: skip
OF_5_1 = [
    "loadstring(5)", "loadstring()", "loadstring({})", "loadstring('return 1', 5)", "select('#', loadstring('return 1'))",
]  # fmt: skip


@pytest.mark.parametrize("call", LOADS + NUMBERS_AND_HANDLERS + OF_5_1)
def test_load_and_xpcall_answer_as_the_stock_ones(make_engine: Callable[..., LuaEngine], lua: str, call: str) -> None:
    """What they refuse and in which words is the version's, at the line of the script."""
    if lua not in HAVE_GOTO and "return 5" in call:
        pytest.skip("without a mode this reader never ends")
    if lua in HAVE_GOTO and call in OF_5_1:
        pytest.skip("5.1 alone has a function of its own for texts")
    script = (
        "local function show(v) return type(v) == 'function' and 'function' or tostring(v) end\n"
        f"local ok, a, b = pcall(function() local a, b = {call.replace('%b', repr('return 1'))} return a, b end)\n"
        "return table.concat({show(ok), show(a), show(b)}, '; ')"
    )
    name = lua.replace(".", "")
    plain = importlib.import_module(f"lupa.{name if name.startswith('luajit') else 'lua' + name}").LuaRuntime()
    expected = plain.eval("function(text) return (loadstring or load)(text, '=script')() end")(script)
    assert make_engine(lua).execute_script(script).raise_for_error().output == expected
