"""File access for scripts, below configured directories: the host's side of csrc/stdlib/files.h.

How a file below a directory is reached is a matter of the system: `contract.py` says what holds everywhere.
What a run leaves open is closed when it is over.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import sys
import threading
from contextlib import suppress
from io import UnsupportedOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from luagauge._filesystem.contract import NO_ALIASES, failed
from luagauge._filesystem.text import TextFile, drop_final_ctrl_z

if sys.platform == "win32":
    from luagauge._filesystem.windows import WindowsBelow as SystemBelow
else:
    from luagauge._filesystem.posix import PosixBelow as SystemBelow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from io import BufferedReader

    from luagauge._filesystem.contract import Below

MAX_OPEN_FILES = 64
_MAX_NUMERAL = 200  # what 5.3 and later read of one
_BLOCK = 1 << 16
# What is read as part of a numeral, whether or not it turns out to be one, and what of it is one. Before 5.3 C's scanf
# reads it, which takes "1e" for 1.
_LIKE_A_NUMERAL = (
    rb"[+-]?(?:0[xX](?:(?:[\da-fA-F]+\.?[\da-fA-F]*|\.[\da-fA-F]+)(?:[pP][+-]?\d*)?|\.?)"
    rb"|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d*)?|%s\.?)"
)
_NUMERAL_LIKE = re.compile(_LIKE_A_NUMERAL % b"")
_SCANNED = re.compile(_LIKE_A_NUMERAL % rb"(?i:nan|inf(?:inity)?)|")
_HEXADECIMAL = re.compile(rb"[+-]?0[xX](?:[\da-fA-F]+\.?[\da-fA-F]*|\.[\da-fA-F]+)(?:[pP][+-]?\d+)?")
_DECIMAL = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?i:nan|inf(?:inity)?))")
_INTEGERS_SINCE = "5.3"
_TRANSLATES = sys.platform == "win32"  # whether text mode differs from binary mode, as in this system's C library
_MODES = {"r": "rb", "r+": "r+b", "w": "wb", "w+": "w+b", "a": "ab", "a+": "a+b"}


class _OpenFile(NamedTuple):
    """A file that a script has open."""

    binary: BufferedReader  # or a writer, or both: of whatever mode it is
    text: BufferedReader | TextFile  # what reads and writes it as the script asked
    thread: int  # the thread whose run opened it


class Filesystem:
    """The functions that the library (csrc/stdlib/files.h) calls, for one engine.

    Args:
        directories: Absolute paths; scripts see nothing else. A relative path is looked up in the first.
        max_bytes: What one read may return, in bytes.
        lua: The Lua version; each reads numbers in its own way.
        aliases: The directories by the other absolute paths that the host has for them.
    """

    def __init__(
        self, directories: Sequence[str], max_bytes: int, lua: str, aliases: Mapping[str, str] = NO_ALIASES
    ) -> None:
        """Take the directories."""
        self._directories = tuple(directories)
        self._aliases = aliases
        self._max_bytes = max_bytes
        self._has_integers = _INTEGERS_SINCE <= lua[:3] < "6"  # no LuaJIT
        self._files: dict[int, _OpenFile] = {}

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return the internal functions by name."""
        calls: dict[str, Callable[..., Any]] = {
            "open": self._open,
            "close": self._close,
            "keep": self._keep,
            "read": self._read,
            "write": self._write,
            "seek": self._seek,
            "source": self._source,
            "module": self._module,
            "readable": self._readable,
            "remove": self._remove,
            "rename": self._rename,
            "tmpname": self._tmpname,
        }
        return {f"fs.{name}": _answering(call, named=name != "rename") for name, call in calls.items()}

    def close_all(self) -> None:
        """Close what runs of this thread left open."""
        self._keep(())

    def _find(self, path: str | bytes) -> Below[Any]:
        """Find what a script calls by this path."""
        return SystemBelow(self._directories, _raw(path), self._aliases)

    def _opened(self, path: str | bytes, mode: str, *, text: bool) -> _OpenFile:
        """Open a file."""
        binary: Any = os.fdopen(self._find(path).open(mode), _MODES[mode])
        translated = TextFile(binary) if text and _TRANSLATES else binary
        try:
            if translated is not binary and "+" in mode:
                drop_final_ctrl_z(binary)
            if mode == "a+":  # Python starts at the end, C's library at the beginning
                binary.seek(0)
        except BaseException:
            binary.close()
            raise
        return _OpenFile(binary, translated, threading.get_ident())

    # --- what Lua calls: each answers [value, ...]; an OSError becomes {false, message, errno} ---

    def _open(self, path: str | bytes, mode: str | bytes) -> list[Any]:
        """Open a file and return its number."""
        text = isinstance(mode, str) and "b" not in mode
        plain = mode.replace("b", "") if isinstance(mode, str) else ""
        if plain not in _MODES:
            raise OSError(errno.EINVAL, "invalid mode")
        if len(self._files) >= MAX_OPEN_FILES:
            raise OSError(errno.EMFILE, f"more than {MAX_OPEN_FILES} open files")
        number = next(number for number in range(1, MAX_OPEN_FILES + 1) if number not in self._files)
        self._files[number] = self._opened(path, plain, text=text)
        return [number]

    def _close(self, number: int) -> list[Any]:
        """Close a file."""
        self._files.pop(number).binary.close()
        return [True]

    def _keep(self, numbers: Collection[int]) -> list[Any]:
        """Close what this thread's run has open, but for the files of these numbers."""
        me = threading.get_ident()
        for number in [number for number, file in list(self._files.items()) if file.thread == me]:
            if number not in numbers:
                with suppress(OSError):  # a full disk, say: nobody is left to be told
                    self._files.pop(number).binary.close()
        return [True]

    def _read(self, number: int, wanted: float | str) -> list[Any]:
        """Read by one of Lua's formats; nil at the end."""
        return [self._read_one(self._files[number], wanted)]

    def _read_one(self, file: _OpenFile, wanted: float | str) -> bytes | float | None:
        """Read by one format; None at the end of the file."""
        if isinstance(wanted, (int, float)):
            # Only 5.1 asks for more than there is memory, or for no number of bytes at all: it means all there are.
            data = file.text.read(int(wanted) if 0 <= wanted < self._max_bytes else self._max_bytes)
            return data if data or (wanted == 0 and file.text.peek(1)) else None
        kind = wanted.lstrip("*")[:1] if isinstance(wanted, str) else ""
        if kind == "a":
            data = file.text.read(self._max_bytes + 1)
            if len(data) > self._max_bytes:
                raise OSError(errno.EFBIG, f"more than {self._max_bytes} bytes")
            return data
        if kind in ("l", "L"):
            line = file.text.readline(self._max_bytes)
            return None if not line else line if kind == "L" else line.removesuffix(b"\n")
        return self._read_number(file.binary)  # csrc/stdlib/stream.h lets nothing else pass

    def _read_number(self, file: BufferedReader) -> float | None:
        """Read a numeral after white space; None where there is none.

        Line ends are white space in either mode, and no numeral goes on after a Ctrl-Z: bytes will do.
        """
        text = b""
        while not text:
            block = file.read(_BLOCK)
            if not block:
                return None
            text = block.lstrip()
        start = file.tell() - len(text)
        file.seek(start)
        text = file.read(_MAX_NUMERAL + 1 if self._has_integers else _BLOCK)
        found = (_NUMERAL_LIKE if self._has_integers else _SCANNED).match(text)
        numeral = found.group() if found else b""
        if self._has_integers and len(numeral) > _MAX_NUMERAL:
            file.seek(start + _MAX_NUMERAL)
            return None
        file.seek(start + len(numeral))
        return _number(numeral) if self._has_integers else _scanned(numeral)

    def _write(self, number: int, values: list[str | bytes]) -> list[Any]:
        """Write strings."""
        file = self._files[number]
        writer: Any = file.text
        for value in values:
            writer.write(_raw(value))
        file.binary.flush()
        return [True]

    def _seek(self, number: int, whence: str, offset: float) -> list[Any]:
        """Move to a position and return it."""
        places = {"set": os.SEEK_SET, "cur": os.SEEK_CUR, "end": os.SEEK_END}
        try:
            return [self._files[number].binary.seek(int(offset), places[whence])]
        except (ValueError, OverflowError):  # before the start, beyond what a position can be, or not a number
            raise failed(errno.EINVAL) from None

    def _source(self, path: str | bytes) -> list[Any]:
        """Return the text of a Lua file."""
        file = self._opened(path, "r", text=True)
        with file.binary:
            return [self._read_one(file, "a")]

    def _readable(self, path: str | bytes) -> list[Any]:
        """Say that there is such a file in one of the directories, which can be read."""
        self._of_module(path).binary.close()
        return [True]

    def _module(self, path: str | bytes) -> list[Any]:
        """Return the text of the Lua file that `_readable` found."""
        file = self._of_module(path)
        with file.binary:
            return [self._read_one(file, "a")]

    def _of_module(self, path: str | bytes) -> _OpenFile:
        """Open a file of a module: a relative path is looked up in each directory, and the first file counts."""
        for directory in self._directories:
            with suppress(OSError):  # what cannot be opened here may be found in the next one
                return self._opened(os.path.join(os.fsencode(directory), _raw(path)), "r", text=True)
        raise failed(errno.ENOENT)

    def _remove(self, path: str | bytes) -> list[Any]:
        """Remove a file or an empty directory."""
        self._find(path).remove()
        return [True]

    def _rename(self, source: str | bytes, target: str | bytes) -> list[Any]:
        """Rename within the configured directories."""
        self._find(source).rename(self._find(target))
        return [True]

    def _tmpname(self) -> list[Any]:
        """Create an empty file in the first directory and return its path."""
        path = os.path.join(os.fsencode(self._directories[0]), b"lua_" + secrets.token_hex(8).encode())
        os.close(self._find(path).open("w", new=True))
        return [path]


