"""Runs that can be had again: random numbers from a seed, and a clock of the host's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hard_stop import again, until_thrown_away
from long_steps import pure_step
from luas import HAVE_ARENA, HAVE_FRESH_RANDOM
from stock_lua import output, stock_lua

from luagauge import (
    EngineBusyError,
    LuaEngine,
    ScriptInterruptedError,
    ScriptResult,
    ScriptRuntimeError,
    ScriptTimeoutError,
)

MakeEngine = Callable[..., LuaEngine]
NOON = 1_709_208_000  # 2024-02-29 12:00:00 UTC
NUMBERS = "return math.random(1000), math.random(), math.random(-5, 5), math.random(2 ^ 30), math.random()"


# --- random_seed ------------------------------------------------------------------------------------------------------


def test_seed_gives_every_run_and_engine_the_same_numbers(make_engine: MakeEngine, lua: str) -> None:
    """Kept scripts and new ones, engines made one after the other; another seed gives other numbers."""
    first, second, other = (make_engine(lua, random_seed=seed) for seed in (7, 7, 8))
    script = second.precompile_script(NUMBERS)
    numbers = output(first, NUMBERS)
    assert numbers == output(first, NUMBERS) == output(second, NUMBERS)
    assert numbers == second.execute_script(script).output == second.execute_script(script).output
    assert numbers != output(other, NUMBERS)


@pytest.mark.parametrize("seed", [0, 1, -1, 42, 2**53, 2**53 - 1, -(2**40)])
def test_seed_begins_as_after_randomseed(make_engine: MakeEngine, lua: str, seed: int) -> None:
    """The numbers are those of a script that names the seed itself."""
    expected = output(make_engine(lua), f"math.randomseed({seed}) {NUMBERS}")
    assert output(make_engine(lua, random_seed=seed), NUMBERS) == expected


@pytest.mark.parametrize("seed", [0, 42, 2**63 - 1, -(2**63)])
def test_seed_gives_the_numbers_of_stock_lua(make_engine: MakeEngine, lua: str, seed: int) -> None:
    """From 5.4 on the generator is stock Lua's, so that a run can be had again there too."""
    if lua not in HAVE_FRESH_RANDOM:
        pytest.skip("its generator is the C library's in stock Lua")
    engine = make_engine(lua, random_seed=seed)
    stock = stock_lua(engine)
    stock.execute(f"math.randomseed({seed} | 0)")
    assert output(engine, NUMBERS) == tuple(stock.execute(NUMBERS))


def test_seed_takes_64_bits_with_a_sign_or_without(make_engine: MakeEngine, lua: str) -> None:
    """From 5.4 on the bits are what counts; before, seeds are floats, which tell the two apart."""
    unsigned, signed = (output(make_engine(lua, random_seed=seed), NUMBERS) for seed in (2**64 - 5, -5))
    assert (unsigned == signed) == (lua in HAVE_FRESH_RANDOM)
    assert output(make_engine(lua, random_seed=2**64 - 5), NUMBERS) == unsigned


def test_seed_holds_whatever_a_script_did_with_the_generator(make_engine: MakeEngine, lua: str) -> None:
    """A run that seeds anew, or takes many numbers, leaves nothing to the next one."""
    engine = make_engine(lua, random_seed=3)
    numbers = output(engine, NUMBERS)
    output(engine, "math.randomseed(99) for i = 1, 100 do math.random() end return 1")
    output(engine, "local f = load or loadstring return _G.math.random()")
    assert output(engine, NUMBERS) == numbers


def test_seeds_that_a_script_asks_for_repeat(make_engine: MakeEngine, lua: str) -> None:
    """math.randomseed() without an argument is no way to other numbers."""
    if lua not in (*HAVE_FRESH_RANDOM, "luajit2.1"):
        pytest.skip("randomseed wants an argument")
    source = "math.random() local a, b = math.randomseed() return a, b, math.random(1000000)"
    seen = [output(make_engine(lua, random_seed=5), source) for _ in range(3)]
    seen += [output(make_engine(lua, random_seed=5), source) for _ in range(3)]
    assert len(set(seen)) == 1
    assert output(make_engine(lua, random_seed=6), source) != seen[0]


def test_seed_places_equal_elements_of_a_sort(make_engine: MakeEngine, lua: str) -> None:
    """Sort takes random pivots once it goes badly: the order of equal elements shows them."""
    source = """
    local t = {}
    for i = 1, 3000 do t[i] = {k = i % 50 + 10, n = i} end
    t[1].k, t[1500].k, t[3000].k = 1, 2, 3
    table.sort(t, function(a, b) return a.k < b.k end)
    local order = {}
    for i, v in ipairs(t) do order[i] = v.n end
    return table.concat(order, ' ')
    """
    assert len({output(make_engine(lua, random_seed=1), source) for _ in range(6)}) == 1


