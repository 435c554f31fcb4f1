"""Settings: the defaults, what is refused and with which words, and that nothing changes afterwards."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
import pickle
import re
import time
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from luagauge import LUA_VERSIONS, ConfigurationError, MemoryTrackingConfig, ScriptConfig, ScriptContext

NOT_POSITIVE: list[Any] = [0, 0.0, -1, -0.5, math.nan, -math.inf, True, False, "5", b"5", [5], Decimal(5), 1j]
NOT_COUNTS: list[Any] = [-1, 1.0, 0.5, None, True, False, "5", math.inf, math.nan, 1 << 62]

REFUSED: list[tuple[str, Any]] = [
    *[
        ("lua", value)
        for value in ("", "5", "4.0", "5.4.1", "Lua 5.4", "luajit", "LUAJIT2.1", 5.4, None, b"5.4", ["5.4"])
    ],
    *[("timeout_ms", value) for value in (*NOT_POSITIVE, math.inf, 1e12, 10**90)],
    *[("cpu_time_ms", value) for value in (*NOT_POSITIVE, math.inf, 1e12)],
    *[("max_instructions", value) for value in (*(value for value in NOT_COUNTS if value is not None), 0, 10**30)],
    *[("deadline_includes_callbacks", value) for value in (None, 0, 1, "yes")],
    *[("hard_stop", value) for value in (None, 0, 1, "yes")],
    *[("memory_limit_mb", value) for value in (*NOT_POSITIVE, math.inf, 1 << 43, 10**90)],
    *[(name, value) for name in ("max_output_size", "max_log_entries", "max_log_size") for value in NOT_COUNTS],
    *[("allow_filesystem", value) for value in (1, "yes", None, 0)],
    *[("memory_tracking", value) for value in (None, True, {"enabled": True}, MemoryTrackingConfig)],
    *[("environment_variables", value) for value in (None, 5, "A=1", [("A", "1")], {"A"})],
    *[("functions", value) for value in (None, 5, "print", [print], {"print"})],
    *[("random_seed", value) for value in (True, False, 1.0, "1", b"1", [1], 1 << 64, -(1 << 63) - 1, math.nan)],
    *[("clock", value) for value in (True, False, "2024-02-29", b"1", [1], math.nan, math.inf, -math.inf, 10**12, 1j)],
    *[("clock", value) for value in (253402300800, -62135596801, Decimal(5), date(2024, 2, 29))],
    ("clock", datetime(2024, 2, 29, 12)),  # noqa: DTZ001 - it is the point
    ("clock", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23)))),
    ("clock", datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=23)))),
    *[("on_log", value) for value in (True, False, 5, "print", [print])],
]

BAD_NAMES: list[Any] = ["", "A=1", "A\0", 5, None, b"A", "\ud800"]
BAD_VALUES: list[Any] = [5, None, b"1", "a\0b", "\ud800"]
BAD_FUNCTION_NAMES: list[Any] = ["", "1st", "a b", "a.b", "a-b", "café", "a\0", "end", "while", "global", "goto"]
BAD_FUNCTION_NAMES += [5, None, b"f"]


def test_config_defaults_are_the_documented_ones() -> None:
    """Each default as docs/limits.md and the class promise it."""
    config = ScriptConfig()
    assert (config.lua, config.timeout_ms, config.memory_limit_mb) == ("5.4", 5000, 100)
    assert (config.max_output_size, config.max_log_entries, config.max_log_size) == (1 << 20, 1000, 1 << 20)
    assert (config.cpu_time_ms, config.max_instructions, config.deadline_includes_callbacks) == (None, None, True)
    assert config.hard_stop is True
    assert config.allow_filesystem is False
    assert dict(config.environment_variables) == {}
    assert dict(config.functions) == {}
    assert (config.random_seed, config.clock, config.on_log) == (None, None, None)
    assert config.memory_tracking == MemoryTrackingConfig(enabled=True, on_error="ignore", min_delta_mb=0.0)
    assert MemoryTrackingConfig() == MemoryTrackingConfig(enabled=True, on_error="raise", min_delta_mb=0.0)


@pytest.mark.parametrize("field, value", REFUSED, ids=repr)
def test_config_refuses_and_names_field_value_and_remedy(field: str, value: Any) -> None:
    """What cannot be used is refused when the config is made, never later."""
    with pytest.raises(ConfigurationError) as caught:
        ScriptConfig(**{field: value})
    error = caught.value
    assert error.setting == field
    assert error.value is value
    named = f"{field} is {repr(value)[:80]}"
    assert str(error).startswith(named)
    assert str(error)[len(named) :].removeprefix("...").startswith((": give ", ": only False"))
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_config_refuses_names_no_environment_has(name: Any) -> None:
    """Names are non-empty text without '=' and NUL."""
    with pytest.raises(ConfigurationError, match="environment_variables") as caught:
        ScriptConfig(environment_variables={"GOOD": "1", name: "1"})
    assert caught.value.value == name


@pytest.mark.parametrize("value", BAD_VALUES, ids=repr)
def test_config_refuses_values_no_environment_has(value: Any) -> None:
    """Values are text without NUL; the error names the variable."""
    with pytest.raises(ConfigurationError) as caught:
        ScriptConfig(environment_variables={"HOME": value})
    assert caught.value.setting == "environment_variables['HOME']"
    assert caught.value.value == value


@pytest.mark.parametrize("name", ["_ENV", "_G", "context", "result"])
def test_config_refuses_function_names_with_a_meaning(name: str) -> None:
    """A function of that name would be lost, or taken for the script's output."""
    with pytest.raises(ConfigurationError, match="meaning of its own") as caught:
        ScriptConfig(functions={name: print})
    assert caught.value.value == name


