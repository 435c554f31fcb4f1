"""What can be set.

Every value is checked when the object is made. A wrong one is a `ConfigurationError`.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from luagauge._annotations import dt, typing
from luagauge._shutdown import until_exit
from luagauge._values import dataclass, field
from luagauge.errors import ConfigurationError
from luagauge.results import LogEntry

LUA_VERSIONS = ("5.1", "5.2", "5.3", "5.4", "5.5", "luajit2.0", "luajit2.1")
"""The names that `ScriptConfig.lua` takes. `luagauge doctor` says which of them are there."""

SEEDS = (-(1 << 63), (1 << 64) - 1)
"""The least and the largest `ScriptConfig.random_seed`: what 64 bits hold, with a sign or without."""

_LUA_WORDS = frozenset(
    [
        "and",
        "break",
        "do",
        "else",
        "elseif",
        "end",
        "false",
        "for",
        "function",
        "global",
        "goto",
        "if",
        "in",
        "local",
        "nil",
        "not",
        "or",
        "repeat",
        "return",
        "then",
        "true",
        "until",
        "while",
    ]
)
AWAIT_REMEDY = (
    "in a run that is itself awaited on an event loop `loop`, the function can wait for it with "
    "asyncio.run_coroutine_threadsafe(coroutine, loop).result()"
)
_GLOBALS_WITH_A_MEANING = frozenset(["_ENV", "_G", "context", "result"])  # a function there would break or be lost
_MAX_COUNT = (1 << 62) - 1
_MAX_MB = 1 << 43  # 2**63 bytes
_MAX_MS = 1e12  # 31 years
_YEAR_1, _YEAR_9999 = -62135596800, 253402300799  # the first second and the last, in UTC


@dataclass(frozen=True, slots=True)
class MemoryTrackingConfig:
    """How a `MemoryTracker` behaves.

    Attributes:
        enabled: False: no reading is ever taken, and what would take one answers None.
        on_error: `"raise"`: a failed measurement raises. `"ignore"`: the answer is None instead,
            for hosts that would rather run without figures than not run.
        min_delta_mb: Changes of less than this many MiB (1,048,576 bytes), up or down, count as
            noise. They become 0.0 in `MemoryTracker.delta_to_mb`. The deltas themselves are never
            altered. 0.0 keeps everything.

    Raises:
        ConfigurationError: A value is not one of these.
    """

    enabled: bool = True
    on_error: typing.Literal["raise", "ignore"] = "raise"
    min_delta_mb: float = 0.0

    @until_exit
    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.enabled, bool):
            raise ConfigurationError("enabled", self.enabled, "give True or False")
        if self.on_error not in ("raise", "ignore"):
            raise ConfigurationError("on_error", self.on_error, 'give "raise" or "ignore"')
        number = isinstance(self.min_delta_mb, (int, float)) and not isinstance(self.min_delta_mb, bool)
        if not number or not math.isfinite(self.min_delta_mb) or self.min_delta_mb < 0:
            raise ConfigurationError("min_delta_mb", self.min_delta_mb, "give a finite number of MiB, 0 or more")


def _check_number(name: str, value: object, unit: str, *, upper: float) -> None:
    """Refuse anything but a number above 0 and below `upper`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < upper:
        raise ConfigurationError(name, value, f"give {unit} above 0 and below {upper:g}, or None")


