"""pytest-benchmark: every program on plain lupa, on lupa with a limit, and on luagauge, grouped by program."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.sides import LUA54, gauged, output_of, plain
from benchmarks.workloads import PROGRAMS, WORKLOADS, Workload

EVERY = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)


def test_workloads_name_every_program() -> None:
    """A program that no workload names would never be measured."""
    assert {path.stem for path in PROGRAMS.glob("*.lua")} == {workload.name for workload in WORKLOADS}


@EVERY
@pytest.mark.parametrize("max_memory", [None, 1 << 30], ids=["lupa", "lupa-max_memory"])
def test_program_plain(benchmark: BenchmarkFixture, workload: Workload, max_memory: int | None) -> None:
    """Plain lupa, with and without its own limit."""
    benchmark.group = workload.name
    call = plain(workload.source(), LUA54, max_memory=max_memory)
    assert benchmark(call) == workload.checksum


@EVERY
def test_program_luagauge(benchmark: BenchmarkFixture, workload: Workload) -> None:
    """A tracked, limited, sandboxed run in the default configuration."""
    benchmark.group = workload.name
    assert output_of(benchmark(gauged(workload.source(), LUA54))) == workload.checksum
