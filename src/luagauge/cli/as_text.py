"""Results as a person reads them: what the script logged, its output, then a table of what it used."""

from __future__ import annotations

import re
import sys
from typing import Any

from rich.console import Console
from rich.pretty import pretty_repr
from rich.table import Table
from rich.text import Text

from luagauge.errors import (
    InstructionLimitExceeded,
    MemoryLimitExceeded,
    OutputLimitExceeded,
    ScriptError,
    ScriptTimeoutError,
)
from luagauge.results import MemoryDelta, ScriptMemory, ScriptResult

_MIB = 1 << 20
_KIB = 1 << 10
_PIPED_WIDTH = 160  # where there is no terminal to have a width
_OUTPUT_WIDTH = 100
# What moves a cursor, rings, recolours or reorders: control characters but newline and tab, and Unicode's bidi marks.
_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str | bytes) -> str:
    """Return a script's text with nothing in it that a terminal would obey."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def console(*, stderr: bool = False) -> Console:
    """Return a console that writes text as it is: no colour unless it is a terminal, no wrapping, no markup."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPED_WIDTH
    return Console(file=stream, width=width, soft_wrap=True, markup=False, emoji=False, highlight=False)


def print_table(out: Console, table: Table) -> None:
    """Print a table without the spaces that rich fills every line up with."""
    with out.capture() as captured:
        out.print(table, soft_wrap=False)
    for line in captured.get().splitlines():
        out.file.write(line.rstrip() + "\n")


def facts_table() -> Table:
    """Return an empty table of names and what there is to say about them."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def size_text(size_bytes: int) -> str:
    """Return a size for people, in binary units, with the exact number of bytes where the unit rounds it."""
    for unit, factor in (("MiB", _MIB), ("KiB", _KIB)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:,.3f} {unit} ({size_bytes:,} bytes)"
    return f"{size_bytes:,} bytes"


def show_result(result: ScriptResult, lua: str) -> None:
    """Print a result on standard output, and its error on standard error."""
    out = console()
    for entry in result.logs:
        if entry.level != "print":
            out.print(Text(f"[{visible(entry.level)}]", style="bold"), end=" ")
        out.file.write(visible(entry.message) + "\n")  # rich would turn tabs into spaces
    if result.logs_dropped:
        out.print(Text(f"({result.logs_dropped} more log entries were dropped)", style="dim"))
    if result.success and result.output is not None:
        out.file.write(visible(pretty_repr(_ordered(result.output), max_width=min(out.width, _OUTPUT_WIDTH))) + "\n")
    print_table(out, _figures(result, lua))
    if result.error is not None:
        out.file.flush()
        show_error(result.error)


def show_error(error: ScriptError) -> None:
    """Print an error, with the Lua traceback where it has one, on standard error."""
    err = console(stderr=True)
    err.print(Text.assemble(("error: ", "bold red"), visible(str(error))))
    option = _option_of(error)
    if option is not None:
        err.print(Text(f"({option} sets this limit)", style="dim"))
    if error.traceback:
        err.print(Text(visible(error.traceback), style="dim"))


def _option_of(error: ScriptError) -> str | None:
    """Return the option of `run` that sets the limit an error names by its Python setting."""
    if isinstance(error, ScriptTimeoutError):
        return "--timeout" if error.clock == "wall" else "--cpu-time"
    if isinstance(error, MemoryLimitExceeded):
        return "--memory-limit"
    if isinstance(error, InstructionLimitExceeded):
        return "--max-instructions"
    return "--max-output" if isinstance(error, OutputLimitExceeded) else None


def _ordered(value: Any) -> Any:
    """Return plain data with the keys of every dict in order: Lua's own order differs from run to run."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (str(type(key)), key))
        return {key: _ordered(value[key]) for key in keys}
    if isinstance(value, (list, tuple)):
        return type(value)(_ordered(item) for item in value)
    return value


def _figures(result: ScriptResult, lua: str) -> Table:
    """Return the table of what a run used."""
    table = facts_table()
    kind = "ok" if result.error is None else f"failed: {type(result.error).__name__}"
    table.add_row("result", Text(kind, style="green" if result.success else "red"))
    table.add_row("Lua", lua)
    table.add_row("time", f"{result.duration_ms:,.3f} ms")
    if result.stopped == "state":
        table.add_row("stopped", "by throwing its Lua state away: where it was is not known")
    if result.jit_off:
        table.add_row("JIT", "off: luagauge does not use it yet")
    if result.memory is None:
        table.add_row("memory used", "not measured")
        return table
    for name, figure in _memory_rows(result.memory):
        table.add_row(name, figure)
    return table


def _memory_rows(memory: ScriptMemory) -> list[tuple[str, str]]:
    """Return the rows about memory: the script's own first, the process's last."""
    rows = [
        ("memory used", f"{size_text(memory.used_bytes)}, the peak growth of the Lua heap"),
        ("  at start", size_text(memory.start_bytes)),
        ("  at peak", size_text(memory.peak_bytes)),
        ("  at end", f"{size_text(memory.end_bytes)}, garbage included"),
        ("allocated", f"{size_text(memory.allocated_bytes)} in {memory.allocation_count:,} allocations"),
    ]
    if memory.refused_allocations:
        rows.append(("refused", f"{memory.refused_allocations:,} allocations, by the limit"))
    rows.append(("reserved", f"{size_text(memory.reserved_bytes)} held from the system for the Lua state"))
    if memory.process is not None:
        rows.append(("whole process", _process_text(memory.process, shared=memory.process_shared)))
    return rows


def _process_text(delta: MemoryDelta, *, shared: bool) -> str:
    """Return a process delta, which is never the script's own use."""
    text = f"RSS {delta.rss_delta_bytes / _MIB:+,.3f} MiB"
    if delta.heap_delta_bytes is not None:
        text += f", private data {delta.heap_delta_bytes / _MIB:+,.3f} MiB"
    return f"{text} (not the script's own{'; other runs overlapped' if shared else ''})"