def _check_count(name: str, value: object, *, lower: int = 0, or_none: str = "") -> None:
    """Refuse anything but a whole number from `lower` to _MAX_COUNT."""
    if not isinstance(value, int) or isinstance(value, bool) or not lower <= value <= _MAX_COUNT:
        raise ConfigurationError(name, value, f"give a whole number from {lower} to {_MAX_COUNT}{or_none}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptConfig:
    """What the scripts of a `LuaEngine` may use, and what is measured.

    Attributes:
        lua: The Lua version, one of `LUA_VERSIONS`.
        timeout_ms: Wall time that a run may take, in milliseconds. Compiling and reading the
            output are included. None: no deadline.
        cpu_time_ms: CPU time that a run may use on its thread, in milliseconds. Host functions are
            included. None: no limit.
        max_instructions: How many Lua VM instructions a run may execute. The same script ends
            after the same number each time. None: no limit. Instructions are counted in steps of 100, and a resumed
            coroutine costs one step more. Counting slows every instruction: 1.4 to 2.5 times on
            5.4, 5.5 and LuaJIT, little on 5.1 to 5.3. A run that executes no instruction for 100
            ms of CPU time ends as well. This always holds in a single long step of Lua's own. In a
            library function, such as a long sort, it holds only where neither `timeout_ms` nor
            `cpu_time_ms` is set, because either of them ends such a run.
        deadline_includes_callbacks: False: `timeout_ms` stands still while a host function runs.
        hard_stop: What happens to a run that was told to end but goes on in a single long step of
            Lua's own. True: after 5 ms of its thread's CPU time the run's Lua state is thrown
            away, and the engine goes on with an image of what it was before the run. False: the
            run goes on until the step is over (SECURITY.md). `EngineStats` says where there is no
            such stop.
        memory_limit_mb: How much the Lua heap may grow in a run, in MiB (1,048,576 bytes). None:
            no limit.
        max_output_size: How many bytes the output may take. A number takes 9, and so does a table,
            and so do several results together. A string takes its bytes and at most 9 more.
            Anything else takes 1. The same bound holds for the arguments of one call of a host
            function.
        max_log_entries: How many entries `print` and `log` may make in a run. Further ones are
            counted and dropped.
        max_log_size: How many bytes all log messages of a run may take together.
        allow_filesystem: True gives scripts `io.open`, files by name in `io.lines`, `io.input` and
            `io.output`, and `os.remove`, `os.rename` and `os.tmpname`. It also gives them
            `loadfile`, `dofile` and modules for `require`, for source text only. All of these work
            below `filesystem_directories` and nowhere else. Symbolic links are not followed.
        filesystem_directories: The directories for `allow_filesystem`. Relative paths of scripts
            start at the first. Where a path leads to its directory by a symbolic link, the config
            holds the directory's own path, and absolute paths of scripts may begin with either.
        environment_variables: All that `os.getenv` sees.
        functions: Python callables, by the global name under which a script may call them. They
            get and return plain data. An exception becomes a Lua error. They run on the thread of
            the run, and their time counts. Async functions are refused, because a run awaits
            nothing.
        random_seed: What `math.random` of each run begins with, a whole number of at most 64 bits:
            the run sees the numbers that follow `math.randomseed(random_seed)`. The same script on
            the same input then gets the same numbers in every run and every engine of that Lua.
            None: on 5.4 and 5.5 each run gets other numbers, before 5.4 and on LuaJIT the same
            ones. docs/replay.md says what else repeats.
        clock: What `os.time()`, `os.date()` and `os.clock()` read. A number of seconds since the
            epoch, or a datetime with a time zone: the clock stands still at that moment. A
            callable without arguments: it is called at each reading, under the rules of
            `functions`, and returns seconds since the epoch, from year 1 to 9999. `os.clock()` is
            the seconds on this clock since the run first read it, so 0 where it stands still.
            `os.date` shows the time zone of the process, as always. None: the real clocks. Limits
            of time and the times of log entries never use this clock.
        on_log: A callable that gets each `LogEntry` as it comes, while the run is on, under the
            rules of `functions`. The entry is in `ScriptResult.logs` all the same. Entries beyond
            the bounds are dropped, and not handed on. The message of an entry is bytes where it is
            not UTF-8. What it returns is not looked at. None: the entries are in the result only.
        memory_tracking: Whether and how the process is measured around each run. With
            `enabled=False`, `memory_used_mb` and `memory` are None. Limits hold all the same. A
            config of your own raises what fails, unless it says `on_error="ignore"`.
            `min_delta_mb` is for trackers only.

    Raises:
        ConfigurationError: A value cannot be used. The error names the field and what would be
            right.

    Example:
        >>> from dataclasses import replace
        >>> strict = ScriptConfig(memory_limit_mb=16, timeout_ms=250)
        >>> replace(strict, lua="5.1").memory_limit_mb
        16
        >>> ScriptConfig(timeout_ms=0)
        Traceback (most recent call last):
        luagauge.errors.ConfigurationError: timeout_ms is 0: give milliseconds above 0 and below 1e+12, or None
    """

    lua: str = "5.4"
    timeout_ms: float | None = 5000
    cpu_time_ms: float | None = None
    max_instructions: int | None = None
    deadline_includes_callbacks: bool = True
    hard_stop: bool = True
    memory_limit_mb: float | None = 100
    max_output_size: int = 1 << 20
    max_log_entries: int = 1000
    max_log_size: int = 1 << 20
    allow_filesystem: bool = False
    filesystem_directories: Sequence[str | os.PathLike[str]] = ()
    environment_variables: Mapping[str, str] = field(default_factory=dict, hash=False)
    functions: Mapping[str, Callable[..., typing.Any]] = field(default_factory=dict, hash=False)
    random_seed: int | None = None
    clock: float | dt.datetime | Callable[[], float] | None = None
    on_log: Callable[[LogEntry], object] | None = None
    memory_tracking: MemoryTrackingConfig = field(
        default_factory=functools.partial(MemoryTrackingConfig, on_error="ignore")
    )

    @until_exit
    def __post_init__(self) -> None:
        """Check every field, and take private copies of the mappings."""
        if self.lua not in LUA_VERSIONS:
            raise ConfigurationError("lua", self.lua, f"give one of {', '.join(LUA_VERSIONS)}")
        if self.timeout_ms is not None:
            _check_number("timeout_ms", self.timeout_ms, "milliseconds", upper=_MAX_MS)
        if self.cpu_time_ms is not None:
            _check_number("cpu_time_ms", self.cpu_time_ms, "milliseconds", upper=_MAX_MS)
        if self.max_instructions is not None:
            _check_count("max_instructions", self.max_instructions, lower=1, or_none=", or None")
        if not isinstance(self.deadline_includes_callbacks, bool):
            raise ConfigurationError(
                "deadline_includes_callbacks", self.deadline_includes_callbacks, "give True or False"
            )
        if not isinstance(self.hard_stop, bool):
            raise ConfigurationError("hard_stop", self.hard_stop, "give True or False")
        if self.memory_limit_mb is not None:
            _check_number("memory_limit_mb", self.memory_limit_mb, "MiB", upper=_MAX_MB)
        for name in ("max_output_size", "max_log_entries", "max_log_size"):
            _check_count(name, getattr(self, name))
        _check_seed(self.random_seed)
        _check_clock(self.clock)
        if self.on_log is not None:
            _check_callable("on_log", self.on_log, "give a callable that takes a LogEntry, or None")
        directories = _directories(self.filesystem_directories, allowed=self.allow_filesystem)
        object.__setattr__(self, "filesystem_directories", directories)
        if not isinstance(self.memory_tracking, MemoryTrackingConfig):
            raise ConfigurationError("memory_tracking", self.memory_tracking, "give a MemoryTrackingConfig")
        object.__setattr__(self, "environment_variables", MappingProxyType(_environment(self.environment_variables)))
        object.__setattr__(self, "functions", MappingProxyType(_functions(self.functions)))

    @until_exit
    def __reduce__(self) -> tuple[typing.Any, ...]:
        """Copy and pickle by way of plain dicts.

        Another process makes the same settings anew, and checks them.
        """
        from dataclasses import fields  # noqa: PLC0415 - takes longer to load than the rest of this package

        settings = {one.name: getattr(self, one.name) for one in fields(self) if one.init}
        for name in ("environment_variables", "functions"):
            settings[name] = dict(settings[name])
        return _remade, (type(self), settings)


def _remade(kind: type[ScriptConfig], settings: dict[str, typing.Any]) -> ScriptConfig:
    """Make a config from what `__reduce__` gave."""
    return kind(**settings)


def _directories(given: object, *, allowed: object) -> tuple[str, ...]:
    """Return `filesystem_directories` as absolute paths without symbolic links.

    They are checked against `allow_filesystem`.
    """
    if not isinstance(allowed, bool):
        raise ConfigurationError("allow_filesystem", allowed, "give True or False")
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        raise ConfigurationError("filesystem_directories", given, "give a list of directories")
    if given and not allowed:
        raise ConfigurationError(
            "filesystem_directories",
            given,
            "it has no effect without allow_filesystem=True; set that, or leave the directories out",
        )
    if allowed and not given:
        raise ConfigurationError(
            "filesystem_directories", given, "give at least one directory, which allow_filesystem needs"
        )
    found = []
    for index, directory in enumerate(given):
        # Not pathlib: `import luagauge` would load it, and urllib with it, for this alone.
        if not isinstance(directory, (str, os.PathLike)) or not os.path.isdir(directory):  # noqa: PTH112
            raise ConfigurationError(f"filesystem_directories[{index}]", directory, "give a directory that exists")
        found.append(_Directory.of(directory))
    return tuple(found)


class _Directory(str):
    """The absolute path of a directory, without symbolic links, which is all that its users see of it.

    It is found once, here. What a link leads to later does not count, for copies and pickles of the config neither.

    Attributes:
        alias: The absolute path that the host gave, where that is another one and leads there.
    """

    __slots__ = ("alias",)

    alias: str | None

    @classmethod
    def of(cls, given: str | os.PathLike[str]) -> _Directory:
        """Return the directory that a path of the host's leads to."""
        path = os.fspath(given)
        real, full = os.path.realpath(path), os.path.abspath(path)  # noqa: PTH100 - as above
        found = cls(real)
        if isinstance(given, cls):
            found.alias = given.alias
        else:  # what ".." leaves of a path may be the name of another directory
            found.alias = full if full != real and os.path.realpath(full) == real else None
        return found


def aliases_of(config: ScriptConfig) -> dict[str, str]:
    """Return the directories that scripts may use by the other names that the host has for them."""
    directories = [directory for directory in config.filesystem_directories if isinstance(directory, _Directory)]
    return {directory.alias: str(directory) for directory in directories if directory.alias is not None}


def _environment(given: object) -> dict[str, str]:
    """Return a checked copy of `environment_variables`."""
    if not isinstance(given, Mapping):
        raise ConfigurationError("environment_variables", given, "give a mapping of str to str")
    for name, value in given.items():
        if not isinstance(name, str) or not name or "\0" in name or "=" in name:
            raise ConfigurationError(
                "environment_variables", name, "give names that are non-empty str without '=' and NUL"
            )
        if not isinstance(value, str) or "\0" in value:
            raise ConfigurationError(f"environment_variables[{name!r}]", value, "give a str without NUL")
        for text in (name, value):
            _check_encodable(f"environment_variables[{name!r}]", text)
    return dict(given)


def _functions(given: object) -> dict[str, Callable[..., typing.Any]]:
    """Return a checked copy of `functions`."""
    if not isinstance(given, Mapping):
        raise ConfigurationError("functions", given, "give a mapping of names to callables")
    for name, function in given.items():
        identifier = isinstance(name, str) and name.isidentifier() and name.isascii()
        if not identifier or name in _LUA_WORDS:
            raise ConfigurationError("functions", name, "give names that are ASCII identifiers and no keywords of Lua")
        if name in _GLOBALS_WITH_A_MEANING:
            raise ConfigurationError("functions", name, "this global has a meaning of its own; give another name")
        _check_callable(f"functions[{name!r}]", function, "give a callable")
    return dict(given)


def _check_callable(name: str, function: object, remedy: str) -> None:
    """Refuse what cannot be called, and what is to be awaited."""
    if not callable(function):
        raise ConfigurationError(name, function, remedy)
    if _is_async(function):
        awaits = f"a run awaits nothing; give a plain function that returns the result; {AWAIT_REMEDY}"
        raise ConfigurationError(name, function, awaits)


def _check_seed(value: object) -> None:
    """Refuse anything but a whole number of 64 bits, or None."""
    if value is None:
        return
    least, most = SEEDS
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigurationError("random_seed", value, f"give a whole number from {least} to {most}, or None")


def is_moment(value: object) -> bool:
    """Return whether a value is a number of seconds since the epoch that has a date, from year 1 to 9999."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and _YEAR_1 <= value <= _YEAR_9999


def _check_clock(value: object) -> None:
    """Refuse what is no moment, no clock and not None."""
    if value is None or is_moment(value):
        return
    if callable(value):
        _check_callable("clock", value, "")
        return
    if not isinstance(value, (int, float)) and isinstance(value, dt.datetime):
        if value.utcoffset() is None:
            raise ConfigurationError(
                "clock", value, "give a datetime with a time zone, such as datetime(2026, 1, 31, tzinfo=timezone.utc)"
            )
        if is_moment(value.timestamp()):
            return
        raise ConfigurationError("clock", value, "give a moment that is in the years 1 to 9999 in UTC")
    raise ConfigurationError(
        "clock",
        value,
        f"give seconds since the epoch, from {_YEAR_1} to {_YEAR_9999} (years 1 to 9999), a datetime with a time zone, "
        "a callable without arguments that returns such seconds, or None",
    )


def _is_async(function: typing.Any) -> bool:
    """Return whether a call gives a coroutine or an async generator.

    The function is not called, so this is as far as can be seen from outside.
    """
    import inspect  # noqa: PLC0415 - takes longer to load than the rest of this package

    while isinstance(function, (functools.partial, staticmethod)):
        function = function.func if isinstance(function, functools.partial) else function.__func__
    return any(
        inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one)
        for one in (function, getattr(type(function), "__call__", None))  # noqa: B004 - not whether it is callable
    )


def _check_encodable(name: str, text: str) -> None:
    """Refuse text that UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            name, text, "it has lone surrogates, which cannot be passed to Lua; give text that UTF-8 can hold"
        ) from None


@dataclass(frozen=True, slots=True)
class ScriptContext:
    """What a run is told. The script sees it as the global table `context`.

    It takes plain data only: None, bool, int, float, str, bytes, list, tuple, dict and any other
    mapping. The data is copied into Lua. What the script changes in it is the script's own.

    Attributes:
        request: The script's `context.request`.
        response: The script's `context.response`.
        metadata: The script's `context.metadata`.

    Example:
        >>> with LuaEngine() as engine:
        ...     engine.execute_script("return context.request.path", ScriptContext(request={"path": "/"})).output
        '/'
    """

    request: typing.Any = field(default_factory=dict)
    response: typing.Any = field(default_factory=dict)
    metadata: typing.Any = field(default_factory=dict)
