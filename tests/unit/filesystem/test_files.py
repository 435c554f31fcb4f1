"""Files are opened, renamed and removed as by the C library, and nothing stays open."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
from filesystem_host import ON_WINDOWS, Host, failure, handles, listed, unnamed

from luagauge._filesystem import Filesystem, access


def test_filesystem_modes_are_those_of_fopen(host: Host, inside: Path) -> None:
    """Each mode makes, empties, keeps or wants the file as C's fopen does."""
    for mode in ("r", "r+"):
        assert host("open", "new", mode) == failure("new", errno.ENOENT)
    assert host.write("new", "wb", b"one") == [True]
    assert host.write("new", "r+b", b"O") == [True]
    assert host.write("new", "ab", b" two") == [True]
    assert host.write("new", "a+b", b" three") == [True]
    assert (inside / "new").read_bytes() == b"One two three"
    assert host.read("new", "a+b") == [b"One two three"]
    assert host.write("new", "w+b") == [True]
    assert (inside / "new").read_bytes() == b""
    assert host("open", "new", "x")[2] == errno.EINVAL


def test_filesystem_appends_wherever_it_was_read(host: Host, inside: Path) -> None:
    """What is written in append mode comes to the end, though something was read at the beginning."""
    number = host("open", "data.txt", "a+b")[0]
    assert host("read", number, 2) == [b"da"]
    assert host("seek", number, "set", 0) == [0]
    assert host("write", number, [b"!"]) == [True]
    host("close", number)
    assert (inside / "data.txt").read_bytes() == b"data!"


def test_filesystem_finds_files_by_absolute_paths(host: Host, inside: Path) -> None:
    """A path may name the directory in full, with needless parts in it."""
    assert host.read(f"{inside}/data.txt") == [b"data"]
    assert host.read(f"{inside}/./sub//./file") == [b"inside"]
    assert host.read("./sub/./file") == [b"inside"]


def test_filesystem_finds_absolute_paths_in_any_directory(inside: Path) -> None:
    """A relative path is looked up in the first directory, an absolute one in all of them; modules are in all."""
    (inside / "mod.lua").write_bytes(b"return 1")
    both = Host(inside / "sub", inside)
    assert both("open", "data.txt", "r") == failure("data.txt", errno.ENOENT)
    assert both.read(str(inside / "data.txt")) == [b"data"]
    assert both("readable", "./mod.lua") == [True]
    assert both("module", "./mod.lua") == [b"return 1"]
    assert both("readable", "missing.lua") == both("module", "missing.lua") == failure("missing.lua", errno.ENOENT)


@pytest.mark.skipif(sys.platform == "darwin", reason="normalises names")
@pytest.mark.parametrize("name", ["\u00e9", "\U0001f600", "e\u0301", " x", "con2", ".x", "x..y", "a" * 200])
def test_filesystem_takes_names_of_any_language(host: Host, inside: Path, name: str) -> None:
    """A name in UTF-8 is the name on disk."""
    assert host.write(name, "w", b"x") == [True]
    assert host.read(name) == [b"x"]
    assert name in listed(inside)
    assert host("rename", name, "sub/" + name) == [True]
    assert host("remove", "sub/" + name) == [True]
    assert listed(inside) == ["data.txt", "sub"]


def test_filesystem_renames_and_removes(host: Host, inside: Path) -> None:
    """Files and directories are renamed in a directory and from one to the other; empty directories are removed."""
    assert host("rename", "data.txt", "sub/moved") == [True]
    assert host("rename", "sub/moved", "sub/again") == [True]
    assert host("rename", "sub/empty", "other") == [True]
    assert listed(inside) == ["other", "sub"]
    assert listed(inside / "sub") == ["again", "file"]
    assert (inside / "sub" / "again").read_bytes() == b"data"
    assert host("remove", "sub") == failure("sub", errno.ENOTEMPTY)
    assert host("remove", "sub/again") == [True]
    assert host("remove", "sub/again") == failure("sub/again", errno.ENOENT)
    assert host("rename", "missing", "x") == unnamed(errno.ENOENT)
    assert host("remove", "sub/file") == [True]
    assert host("remove", "sub") == [True]
    assert host("remove", "other") == [True]
    assert listed(inside) == []


