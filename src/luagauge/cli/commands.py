"""The commands, their options and their exit codes."""

from __future__ import annotations

import json
import signal
from typing import Any

import click

from luagauge.cli.arguments import count, is_none, moment, read_context, read_script, seed, size_bytes, time_ms
from luagauge.config import LUA_VERSIONS, ScriptConfig
from luagauge.engine import LuaEngine
from luagauge.errors import (
    ConfigurationError,
    InstructionLimitExceeded,
    MemoryLimitExceeded,
    OutputLimitExceeded,
    PlatformUnavailableError,
    ScriptError,
    ScriptInterruptedError,
    ScriptSerializationError,
    ScriptSyntaxError,
    ScriptTimeoutError,
)
from luagauge.results import ScriptResult

_FAILED = 1
_UNAVAILABLE = 7
_INTERRUPTED = 130
_CODES: tuple[tuple[type[ScriptError], int], ...] = (
    (ScriptSyntaxError, 3),
    (MemoryLimitExceeded, 4),
    (ScriptTimeoutError, 5),
    (OutputLimitExceeded, 6),
    (InstructionLimitExceeded, 8),
    (ScriptInterruptedError, _INTERRUPTED),
)
_CODES_HELP = """\b
Exit codes:
    0  the script ran to its end
    1  the script failed: an error, a forbidden operation, an output that is not plain data
    2  the command line or the context is wrong, or a file cannot be read
    3  the script is not valid Lua
    4  it went over its memory limit
    5  it went over its time (--timeout or --cpu-time)
    6  its output is too large
    7  this platform, or what is installed, does not offer what is needed
    8  it executed more instructions than it may
    9  what there is to show cannot be written
  130  interrupted (Ctrl-C)
"""
_MIB = 1 << 20
_DEFAULTS = ScriptConfig()


def exit_code(error: ScriptError | None) -> int:
    """Return the exit code that stands for a run's error."""
    if error is None:
        return 0
    return next((code for kind, code in _CODES if isinstance(error, kind)), _FAILED)


class _UnavailableError(click.ClickException):
    """This machine cannot do it; the command line was right."""

    exit_code = _UNAVAILABLE


def _engine(config: ScriptConfig) -> LuaEngine:
    """Make an engine, or say why there is none."""
    try:
        return LuaEngine(config)
    except (ConfigurationError, PlatformUnavailableError) as error:
        raise _UnavailableError(str(error)) from None


def _script(path: str) -> bytes:
    """Read the script."""
    try:
        return read_script(path)
    except OSError as error:
        raise click.UsageError(f"cannot read {path}: {error.strerror}") from None


_lua_option = click.option(
    "--lua",
    type=click.Choice(LUA_VERSIONS),
    default=_DEFAULTS.lua,
    show_default=True,
    help="The Lua version.",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="luagauge", message="%(prog)s %(version)s")
def commands() -> None:
    """Run Lua scripts within limits, and see exactly what memory each of them used."""


