"""Every error that luagauge raises or reports.

Errors carry their figures as attributes. Their text is for people, and no code decides by it.
All of them survive `pickle` and `copy` with their attributes. A failure of the script is reported
in `ScriptResult.error`. Misuse of the library is raised.
"""

from __future__ import annotations

from luagauge._annotations import typing


class LuaGaugeError(Exception):
    """Root of every error of this package."""

    def __reduce__(self) -> tuple[typing.Any, ...]:
        """Rebuild from class, message and attributes.

        So no subclass is tied to the form of its constructor.
        """
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(cls: type[LuaGaugeError], args: tuple[object, ...]) -> LuaGaugeError:
    """Make an error without its constructor. What Exception.__new__ is given becomes `args`."""
    return Exception.__new__(cls, *args)


class ConfigurationError(LuaGaugeError, ValueError):
    """A setting or an argument has a value that cannot be used.

    Attributes:
        setting: The name of the setting, as the caller spells it.
        value: The value that was refused.
    """

    def __init__(self, setting: str, value: object, remedy: str) -> None:
        """Say which `setting` got which `value`, and what to give instead."""
        super().__init__(f"{setting} is {_shortened(value)}: {remedy}")
        self.setting = setting
        self.value = value

    def __reduce__(self) -> tuple[typing.Any, ...]:
        """Rebuild as any error.

        A value that cannot be pickled, such as a lambda, goes as the text that the message shows.
        """
        from pickle import dumps  # noqa: PLC0415 - `import luagauge` does without

        attributes = dict(self.__dict__)
        try:
            dumps(self.value)
        except Exception:  # noqa: BLE001 - whatever its own methods raise
            attributes["value"] = _shortened(self.value)
        return _rebuild, (type(self), self.args), attributes


class EngineStateError(LuaGaugeError, RuntimeError):
    """The engine is in a state in which the call makes no sense."""


class EngineClosedError(EngineStateError):
    """The engine was closed before the call."""

    def __init__(self, message: str = "the engine is closed; make a new LuaEngine") -> None:
        """Take a message that fits the object at hand."""
        self.args = (message,)  # not by super(): at Python's exit even built-in names may be gone


class EngineBusyError(EngineStateError):
    """The engine is running a script, and this call cannot wait for its end.

    The call came from inside that run, or it might wait for ever. A call from another thread waits
    for the run's end. It gets this error only in a forked child, where that run cannot end.
    """

    def __init__(
        self,
        message: str = "the engine is running a script, and this call cannot wait for its end: a host function or "
        "a signal handler must not call the engine whose run it is in; a forked child cannot use an engine that was "
        "running at the fork",
    ) -> None:
        """Take a message that fits the situation at hand."""
        self.args = (message,)  # as above


class MemoryTrackingError(LuaGaugeError):
    """The memory of the process could not be measured.

    Attributes:
        os_error: The operating system's own code (errno, kern_return_t or GetLastError), or None.
    """

    def __init__(self, message: str, *, os_error: int | None = None) -> None:
        """Take the message and the code of the OS call that failed, if one did."""
        super().__init__(message)
        self.os_error = os_error


class PlatformUnavailableError(MemoryTrackingError):
    """This platform or installation lacks what was asked for.

    That is a measurement, what the measurement is read from, or a Lua.
    """


class MeasurementFailedError(MemoryTrackingError):
    """The operating system refused the measurement."""


class InvalidDataError(MemoryTrackingError):
    """A measurement cannot be true.

    The data of the OS is garbled, the readings are in the wrong order, or a reading is none at
    all.
    """


class ScriptError(LuaGaugeError):
    """A script failed, was refused or was stopped.

    Attributes:
        line: The line of the script where it was, counted from 1. None where that is not known,
            for instance after a stop that threw the script's state away
            (`ScriptResult.stopped == "state"`).
        traceback: The Lua call stack at that moment as text, or None.
    """

    line: int | None = None
    traceback: str | None = None


class ScriptSyntaxError(ScriptError):
    """The source is not valid Lua.

    Attributes:
        line: The line of the source where the compiler stopped, counted from 1. None where it
            named no line.
    """

    def __init__(self, message: str, *, line: int | None = None) -> None:
        """Take the compiler's message and line."""
        super().__init__(message)
        self.line = line


