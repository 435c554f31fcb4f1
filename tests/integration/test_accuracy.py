"""memory_used_mb against the truth: strings of known size, tables of known shape, first runs and repeated ones.

The truth is the string's own length, and the sizes that Lua's own sources give its objects. That the figures are those
of the allocator to the byte is in test_metering_oracle.py.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from luas import HAVE_INTEGERS

from luagauge import LuaEngine, MemoryLimitExceeded, MemoryTrackingConfig, MemoryTrackingError, _binding

if TYPE_CHECKING:
    from collections.abc import Callable

KIB, MIB = 1024, 1048576
SIZES = [KIB, 10 * KIB, 100 * KIB, MIB, 10 * MIB, 100 * MIB]

FORMS = {
    "repeated": "local s = ('x'):rep({size}) return #s",
    "repeated text": "local s = ('0123456789abcdef'):rep({size} // 16) return #s",
    "global": "s = ('x'):rep({size}) return #s",
    "in a table": "local t = {{('x'):rep({size})}} return #t[1]",
    "upvalue": "local s = ('x'):rep({size}) local f = function() return #s end return f()",
}


@pytest.fixture
def gauge(make_engine: Callable[..., LuaEngine], lua: str) -> LuaEngine:
    """Return an engine whose limits are out of the way."""
    return make_engine(lua, memory_limit_mb=None, timeout_ms=60_000)


def source_of(form: str, size: int, lua: str) -> str:
    """Return a script that makes one string of `size` bytes and returns its length."""
    source = FORMS[form].format(size=size)
    return source if lua in HAVE_INTEGERS else source.replace("//", "/")


def used_bytes(engine: LuaEngine, source: str, expected: Any) -> int:
    """Run a script, check its output, and return what it used."""
    result = engine.execute_script(source)
    assert result.error is None
    assert result.output == expected
    assert result.memory is not None
    assert result.memory_used_mb == result.memory.used_bytes / MIB
    return result.memory.used_bytes


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", SIZES[:-1], ids=lambda size: f"{size // KIB}K")
def test_string_of_known_size_is_measured(gauge: LuaEngine, lua: str, size: int, form: str) -> None:
    """At least its own size, at most 1 % and 4 KiB more: in the first run of an engine and in the ones after it."""
    source = source_of(form, size, lua)
    runs = [used_bytes(gauge, source, size) for _ in range(4)]
    for used in runs:
        assert size <= used <= size * 1.01 + 4 * KIB
    assert len(set(runs[1:])) == 1  # the first one compiled


def test_string_of_100_mb_is_measured(gauge: LuaEngine, lua: str) -> None:
    """The upper end, with a string that is garbage at once beside it."""
    size = SIZES[-1]
    used = used_bytes(gauge, source_of("repeated", size, lua), size)
    assert size <= used <= size * 1.01 + 4 * KIB


@pytest.mark.parametrize("size", SIZES[:-1], ids=lambda size: f"{size // KIB}K")
def test_transient_string_counts_at_its_peak(gauge: LuaEngine, lua: str, size: int) -> None:
    """A string dropped and collected before the end is in the peak, not in the end."""
    source = f"local s = ('x'):rep({size}) local n = #s s = nil collectgarbage() collectgarbage() return n"
    for _ in range(3):
        result = gauge.execute_script(source)
        assert result.output == size
        assert result.memory is not None
        assert size <= result.memory.used_bytes <= size * 1.01 + 4 * KIB
        assert result.memory.end_bytes - result.memory.start_bytes < 4 * KIB


def test_strings_one_after_the_other_peak_as_one(gauge: LuaEngine) -> None:
    """Ten strings of 1 MiB, each collected before the next: one at the peak, ten in the gross figure."""
    source = """
    local n = 0
    for i = 1, 10 do local s = ('x'):rep(1048576) n = n + #s s = nil collectgarbage() end
    return n
    """
    result = gauge.execute_script(source)
    assert result.output == 10 * MIB
    assert result.memory is not None
    assert MIB <= result.memory.used_bytes <= 1.01 * MIB + 4 * KIB
    assert (result.memory.allocated_bytes or 0) >= 10 * MIB


def test_strings_side_by_side_add_up(gauge: LuaEngine) -> None:
    """Ten different strings of 100 KiB, all kept."""
    source = "local t = {} for i = 1, 10 do t[i] = tostring(i - 1):rep(102400) collectgarbage() end return #t"
    used = used_bytes(gauge, source, 10)
    assert 1000 * KIB <= used <= 1010 * KIB + 4 * KIB


def test_runs_do_not_disturb_each_other(gauge: LuaEngine, lua: str) -> None:
    """A figure is the same after runs that made a large heap, many short strings, deep stacks and garbage."""
    source = source_of("repeated", 100 * KIB, lua)
    used_bytes(gauge, source, 100 * KIB)
    alone = used_bytes(gauge, source, 100 * KIB)
    for other in (
        "local t = {} for i = 1, 1e5 do t[i] = 'short ' .. i end",
        "local function f(n) return n == 0 and 0 or 1 + f(n - 1) end return f(10000)",
        "for i = 1, 1e5 do local t = {i} end",
        "return #('x'):rep(5e6)",
        "local t = {} for i = 1, 1e5 do t[i] = i end error('fails')",
    ):
        gauge.execute_script(other)
        assert used_bytes(gauge, source, 100 * KIB) == alone


def test_engine_that_holds_much_code_measures_the_same(gauge: LuaEngine, lua: str) -> None:
    """Compiled scripts that an engine keeps, and the garbage of runs before, are in no run's figure."""
    source = source_of("repeated", 64 * KIB, lua)
    collecting = f"collectgarbage() {source}"
    script = gauge.precompile_script(collecting)
    gauge.execute_script(script)
    memory = gauge.execute_script(script).memory
    assert memory is not None
    alone = memory.used_bytes
    big = "local t = {" + ",".join(f"'{i:06d}'" for i in range(40_000)) + "} return #t"
    kept = gauge.precompile_script(big)
    for _ in range(3):
        gauge.execute_script("local t = {} for i = 1, 2500 do t[i] = {} end return #t")
        memory = gauge.execute_script(script).memory
        assert memory is not None
        assert abs(memory.used_bytes - alone) <= 4 * KIB
    assert kept.name == "script"


