"""File access for scripts on Windows: every component is opened by NtCreateFile, relative to a handle of its parent.

That is what openat is on POSIX. Three things keep an operation below its directory:

- A component is opened with FILE_OPEN_REPARSE_POINT, so a link or junction is opened itself, and refused when its
  handle says what it is.
- OBJ_DONT_REPARSE fails every open that would be led elsewhere all the same: by a parent that became a junction after
  it was opened, which an empty directory can.
- A directory that is not empty cannot become one. A rename, whose target is opened by the kernel without that flag,
  goes to a directory that holds something that nobody can remove meanwhile.

Sources, below https://learn.microsoft.com/:
windows/win32/api/winternl/nf-winternl-ntcreatefile,
windows/win32/api/ntdef/ns-ntdef-_object_attributes (OBJ_DONT_REPARSE),
windows-hardware/drivers/ddi/ntifs/ns-ntifs-_file_rename_information,
windows-hardware/drivers/ddi/ntddk/ns-ntddk-_file_disposition_information_ex,
openspecs/windows_protocols/ms-fsa/4aeefef8-92c3-4abc-af7a-a610caf8a165 (what can become a reparse point).
"""

from __future__ import annotations

import sys

if sys.platform != "win32":
    raise ImportError("for Windows only")

import ctypes
import errno
import msvcrt
import os
import secrets
import struct
from contextlib import contextmanager
from ctypes import wintypes
from typing import TYPE_CHECKING, ClassVar

from luagauge._filesystem.contract import NO_ALIASES, Below, failed, refuse_special
from luagauge._filesystem.names import LONGEST_NAME, split

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Access rights: those of FILE_GENERIC_READ and FILE_GENERIC_WRITE, and single ones.
_READ = 0x00120089
_WRITE = 0x00120116
_DELETE = 0x00010000
_SYNCHRONIZE = 0x00100000
_READ_ATTRIBUTES = 0x0080
_TRAVERSE = 0x0020
# What others may do meanwhile. Files are opened as the C runtime opens them, without DELETE: nobody removes or renames
# a file that is open.
_SHARE_OPEN = 0x1 | 0x2  # FILE_SHARE_READ, FILE_SHARE_WRITE
_SHARE_ALL = _SHARE_OPEN | 0x4  # FILE_SHARE_DELETE
# What is done where there is such a file, or none.
_OPEN, _CREATE, _OPEN_IF = 1, 2, 3
# Options of NtCreateFile.
_DIRECTORY_FILE = 0x0001
_SYNCHRONOUS_IO_NONALERT = 0x0020
_NON_DIRECTORY_FILE = 0x0040
_DELETE_ON_CLOSE = 0x1000
_OPEN_REPARSE_POINT = 0x00200000
# Attributes of names and files.
_OBJ_CASE_INSENSITIVE = 0x0040
_OBJ_DONT_REPARSE = 0x1000
_ATTRIBUTE_HIDDEN = 0x0002
_ATTRIBUTE_NORMAL = 0x0080
_ATTRIBUTE_REPARSE_POINT = 0x0400
# CreateFileW.
_OPEN_EXISTING = 3
_BACKUP_SEMANTICS = 0x02000000
# Information classes.
_BASIC, _RENAME, _DISPOSITION, _DISPOSITION_EX = 4, 10, 13, 64
_DISPOSITION_DELETE_POSIX = 0x1 | 0x2  # FILE_DISPOSITION_DELETE, FILE_DISPOSITION_POSIX_SEMANTICS
# What file systems answer that do not know the last class: FAT, servers, Windows before 1607, wine.
_UNKNOWN_CLASS = {
    0xC0000002,  # STATUS_NOT_IMPLEMENTED
    0xC0000003,  # STATUS_INVALID_INFO_CLASS
    0xC000000D,  # STATUS_INVALID_PARAMETER
    0xC0000010,  # STATUS_INVALID_DEVICE_REQUEST
    0xC00000BB,  # STATUS_NOT_SUPPORTED
}
_REPARSE_POINT_ENCOUNTERED = 0xC000050B
# What the C runtime makes of these by way of another function, or Python of the system's own error code.
_ERRNO = {
    0xC0000056: errno.EACCES,  # STATUS_DELETE_PENDING
    0xC00000BA: errno.EACCES,  # STATUS_FILE_IS_A_DIRECTORY
    0xC0000103: errno.ENOENT,  # STATUS_NOT_A_DIRECTORY
}


class _UnicodeString(ctypes.Structure):
    _fields_: ClassVar = [
        ("length", wintypes.USHORT),
        ("maximum_length", wintypes.USHORT),
        ("buffer", ctypes.c_void_p),
    ]


class _ObjectAttributes(ctypes.Structure):
    _fields_: ClassVar = [
        ("length", wintypes.ULONG),
        ("root_directory", wintypes.HANDLE),
        ("object_name", ctypes.POINTER(_UnicodeString)),
        ("attributes", wintypes.ULONG),
        ("security_descriptor", ctypes.c_void_p),
        ("security_quality_of_service", ctypes.c_void_p),
    ]


