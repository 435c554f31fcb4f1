"""SecurityManager: figures from anywhere against a configured limit."""

from __future__ import annotations

import math
from typing import Any

import pytest

from luagauge import ConfigurationError, LuaEngine, MemoryLimitExceeded, ScriptConfig, SecurityManager


@pytest.mark.parametrize("used", [None, 0, 0.0, 1, 63.999, 64, 64.0, -5])
def test_check_memory_limit_passes_up_to_the_limit(used: float | None) -> None:
    """The limit itself is allowed, and so is "not measured"."""
    SecurityManager(ScriptConfig(memory_limit_mb=64)).check_memory_limit(used)


@pytest.mark.parametrize("used", [64.0000001, 65, 1e300, math.inf, 10**100])
def test_check_memory_limit_raises_with_both_figures(used: float) -> None:
    """More than the limit is an error that is a MemoryError too."""
    with pytest.raises(MemoryLimitExceeded) as caught:
        SecurityManager(ScriptConfig(memory_limit_mb=64)).check_memory_limit(used)
    assert (caught.value.used_mb, caught.value.limit_mb) == (used, 64)
    assert isinstance(caught.value, MemoryError)


def test_check_memory_limit_without_a_limit_passes_all() -> None:
    """None is no limit."""
    SecurityManager(ScriptConfig(memory_limit_mb=None)).check_memory_limit(1e300)


def test_check_memory_limit_uses_the_default_config() -> None:
    """100 MiB, as ScriptConfig says."""
    SecurityManager().check_memory_limit(100)
    with pytest.raises(MemoryLimitExceeded):
        SecurityManager().check_memory_limit(100.1)


@pytest.mark.parametrize("used", ["1", b"1", True, False, [1], math.nan, 1j])
def test_check_memory_limit_refuses_what_is_no_figure(used: Any) -> None:
    """A NaN compares with nothing, so it is refused and not let through."""
    with pytest.raises(ConfigurationError, match="give a number of MiB, or None") as caught:
        SecurityManager().check_memory_limit(used)
    assert caught.value.value is used


@pytest.mark.parametrize("config", [{}, 64, "x", ScriptConfig])
def test_manager_refuses_what_is_no_config(config: Any) -> None:
    """As the engine does."""
    with pytest.raises(ConfigurationError, match="give a ScriptConfig"):
        SecurityManager(config)


def test_manager_judges_the_sum_over_runs(make_engine: Any) -> None:
    """What it is for: several runs that each stay within the limit and together do not."""
    engine: LuaEngine = make_engine(memory_limit_mb=3)
    manager = SecurityManager(engine.config)
    used = [engine.execute_script("return #('x'):rep(1024 * 1024)").memory_used_mb or 0 for _ in range(4)]
    for figure in used:
        manager.check_memory_limit(figure)
    with pytest.raises(MemoryLimitExceeded):
        manager.check_memory_limit(sum(used))
