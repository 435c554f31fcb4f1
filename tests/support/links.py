"""Links that lead out of a directory, for tests: symbolic ones, and junctions on Windows."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def link_directory(at: Path, target: Path) -> None:
    """Make a symbolic link to a directory; on Windows a junction, which needs no privilege."""
    if sys.platform == "win32":
        import _winapi

        try:
            _winapi.CreateJunction(str(target), str(at))
        except OSError as error:
            with suppress(OSError):
                at.rmdir()  # it was made before it should have become a junction
            pytest.skip(f"no junctions here, as in wine 8: {error}")
    else:
        at.symlink_to(target)


def unlink_directory(at: Path) -> None:
    """Remove such a link; a directory with something in it stays, with an OSError."""
    if sys.platform == "win32":
        at.rmdir()
    else:
        at.unlink()


def link_file(at: Path, target: Path) -> None:
    """Make a symbolic link to a file."""
    try:
        at.symlink_to(target)
    except OSError as error:
        if sys.platform != "win32":
            raise
        pytest.skip(f"no right to make symbolic links: {error}")
    if not os.path.lexists(at):
        pytest.skip("no symbolic links here, as in wine 8, which says that it made one")


def everything_below(directory: Path) -> dict[str, bytes | None]:
    """Return the paths of all that is in a directory, with what files hold; links are named and not followed."""
    found: dict[str, bytes | None] = {}
    for path in sorted(directory.iterdir()):
        status = path.lstat()
        link = stat.S_ISLNK(status.st_mode) or getattr(status, "st_file_attributes", 0) & 0x400  # a reparse point
        found[str(path)] = path.read_bytes() if stat.S_ISREG(status.st_mode) and not link else None
        if stat.S_ISDIR(status.st_mode) and not link:
            found |= everything_below(path)
    return found