@pytest.mark.parametrize("name", BAD_FUNCTION_NAMES, ids=repr)
def test_config_refuses_function_names_no_script_can_say(name: Any) -> None:
    """A function's name is an identifier of every Lua version."""
    with pytest.raises(ConfigurationError, match="ASCII identifier") as caught:
        ScriptConfig(functions={name: print})
    assert caught.value.setting == "functions"
    assert caught.value.value == name


@pytest.mark.parametrize("value", [None, 5, "print", [print]], ids=repr)
def test_config_refuses_functions_that_cannot_be_called(value: Any) -> None:
    """The error names the function."""
    with pytest.raises(ConfigurationError, match="give a callable") as caught:
        ScriptConfig(functions={"f": value})
    assert caught.value.setting == "functions['f']"


class Asks:
    """Its calls and one of its methods are to be awaited."""

    async def __call__(self) -> int:
        """Give a number, later."""
        return 1

    async def method(self) -> int:
        """Give a number, later."""
        return 1

    async def feed(self) -> AsyncIterator[int]:
        """Give a number, later."""
        yield 1

    def plain(self) -> int:
        """Give a number."""
        return 1


async def ask() -> int:
    """Give a number, later."""
    return 1


@pytest.mark.parametrize(
    "function",
    [
        ask,
        Asks(),
        Asks().method,
        Asks.method,
        Asks().feed,
        functools.partial(ask),
        functools.partial(functools.partial(Asks().method)),
        functools.partial(Asks()),
        staticmethod(ask),
        staticmethod(functools.partial(staticmethod(ask))),
    ],
    ids=lambda function: type(function).__name__,
)
def test_config_refuses_functions_to_be_awaited(function: Any) -> None:
    """Nobody would await what they return; the error names the function and says what to do."""
    with pytest.raises(ConfigurationError, match=r"awaits nothing.*run_coroutine_threadsafe") as caught:
        ScriptConfig(functions={"f": function})
    assert caught.value.setting == "functions['f']"


def test_config_takes_plain_functions_of_all_kinds() -> None:
    """What only has to do with awaiting is not refused: a wrapper that waits itself, a class, a plain method."""

    @functools.wraps(ask)
    def waits() -> int:
        return 1

    functions: dict[str, Any] = {
        "a": waits,
        "b": Asks,
        "c": Asks().plain,
        "d": functools.partial(waits),
        "e": staticmethod(waits),
    }
    assert ScriptConfig(functions=functions).functions == functions


