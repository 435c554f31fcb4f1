"""File access without Lua: what the host's functions answer, on every system, and what each system's own file does.

Through Lua it is tested by tests/security/test_filesystem.py. What Windows makes of a path as text is in
test_filesystem_names.py, its text mode in test_filesystem_text.py.
"""

from __future__ import annotations

import ctypes
import errno
import os
import runpy
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from links import everything_below, link_directory, link_file, unlink_directory

from luagauge._filesystem import Filesystem, access
from luagauge.errors import PlatformUnavailableError

ON_WINDOWS = sys.platform == "win32"
UNDER_WINE = sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")
windows_only = pytest.mark.skipif(not ON_WINDOWS, reason="about Windows")
posix_only = pytest.mark.skipif(ON_WINDOWS, reason="about POSIX")
RACE_SECONDS = 3  # a walk that looks before it opens, and follows links then, is led astray some 30 times in it
SWAP = Path(__file__).parent.parent / "support" / "swap_directory.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


class Host:
    """Calls the functions as `_lua/filesystem.lua` does."""

    def __init__(self, *directories: Path) -> None:
        """Give access below these directories."""
        self.functions = Filesystem([str(directory) for directory in directories], 1 << 20, "5.4").functions()

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Return what a function answers."""
        return self.functions[f"fs.{name}"](*arguments)

    def read(self, path: str, mode: str = "rb", *formats: Any) -> list[Any]:
        """Return what is read from a file, or the failed open's answer."""
        answer: list[Any] = self("open", path, mode)
        if answer[0] is False:
            return answer
        found = self("read", answer[0], *(formats or ("a",)))
        self("close", answer[0])
        return [found.get(place) for place in range(1, found["n"] + 1)]

    def write(self, path: str, mode: str, *values: bytes) -> list[Any]:
        """Return what writing to a file answers."""
        answer: list[Any] = self("open", path, mode)
        if answer[0] is False:
            return answer
        answer, number = self("write", answer[0], list(values)), answer[0]
        self("close", number)
        return answer


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """Return a directory with something in it, beside what must stay out of reach."""
    home = tmp_path.resolve()
    (home / "outside").mkdir()
    (home / "outside" / "file").write_bytes(b"secret")
    (home / "secret.txt").write_bytes(b"secret")
    (home / "inside" / "sub" / "empty").mkdir(parents=True)
    (home / "inside" / "data.txt").write_bytes(b"data")
    (home / "inside" / "sub" / "file").write_bytes(b"inside")
    return home / "inside"


@pytest.fixture
def host(inside: Path) -> Host:
    """Return the functions for that directory."""
    return Host(inside)


def listed(directory: Path) -> list[str]:
    """Return the names in a directory."""
    return sorted(path.name for path in directory.iterdir())


def failure(path: str, number: int) -> list[Any]:
    """Return the answer of a call that failed in C's words."""
    return [False, f"{path}: {os.strerror(number)}".encode(), number]


def handles() -> int:
    """Return how many files or other objects of the system this process has open."""
    if sys.platform == "win32" and UNDER_WINE:  # which counts none, and gives the lowest number that is free
        import msvcrt

        fd = os.open(os.devnull, os.O_RDONLY)
        number = msvcrt.get_osfhandle(fd) // 4
        os.close(fd)
        return number
    return int(getattr(psutil.Process(), "num_handles" if ON_WINDOWS else "num_fds")())


# --- what works ---


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
    assert host("read", number, 2)[1] == b"da"
    assert host("seek", number, "set", 0) == [0]
    assert host("write", number, [b"!"]) == [True]
    host("close", number)
    assert (inside / "data.txt").read_bytes() == b"data!"


def test_filesystem_finds_files_by_absolute_paths(host: Host, inside: Path) -> None:
    """A path may name the directory in full, with needless parts in it."""
    assert host.read(f"{inside}/data.txt") == [b"data"]
    assert host.read(f"{inside}/./sub//file/") == [b"inside"]
    assert host.read("./sub/./file") == [b"inside"]


def test_filesystem_finds_absolute_paths_in_any_directory(inside: Path) -> None:
    """A relative path is looked up in the first directory, an absolute one in all of them; modules are in all."""
    (inside / "mod.lua").write_bytes(b"return 1")
    both = Host(inside / "sub", inside)
    assert both("open", "data.txt", "r") == failure("data.txt", errno.ENOENT)
    assert both.read(str(inside / "data.txt")) == [b"data"]
    assert both("module", "mod") == [b"return 1", b"mod.lua"]
    assert both("module", "missing")[1] == b"missing: module not found"


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
    assert host("rename", "missing", "x") == failure("missing", errno.ENOENT)
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
            assert host("rename", "data.txt", target) == failure("data.txt", errno.EEXIST)
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
        assert renamed == failure("data.txt", errno.EACCES)
        assert host("remove", "data.txt") == failure("data.txt", errno.EACCES)
    else:
        assert renamed == [True]
        assert host("remove", "new") == [True]
    assert host("read", number, "a")[1] == b"data"
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


# --- what is refused ---

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
    assert [(answer[0], answer[2] in {errno.EACCES, errno.EINVAL}) for answer in refused] == [(False, True)] * 4
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


# --- races ---


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


# --- Windows ---


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


# --- where there is neither ---


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
