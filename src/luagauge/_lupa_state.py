"""A Lua state on lupa's Python API alone: the fallback where lupa's module does not export the Lua C API.

`LupaState` does what `_fast.State` does, with `ScriptMemory.source == "lupa"`: current use and the limit are exact
(lupa counts in its allocator), the peak is sampled, gross figures are unknown. Deadlines come from a hook inside Lua,
which slows every instruction down on 5.4 and 5.5. The Lua side is in _lua/.
"""

from __future__ import annotations

import importlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from luagauge import _binding
from luagauge._lupa_data import Outgoing
from luagauge._lupa_host import Host
from luagauge._lupa_result import Measured, Report, limit_bytes, result_of
from luagauge._lupa_watch import watcher
from luagauge.config import ScriptConfig
from luagauge.errors import (
    EngineBusyError,
    EngineClosedError,
    MemoryTrackingError,
    PlatformUnavailableError,
)
from luagauge.results import MemorySnapshot, ScriptResult

T = TypeVar("T")

_PARTS = ("guard", "data", "base", "math", "match", "strings", "tables", "run")
_HOOK_EVERY = 1000  # instructions between two looks at the clock
_BUDGET_STEP = 100  # instructions that max_instructions counts at a time
_INTEGERS_SINCE = (5, 3)
_HOLDER, _RUN, _WATCHER = 0, 1, 2  # the one key of LupaState._hold, and its values; _lua/guard.lua knows them too
_WAIT_SECONDS = 0.05  # a thread that waits for the state looks this often whether it is still wanted there
_SEED_BITS = 52  # what every Lua's numbers hold


@cache
def _source(part: str) -> bytes:
    """Return the text of a part of the Lua side."""
    return files("luagauge").joinpath("_lua").joinpath(f"{part}.lua").read_bytes()


def _no_attributes(_object: object, _name: object, _setting: object) -> None:
    """Refuse Lua every attribute of every Python object."""
    raise AttributeError("Python objects are closed to scripts")


class _Waiter:
    """A thread that waits for the state, and whether it need not any longer."""

    __slots__ = ("given_up", "thread")

    def __init__(self, thread: int) -> None:
        """Wait."""
        self.thread = thread
        self.given_up = False


