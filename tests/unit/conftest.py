"""An engine that gives back what it gets, and a probe of the process that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luagauge import LuaEngine, ScriptConfig, _binding

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def echo(lua: str) -> Iterator[LuaEngine]:
    """Return an engine with a function that gives back what it gets."""
    with LuaEngine(ScriptConfig(lua=lua, functions={"echo": lambda value: value})) as engine:
        yield engine


@pytest.fixture
def broken_probe() -> Iterator[None]:
    """Make every reading of the real probe fail until the test is over."""
    _binding.set_statm_path("/no/such/procfs/statm")
    yield
    _binding.set_statm_path(None)