# --- tables of known shape: sizes as Lua's own headers make them on 64-bit machines -----------------------------------


# LuaJIT 2.0 keeps 32-bit references.
TABLE_BYTES = {"5.1": 64, "5.2": 56, "5.3": 56, "5.4": 56, "5.5": 56, "luajit2.0": 32, "luajit2.1": 64}
SLOT_BYTES = {"5.1": 16, "5.2": 16, "5.3": 16, "5.4": 16, "5.5": 9, "luajit2.0": 8, "luajit2.1": 8}


@pytest.mark.skipif(struct.calcsize("P") != 8, reason="the sizes are those of 64-bit builds")
def test_tables_of_known_shape_are_measured(gauge: LuaEngine, lua: str) -> None:
    """An array of 2**16 numbers costs its slots, an empty table its header, to the byte."""
    source = """
    local count = collectgarbage
    local function size(make)
      make() count() count()
      local before = count('count')
      local made = make() count() count()
      return (count('count') - before) * 1024
    end
    local function array() local t = {} for i = 1, 65536 do t[i] = i end return t end
    local function places() local t = {} for i = 1, 1024 do t[i] = false end return t end
    local function tables() local t = {} for i = 1, 1024 do t[i] = {} end return t end
    return size(array), (size(tables) - size(places)) / 1024
    """
    result = gauge.execute_script(source)
    assert result.error is None
    array, table = result.output
    slots = 65536 * SLOT_BYTES[lua]
    # LuaJIT's arrays begin at index 0, which makes this one double; 5.5 adds a header to the slots.
    assert slots <= array <= (2 if lua.startswith("luajit") else 1) * slots + 128
    assert table == pytest.approx(TABLE_BYTES[lua], abs=8)


# --- the scenarios that every user of a memory figure tries first -----------------------------------------------------


def test_scenario_small_script(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A small script uses little, more than nothing, and far less than a page of megabytes."""
    result = make_engine(lua).execute_script("local x = 1 + 1 return x")
    assert result.success
    assert result.memory_used_mb is not None
    assert 0 <= result.memory_used_mb < 0.01


def test_scenario_large_allocation(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Ten million bytes are ten million bytes, within ten per cent and far better."""
    result = make_engine(lua).execute_script("local s = string.rep('x', 10 * 1024 * 1024) return #s")
    assert result.success
    assert result.memory_used_mb == pytest.approx(10, rel=0.01)


def test_scenario_limit_enforced(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A script over its limit is stopped with both figures, and the next one runs."""
    engine = make_engine(lua, memory_limit_mb=1)
    result = engine.execute_script("local t = {} for i = 1, 1e6 do t[i] = 'item ' .. i end")
    assert not result.success
    assert isinstance(result.error, MemoryLimitExceeded)
    assert result.error.used_mb > result.error.limit_mb == 1
    assert engine.execute_script("return 1").success


def test_scenario_without_the_process(make_engine: Callable[..., LuaEngine], lua: str, tmp_path: Any) -> None:
    """Where the process cannot be measured, scripts run, the heap figures stay exact, and the delta is None."""
    if _binding.describe_probe().platform != "linux":
        pytest.skip("only the Linux probe reads a file that can be taken away")
    engine = make_engine(lua)
    strict = make_engine(lua, memory_tracking=MemoryTrackingConfig(on_error="raise"))
    _binding.set_statm_path(tmp_path / "no such file")
    try:
        result = engine.execute_script("local s = ('x'):rep(100000) return #s")
        with pytest.raises(MemoryTrackingError):
            strict.execute_script("return 1")
    finally:
        _binding.set_statm_path(None)
    assert result.output == 100_000
    assert result.memory is not None
    assert result.memory.process is None
    assert result.memory.used_bytes >= 100_000
    for each in (engine, strict):
        memory = each.execute_script("return 1").memory
        assert memory is not None
        assert memory.process is not None
