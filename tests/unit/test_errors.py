"""The error tree: who descends from whom, what each carries and says, and that nothing is lost on the way."""

from __future__ import annotations

import copy
import pickle

import pytest

from luagauge import errors

SAMPLES: list[tuple[errors.LuaGaugeError, dict[str, object], list[str]]] = [
    (errors.LuaGaugeError("something"), {}, ["something"]),
    (
        errors.ConfigurationError("memory_limit_mb", -1, "give a number above 0"),
        {"setting": "memory_limit_mb", "value": -1},
        ["memory_limit_mb", "-1", "give a number above 0"],
    ),
    (errors.EngineStateError("odd"), {}, ["odd"]),
    (errors.EngineClosedError(), {}, ["closed"]),
    (errors.EngineBusyError(), {}, ["running"]),
    (errors.MemoryTrackingError("no figure", os_error=5), {"os_error": 5}, ["no figure"]),
    (errors.PlatformUnavailableError("none here"), {"os_error": None}, ["none here"]),
    (errors.MeasurementFailedError("refused", os_error=13), {"os_error": 13}, ["refused"]),
    (errors.InvalidDataError("garbled"), {"os_error": None}, ["garbled"]),
    (errors.ScriptError("failed"), {}, ["failed"]),
    (errors.ScriptSyntaxError("'=' expected near 'x'", line=3), {"line": 3}, ["'=' expected near 'x'"]),
    (
        errors.ScriptRuntimeError("boom", line=7, traceback="stack traceback:\n\t..."),
        {"message": "boom", "line": 7, "traceback": "stack traceback:\n\t..."},
        ["boom"],
    ),
    (errors.ScriptTimeoutError(500), {"timeout_ms": 500, "clock": "wall"}, ["500 ms", "timeout_ms"]),
    (
        errors.ScriptTimeoutError(50, clock="cpu"),
        {"timeout_ms": 50, "clock": "cpu"},
        ["50 ms of CPU time", "cpu_time_ms"],
    ),
    (
        errors.InstructionLimitExceeded(1000),
        {"limit": 1000, "stalled": False},
        ["went over its 1000 instructions", "max_instructions"],
    ),
    (
        errors.InstructionLimitExceeded(1000, stalled=True),
        {"limit": 1000, "stalled": True},
        ["limited to 1000 instructions", "none for 100 ms", "timeout_ms"],
    ),
    (errors.ScriptInterruptedError(), {}, ["interrupted"]),
    (
        errors.ScriptSerializationError("a function cannot cross", path="request.items[3].when"),
        {"path": "request.items[3].when"},
        ["request.items[3].when", "a function cannot cross"],
    ),
    (errors.SecurityViolation("no"), {}, ["no"]),
    (
        errors.MemoryLimitExceeded(65.25, 64),
        {"used_mb": 65.25, "limit_mb": 64},
        ["65.25 MiB", "64 MiB", "memory_limit_mb"],
    ),
    (
        errors.OutputLimitExceeded(2_000_000, 1_048_576),
        {"size_bytes": 2_000_000, "limit_bytes": 1_048_576},
        ["2000000", "1048576", "max_output_size"],
    ),
]


def all_classes() -> set[type]:
    """Return every error class of the module."""
    return {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)}


def test_errors_samples_cover_every_class() -> None:
    """No error class is left out of the tests below."""
    assert {type(error) for error, _, _ in SAMPLES} == all_classes()


@pytest.mark.parametrize("error, attributes, texts", SAMPLES, ids=lambda value: type(value).__name__)
def test_errors_carry_figures_and_say_them(
    error: errors.LuaGaugeError, attributes: dict[str, object], texts: list[str]
) -> None:
    """Figures are attributes, and the text names them and the remedy."""
    assert vars(error) == attributes
    for text in texts:
        assert text in str(error)