def test_seed_and_clock_stay_after_a_hard_stop(make_engine: MakeEngine, lua: str) -> None:
    """The state that takes the place of the one thrown away has them."""
    if lua not in HAVE_ARENA or make_engine(lua).stats().no_hard_stop is not None:
        pytest.skip("there is no hard stop")
    script, context = pure_step(lua)
    source = f"local now = os.time() {NUMBERS}, now"
    before = output(make_engine(lua, random_seed=11, clock=NOON), source)
    engines: list[LuaEngine] = []

    def attempt(delay_ms: float) -> ScriptResult:
        engines.append(make_engine(lua, random_seed=11, clock=NOON, timeout_ms=None, cpu_time_ms=delay_ms))
        return engines[-1].execute_script(script, context)

    until_thrown_away(attempt)
    assert again(engines[-1], engines[-1].precompile_script(source)).output == before


# --- a clock that stands still ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment",
    [
        NOON,
        NOON + 0.75,
        datetime(2024, 2, 29, 12, tzinfo=timezone.utc),
        datetime(2024, 2, 29, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
    ids=repr,
)
def test_clock_stands_still_at_a_moment(make_engine: MakeEngine, lua: str, moment: object) -> None:
    """A number of seconds, or the instant of a datetime, whatever its zone; fractions are cut, as in stock Lua."""
    engine = make_engine(lua, clock=moment)
    source = "return os.time(), os.date('!%Y-%m-%d %H:%M:%S'), os.clock(), os.date('!*t').year, os.time()"
    expected = (NOON, "2024-02-29 12:00:00", 0, 2024, NOON)
    assert [output(engine, source) for _ in range(3)] == [expected] * 3


def test_clock_shows_in_the_zone_of_the_process(make_engine: MakeEngine, lua: str) -> None:
    """os.date is local time, as it is by the real clock."""
    shown = output(make_engine(lua, clock=NOON), "return os.date('%Y-%m-%d %H:%M:%S')")
    assert shown == time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(NOON))


