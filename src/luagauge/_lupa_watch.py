"""The one thread that looks after runs on lupa's own counters: it samples their memory, and ends those that are due.

It starts with the first run and sleeps while there is none. It ends a run by taking its memory away (see
_lua/guard.lua), which needs no call into Lua; a run with a deadline also looks at the clock by itself. That has to do
where the interpreter is shutting down: no thread but the one that does so runs then, and waiting for one never ends.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Protocol

_EVERY_SECONDS = 0.005
_LINGER_SECONDS = 0.5


class Watched(Protocol):
    """A run, as this thread sees it."""

    @property
    def owner(self) -> int | None:
        """The thread that runs it."""

    def look(self) -> None:
        """Sample, and take the memory away when the run is to end. Called by the watching thread."""


class Watcher:
    """Calls `look()` of every run under way, every five milliseconds or so."""

    def __init__(self) -> None:
        """Start no thread yet."""
        self._reset()

    def _reset(self) -> None:
        """Forget everything."""
        self._starting = threading.Lock()
        self._looking = threading.Lock()
        self._wake = threading.Event()
        self._runs: dict[int, Watched] = {}
        self._thread: threading.Thread | None = None
        self.begun = 0

    @property
    def active(self) -> int:
        """Runs under way."""
        return len(self._runs)

    def add(self, run: Watched) -> None:
        """Look after a run from now on. Takes no lock that the watching thread holds: that may wait for the GIL."""
        self.begun += 1
        if sys.is_finalizing():
            return
        self._runs[id(run)] = run
        if self._thread is None or not self._thread.is_alive():
            self._start()
        if not self._wake.is_set():
            self._wake.set()

    def _start(self) -> None:
        """Start the thread, unless another one has done it meanwhile."""
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._watch, name="luagauge-watcher", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:  # from 3.12 on, where this comes before is_finalizing() is true
                    if "shutdown" not in str(error):
                        raise
                    return
                self._thread = thread  # now: a signal's exception may have come out of start(), and left no thread

    def remove(self, run: Watched) -> None:
        """Stop; a `look()` may still be under way."""
        self._runs.pop(id(run), None)

    def settle(self) -> None:
        """Wait until no `look()` is under way."""
        if sys.is_finalizing():  # the watching thread has been stopped wherever it was, and looks no more
            return
        with self._looking:
            pass

    def pause(self) -> None:
        """Wait for the `look()` under way and let no other begin: in a forked child it would never end."""
        self._looking.acquire()

    def go_on(self) -> None:
        """Look again after `pause`."""
        self._looking.release()

    def begin_anew(self) -> None:
        """In a forked child, where the thread is gone: go on with the runs of the thread that forked, in a new one."""
        me = threading.get_ident()
        mine = {key: run for key, run in self._runs.items() if run.owner == me}
        self._reset()
        self._runs.update(mine)
        if mine:
            self._start()
            self._wake.set()

    def _look(self) -> bool:
        """Look at all runs once, in a frame of its own, which keeps no run alive; say whether there were any."""
        with self._looking:
            runs = list(self._runs.values())
            for run in runs:
                run.look()
            return bool(runs)

    def _watch(self) -> None:
        """Look at all runs until none has been there for a while, then sleep."""
        idle_since = time.monotonic()
        while True:
            if self._look():
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > _LINGER_SECONDS:
                self._wake.clear()
                if not self._runs:
                    self._wake.wait()
            time.sleep(_EVERY_SECONDS)


watcher = Watcher()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=watcher.pause,
        after_in_parent=watcher.go_on,
        after_in_child=watcher.begin_anew,
    )
