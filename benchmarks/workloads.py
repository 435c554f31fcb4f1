"""The Lua programs: what kind each is, what it returns at its default size, and how to give it another size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True, slots=True)
class Workload:
    """One program.

    Attributes:
        name: Its file's name without the ending.
        kind: What it spends its time on.
        checksum: What it returns at its default size, on every Lua version.
        small: A size that takes a few milliseconds.
    """

    name: str
    kind: Literal["allocation", "compute"]
    checksum: int | str
    small: int

    def source(self, size: int | None = None) -> str:
        """Return the program's text, with the global that says its size on the first line if one is given."""
        text = (PROGRAMS / f"{self.name}.lua").read_text(encoding="utf-8")
        return text if size is None else f"N = {size}; {text}"


WORKLOADS = (
    Workload("binary_trees", "allocation", 228010, 10),
    Workload("closures", "allocation", 67577911660, 2000),
    Workload("coroutines", "allocation", 5766971750, 300),
    Workload("json_like", "allocation", "7601:119700.00", 3),
    Workload("queue_churn", "allocation", 328070400, 10000),
    Workload("small_tables", "allocation", 1122040, 60),
    Workload("string_building", "allocation", "1689470:204875", 1000),
    Workload("table_growth", "allocation", 251213, 5000),
    Workload("task_scheduler", "allocation", 318596, 500),
    Workload("fannkuch", "compute", 1616022, 7),
    Workload("fib", "compute", 832040, 22),
    Workload("mandelbrot", "compute", 229521406680, 60),
    Workload("nbody", "compute", "-0.169075164 -0.169020695", 1500),
    Workload("sieve", "compute", 33860399989, 20000),
    Workload("spectral_norm", "compute", "1.274223402", 40),
)
