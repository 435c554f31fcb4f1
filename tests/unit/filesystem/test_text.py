r"""Text mode on Windows: "\n" is "\r\n" in the file, and Ctrl-Z ends reading. What does it runs anywhere."""

from __future__ import annotations

import importlib
import io
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from filesystem_host import UNDER_WINE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luagauge._filesystem import Filesystem, access
from luagauge._filesystem.text import TextFile, drop_final_ctrl_z

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [
    b"",
    b"one\r\ntwo\r\n",
    b"one\ntwo\r\n\r\nthree",
    b"\r\r\n\r",
    b"a\r\x1ab\r\n",
    b"\x1a",
    b"a\n\x1a\x1a",
    b"ab\rcd\n\rx",
    b"  12\r\n0x10 .5\r\nx\x1a7",
    b"x" * 5000 + b"\r\n" + b"y" * 5000 + b"\r\nz",
]
BYTES = st.lists(st.sampled_from([b"\r", b"\n", b"\x1a", b"a", b"b"]), max_size=40).map(b"".join)
SETTINGS = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def as_text(raw: bytes) -> bytes:
    """Return what the C runtime's rules make of a file, byte by byte."""
    text = bytearray()
    for place, byte in enumerate(raw):
        if byte == 0x1A:
            break
        if raw[place : place + 2] != b"\r\n":
            text.append(byte)
    return bytes(text)


def reader(raw: bytes, buffer_size: int = 4) -> TextFile:
    """Return a file that holds these bytes, with so small a buffer that line ends lie across its border."""
    return TextFile(io.BufferedReader(io.BytesIO(raw), buffer_size))


@SETTINGS
@given(BYTES, st.lists(st.integers(1, 7)), st.integers(1, 9))
def test_text_read_in_any_pieces_is_the_same(raw: bytes, sizes: list[int], buffer_size: int) -> None:
    """Counts are counts of what is read; the pieces together are the text."""
    file, found, text = reader(raw, buffer_size), b"", as_text(raw)
    for size in sizes:
        piece = file.read(size)
        assert len(piece) == min(size, len(text) - len(found))
        assert bool(file.peek(1)) == (len(found) + len(piece) < len(text))
        found += piece
    assert found + file.read(1000) == text
    assert file.read(1000) == b""


@SETTINGS
@given(BYTES, st.integers(1, 9))
def test_text_read_by_lines_is_the_same(raw: bytes, buffer_size: int) -> None:
    """A line ends with a line feed, whatever the file has in its place."""
    file = reader(raw, buffer_size)
    assert list(iter(lambda: file.readline(1000), b"")) == re.findall(rb"[^\n]*\n|[^\n]+", as_text(raw))
    assert file.readline(1000) == b""
    again = reader(raw, buffer_size)
    assert b"".join(iter(lambda: again.readline(3), b"")) == as_text(raw)


@SETTINGS
@given(BYTES)
def test_text_written_is_read_again(text: bytes) -> None:
    """What is written is read as it was, up to a Ctrl-Z; a carriage return before a line feed is kept."""
    raw = io.BytesIO()
    binary: Any = io.BufferedRandom(raw)  # type: ignore[arg-type]
    TextFile(binary).write(text)
    binary.flush()
    assert raw.getvalue() == text.replace(b"\n", b"\r\n")
    binary.seek(0)
    assert TextFile(binary).read(1000) == text.partition(b"\x1a")[0]


@pytest.mark.parametrize(
    "raw, left", [(b"", b""), (b"a\x1a", b"a"), (b"a\x1a\x1a", b"a\x1a"), (b"\x1aa", b"\x1aa"), (b"\x1a", b"")]
)
def test_text_that_is_updated_loses_a_final_ctrl_z(tmp_path: Path, raw: bytes, left: bytes) -> None:
    """One Ctrl-Z is taken off the end, so that what is appended can be read; the file stands at its beginning."""
    path = tmp_path / "file"
    path.write_bytes(raw)
    with path.open("r+b") as binary:
        drop_final_ctrl_z(binary)
        assert binary.tell() == 0
    assert path.read_bytes() == left


class Script:
    """A file that is used through the host's functions, as a script uses it."""

    def __init__(self, path: Path, mode: str) -> None:
        """Open it."""
        self.functions = Filesystem([str(path.parent.resolve())], 1 << 20, "5.4").functions()
        (self.number,) = self.functions["fs.open"](path.name, mode)

    def call(self, name: str, *arguments: Any) -> Any:
        """Return what a function answers for it."""
        return self.functions[f"fs.{name}"](self.number, *arguments)

    def read(self, *formats: Any) -> list[Any]:
        """Return what is read."""
        found: list[Any] = []
        for wanted in formats:
            found += self.call("read", wanted)
            if found[-1] is None:
                break
        return found

    def close(self) -> None:
        """Close it."""
        self.call("close")


