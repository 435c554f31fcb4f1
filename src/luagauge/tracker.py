"""The memory of the whole process, before and after.

What is measured here is everything that the process holds, whichever thread or library took it. It
is never the memory of one script. For that see `ScriptResult.memory`.
"""

from __future__ import annotations

import functools
import math

from luagauge import _binding
from luagauge._annotations import TYPE_CHECKING, typing
from luagauge._shutdown import until_exit
from luagauge.config import MemoryTrackingConfig
from luagauge.errors import ConfigurationError, InvalidDataError, MemoryTrackingError
from luagauge.results import MemoryDelta, MemorySnapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import ParamSpec, TypeVar, final

    _P = ParamSpec("_P")
    _R = TypeVar("_R")
else:

    def final(kind: type) -> type:
        """Do what `typing.final` does."""
        kind.__final__ = True
        return kind


BYTES_PER_MIB = 1_048_576


class MemoryTracker:
    """Takes snapshots of the process and tells what changed between two of them.

    Every method returns None where it has no figure. Then tracking is disabled, or a failure was
    ignored (`on_error="ignore"`), or the method was given a None that came about in one of these
    ways. Several threads may use one tracker.

    Example:
        >>> tracker = MemoryTracker()
        >>> before = tracker.snapshot()
        >>> kept = b"x" * (96 * 1024 * 1024)
        >>> delta = tracker.calculate_delta(before, tracker.snapshot())
        >>> 90 < tracker.delta_to_mb(delta) < 110
        True
    """

    __slots__ = ("_config",)
    _failure = Exception  # a built-in name may be gone when Python shuts down

    @until_exit
    def __init__(self, config: MemoryTrackingConfig | None = None) -> None:
        """Take the configuration. None stands for `MemoryTrackingConfig()`.

        Raises:
            ConfigurationError: `config` is something else.
        """
        if config is not None and not isinstance(config, MemoryTrackingConfig):
            raise ConfigurationError("config", config, "give a MemoryTrackingConfig or None")
        self._config = MemoryTrackingConfig() if config is None else config

    @property
    def config(self) -> MemoryTrackingConfig:
        """The configuration it was made with."""
        return self._config

    def snapshot(self) -> MemorySnapshot | None:
        """Take one reading of this process.

        Returns:
            Bytes and monotonic seconds, or None (see the class).

        Raises:
            PlatformUnavailableError: This OS has no probe, or hides what the probe reads.
            MeasurementFailedError: The OS refused; `os_error` carries its code.
            InvalidDataError: The OS answered with something that cannot be its memory.

        Source:
            Linux: proc(5), /proc/self/statm. macOS: `task_info`. Windows: `GetProcessMemoryInfo`.
        """
        if not self._config.enabled:
            return None
        try:
            return _binding.snapshot()
        except self._failure as error:  # until_exit() itself would cost each reading a call more
            self._ignore(error)
            return None

    @until_exit
    def calculate_delta(self, before: MemorySnapshot | None, after: MemorySnapshot | None) -> MemoryDelta | None:
        """Return what changed from `before` to `after`, in bytes and seconds.

        Shrinking is negative.

        Raises:
            InvalidDataError: One of them is no snapshot, or holds figures that no snapshot can
                hold. Or `before` was taken after `after`.
        """
        if before is None or after is None:
            return None
        try:
            _check_order(before, after)
        except MemoryTrackingError as error:
            self._ignore(error)
            return None
        heap = None
        if before.heap_size_bytes is not None and after.heap_size_bytes is not None:
            heap = after.heap_size_bytes - before.heap_size_bytes
        return MemoryDelta(heap, after.rss_bytes - before.rss_bytes, after.timestamp - before.timestamp)

    @until_exit
    def delta_to_mb(self, delta: MemoryDelta | None, *, of: typing.Literal["rss", "heap"] = "rss") -> float | None:
        """Return one figure of a delta in MiB (1,048,576 bytes), signed.

        A change smaller than `min_delta_mb`, up or down, is 0.0.

        Args:
            delta: What `calculate_delta` or `measure` gave.
            of: `"rss"` or `"heap"`. Every platform has the first. The second is None where the OS
                has no such figure.

        Raises:
            InvalidDataError: `delta` is no `MemoryDelta`, or holds a figure that is no number of
                bytes.
            ConfigurationError: `of` is something else.
        """
        if of not in ("rss", "heap"):
            raise ConfigurationError("of", of, 'give "rss" or "heap"')
        if delta is None:
            return None
        try:
            _check_delta(delta)
        except MemoryTrackingError as error:
            self._ignore(error)
            return None
        size_bytes = delta.rss_delta_bytes if of == "rss" else delta.heap_delta_bytes
        if size_bytes is None:
            return None
        size_mb = size_bytes / BYTES_PER_MIB
        return size_mb if abs(size_mb) >= self._config.min_delta_mb else 0.0

    @until_exit
    def heap_in_use_bytes(self) -> int | None:
        """Ask the C allocator how many bytes it has handed out and not got back.

        A snapshot does not include this figure, because the C allocator visits every free chunk to
        find it. That takes from a microsecond to tens of milliseconds, with the allocator locked.
        Memory that does not come from malloc, such as CPython's small objects, is not counted.

        Raises:
            PlatformUnavailableError: The allocator cannot say (musl, glibc before 2.33, a
                preloaded one, Windows).
            InvalidDataError: The allocator said something that cannot be true.

        Source:
            glibc: `mallinfo2`. macOS: `malloc_zone_statistics`.
        """
        if not self._config.enabled:
            return None
        try:
            return _binding.heap_in_use_bytes()
        except MemoryTrackingError as error:
            self._ignore(error)
            return None

    @until_exit
    def measure(self) -> Measurement:
        """Return a `Measurement`, a context manager and decorator that takes both snapshots.

        Example:
            >>> with MemoryTracker().measure() as measurement:
            ...     kept = b"x" * (96 * 1024 * 1024)
            >>> measurement.delta.rss_delta_bytes > 90_000_000
            True
        """
        return Measurement(self)

    @until_exit
    def _ignore(self, error: Exception) -> None:
        """Raise `error` unless it is a failure that is to be ignored."""
        if self._config.on_error == "raise" or not isinstance(error, MemoryTrackingError):
            raise error


