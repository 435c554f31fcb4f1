"""Runs a blocking call in a worker thread for asyncio, so that cancelling it ends the call."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from luagauge.errors import EngineClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_AGAIN_SECONDS = 0.01  # an interrupt may come before what it is to end has begun


async def run_in_thread(interrupt: Callable[[int], object], call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Await `call(*args, **kwargs)` in the loop's default executor, with the context variables of the awaiting task.

    When the awaiting task is cancelled, `interrupt` is called with the worker thread's identity until the call has come
    back, and only then does the cancellation go on: nothing keeps running behind the caller's back, however often the
    task is cancelled meanwhile. A call that still waits for a worker is never made.
    """
    context = contextvars.copy_context()
    worker: list[int] = []  # the thread that is inside the call
    given_up = False
    lock = threading.Lock()  # held while interrupting, so that the thread cannot go on to somebody else's call

    def work() -> T:
        """Make the call, unless the task has been cancelled already."""
        with lock:
            if given_up:
                raise asyncio.CancelledError
            worker.append(threading.get_ident())
        try:
            return context.run(call, *args, **kwargs)
        finally:
            with lock:
                worker.clear()

    loop = asyncio.get_running_loop()
    try:
        future = loop.run_in_executor(None, work)
    except RuntimeError as error:  # in an atexit handler, say: Python starts no threads any more
        raise EngineClosedError(f"no thread is to be had for the run ({error}); execute_script needs none") from error
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        with lock:
            given_up = True
            made = bool(worker)
        while made and not future.done():
            with lock:
                if worker:
                    interrupt(worker[0])
            # Cancelled again, the task still waits. Nothing is lost by that: it counts the requests itself
            # (Task.cancelling), which is what asyncio.timeout and TaskGroup go by once the first one is raised.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([future], timeout=_AGAIN_SECONDS)
        # Looked at, now or when it is done, so that it is not reported as never retrieved.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        raise