@commands.command(epilog=_CODES_HELP)
@click.argument("file")
@_lua_option
@click.option(
    "--memory-limit",
    metavar="SIZE",
    callback=lambda _ctx, _param, text: None if is_none(text) else size_bytes(text),
    default=f"{_DEFAULTS.memory_limit_mb}MiB",
    show_default=True,
    help="How far the Lua heap may grow: 64MiB, 64MB, 1.5GiB, 65536 (bytes), or none.",
)
@click.option(
    "--timeout",
    metavar="TIME",
    callback=lambda _ctx, _param, text: None if is_none(text) else time_ms(text),
    default=f"{_DEFAULTS.timeout_ms}ms",
    show_default=True,
    help="Wall time it may take: 2s, 500ms, 1m, or none.",
)
@click.option(
    "--cpu-time",
    metavar="TIME",
    default="none",
    show_default=True,
    callback=lambda _ctx, _param, text: None if is_none(text) else time_ms(text),
    help="CPU time it may use.",
)
@click.option(
    "--max-instructions",
    metavar="COUNT",
    default="none",
    show_default=True,
    callback=lambda _ctx, _param, text: None if is_none(text) else count(text),
    help="Lua instructions it may execute; counting makes it slower.",
)
@click.option(
    "--max-output",
    metavar="SIZE",
    callback=lambda _ctx, _param, text: size_bytes(text),
    default=f"{_DEFAULTS.max_output_size >> 20}MiB",
    show_default=True,
    help="How large its output may be.",
)
@click.option(
    "--context",
    "context_path",
    metavar="FILE",
    help="A JSON file whose object the script sees as `context`; - for standard input.",
)
@click.option(
    "--allow-directory",
    "directories",
    type=click.Path(exists=True, file_okay=False),
    multiple=True,
    help="Let it use the files below this directory; repeat for more.",
)
@click.option(
    "--random-seed",
    metavar="NUMBER",
    callback=lambda _ctx, _param, text: None if text is None else seed(text),
    help="What math.random begins with, so that runs can be had again.",
)
@click.option(
    "--clock",
    metavar="MOMENT",
    callback=lambda _ctx, _param, text: None if text is None else moment(text),
    help="Where its clock stands still: 2026-01-31T12:00:00Z, or seconds since the epoch.",
)
@click.option("--name", help="The name that errors show; the file's own by default.")
@_json_option
@click.pass_context
def run(  # noqa: PLR0913 - one for each option
    ctx: click.Context,
    *,
    file: str,
    lua: str,
    memory_limit: int | None,
    timeout: float | None,
    cpu_time: float | None,
    max_instructions: int | None,
    max_output: int,
    context_path: str | None,
    directories: tuple[str, ...],
    random_seed: int | None,
    clock: float | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Run the Lua script in FILE (- for standard input) and show its output and what it used.

    What it printed, its output and a table of figures go to standard output, an error goes to standard error.
    """
    if file == "-" and context_path == "-":
        raise click.UsageError("the script and the context cannot both come from standard input; give one a file")
    source = _script(file)
    context = None if context_path is None else read_context(context_path)
    limit_mb = None if memory_limit is None else memory_limit / _MIB
    config = ScriptConfig(
        lua=lua,
        memory_limit_mb=limit_mb,
        timeout_ms=timeout,
        cpu_time_ms=cpu_time,
        max_instructions=max_instructions,
        max_output_size=max_output,
        allow_filesystem=bool(directories),
        filesystem_directories=directories,
        random_seed=random_seed,
        clock=clock,
    )
    with _engine(config) as engine:
        try:
            result = _run(engine, source, context, name or ("stdin" if file == "-" else file))
        except ScriptSerializationError as error:
            raise click.BadParameter(f"{context_path}: {error}", param_hint="'--context'") from None
    _show(result, lua, as_json=as_json)
    ctx.exit(exit_code(result.error))


def _run(engine: LuaEngine, source: bytes, context: dict[str, Any] | None, name: str) -> ScriptResult:
    """Run the script; Ctrl-C ends it and leaves its figures and logs in the result."""

    def stop(_signal: int, _frame: object) -> None:
        if not engine.interrupt():  # it has not begun, or is over
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        return engine.execute_script(source, context, name=name)
    finally:
        signal.signal(signal.SIGINT, before)


def _show(result: ScriptResult, lua: str, *, as_json: bool) -> None:
    """Print a result."""
    if as_json:
        from luagauge.cli.as_json import result_fields  # noqa: PLC0415 - one of the two is needed

        fields = {"lua": lua, "exit_code": exit_code(result.error), **result_fields(result)}
        click.echo(json.dumps(fields, allow_nan=False))
        return
    from luagauge.cli.as_text import show_result  # noqa: PLC0415 - rich takes longer to load than most scripts to run

    show_result(result, lua)


@commands.command()
@click.argument("files", nargs=-1, required=True)
@_lua_option
@click.pass_context
def check(ctx: click.Context, *, files: tuple[str, ...], lua: str) -> None:
    """Check the syntax of each of FILES (- for standard input) without running it.

    Prints one line for each. Exits with 1 when one of them is not valid Lua or cannot be read; with 2, 7, 9 and 130 as
    `run` does.
    """
    from luagauge.cli.as_text import visible  # noqa: PLC0415 - as above

    wrong = 0
    # Without limits: nothing runs, and what compiling takes is in proportion to the file.
    with _engine(ScriptConfig(lua=lua, memory_limit_mb=None, timeout_ms=None)) as engine:
        for file in files:
            problem = _problem(engine, file)
            wrong += problem is not None
            click.echo(visible(f"{file}: ok" if problem is None else f"{file}:{problem}"))
    ctx.exit(_FAILED if wrong else 0)


def _problem(engine: LuaEngine, file: str) -> str | None:
    """Return what is wrong with a file, `LINE: what` for a syntax error, or None."""
    try:
        error = engine.validate_syntax(read_script(file), name="script")
    except OSError as failure:
        return f" cannot be read: {failure.strerror}"
    except ScriptError as failure:
        return f" {failure}"
    if error is None:
        return None
    if error.line is None:
        return f" {error}"
    return f"{error.line}: " + str(error).removeprefix(f"script:{error.line}: ")


@commands.command()
@_json_option
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool) -> None:
    """Say what this platform measures and how, which Luas there are, and try it out on each.

    Exits with 0 when all of it works, with 1 when something does not, with 7 when lupa is needed and missing or too
    old; with 2, 9 and 130 as `run` does.
    """
    from luagauge.cli.doctor import examine, show  # noqa: PLC0415 - not needed to run a script

    facts = examine()
    if as_json:
        click.echo(json.dumps(facts))
    else:
        show(facts)
    ctx.exit(0 if facts["healthy"] else _FAILED if facts["lupa_problem"] is None else _UNAVAILABLE)