@final
class Measurement:
    """The memory of the process before and after a block, or each call of a function.

    As a decorator it takes ordinary and async functions. It is then also the attribute
    `measurement` of the decorated function. No type checker sees that attribute, so keep the
    object for those. It holds the figures of the call that ended last, from whichever thread.

    Blocks may nest, in one thread. When the block or the call raises, both snapshots are still
    taken. If the second one cannot be taken, the exception of the block or call is raised all the
    same.

    Attributes:
        before: The snapshot at the start. None until then, and where there was none to have.
        after: The snapshot at the end. None until then, and where there was none to have.
        delta: What changed. None until both are there, and where there was none to have.
    """

    __slots__ = ("_open", "_tracker", "after", "before", "delta")

    def __init__(self, tracker: MemoryTracker) -> None:
        """Take the tracker that reads and compares."""
        self._tracker = tracker
        self._open: list[MemorySnapshot | None] = []
        self.before: MemorySnapshot | None = None
        self.after: MemorySnapshot | None = None
        self.delta: MemoryDelta | None = None

    def __enter__(self) -> Measurement:
        """Take the first snapshot."""
        self._open.append(self._tracker.snapshot())
        self.before, self.after, self.delta = self._open[-1], None, None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the second snapshot and compare."""
        self._finish(self._open.pop(), failed=error is not None)

    @until_exit
    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Return `function` with every call measured.

        Raises:
            ConfigurationError: It cannot be called. Or it is a generator function, a call of which
                only makes the generator.
        """
        if not callable(function):
            raise ConfigurationError("function", function, "give a function to decorate")
        import inspect  # noqa: PLC0415 - takes longer to load than the rest of this package

        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            remedy = "a call only makes the generator; put `with tracker.measure()` around the loop"
            raise ConfigurationError("function", function, remedy)
        wrapper = self._wrap_async(function) if inspect.iscoroutinefunction(function) else self._wrap(function)
        wrapper.measurement = self
        wrapped: Callable[_P, _R] = wrapper
        return wrapped

    def _wrap(self, function: Callable[..., typing.Any]) -> typing.Any:
        @functools.wraps(function)
        def measured(*args: object, **kwargs: object) -> object:
            before = self._tracker.snapshot()
            failed = True
            try:
                result = function(*args, **kwargs)
                failed = False
            finally:
                self._finish(before, failed=failed)
            return result

        return measured

    def _wrap_async(self, function: Callable[..., typing.Any]) -> typing.Any:
        @functools.wraps(function)
        async def measured(*args: object, **kwargs: object) -> object:
            before = self._tracker.snapshot()
            failed = True
            try:
                result = await function(*args, **kwargs)
                failed = False
            finally:
                self._finish(before, failed=failed)
            return result

        return measured

    def _finish(self, before: MemorySnapshot | None, *, failed: bool) -> None:
        """Take the second snapshot and store all three. Never replace an exception on its way."""
        after = delta = None
        try:
            after = self._tracker.snapshot()
            delta = self._tracker.calculate_delta(before, after)
        except MemoryTrackingError:
            if not failed:
                raise
        finally:
            self.before, self.after, self.delta = before, after, delta


def _check_order(before: MemorySnapshot, after: MemorySnapshot) -> None:
    """Raise InvalidDataError unless both are snapshots and the second is not the older one."""
    _check_snapshot("before", before)
    _check_snapshot("after", after)
    if before.timestamp > after.timestamp:
        seconds = before.timestamp - after.timestamp
        raise InvalidDataError(f"before was taken {seconds:g} s later than after; give them the other way round")


def _check_snapshot(name: str, value: object) -> None:
    """Raise InvalidDataError unless `value` is a snapshot with figures that a process can have."""
    if not isinstance(value, MemorySnapshot):
        raise InvalidDataError(f"{name} is {value!r}: it must be a MemorySnapshot")
    sizes = [value.rss_bytes] if value.heap_size_bytes is None else [value.rss_bytes, value.heap_size_bytes]
    if not all(_is_int(size) and size >= 0 for size in sizes):
        raise InvalidDataError(f"{name} is {value!r}: its sizes must be whole numbers of bytes, 0 or more")
    if not isinstance(value.timestamp, float) or not math.isfinite(value.timestamp):
        raise InvalidDataError(f"{name} is {value!r}: its timestamp must be a finite float, in seconds")


def _check_delta(value: object) -> None:
    """Raise InvalidDataError unless `value` is a delta with whole numbers of bytes."""
    if not isinstance(value, MemoryDelta):
        raise InvalidDataError(f"{value!r}: it must be a MemoryDelta")
    if not _is_int(value.rss_delta_bytes) or not (value.heap_delta_bytes is None or _is_int(value.heap_delta_bytes)):
        raise InvalidDataError(f"{value!r}: its changes must be whole numbers of bytes")


def _is_int(value: object) -> bool:
    """Tell whether `value` is an int and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)