class ScriptRuntimeError(ScriptError):
    """The script raised an error, or did something that Lua does not allow.

    Attributes:
        message: What was raised, as Lua words it. Lua mostly puts the script's name and the line
            in front.
        line: The line where it was raised, counted from 1, or None where that is not known.
        traceback: The Lua call stack as text, or None.
    """

    def __init__(self, message: str, *, line: int | None = None, traceback: str | None = None) -> None:
        """Take Lua's message, line and traceback."""
        super().__init__(message)
        self.message = message
        self.line = line
        self.traceback = traceback


class ScriptTimeoutError(ScriptError):
    """The script was stopped because its time was over.

    Attributes:
        timeout_ms: The time it had, in milliseconds.
        clock: `"wall"` for `timeout_ms`, `"cpu"` for `cpu_time_ms`.
    """

    def __init__(self, timeout_ms: float, *, clock: typing.Literal["wall", "cpu"] = "wall") -> None:
        """Take the limit that was passed, and the clock it is on."""
        unit, setting = ("ms", "timeout_ms") if clock == "wall" else ("ms of CPU time", "cpu_time_ms")
        super().__init__(f"the script was still running after its {timeout_ms:g} {unit}; raise {setting} or do less")
        self.timeout_ms = timeout_ms
        self.clock = clock


class ScriptInterruptedError(ScriptError):
    """The script was stopped by `LuaEngine.interrupt()`, as the command line does at Ctrl-C."""

    def __init__(self, message: str = "the script was interrupted") -> None:
        """Take a message that says by what."""
        super().__init__(message)


class ScriptSerializationError(ScriptError):
    """A value cannot cross between Python and Lua.

    Attributes:
        path: Where the value stands, such as `request.items[3].when`.
    """

    def __init__(self, message: str, *, path: str) -> None:
        """Take what is wrong with the value, and where it stands."""
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class SecurityViolation(ScriptError):
    """The script went over a limit or tried what it may not do."""


class MemoryLimitExceeded(SecurityViolation, MemoryError):
    """The script needed more memory than it may have.

    Attributes:
        used_mb: What the script used or asked for, in MiB (1,048,576 bytes).
        limit_mb: What the script may use, in MiB.
    """

    def __init__(self, used_mb: float, limit_mb: float) -> None:
        """Take both figures in MiB."""
        used, limit = f"{used_mb:.6g} MiB", f"{limit_mb:.6g} MiB"
        if used == limit or limit_mb < _SMALL_MB:
            used, limit = f"{used_mb * _BYTES_PER_MIB:,.0f} bytes", f"{int(limit_mb * _BYTES_PER_MIB):,}"
        super().__init__(f"the script needed {used}, over its limit of {limit}; raise memory_limit_mb or keep less")
        self.used_mb = used_mb
        self.limit_mb = limit_mb


class InstructionLimitExceeded(SecurityViolation):
    """The script executed more instructions than it may, or none for too long.

    Attributes:
        limit: `max_instructions`.
        stalled: True where the script executed none for 100 ms of CPU time. It was in a single
            long step of Lua's own. Where neither `timeout_ms` nor `cpu_time_ms` is set, it may
            also have been in a call of a library function, such as a long sort.
    """

    def __init__(self, limit: int, *, stalled: bool = False) -> None:
        """Take the limit, and whether the count stood still below it."""
        count = f"{limit} instruction{'' if limit == 1 else 's'}"
        if stalled:
            message = (
                f"the script, limited to {count}, executed none for 100 ms of CPU time; do less in one step, or set "
                "timeout_ms alone and leave max_instructions out"
            )
        else:
            message = f"the script went over its {count}; raise max_instructions or do less"
        super().__init__(message)
        self.limit = limit
        self.stalled = stalled


class OutputLimitExceeded(SecurityViolation):
    """The script's result is larger than it may be.

    Attributes:
        size_bytes: The size that the result had reached when the limit was noticed. The whole may
            be larger.
        limit_bytes: The size that the result may have.
    """

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        """Take both figures in bytes."""
        super().__init__(
            f"the result takes at least {size_bytes} bytes, over its limit of {limit_bytes}; "
            "raise max_output_size or return less"
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


def _shortened(value: object) -> str:
    """Return `repr(value)`, cut if it is long. For a value without a repr, return its type."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - an int of too many digits, or whatever a __repr__ raises
        return f"an unprintable {type(value).__name__}"
    return text if len(text) <= _MAX_REPR else f"{text[:_MAX_REPR]}..."


_BYTES_PER_MIB = 1_048_576
_MAX_REPR = 80
_SMALL_MB = 0.1  # below, bytes are easier to read