def _raw(text: str | bytes) -> bytes:
    """Return a string of Lua's as its bytes: one that is UTF-8 comes as str."""
    return text.encode() if isinstance(text, str) else text


def _number(numeral: bytes) -> float | None:
    """Return the number that 5.3 and later see in all of a text, None where they see none."""
    if _HEXADECIMAL.fullmatch(numeral):
        if set(numeral) & set(b".pP"):
            return _from_hexadecimal(numeral)
        wrapped = int(numeral, 16) & (1 << 64) - 1
        return wrapped - (1 << 64) if wrapped >> 63 else wrapped
    if not _DECIMAL.fullmatch(numeral):
        return None
    if set(numeral) & set(b".eE"):
        return float(numeral)
    whole = int(numeral)
    return whole if -(1 << 63) <= whole < 1 << 63 else float(numeral)


def _scanned(text: bytes) -> float | None:
    """Return the number that C's scanf sees in the beginning of a text, None where it sees none."""
    found = _HEXADECIMAL.match(text)
    if found:
        return _from_hexadecimal(found.group())
    found = None if text[:3].lower().lstrip(b"+-").startswith(b"0x") else _DECIMAL.match(text)
    return float(found.group()) if found else None


def _from_hexadecimal(numeral: bytes) -> float:
    """Return the number a hexadecimal numeral stands for; an infinite one where it is too large."""
    try:
        return float.fromhex(numeral.decode())
    except OverflowError:
        return float("-inf" if numeral.startswith(b"-") else "inf")


def _answering(call: Callable[..., Any], *, named: bool) -> Callable[..., Any]:
    """Return `call` with its OSErrors as Lua's three values, the path in front where it is named and there is one."""

    def answer(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        except OSError as error:
            if isinstance(error, UnsupportedOperation):  # written to though opened to read, or the other way round
                return [False, os.strerror(errno.EBADF), errno.EBADF]
            where = _raw(arguments[0]) + b": " if named and isinstance(arguments[0], (str, bytes)) else b""
            return [False, where + str(error.strerror).encode("utf-8", "surrogateescape"), error.errno or 0]

    return answer