def test_filesystem_renames_over_a_file_as_the_system_does(host: Host, inside: Path) -> None:
    """A file with the new name is replaced on POSIX; on Windows the call fails, as C's rename does there."""
    for target in ("sub/file", "other"):
        (inside / "data.txt").write_bytes(b"data")
        (inside / target).write_bytes(b"old")
        if ON_WINDOWS:
            assert host("rename", "data.txt", target) == unnamed(errno.EEXIST)
            assert (inside / "data.txt").read_bytes() == b"data"
            assert (inside / target).read_bytes() == b"old"
        else:
            assert host("rename", "data.txt", target) == [True]
            assert (inside / target).read_bytes() == b"data"


def test_filesystem_renames_to_the_same_name(host: Host, inside: Path) -> None:
    """A file keeps its name when it is given that name."""
    assert host("rename", "data.txt", "data.txt") == [True]
    assert (inside / "data.txt").read_bytes() == b"data"


def test_filesystem_treats_open_files_as_the_system_does(host: Host, inside: Path) -> None:
    """Windows keeps a file that C's library has open where it is; POSIX does not."""
    number = host("open", "data.txt", "r")[0]
    second = host("open", "data.txt", "r+")[0]  # others may read and write it meanwhile
    renamed, removed = host("rename", "data.txt", "new"), host("remove", "sub/file")
    assert removed == [True]
    if ON_WINDOWS:
        assert renamed == unnamed(errno.EACCES)
        assert host("remove", "data.txt") == failure("data.txt", errno.EACCES)
    else:
        assert renamed == [True]
        assert host("remove", "new") == [True]
    assert host("read", number, "a") == [b"data"]
    host("close", number)
    host("close", second)
    if ON_WINDOWS:
        assert host("remove", "data.txt") == [True]
    assert listed(inside) == ["sub"]


def test_filesystem_makes_temporary_files(host: Host, inside: Path) -> None:
    """The name of a temporary file is an absolute path of an empty file, which the script can use."""
    names = [host("tmpname")[0] for _ in range(20)]
    assert len(set(names)) == 20
    for name in names:
        path = Path(os.fsdecode(name))
        assert path.is_absolute()
        assert path.parent == inside
        assert path.read_bytes() == b""
        assert host.write(name, "w", b"x") == [True]
        assert host.read(name) == [b"x"]
        assert host("remove", name) == [True]


def test_filesystem_is_inherited_by_no_child(host: Host, inside: Path) -> None:
    """A file that a script has open is closed in child processes."""
    for mode in ("r", "r+", "w", "w+", "a", "a+"):
        fd = Filesystem([str(inside)], 1, "5.4")._find("data.txt").open(mode)
        assert os.get_inheritable(fd) is False
        os.close(fd)


def test_filesystem_leaves_nothing_open(host: Host, inside: Path) -> None:
    """Whatever fails, and whatever works, closes all that it opened on the way."""

    def use() -> None:
        for path in ("sub/file", "missing", "sub/missing/x", "data.txt/x", "sub", "../x", "sub/empty/new"):
            for mode in ("r", "r+", "a"):
                number = host("open", path, mode)[0]
                if number:
                    host("close", number)
            host("rename", path, "sub/empty/other")
            host("rename", "sub/empty/other", path)
            host("rename", "data.txt", path)
            host("remove", "sub/empty/new")
            host("remove", "missing")
            (inside / "data.txt").write_bytes(b"data")
        host("remove", host("tmpname")[0])

    use()  # the first time loads what it needs
    before = handles()
    for _ in range(20):
        use()
    assert handles() <= before + 5 * ON_WINDOWS  # other threads of the system's come and go


def test_filesystem_closes_a_file_that_cannot_be_used(
    host: Host, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is opened and then cannot be read, as on a broken disk, is closed again."""

    def broken(binary: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(access, "_TRANSLATES", True)
    monkeypatch.setattr(access, "drop_final_ctrl_z", broken)
    host("open", "missing", "r")
    before = handles()
    assert [host("open", "data.txt", "r+") for _ in range(10)] == [failure("data.txt", errno.EIO)] * 10
    assert handles() <= before + 5 * ON_WINDOWS
    assert host("rename", "data.txt", "free") == [True]
