"""`luagauge run`, as a user meets it: real child processes, their output and their exit codes."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from cli_process import ENDLESS, POSIX_ONLY, TIMEOUT_S, call, environment, luagauge_command, run_json

import luagauge

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_run_shows_logs_output_and_figures() -> None:
    """A run prints what the script printed, then its output, then a table with the memory it used."""
    done = call("run", "-", stdin="print('one', 2) log('warn', 'three') return {b = 1, a = {1, 2}}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == ["one\t2", "[warn] three", "{'a': [1, 2], 'b': 1}"]
    figures = {line[:13].strip(): line[15:] for line in lines[3:]}
    assert figures["result"] == "ok"
    assert "peak growth of the Lua heap" in figures["memory used"]
    assert "not the script's own" in figures["whole process"]
    assert done.stderr == ""


def test_run_counts_the_words_of_a_real_text() -> None:
    """The first example finds in the text in the repository what Python finds in it."""
    context = EXAMPLES / "data" / "word_count_context.json"
    done = call("run", str(EXAMPLES / "word_count.lua"), "--context", str(context), "--json")
    assert done.returncode == 0, done.stderr
    fields = json.loads(done.stdout)
    text = (EXAMPLES / "data" / "constitution.txt").read_text(encoding="ascii")
    assert fields["output"]["frequent"][0] == {
        "word": "the",
        "count": text.lower().replace("\n", " ").split().count("the"),
    }
    assert fields["memory"]["used_bytes"] > len(text) / 2


def test_run_json_holds_everything_of_the_result() -> None:
    """The JSON object has every field of ScriptResult and ScriptMemory, and agrees with itself."""
    fields = run_json("print('hi') return ('x'):rep(10000)")
    assert fields["success"] is True
    assert fields["lua"] == "5.4"
    assert set(fields) == {"lua", "exit_code", *luagauge.ScriptResult.__dataclass_fields__}
    assert set(fields["memory"]) == {"used_bytes", *luagauge.ScriptMemory.__dataclass_fields__}
    assert fields["memory_used_mb"] * 1048576 == fields["memory"]["used_bytes"] >= 10000
    assert fields["logs"][0]["level"] == "print"
    assert fields["logs"][0]["message"] == "hi"
    assert abs(fields["logs"][0]["time"] - time.time()) < TIMEOUT_S


def test_run_json_loses_no_value() -> None:
    """Bytes, several results, numbers that JSON lacks and keys that are not text come out in their notation."""
    fields = run_json("print('\\255') return '\\255', 1/0, {[2.5] = true}, {['$x'] = 1}, nil")
    raw = {"$bytes": base64.b64encode(b"\xff").decode()}
    assert fields["output"] == {
        "$tuple": [raw, {"$float": "inf"}, {"$map": [[2.5, True]]}, {"$map": [["$x", 1]]}, None]
    }
    assert fields["logs"][0]["message"] == raw


def test_run_can_be_had_again() -> None:
    """--random-seed and --clock give the script the same numbers and the same time."""
    source = "return math.random(1000000), os.time(), os.date('!%H:%M')"
    arguments = ("--random-seed", "-42", "--clock", "2026-01-31T12:00:00Z")
    outputs = [run_json(source, *arguments)["output"]["$tuple"] for _ in range(2)]
    assert outputs[0] == outputs[1]
    assert outputs[0][1:] == [1769860800, "12:00"]
    assert run_json(source, "--random-seed", "43")["output"]["$tuple"][0] != outputs[0][0]


def test_run_uses_the_lua_it_is_told(lua: str) -> None:
    """--lua chooses among all versions."""
    fields = run_json("return _VERSION", "--lua", lua)
    assert fields["output"] == f"Lua {'5.1' if lua.startswith('luajit') else lua}"


@pytest.mark.parametrize(
    "source, arguments, code, kind",
    [
        ("error('no')", (), 1, "ScriptRuntimeError"),
        ("return print", (), 1, "ScriptSerializationError"),
        ("x = = 1", (), 3, "ScriptSyntaxError"),
        ("local t = {} for i = 1, 1e7 do t[i] = i .. 'x' end", ("--memory-limit", "1MiB"), 4, "MemoryLimitExceeded"),
        (ENDLESS, ("--timeout", "50ms"), 5, "ScriptTimeoutError"),
        (ENDLESS, ("--cpu-time", "50ms"), 5, "ScriptTimeoutError"),
        (ENDLESS, ("--max-instructions", "100000"), 8, "InstructionLimitExceeded"),
        ("return ('x'):rep(2000)", ("--max-output", "1kB"), 6, "OutputLimitExceeded"),
    ],
)
def test_run_exit_code_tells_the_failures_apart(source: str, arguments: Sequence[str], code: int, kind: str) -> None:
    """Each kind of failure has its exit code, and the JSON its type and figures."""
    fields = run_json(source, *arguments)
    assert fields["exit_code"] == code
    assert fields["success"] is False
    assert fields["error"]["type"] == kind
    assert fields["memory"]["peak_bytes"] >= fields["memory"]["start_bytes"]


def test_run_failure_goes_to_standard_error_with_traceback() -> None:
    """An error and its Lua traceback are on standard error, the figures still on standard output."""
    done = call("run", "-", "--name", "my script", stdin="\nlocal function f() error('broken') end\nf()")
    assert done.returncode == 1
    assert done.stderr.startswith("error: my script:2: broken\nstack traceback:\n")
    assert "failed: ScriptRuntimeError" in done.stdout


@pytest.mark.parametrize(
    "option, value", [("--timeout", "50ms"), ("--cpu-time", "50ms"), ("--max-instructions", "100000")]
)
def test_run_failure_names_the_option_of_the_limit(option: str, value: str) -> None:
    """The message speaks of a Python setting; whoever sits at the command line is told the option."""
    done = call("run", "-", option, value, stdin=ENDLESS)
    assert done.returncode in (5, 8)
    assert done.stderr.splitlines()[1] == f"({option} sets this limit)"


def test_run_names_the_file_in_errors(tmp_path: Path) -> None:
    """Without --name, errors show the file as it was given, with the line, past a first line for the shell."""
    script = tmp_path / "s.lua"
    script.write_bytes(b"\xef\xbb\xbf#!/usr/bin/env lua\nerror('here')\n")
    done = subprocess.run(
        luagauge_command("run", "s.lua"), cwd=tmp_path, env=environment(), capture_output=True, check=False,
        timeout=TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: s.lua:2: here")


def test_run_limits_can_be_off() -> None:
    """`none` turns the memory limit off: a script may then go beyond the default of 100 MiB."""
    fields = run_json("local s = ('x'):rep(60 * 2^20) return #(s .. s)", "--memory-limit", "none", "--timeout", "none")
    assert fields["output"] == 120 * 2**20
    assert fields["memory_used_mb"] > 100


def test_run_context_reaches_the_script(tmp_path: Path) -> None:
    """The object in the JSON file, or on standard input, is the script's `context`."""
    script = tmp_path / "s.lua"
    script.write_text("return context.request.items[2].name", encoding="ascii")
    done = call("run", str(script), "--context", "-", "--json", stdin='{"request": {"items": [0, {"name": "é"}]}}')
    assert json.loads(done.stdout)["output"] == "é"


