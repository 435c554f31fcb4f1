"""The command `luagauge` as a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

TIMEOUT_S = 60
ENDLESS = "print('begun') while true do end"
POSIX_ONLY = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals, FIFOs or terminals")


def environment() -> dict[str, str]:
    """Return this process's environment without what would change colours or width."""
    unwanted = {"FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
    return {name: value for name, value in os.environ.items() if name not in unwanted}


def luagauge_command(*arguments: str) -> list[str]:
    """Return the command line of a child."""
    return [sys.executable, "-m", "luagauge", *arguments]


def call(*arguments: str, stdin: str | bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    given_bytes = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        luagauge_command(*arguments), input=given_bytes, env=environment(), capture_output=True, check=False,
        timeout=TIMEOUT_S,
    )  # fmt: skip
    out, err = (stream.decode().replace("\r\n", "\n") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def run_json(source: str | bytes, *arguments: str) -> dict[str, Any]:
    """Run a script from standard input with --json; standard error must stay empty."""
    done = call("run", "-", "--json", *arguments, stdin=source)
    assert done.stderr == ""
    fields: dict[str, Any] = json.loads(done.stdout)
    assert fields["exit_code"] == done.returncode
    return fields
