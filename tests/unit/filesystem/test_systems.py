"""What each system's own file of the host's functions does.

What Windows makes of a path as text is in test_names.py, its text mode in test_text.py.
"""

from __future__ import annotations

import errno
import os
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from filesystem_host import UNDER_WINE, Host, failure, handles, listed, posix_only, windows_only

from luagauge._filesystem import Filesystem, access
from luagauge.errors import PlatformUnavailableError


@windows_only
def test_filesystem_reads_paths_without_case(inside: Path) -> None:
    """Case and the kind of slash are the same to Windows, in the configured directory's name too."""
    host = Host(inside)
    for path in (
        str(inside).upper() + "/DATA.TXT",
        str(inside).lower() + "\\Data.txt",
        inside.as_posix() + "/data.TXT",
    ):
        assert host.read(path) == [b"data"]
    assert host.read("SUB\\File") == [b"inside"]
    assert Filesystem([inside.as_posix()], 1, "5.4").functions()["fs.remove"]("sub/file") == [True]
    assert host.read(f"\\\\?\\{inside}\\data.txt")[2] == errno.EACCES


@windows_only
def test_filesystem_holds_paths_of_any_length(host: Host, inside: Path) -> None:
    """A directory may lie deeper than 260 characters."""
    parts = ["d" * 60] * 6
    os.makedirs("\\\\?\\" + "\\".join([str(inside), *parts]))  # noqa: PTH103 - Path takes the prefix off
    assert host.write("/".join([*parts, "file"]), "w", b"deep") == [True]
    assert host.read("/".join([*parts, "file"])) == [b"deep"]
    deep = Host(Path("\\".join([str(inside), *parts])))
    assert deep.read("file") == [b"deep"]
    shutil.rmtree("\\\\?\\" + str(inside / parts[0]))


@windows_only
def test_filesystem_names_are_utf_8(host: Host) -> None:
    """What is no UTF-8 is no name; C's library says it so."""
    assert host("open", b"\xff", "w") == [False, b"\xff: " + os.strerror(errno.EILSEQ).encode(), errno.EILSEQ]


@windows_only
def test_filesystem_removes_no_read_only_file(host: Host, inside: Path) -> None:
    """A file that is read-only is not removed, as by C's remove."""
    (inside / "data.txt").chmod(0o444)
    assert host("remove", "data.txt") == failure("data.txt", errno.EACCES)
    (inside / "data.txt").chmod(0o666)
    assert host("remove", "data.txt") == [True]


@pytest.mark.skipif(not UNDER_WINE, reason="wine shows mount points as reparse points")
def test_filesystem_walks_through_no_reparse_point() -> None:
    """What the handle of a component says is believed: where it is a reparse point, the walk ends."""
    host = Host(Path("Z:\\"))
    for path in ("proc/version", "proc/self/status", "dev/null"):
        assert host("open", path, "r")[1:] == [
            f"{path}: symbolic links, junctions and their like are not followed".encode(),
            errno.EACCES,
        ]


if sys.platform == "win32":
    from luagauge._filesystem import windows

    def test_filesystem_keeps_a_directory_filled(inside: Path) -> None:
        """While a rename goes to an empty directory, it holds what nobody can remove; afterwards nothing."""
        empty = inside / "sub" / "empty"
        path = windows.WindowsBelow([str(inside)], b"sub/empty/x")
        with windows._parent(path) as parent, windows._kept_filled(parent):
            (kept,) = empty.iterdir()
            with pytest.raises(PermissionError):
                kept.unlink()
            with pytest.raises(OSError, match=r".") as caught:
                empty.rmdir()
            assert caught.value.errno == errno.ENOTEMPTY
        assert listed(empty) == []

    def test_filesystem_renames_into_no_empty_directory(
        host: Host, inside: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """At the moment of a rename its target's directory is not empty, and so cannot become a junction."""
        seen: list[list[str]] = []
        set_information = windows._set

        def look(handle: int, kind: int, value: Any) -> int:
            seen.append(listed(inside / "sub" / "empty"))
            return set_information(handle, kind, value)

        with monkeypatch.context() as patch:
            patch.setattr(windows, "_set", look)
            assert host("rename", "data.txt", "sub/empty/new") == [True]
            assert host("rename", "sub/empty/new", "sub/empty/other") == [True]
        assert [len(names) for names in seen] == [1, 1]
        assert listed(inside / "sub" / "empty") == ["other"]

    def test_filesystem_refuses_a_reparse_point_by_its_handle(
        host: Host, inside: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file that its handle calls a reparse point is neither given nor emptied, and its handle is closed."""
        host("open", "missing", "r")
        before = handles()
        with monkeypatch.context() as patch:
            patch.setattr(windows, "_ATTRIBUTE_REPARSE_POINT", 0xFFFFFFFF)  # any attribute will do
            for mode in ("r", "w", "a+") * 5:
                assert host("open", "data.txt", mode)[2] == errno.EACCES
        assert handles() <= before + 5  # other threads of the system's come and go
        assert (inside / "data.txt").read_bytes() == b"data"
        assert host("rename", "data.txt", "free") == [True]


def test_filesystem_needs_a_system_that_opens_safely(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform without openat is told so by name."""
    package = Path(access.__file__).parent
    monkeypatch.setattr(os, "supports_dir_fd", set())
    with pytest.raises(PlatformUnavailableError, match="allow_filesystem: this platform"):
        runpy.run_path(str(package / "posix.py"))


@posix_only
def test_filesystem_of_windows_is_for_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other system's file says what it is for."""
    package = Path(access.__file__).parent
    with pytest.raises(ImportError, match="for Windows only"):
        runpy.run_path(str(package / "windows.py"))
