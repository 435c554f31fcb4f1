"""The join of the two extension modules, and the statuses that become exceptions."""

from __future__ import annotations

import dataclasses
import errno
import importlib.machinery
import importlib.util
import signal
import subprocess
import sys
from typing import Any

import pytest

import luagauge
from luagauge import _binding, _fast, _finder
from luagauge._native import ffi, lib


def fresh_fast() -> Any:
    """Return a second module object of _fast, which nobody has bound."""
    assert _fast.__file__ is not None
    loader = importlib.machinery.ExtensionFileLoader("luagauge._fast", _fast.__file__)
    spec = importlib.util.spec_from_loader("luagauge._fast", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    assert module is not _fast
    return module


def registry(**changes: object) -> dict[str, object]:
    """Return what _binding registered, with changes."""
    return {**_binding.FAST_OBJECTS, **changes}


def core_address() -> int:
    """Return the address of the core's table."""
    return int(ffi.cast("uintptr_t", lib.lg_core_get()))


def test_fast_module_has_its_own_state_per_object() -> None:
    """A second module object is unbound while the first works; once joined, both do."""
    module = fresh_fast()
    with pytest.raises(RuntimeError, match="before bind"):
        module.snapshot()
    module.bind(core_address())
    with pytest.raises(RuntimeError, match="before bind"):
        module.snapshot()
    module.set_types(registry())
    assert type(module.snapshot()) is luagauge.MemorySnapshot
    assert type(_fast.snapshot()) is luagauge.MemorySnapshot


def test_bind_refuses_the_table_of_another_build() -> None:
    """A wrong mark or size is an ImportError that says what to do; the old binding stays."""
    original = bytes(ffi.buffer(ffi.cast("char *", lib.lg_core_get()), 8))
    for position in (0, 4):  # the mark, the size
        damaged = bytearray(original)
        damaged[position] ^= 1
        block = ffi.new("char[]", bytes(damaged))
        with pytest.raises(ImportError, match="different builds"):
            _fast.bind(int(ffi.cast("uintptr_t", block)))
    assert luagauge.snapshot().rss_bytes > 0


@pytest.mark.parametrize("address, expected", [(0, ValueError), ("text", TypeError), (1 << 80, OverflowError)])
def test_bind_refuses_what_is_no_address(address: Any, expected: type[Exception]) -> None:
    """0, text and numbers beyond a pointer are refused without being followed."""
    with pytest.raises(expected):
        _fast.bind(address)


def test_set_types_stores_all_or_nothing() -> None:
    """A registry that lacks a name or holds the wrong kind of object changes nothing."""
    module = fresh_fast()
    module.bind(core_address())
    lacking = registry()
    del lacking["MemorySnapshot"]
    with pytest.raises(KeyError, match="MemorySnapshot"):
        module.set_types(lacking)
    with pytest.raises(TypeError, match="status_error"):
        module.set_types(registry(status_error=5))
    with pytest.raises(TypeError, match="MemorySnapshot"):
        module.set_types(registry(MemorySnapshot="a class"))
    with pytest.raises(TypeError, match="dict"):
        module.set_types([])
    with pytest.raises(RuntimeError, match="before bind"):
        module.snapshot()


def test_set_types_replaces_what_was_there() -> None:
    """A second registry takes the place of the first, which is let go."""

    class Other:
        __slots__ = ("heap_size_bytes", "rss_bytes", "timestamp")

    module = fresh_fast()
    module.bind(core_address())
    module.set_types(registry(MemorySnapshot=Other))
    references = sys.getrefcount(Other)
    assert type(module.snapshot()) is Other
    module.set_types(registry())
    assert type(module.snapshot()) is luagauge.MemorySnapshot
    assert sys.getrefcount(Other) < references


def test_snapshot_of_a_class_without_the_slots_is_an_error() -> None:
    """A class that cannot hold the figures gives an AttributeError, not a half-filled object."""

    class Hollow:
        __slots__ = ("rss_bytes",)

    module = fresh_fast()
    module.bind(core_address())
    module.set_types(registry(MemorySnapshot=Hollow))
    with pytest.raises(AttributeError):
        module.snapshot()


@pytest.mark.skipif(sys.platform != "linux", reason="only the Linux probe can be made to fail at will")
def test_snapshot_lets_an_error_of_its_error_maker_through() -> None:
    """When making the exception fails, that failure is what the caller sees."""

    def broken(status: int, os_error: int, what: str) -> Exception:
        raise LookupError(f"{status} {os_error} {what}")

    module = fresh_fast()
    module.bind(core_address())
    module.set_types(registry(status_error=broken))
    _binding.set_statm_path("/no/such/procfs/statm")
    try:
        with pytest.raises(LookupError, match=f"{lib.LG_UNSUPPORTED} {errno.ENOENT} reading"):
            module.snapshot()
    finally:
        _binding.set_statm_path(None)


@pytest.mark.parametrize(
    "status, os_error, kind, text",
    [
        (lib.LG_UNSUPPORTED, 0, luagauge.PlatformUnavailableError, "reading is not possible on this platform"),
        (lib.LG_OS_ERROR, 5, luagauge.MeasurementFailedError, "reading failed"),
        (lib.LG_BAD_DATA, 0, luagauge.InvalidDataError, "cannot be true"),
        (lib.LG_NO_MEMORY, 0, MemoryError, "out of memory"),
        (lib.LG_BAD_ARGUMENT, 0, luagauge.LuaGaugeError, f"status {lib.LG_BAD_ARGUMENT}"),
    ],
)
def test_status_error_gives_each_status_its_exception(
    status: int, os_error: int, kind: type[Exception], text: str
) -> None:
    """Every status has one exception type, and the OS's code goes along."""
    error = _binding.status_error(status, os_error, "reading")
    assert type(error) is kind
    assert text in str(error)
    if isinstance(error, luagauge.MemoryTrackingError):
        assert error.os_error == (os_error or None)


@pytest.mark.parametrize(
    "platform, text", [("linux", "errno 5"), ("darwin", "kern_return_t 5"), ("win32", "Windows error 5")]
)
def test_status_error_names_the_code_as_its_platform_does(
    platform: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same number means different things on different systems, and the text says which it is."""
    monkeypatch.setattr(sys, "platform", platform)
    assert text in str(_binding.status_error(lib.LG_OS_ERROR, 5, "reading"))


def test_import_loads_nothing_that_the_first_use_does_not_need() -> None:
    """A bare import brings in neither lupa nor any toolkit."""
    unwanted = {"lupa", "asyncio", "click", "rich", "logging", "cffi"}
    code = f"import sys, luagauge; print(*sorted({unwanted} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""


def test_public_names_exist() -> None:
    """__all__ has no repetition, and every name in it is there."""
    assert len(set(luagauge.__all__)) == len(luagauge.__all__)
    assert [name for name in luagauge.__all__ if not hasattr(luagauge, name)] == []


def never_usable() -> list[object]:
    """Return what stands for no signal, or for one that no run may be told by."""
    named = ("SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT", "SIGSYS", "SIGCHLD")
    signals = [getattr(signal, name) for name in named if hasattr(signal, name)]
    return [*signals, 0, -1, 9999, 1 << 31, 10**30, -(10**30), True, False, "x", "SIGUSR2", b"\x17", None, 23.0, [23]]


@pytest.mark.skipif(sys.platform == "win32", reason="runs are not told by a signal there")
@pytest.mark.parametrize("value", never_usable(), ids=repr)
def test_use_signal_refuses_and_names_value_and_remedy(value: Any) -> None:
    """Whether or not a script has run, what can never be used is refused in the same words."""
    with pytest.raises(luagauge.ConfigurationError) as caught:
        luagauge.use_signal(value)
    assert caught.value.setting == "signum"
    assert caught.value.value is value
    assert str(caught.value).startswith(f"signum is {value!r}: give a signal that may be handled")


@pytest.mark.skipif(sys.platform == "win32", reason="runs are not told by a signal there")
def test_use_signal_takes_the_one_in_use() -> None:
    """SIGURG is what it was from the start, so naming it is fine at any time."""
    luagauge.use_signal(signal.SIGURG)
    with luagauge.LuaEngine() as engine:
        assert engine.execute_script("return 1").output == 1
    luagauge.use_signal(signal.SIGURG)
    luagauge.use_signal(int(signal.SIGURG))


@pytest.mark.skipif(sys.platform != "win32", reason="elsewhere runs are told by a signal")
def test_use_signal_is_not_for_platforms_without_signals() -> None:
    """There it says so, whatever it is given."""
    with pytest.raises(luagauge.PlatformUnavailableError, match="not told by a signal"):
        luagauge.use_signal(2)


# --- settings ---------------------------------------------------------------------------------------------------------

# What Python deals with itself: it chooses the Lua, opens files, hands functions and variables over.
READ_BY_PYTHON = {
    "lua",
    "allow_filesystem",
    "filesystem_directories",
    "environment_variables",
    "functions",
    "on_log",
}


class Settings:
    """The settings of a config as attributes, some of them changed or left out; notes which are read."""

    def __init__(self, config: Any, **changes: object) -> None:
        """Take the config and the changes; Ellipsis leaves one out."""
        self._values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)} | changes
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> object:
        """Return a setting."""
        if self._values.get(name, ...) is ...:
            raise AttributeError(f"no setting {name}")
        self.read.add(name)
        return self._values[name]


def state_with(settings: object) -> _fast.State:
    """Make a Lua state with these settings."""
    made: Any = settings
    return _fast.state(_finder.find_lua("5.4").address, (), (), (), made, 0)


def test_settings_are_each_read() -> None:
    """A field of the config that nobody reads would be a limit that is not kept."""
    tracking = Settings(luagauge.MemoryTrackingConfig())
    settings = Settings(luagauge.ScriptConfig(), memory_tracking=tracking)
    state_with(settings).close()
    assert settings.read | READ_BY_PYTHON == {field.name for field in dataclasses.fields(luagauge.ScriptConfig)}
    assert tracking.read == {"enabled", "on_error"}  # min_delta_mb is for trackers


@pytest.mark.parametrize(
    "name", sorted({field.name for field in dataclasses.fields(luagauge.ScriptConfig)} - READ_BY_PYTHON)
)
def test_settings_that_are_missing_are_named(name: str) -> None:
    """In the table of the C side and not in the config: an error that says which."""
    with pytest.raises(AttributeError, match=f"no setting {name}"):
        state_with(Settings(luagauge.ScriptConfig(), **{name: ...}))
    for part in ("enabled", "on_error"):
        tracking = Settings(luagauge.MemoryTrackingConfig(), **{part: ...})
        with pytest.raises(AttributeError, match=f"no setting {part}"):
            state_with(Settings(luagauge.ScriptConfig(), memory_tracking=tracking))


@pytest.mark.parametrize(
    "name, value",
    [
        ("memory_limit_mb", "64"), ("timeout_ms", []), ("cpu_time_ms", "1"), ("max_instructions", 1.5),
        ("max_instructions", 1 << 64), ("max_output_size", "1"), ("max_output_size", -1), ("max_log_size", None),
        ("max_log_entries", 1 << 65), ("timeout_ms", float("inf")), ("timeout_ms", 1e30), ("cpu_time_ms", float("nan")),
        ("memory_limit_mb", float("inf")), ("memory_limit_mb", float("nan")), ("memory_limit_mb", 1e300),
    ],
)  # fmt: skip
def test_settings_of_another_kind_are_named(name: str, value: object) -> None:
    """What the config would have refused reaches no limit."""
    with pytest.raises(TypeError, match=f"the core cannot read the setting {name}: "):
        state_with(Settings(luagauge.ScriptConfig(), **{name: value}))


class NoTruth:
    """Neither true nor false."""

    def __bool__(self) -> bool:
        """Fail."""
        raise ArithmeticError("neither")


@pytest.mark.parametrize("name", ["deadline_includes_callbacks", "hard_stop"])
def test_settings_that_are_neither_true_nor_false_are_named(name: str) -> None:
    """An error of theirs too becomes one that names the setting."""
    with pytest.raises(TypeError, match=f"the core cannot read the setting {name}: "):
        state_with(Settings(luagauge.ScriptConfig(), **{name: NoTruth()}))


def test_settings_that_are_interrupted_are_not_read() -> None:
    """Ctrl-C stays what it is."""

    class Interrupted:
        def __bool__(self) -> bool:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        state_with(Settings(luagauge.ScriptConfig(), hard_stop=Interrupted()))


def test_settings_are_converted_to_the_units_of_the_core() -> None:
    """MiB to bytes and milliseconds to nanoseconds, whole ones, and never to 0, which is no limit."""
    tiny = luagauge.ScriptConfig(memory_limit_mb=1e-9, timeout_ms=None)
    with luagauge.LuaEngine(tiny) as engine:
        error = engine.execute_script("return ('x'):rep(100)").error
        assert isinstance(error, luagauge.MemoryLimitExceeded)
    for limit in (3, 0.75):
        with luagauge.LuaEngine(luagauge.ScriptConfig(memory_limit_mb=limit)) as engine:
            fits, more = (
                engine.execute_script("return #('x'):rep(context.size)", {"size": int(limit * share * 1048576)})
                for share in (0.45, 1.01)
            )
            assert (fits.success, type(more.error)) == (True, luagauge.MemoryLimitExceeded)
    with luagauge.LuaEngine(luagauge.ScriptConfig(timeout_ms=1e-9)) as engine:
        assert isinstance(engine.execute_script("while true do end").error, luagauge.ScriptTimeoutError)