def test_config_says_the_bound_that_was_passed() -> None:
    """A value that is too large is not told to be larger than 0."""
    for field, value, bound in (
        ("timeout_ms", math.inf, "below 1e+12"),
        ("memory_limit_mb", 1e30, "below 8.79609e+12"),
        ("max_instructions", 1 << 70, "from 1 to 4611686018427387903, or None"),
        ("max_output_size", 1 << 70, "from 0 to 4611686018427387903"),
        ("max_log_entries", 10**5000, "from 0 to 4611686018427387903"),
    ):
        with pytest.raises(ConfigurationError, match=re.escape(bound)):
            ScriptConfig(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("lua", LUA_VERSIONS)
def test_config_takes_every_version(lua: str) -> None:
    """The exported tuple is what the field takes."""
    assert ScriptConfig(lua=lua).lua == lua


@pytest.mark.parametrize("value", [1, 0.5, 1e-300, 5e-324, 999_999_999_999, None])
def test_config_takes_any_time_above_zero(value: float | None) -> None:
    """Ints, floats, however small; None is no deadline."""
    assert ScriptConfig(timeout_ms=value).timeout_ms == value


@pytest.mark.parametrize("value", [1, 0.5, 1e-300, None])
def test_config_takes_any_cpu_time_above_zero(value: float | None) -> None:
    """As for wall time."""
    assert ScriptConfig(cpu_time_ms=value).cpu_time_ms == value


@pytest.mark.parametrize("value", [1, 100, (1 << 62) - 1, None])
def test_config_takes_any_number_of_instructions_above_zero(value: int | None) -> None:
    """Whole numbers; None is no limit."""
    assert ScriptConfig(max_instructions=value).max_instructions == value


@pytest.mark.parametrize("value", [1, 0.5, 1e-300, (1 << 43) - 1, None])
def test_config_takes_any_memory_above_zero(value: float | None) -> None:
    """Ints, floats, however small; None is no limit."""
    assert ScriptConfig(memory_limit_mb=value).memory_limit_mb == value


def test_config_takes_names_of_all_shapes() -> None:
    """Underscores, digits and capitals; names of the standard library may be replaced."""
    names = ("_", "__x", "a1", "Print", "print", "_ENVIRONMENT")
    assert list(ScriptConfig(functions=dict.fromkeys(names, len)).functions) == list(names)


def test_config_keeps_private_copies() -> None:
    """What happens to the given mappings later changes nothing, and the copies cannot be changed."""
    environment = {"A": "1"}
    functions: dict[str, Any] = {"f": len}
    config = ScriptConfig(environment_variables=environment, functions=functions)
    environment["B"] = "2"
    functions.clear()
    assert dict(config.environment_variables) == {"A": "1"}
    assert dict(config.functions) == {"f": len}
    for mapping in (config.environment_variables, config.functions):
        with pytest.raises(TypeError):
            mapping["x"] = "y"  # type: ignore[index]


@pytest.mark.parametrize("make", [ScriptConfig, MemoryTrackingConfig, ScriptContext])
def test_settings_are_frozen(make: Any) -> None:
    """No field can be set or added, and there is no dict to add one to."""
    value = make()
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, getattr(value, field.name))
    assert not hasattr(value, "__dict__")


def test_config_can_be_varied() -> None:
    """dataclasses.replace checks again."""
    config = dataclasses.replace(ScriptConfig(functions={"f": len}), timeout_ms=1)
    assert (config.timeout_ms, dict(config.functions)) == (1, {"f": len})
    with pytest.raises(ConfigurationError):
        dataclasses.replace(config, timeout_ms=0)


def test_config_takes_seeds_of_64_bits() -> None:
    """With a sign or without one."""
    for seed in (0, -(1 << 63), (1 << 63) - 1, (1 << 64) - 1):
        assert ScriptConfig(random_seed=seed).random_seed == seed


