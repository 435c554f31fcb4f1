"""Ctrl-C on the command line, and on a script that is running."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cli_process import ENDLESS, POSIX_ONLY, TIMEOUT_S, environment, luagauge_command


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Path]:
    """A named pipe to stand for a script's file: opening it waits until the child reads it, past its imports."""
    path = tmp_path / "script.fifo"
    os.mkfifo(path)
    yield path
    path.unlink()


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command; kill it if it is still there at the end."""
    child = subprocess.Popen(
        luagauge_command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


def wait_for_run(child: subprocess.Popen[bytes]) -> None:
    """Wait until the child's watchdog thread is there, which the first run starts."""
    process = psutil.Process(child.pid)
    until = time.monotonic() + TIMEOUT_S
    while process.num_threads() < 2 and child.poll() is None:
        assert time.monotonic() < until, "no run began"
        time.sleep(0.01)


@POSIX_ONLY
@pytest.mark.parametrize("source", [ENDLESS, f"pcall(function() {ENDLESS} end) {ENDLESS}"])
def test_interrupt_ends_a_running_script_with_its_figures(source: str, fifo: Path) -> None:
    """Ctrl-C ends an endless script, also inside pcall: exit code 130, with logs and figures up to there."""
    with started("run", str(fifo), "--timeout", "none", "--json") as child:
        fifo.write_text(source, encoding="ascii")
        wait_for_run(child)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=TIMEOUT_S)
    assert child.returncode == 130
    assert err == b""
    fields = json.loads(out)
    assert fields["error"]["type"] == "ScriptInterruptedError"
    assert [entry["message"] for entry in fields["logs"]] == ["begun"]
    assert fields["memory"]["peak_bytes"] > 0


@pytest.mark.parametrize("source", [ENDLESS, f"pcall(function() {ENDLESS} end) {ENDLESS}"])
def test_interrupt_raised_during_a_run_ends_it(source: str) -> None:
    """The same where Ctrl-C cannot be sent to one process alone: SIGINT comes up inside it, as on Windows too."""
    code = """
        import signal, threading
        from luagauge.cli import main
        set_handler = signal.signal
        def set_handler_and_raise(*arguments):
            signal.signal = set_handler
            threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
            return set_handler(*arguments)
        signal.signal = set_handler_and_raise  # the command sets its own just before the run
        main()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), "run", "-", "--timeout", "none", "--json"],
        input=source.encode(), env=environment(), capture_output=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert done.stderr == b""
    assert done.returncode == 130
    fields = json.loads(done.stdout)
    assert fields["error"]["type"] == "ScriptInterruptedError"
    assert [entry["message"] for entry in fields["logs"]][:1] == ["begun"]


def wait_for_read(child: subprocess.Popen[bytes]) -> None:
    """Wait until the child sleeps in its read: a signal just before that is noted, and the read waits on all the same."""
    if sys.platform != "linux":
        time.sleep(0.5)  # psutil does not tell there that a process sleeps
        return
    process = psutil.Process(child.pid)
    until = time.monotonic() + TIMEOUT_S
    while process.status() != psutil.STATUS_SLEEPING:
        assert time.monotonic() < until, "the child does not wait for its script"
        time.sleep(0.01)


@POSIX_ONLY
def test_interrupt_before_the_run_is_code_130_too(fifo: Path) -> None:
    """Ctrl-C while the script is still being read says so in a word."""
    with started("run", str(fifo)) as child, fifo.open("wb"):
        wait_for_read(child)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=TIMEOUT_S)
    assert child.returncode == 130
    assert out == b""
    assert err.strip() == b"luagauge: interrupted"