@pytest.fixture
def translated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make any system translate."""
    monkeypatch.setattr(access, "_TRANSLATES", True)


def test_text_is_translated_on_windows_alone(tmp_path: Path) -> None:
    r"""Without "b" Windows translates; with it, and elsewhere, a file is its bytes."""
    path = tmp_path / "file"
    for mode in ("w", "wb"):
        file = Script(path, mode)
        file.call("write", [b"a\nb\x1ac"])
        file.close()
        text = sys.platform == "win32" and mode == "w"
        assert path.read_bytes() == (b"a\r\nb\x1ac" if text else b"a\nb\x1ac")
    path.write_bytes(b"a\r\nb\x1ac")
    for mode in ("r", "r+", "rb", "r+b"):
        file = Script(path, mode)
        assert file.read("a") == [b"a\nb" if sys.platform == "win32" and "b" not in mode else b"a\r\nb\x1ac"]
        file.close()


@pytest.mark.parametrize("raw", TEXTS)
@pytest.mark.usefixtures("translated")
def test_text_mode_reads_by_every_format(tmp_path: Path, raw: bytes) -> None:
    """All, by lines, with their ends and by counts: the same text."""
    path, text = tmp_path / "file", as_text(raw)
    path.write_bytes(raw)
    lines = text.split(b"\n")
    lines = lines[:-1] if lines[-1] == b"" else lines
    for formats, expected in (
        (["a"], [text]),
        (["l"] * (len(lines) + 1), [*lines, None]),
        ([3] * (len(text) // 3 + 2), [*(text[at : at + 3] for at in range(0, len(text), 3)), None]),
        ([0], [b"" if text else None]),
    ):
        file = Script(path, "r")
        assert file.read(*formats) == expected
        file.close()


@pytest.mark.usefixtures("translated")
def test_text_mode_reads_numbers(tmp_path: Path) -> None:
    """Line ends are white space before a number, and a Ctrl-Z is no part of one."""
    path = tmp_path / "file"
    path.write_bytes(b" \r\n 12\r\n\r\n0x10 .5\x1a7")
    file = Script(path, "r")
    assert file.read("n", "L", "n", "n", "n") == [12, b"\n", 16, 0.5, None]
    file.close()


@pytest.mark.usefixtures("translated")
def test_text_mode_tells_positions_of_the_file(tmp_path: Path) -> None:
    """Positions count the bytes of the file, so that one that was told leads back to the same place."""
    path = tmp_path / "file"
    path.write_bytes(b"one\r\ntwo\r\n\x1athree")
    file = Script(path, "r+")
    assert file.read("l") == [b"one"]
    assert file.call("seek", "cur", 0) == [5]
    assert file.read("a", "a", "l") == [b"two\n", b"", None]
    assert file.call("seek", "cur", 0) == [10]
    assert file.call("seek", "set", 5) == [5]
    assert file.read(4, 1) == [b"two\n", None]
    assert file.call("seek", "cur", 1) == [11]
    assert file.read("a") == [b"three"]
    file.call("seek", "set", 0)
    file.call("write", [b"\n"])
    file.close()
    assert path.read_bytes() == b"\r\ne\r\ntwo\r\n\x1athree"


@pytest.mark.usefixtures("translated")
def test_text_mode_appends_after_a_ctrl_z(tmp_path: Path) -> None:
    """What "a+" appends to a file that ended in Ctrl-Z is read; "a" leaves the Ctrl-Z where it is."""
    path = tmp_path / "file"
    for mode, expected in (("a+", b"one\r\ntwo\r\n"), ("a", b"one\r\n\x1atwo\r\n"), ("a+b", b"one\r\n\x1atwo\n")):
        path.write_bytes(b"one\r\n\x1a")
        file = Script(path, mode)
        file.call("write", [b"two\n"])
        file.close()
        assert path.read_bytes() == expected


@pytest.mark.usefixtures("translated")
def test_text_mode_loads_sources(tmp_path: Path) -> None:
    """Source text is read in text mode, as Lua does: by loadfile and by require."""
    (tmp_path / "code.lua").write_bytes(b"return [[a\r\nb]]\x1a no more")
    functions = Filesystem([str(tmp_path.resolve())], 1 << 20, "5.4").functions()
    assert functions["fs.source"]("code.lua") == [b"return [[a\nb]]"]
    assert functions["fs.module"]("code.lua") == [b"return [[a\nb]]"]


@pytest.mark.parametrize("mode", ["r", "rb", "r+", "a+"])
@pytest.mark.parametrize("raw", TEXTS)
def test_text_is_what_the_systems_own_library_reads(tmp_path: Path, raw: bytes, mode: str) -> None:
    """Whatever is read here is what stock Lua reads with the system's C library, by every format."""
    stock = importlib.import_module("lupa.lua54").LuaRuntime(encoding=None)
    read = stock.execute(
        b"""return function(path, mode, wanted, times)
            local f, found = io.open(path, mode), {}
            for i = 1, times do
                local value = f:read(wanted)
                if value == nil then break end
                found[i] = value
            end
            f:close() return table.unpack(found)
        end"""
    )
    path = tmp_path / "file"
    for wanted, times in (("a", 1), ("l", 20), ("L", 20), (3, 20), (1, 20)):
        path.write_bytes(raw)
        expected = read(os.fsencode(path), mode.encode(), wanted if isinstance(wanted, int) else wanted.encode(), times)
        after = path.read_bytes()
        path.write_bytes(raw)
        file = Script(path, mode)
        found = [value for value in file.read(*[wanted] * times) if value is not None]
        file.close()
        assert found == ([] if expected is None else list(expected) if isinstance(expected, tuple) else [expected])
        assert UNDER_WINE or path.read_bytes() == after  # wine 8 leaves a final Ctrl-Z in a file that is updated
