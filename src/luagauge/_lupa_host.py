"""What the fallback's Lua calls: host functions, the clock, and the way data crosses. One per Lua state.

Lua calls these only while the memory limit is lifted (_lua/guard.lua), so they may raise and return what they like.
"""

from __future__ import annotations

import time
from typing import Any

from luagauge._lupa_data import Incoming, Outgoing
from luagauge.config import ScriptConfig

_MS_PER_SECOND = 1000
_NEXT_LOOK_SECONDS = 0.05  # also how long a Ctrl-C may wait
_MAX_MESSAGE_BYTES = 65536


class Host:
    """One Lua state's host: it ends runs, and does for them what Lua cannot.

    Attributes:
        reason: Why the run is to end, as the name of an outcome; None while it is not.
        cause: The exception of the last host function that failed.
        incoming: What Lua has sent.
        outgoing: What Lua is to get.
        log: The log's entries, as _lua/base.lua writes them.
    """

    def __init__(self, config: ScriptConfig, *, integers: bool) -> None:
        """Take the configuration; `integers`: this Lua has 64-bit integers."""
        self.config = config
        self.integers = integers
        self.names = tuple(config.functions)
        self.functions = tuple(config.functions.values())
        self.log: list[bytes] = []
        self.incoming = Incoming()
        self.outgoing: Outgoing | None = None
        self.reason: str | None = None
        self.begin()

    def begin(self) -> None:
        """Start a run: its time runs from here. It may have been told to end already: `reason` stays."""
        timeout_ms, cpu_ms = self.config.timeout_ms, self.config.cpu_time_ms
        self.cause: BaseException | None = None
        self.deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / _MS_PER_SECOND
        self.cpu_deadline = None if cpu_ms is None else time.thread_time() + cpu_ms / _MS_PER_SECOND
        self.used_bytes = 0
        self.log.clear()
        self.incoming.clear()
        self.outgoing = None

    def seconds_left(self) -> float:
        """Return how long the run may go on before somebody has to look again; notes that it is due."""
        left = _NEXT_LOOK_SECONDS
        if self.deadline is not None:
            left = min(left, self.deadline - time.monotonic())
            if left <= 0 and self.reason is None:
                self.reason = "timeout"
        if self.cpu_deadline is not None:
            left = min(left, self.cpu_deadline - time.thread_time())
            if left <= 0 and self.reason is None:
                self.reason = "cpu"
        return max(left, 0.0)

    def overdue(self) -> bool:
        """Return whether the wall clock says that the run is to end, or somebody else did; for any thread."""
        if self.reason is None and self.deadline is not None and time.monotonic() >= self.deadline:
            self.reason = "timeout"
        return self.reason is not None

    # --- called by Lua ---

    def attend(self) -> tuple[bool, float]:
        """Say whether the run is to end, and after how many seconds to ask again. Python looks at its signals here."""
        left = self.seconds_left()
        return self.reason is not None, left

    def emit(self, kinds: bytes, *values: Any) -> bool:
        """Take values; say whether the run is to end."""
        self.incoming.add(kinds, values)
        self.seconds_left()
        return self.reason is not None

    def pull(self) -> tuple[Any, ...]:
        """Give values."""
        return () if self.outgoing is None else self.outgoing.batch()

    def call(self, index: int, limit: int, used: int) -> tuple[bytes, bytes | None]:
        """Call a host function with what Lua has sent; `index` -1: only look again whether its answer fits by now.

        Args:
            index: Its number.
            limit: Bytes the Lua state may hold, 0 for no limit.
            used: Bytes it holds.

        Returns:
            What came of it, and the text of an error.
        """
        if index >= 0:
            failed = self._called(index)
            if failed is not None:
                return failed
        if self.outgoing is None:
            return b"fatal", None
        if limit and used + self.outgoing.least_bytes > limit:
            return b"full", None
        return b"value", None

    def _called(self, index: int) -> tuple[bytes, bytes | None] | None:
        """Call a host function; None where its answer is ready."""
        arguments = self.incoming.take()
        began = time.monotonic()
        deadline = self.deadline
        if not self.config.deadline_includes_callbacks:
            self.deadline = None
        self.outgoing = None
        try:
            answer = self.functions[index](*arguments)
            self.outgoing = Outgoing(answer, "return value", integers=self.integers)
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes a Lua error
            self.cause = error
            return b"error", self._described(index, error)
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt and its like end the run
            self.cause = error
            self.reason = "callback"
            return b"fatal", None
        finally:
            if deadline is not None and self.deadline is None:
                self.deadline = deadline + time.monotonic() - began
        self.seconds_left()
        return None if self.reason is None else (b"fatal", None)

    def _described(self, index: int, error: Exception) -> bytes:
        """Return the Lua error for an exception."""
        try:
            shown = f"{self.names[index]}: {type(error).__name__}: {error}".encode(errors="backslashreplace")
        except Exception:  # noqa: BLE001 - its __str__ failed
            return b"a host function failed"
        return shown[:_MAX_MESSAGE_BYTES]
