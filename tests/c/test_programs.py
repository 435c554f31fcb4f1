"""The programs of the C tests need Python and a compiler, and nothing that is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROGRAMS = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("test_"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_needs_nothing_installed(name: str) -> None:
    """Each is imported by a Python without site-packages, as on a machine that has only the tree."""
    code = f"import sys; sys.path.insert(0, sys.argv[1]); import {name}"
    subprocess.run([sys.executable, "-S", "-E", "-c", code, str(HERE)], check=True)
