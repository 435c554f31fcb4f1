"""No path, link or swap of a directory leads out of the directories that are open to scripts."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filesystem_host import ON_WINDOWS, Host, failure, listed, posix_only
from links import everything_below, link_directory, link_file, unlink_directory

RACE_SECONDS = 3  # a walk that looks before it opens, and follows links then, is led astray some 30 times in it


SWAP = Path(__file__).parents[2] / "support" / "swap_directory.py"


ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


NEVER = [
    *("../secret.txt", "sub/../../secret.txt", "sub/../data.txt", "..", "sub/..", "", ".", "/", "/etc/passwd", "a\0b"),
    *("data.txt\0", "/secret.txt", "//secret.txt", "x/../../secret.txt"),
]


NEVER_ON_WINDOWS = [
    *("..\\secret.txt", "sub\\..\\..\\secret.txt", "sub/..\\../secret.txt", "...", "\\secret.txt", "C:secret.txt"),
    *("C:", "C:\\", "C:\\Windows\\win.ini", "c:/windows/win.ini", "\\\\localhost\\C$\\x", "//localhost/C$/x"),
    *("\\\\?\\C:\\x", "\\\\.\\C:\\x", "\\\\.\\NUL", "\\\\?\\UNC\\localhost\\C$\\x", "\\??\\C:\\x", "\\Device\\Null"),
    *(
        "NUL",
        "nul.txt",
        "CON",
        "con .txt",
        "aux.a.b",
        "PRN",
        "COM1",
        "com9.log",
        "LPT1",
        "lpt\u00b2",
        "CONIN$",
        "conout$",
    ),
    *("sub/NUL", "sub\\aux.txt", "NUL/x", "NUL:", "a.txt:stream", "data.txt:stream", "data.txt::$DATA", "sub:x", ":x"),
    *("sub::$INDEX_ALLOCATION/file", "data.txt.", "data.txt ", "data.txt. .", "sub./file", "sub /file", " ", "x."),
    *("data.t?t", "data.*", "data.t<", "data>txt", 'data"txt', "a|b", "a\nb", "a\x1fb"),
]


REFUSED = [pytest.param(path, id=ascii(path)) for path in NEVER + NEVER_ON_WINDOWS * ON_WINDOWS]


@pytest.mark.parametrize("path", REFUSED)
def test_filesystem_refuses_what_is_no_path_below(host: Host, inside: Path, path: str) -> None:
    """Nothing is opened, made, changed or removed by a path that leads out or that names no file."""
    before = everything_below(inside.parent)
    for mode in ("r", "r+", "w", "w+", "a", "a+"):
        assert host("open", path, mode)[0] is False
    refused = [
        host("remove", path),
        host("rename", path, "new"),
        host("rename", "data.txt", path),
        host("source", path),
    ]
    assert [
        (answer[0], answer[2] in {errno.EACCES, errno.EINVAL, errno.ENOENT, errno.EBUSY, errno.EISDIR})
        for answer in refused
    ] == [(False, True)] * 4
    assert everything_below(inside.parent) == before


@pytest.mark.parametrize("length", [256, 300, 32768, 32770, 65536 + 8])
def test_filesystem_refuses_names_that_are_too_long(host: Host, inside: Path, length: int) -> None:
    """A name that no file system holds is refused as a whole: a 16-bit count of its bytes would cut it short."""
    for start in ("", "../", ".."):
        name = start + "data.txt".ljust(length, "x")
        assert host("open", name, "w")[0] is False
        assert host("rename", "data.txt", name)[0] is False
    assert listed(inside) == ["data.txt", "sub"]


def test_filesystem_opens_no_directory(host: Host) -> None:
    """A directory is no file, in no mode; Windows says so as its C library does."""
    for mode in ("r", "r+", "w", "a"):
        answer = host("open", "sub", mode)
        assert answer[0] is False
        assert answer[2] == errno.EACCES if ON_WINDOWS else answer[2] in {errno.EISDIR, errno.EINVAL}


@pytest.mark.parametrize("path", ["data.txt/x", "missing/x", "sub/file/x/y"])
def test_filesystem_walks_through_directories_only(host: Host, path: str) -> None:
    """A file or nothing on the way is no directory: POSIX tells them apart, C's library on Windows does not."""
    expected = errno.ENOENT if ON_WINDOWS or path == "missing/x" else errno.ENOTDIR
    assert host("open", path, "w") == failure(path, expected)


