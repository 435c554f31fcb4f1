"""Forks: engines, runs and limits in the child and in the parent."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from luagauge import EngineBusyError, LuaEngine

if TYPE_CHECKING:
    from collections.abc import Callable


PATIENCE_S = 20.0  # what a hang is told by; nothing here needs a hundredth of it


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_engine_that_another_thread_used_at_a_fork_is_refused_in_the_child(
    make_engine: Callable[..., LuaEngine],
) -> None:
    """That thread is not in the child, so its run would never be over: a clear error instead of waiting for ever."""
    inside = threading.Event()
    engine = make_engine(timeout_ms=None, functions={"inside": inside.set})
    thread = threading.Thread(target=engine.execute_script, args=("inside() while true do end",))
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(int(PATIENCE_S))  # so that a failure here ends too
        try:
            engine.execute_script("return 1")
        except EngineBusyError:
            os._exit(0)
        os._exit(1)
    status = os.waitpid(child, 0)[1]
    engine.interrupt()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
    assert engine.execute_script("return 1").output == 1
