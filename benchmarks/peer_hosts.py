"""The embedded engines from PyPI that stand beside luagauge here, each behind the smallest interface it needs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial

from benchmarks.figures import MIB

WASM_PAGE = 65536
WASM = """(module
  (memory (export "memory") 1)
  (func (export "one") (result i32) i32.const 1)
  (func (export "grow") (result i32)
    (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    memory.size))"""


def quickjs_context(limit_mb: int | None = None) -> Callable[[str], object]:
    """Return the eval of a new QuickJS context."""
    context = importlib.import_module("quickjs").Context()
    if limit_mb is not None:
        context.set_memory_limit(limit_mb * MIB)
    evaluate: Callable[[str], object] = context.eval
    return evaluate


def racer_context(limit_mb: int | None = None) -> Callable[[str], object]:
    """Return the eval of a new V8 isolate."""
    isolate = importlib.import_module("py_mini_racer").MiniRacer()
    if limit_mb is None:
        evaluate: Callable[[str], object] = isolate.eval
        return evaluate
    return lambda source: isolate.eval(source, max_memory=limit_mb * MIB)


class WasmHost:
    """One compiled module; instances of it are made in stores of their own."""

    def __init__(self) -> None:
        wasmtime = importlib.import_module("wasmtime")
        self._wasmtime = wasmtime
        self._engine = wasmtime.Engine()
        self._module = wasmtime.Module(self._engine, WASM)

    def instance(self, name: str, limit_mb: int | None = None) -> Callable[[], int]:
        """Return a call of one exported function of a new instance."""
        store = self._wasmtime.Store(self._engine)
        if limit_mb is not None:
            store.set_limits(memory_size=limit_mb * MIB)
        function = self._wasmtime.Instance(store, self._module, []).exports(store)[name]
        return partial(function, store)