def test_filesystem_follows_no_link_to_a_directory(host: Host, inside: Path) -> None:
    """A symbolic link or junction is no directory to walk through, wherever it leads."""
    link_directory(inside / "link", inside.parent / "outside")
    link_directory(inside / "sub" / "home", inside)
    before = everything_below(inside.parent)
    for path in ("link/file", "link/new", "sub/home/data.txt", "sub/home/link/file", "link", "sub/home"):
        for mode in ("r", "w", "a+"):
            assert host("open", path, mode)[0] is False
    for path in ("link/file", "sub/home/data.txt"):
        assert host("remove", path)[0] is False
        assert host("rename", path, "new")[0] is False
        assert host("rename", "data.txt", path + "2")[0] is False
    assert everything_below(inside.parent) == before


def test_filesystem_follows_no_link_to_a_file(host: Host, inside: Path) -> None:
    """A symbolic link to a file is not opened, and what it leads to is not emptied."""
    link_file(inside / "link", inside.parent / "secret.txt")
    link_file(inside / "dangling", inside.parent / "new.txt")
    before = everything_below(inside.parent)
    for path in ("link", "dangling"):
        for mode in ("r", "r+", "w", "w+", "a", "a+"):
            assert host("open", path, mode)[0] is False
    assert everything_below(inside.parent) == before


def test_filesystem_removes_and_renames_links_themselves(host: Host, inside: Path) -> None:
    """A link can be renamed and removed: itself, never what it leads to."""
    link_directory(inside / "link", inside.parent / "outside")
    assert host("rename", "link", "sub/renamed") == [True]
    assert host("remove", "sub/renamed") == [True]
    assert listed(inside / "sub") == ["empty", "file"]
    assert (inside.parent / "outside" / "file").read_bytes() == b"secret"


@posix_only
def test_filesystem_opens_regular_files_only(host: Host, inside: Path) -> None:
    """A pipe is not opened, and nobody waits for its other end."""
    os.mkfifo(inside / "fifo")
    for mode in ("r", "w", "r+"):
        assert host("open", "fifo", mode)[0] is False


def test_filesystem_is_led_astray_by_no_swap(host: Host, inside: Path) -> None:
    """While a directory becomes a link and back again, all that is reached lies in the directory."""
    place, away, outside = inside / "sub", inside.parent / "away", inside.parent / "outside"
    link_directory(place / "probe", outside)  # or the test is skipped
    unlink_directory(place / "probe")
    outcomes = {True: 0, False: 0}
    began = time.monotonic()
    with subprocess.Popen([sys.executable, SWAP, place, away, outside], env=ENVIRONMENT) as swapper:
        try:
            while time.monotonic() < began + RACE_SECONDS or (
                min(outcomes.values()) == 0 and time.monotonic() < began + 10 * RACE_SECONDS
            ):
                for _ in range(500):
                    found = host.read("sub/file")
                    assert found[0] in {b"inside", False}
                    outcomes[found[0] is not False] += 1
                host.write("sub/written", "w", b"x")
                host("rename", "data.txt", "sub/data.txt")
                host("rename", "sub/data.txt", "data.txt")
                host("remove", "sub/written")
                assert listed(outside) == ["file"]
        finally:
            swapper.kill()
    assert min(outcomes.values()) > 0
    assert (outside / "file").read_bytes() == b"secret"
