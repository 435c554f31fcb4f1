"""How a path is read on Windows, as text: which directory it lies below, and what its components are.

Nothing here asks the system, so it runs anywhere. The part of an absolute path that names a configured directory is
compared and dropped; no system call sees it. The components below it are opened one by one, so what one of them may be
is what counts, and it is decided here:
https://learn.microsoft.com/windows/win32/fileio/naming-a-file
"""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

from luagauge._filesystem.contract import NO_ALIASES, OUTSIDE, failed, names_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The longest name that NTFS, ReFS, FAT and exFAT know, in UTF-16 units. A UNICODE_STRING has 16 bits for its length.
LONGEST_NAME = 255
_DRIVE = re.compile(r"[A-Za-z]:")
# The first are wildcards to a file system, ':' introduces an alternate data stream.
_FORBIDDEN = re.compile(r'[\x00-\x1f<>"|?*:]')
# Win32 takes these for devices in any directory, with any suffix before Windows 11. To the kernel they are names like
# any other: most programs could not open or remove a file of such a name.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])", re.IGNORECASE)


def split(directories: Sequence[str], path: bytes, aliases: Mapping[str, str] = NO_ALIASES) -> tuple[str, list[str]]:
    """Return the directory that a path lies below, the first one for a relative path, and the components below it.

    Raises:
        OSError: It lies in none of them, or a component is no name of a file.
    """
    try:
        text = path.decode("utf-8", "surrogatepass")  # as os.fsdecode on Windows: a name may hold a lone surrogate
    except UnicodeDecodeError:
        raise failed(errno.EILSEQ) from None
    if not text:
        raise failed(errno.ENOENT)
    anchor, names = _parsed(text)
    if ".." in names:
        raise PermissionError(errno.EACCES, "'..' is not allowed in a path")
    is_directory = False
    for name, directory in names_of(directories, aliases) if anchor else [(directories[0], directories[0])]:
        top, above = _parsed(name) if anchor else ("", [])
        if _folded([anchor, *names[: len(above)]]) != _folded([top, *above]):
            continue
        below = names[len(above) :]
        if below:
            for component in below:
                _check(component)
            return directory, below
        is_directory = True
    raise failed(errno.EACCES) if is_directory else PermissionError(errno.EACCES, OUTSIDE)


def _parsed(text: str) -> tuple[str, list[str]]:
    """Return what an absolute path starts at, '' for a relative one, and its components."""
    text = text.replace("/", "\\")
    anchor = ""
    if _DRIVE.match(text):
        anchor, text = text[:2], text[2:]
        if not text.startswith("\\"):
            raise PermissionError(errno.EACCES, "the path is relative to the current directory of a drive")
    elif text.startswith("\\\\"):  # a server's, or a device's: these, too, are absolute paths with components
        anchor = "\\\\"
    elif text.startswith("\\"):
        raise PermissionError(errno.EACCES, "the path is relative to the current drive")
    return anchor, [name for name in text.split("\\") if name not in ("", ".")]


def _check(name: str) -> None:
    """Refuse what is no name of a file."""
    if _FORBIDDEN.search(name):
        raise OSError(errno.EINVAL, 'a name on Windows holds no control characters and none of < > : " | ? *')
    if name.endswith((".", " ")):  # Win32 drops them, so that such a name is another's
        raise OSError(errno.EINVAL, "a name on Windows does not end in a dot or a space")
    if _DEVICE.fullmatch(name.partition(".")[0].rstrip(" ")):
        raise PermissionError(errno.EACCES, "the name of a device")
    if len(name.encode("utf-16-le", "surrogatepass")) // 2 > LONGEST_NAME:
        raise failed(errno.ENAMETOOLONG)


def _folded(names: Sequence[str]) -> list[str]:
    """Return names as they are compared without case: character by character, as file systems do."""
    return [
        "".join(upper if len(upper := character.upper()) == 1 else character for character in name) for name in names
    ]
