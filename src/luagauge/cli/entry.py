"""The command `luagauge`: runs a script and shows what it used, checks syntax, says what this platform measures.

Needs the extra `cli` (click and rich). This file loads neither until it is called, so that it can say so.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys

_FAILED = 1
_USAGE = 2
_NOT_WRITTEN = 9
_INTERRUPTED = 130


def main() -> None:
    """Run the command line of this process and exit with its code; `luagauge run --help` lists the codes."""
    try:
        import rich  # noqa: F401, PLC0415 - found missing here, not when there is something to show

        from luagauge.cli.commands import commands  # noqa: PLC0415 - the extra may not be installed
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.stderr.write(
            f"luagauge: the command line needs {error.name}, which is not installed; "
            "install the extra: pip install 'luagauge[cli]'\n"
        )
        sys.exit(_USAGE)
    import click  # noqa: PLC0415 - it is there

    _prepare_streams()
    try:
        code = commands.main(prog_name="luagauge", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code)
    except OSError as error:  # what cannot be read is dealt with where it is read
        # Not an ordinary exit: there Python would try to write the rest, and report the same again.
        if _reader_is_gone(error):
            os._exit(_FAILED)
        with contextlib.suppress(OSError):  # it may be standard error that cannot be written to
            sys.stderr.write(f"luagauge: the output cannot be written: {error.strerror or error}\n")
            sys.stderr.flush()
        os._exit(_NOT_WRITTEN)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:  # what click makes of Ctrl-C
        sys.stderr.write("luagauge: interrupted\n")
        sys.exit(_INTERRUPTED)


def _prepare_streams() -> None:
    """Make the streams fit for a command line tool: always there, never failing over a character or a lost reader."""
    if sys.stdout is None or sys.stderr is None:  # closed by whoever started this process: nobody wants to read it
        nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as the process lives
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a stream that cannot show a character shows its number
            reconfigure(errors="backslashreplace")
    if hasattr(signal, "SIGPIPE"):  # end like every other program when the reader of a pipe has gone, as `head` does
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def _reader_is_gone(error: OSError) -> bool:
    """Say whether this is Windows' error for writing into a pipe that nobody reads; click knows only EPIPE."""
    return os.name == "nt" and error.errno == errno.EINVAL and error.filename is None