class _IoStatusBlock(ctypes.Structure):
    _fields_: ClassVar = [("status", ctypes.c_void_p), ("information", ctypes.c_void_p)]


class _BasicInformation(ctypes.Structure):
    _fields_: ClassVar = [("times", wintypes.LARGE_INTEGER * 4), ("attributes", wintypes.ULONG)]


class _RenameInformation(ctypes.Structure):
    _fields_: ClassVar = [
        ("replace_if_exists", wintypes.ULONG),
        ("root_directory", wintypes.HANDLE),
        ("name_length", wintypes.ULONG),
        ("name", ctypes.c_uint16 * LONGEST_NAME),
    ]


_ntdll = ctypes.WinDLL("ntdll")
_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
_ntdll.NtCreateFile.argtypes = [
    ctypes.POINTER(wintypes.HANDLE),
    wintypes.DWORD,
    ctypes.POINTER(_ObjectAttributes),
    ctypes.POINTER(_IoStatusBlock),
    ctypes.c_void_p,
    *[wintypes.ULONG] * 4,
    ctypes.c_void_p,
    wintypes.ULONG,
]
for _function in (_ntdll.NtQueryInformationFile, _ntdll.NtSetInformationFile):
    _function.argtypes = [
        wintypes.HANDLE,
        ctypes.POINTER(_IoStatusBlock),
        ctypes.c_void_p,
        wintypes.ULONG,
        ctypes.c_int,
    ]
for _function in (_ntdll.NtCreateFile, _ntdll.NtQueryInformationFile, _ntdll.NtSetInformationFile):
    _function.restype = ctypes.c_int32
_ntdll.RtlNtStatusToDosError.argtypes = [ctypes.c_int32]
_ntdll.RtlNtStatusToDosError.restype = wintypes.ULONG
_kernel32.CreateFileW.argtypes = [
    wintypes.LPCWSTR,
    wintypes.DWORD,
    wintypes.DWORD,
    ctypes.c_void_p,
    wintypes.DWORD,
    wintypes.DWORD,
    wintypes.HANDLE,
]
_kernel32.CreateFileW.restype = wintypes.HANDLE
_kernel32.CloseHandle.argtypes = [wintypes.HANDLE]
_INVALID_HANDLE = wintypes.HANDLE(-1).value


class WindowsBelow(Below[str]):
    """A path below a directory that scripts may use, on Windows."""

    def __init__(self, directories: Sequence[str], path: bytes, aliases: Mapping[str, str] = NO_ALIASES) -> None:
        """Find the directory; the first one for a relative path."""
        self.directory, self.names = split(directories, path, aliases)
        self.ending = path.decode("utf-8", "surrogatepass").replace("\\", "/").rpartition("/")[2]

    def open(self, mode: str, *, new: bool = False) -> int:
        """Open a regular file."""
        if not self.ending:
            raise failed(errno.EINVAL)
        access = _READ | _WRITE if "+" in mode else _READ if mode == "r" else _WRITE
        disposition = _CREATE if new else _OPEN if mode.startswith("r") else _OPEN_IF
        with _parent(self) as parent:
            handle = _open(parent, self.names[-1], access, _NON_DIRECTORY_FILE, _SHARE_OPEN, disposition)
        try:
            _refuse_link(handle)
            flags = os.O_NOINHERIT | os.O_BINARY | (os.O_APPEND if mode.startswith("a") else 0)
            fd = msvcrt.open_osfhandle(handle, flags)
        except BaseException:
            _kernel32.CloseHandle(handle)
            raise
        refuse_special(fd)
        if mode.startswith("w"):  # only now: opened to be overwritten, a link would have been
            try:
                os.ftruncate(fd, 0)
            except BaseException:
                os.close(fd)
                raise
        return fd

    def remove(self) -> None:
        """Remove a file or an empty directory, at once where the file system can, even if it is open elsewhere."""
        with _parent(self) as parent, _closing(_open(parent, self.names[-1], _DELETE)) as handle:
            status = _set(handle, _DISPOSITION_EX, wintypes.ULONG(_DISPOSITION_DELETE_POSIX))
            if status in _UNKNOWN_CLASS:
                status = _set(handle, _DISPOSITION, ctypes.c_ubyte(1))
            _check(status)

    def rename(self, target: Below[str]) -> None:
        """Rename within the directories, to a name that is free."""
        # What is renamed is opened so that nobody can move it away: its directory cannot become a junction.
        with _parent(self) as source, _closing(_open(source, self.names[-1], _DELETE, 0, _SHARE_OPEN)) as handle:
            if (self.directory, self.names[:-1]) == (target.directory, target.names[:-1]):
                _check(_set(handle, _RENAME, _rename_to(source, target.names[-1])))
                return
            with _parent(target) as parent, _kept_filled(parent):
                _check(_set(handle, _RENAME, _rename_to(parent, target.names[-1])))


