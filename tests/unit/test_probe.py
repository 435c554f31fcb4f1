"""The process probe as Python sees it: true figures, and what happens when the OS does not give them."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import shlex
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

import luagauge
from luagauge import InvalidDataError, MeasurementFailedError, MemorySnapshot, PlatformUnavailableError, _binding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.emulated

MIB = 1024 * 1024
COMPILER = shlex.split(os.environ.get("CC", "cc"))
UNDER_WINE = sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="it is about the descriptor on /proc/self/statm")


@pytest.fixture
def read_from() -> Iterator[Callable[[str | os.PathLike[str]], MemorySnapshot]]:
    """Give a function that takes one snapshot from another file; /proc/self/statm is back afterwards."""

    def read(path: str | os.PathLike[str]) -> MemorySnapshot:
        _binding.set_statm_path(path)
        return luagauge.snapshot()

    yield read
    _binding.set_statm_path(None)


def run_python(code: str, **environment: str) -> str:
    """Run `code` in a Python of its own, with more environment variables, and return what it printed."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    environ = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def statm_descriptors() -> list[int]:
    """Return this process's descriptors on a statm file."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = entry.readlink()
        except FileNotFoundError:  # the listing's own descriptor
            continue
        if target.name == "statm":
            found.append(int(entry.name))
    return found


def test_snapshot_agrees_with_psutil() -> None:
    """Resident and data size are what psutil says, taken between two snapshots."""
    process = psutil.Process()
    before = luagauge.snapshot()
    expected = process.memory_info()
    after = luagauge.snapshot()
    slack = MIB  # psutil itself allocates between the readings
    sizes = (before.rss_bytes, after.rss_bytes)
    assert min(sizes) - slack <= expected.rss <= max(sizes) + slack
    if sys.platform == "linux":
        assert before.heap_size_bytes is not None
        assert abs(before.heap_size_bytes - expected.data) <= slack


def test_snapshot_sees_a_known_amount_of_memory() -> None:
    """96 MiB that are allocated and touched raise both figures by 96 MiB."""
    before = luagauge.snapshot()
    # More than glibc keeps of freed memory (64 MiB at most), so always new to the process, whatever ran before.
    block = b"x" * (96 * MIB)
    after = luagauge.snapshot()
    del block
    assert 95 * MIB <= after.rss_bytes - before.rss_bytes <= 98 * MIB
    if before.heap_size_bytes is None:
        assert UNDER_WINE  # which does not say; every real system does
        return
    assert after.heap_size_bytes is not None
    assert 95 * MIB <= after.heap_size_bytes - before.heap_size_bytes <= 98 * MIB


def test_snapshot_timestamp_is_monotonic_time() -> None:
    """The timestamp lies between two readings of time.monotonic(), without any slack."""
    earlier = time.monotonic()
    taken = luagauge.snapshot()
    assert earlier <= taken.timestamp <= time.monotonic()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_snapshot_shows_a_forked_child_itself() -> None:
    """After fork the child reads its own memory, not that of the parent it shares the descriptor with."""
    code = """
        import mmap, os, luagauge
        before = luagauge.snapshot()
        child = os.fork()
        if child == 0:
            block = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            grown = luagauge.snapshot().heap_size_bytes - before.heap_size_bytes
            os._exit(0 if 63 << 20 <= grown <= 66 << 20 else 1)
        _, status = os.waitpid(child, 0)
        grown = luagauge.snapshot().heap_size_bytes - before.heap_size_bytes
        print(os.waitstatus_to_exitcode(status), grown < 1 << 20)
    """
    assert run_python(code) == "0 True"


def test_snapshot_from_many_threads_at_once() -> None:
    """Readings from eight threads are all plausible and none raises."""
    wrong: list[object] = []

    def read() -> None:
        last = 0.0
        for _ in range(2000):
            taken = luagauge.snapshot()
            if taken.rss_bytes < MIB or taken.timestamp < last:
                wrong.append(taken)
            last = taken.timestamp

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@LINUX_ONLY
def test_snapshot_descriptor_is_not_inherited() -> None:
    """A child that inherits every inheritable descriptor has none on statm."""
    luagauge.snapshot()
    assert len(statm_descriptors()) == 1
    code = "import os; print([os.readlink(e.path) for e in os.scandir('/proc/self/fd') if os.path.lexists(e.path)])"
    done = subprocess.run([sys.executable, "-c", code], close_fds=False, capture_output=True, text=True, check=True)
    assert "statm" not in done.stdout


@LINUX_ONLY
def test_snapshot_survives_its_descriptor_being_closed() -> None:
    """A program that closes every descriptor it finds, as daemons do, still gets readings."""
    luagauge.snapshot()
    (kept,) = statm_descriptors()
    os.close(kept)
    assert luagauge.snapshot().rss_bytes > MIB
    assert len(statm_descriptors()) == 1


@LINUX_ONLY
def test_snapshot_leaves_a_descriptor_alone_that_took_its_number(tmp_path: Path) -> None:
    """When the number now means another file, that file is neither believed nor closed."""
    luagauge.snapshot()
    (kept,) = statm_descriptors()
    other = tmp_path / "other"
    other.write_text("not a statm\n")
    descriptor = os.open(other, os.O_RDONLY)
    os.dup2(descriptor, kept)
    os.close(descriptor)
    try:
        assert luagauge.snapshot().rss_bytes > MIB
        assert os.pread(kept, 100, 0) == b"not a statm\n"
    finally:
        os.close(kept)


@LINUX_ONLY
@pytest.mark.parametrize(
    "text",
    ["", "garbage\n", "1 2 3\n", "5903 3316 1540 710 0 -1 0\n", "5903 0 0 0 0 2106 0\n", "5903 3316 1540 710 0 2106 0"],
)
def test_snapshot_refuses_garbled_text(
    text: str, tmp_path: Path, read_from: Callable[[os.PathLike[str]], MemorySnapshot]
) -> None:
    """A statm that is no statm is an InvalidDataError, never a number."""
    path = tmp_path / "statm"
    path.write_text(text)
    with pytest.raises(InvalidDataError) as caught:
        read_from(path)
    assert caught.value.os_error is None


@LINUX_ONLY
def test_snapshot_without_procfs_is_unavailable(read_from: Callable[[str], MemorySnapshot]) -> None:
    """Where the file does not exist, the platform has no probe; once it is back, readings are."""
    with pytest.raises(PlatformUnavailableError, match="errno 2") as caught:
        read_from("/no/such/procfs/statm")
    assert caught.value.os_error == errno.ENOENT
    _binding.set_statm_path(None)
    assert luagauge.snapshot().rss_bytes > MIB


@LINUX_ONLY
@pytest.mark.parametrize("path, code", [("/proc/self/mem", errno.EIO), ("/proc/self", errno.EISDIR)])
def test_snapshot_of_an_unreadable_file_carries_errno(
    path: str, code: int, read_from: Callable[[str], MemorySnapshot]
) -> None:
    """What the kernel refuses to read is a MeasurementFailedError with the kernel's own code."""
    with pytest.raises(MeasurementFailedError, match=os.strerror(code)) as caught:
        read_from(path)
    assert caught.value.os_error == code


