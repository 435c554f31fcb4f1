"""Build results are made once, and again when what they are made of changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from kept import digest_of, keep  # noqa: E402  a script beside this file, in no package

APPEND = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from kept import keep
result = Path(sys.argv[2])
def make():
    with result.open("a") as file:
        file.write("m")
        file.flush()
        time.sleep(0.2)
        file.write("ade")
print(keep(result, "digest", make).read_text())
"""


def test_kept_result_is_made_once_for_one_digest(tmp_path: Path) -> None:
    """And again for another one, or when it is gone."""
    result, made = tmp_path / "result", []

    def make() -> None:
        made.append(1)
        result.write_text("made")

    for digest, count in (("one", 1), ("one", 1), ("two", 2), ("two", 2)):
        assert keep(result, digest, make).read_text() == "made"
        assert len(made) == count
    result.unlink()
    keep(result, "two", make)
    assert len(made) == 3


def test_kept_result_of_a_failure_is_made_again(tmp_path: Path) -> None:
    """What a compiler left when it failed counts for nothing."""
    result = tmp_path / "result"

    def fail() -> None:
        result.write_text("half")
        raise OSError

    with pytest.raises(OSError):
        keep(result, "digest", fail)
    assert keep(result, "digest", lambda: result.write_text("whole")).read_text() == "whole"


def test_digest_tells_commands_and_contents_apart(tmp_path: Path) -> None:
    """Times of files and the order in which they are named count for nothing."""
    one, two = tmp_path / "one.c", tmp_path / "two.h"
    one.write_text("int x;")
    two.write_text("int y;")
    first = digest_of(["cc", "-O1"], [], [one, two])
    assert digest_of(["cc", "-O1"], [], [two, one]) == first
    assert digest_of(["cc", "-O2"], [], [one, two]) != first
    assert digest_of(["cc", "-O1"], [sys.executable], [one, two]) != first
    two.write_text("int z;")
    assert digest_of(["cc", "-O1"], [], [one, two]) != first


@pytest.mark.skipif(sys.platform == "win32", reason="kept.py takes no lock on Windows, where the tests run one by one")
def test_kept_result_is_made_by_one_process_of_several(tmp_path: Path) -> None:
    """Those that come meanwhile wait, and take the whole of it."""
    command = [sys.executable, "-c", APPEND, str(HERE), str(tmp_path / "result")]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [child.communicate(timeout=60)[0] for child in children] == ["made\n"] * 3
