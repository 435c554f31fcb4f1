"""A program ends cleanly, whatever its engines do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes and signals"),
    pytest.mark.emulated,
]


def test_exit_with_open_engines_is_clean(run: Callable[[str], str]) -> None:
    """Engines, scripts and even a run on a daemon thread do not hold up or crash the end of the program."""
    out = run("""
        kept = [engine() for _ in range(3)]
        scripts = [e.precompile_script("return 1") for e in kept]
        begun = threading.Event()
        spinning = engine(timeout_ms=None, functions={"begun": begun.set})
        threading.Thread(target=spinning.execute_script, args=("begun() while true do end",), daemon=True).start()
        begun.wait()
        print("ends")
    """)
    assert out == "ends\n"