@contextmanager
def _parent(path: Below[str]) -> Iterator[int]:
    """Open the directory that holds the last component; yield its handle."""
    handle = _open_root(path.directory)
    try:
        for name in path.names[:-1]:
            below = _open(handle, name, _TRAVERSE, _DIRECTORY_FILE)
            _kernel32.CloseHandle(handle)
            handle = below
            _refuse_link(handle)
        yield handle
    finally:
        _kernel32.CloseHandle(handle)


@contextmanager
def _kept_filled(directory: int) -> Iterator[None]:
    """Keep something in a directory that nobody can remove."""
    name = f".lua_{secrets.token_hex(8)}"
    options = _NON_DIRECTORY_FILE | _DELETE_ON_CLOSE
    with _closing(_open(directory, name, _DELETE, options, 0, _CREATE, _ATTRIBUTE_HIDDEN)):
        yield


@contextmanager
def _closing(handle: int) -> Iterator[int]:
    """Close a handle in the end."""
    try:
        yield handle
    finally:
        _kernel32.CloseHandle(handle)


def _open_root(directory: str) -> int:
    r"""Open a configured directory by its path and return its handle; "\\?\" lifts the bound of 260 characters."""
    directory = directory.replace("/", "\\")  # which that prefix takes for part of a name
    if not directory.startswith(("\\\\?\\", "\\\\.\\")):
        directory = f"\\\\?\\UNC\\{directory[2:]}" if directory.startswith("\\\\") else f"\\\\?\\{directory}"
    access = _TRAVERSE | _READ_ATTRIBUTES | _SYNCHRONIZE
    handle = _kernel32.CreateFileW(directory, access, _SHARE_ALL, None, _OPEN_EXISTING, _BACKUP_SEMANTICS, None)
    if handle == _INVALID_HANDLE:
        raise _error_of_windows(ctypes.get_last_error())
    return int(handle)


def _open(
    parent: int,
    name: str,
    access: int,
    options: int = 0,
    share: int = _SHARE_ALL,
    disposition: int = _OPEN,
    attributes: int = _ATTRIBUTE_NORMAL,
) -> int:
    """Open or create what has this name in a directory and return its handle, which no child process inherits.

    A link or other reparse point is opened itself. The name is one component, as `split` gives it.
    """
    raw = name.encode("utf-16-le", "surrogatepass")
    buffer = ctypes.create_string_buffer(raw, len(raw) + 2)
    text = _UnicodeString(len(raw), len(raw) + 2, ctypes.addressof(buffer))
    where = _ObjectAttributes(
        ctypes.sizeof(_ObjectAttributes),
        parent,
        ctypes.pointer(text),
        _OBJ_CASE_INSENSITIVE | _OBJ_DONT_REPARSE,
    )
    handle = wintypes.HANDLE()
    status = _ntdll.NtCreateFile(
        ctypes.byref(handle),
        access | _READ_ATTRIBUTES | _SYNCHRONIZE,
        ctypes.byref(where),
        ctypes.byref(_IoStatusBlock()),
        None,
        attributes,
        share,
        disposition,
        options | _OPEN_REPARSE_POINT | _SYNCHRONOUS_IO_NONALERT,
        None,
        0,
    )
    _check(status)
    return handle.value or 0


def _refuse_link(handle: int) -> None:
    """Complain about an open link, junction or other reparse point."""
    found = _BasicInformation()
    block = _IoStatusBlock()
    _check(_ntdll.NtQueryInformationFile(handle, block, ctypes.byref(found), ctypes.sizeof(found), _BASIC))
    if found.attributes & _ATTRIBUTE_REPARSE_POINT:
        raise _error(_REPARSE_POINT_ENCOUNTERED)


def _rename_to(directory: int, name: str) -> _RenameInformation:
    """Return what names the target of a rename."""
    raw = name.encode("utf-16-le", "surrogatepass")
    return _RenameInformation(0, directory, len(raw), struct.unpack(f"<{len(raw) // 2}H", raw))


def _set(handle: int, kind: int, value: ctypes._CData) -> int:
    """Set what an information class stands for; return the status, without its sign."""
    block = _IoStatusBlock()
    status: int = _ntdll.NtSetInformationFile(handle, block, ctypes.byref(value), ctypes.sizeof(value), kind)
    return status & 0xFFFFFFFF


def _check(status: int) -> None:
    """Raise what a status stands for, unless it is success."""
    if status & 0x80000000:
        raise _error(status & 0xFFFFFFFF)


def _error(status: int) -> OSError:
    """Return the OSError for a failed call."""
    if status == _REPARSE_POINT_ENCOUNTERED:
        return PermissionError(errno.EACCES, "symbolic links, junctions and their like are not followed")
    if status in _ERRNO:
        return OSError(_ERRNO[status], os.strerror(_ERRNO[status]))
    return _error_of_windows(_ntdll.RtlNtStatusToDosError(ctypes.c_int32(status)))


def _error_of_windows(code: int) -> OSError:
    """Return the OSError for an error code of Windows: its errno as Python has it, its text as C has it."""
    number = OSError(None, "", None, code).errno or errno.EINVAL
    return OSError(number, os.strerror(number))
