"""What the command line reads and shows: values, the JSON notation, the report, doctor's judgement."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

import luagauge
from luagauge.cli.arguments import moment, seed, size_bytes, time_ms
from luagauge.cli.as_json import encode
from luagauge.cli.as_text import show_result, size_text, visible
from luagauge.cli.commands import _problem, exit_code
from luagauge.cli.doctor import _judge, _probe_rows


@pytest.mark.parametrize(
    "text, expected",
    [
        ("65536", 65536), ("1B", 1), ("64MiB", 64 << 20), ("64MB", 64_000_000), ("64mb", 64_000_000), ("2kB", 2000),
        ("2 KiB", 2048), ("1.5GiB", 3 << 29), (".5KiB", 512), ("1TiB", 1 << 40), ("0.1GB", 100_000_000),
    ],
)  # fmt: skip
def test_size_is_exact(text: str, expected: int) -> None:
    """Sizes with binary and decimal units come out to the byte."""
    assert size_bytes(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "64M", "64Mi", "MiB", "1e3", "nan", "inf", "0.5B", "1,000", "٣MB", "9" * 40, "4194304TiB"]
)
def test_size_refuses_the_rest(text: str) -> None:
    """What is no size is named together with what would be right."""
    with pytest.raises(click.BadParameter) as caught:
        size_bytes(text)
    assert repr(text) in caught.value.message
    assert "64MiB" in caught.value.message


@pytest.mark.parametrize(
    "text, expected", [("2s", 2000), ("500ms", 500), ("1m", 60_000), ("1.5 S", 1500), ("1h", 3.6e6)]
)
def test_time_is_read(text: str, expected: float) -> None:
    """Times with their units come out in milliseconds."""
    assert time_ms(text) == expected


@pytest.mark.parametrize("text", ["", "5", "0ms", "-1s", "2 sec", "1e3s", "nans", "s", "1d", "9" * 20 + "s"])
def test_time_refuses_the_rest(text: str) -> None:
    """What is no time is named together with what would be right."""
    with pytest.raises(click.BadParameter) as caught:
        time_ms(text)
    assert repr(text) in caught.value.message
    assert "500ms" in caught.value.message


@pytest.mark.parametrize("text, expected", [("0", 0), (" -7", -7), ("+5", 5), (str(2**64 - 1), 2**64 - 1)])
def test_seed_is_read(text: str, expected: int) -> None:
    """Whole numbers with a sign or without."""
    assert seed(text) == expected


@pytest.mark.parametrize("text", ["", "x", "1.0", "1e3", "0x10", "1 2", str(2**64), str(-(2**63) - 1), "9" * 5000])
def test_seed_refuses_the_rest(text: str) -> None:
    """The error says what would do."""
    with pytest.raises(click.BadParameter, match="whole number from -9223372036854775808 to 18446744073709551615"):
        seed(text)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("1769860800", 1769860800),
        ("-0.5", -0.5),
        ("2026-01-31T12:00:00Z", 1769860800),
        ("2026-01-31T13:00:00+01:00", 1769860800),
        (" 2026-01-31 12:00:00z ", 1769860800),
    ],
)
def test_moment_is_read(text: str, expected: float) -> None:
    """Seconds, or ISO 8601 with a zone."""
    assert moment(text) == expected


@pytest.mark.parametrize("text", ["", "now", "nan", "1e400", "2026-13-01T00:00:00Z", "999999999999999", "9" * 5000])
def test_moment_refuses_the_rest(text: str) -> None:
    """The error says what would do."""
    with pytest.raises(click.BadParameter, match="is not a moment: give a date and time with its zone"):
        moment(text)


@pytest.mark.parametrize(
    "text, suggested",
    [
        ("2026-01-31T12:00:00", "2026-01-31T12:00:00Z"),
        ("2026-01-31", "2026-01-31T00:00:00Z"),
        (" 2026-01-31 12:00:00.5 ", "2026-01-31T12:00:00.500000Z"),
    ],
)
def test_moment_without_a_zone_is_told_so(text: str, suggested: str) -> None:
    """It would mean another moment on another machine; what is suggested is accepted."""
    with pytest.raises(click.BadParameter, match=r"has no time zone: give one, such as (\S+) for UTC") as caught:
        moment(text)
    assert f"such as {suggested} for UTC" in caught.value.message
    assert moment(suggested) == datetime.fromisoformat(suggested.replace("Z", "+00:00")).timestamp()


def decode(value: Any) -> Any:
    """Read the notation that `encode` writes, as docs/command-line.md describes it."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, inner),) = value.items()
        if key == "$bytes":
            return base64.b64decode(inner)
        if key == "$float":
            return float(inner)
        if key == "$tuple":
            return tuple(decode(item) for item in inner)
        if key == "$map":
            return {decode(name): decode(item) for name, item in inner}
    return {name: decode(item) for name, item in value.items()}


SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
)
KEYS = st.text() | st.sampled_from(["$bytes", "$float", "$tuple", "$map"]) | st.integers() | st.binary() | st.booleans()
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner), max_leaves=20
)


@given(DATA)
def test_json_notation_is_unambiguous(value: Any) -> None:
    """Whatever a script returns can be had back from the JSON, exactly."""
    assert repr(decode(json.loads(json.dumps(encode(value), allow_nan=False)))) == repr(value)


def test_json_notation_of_nan() -> None:
    """A number that is none survives too."""
    assert math.isnan(decode(encode(math.nan)))


def test_exit_code_of_an_unlisted_error_is_one() -> None:
    """Every failure of a script that has no code of its own has 1."""
    assert exit_code(luagauge.SecurityViolation("x")) == 1
    assert exit_code(None) == 0


@pytest.mark.parametrize(
    "size, expected",
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (2048, "2.000 KiB (2,048 bytes)"),
        (3 << 20, "3.000 MiB (3,145,728 bytes)"),
    ],
)
def test_size_text_is_for_people(size: int, expected: str) -> None:
    """Sizes are shown in a fitting unit with the exact figure beside it."""
    assert size_text(size) == expected


def test_visible_keeps_text_and_shows_bytes() -> None:
    """Ordinary text stays as it is; bytes that are not UTF-8 are shown as such."""
    assert visible("tab\tnewline\n日本 é") == "tab\tnewline\n日本 é"
    assert visible(b"ok \xff") == "ok \\xff"


def test_report_shows_what_was_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """A result without figures, and one whose run was refused memory and overlapped others, are shown as they are."""
    config = luagauge.ScriptConfig(memory_tracking=luagauge.MemoryTrackingConfig(enabled=False))
    with luagauge.LuaEngine(config) as engine:
        show_result(engine.execute_script("return 1"), "5.4")
    assert "memory used  not measured" in capsys.readouterr().out
    with luagauge.LuaEngine() as engine:
        result = engine.execute_script("return 1")
    assert result.memory is not None
    memory = dataclasses.replace(
        result.memory,
        refused_allocations=3,
        process_shared=True,
        process=luagauge.MemoryDelta(None, 0, 0.1),
    )
    show_result(dataclasses.replace(result, memory=memory, stopped="state", jit_off=True), "luajit2.1")
    out = capsys.readouterr().out
    assert "stopped        by throwing its Lua state away" in out
    assert "JIT            off" in out
    assert "refused        3 allocations, by the limit" in out
    assert "RSS +0.000 MiB (not the script's own; other runs overlapped)" in out


def test_doctor_shows_no_source_that_gives_nothing() -> None:
    """A figure that the system left out (wine's PrivateUsage) is not available, whatever it would be read from."""
    probe = {"platform": "windows", "error": None, "rss": "WorkingSetSize", "heap": "PrivateUsage", "heap_in_use": None}
    reading = {"rss_bytes": 1048576, "heap_size_bytes": None}
    rows = dict(_probe_rows({**probe, "snapshot": reading, "heap_in_use_bytes": None}))
    assert rows["  RSS"] == "now 1.000 MiB (1,048,576 bytes); WorkingSetSize"
    assert rows["  heap size"] == "not available here: PrivateUsage gives none"
    assert rows["  heap in use"] == "not available here"
    failed = dict(_probe_rows({**probe, "error": "errno 2", "snapshot": None, "heap_in_use_bytes": None}))
    assert failed["  heap size"] == "PrivateUsage"


def test_doctor_judges_what_runs_show() -> None:
    """A run that should have been measured, limited or stopped and was not is a problem that is named."""
    with luagauge.LuaEngine() as engine:
        fine, failed = engine.execute_script("return 1"), engine.execute_script("error('odd', 0)")
    found = dict.fromkeys(("source", "memory_limit", "stopped_after_ms", "note", "deadlines", "hard_stop"))
    judged: dict[str, Any] = {"usable": True, **found}
    _judge(judged, failed, fine, failed)
    assert judged["ok"] is False
    assert judged["memory_limit"] == "not enforced"
    assert judged["stopped_after_ms"] is None
    assert judged["problem"] == "a measured run: odd; a run over its memory limit: None; a run over its time: odd"


def test_check_names_a_limit_that_compiling_went_over(tmp_path: Path) -> None:
    """A file too large to compile within the limits is named as that."""
    script = tmp_path / "large.lua"
    script.write_text("return {" + "{1},\n" * 10_000 + "}", encoding="ascii")
    with luagauge.LuaEngine(luagauge.ScriptConfig(memory_limit_mb=0.1)) as engine:
        assert re.search(r"over its limit of (0\.1 MiB|104,857)", _problem(engine, str(script)) or "")
