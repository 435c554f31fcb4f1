r"""Text mode as the C runtime of Windows has it: "\r\n" in the file is "\n" to the reader, and Ctrl-Z ends reading.

https://learn.microsoft.com/cpp/c-runtime-library/translation-mode-constants
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedRandom, BufferedReader

CTRL_Z = b"\x1a"


class TextFile:
    """Reads and writes a binary file in text mode.

    It keeps nothing of its own: the binary file stands always where this does. A Ctrl-Z is met anew by every reading,
    until somebody seeks beyond it; so it is with the C runtime. Positions are the file's, as in the C runtime.
    """

    def __init__(self, binary: BufferedReader) -> None:
        """Take a binary file of any mode."""
        self._binary = binary

    def read(self, size: int) -> bytes:
        """Return as many characters, or those there are before the end."""
        found, ended = bytearray(), False
        while len(found) < size and not ended:
            text, ended = self._translated(self._binary.read(size - len(found)))
            found += text
        return bytes(found)

    def readline(self, limit: int) -> bytes:
        """Return a line with its end, or what there is of it before the end of the file or beyond so many bytes."""
        return self._translated(self._binary.readline(limit))[0]

    def peek(self, size: int) -> bytes:
        """Return nothing at the end; else something."""
        return self._binary.peek(size).partition(CTRL_Z)[0]

    def write(self, data: bytes) -> int:
        r"""Write, with "\r\n" for every "\n", also where a "\r" stands before it."""
        return self._binary.write(data.replace(b"\n", b"\r\n"))

    def _translated(self, raw: bytes) -> tuple[bytes, bool]:
        """Return what was just read as text, and whether the end is reached; put back what is not of it."""
        text, end, _ = raw.partition(CTRL_Z)
        if end:
            self._binary.seek(len(text) - len(raw), os.SEEK_CUR)
        elif text.endswith(b"\r") and self._binary.peek(1)[:1] == b"\n":
            text += self._binary.read(1)
        return text.replace(b"\r\n", b"\n"), bool(end) or not raw


def drop_final_ctrl_z(binary: BufferedRandom) -> None:
    """Take a Ctrl-Z off the end of a file that is opened for update, as the C runtime does, so that more can follow."""
    size = binary.seek(0, os.SEEK_END)
    if size > 0:
        binary.seek(size - 1)
        if binary.read(1) == CTRL_Z:
            binary.truncate(size - 1)
    binary.seek(0)
