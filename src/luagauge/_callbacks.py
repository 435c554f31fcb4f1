"""What the core calls of a config beside its functions: the clock that scripts see, and the taker of log entries."""

from __future__ import annotations

from luagauge._annotations import TYPE_CHECKING, typing
from luagauge.config import is_moment
from luagauge.results import LogEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from luagauge.config import ScriptConfig


def callbacks(config: ScriptConfig) -> dict[str, Callable[..., typing.Any]]:
    """Return them by the names that csrc/guard/host.h knows, which no script can say."""
    found: dict[str, Callable[..., typing.Any]] = {}
    if callable(config.clock):
        found["config.clock"] = _reading(config.clock)
    if config.on_log is not None:
        found["config.on_log"] = _handing_on(config.on_log)
    return found


def _reading(clock: Callable[[], float]) -> Callable[[], float]:
    """Return what gives the core a float, as which it takes a clock's answer."""

    def read() -> float:
        seconds = clock()
        if not is_moment(seconds):
            raise TypeError(
                f"the clock returned {seconds!r:.80}: return seconds since the epoch, from year 1 to year 9999"
            )
        return float(seconds)

    return read


def _handing_on(on_log: Callable[[LogEntry], object]) -> Callable[[float, str | bytes, str | bytes], None]:
    """Return what makes the entry of what the core gives: a level is a word, so what is not UTF-8 in it is escaped."""

    def hand_on(time: float, level: str | bytes, message: str | bytes) -> None:
        word = level if isinstance(level, str) else level.decode("utf-8", "backslashreplace")
        on_log(LogEntry(word, message, time))

    return hand_on
