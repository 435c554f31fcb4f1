"""What it costs to hand data to a script and to get it back, against json and against lupa's own tables."""

from __future__ import annotations

import importlib
import json
from typing import Any

from benchmarks.figures import Effort, Figure, compared
from benchmarks.method import alternate
from benchmarks.sides import LUA54, output_of, runtime
from luagauge import LuaEngine, ScriptConfig, ScriptContext

TOPIC = "conversion in and out"
SIZES = (10, 100, 1000, 10_000, 100_000)
HELD_SIZE = 10_000
FIELDS = 5
SOURCE = "return context.request"


def numbers(count: int) -> dict[str, object]:
    """Return one array of so many integers."""
    return {"values": list(range(count))}


def records(count: int) -> dict[str, object]:
    """Return so many values as the rows of a web request: five fields each, two of them strings."""
    rows = [
        {"id": row, "name": f"user {row}", "score": row / 3, "active": row % 2 == 0, "mail": f"u{row}@example.org"}
        for row in range(count // FIELDS)
    ]
    return {"rows": rows}


SHAPES = {"numbers": numbers, "records": records}


def from_table(value: Any, kind: Any) -> object:
    """Turn lupa's tables into dicts and lists as its users do: it has no function for it."""
    if kind(value) != "table":
        return value
    if len(value):
        return [from_table(item, kind) for item in value.values()]
    return {key: from_table(item, kind) for key, item in value.items()}


def measure_one(shape: str, size: int, effort: Effort) -> list[Figure]:
    """Time one round trip of the same data on every side.

    Raises:
        RuntimeError: A side did not return what it was given.
    """
    data = SHAPES[shape](size)
    engine = LuaEngine(ScriptConfig(lua=LUA54.lua, memory_limit_mb=1024, max_output_size=64 << 20))
    script = engine.precompile_script(SOURCE)
    context = ScriptContext(request=data)
    bare = runtime()
    identity = bare.eval("function(request) return request end")
    kind = importlib.import_module("lupa.lua54").lua_type

    def through_lupa() -> object:
        return from_table(identity(bare.table_from(data, recursive=True)), kind)

    sides = {
        "luagauge": lambda: engine.execute_script(script, context),
        "json": lambda: json.loads(json.dumps(data)),
        "lupa": through_lupa,
    }
    if output_of(engine.execute_script(script, context)) != data or through_lupa() != data:
        raise RuntimeError(f"{size} {shape} did not come back as they went in")
    times = alternate(sides, rounds=effort.rounds)
    held = size == HELD_SIZE
    name = f"{size:,} values, {shape}"
    return [
        compared(TOPIC, f"{name} / json dumps + loads", times, ("luagauge", "json"),
                 target=1.5 if held else None, bound=2.5 if held else None),
        compared(TOPIC, f"{name} / lupa table_from and back", times, ("luagauge", "lupa"), bound=1.0 if held else None),
    ]  # fmt: skip


def measure(effort: Effort) -> list[Figure]:
    """Time every shape at every size; in the check at the size that is held to an aim."""
    sizes = (HELD_SIZE,) if effort.quick else SIZES
    return [figure for shape in SHAPES for size in sizes for figure in measure_one(shape, size, effort)]
