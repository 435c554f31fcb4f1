"""What file access for scripts needs of an operating system: a contract, kept by one file for each system."""

from __future__ import annotations

import errno
import os
import stat
from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, AnyStr, Generic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

OUTSIDE = "outside the directories that scripts may use"
NO_ALIASES: Mapping[str, str] = MappingProxyType({})


class Below(ABC, Generic[AnyStr]):
    """A path as a script wrote it, found to lie below a directory that scripts may use.

    The path is looked at as text when this is made, and walked anew by each operation: from the directory, one
    component at a time, each opened relative to the one before, none by its whole path. What holds on every system:

    - No symbolic link, junction or other thing that stands for something elsewhere is followed, and ".." is refused.
    - Nobody leads an operation astray by exchanging a component while it runs: what was looked at is what is used.
    - Only regular files are opened. No child process inherits one.
    - What fails is an OSError whose `errno` is the one that C's library gives a Lua of that system.

    The directory itself is trusted: it is opened by its path.

    Attributes:
        directory: The directory, an absolute path.
        names: The components below it. There are none where the path is that of the directory itself, which is no
            file, and which no operation changes.
        ending: What follows its last separator: `""` in the path of a directory, whatever is there.
    """

    directory: AnyStr
    names: Sequence[AnyStr]
    ending: AnyStr

    @abstractmethod
    def __init__(self, directories: Sequence[str], path: bytes, aliases: Mapping[str, str] = NO_ALIASES) -> None:
        """Find the directory that a path lies below; a relative one is looked up in the first.

        Args:
            directories: Absolute paths without links.
            path: What the script calls it.
            aliases: The directories by the other absolute paths that the host has for them. Such a path is compared
                as text and replaced by the directory's; no system call sees it.

        Raises:
            OSError: It lies in none of them, or no file can have that name.
        """

    @abstractmethod
    def open(self, mode: str, *, new: bool = False) -> int:
        """Open a regular file and return its descriptor, which reads and writes bytes as they are.

        Args:
            mode: `r`, `w` or `a`, alone or followed by `+`, as in C's fopen.
            new: Fail where there is such a file. For modes that create one.
        """

    @abstractmethod
    def remove(self) -> None:
        """Remove a file, a link or an empty directory: the thing itself, whatever it stands for."""

    @abstractmethod
    def rename(self, target: Below[AnyStr]) -> None:
        """Give a file, a link or a directory the name `target`.

        Where there is such a file it is replaced on POSIX, and the call fails on Windows, as C's rename does.
        """


def names_of(directories: Sequence[str], aliases: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield every name of a directory with the directory, in the order in which an absolute path is compared with them.

    An alias goes through a link, or is another spelling. So a directory above it would not lead there.
    """
    yield from sorted(aliases.items(), key=lambda pair: -len(pair[0]))
    yield from ((directory, directory) for directory in directories)


def refuse_special(fd: int) -> int:
    """Return the descriptor of a regular file; close any other, and complain."""
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    if stat.S_ISDIR(mode):
        raise failed(errno.EISDIR)
    raise OSError(errno.EINVAL, "not a regular file")


def failed(number: int) -> OSError:
    """Return the error of that number, with the text that C's library has for it."""
    return OSError(number, os.strerror(number))
