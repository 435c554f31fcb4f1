"""A script is to the host what a file is to the program lua: its first line may be for the shell."""

from __future__ import annotations

import pytest

from luagauge import LuaEngine, ScriptRuntimeError, ScriptSyntaxError

HEADS = ["#!/usr/bin/lua\n", "# any comment\n", "\ufeff", "\ufeff#!/usr/bin/lua\n", "#\r\n", "#\n"]


@pytest.mark.parametrize("head", HEADS, ids=ascii)
@pytest.mark.parametrize("as_bytes", [False, True])
def test_first_line_is_skipped(engine: LuaEngine, head: str, *, as_bytes: bool) -> None:
    """A line that begins with '#' and a byte order mark are no part of the script; lines keep their numbers."""
    source: str | bytes = head + "return 8"
    failing: str | bytes = head + "error('here')"
    wrong: str | bytes = head + "x = = 1"
    if as_bytes:
        source, failing, wrong = (
            text.encode() for text in (head + "return 8", head + "error('here')", head + "x = = 1")
        )
    line = 1 + head.count("\n")
    assert engine.execute_script(source).output == 8
    assert engine.execute_script(engine.precompile_script(source)).output == 8
    assert engine.validate_syntax(source) is None
    error = engine.execute_script(failing).error
    assert isinstance(error, ScriptRuntimeError)
    assert error.line == line
    fault = engine.validate_syntax(wrong)
    assert isinstance(fault, ScriptSyntaxError)
    assert fault.line == line


def test_first_line_is_all_there_is(engine: LuaEngine) -> None:
    """A script of a comment alone does nothing."""
    for source in ("#", "# nothing", "\ufeff", "\ufeff#"):
        assert engine.execute_script(source).raise_for_error().output is None


@pytest.mark.parametrize("source", [b"\xef\xbb\xbf\x1bLua", b"#\n\x1bLua", b"\x1bLua", b"\xef\xbb\xbf#\n\x1bLuaQ"])
def test_first_line_hides_no_bytecode(engine: LuaEngine, source: bytes) -> None:
    """What follows a mark or a first line is source text, or is refused."""
    assert isinstance(engine.execute_script(source).error, ScriptSyntaxError)


def test_first_line_of_a_text_in_a_script_is_lua(engine: LuaEngine, lua: str) -> None:
    """load() skips nothing, but for LuaJIT, whose compiler skips it everywhere."""
    loaded = engine.execute_script("return (loadstring or load)('#!/usr/bin/lua\\nreturn 1') ~= nil").output
    assert loaded is lua.startswith("luajit")
