"""The embedded engines a host could pick instead, on the tasks that make sense for them.

Not comparable, and so left out: WebAssembly has no garbage collector of its own in common use and no trees in it
without a compiler, so wasmtime runs no binary trees; mini-racer and wasmtime compile to machine code, so their times
on a program say what a compiler gains, not what tracking costs; V8's limit is soft, and a hit ends its context.
"""

from __future__ import annotations

import psutil

from benchmarks import peer_limits
from benchmarks.engines import KIB
from benchmarks.figures import MIB, Effort, Figure, absolute
from benchmarks.isolate import isolated
from benchmarks.method import WALL, Call, alternate
from benchmarks.peer_hosts import WasmHost, quickjs_context, racer_context
from benchmarks.sides import gauged, plain, runtime
from benchmarks.workloads import WORKLOADS
from luagauge import LuaEngine

LIMIT_MB = 1024
JS_TREES = """(() => {
  const depth = 14;
  const grow = (levels) => levels === 0 ? {} : { left: grow(levels - 1), right: grow(levels - 1) };
  const count = (node) => node.left === undefined ? 1 : 1 + count(node.left) + count(node.right);
  const keeper = grow(depth);
  let nodes = 0;
  for (let levels = 4; levels <= depth; levels += 2)
    for (let i = 0; i < 2 ** (depth - levels); i++) nodes += count(grow(levels));
  return nodes + count(keeper);
})()"""


def trivial(effort: Effort) -> list[Figure]:
    """Time the smallest thing each engine can be asked for, in an engine that exists and in one made for it."""
    topic = "peers: a trivial run"
    bare, limited = runtime(), runtime(max_memory=LIMIT_MB * MIB)
    quick, racer, wasm = quickjs_context(), racer_context(), WasmHost()
    existing = {
        "luagauge, precompiled": gauged("return 1"),
        "lupa": lambda: bare.execute("return 1"),
        "lupa with max_memory": lambda: limited.execute("return 1"),
        "quickjs": lambda: quick("1"),
        "mini-racer (V8)": lambda: racer("1"),
        "wasmtime, exported function": wasm.instance("one"),
    }

    def new_engine() -> None:
        with LuaEngine() as engine:
            engine.execute_script("return 1")

    def new_wasm_instance() -> int:
        call = wasm.instance("one")
        return call()

    fresh: dict[str, Call] = {
        "luagauge": new_engine,
        "lupa": lambda: runtime().execute("return 1"),
        "lupa with max_memory": lambda: runtime(max_memory=LIMIT_MB * MIB).execute("return 1"),
        "quickjs": lambda: quickjs_context()("1"),
        "mini-racer (V8)": lambda: racer_context()("1"),
        "wasmtime, new store and instance": new_wasm_instance,
    }
    rounds = min(effort.rounds, 11)
    return [
        *(absolute(topic, f"in one that exists: {name}", taken)
          for name, taken in alternate(existing, rounds=rounds, clock=WALL).items()),
        *(absolute(topic, f"in a new one: {name}", taken)
          for name, taken in alternate(fresh, rounds=rounds, clock=WALL).items()),
    ]  # fmt: skip


def trees(effort: Effort) -> list[Figure]:
    """Time binary trees of the same depth in Lua and in JavaScript."""
    source = next(workload for workload in WORKLOADS if workload.name == "binary_trees").source()
    quick, racer = quickjs_context(), racer_context()
    sides: dict[str, Call] = {
        "luagauge": gauged(source),
        "lupa": plain(source),
        "lupa with max_memory": plain(source, max_memory=LIMIT_MB * MIB),
        "quickjs (JavaScript)": lambda: quick(JS_TREES),
        "mini-racer (JavaScript, compiled)": lambda: racer(JS_TREES),
    }
    expected = sides["lupa"]()
    if (quick(JS_TREES), racer(JS_TREES)) != (expected, expected):
        raise RuntimeError("the JavaScript trees have another number of nodes than the Lua ones")
    times = alternate(sides, rounds=min(effort.rounds, 11), clock=WALL)
    return [absolute("peers: binary trees of depth 14", name, taken) for name, taken in times.items()]


def kept_bytes(name: str, count: int) -> float:
    """Return the resident KiB that each of so many kept engines adds, used once; run in a process of its own."""
    wasm = WasmHost()

    def make() -> object:
        if name.startswith("wasmtime"):
            call = wasm.instance("one")
            call()
            return call
        evaluate = quickjs_context() if name == "quickjs" else racer_context()
        evaluate("1")
        return evaluate

    kept = [make() for _ in range(2)]
    process = psutil.Process()
    before = process.memory_info().rss
    kept += [make() for _ in range(count)]
    return (process.memory_info().rss - before) / count / KIB


def measure(effort: Effort) -> list[Figure]:
    """Measure every task on every peer; the check leaves this out, since it holds nothing."""
    if effort.quick:
        return []
    topic = "peers: idle memory"
    counts = {"quickjs": 100, "mini-racer (V8)": 10, "wasmtime, store and instance": 100}
    idle = [Figure(topic, name, isolated(kept_bytes, name, count), "KiB") for name, count in counts.items()]
    return [*trivial(effort), *trees(effort), *peer_limits.measure(), *idle]
