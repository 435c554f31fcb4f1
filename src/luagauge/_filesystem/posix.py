"""File access for scripts on POSIX: every component is opened with openat and O_NOFOLLOW."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from luagauge._filesystem.contract import OUTSIDE, Below, refuse_special
from luagauge.errors import PlatformUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class PosixBelow(Below[bytes]):
    """A path below a directory that scripts may use, on POSIX."""

    def __init__(self, directories: Sequence[str], path: bytes) -> None:
        """Find the directory; the first one for a relative path."""
        if b"\0" in path:
            raise OSError(errno.EINVAL, "the path holds a NUL")
        for given in directories if os.path.isabs(path) else directories[:1]:
            directory = _normal(os.fsencode(given))
            full = _normal(os.path.join(directory, path))
            above = directory if directory == b"/" else directory + b"/"
            if full.startswith(above) and full != above:
                break
        else:
            raise PermissionError(errno.EACCES, OUTSIDE)
        if b".." in path.split(b"/"):  # normpath has resolved it, but a link may have stood before it
            raise PermissionError(errno.EACCES, "'..' is not allowed in a path")
        self.directory, self.names = directory, full[len(above) :].split(b"/")

    def open(self, mode: str, *, new: bool = False) -> int:
        """Open a regular file."""
        with _parent(self) as parent:
            fd = os.open(self.names[-1], _MODES[mode] | (os.O_EXCL if new else 0) | _FILE, 0o600, dir_fd=parent)
        return refuse_special(fd)

    def remove(self) -> None:
        """Remove a file or an empty directory."""
        with _parent(self) as parent:
            name = self.names[-1]
            directory = stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
            (os.rmdir if directory else os.remove)(name, dir_fd=parent)

    def rename(self, target: Below[bytes]) -> None:
        """Rename within the directories, over a file that is there."""
        with _parent(self) as source, _parent(target) as parent:
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


def _normal(path: bytes) -> bytes:
    """Return an absolute path without needless parts; normpath keeps two slashes in front, which Linux does not."""
    full = os.path.normpath(path)
    return full[1:] if full.startswith(b"//") else full
