"""Engines whose scripts may use a directory, beside what must stay out of reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from luagauge import LUA_VERSIONS, LuaEngine, ScriptConfig, _finder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with files, and around it what must stay out of reach."""
    (tmp_path / "secret.txt").write_text("secret")
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "data.txt").write_bytes(b"first\nsecond\n 42 0x10 -1.5e2 rest\n\xff\x00end")
    (inside / "sub" / "mod.lua").write_text("local M = ... return {name = M, six = math.floor(6.5)}")
    (inside / "code.lua").write_text("x = (x or 0) + 1 return x")
    (inside / "bytecode.lua").write_bytes(b"\x1bLua")
    return inside


@pytest.fixture(params=LUA_VERSIONS)
def engine(request: pytest.FixtureRequest, tree: Path) -> LuaEngine:
    """An engine of each Lua whose scripts may use the tree."""
    why_not = _finder.available()[request.param]
    if why_not is not None:
        pytest.skip(why_not)
    config = ScriptConfig(lua=request.param, allow_filesystem=True, filesystem_directories=[tree])
    return LuaEngine(config)
