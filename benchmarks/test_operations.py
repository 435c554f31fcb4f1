"""pytest-benchmark: the single operations of the library beside what a host would use without it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.conversion import SHAPES, SOURCE
from benchmarks.engines import make_and_close, make_run_and_close
from benchmarks.sides import gauged, output_of, runtime
from luagauge import LuaEngine, ScriptContext, snapshot


@pytest.mark.benchmark(group="trivial run")
def test_trivial_precompiled(benchmark: BenchmarkFixture) -> None:
    """A precompiled script that returns 1."""
    assert output_of(benchmark(gauged("return 1"))) == 1


@pytest.mark.benchmark(group="trivial run")
def test_trivial_source(benchmark: BenchmarkFixture) -> None:
    """The same script as a source seen before."""
    with LuaEngine() as engine:
        assert output_of(benchmark(engine.execute_script, "return 1")) == 1


@pytest.mark.benchmark(group="trivial run")
def test_trivial_lupa(benchmark: BenchmarkFixture) -> None:
    """The same script in a plain lupa runtime."""
    assert benchmark(runtime().execute, "return 1") == 1


@pytest.mark.benchmark(group="creation")
@pytest.mark.parametrize("make", [make_and_close, make_run_and_close, runtime])
def test_creation(benchmark: BenchmarkFixture, make: object) -> None:
    """An engine, an engine used once, a plain lupa runtime."""
    assert callable(make)
    benchmark(make)


@pytest.mark.benchmark(group="snapshot")
def test_snapshot(benchmark: BenchmarkFixture) -> None:
    """One reading of the process."""
    assert benchmark(snapshot).rss_bytes > 0


@pytest.mark.benchmark(group="snapshot")
def test_snapshot_psutil(benchmark: BenchmarkFixture) -> None:
    """The same by psutil."""
    assert benchmark(psutil.Process().memory_info).rss > 0


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux alone has this file")
@pytest.mark.benchmark(group="snapshot")
def test_snapshot_pread(benchmark: BenchmarkFixture) -> None:
    """The read alone, from Python."""
    descriptor = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        assert benchmark(os.pread, descriptor, 128, 0)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("shape", SHAPES)
def test_conversion_luagauge(benchmark: BenchmarkFixture, shape: str) -> None:
    """1,000 values into a script and back."""
    benchmark.group = f"conversion of {shape}"
    data = SHAPES[shape](1000)
    with LuaEngine() as engine:
        script = engine.precompile_script(SOURCE)
        context = ScriptContext(request=data)
        assert output_of(benchmark(engine.execute_script, script, context)) == data


@pytest.mark.parametrize("shape", SHAPES)
def test_conversion_json(benchmark: BenchmarkFixture, shape: str) -> None:
    """The same values through a JSON text."""
    benchmark.group = f"conversion of {shape}"
    data = SHAPES[shape](1000)
    assert benchmark(lambda: json.loads(json.dumps(data))) == data