@POSIX_ONLY
def test_run_files_are_there_when_allowed(tmp_path: Path) -> None:
    """A script has no files unless a directory is allowed, and then those below it only."""
    (tmp_path / "data.txt").write_text("inside", encoding="ascii")
    source = "return io.open == nil or io.open('data.txt'):read('a')"
    assert run_json(source)["output"] is True
    assert run_json(source, "--allow-directory", str(tmp_path))["output"] == "inside"
    outside = run_json("return io.open('/etc/passwd')", "--allow-directory", str(tmp_path))["output"]["$tuple"]
    assert outside[0] is None
    done = call("run", "-", "--allow-directory", str(tmp_path / "missing"))
    assert done.returncode == 2


@pytest.mark.parametrize(
    "content, complaint",
    [
        ("[1]", "holds a JSON list; give an object"),
        ("{", "is not JSON"),
        ("\xff", "is not JSON"),
        ("[" * 200_000, "nested too deeply"),
        ('{"request": {"n": 99999999999999999999}}', "request.n"),
    ],
)
def test_run_bad_context_is_a_usage_error(content: str, complaint: str, tmp_path: Path) -> None:
    """A context that cannot be used is named, with what is wrong with it."""
    context = tmp_path / "c.json"
    context.write_bytes(content.encode("latin-1"))
    done = call("run", "-", "--context", str(context), stdin="return 1")
    assert done.returncode == 2
    assert "c.json" in done.stderr
    assert complaint in done.stderr


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (("--timeout", "5"), "'5' is not a time"),
        (("--timeout", "0s"), "'0s' is not a time"),
        (("--memory-limit", "64 MeB"), "'64 MeB' is not a size"),
        (("--max-output", "none"), "'none' is not a size"),
        (("--cpu-time", "5 sec"), "'5 sec' is not a time"),
        (("--max-instructions", "0"), "'0' is not a count: give a whole number from 1 to"),
        (("--max-instructions", "1e6"), "'1e6' is not a count"),
        (("--max-instructions", "9" * 25), "is not a count"),
        (("--max-instructions", str(1 << 62)), "is not a count"),
        (("--memory-limit", "0"), "'0' is not a size"),
        (("--memory-limit", "-1"), "'-1' is not a size"),
        (("--memory-limit", "9" * 25 + "TB"), "is not a size"),
        (("--lua", "4.0"), "'4.0' is not one of"),
        (("--context", "-"), "cannot both come from standard input"),
        (("--context", "no-such-file"), "cannot read no-such-file"),
        (("--no-such-option",), "--no-such-option"),
    ],
)
def test_run_bad_option_names_value_and_remedy(arguments: Sequence[str], complaint: str) -> None:
    """A wrong option ends with exit code 2 and says what was wrong."""
    done = call("run", "-", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stdout == ""


def test_run_unreadable_file_is_a_usage_error(tmp_path: Path) -> None:
    """A missing file and a directory are named, with the system's reason."""
    for path in (tmp_path / "missing.lua", tmp_path):
        done = call("run", str(path))
        assert done.returncode == 2
        assert f"cannot read {path}: " in done.stderr


def test_run_text_cannot_command_the_terminal() -> None:
    """Escape sequences that a script prints, returns or raises are shown, not sent."""
    done = call("run", "-", stdin="print('\\27[2Jx\\7') log('\\27]0;t\\7', '\\226\\128\\174') error('\\27[31mred')")
    assert "\x1b" not in done.stdout + done.stderr
    assert "\\x1b[2Jx\\x07" in done.stdout
    assert "\\u202e" in done.stdout
    assert "\\x1b[31mred" in done.stderr


def test_run_says_how_many_log_entries_were_dropped() -> None:
    """Entries beyond the bound are counted in the text."""
    done = call("run", "-", stdin="for i = 1, 1010 do print(i) end")
    assert "(10 more log entries were dropped)" in done.stdout.splitlines()


def test_run_into_a_closed_pipe_ends_without_a_traceback() -> None:
    """Output into a pipe that nobody reads any more (`| head`) ends quietly."""
    child = subprocess.Popen(
        luagauge_command("run", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    with child:
        child.stdout.close()
        child.stdin.write(b"for i = 1, 1000 do print(('x'):rep(100)) end")
        child.stdin.close()
        err = child.stderr.read()
        # Killed by SIGPIPE like any other program: a shell shows 141, which no failing script gives.
        assert child.wait(TIMEOUT_S) == (-signal.SIGPIPE if os.name == "posix" else 1)
    assert err == b""


@POSIX_ONLY
def test_run_with_closed_streams_ends_without_a_traceback() -> None:
    """A closed standard input is an error that says so; closed output is output nobody wants."""

    def with_closed(redirection: str, *arguments: str) -> tuple[int, str]:
        shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *luagauge_command(*arguments)]
        done = subprocess.run(shell, stderr=subprocess.PIPE, env=environment(), check=False, timeout=TIMEOUT_S)
        return done.returncode, done.stderr.decode()

    hog = str(EXAMPLES / "memory_hog.lua")
    for option in ("--json", "--lua=5.4"):
        code, err = with_closed("<&-", "run", "-", option)
        assert (code, err.splitlines()[-1]) == (2, "Error: cannot read -: standard input is closed")
        code, err = with_closed(">&-", "run", hog, "--memory-limit=1MiB", option)
        assert code == 4
        assert "Traceback" not in err
    code, err = with_closed("<&-", "run", hog, "--context", "-")
    assert code == 2
    assert "standard input is closed" in err
    assert with_closed(">&-", "doctor") == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
@pytest.mark.parametrize("arguments", [("run", "-"), ("run", "-", "--json"), ("check", "-"), ("doctor",)])
def test_output_that_cannot_be_written_is_an_error_of_its_own(arguments: Sequence[str]) -> None:
    """A full disk is named, with an exit code that no script gives."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            luagauge_command(*arguments), input=b"return 1", stdout=full, stderr=subprocess.PIPE, env=environment(),
            check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
    assert done.returncode == 9
    assert done.stderr.decode().splitlines() == ["luagauge: the output cannot be written: No space left on device"]


@POSIX_ONLY
def test_run_colours_a_terminal_only() -> None:
    """There is colour on a terminal and none in a pipe."""
    import pty

    assert "\x1b[" not in call("run", "-", stdin="return 1").stdout
    master, slave = pty.openpty()
    env = {**environment(), "TERM": "xterm-256color"}
    child = subprocess.Popen(luagauge_command("run", "-"), stdin=subprocess.PIPE, stdout=slave, env=env)
    child.communicate(b"return 1", timeout=TIMEOUT_S)
    os.close(slave)
    shown = os.read(master, 1 << 16)
    os.close(master)
    assert b"\x1b[32mok" in shown
