"""lupa's sdist, the compiler that the Luas of wheels are built with, and modules built once.

What is built is kept beside the C tests' Luas (kept.py, lua_build.py), for the next run and for the other processes of a
parallel one. LUAGAUGE_BUILD_CACHE may name another directory for what the compiler makes of single files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from carried import cache, compilers, modules, sdist, targets
from kept import digest_of, keep
from lua_build import build_folder

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def archive() -> Path:
    """Return lupa's sdist."""
    named = os.environ.get(sdist.VARIABLE)
    if not named:
        pytest.skip(f"{sdist.VARIABLE} is not set, and the sources of the Luas are not in this tree")
    return ROOT / named


@pytest.fixture(autouse=True)
def ordinary_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build with the platform's compiler, whatever the C of luagauge is built with; what it makes is kept."""
    monkeypatch.delenv("CC", raising=False)
    if not os.environ.get(cache.VARIABLE):
        monkeypatch.setenv(cache.VARIABLE, str(build_folder() / "objects"))


@pytest.fixture
def built(archive: Path, ordinary_compiler: None) -> Callable[[targets.Target, tuple[str, ...]], Path]:
    """Return a function that builds modules, unless they are there already, and returns their directory."""

    def build(target: targets.Target, luas: tuple[str, ...]) -> Path:
        toolchain = compilers.choose(target, None)
        words = [str(word) for word in getattr(toolchain, "command", ["cl"])]
        sources = [*(ROOT / "tools" / "carried").glob("*.py"), *(ROOT / "csrc" / "carried").iterdir()]
        inputs = [archive if archive.is_file() else archive / "PKG-INFO", *sources]
        folder = build_folder() / "-".join(["carried", target.name, *luas])
        digest = digest_of([*words, target.name, *luas], words, inputs)
        return keep(folder, digest, lambda: modules.build(target, archive, folder, luas=luas))

    return build


@pytest.fixture
def here(built: Callable[[targets.Target, tuple[str, ...]], Path]) -> Path:
    """Return the directory of this platform's modules."""
    return built(targets.host(), targets.host().luas)


@pytest.fixture(params=targets.Target("windows", "x86_64").luas)
def for_windows(request: pytest.FixtureRequest, built: Callable[[targets.Target, tuple[str, ...]], Path]) -> Path:
    """Return the directory of one of the modules for Windows."""
    return built(targets.Target("windows", "x86_64"), (request.param,))
