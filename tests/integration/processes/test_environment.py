"""A script sees the environment that its configuration gives, not the process's."""

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


def test_environment_of_the_process_is_not_the_scripts(run: Callable[[str], str]) -> None:
    """os.getenv sees what the config says, and nothing else."""
    out = run("""
        os.environ["HOST_ONLY"] = "host"
        source = "return {os.getenv('HOST_ONLY') or 'hidden', os.getenv('PATH') or 'hidden', os.getenv('MODE') or ''}"
        print(engine(environment_variables={"MODE": "t\\u00ebst"}).execute_script(source).output)
    """)
    assert out == "['hidden', 'hidden', 't\u00ebst']\n"
