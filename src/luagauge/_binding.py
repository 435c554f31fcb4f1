"""The only importer of the two extension modules: joins them, and turns their statuses into exceptions."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

from luagauge import _fast
from luagauge._annotations import TYPE_CHECKING, typing
from luagauge._callbacks import callbacks
from luagauge._native import ffi, lib
from luagauge._values import dataclass
from luagauge.config import AWAIT_REMEDY
from luagauge.errors import (
    ConfigurationError,
    EngineBusyError,
    EngineClosedError,
    InstructionLimitExceeded,
    InvalidDataError,
    LuaGaugeError,
    MeasurementFailedError,
    MemoryLimitExceeded,
    MemoryTrackingError,
    OutputLimitExceeded,
    PlatformUnavailableError,
    ScriptError,
    ScriptInterruptedError,
    ScriptRuntimeError,
    ScriptSerializationError,
    ScriptSyntaxError,
    ScriptTimeoutError,
)
from luagauge.results import LogEntry, MemoryDelta, MemorySnapshot, ScriptMemory, ScriptResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from luagauge.config import ScriptConfig

# --- statuses ---------------------------------------------------------------------------------------------------------


def status_error(status: int, os_error: int, what: str) -> LuaGaugeError | MemoryError:
    """Return the exception that a probe's status stands for.

    Args:
        status: An `enum lg_status` other than LG_OK.
        os_error: The OS's own code, or 0 where no OS call failed.
        what: What was attempted, as a noun phrase.
    """
    code = os_error or None
    reason = f" ({_os_error_text(os_error)})" if os_error else ""
    if status == lib.LG_UNSUPPORTED:
        return PlatformUnavailableError(f"{what} is not possible on this platform{reason}", os_error=code)
    if status == lib.LG_OS_ERROR:
        return MeasurementFailedError(f"{what} failed{reason}", os_error=code)
    if status == lib.LG_BAD_DATA:
        return InvalidDataError(f"{what} failed: the operating system's answer cannot be true{reason}", os_error=code)
    if status == lib.LG_NO_MEMORY:
        return MemoryError(f"{what} failed: out of memory")
    return LuaGaugeError(f"{what} failed with status {status}{reason}")


def _os_error_text(os_error: int) -> str:
    """Name an OS error code in the terms of its platform."""
    if sys.platform == "darwin":
        return f"kern_return_t {os_error}"
    if sys.platform == "win32":
        return f"Windows error {os_error}"
    return f"errno {os_error}: {os.strerror(os_error)}"


# --- the outcome of a run ---------------------------------------------------------------------------------------------

_MIB = 1048576
_SIGNALS = 1 << 16  # more than any platform has
MAX_DEPTH = int(lib.LG_WIRE_MAX_DEPTH)


def serialization_error(why: str, path: str) -> ScriptSerializationError:
    """Return the error for a value that cannot enter Lua."""
    return ScriptSerializationError(why, path=path)


def foreign_form(value: object, root: str) -> dict[typing.Any, typing.Any] | str:
    """Return what a value of no plain type is to Lua; called by _fast.

    Args:
        value: No None, bool, int, float, str, bytes, list, tuple or dict.
        root: What paths of refused values start with: `""` for a context, `"return value"` for a host function's.

    Returns:
        A dict of what a mapping holds; for anything else, why it has no form in Lua.
    """
    if isinstance(value, Mapping):
        return dict(value)
    import inspect  # noqa: PLC0415 - takes longer to load than the rest of this package

    if inspect.isawaitable(value) or inspect.isasyncgen(value):
        # Nobody will ever await what a host function returned, and Python would warn of that.
        if root and inspect.iscoroutine(value) and inspect.getcoroutinestate(value) == inspect.CORO_CREATED:
            value.close()
        name = getattr(value, "__qualname__", None)
        return (
            f"a value of type {_type_name(value)}{f' ({name})' if name else ''} is not awaited here; give its result; "
            f"{AWAIT_REMEDY}"
        )
    return (
        f"a value of type {_type_name(value)} has no form in Lua; use None, bool, int, float, str, bytes, list, tuple, "
        "dict or another mapping"
    )


def key_refusal(key: object) -> str:
    """Return why a key of no plain type cannot be one in Lua; called by _fast."""
    return f"a key of type {_type_name(key)} has no form in Lua; use str, bytes, int, float or bool"


def _type_name(value: object) -> str:
    """Name a value's type, with its module where it is none of Python's own."""
    kind = type(value)
    module = getattr(kind, "__module__", None)
    return kind.__qualname__ if module in (None, "builtins") else f"{module}.{kind.__qualname__}"


def run_error(
    config: ScriptConfig,
    outcome: int,
    message: str | bytes,
    line: int,
    traceback: str | bytes,
    path: str | bytes,
    figures: tuple[int, int, int, int],
    cause: BaseException | None,
) -> ScriptError:
    """Return the error of a run that did not end well; called by _fast.

    Args:
        config: The engine's.
        outcome: An `enum lg_outcome` other than LG_RUN_OK.
        message: The core's text, where the outcome has one.
        line: Line of the script, 0 where unknown. For LG_RUN_DATA: 1 where a key is meant, not a value.
        traceback: Lua's, or empty.
        path: Inside the output, such as `[3].name`.
        figures: Bytes at the start, bytes at the peak or asked for beyond it, bytes of output so far, OS error.
        cause: The exception of a host function that ended the run.

    Raises:
        BaseException: `cause`, where it is none that a script may swallow.
    """
    text = message if isinstance(message, str) else message.decode("utf-8", "backslashreplace")
    trace = traceback if isinstance(traceback, str) else traceback.decode("utf-8", "backslashreplace")
    error = _simple_error(config, outcome, text, line, figures)
    if error is None and outcome == lib.LG_RUN_CALLBACK:
        raise cause if cause is not None else KeyboardInterrupt
    where = path if isinstance(path, str) else path.decode("utf-8", "backslashreplace")
    if error is None and outcome == lib.LG_RUN_DATA:
        error = ScriptSerializationError(_not_data(text, is_key=bool(line)), path=f"output{where}")
    if error is None:
        error = ScriptRuntimeError(text, line=line or None, traceback=trace or None)
    if outcome not in (lib.LG_RUN_SYNTAX, lib.LG_RUN_DATA):  # of data `line` says something else
        error.line, error.traceback = line or None, trace or None
    error.__cause__ = cause
    return error


def _simple_error(
    config: ScriptConfig, outcome: int, text: str, line: int, figures: tuple[int, int, int, int]
) -> ScriptError | None:
    """Return the error of an outcome that its figures describe, None for the others."""
    start, peak, output, os_error = figures
    if outcome == lib.LG_RUN_SYNTAX:
        return ScriptSyntaxError(text, line=line or None)
    if outcome == lib.LG_RUN_MEMORY:
        return MemoryLimitExceeded((peak - start) / _MIB, float(config.memory_limit_mb or 0))
    if outcome == lib.LG_RUN_NO_MEMORY:
        return ScriptRuntimeError("the operating system refused memory", line=line or None)
    if outcome == lib.LG_RUN_TIMEOUT:
        return ScriptTimeoutError(float(config.timeout_ms or 0))
    if outcome == lib.LG_RUN_CPU:
        return ScriptTimeoutError(float(config.cpu_time_ms or 0), clock="cpu")
    if outcome in (lib.LG_RUN_BUDGET, lib.LG_RUN_STILL):
        return InstructionLimitExceeded(config.max_instructions or 0, stalled=outcome == lib.LG_RUN_STILL)
    if outcome == lib.LG_RUN_INTERRUPTED:
        return ScriptInterruptedError()
    if outcome == lib.LG_RUN_OUTPUT:
        return OutputLimitExceeded(output, config.max_output_size)
    if outcome == lib.LG_RUN_UNWATCHED:
        return ScriptRuntimeError(f"no watchdog could be set up, so nothing was run: {_os_error_text(os_error)}")
    return None


def _not_data(what: str, *, is_key: bool) -> str:
    """Say what is wrong with a value of the output."""
    if what == "cycle":
        return "a table contains itself; return plain data"
    if what == "depth":
        return f"tables are nested deeper than {MAX_DEPTH} levels; return flatter data"
    kind = "a key" if is_key else "a value"
    return f"{kind} of type {what} is not plain data; return nil, booleans, numbers, strings and tables of these"


# --- the join ---------------------------------------------------------------------------------------------------------

_fast.bind(int(ffi.cast("uintptr_t", lib.lg_core_get())))
# What _fast makes and calls, by the names that csrc/fast/fastmodule.c lists.
FAST_OBJECTS: dict[str, object] = {
    "status_error": status_error,
    "serialization_error": serialization_error,
    "foreign_form": foreign_form,
    "key_refusal": key_refusal,
    "run_error": run_error,
    "EngineBusyError": EngineBusyError,
    "EngineClosedError": EngineClosedError,
    "MemorySnapshot": MemorySnapshot,
    "MemoryDelta": MemoryDelta,
    "LogEntry": LogEntry,
    "ScriptMemory": ScriptMemory,
    "ScriptResult": ScriptResult,
}
_fast.set_types(FAST_OBJECTS)

# --- Lua states -------------------------------------------------------------------------------------------------------


def resolve_lua(instance: str, path: str) -> tuple[int, str, str]:
    """Find the Lua C API in a module, which is loaded if it was not.

    Args:
        instance: `"lua54"` and the like.
        path: The module's file.

    Returns:
        The address of the core's calls for that Lua, `""`, and its exact release (`"Lua 5.4.8"`, `""` where it does not
        say); or 0, why not in words (`"lua_gettop is missing"`), and `""`.

    Raises:
        OSError: The module cannot be loaded; the system's reason is its text.
    """
    return _fast.resolve(instance, path)


def new_state(
    ops: int,
    config: ScriptConfig,
    main_thread: int,
    internal: Mapping[str, Callable[..., typing.Any]] = MappingProxyType({}),
) -> _fast.State:
    """Make a Lua state with a config's limits.

    Args:
        ops: What `resolve_lua` returned.
        config: The limits, which csrc/fast/settings.c reads by their names; functions and environment.
        main_thread: The identity of Python's main thread, in which runs look for signals.
        internal: Host functions for the library only (csrc/stdlib/files.h), by names with a dot.

    Raises:
        MemoryError: There is not enough for a Lua state.
    """
    environment = tuple(text for pair in config.environment_variables.items() for text in pair)
    functions = {**config.functions, **callbacks(config), **internal}
    names, calls = tuple(functions), tuple(functions.values())
    return _fast.state(ops, names, calls, environment, config, main_thread)


def use_signal(signum: int) -> None:
    """Let runs that are due be told by another signal than SIGURG, for a host that needs that one for itself.

    The signal tells a run's own thread, never another one's. What handler the host has for it goes on being called for
    signals that are not luagauge's; its default action is not taken any more.

    Args:
        signum: Such as `signal.SIGUSR2` or `signal.SIGRTMIN`. None that stands for an error of the process, or cannot
            be handled.

    Raises:
        ConfigurationError: It is no such signal, or a script has run already, with another one.
        PlatformUnavailableError: This platform uses no signals.

    Example:
        >>> import signal
        >>> use_signal(signal.SIGUSR2)  # doctest: +SKIP
    """
    number = signum if isinstance(signum, int) and not isinstance(signum, bool) else 0
    status = lib.lg_watch_use_signal(number if 0 < number < _SIGNALS else 0)
    if status == lib.LG_BAD_ARGUMENT:
        raise ConfigurationError("signum", signum, "give a signal that may be handled, such as signal.SIGUSR2")
    if status != lib.LG_OK and sys.platform == "win32":
        raise PlatformUnavailableError("runs are not told by a signal on this platform")
    if status != lib.LG_OK:
        raise ConfigurationError("signum", signum, "call use_signal() before the first script runs")


# --- the process probe ------------------------------------------------------------------------------------------------

snapshot = _fast.snapshot


@dataclass(frozen=True, slots=True)
class ProbeDescription:
    """What the figures of this build's probe are, for people; None where there is no such figure.

    Attributes:
        platform: `"linux"`, `"macos"`, `"windows"` or `"unsupported"`.
        rss: Where `rss_bytes` comes from.
        heap: Where `heap_size_bytes` comes from.
        heap_in_use: Where `heap_in_use_bytes` looks, on this machine.
    """

    platform: str
    rss: str | None
    heap: str | None
    heap_in_use: str | None


def describe_probe() -> ProbeDescription:
    """Return what this platform's probe measures and how; takes no reading."""
    out = ffi.new("struct lg_probe_description *")
    lib.lg_probe_describe(out)
    texts = (out.rss, out.heap, out.heap_in_use)
    rss, heap, heap_in_use = (None if text == ffi.NULL else ffi.string(text).decode() for text in texts)
    return ProbeDescription(ffi.string(out.platform).decode(), rss, heap, heap_in_use)


