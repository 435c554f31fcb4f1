"""Checks a figure against a configured limit."""

from __future__ import annotations

from luagauge._shutdown import until_exit
from luagauge.config import ScriptConfig
from luagauge.errors import ConfigurationError, MemoryLimitExceeded


class SecurityManager:
    """Holds figures against the limits of a `ScriptConfig`.

    The engine enforces its limits by itself, while a script runs. This class is for hosts that
    judge figures from elsewhere, such as the sum over several runs.

    Args:
        config: The limits. None stands for the defaults of `ScriptConfig`.

    Raises:
        ConfigurationError: `config` is something else.

    Example:
        >>> SecurityManager(ScriptConfig(memory_limit_mb=64)).check_memory_limit(65.5)
        Traceback (most recent call last):
        luagauge.errors.MemoryLimitExceeded: the script needed 65.5 MiB, over its limit of 64 MiB; ...
    """

    __slots__ = ("_config",)

    @until_exit
    def __init__(self, config: ScriptConfig | None = None) -> None:
        """Take the limits."""
        if config is not None and not isinstance(config, ScriptConfig):
            raise ConfigurationError("config", config, "give a ScriptConfig")
        self._config = config or ScriptConfig()

    @until_exit
    def check_memory_limit(self, memory_used_mb: float | None) -> None:
        """Compare a use of memory with `memory_limit_mb`.

        Args:
            memory_used_mb: MiB (1,048,576 bytes). None stands for "not measured", and passes.

        Raises:
            MemoryLimitExceeded: It is more than the limit.
            ConfigurationError: It is not a number.
        """
        if memory_used_mb is None:
            return
        number = isinstance(memory_used_mb, (int, float)) and not isinstance(memory_used_mb, bool)
        if not number or memory_used_mb != memory_used_mb:  # noqa: PLR0124 - a NaN compares with nothing
            raise ConfigurationError("memory_used_mb", memory_used_mb, "give a number of MiB, or None")
        limit = self._config.memory_limit_mb
        if limit is not None and memory_used_mb > limit:
            raise MemoryLimitExceeded(memory_used_mb, limit)
