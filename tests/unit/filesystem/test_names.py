"""How a path is read on Windows: as text, so these run anywhere."""

from __future__ import annotations

import errno

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luagauge._filesystem.names import LONGEST_NAME, split

C, SHARE, DRIVE, LONG = "C:\\Data\\In", "\\\\server\\share\\In", "D:\\", "\\\\?\\E:\\In"
DIRECTORIES = [C, SHARE, DRIVE, LONG]


@pytest.mark.parametrize(
    "path, expected",
    [
        ("a", (C, ["a"])),
        ("a/b\\c", (C, ["a", "b", "c"])),
        (".\\a//.\\/b/", (C, ["a", "b"])),
        ("C:\\Data\\In\\a", (C, ["a"])),
        ("c:/dATA/./IN//A", (C, ["A"])),
        ("D:\\a\\b", (DRIVE, ["a", "b"])),
        ("d:/a", (DRIVE, ["a"])),
        ("\\\\SERVER\\Share\\in\\x", (SHARE, ["x"])),
        ("//server/share/In/x/y", (SHARE, ["x", "y"])),
        ("\\\\?\\e:\\in\\x", (LONG, ["x"])),
        ("PROGRA~1", (C, ["PROGRA~1"])),
        ("com10", (C, ["com10"])),
        ("x.nul", (C, ["x.nul"])),
        ("console", (C, ["console"])),
        ("a b.c d", (C, ["a b.c d"])),
        ("..x", (C, ["..x"])),
        ("\u00e9\ud800", (C, ["\u00e9\ud800"])),
        ("x" * LONGEST_NAME, (C, ["x" * LONGEST_NAME])),
    ],
)
def test_names_are_found_below_a_directory(path: str, expected: tuple[str, list[str]]) -> None:
    """Either slash separates, '.' and nothing are left out, and case does not count in the directory's own name."""
    assert split(DIRECTORIES, path.encode("utf-8", "surrogatepass")) == expected


@pytest.mark.parametrize(
    "path",
    [
        *(".", "/", "..", "a/..", "a\\..\\b", "../a", "C:\\Data\\In", "C:\\Data\\In\\", "C:\\Data\\In\\.", "D:\\"),
        *(
            "C:\\Data\\Inner\\a",
            "C:\\Data",
            "C:\\Data\\x",
            "C:\\Data\\In\\..\\In\\a",
            "C:\\Data\\Out\\..\\In\\a",
            "E:\\a",
        ),
        *("C:", "C:a", "c:a\\b", "D:", "D:a", "x:", "a:b", "\\a", "/a", "\\Data\\In\\a", "/Data/In/a"),
        *("\\\\server\\share\\x", "\\\\server\\other\\In\\x", "//server", "\\\\?\\C:\\Data\\In\\a", "\\\\.\\C:\\a"),
        *("\\\\?\\UNC\\server\\share\\In\\x", "\\\\.\\NUL", "\\\\?\\GLOBALROOT\\x", "\\??\\C:\\Data\\In\\a"),
        *("nul", "NUL.txt", "a/Nul/b", "con", "CON .x", "prn", "aux.c", "com1", "LPT9.a.b", "com\u00b9", "lpt\u00b3.x"),
        *("conin$", "CONOUT$.txt", "com0"),
    ],
)
def test_names_outside_are_denied(path: str) -> None:
    """What lies elsewhere, or is a device's, is denied."""
    with pytest.raises(OSError, match=r".") as caught:
        split(DIRECTORIES, path.encode())
    assert caught.value.errno == errno.EACCES


def test_names_are_told_from_none() -> None:
    """An empty path is that of no file."""
    with pytest.raises(FileNotFoundError):
        split(DIRECTORIES, b"")


@pytest.mark.parametrize(
    "path, expected",
    [
        ("S:\\a", (C, ["a"])),
        ("s:/x//y", (C, ["x", "y"])),
        ("c:\\LINK\\a", (SHARE, ["a"])),
        ("//?/C:/Link/a", (DRIVE, ["a"])),
        ("C:\\Data\\In\\a", (C, ["a"])),
        ("C:\\Data\\In\\b\\a", (LONG, ["a"])),
    ],
)
def test_names_may_begin_with_an_alias(path: str, expected: tuple[str, list[str]]) -> None:
    """Another name of a directory leads to it by the same rules, and a longer one before a shorter one."""
    aliases = {"S:\\": C, "C:\\Link": SHARE, "\\\\?\\C:\\Link": DRIVE, "C:\\Data\\In\\b": LONG}
    assert split(DIRECTORIES, path.encode(), aliases) == expected


@pytest.mark.parametrize("path", ["C:\\Link", "C:\\Linked\\a", "C:\\Link\\..\\a", "T:\\a", "C:\\a", "S:", "S:a"])
def test_names_of_an_alias_lead_nowhere_else(path: str) -> None:
    """What is beside an alias or above it stays denied, and the alias itself is no file."""
    with pytest.raises(PermissionError):
        split(DIRECTORIES, path.encode(), {"S:\\": C, "C:\\Link": SHARE})


@pytest.mark.parametrize(
    "path",
    [
        *("a:", "ab:c", "a/b:c", "ab::$DATA", "a\0b", "a\0", "a\x01", "a\x1f", "a*", "?", "a<b", "a>b", 'a"b', "a|b"),
        *("a.", "a ", "a. .", "a./b", "a /b", "...", " ", "C:\\Data\\In\\a:b", "a/.../b"),
    ],
)
def test_names_that_no_file_has_are_invalid(path: str) -> None:
    """Streams, wildcards, control characters and what Win32 would cut off the end are no part of a name."""
    with pytest.raises(OSError, match=r".") as caught:
        split(DIRECTORIES, path.encode())
    assert caught.value.errno == (errno.EACCES if path == "a:" else errno.EINVAL)  # that is a drive


@pytest.mark.parametrize("name", ["x" * 256, "\U0001f600" * 128, ".." + "x" * 65534, "x" * 65537])
def test_names_that_are_too_long_are_refused(name: str) -> None:
    """A name is counted in UTF-16 units."""
    with pytest.raises(OSError, match=r".") as caught:
        split(DIRECTORIES, name.encode())
    assert caught.value.errno == errno.ENAMETOOLONG


def test_names_that_are_no_utf_8_are_refused() -> None:
    """Bytes that are no text name no file."""
    with pytest.raises(OSError, match=r".") as caught:
        split(DIRECTORIES, b"a\xff")
    assert caught.value.errno == errno.EILSEQ


def test_names_of_a_relative_path_are_found_in_the_first_directory() -> None:
    """The other directories are reached by absolute paths."""
    assert split([DRIVE, C], b"a") == (DRIVE, ["a"])
    assert split([DRIVE, C], b"C:\\data\\in\\a") == (C, ["a"])


PIECES = st.sampled_from(
    ["..", ".", "/", "\\", ":", "C:", "Data", "In", "a", " ", "nul", "?", "\0", "\u00df", "\ud800"]
)


@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=20))
def test_names_are_single_components(path: str) -> None:
    """Whatever a path is made of, it is refused, or its components can name only what is in their directory."""
    try:
        directory, names = split(DIRECTORIES, path.encode("utf-8", "surrogatepass"))
    except OSError:
        return
    assert directory in DIRECTORIES
    assert names
    for name in names:
        assert name
        assert not set(name) & set('/\\:*?<>|"\0')
        assert not name.endswith((".", " "))