def heap_in_use_bytes() -> int:
    """Return the bytes that the C allocator has handed out and not got back; gives up the GIL meanwhile.

    Raises:
        PlatformUnavailableError: This platform's allocator cannot say.
        InvalidDataError: It said something that cannot be true.
    """
    out, os_error = ffi.new("int64_t *"), ffi.new("int *")
    status = lib.lg_probe_heap_in_use(out, os_error)
    if status != lib.LG_OK:
        raise status_error(status, os_error[0], "asking the C allocator for its bytes in use")
    return int(out[0])


def set_statm_path(path: str | os.PathLike[str] | None) -> None:
    """Let the Linux probe read another file in place of /proc/self/statm; None goes back to that.

    Not while another thread takes a snapshot.

    Raises:
        PlatformUnavailableError: This is not Linux.
        MemoryTrackingError: The path is empty, too long, or holds a NUL.
    """
    encoded = None if path is None else os.fsencode(path)
    if encoded is not None and b"\0" in encoded:
        raise MemoryTrackingError(f"{path!r} cannot be a path: it holds a NUL")
    status = lib.lg_probe_set_statm_path(ffi.NULL if encoded is None else encoded)
    if status == lib.LG_BAD_ARGUMENT:
        raise MemoryTrackingError(f"{path!r} cannot be a path: it is empty or too long")
    if status != lib.LG_OK:
        raise status_error(status, 0, "choosing the file to read the memory from")