@pytest.mark.parametrize("moment", [0, -0.5, -86400, 4_000_000_000])
def test_clock_stands_at_any_moment(make_engine: MakeEngine, lua: str, moment: float) -> None:
    """Before 1970 too, and after 2038; the second that has begun is the one that counts."""
    engine = make_engine(lua, clock=moment)
    wanted = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=moment // 1)
    shown = output(engine, "return os.time(), os.date('!%Y-%m-%d %H:%M:%S')")
    assert shown == (moment // 1, wanted.strftime("%Y-%m-%d %H:%M:%S"))


def test_clock_leaves_alone_what_a_script_names(make_engine: MakeEngine, lua: str) -> None:
    """Times that the script gives are its own."""
    engine = make_engine(lua, clock=NOON)
    source = "return os.date('!%Y', 0), os.difftime(5, 3), os.time{year = 2001, month = 1, day = 2, hour = 12}"
    local = int(time.mktime((2001, 1, 2, 12, 0, 0, 0, 0, -1)))
    assert output(engine, source) == ("1970", 2, local)


def test_clock_is_the_real_one_without_the_setting(make_engine: MakeEngine, lua: str) -> None:
    """As in stock Lua: the time of day, and CPU time that grows."""
    before = int(time.time())
    source = "local a = os.clock() while os.clock() == a do end return os.time(), a, os.clock()"
    now, used, later = make_engine(lua).execute_script(source).output
    assert before <= now <= time.time()
    assert 0 <= used < later


# --- a clock that is asked --------------------------------------------------------------------------------------------


def test_clock_is_asked_at_each_reading(make_engine: MakeEngine, lua: str) -> None:
    """Once for each; os.clock() counts from where the run first read it, whichever function that was."""
    readings = iter([NOON, NOON + 0.25, NOON + 61.5, NOON + 100, NOON + 100.5, NOON + 101])
    engine = make_engine(lua, clock=lambda: next(readings))
    script = engine.precompile_script("return os.time(), os.clock(), os.date('!%H:%M:%S')")
    assert engine.execute_script(script).output == (NOON, 0.25, "12:01:01")
    assert engine.execute_script("return os.clock(), os.clock(), os.time()").output == (0, 0.5, NOON + 101)
    assert next(readings, None) is None


def test_clock_is_not_asked_by_a_run_that_does_not_look(make_engine: MakeEngine, lua: str) -> None:
    """Neither before a run nor for the times of its log entries."""
    asked: list[int] = []

    def clock() -> float:
        asked.append(1)
        return NOON

    engine = make_engine(lua, clock=clock)
    entry = engine.execute_script("print(os.date('!%Y', 0), os.time{year = 2001, month = 1, day = 2})").logs[0]
    assert asked == []
    assert entry.time > NOON


def test_clock_is_asked_in_coroutines_and_metamethods(make_engine: MakeEngine, lua: str) -> None:
    """Wherever a host function may be called."""
    engine = make_engine(lua, clock=lambda: NOON)
    source = """
    local inner = coroutine.wrap(function() coroutine.yield(os.time()) return os.clock() end)
    local point = setmetatable({}, {__index = function() return os.date('!%Y') end})
    return inner(), inner(), point.year, select(2, pcall(os.time))
    """
    assert output(engine, source) == (NOON, 0, "2024", NOON)


@pytest.mark.parametrize("answer", ["now", None, True, b"1", float("nan"), float("inf"), 10**12, -(10**12), 10**400])
def test_clock_that_gives_no_moment_is_an_error(make_engine: MakeEngine, lua: str, answer: Any) -> None:
    """A TypeError of the host's, at the line of the script that asked."""
    result = make_engine(lua, clock=lambda: answer).execute_script("local a = 1\nlocal now = os.time()")
    assert isinstance(result.error, ScriptRuntimeError)
    assert str(result.error).startswith("script:2: config.clock: TypeError: the clock returned ")
    assert isinstance(result.error.__cause__, TypeError)


def test_clock_that_raises_is_an_error_of_the_script(make_engine: MakeEngine, lua: str) -> None:
    """As with a host function: the script may catch it, and what is no Exception comes out."""

    def clock() -> float:
        raise kind("no battery")

    kind: type[BaseException] = OSError
    engine = make_engine(lua, clock=clock)
    assert output(engine, "return pcall(os.clock)") == (False, "config.clock: OSError: no battery")
    result = engine.execute_script("local now = os.date()")
    assert str(result.error) == "script:1: config.clock: OSError: no battery"
    assert isinstance(result.error, ScriptRuntimeError)
    assert isinstance(result.error.__cause__, OSError)
    kind = SystemExit
    with pytest.raises(SystemExit, match="no battery"):
        engine.execute_script("pcall(os.time)")
    assert output(engine, "return 1") == 1


def test_clock_may_not_use_its_own_engine(make_engine: MakeEngine, lua: str) -> None:
    """The engine is in a run."""
    engines: list[LuaEngine] = []
    engines.append(make_engine(lua, clock=lambda: engines[0].execute_script("return 1").output))
    error = engines[0].execute_script("return os.time()").error
    assert isinstance(error, ScriptRuntimeError)
    assert isinstance(error.__cause__, EngineBusyError)


def test_clock_may_interrupt_the_run(make_engine: MakeEngine, lua: str) -> None:
    """The run ends once the clock has answered, and no pcall helps."""
    engines: list[LuaEngine] = []

    def clock() -> float:
        engines[0].interrupt()
        return NOON

    engines.append(make_engine(lua, clock=clock))
    result = engines[0].execute_script("pcall(os.time) while true do end")
    assert isinstance(result.error, ScriptInterruptedError)


def test_clock_of_the_host_moves_no_deadline(make_engine: MakeEngine, lua: str) -> None:
    """One that stands still does not hold the limit up, and one that leaps does not bring it nearer."""
    still = make_engine(lua, clock=NOON, timeout_ms=30).execute_script("while os.time() do end")
    assert isinstance(still.error, ScriptTimeoutError)
    years = iter(range(0, 3_000_000_000, 1_000_000))
    leaping = make_engine(lua, clock=lambda: next(years), timeout_ms=60_000)
    assert output(leaping, "for i = 1, 1000 do os.time() end return os.time()") == 1_000_000_000


def test_clock_runs_on_the_thread_of_the_run(make_engine: MakeEngine) -> None:
    """Two engines in two threads, each with a clock of its own."""
    seen: list[tuple[int, object]] = []

    def work(number: int) -> None:
        def clock() -> float:
            seen.append((number, threading.get_ident()))
            return number

        engine = make_engine(clock=clock, random_seed=number)
        assert output(engine, "for i = 1, 50 do assert(os.time() == " + str(number) + ") end return 1") == 1
        assert seen.count((number, threading.get_ident())) == 50

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 100


def test_replay_gives_equal_results(make_engine: MakeEngine, lua: str) -> None:
    """A script that uses chance and time gives the same output and the same memory figures, run after run."""
    engine = make_engine(lua, random_seed=1, clock=NOON)
    script = engine.precompile_script(
        "local t = {} for i = 1, 20 do t[i] = os.date('!%c') .. math.random(100) .. os.clock() end return t"
    )
    outputs = [engine.execute_script(script) for _ in range(4)]
    assert len({tuple(result.output) for result in outputs}) == 1
    if lua in HAVE_ARENA:  # without an image figures vary
        assert len({result.memory.used_bytes for result in outputs if result.memory}) == 1
