"""File access for scripts, below configured directories: the host's side of `_lua/filesystem.lua`.

Every path is walked from a configured directory one component at a time with O_NOFOLLOW, so no symbolic link and no
".." leads out, and nobody can swap a component in between. Only regular files are opened. What a run leaves open is
closed
when it is over.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import threading
from contextlib import contextmanager, suppress
from importlib.resources import files
from io import UnsupportedOperation
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
_MODULE_NAME = re.compile(rb"(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*\.)*[A-Za-z_\x80-\xff][\w\x80-\xff]*")
_INTEGERS_SINCE = "5.3"
_MODES = {
    "r": os.O_RDONLY,
    "r+": os.O_RDWR,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "w+": os.O_RDWR | os.O_CREAT | os.O_TRUNC,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "a+": os.O_RDWR | os.O_CREAT | os.O_APPEND,
}
_MOST_AT_ONCE = 1 << 20  # bytes that one write carries
_PYTHON_MODES = {"r": "rb", "r+": "r+b", "w": "wb", "w+": "w+b", "a": "ab", "a+": "a+b"}
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FILE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


def prelude(lua: str, max_output_size: int) -> bytes:
    """Return the Lua text that makes `io` and the rest out of the functions below.

    Args:
        lua: The Lua version.
        max_output_size: What the arguments of one call from Lua may take.
    """
    piece = max(1, min(max_output_size, _MOST_AT_ONCE) - 64)
    # On the first line, so that the file's own line numbers stay.
    return (
        b"local PIECE, LUA = %d, '%s' " % (piece, lua.encode())
        + files("luagauge").joinpath("_lua/filesystem.lua").read_bytes()
    )


def supported() -> bool:
    """Return whether this platform can walk paths safely (openat and O_NOFOLLOW: every POSIX one can)."""
    return os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")


class Filesystem:
    """The functions that `_lua/filesystem.lua` calls, for one engine.

    Args:
        directories: Absolute paths; scripts see nothing else. A relative path is looked up in the first.
        max_bytes: What one read may return, in bytes.
        lua: The Lua version; each reads numbers in its own way.
    """

    def __init__(self, directories: Sequence[str], max_bytes: int, lua: str) -> None:
        """Take the directories."""
        self._directories = tuple(_normal(os.fsencode(directory)) for directory in directories)
        self._max_bytes = max_bytes
        self._has_integers = _INTEGERS_SINCE <= lua[:3] < "6"  # no LuaJIT
        self._files: dict[int, tuple[IO[bytes], int]] = {}  # number -> file, the thread whose run opened it
        self._next = 1

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return the internal functions by name."""
        calls: dict[str, Callable[..., Any]] = {
            "open": self._open,
            "close": self._close,
            "read": self._read,
            "write": self._write,
            "seek": self._seek,
            "source": self._source,
            "module": self._module,
            "remove": self._remove,
            "rename": self._rename,
            "tmpname": self._tmpname,
        }
        return {f"fs.{name}": _answering(call) for name, call in calls.items()}

    def close_all(self) -> None:
        """Close what runs of this thread left open."""
        me = threading.get_ident()
        for number in [number for number, (_, owner) in list(self._files.items()) if owner == me]:
            with suppress(OSError):  # a full disk, say: nobody is left to be told
                self._files.pop(number)[0].close()

    # --- paths ---

    def _parts(self, path: bytes) -> tuple[bytes, list[bytes]]:
        """Return the configured directory a path lies in, and the components below it."""
        if b"\0" in path:
            raise OSError(errno.EINVAL, "the path holds a NUL")
        for directory in self._directories if os.path.isabs(path) else self._directories[:1]:
            full = _normal(os.path.join(directory, path))
            above = directory if directory == b"/" else directory + b"/"
            if full.startswith(above) and full != above:
                return directory, full[len(above) :].split(b"/")
        raise PermissionError(errno.EACCES, "outside the directories that scripts may use")

    @contextmanager
    def _parent(self, path: str | bytes) -> Iterator[tuple[int, bytes]]:
        """Open the directory that holds `path`; yield its descriptor and the last component."""
        raw = _raw(path)
        directory, parts = self._parts(raw)
        if b".." in raw.split(b"/"):  # normpath has resolved it, but a link may have stood before it
            raise PermissionError(errno.EACCES, "'..' is not allowed in a path")
        fd = os.open(directory, _DIRECTORY & ~getattr(os, "O_NOFOLLOW", 0))
        try:
            for part in parts[:-1]:
                below = os.open(part, _DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd, parts[-1]
        finally:
            os.close(fd)

    def _open_regular(self, path: str | bytes, flags: int) -> int:
        """Open a regular file and return its descriptor."""
        with self._parent(path) as (parent, name):
            fd = os.open(name, flags | _FILE, 0o600, dir_fd=parent)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file")
        return fd

    # --- what Lua calls: each answers [value, ...]; an OSError becomes {false, message, errno} ---

    def _open(self, path: str | bytes, mode: str | bytes) -> list[Any]:
        """Open a file and return its number."""
        plain = mode.replace("b", "") if isinstance(mode, str) else ""
        if plain not in _MODES:
            raise OSError(errno.EINVAL, "invalid mode")
        if len(self._files) >= MAX_OPEN_FILES:
            raise OSError(errno.EMFILE, f"more than {MAX_OPEN_FILES} open files")
        number, self._next = self._next, self._next + 1
        file = os.fdopen(self._open_regular(path, _MODES[plain]), _PYTHON_MODES[plain])
        self._files[number] = (file, threading.get_ident())
        return [number]

    def _close(self, number: int) -> list[Any]:
        """Close a file."""
        self._files.pop(number)[0].close()
        return [True]

    def _read(self, number: int, *formats: int | str) -> dict[Any, Any]:
        """Read by Lua's formats; nil for the first that finds nothing ends the list."""
        file = self._files[number][0]
        values: dict[Any, Any] = {"n": 0}
        left = self._max_bytes  # for all formats together: a sparse file gives any number of bytes for nothing
        for place, wanted in enumerate(formats or ("l",), 1):
            values["n"] = place
            value = self._read_one(file, wanted)
            if value is None:
                break
            left -= len(value) if isinstance(value, bytes) else 0
            if left < 0:
                raise OSError(errno.EFBIG, f"more than {self._max_bytes} bytes")
            values[place] = value
        return values

    def _read_one(self, file: IO[bytes], wanted: float | str) -> bytes | float | None:
        """Read by one format; None at the end of the file."""
        if isinstance(wanted, (int, float)):
            # Only 5.1 asks for more than there is memory, or for no number of bytes at all: it means all there are.
            data = file.read(int(wanted) if 0 <= wanted < self._max_bytes else self._max_bytes)
            # Only buffered files come here; IO[bytes] knows no peek.
            return data if data or (wanted == 0 and file.peek(1)) else None  # type: ignore[attr-defined]
        kind = wanted.lstrip("*")[:1] if isinstance(wanted, str) else ""
        if kind == "a":
            data = file.read(self._max_bytes + 1)
            if len(data) > self._max_bytes:
                raise OSError(errno.EFBIG, f"more than {self._max_bytes} bytes")
            return data
        if kind in ("l", "L"):
            line = file.readline(self._max_bytes)
            return None if not line else line if kind == "L" else line.removesuffix(b"\n")
        return self._read_number(file)  # _lua/filesystem.lua lets nothing else pass

    def _read_number(self, file: IO[bytes]) -> float | None:
        """Read a numeral after white space; None where there is none."""
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
        file = self._files[number][0]
        for value in values:
            file.write(value.encode() if isinstance(value, str) else value)
        file.flush()
        return [True]

    def _seek(self, number: int, whence: str, offset: float) -> list[Any]:
        """Move to a position and return it."""
        places = {"set": os.SEEK_SET, "cur": os.SEEK_CUR, "end": os.SEEK_END}
        try:
            return [self._files[number][0].seek(int(offset), places[whence])]
        except (ValueError, OverflowError):  # before the start, beyond what a position can be, or not a number
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None

    def _source(self, path: str | bytes) -> list[Any]:
        """Return the text of a Lua file."""
        with os.fdopen(self._open_regular(path, os.O_RDONLY), "rb") as file:
            data = self._read_one(file, "a")
        return [data]

    def _module(self, name: str | bytes) -> list[Any]:
        """Return the text and path of the module `name`: name.lua or name/init.lua, dots being directories."""
        raw = _raw(name)
        if not _MODULE_NAME.fullmatch(raw):
            raise OSError(errno.EINVAL, "no name of a module")
        stem = raw.replace(b".", b"/")
        for path in (stem + b".lua", stem + b"/init.lua"):
            for directory in self._directories:
                with suppress(FileNotFoundError, NotADirectoryError):
                    return [*self._source(os.path.join(directory, path)), path]
        raise FileNotFoundError(errno.ENOENT, "module not found")

    def _remove(self, path: str | bytes) -> list[Any]:
        """Remove a file or an empty directory."""
        with self._parent(path) as (parent, name):
            directory = stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
            (os.rmdir if directory else os.remove)(name, dir_fd=parent)
        return [True]

    def _rename(self, source: str | bytes, target: str | bytes) -> list[Any]:
        """Rename within the configured directories."""
        with self._parent(source) as (from_fd, old), self._parent(target) as (to_fd, new):
            os.rename(old, new, src_dir_fd=from_fd, dst_dir_fd=to_fd)
        return [True]

    def _tmpname(self) -> list[Any]:
        """Create an empty file in the first directory and return its path."""
        path = os.path.join(self._directories[0], b"lua_" + secrets.token_hex(8).encode())
        os.close(self._open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        return [path]


def _raw(text: str | bytes) -> bytes:
    """Return a string of Lua's as its bytes: one that is UTF-8 comes as str."""
    return text.encode() if isinstance(text, str) else text


def _normal(path: bytes) -> bytes:
    """Return an absolute path without needless parts; normpath keeps two slashes in front, which Linux does not."""
    full = os.path.normpath(path)
    return full[1:] if full.startswith(b"//") else full


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


def _answering(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return `call` with its OSErrors as Lua's three values, the path in front where there is one."""

    def answer(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        except OSError as error:
            if isinstance(error, UnsupportedOperation):  # written to though opened to read, or the other way round
                return [False, os.strerror(errno.EBADF), errno.EBADF]
            where = _raw(arguments[0]) + b": " if isinstance(arguments[0], (str, bytes)) else b""
            return [False, where + str(error.strerror).encode("utf-8", "surrogateescape"), error.errno or 0]

    return answer
