"""File access for scripts on POSIX: every component is opened with openat and O_NOFOLLOW."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from luagauge._filesystem.contract import NO_ALIASES, OUTSIDE, Below, failed, names_of, refuse_special
from luagauge.errors import PlatformUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

if sys.platform == "win32" or not (
    os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY")
):
    raise PlatformUnavailableError(
        "allow_filesystem: this platform has no openat or no O_NOFOLLOW, without which files below a directory cannot "
        "be opened safely"
    )

_MODES = {
    "r": os.O_RDONLY,
    "r+": os.O_RDWR,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "w+": os.O_RDWR | os.O_CREAT | os.O_TRUNC,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "a+": os.O_RDWR | os.O_CREAT | os.O_APPEND,
}
_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DIRECTORY = _ROOT | os.O_NOFOLLOW
_OF_A_DIRECTORY = (b"", b".")  # what only the path of a directory ends in
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class PosixBelow(Below[bytes]):
    """A path below a directory that scripts may use, on POSIX."""

    def __init__(self, directories: Sequence[str], path: bytes, aliases: Mapping[str, str] = NO_ALIASES) -> None:
        """Find the directory; the first one for a relative path."""
        if b"\0" in path:
            raise OSError(errno.EINVAL, "the path holds a NUL")
        if not path:
            raise failed(errno.ENOENT)
        self.directory, self.names = _from_outermost(directories, *_split(directories, path, aliases))
        if b".." in path.split(b"/"):  # normpath has resolved it, but a link may have stood before it
            raise PermissionError(errno.EACCES, "'..' is not allowed in a path")
        self.ending = path.rstrip(b"/").rpartition(b"/")[2]
        if self.ending != b"." and path.endswith(b"/"):
            self.ending = b""

    def open(self, mode: str, *, new: bool = False) -> int:
        """Open a regular file."""
        if not self.names:
            raise failed(errno.EISDIR)
        with _parent(self) as parent:
            if not self.ending and mode[0] != "r":
                raise failed(errno.EISDIR)
            if self.ending in _OF_A_DIRECTORY:
                raise failed(errno.EISDIR if _is_directory(self, parent) else errno.ENOTDIR)
            fd = os.open(self.names[-1], _MODES[mode] | (os.O_EXCL if new else 0) | _FILE, 0o600, dir_fd=parent)
        return refuse_special(fd)

    def remove(self) -> None:
        """Remove a file or an empty directory."""
        if not self.names:
            raise failed(errno.EINVAL if self.ending == b"." else errno.EBUSY)
        with _parent(self) as parent:
            directory = _is_directory(self, parent)
            if self.ending in _OF_A_DIRECTORY and not directory:
                raise failed(errno.ENOTDIR)
            if self.ending == b".":
                raise failed(errno.EINVAL)
            (os.rmdir if directory else os.remove)(self.names[-1], dir_fd=parent)

    def rename(self, target: Below[bytes]) -> None:
        """Rename within the directories, over a file that is there."""
        if not self.names or not target.names or b"." in (self.ending, target.ending):
            raise failed(errno.EBUSY)
        with _parent(self) as source, _parent(target) as parent:
            if b"" in (self.ending, target.ending) and not _is_directory(self, source):
                raise failed(errno.ENOTDIR)
            os.rename(self.names[-1], target.names[-1], src_dir_fd=source, dst_dir_fd=parent)


@contextmanager
def _parent(path: Below[bytes]) -> Iterator[int]:
    """Open the directory that holds the last component; yield its descriptor."""
    fd = os.open(path.directory, _ROOT)
    try:
        for name in path.names[:-1]:
            below = os.open(name, _DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _is_directory(path: Below[bytes], parent: int) -> bool:
    """Tell whether a directory has this name, and not a link to one."""
    return stat.S_ISDIR(os.stat(path.names[-1], dir_fd=parent, follow_symlinks=False).st_mode)


def _split(directories: Sequence[str], path: bytes, aliases: Mapping[str, str]) -> tuple[bytes, list[bytes]]:
    """Return the directory that a path lies below, or is that of, and the components below it."""
    itself = None
    names = names_of(directories, aliases) if os.path.isabs(path) else [(directories[0], directories[0])]
    for name, directory in names:
        top = _normal(os.fsencode(name))
        full = _normal(os.path.join(top, path))
        above = top if top == b"/" else top + b"/"
        if full == top:
            itself = itself or directory
        elif full.startswith(above):
            return os.fsencode(directory), full[len(above) :].split(b"/")
    if itself is None:
        raise PermissionError(errno.EACCES, OUTSIDE)
    return os.fsencode(itself), []


def _from_outermost(directories: Sequence[str], directory: bytes, names: list[bytes]) -> tuple[bytes, list[bytes]]:
    """Return the same place as one below a directory that lies below no other.

    A script can rename what lies below a directory: a link, say, to where another of the directories was. No link is
    followed below the one returned.
    """
    for top in sorted(map(os.fsencode, directories), key=len):
        above = top if top == b"/" else top + b"/"
        if names and top != directory and directory.startswith(above):
            return top, directory[len(above) :].split(b"/") + names
    return directory, names


def _normal(path: bytes) -> bytes:
    """Return an absolute path without needless parts; normpath keeps two slashes in front, which Linux does not."""
    full = os.path.normpath(path)
    return full[1:] if full.startswith(b"//") else full
