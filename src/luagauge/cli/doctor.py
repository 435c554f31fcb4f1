"""What this installation measures here, and how: found out by trying, not by looking it up."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from dataclasses import asdict
from typing import Any

from rich.text import Text

from luagauge import _binding
from luagauge._finder import (
    MODULES,
    OLDEST_LUPA,
    available,
    carried_releases,
    check_version,
    find_lua,
    lupa_is_needed,
    lupa_version,
)
from luagauge.cli.as_text import console, facts_table, print_table, size_text
from luagauge.config import ScriptConfig
from luagauge.engine import LuaEngine
from luagauge.errors import (
    LuaGaugeError,
    MemoryLimitExceeded,
    MemoryTrackingError,
    PlatformUnavailableError,
    ScriptTimeoutError,
)
from luagauge.results import ScriptResult

_TIMEOUT_MS = 20.0
_LIMIT_MB = 1.0
_MEASURED = 'return string.rep("x", 100000)'
_HUNGRY = 'local t = {} for i = 1, 1e7 do t[i] = string.rep("x", 1000) .. i end'
_ENDLESS = "while true do end"
# How runs are ended.
_WATCHDOG = {
    "signal": "one native watchdog thread sends a signal (SIGURG unless luagauge.use_signal() named another) to the "
    "thread of a run that is due; the signal's handler sets Lua's hook, which ends the run. Nothing is installed while "
    "a run is within its time.",
    "suspension": "one native watchdog thread suspends the thread of a run that is due, sets Lua's hook, which ends "
    "the run, and lets the thread go on. Nothing is installed while a run is within its time.",
}
_TOLD_BY = "suspension" if sys.platform == "win32" else "signal"
_BY = {"signal": "a signal", "suspension": "suspending its thread"}
_OWNERS = {"luagauge": "luagauge's own module", "lupa": "lupa's module"}
_JIT_OFF = "its JIT compiler is off: luagauge does not use it yet"


def examine() -> dict[str, Any]:
    """Try everything out. About 30 ms for each Lua version.

    Returns:
        Plain data, with `"healthy"` telling whether the probe and at least one Lua work, what this wheel carries is
        whole, and no check failed. `"lupa_problem"` says why lupa cannot give the Luas that this wheel does not carry,
        and is None where it can, or carries all that there are.
    """
    probe = _examine_probe()
    carried, carried_problem = _examine_carried()
    lupa, lupa_problem = _examine_lupa(needed=carried_problem is None and lupa_is_needed())
    lua = {version: _examine_lua(version, problem) for version, problem in available().items()}
    usable = [found for found in lua.values() if found["usable"]]
    whole = carried_problem is None and all(
        lua[version]["usable"] for version, name in MODULES.items() if name in carried
    )
    return {
        "healthy": probe["error"] is None
        and lupa_problem is None
        and whole
        and bool(usable)
        and all(found["ok"] for found in usable),
        "luagauge": _installed("luagauge"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "free_threaded": not getattr(sys, "_is_gil_enabled", lambda: True)(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "lupa": lupa,
        "lupa_problem": lupa_problem,
        "carried": carried,
        "carried_problem": carried_problem,
        "cffi": _installed("cffi"),
        "probe": probe,
        "deadlines": {_TOLD_BY: _WATCHDOG[_TOLD_BY]} if usable else {},
        "lua": lua,
    }


def _installed(distribution: str) -> str | None:
    """Return the version of an installed distribution, None where no metadata says it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _examine_carried() -> tuple[dict[str, str], str | None]:
    """Return the release of each Lua that this wheel carries, and what is wrong with their list."""
    try:
        return carried_releases(), None
    except PlatformUnavailableError as error:
        return {}, str(error)


def _examine_lupa(*, needed: bool) -> tuple[str | None, str | None]:
    """Return lupa's version, and why it cannot do where it has to; by its own word first, then by its metadata's."""
    version = None
    try:
        for version in (lupa_version(), _installed("lupa") or OLDEST_LUPA):
            check_version(version)
    except PlatformUnavailableError as error:
        return version, str(error) if needed else None
    return lupa_version(), None


def _examine_probe() -> dict[str, Any]:
    """Describe the process probe and take a reading."""
    probe: dict[str, Any] = {**asdict(_binding.describe_probe()), "snapshot": None, "heap_in_use_bytes": None}
    probe["error"] = None
    try:
        probe["snapshot"] = asdict(_binding.snapshot())
        probe["heap_in_use_bytes"] = _binding.heap_in_use_bytes() if probe["heap_in_use"] is not None else None
    except MemoryTrackingError as error:
        probe["error"] = str(error)
    return probe