@LINUX_ONLY
def test_snapshot_with_a_full_descriptor_table_carries_errno() -> None:
    """No descriptor to be had is a MeasurementFailedError; the next reading, with room again, works."""
    code = """
        import resource, luagauge
        luagauge.snapshot, luagauge.MeasurementFailedError  # loaded before descriptors run out
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            luagauge.snapshot()
        except luagauge.MeasurementFailedError as error:
            code = error.os_error
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        print(code, luagauge.snapshot().rss_bytes > 0)
    """
    assert run_python(code) == f"{errno.EMFILE} True"


@LINUX_ONLY
def test_snapshot_without_a_data_figure_says_none(
    tmp_path: Path, read_from: Callable[[os.PathLike[str]], MemorySnapshot]
) -> None:
    """A kernel that reports no data pages, as gVisor's does, gives None and not 0."""
    path = tmp_path / "statm"
    path.write_text("90 20 0 0 0 0 0\n")
    taken = read_from(path)
    assert taken.heap_size_bytes is None
    assert taken.rss_bytes == 20 * os.sysconf("SC_PAGESIZE")


@LINUX_ONLY
@pytest.mark.parametrize("path", ["", "x" * 5000, "a\0b"])
def test_set_statm_path_refuses_what_is_no_path(path: str) -> None:
    """An impossible path is refused by name, and the old one stays in force."""
    with pytest.raises(luagauge.MemoryTrackingError, match="cannot be a path"):
        _binding.set_statm_path(path)
    assert luagauge.snapshot().rss_bytes > MIB


def test_describe_probe_names_this_platform() -> None:
    """The description names the platform and the source of both figures."""
    described = _binding.describe_probe()
    assert described.platform == {"linux": "linux", "darwin": "macos", "win32": "windows"}[sys.platform]
    assert described.rss
    assert described.heap


@pytest.mark.real_malloc
def test_heap_in_use_follows_an_allocation() -> None:
    """The allocator's own figure grows by what is allocated, or the platform is said to have none."""
    if _binding.describe_probe().heap_in_use is None:
        with pytest.raises(PlatformUnavailableError):
            _binding.heap_in_use_bytes()
        return
    before = _binding.heap_in_use_bytes()
    kept = b"x" * (40 * MIB)
    grown = _binding.heap_in_use_bytes() - before
    assert len(kept) <= grown < len(kept) + MIB


PRELOADED = """
#include <stddef.h>
#include <string.h>
static _Alignas(16) char memory[256 << 20];
static size_t used;
void *malloc(size_t size) {
  size_t at = __atomic_fetch_add(&used, (size + 31) / 16 * 16, __ATOMIC_RELAXED);
  if (size > sizeof memory || at > sizeof memory - size - 32) return NULL;
  memcpy(memory + at, &size, sizeof size);
  return memory + at + 16;
}
void *calloc(size_t count, size_t size) { return size && count > sizeof memory / size ? NULL : malloc(count * size); }
void *realloc(void *block, size_t size) {
  void *moved = malloc(size);
  size_t old = 0;
  if (block) memcpy(&old, (char *)block - 16, sizeof old);
  if (moved && block) memcpy(moved, block, old < size ? old : size);
  return moved;
}
void free(void *block) { (void)block; }
"""


@LINUX_ONLY
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it puts an allocator in front of glibc's")
@pytest.mark.skipif(shutil.which(COMPILER[0]) is None, reason="it compiles that allocator")
def test_heap_in_use_behind_a_preloaded_allocator_is_unavailable(tmp_path: Path) -> None:
    """When malloc is not glibc's, glibc's figure would be about something else, so there is none."""
    source, library = tmp_path / "preloaded.c", tmp_path / "preloaded.so"
    source.write_text(PRELOADED)
    subprocess.run([*COMPILER, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    code = """
        from luagauge import PlatformUnavailableError, _binding
        try:
            _binding.heap_in_use_bytes()
        except PlatformUnavailableError as error:
            print(_binding.describe_probe().heap_in_use, error.os_error)
    """
    preload = f"{os.environ.get('LD_PRELOAD', '')}:{library}"  # a sanitizer that is there must stay first
    assert run_python(code, LD_PRELOAD=preload) == "None None"
