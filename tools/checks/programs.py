"""Run the programs that check: one after the other, or beside each other where they do not disturb one another."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = Path(os.environ.get("LUAGAUGE_CHECK_DIR", ROOT / ".venv-test")).resolve()
VENV = WORK / "venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")

Command = Sequence[str | Path]


class CheckFailedError(Exception):
    """A check found something, or cannot run here; the message says what and what to do."""


def say(text: str) -> None:
    """Print a line at once, so that it stands before what the next program prints."""
    print(text, flush=True)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Make the environment of every program started here.

    What would let another Python installation leak in is taken out; what would only make noise is turned off.
    """
    leaks = {"PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__"}
    env = {name: value for name, value in os.environ.items() if name not in leaks}
    env["PATH"] = f"{BIN}{os.pathsep}{env.get('PATH', os.defpath)}"
    env["VIRTUAL_ENV"] = str(VENV)
    env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    env["PIP_ROOT_USER_ACTION"] = "ignore"
    env["PIP_NO_INPUT"] = "1"
    env.setdefault("LUAGAUGE_BUILD_CACHE", str(WORK / "luas"))  # the wheel's Luas are built several times
    env.update(extra or {})
    return env


def _shown(words: Sequence[str]) -> str:
    return " ".join(word.replace(str(ROOT) + os.sep, "") for word in words)


def run(*command: str | Path, cwd: Path = ROOT, extra: Mapping[str, str] | None = None) -> None:
    """Run a program with no standard input, and time it.

    Raises:
        CheckFailedError: It could not be started or did not exit with 0.
    """
    words = [str(word) for word in command]
    say(f"$ {_shown(words)}")
    start = time.monotonic()
    try:
        code = subprocess.run(words, cwd=cwd, env=environment(extra), stdin=subprocess.DEVNULL, check=False).returncode
    except OSError as error:
        raise CheckFailedError(f"cannot run {words[0]}: {error}") from error
    if code != 0:
        raise CheckFailedError(f"{_shown(words)}: exit code {code} after {time.monotonic() - start:.1f} s")


def beside(*commands: Command) -> None:
    """Run programs that have nothing to do with each other, as many at a time as there are processors.

    What each prints is shown when it has ended.

    Raises:
        CheckFailedError: At least one could not be started or did not exit with 0; all have ended.
    """

    def one(command: Command) -> str | None:
        words = [str(word) for word in command]
        start = time.monotonic()
        try:
            done = subprocess.run(
                words, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
        except OSError as error:
            return f"cannot run {words[0]}: {error}"
        taken = time.monotonic() - start
        say(f"$ {_shown(words)} ({taken:.0f} s)\n{done.stdout.decode(errors='replace')}".rstrip())
        return f"{_shown(words)}: exit code {done.returncode} after {taken:.1f} s" if done.returncode else None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failures = [failure for failure in pool.map(one, commands) if failure]
    if failures:
        raise CheckFailedError("\n".join(failures))


def output(*command: str | Path) -> str:
    """Run a program and return what it prints, without the white space around it."""
    words = [str(word) for word in command]
    done = subprocess.run(words, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().strip()


def pip(*arguments: str | Path, extra: Mapping[str, str] | None = None) -> None:
    """Run the environment's pip, which says nothing but errors."""
    run(PYTHON, "-m", "pip", "-qq", *arguments, extra=extra)