@pytest.mark.parametrize("clock", [0, -62135596800, 253402300799, 1.5, datetime(2024, 2, 29, tzinfo=timezone.utc), len])
def test_config_keeps_a_clock_as_it_was_given(clock: Any) -> None:
    """A number, a datetime with a zone, a callable: what it says is what was said."""
    config = ScriptConfig(clock=clock)
    assert config.clock is clock
    assert config == ScriptConfig(clock=clock)
    assert config != ScriptConfig()
    assert f"clock={clock!r}" in repr(config)
    assert dataclasses.replace(config, clock=None) == ScriptConfig()


@pytest.mark.parametrize("name", ["clock", "on_log"])
@pytest.mark.parametrize(
    "function", [ask, Asks(), functools.partial(ask)], ids=lambda function: type(function).__name__
)
def test_config_refuses_clocks_and_takers_to_be_awaited(name: str, function: Any) -> None:
    """As functions, and for the same reason."""
    with pytest.raises(ConfigurationError, match=r"awaits nothing.*run_coroutine_threadsafe") as caught:
        ScriptConfig(**{name: function})
    assert caught.value.setting == name


def test_config_can_key_a_dict() -> None:
    """Equal configs are one key, such as of a host's table of engines; what differs in any field is another."""
    engines = {ScriptConfig(functions={"f": len}): "first"}
    assert engines[ScriptConfig(functions={"f": len})] == "first"
    assert ScriptConfig(functions={"f": print}) not in engines
    assert ScriptConfig(functions={"f": len}, lua="5.1") not in engines


def test_config_crosses_to_other_processes() -> None:
    """It can be pickled and copied with all that it holds, and is as fixed afterwards."""
    config = ScriptConfig(lua="5.1", cpu_time_ms=5, environment_variables={"HOME": "/"}, functions={"size": len})
    config = dataclasses.replace(config, random_seed=2**63, clock=time.time, on_log=print)
    for made in (pickle.loads(pickle.dumps(config)), copy.copy(config), copy.deepcopy(config)):  # noqa: S301 - our own
        assert made == config
        with pytest.raises(TypeError):
            made.functions["other"] = print  # type: ignore[index]  # what is tested


def test_config_takes_settings_by_name_only() -> None:
    """Positions would be guesses."""
    make: Any = ScriptConfig
    with pytest.raises(TypeError):
        make("5.4")


@pytest.mark.parametrize(
    "field, value",
    [
        *[("enabled", value) for value in (1, None, "yes")],
        *[("on_error", value) for value in ("", "Raise", None, True)],
        *[("min_delta_mb", value) for value in (-1, math.nan, math.inf, True, "1", None)],
    ],
    ids=repr,
)
def test_tracking_config_refuses_and_names_the_field(field: str, value: Any) -> None:
    """As ScriptConfig does."""
    with pytest.raises(ConfigurationError) as caught:
        MemoryTrackingConfig(**{field: value})
    assert caught.value.setting == field
    assert caught.value.value is value


def test_context_defaults_are_empty_and_its_own() -> None:
    """Every part is an empty dict, not shared with any other context."""
    one, other = ScriptContext(), ScriptContext()
    assert (one.request, one.response, one.metadata) == ({}, {}, {})
    one.request["a"] = 1
    assert other.request == {}


def test_config_of_a_subclass_is_copied_as_one() -> None:
    """A host's own subclass comes back as what it is, its own fields too."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Tenant(ScriptConfig):
        tenant: str = "nobody"

    made = copy.copy(Tenant(tenant="somebody", timeout_ms=7))
    assert type(made) is Tenant
    assert (made.tenant, made.timeout_ms) == ("somebody", 7)


def test_config_directories_without_permission_are_refused(tmp_path: Path) -> None:
    """They would give nothing; whoever names them wants something else."""
    with pytest.raises(ConfigurationError, match="allow_filesystem=True"):
        ScriptConfig(filesystem_directories=[tmp_path])
