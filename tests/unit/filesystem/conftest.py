"""A directory that is open to scripts, beside what must stay out of reach."""

from __future__ import annotations

from pathlib import Path

import pytest
from filesystem_host import Host


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """Return a directory with something in it, beside what must stay out of reach."""
    home = tmp_path.resolve()
    (home / "outside").mkdir()
    (home / "outside" / "file").write_bytes(b"secret")
    (home / "secret.txt").write_bytes(b"secret")
    (home / "inside" / "sub" / "empty").mkdir(parents=True)
    (home / "inside" / "data.txt").write_bytes(b"data")
    (home / "inside" / "sub" / "file").write_bytes(b"inside")
    return home / "inside"


@pytest.fixture
def host(inside: Path) -> Host:
    """Return the functions for that directory."""
    return Host(inside)