def _examine_lua(version: str, problem: str | None) -> dict[str, Any]:
    """Run three small scripts on one Lua: one is measured, one is over its memory limit, one over its time."""
    found: dict[str, Any] = {
        "usable": problem is None, "ok": False, "problem": problem, "module": None, "path": None, "release": None,
        "source": None, "memory_limit": None, "deadlines": None, "hard_stop": None, "deadline_ms": None,
        "stopped_after_ms": None, "note": None,
    }  # fmt: skip
    if problem is not None:
        return found
    served = find_lua(version)
    found["module"], found["path"], found["release"] = served.module, served.path, served.release
    config = ScriptConfig(lua=version, timeout_ms=_TIMEOUT_MS * 50, memory_limit_mb=_LIMIT_MB)
    try:
        with LuaEngine(config) as engine:
            measured = engine.execute_script(_MEASURED)
            hungry = engine.execute_script(_HUNGRY)
        with LuaEngine(ScriptConfig(lua=version, timeout_ms=_TIMEOUT_MS)) as engine:
            endless = engine.execute_script(_ENDLESS)
            found["hard_stop"] = engine.stats().no_hard_stop or "on"
    except LuaGaugeError as error:
        found["problem"] = str(error)
        return found
    _judge(found, measured, hungry, endless)
    return found


def _judge(found: dict[str, Any], measured: ScriptResult, hungry: ScriptResult, endless: ScriptResult) -> None:
    """Fill in what the three runs showed."""
    memory = measured.memory
    if memory is not None:
        found["source"] = memory.source
        found["deadlines"] = _TOLD_BY
    limited = isinstance(hungry.error, MemoryLimitExceeded)
    stopped = isinstance(endless.error, ScriptTimeoutError)
    found["note"] = _JIT_OFF if measured.jit_off else None
    found["memory_limit"] = "enforced" if limited else "not enforced"
    found["deadline_ms"] = _TIMEOUT_MS
    found["stopped_after_ms"] = round(endless.duration_ms, 3) if stopped else None
    failures = [
        f"{what} {result.error}"
        for what, result, good in (
            ("a measured run:", measured, measured.success and memory is not None),
            ("a run over its memory limit:", hungry, limited),
            ("a run over its time:", endless, stopped),
        )
        if not good
    ]
    found["ok"] = not failures
    found["problem"] = "; ".join(failures) or None


def show(facts: dict[str, Any]) -> None:
    """Print what `examine` found."""
    out = console()
    table = facts_table()
    luagauge, lupa, cffi = (facts[name] or "of no known version" for name in ("luagauge", "lupa", "cffi"))
    table.add_row("luagauge", f"{luagauge}, with {'lupa ' + lupa if facts['lupa'] else 'no lupa'} and cffi {cffi}")
    table.add_row("Python", facts["python"] + (", free-threaded" if facts["free_threaded"] else ""))
    table.add_row("platform", facts["platform"])
    for name, text in _probe_rows(facts["probe"]):
        table.add_row(name, text)
    table.add_row("deadlines", "\n".join(facts["deadlines"].values()) or "none: no Lua is usable")
    said = [problem for problem in (facts["carried_problem"], facts["lupa_problem"]) if problem is not None]
    for problem in said:
        table.add_row("Luas", Text(problem, style="red"))
    for version, found in facts["lua"].items():
        if found["problem"] in said:
            continue  # the same of each
        name = version.replace("luajit", "LuaJIT ") if version.startswith("luajit") else f"Lua {version}"
        table.add_row(name, Text(_lua_text(found), style="" if found["ok"] else "red" if found["usable"] else "dim"))
    print_table(out, table)
    whole = all(found["usable"] for found in facts["lua"].values())
    well = "everything works here" if whole else "everything that is usable works here"
    verdict = well if facts["healthy"] else "something does not work here: see above"
    out.print(Text(verdict, style="green" if facts["healthy"] else "bold red"))


def _probe_rows(probe: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows about the process's memory."""
    reading = probe["snapshot"] or {}
    rows = [("process", f"probe for {probe['platform']}" + (f": {probe['error']}" if probe["error"] else ""))]
    for name, how, size_bytes in (
        ("  RSS", probe["rss"], reading.get("rss_bytes")),
        ("  heap size", probe["heap"], reading.get("heap_size_bytes")),
        ("  heap in use", probe["heap_in_use"], probe["heap_in_use_bytes"]),
    ):
        if how is None or (size_bytes is None and probe["error"] is None):
            rows.append((name, "not available here" + (f": {how} gives none" if how else "")))
        else:
            rows.append((name, how if size_bytes is None else f"now {size_text(size_bytes)}; {how}"))
    return rows


def _lua_text(found: dict[str, Any]) -> str:
    """Return one Lua version's state in a line."""
    if not found["usable"]:
        return f"not usable: {found['problem']}"
    if not found["ok"]:
        return f"failed: {found['problem']}"
    text = f"{found['release']} of {_OWNERS[found['module']]}, exact figures, memory limit {found['memory_limit']}, "
    text += f"deadline of {found['deadline_ms']:g} ms ended a run after {found['stopped_after_ms']:.1f} ms"
    text += (
        f" by {_BY[found['deadlines']]}, hard stop {'' if found['hard_stop'] == 'on' else 'off: '}{found['hard_stop']}"
    )
    return text + (f"; {found['note']}" if found["note"] else "")