class LupaState:
    """One Lua state and the calls of an engine; the same as `_fast.State`."""

    def __init__(self, instance: str, config: ScriptConfig) -> None:
        """Make the Lua state and its sandbox.

        Args:
            instance: The name of lupa's module, such as `"lua54"`.
            config: The limits, functions and environment.

        Raises:
            PlatformUnavailableError: This Lua takes no memory limit from lupa.
        """
        self._config = config
        self._closed = False
        self._owner: int | None = None
        self._owner_process = 0
        self._waiters: list[_Waiter] = []
        self._lock = threading.Lock()
        self._runs = 0
        self._peak_bytes = 0
        self._hooked = threading.local()
        # Who holds the memory limit still: the run while it is lifted, or the watching thread; see _lua/guard.lua.
        self._hold = {_HOLDER: _RUN}
        lupa: Any = importlib.import_module(f"lupa.{instance}")
        self._lua_error: type[Exception] = lupa.LuaError
        try:
            self._runtime = lupa.LuaRuntime(
                register_eval=False,
                register_builtins=False,
                attribute_filter=_no_attributes,
                unpack_returned_tuples=True,
                encoding=None,
                max_memory=0,
            )
        except lupa.LuaError as error:
            raise PlatformUnavailableError(
                f"lupa's {instance} module neither offers the Lua C API here nor takes a memory limit ({error})"
            ) from error
        self._host = Host(config, integers=lupa.LUA_VERSION >= _INTEGERS_SINCE)
        self._build(self._runtime)

    def _build(self, runtime: Any) -> None:
        """Load the Lua side."""
        config, host, hold = self._config, self._host, self._hold
        slow = config.timeout_ms is not None or config.cpu_time_ms is not None
        budget = config.max_instructions
        limited = slow or budget is not None
        self._period = _BUDGET_STEP if budget is not None else _HOOK_EVERY if slow else 0
        environment = {name.encode(): value.encode() for name, value in config.environment_variables.items()}
        given = {
            "guard": (hold.setdefault, hold.pop, runtime.set_max_memory, runtime.get_memory_used, host.attend),
            "data": (host.emit, host.pull, host.incoming.clear),
            "base": (host.log.append, time.time, runtime.table_from(environment)),
            "math": (secrets.randbits(_SEED_BITS), secrets.randbits(_SEED_BITS)),
            "run": (host.call,),
        }
        shared, load_part, close_globals = runtime.compile(_source("load"), name=b"=luagauge")(limited)
        for part in _PARTS:
            load_part(_source(part), f"=luagauge.{part}".encode(), *given.get(part, ()))
        shared[b"max_output"] = config.max_output_size
        for index, name in enumerate(host.names):
            shared[b"offer"](index, name.encode())
        close_globals()
        self._shared = shared
        self._call_run, self._call_compile = shared[b"run"], shared[b"compile_only"]
        self._call_finish, self._call_release = shared[b"finish"], shared[b"release"]
        self._call_shut_down = shared[b"shut_down"]
        runtime.gccollect()

    # --- what the engine asks for ---

    @property
    def closed(self) -> bool:
        """True once closed."""
        return self._closed

    @property
    def owner(self) -> int | None:
        """The thread whose run is on, or None."""
        return self._owner

    @property
    def idle(self) -> bool:
        """True while no run is on."""
        return self._owner is None

    def run(  # the native state takes its arguments by position, and this one stands in for it
        self,
        ref: int,
        globals_: int,
        source: bytes | None,
        name: bytes | None,
        keep: bool,  # noqa: FBT001 - see above
        context: Any,
        /,
    ) -> Any:
        """Run a compiled script, or compile and run one.

        Args:
            ref: What `compile` returned, or -1 to compile `source`.
            globals_: Not used: here every run gets all globals.
            source: The script, with `ref` -1.
            name: Its chunk name.
            keep: Keep the compiled script, and return its ref beside the result.
            context: The script's `context`, or None.

        Raises:
            ScriptSerializationError: The context is not plain data.
            EngineClosedError: The state is closed.
            EngineBusyError: The call came from inside a run.
            MemoryTrackingError: The process could not be measured, and `on_error` is "raise".
        """
        del globals_
        compiled = ref if ref >= 0 else None
        self._enter()
        try:
            outgoing = None if context is None else Outgoing(context, "", integers=self._host.integers)
            period = self._period or (_HOOK_EVERY if getattr(self._hooked, "always", False) else 0)
            limits = (limit_bytes(self._config), period)
            budget = self._config.max_instructions
            result, kept = self._guarded(
                outgoing,
                lambda seconds: self._call_run(compiled, source, name, outgoing is not None, *limits, seconds, budget),
                name,
                keep=keep,
            )
        finally:
            self._leave()
        return (result, kept, 0) if keep else result

    def compile(self, ref: int, globals_: int, source: bytes, name: bytes, keep: bool, /) -> Any:  # noqa: FBT001 - as above
        """Compile a script; `run` says the rest."""
        del ref, globals_
        self._enter()
        try:
            limit = limit_bytes(self._config)
            result, kept = self._guarded(
                None, lambda seconds: self._call_compile(source, name, limit, self._period, seconds), name, keep=keep
            )
        finally:
            self._leave()
        return (result, kept, 0) if keep else result

    def release(self, refs: list[int], /) -> bool:
        """Forget compiled scripts; False, and nothing done, while the state is in use or once it is closed."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if not self._closed:
                for ref in refs:
                    self._call_release(ref, ref == refs[-1])
            return True
        finally:
            self._lock.release()

    def interrupt_thread(self, thread: int, /) -> bool:
        """End the run in progress if this thread runs it, and say whether; end its wait for another one's."""
        if self._owner == thread:
            return self.interrupt()
        for waiter in list(self._waiters):
            if waiter.thread == thread:
                waiter.given_up = True
        return False

    def interruptible(self, call: Callable[..., T]) -> Callable[..., T]:
        """Return `call`, made so that `interrupt()` ends any run in it, at a deadline's cost in speed."""

        def hooked(*args: Any, **kwargs: Any) -> T:
            self._hooked.always = True
            try:
                return call(*args, **kwargs)
            finally:
                self._hooked.always = False

        return hooked

    def interrupt(self) -> bool:
        """End the run in progress, from any thread or a signal handler; say whether there was one.

        A run that is neither hooked for a deadline nor `interruptible` ends when it next allocates or calls a host
        function.
        """
        if self._owner is None or self._closed:
            return False
        if self._host.reason is None:
            self._host.reason = "interrupted"
        return True

    def counters(self) -> tuple[int, int, int, int, str | None]:
        """Return bytes in use, bytes held (the same: lupa knows no more), runs so far, hard stops, why there are none.

        Raises:
            EngineClosedError: The state is closed.
        """
        if self._closed:
            raise EngineClosedError
        used = int(self._runtime.get_memory_used(total=True))
        return used, used, self._runs, 0, "the engine stands on lupa's own counters"

    def close(self) -> None:
        """Close the Lua state, after the run in progress.

        Raises:
            EngineBusyError: The call came from inside a run.
        """
        if self._closed:
            return
        self._enter()
        try:
            self._closed = True
            self._call_shut_down()
            # Lua lets go of what Python gave it, and with the last of it the runtime goes.
            del self._shared, self._call_run, self._call_compile, self._call_finish, self._call_release
            del self._call_shut_down
            self._runtime.gccollect()
            self._runtime.gccollect()
            del self._runtime
        finally:
            self._leave()

    def __del__(self) -> None:
        """Close what nobody closed: Lua and Python hold each other."""
        if not getattr(self, "_closed", True) and self._owner is None and hasattr(self, "_call_shut_down"):
            self.close()

    # --- one user at a time ---

    def _enter(self) -> None:
        """Take the state for this thread."""
        me = threading.get_ident()
        if self._owner == me:
            raise EngineBusyError
        if not self._lock.acquire(blocking=False):
            self._wait(me)
        if self._closed:
            self._lock.release()
            raise EngineClosedError
        self._host.reason = None  # now: from the next line on interrupt() says that there is a run, and must end it
        self._owner_process = os.getpid()
        self._owner = me

    def _wait(self, me: int) -> None:
        """Wait for the lock, until `interrupt_thread` says that nobody wants it any more.

        Raises:
            EngineBusyError: It did; or this is a forked child, where the run of another thread is never over.
        """
        waiter = _Waiter(me)
        self._waiters.append(waiter)
        try:
            while not self._lock.acquire(timeout=_WAIT_SECONDS):
                # A signal handler may have forked while this waits; between taking and leaving there is no owner.
                forked = self._owner is not None and self._owner_process != os.getpid()
                if waiter.given_up or forked:
                    raise EngineBusyError
        finally:
            self._waiters.remove(waiter)

    def _leave(self) -> None:
        """Give it back."""
        self._owner = None
        self._lock.release()

    # --- the watching thread ---

    def look(self) -> None:
        """Sample the memory in use; take the memory away from a run that is to end. Called by the watching thread."""
        if self._hold.setdefault(_HOLDER, _WATCHER) != _WATCHER:
            return  # the run is with the host: that is no use of the script's, and nothing may be refused
        try:
            self._peak_bytes = max(self._peak_bytes, self._runtime.get_memory_used(total=True))
            if self._host.overdue():
                self._runtime.set_max_memory(1, total=True)
        finally:
            del self._hold[_HOLDER]

    # --- a run ---

    def _guarded(
        self, outgoing: Outgoing | None, call: Any, name: bytes | None, *, keep: bool
    ) -> tuple[ScriptResult, int]:
        """Measure and watch a call into Lua; return its result, and the ref of the script that was kept."""
        started = time.perf_counter()
        host = self._host
        self._runs += 1
        self._peak_bytes = 0
        self._shared[b"log_left"] = self._config.max_log_entries
        self._shared[b"log_bytes"] = self._config.max_log_size
        self._shared[b"logs_dropped"] = 0
        try:
            watcher.add(self)
            begun, shared = watcher.begun, watcher.active > 1
            host.begin()  # now: the first run of a process starts the watching thread
            host.outgoing = outgoing
            before = self._snapshot()
            self._call_lua(call)
            after = self._snapshot()
        finally:
            watcher.remove(self)
        shared = shared or watcher.begun != begun
        report = Report(self._call_finish(keep))
        measured = Measured((before, after), time.perf_counter() - started, self._peak_bytes, shared)
        try:
            result = result_of(self._config, host, report, name, measured)
        except BaseException:
            if report.ref >= 0:  # nobody else will hear of it
                self._call_release(report.ref, True)
            raise
        if result.error is not None and report.ref >= 0 and report.outcome == "syntax":
            report.ref = -1
        return result, report.ref

    def _call_lua(self, call: Any) -> None:
        """Run; whatever comes of it, the limit is lifted and the lock held afterwards."""
        try:
            call(self._host.seconds_left())
        except BaseException as error:
            watcher.remove(self)
            watcher.settle()
            self._hold[_HOLDER] = _RUN
            self._runtime.set_max_memory(0)
            self._shared[b"depth"] = 1  # the hook may still be there
            if not isinstance(error, (self._lua_error, MemoryError)):
                raise
            # The run was ended, or refused memory, just outside the script: Lua's finish() tells.

    def _snapshot(self) -> MemorySnapshot | MemoryTrackingError | None:
        """Measure the process, if that is wanted."""
        if not self._config.memory_tracking.enabled:
            return None
        try:
            return _binding.snapshot()
        except MemoryTrackingError as error:
            return error
