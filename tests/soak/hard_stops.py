"""Hard stops in a row: `python tests/soak/hard_stops.py --stops 20000 --threads 8 --profile-storm --forks`.

Each thread has an engine per Lua. Runs end within milliseconds: scripts that are one long step of Lua's own, hostile and
random ones. After each the engine must run a reference script with the same output and the same figures as before; at
the end RSS, descriptors, threads and mappings may have grown by little. Prints one line; exit code 1 on a finding.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import os
import random
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent / "support"))

from grammar import Generator
from held_memory import resident_bytes
from long_steps import LONG_STEPS, pure_step
from luas import HAVE_ARENA

from luagauge import (
    LuaEngine,
    LuaScript,
    ScriptConfig,
    ScriptInterruptedError,
    ScriptResult,
    ScriptTimeoutError,
)

KIB = 1024
REFERENCE = """
local t = {} for i = 1, 200 do t[i] = {i, 'text ' .. i} end
print(#t)
return #t, t[200][2], context.request.a
"""
OUTCOME = 3  # of the figures, what the run came to
CORPUS = Path(__file__).resolve().parent.parent / "c" / "corpus.txt"


def corpus() -> list[str]:
    """Return the scripts of the corpus."""
    texts = CORPUS.read_text(encoding="utf-8").split("== ")
    return [text.partition("\n")[2] for text in texts if text.strip()]


class Station:
    """An engine, a limit of CPU time that ends what is long, and what the reference script must come to."""

    def __init__(self, lua: str, limits: dict[str, Any]) -> None:
        """Make the engine and take the figures."""
        self.lua = lua
        self.engine = LuaEngine(
            ScriptConfig(lua=lua, memory_limit_mb=32, functions={"double": lambda x: x * 2}, **limits)
        )
        self.kept = self.compile("return context.n + 1", name="kept")
        self.reference = self.compile(REFERENCE, name="reference")
        step, self.context = pure_step(lua, 15 if lua.startswith("luajit") else 13)
        self.step = self.compile(step)
        # An engine that holds little puts every run's figures back to what they were; these are few enough for that.
        self.others = [self.compile(script) for script in random.sample(list(LONG_STEPS.values()), 5)]
        self.exact = True
        self.stops = 0
        self.figures()
        self.expected = self.figures()

    def compile(self, source: str, name: str | None = None) -> LuaScript:
        """Compile; a loaded machine may cost it its little time."""
        for _ in range(50):
            try:
                return self.engine.precompile_script(source, name=name)
            except (ScriptTimeoutError, ScriptInterruptedError):
                pass
        raise AssertionError(f"{source!r} was never compiled in time")

    def again(self, script: LuaScript, context: dict[str, Any]) -> ScriptResult:
        """Run a script that must succeed. A loaded machine, or a late interruption, may end it."""
        for _ in range(50):
            result = self.engine.execute_script(script, context)
            if not isinstance(result.error, (ScriptTimeoutError, ScriptInterruptedError)):
                return result
        raise AssertionError(f"{script!r} never came to its end")

    def figures(self) -> tuple[Any, ...]:
        """Run the reference script."""
        result = self.again(self.reference, {"request": {"a": 7}})
        memory = result.memory
        assert memory is not None
        return (
            repr(result.error),
            result.output,
            [entry.message for entry in result.logs],
            memory.used_bytes,
            memory.end_bytes - memory.start_bytes,  # the engine keeps compiled scripts, and so it starts with more
            memory.allocated_bytes,
            memory.allocation_count,
        )

    def check(self, script: str | LuaScript, result: ScriptResult) -> None:
        """Hold a run and the state of the engine after it against what must be."""
        self.stops += result.stopped == "state"
        wrong = []
        if result.stopped == "state" and (
            not isinstance(result.error, (ScriptTimeoutError, ScriptInterruptedError))
            or result.output is not None
            or result.error.line is not None
        ):
            wrong.append(repr(result))
        if self.engine.stats().hard_stops != self.stops:
            wrong.append(f"{self.engine.stats()!r} after {self.stops} hard stops")
        figures = self.figures()
        self.exact = self.exact and not isinstance(script, str)  # one more script that is kept
        same = len(figures) if self.exact else OUTCOME
        if figures[:same] != self.expected[:same]:
            wrong.append(f"{figures} is not {self.expected}")
        if self.again(self.kept, {"n": 41}).output != 42:
            wrong.append("the compiled script")
        if wrong:
            text = script if isinstance(script, str) else repr(script)
            raise AssertionError(f"{self.lua}: after {text!r}: {'; '.join(wrong)}")

    def one(self, source: random.Random, interrupter: Interrupter, *, anything: bool = True) -> bool:
        """Run one script; whether it was ended by a hard stop."""
        kind = source.random()
        script: str | LuaScript = self.step
        if not anything and kind < 0.8:
            pass
        elif not anything or kind < 0.5:
            script = source.choice(self.others)
        elif kind < 0.9:
            script = Generator(source, self.lua).program()
        else:
            script = source.choice(SCRIPTS)
        if source.random() < 0.1:
            interrupter.aim(self.engine)
        result = self.engine.execute_script(script, self.context)
        self.check(script, result)
        return result.stopped == "state"


class Interrupter:
    """A thread that interrupts an engine a moment after it was named."""

    def __init__(self) -> None:
        """Start the thread."""
        self.target: LuaEngine | None = None
        self.over = False
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def aim(self, engine: LuaEngine) -> None:
        """Name the engine."""
        self.target = engine

    def work(self) -> None:
        """Interrupt until the end."""
        while not self.over:
            time.sleep(0.002)
            target, self.target = self.target, None
            if target is not None:
                target.interrupt()


SCRIPTS = corpus()


def child(stations: list[Station], source: random.Random, interrupter: Interrupter) -> bool:
    """Fork, and in the child go on with this thread's engines; whether that went right."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for _ in range(3):
                station = source.choice(stations)
                station.check(station.step, station.engine.execute_script(station.step, station.context))
            fresh = Station(source.choice(HAVE_ARENA), {"timeout_ms": 3})
            fresh.one(source, interrupter)
            code = 0
        except BaseException:  # noqa: BLE001 - the child ends here, whatever it was
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def held() -> dict[str, int]:
    """Return what the process holds."""
    return {
        "rss": resident_bytes(),
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "threads": sum(1 for _ in Path("/proc/self/task").iterdir()),
        "mappings": len(Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()),
    }


class Soak:
    """The threads, and what they came to."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Take the options."""
        self.options = options
        self.stops = collections.Counter[str]()
        self.runs = 0
        self.forks = 0
        self.failures: list[str] = []
        self.lock = threading.Lock()

    def work(self, seed: int, stops: int) -> None:
        """Run until there have been so many hard stops."""
        source = random.Random(seed)  # noqa: S311 - repeatable, not secret
        interrupter = Interrupter()
        counted = 0
        try:
            stations = self.stations()
            while counted < stops and not self.failures:
                place = source.randrange(len(stations))
                station = stations[place]
                stopped = station.one(source, interrupter, anything=place % 3 == 2)
                counted += stopped
                forks = self.options.forks and source.random() < 0.02
                assert not forks or child(stations, source, interrupter), "a forked child went wrong"
                with self.lock:
                    self.runs += 1
                    self.forks += forks
                    self.stops[station.lua] += stopped
            for station in stations:
                station.engine.close()
        except BaseException:  # noqa: BLE001 - reported by the main thread
            self.failures.append(traceback.format_exc())
        finally:
            interrupter.over = True
            interrupter.thread.join()

    def stations(self) -> list[Station]:
        """Return an engine of each Lua with each kind of limit. LuaJIT's step begins late."""
        limits = {lua: 60 if lua.startswith("luajit") else 2 for lua in HAVE_ARENA if lua in self.options.lua}
        return [
            Station(lua, given)
            for lua, ms in limits.items()
            for given in ({"timeout_ms": ms}, {"cpu_time_ms": ms, "timeout_ms": 60_000}, {"timeout_ms": ms})
        ]

    def round(self, stops: int, seed: int) -> None:
        """Run all threads."""
        count = max(self.options.threads, 1)
        threads = [threading.Thread(target=self.work, args=(seed + i, stops // count)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--stops", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--profile-storm", action="store_true", help="SIGPROF at 1 kHz of CPU time")
    parser.add_argument("--forks", action="store_true", help="fork now and then; the child goes on")
    parser.add_argument("--sanitized", action="store_true", help="RSS and mappings are a sanitizer's: leave them out")
    parser.add_argument("--lua", action="append", choices=HAVE_ARENA, help="these alone; repeat")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    faulthandler.enable()
    options.lua = options.lua or list(HAVE_ARENA)
    profiled = [0]

    def on_profile(*_: object) -> None:
        profiled[0] += 1

    if options.profile_storm:
        signal.signal(signal.SIGPROF, on_profile)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    soak, started = Soak(options), time.monotonic()
    soak.round(max(options.stops // 10, 50), options.seed)  # caches fill, pools grow to their working size
    before = held()
    soak.round(options.stops, options.seed + 1000)
    if options.profile_storm:
        signal.setitimer(signal.ITIMER_PROF, 0)
    time.sleep(0.1)  # what was given back to the system may be on its way
    growth = {name: value - before[name] for name, value in held().items()}
    # Per thread, a heap of the C library keeps what it once was large enough for.
    most = {
        "rss": (8 + 4 * options.threads) * KIB * KIB,
        "descriptors": 0,
        "threads": 1,
        "mappings": 8 + 4 * options.threads,
    }
    if options.sanitized:
        del most["rss"], most["mappings"]
    grown = {name: growth[name] for name in most if growth[name] > most[name]}
    print(
        f"{sum(soak.stops.values())} hard stops in {soak.runs} runs, {soak.forks} forks, {profiled[0]} SIGPROF, "
        f"{time.monotonic() - started:.0f} s: {dict(soak.stops)}; from {before} grew by {growth}"
    )
    for failure in soak.failures:
        print(failure)
    if grown:
        print(f"too much: {grown}")
    return 1 if soak.failures or grown else 0


if __name__ == "__main__":
    sys.exit(main())