@pytest.mark.parametrize("error, attributes, texts", SAMPLES, ids=lambda value: type(value).__name__)
def test_errors_survive_pickle_and_copy(
    error: errors.LuaGaugeError, attributes: dict[str, object], texts: list[str]
) -> None:
    """Class, text, args and attributes come back from pickle in every protocol, copy and deepcopy."""
    again = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]  # noqa: S301 -- our own bytes
    for other in [*again, copy.copy(error), copy.deepcopy(error)]:
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert other.args == error.args
        assert vars(other) == attributes


@pytest.mark.parametrize(
    "child, parents",
    [
        (errors.ConfigurationError, (errors.LuaGaugeError, ValueError)),
        (errors.EngineStateError, (errors.LuaGaugeError, RuntimeError)),
        (errors.EngineClosedError, (errors.EngineStateError,)),
        (errors.EngineBusyError, (errors.EngineStateError,)),
        (errors.MemoryTrackingError, (errors.LuaGaugeError,)),
        (errors.PlatformUnavailableError, (errors.MemoryTrackingError,)),
        (errors.MeasurementFailedError, (errors.MemoryTrackingError,)),
        (errors.InvalidDataError, (errors.MemoryTrackingError,)),
        (errors.ScriptError, (errors.LuaGaugeError,)),
        (errors.ScriptSyntaxError, (errors.ScriptError,)),
        (errors.ScriptRuntimeError, (errors.ScriptError,)),
        (errors.ScriptTimeoutError, (errors.ScriptError,)),
        (errors.ScriptInterruptedError, (errors.ScriptError,)),
        (errors.ScriptSerializationError, (errors.ScriptError,)),
        (errors.SecurityViolation, (errors.ScriptError,)),
        (errors.MemoryLimitExceeded, (errors.SecurityViolation, MemoryError)),
        (errors.OutputLimitExceeded, (errors.SecurityViolation,)),
    ],
)
def test_errors_form_one_tree(child: type[Exception], parents: tuple[type[Exception], ...]) -> None:
    """Each class has exactly the parents that callers may catch it by."""
    assert child.__bases__ == parents


def test_errors_with_values_that_cannot_be_pickled_survive_too() -> None:
    """The value that was refused may be anything; then its text goes instead."""
    error = errors.ConfigurationError("config", lambda: 1, "give a ScriptConfig")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own bytes
    assert str(again) == str(error)
    assert again.setting == "config"
    assert again.value in str(error)


def test_errors_keep_notes_through_pickle() -> None:
    """What add_note attached (Python 3.11+) is an attribute like the others and survives."""
    error = errors.MemoryLimitExceeded(2, 1)
    error.__dict__["__notes__"] = ["during the nightly import"]
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own bytes
    assert vars(again) == {"used_mb": 2, "limit_mb": 1, "__notes__": ["during the nightly import"]}


def test_configuration_error_shortens_a_huge_value() -> None:
    """A value of a megabyte does not become a message of a megabyte; the attribute keeps it whole."""
    error = errors.ConfigurationError("name", "x" * 1_000_000, "give a shorter one")
    assert len(str(error)) < 200
    assert error.value == "x" * 1_000_000


def test_configuration_error_names_a_value_that_cannot_be_shown() -> None:
    """Python shows no int of more than 4300 digits, and a __repr__ may raise: the type is named instead."""

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    assert "name is an unprintable int: " in str(errors.ConfigurationError("name", 10**5000, "give a smaller one"))
    assert "name is an unprintable Broken: " in str(errors.ConfigurationError("name", Broken(), "give another"))


def test_memory_limit_exceeded_says_two_figures_that_differ() -> None:
    """A use just over its limit, and figures far below a MiB, are given in bytes."""
    over = errors.MemoryLimitExceeded(100 + 40 / 1048576, 100)
    assert "needed 104,857,640 bytes, over its limit of 104,857,600;" in str(over)
    small = errors.MemoryLimitExceeded(40 / 1048576, 10 / 1048576)
    assert "needed 40 bytes, over its limit of 10;" in str(small)


def test_script_errors_without_a_position_say_only_the_message() -> None:
    """A missing line or path leaves no trace in the text."""
    assert str(errors.ScriptRuntimeError("boom")) == "boom"
    assert str(errors.ScriptSerializationError("too deep", path="")) == "too deep"
