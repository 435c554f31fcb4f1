"""The engine: runs Lua scripts, measured and within limits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from luagauge import _finder
from luagauge._annotations import TYPE_CHECKING, typing
from luagauge._shutdown import at_exit, until_exit
from luagauge._values import dataclass
from luagauge.config import ScriptConfig, ScriptContext
from luagauge.errors import ConfigurationError, ScriptError, ScriptSyntaxError

if TYPE_CHECKING:
    from types import TracebackType

    from luagauge.results import ScriptResult

_CACHED_SCRIPTS = 64
_MANY_SCRIPTS = 256  # below, freeing one takes some 0.1 ms
_CACHED_SOURCE_BYTES = 1 << 16  # a longer source is compiled anew each time: keeping it would be keeping memory
_DEFAULT_NAME = "script"


class LuaScript:
    """A script that was compiled once and can be run many times, by the engine that compiled it.

    `LuaEngine.precompile_script` makes it. When the last reference is gone, the engine's next call
    frees the compiled code. An engine that keeps more than 256 scripts waits until an eighth of
    them can go.

    Attributes:
        name: The name that errors show.
    """

    __slots__ = ("__weakref__", "_compiled", "_engine", "name")

    def __init__(self, engine: LuaEngine, compiled: _Compiled, name: str) -> None:
        """Called by the engine only."""
        self._engine = engine
        self._compiled = compiled
        self.name = name

    def __reduce__(self) -> typing.NoReturn:
        """Refuse to be copied or pickled.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a LuaScript belongs to its engine and cannot be copied or pickled; hand on its source instead")

    def __repr__(self) -> str:
        """Name the script."""
        return f"<LuaScript {self.name!r}>"


class _Compiled:
    """A compiled script in the Lua state.

    Whoever runs it holds a reference, so it is never freed under a run.
    """

    __slots__ = ("_forget", "globals", "ref")

    def __init__(self, ref: int, globals_: int, unused: list[int]) -> None:
        """Take the core's figures. `unused` gets the ref when the last reference is gone."""
        self.ref = ref
        self.globals = globals_
        self._forget = unused.append

    def __del__(self) -> None:
        """Let the engine free the code; whatever this uses is its own, so that it works when Python shuts down too."""
        self._forget(self.ref)


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What an engine holds and did.

    Attributes:
        lua: The Lua version.
        live_bytes: The size of the Lua heap now. While a run is on: at some moment of the run.
        reserved_bytes: What the state holds from the operating system for its heap, its image
            included.
        runs: How many runs and compilations there were so far.
        cached_scripts: How many sources have a compiled form that is kept.
        source: Where memory figures come from (`ScriptMemory.source`).
        hard_stops: How many runs were ended by throwing the Lua state away.
        no_hard_stop: Why no run can be ended so here (`ScriptConfig.hard_stop`), or None where it
            can.
        release: What this Lua calls itself, such as `"Lua 5.4.8"`.
        module: Whose module this Lua is in. `"luagauge"`: one that this wheel carries. `"lupa"`:
            lupa's.
    """

    lua: str
    live_bytes: int
    reserved_bytes: int
    runs: int
    cached_scripts: int
    source: typing.Literal["allocator"]
    hard_stops: int
    no_hard_stop: str | None
    release: str
    module: typing.Literal["luagauge", "lupa"]


class LuaEngine:
    """Runs Lua scripts in one Lua state: measured to the byte, within limits, with fresh globals.

    An engine does one run at a time. A second thread waits for the first. A call from inside the
    engine's own host function is refused. For parallel runs use one engine per thread. A run holds
    no GIL. To give an engine's memory back at once, close the engine, or use it as a context
    manager.

    Args:
        config: Limits, Lua version and what scripts may use. None stands for the defaults of
            `ScriptConfig`.

    Raises:
        ConfigurationError: `config` is no `ScriptConfig`. Or scripts are to have files, and this
            platform cannot give them safely.
        PlatformUnavailableError: That Lua is not to be had here. The text says why, and what to
            do.

    Example:
        >>> from luagauge import LuaEngine
        >>> with LuaEngine() as engine:
        ...     engine.execute_script("return 6 * 7").output
        42
    """

    _at_exit, _failure = staticmethod(at_exit), Exception  # as in until_exit()

    @until_exit
    def __init__(self, config: ScriptConfig | None = None) -> None:
        """Make the Lua state."""
        if config is None:
            config = ScriptConfig()
        elif not isinstance(config, ScriptConfig):
            raise ConfigurationError("config", config, "give a ScriptConfig")
        self._config = config
        self._state, self._lua, self._run, self._compile = _finder.open_state(config)
        self._cache: OrderedDict[tuple[object, str, type], _Compiled] = OrderedDict()
        self._unused: list[int] = []  # refs of dropped scripts; freed when the state is free
        self._kept = 0  # compiled scripts in the state, these included
        self._tolerated = 0  # how many of these may wait

    @property
    def config(self) -> ScriptConfig:
        """The configuration the engine was made with."""
        return self._config

    @property
    def closed(self) -> bool:
        """True once the engine was closed."""
        return self._state.closed

    def execute_script(
        self,
        script: str | bytes | LuaScript,
        context: ScriptContext | Mapping[str, typing.Any] | None = None,
        *,
        name: str | None = None,
    ) -> ScriptResult:
        """Run a script.

        The engine keeps the compiled form of a source for the next time. It keeps the 64 sources
        that were used last, and none of more than 64 KiB.

        Args:
            script: Lua source, or what `precompile_script` returned.
            context: What the script sees as `context`. A dict, or any other mapping, is taken as
                it is.
            name: The name that errors show for a source. None stands for "script".

        Returns:
            The result. Whatever the script did wrong is in it, and is never raised.

        Raises:
            ConfigurationError: `script`, `context` or `name` is not what is asked for.
            ScriptSerializationError: The context holds something that is not plain data. `path`
                says where.
            EngineClosedError: The engine is closed. Or Python is shutting down and has taken
                luagauge's modules apart.
            EngineBusyError: The call came from a host function of a run of this engine, or from a
                forked child in which such a run can never end.
            MemoryTrackingError: The process could not be measured, and `on_error` is "raise".
            Exception: A mapping in the context that is no dict raised it when it was read.
            KeyboardInterrupt: Somebody pressed Ctrl-C. What a signal handler or a host function
                raises is raised as well, if it is no `Exception`.
        """
        try:  # until_exit() itself would cost each run a call more
            data = None if context is None else _context_data(context)
            if type(script) is LuaScript:
                if script._engine is not self:  # noqa: SLF001 - one module
                    raise ConfigurationError(
                        "script", script, "it was compiled by another engine; give a script that this engine compiled"
                    )
                code = script._compiled  # noqa: SLF001
                if self._unused:
                    self._free_unused()
                return self._run(code.ref, code.globals, None, None, False, data)
            # With the type, so that text is never compared with bytes: python -b warns of that, and -bb raises.
            key = (script, _DEFAULT_NAME if name is None else name, type(script))
            try:
                cached = self._cache[key]
                self._cache.move_to_end(key)
            except (KeyError, TypeError):  # unknown, dropped by another thread just now, or not hashable: a wrong type
                return self._execute_source(script, key[1], data)
            if self._unused:
                self._free_unused()
            return self._run(cached.ref, cached.globals, None, None, False, data)
        except self._failure as error:
            self._at_exit(error)
            raise

    def _execute_source(self, script: object, name: str, data: typing.Any) -> ScriptResult:
        """Compile and run. Keep the compiled form unless the source is long."""
        source = _source_bytes("script", script, "give Lua source as str or bytes, or a precompiled LuaScript")
        keep = len(source) <= _CACHED_SOURCE_BYTES and type(script) in (str, bytes)
        if not keep:
            return self._run(-1, 0, source, _chunk_name(name), False, data)
        result, ref, mentioned = self._run(-1, 0, source, _chunk_name(name), True, data)
        if ref >= 0:
            compiled = self._keep(ref, mentioned)
            self._cache.setdefault((script, name, type(script)), compiled)
            if len(self._cache) > _CACHED_SCRIPTS:
                self._cache.popitem(last=False)
            self._free_unused()
        return result

    def _keep(self, ref: int, globals_: int) -> _Compiled:
        """Take care of a script that was compiled just now."""
        self._count(1)
        return _Compiled(ref, globals_, self._unused)

    def _count(self, change: int) -> None:
        """Note how many compiled scripts there are.

        Freeing any of them takes a collection, which goes through all. So where there are many,
        freeing waits until an eighth of them can go. The cost for each is then the same, however
        many there are.
        """
        self._kept += change
        self._tolerated = self._kept // 8 if self._kept > _MANY_SCRIPTS else 0

    def _free_unused(self) -> None:
        """Free the compiled code that nobody uses any more.

        Nothing is freed while a run is on, or where it is little beside what is used.
        """
        if len(self._unused) <= self._tolerated:
            return
        refs = []
        try:
            while True:
                refs.append(self._unused.pop())
        except IndexError:  # none left
            pass
        if self._state.release(refs):
            self._count(-len(refs))
        else:
            self._unused.extend(refs)

    async def execute_script_async(
        self,
        script: str | bytes | LuaScript,
        context: ScriptContext | Mapping[str, typing.Any] | None = None,
        *,
        name: str | None = None,
    ) -> ScriptResult:
        """Run a script in a worker thread.

        Cancelling the task interrupts the run, or the run's wait for the end of another one. A
        cancelled task ends once its run has ended, however often it is cancelled. A host function
        that is under way comes to its own end first.

        Host functions see the context variables (`contextvars`) of the awaiting task. The task
        does not see what they set, as with `asyncio.to_thread`.

        The thread is one of the loop's default executor (`loop.set_default_executor`), which has
        few threads. A run waits while all of them are taken. `asyncio.to_thread` and the look-up
        of host names use the same threads.

        Arguments, result and exceptions are those of `execute_script`.
        """
        try:
            from luagauge._aio import run_in_thread  # noqa: PLC0415 - asyncio is not for everybody

            run = self.execute_script
            return await run_in_thread(self._state.interrupt_thread, run, script, context, name=name)
        except self._failure as error:
            self._at_exit(error)
            raise

    @until_exit
    def precompile_script(self, source: str | bytes, *, name: str | None = None) -> LuaScript:
        """Compile a script once, to run it many times.

        Args:
            source: Lua source.
            name: The name that errors show. None stands for "script".

        Raises:
            ScriptSyntaxError: The source is not valid Lua. `line` says where.
            ScriptError: Compiling went over the memory limit or the deadline.
            ConfigurationError: `source` or `name` is not text.
            EngineClosedError: The engine is closed.
            EngineBusyError: The call came from a host function of a run of this engine, or from a
                forked child in which such a run can never end.

        Example:
            >>> with LuaEngine() as engine:
            ...     double = engine.precompile_script("return context.x * 2")
            ...     [engine.execute_script(double, {"x": x}).output for x in (1, 2, 3)]
            [2, 4, 6]
        """
        shown = _DEFAULT_NAME if name is None else name
        code = _source_bytes("source", source)
        result, ref, mentioned = self._compile(-1, 0, code, _chunk_name(shown), True)
        result.raise_for_error()
        script = LuaScript(self, self._keep(ref, mentioned), shown)
        self._free_unused()
        return script

    @until_exit
    def validate_syntax(self, source: str | bytes, *, name: str | None = None) -> ScriptSyntaxError | None:
        """Compile a script and throw the code away.

        Returns:
            None where the source is valid Lua, else the error with its line.

        Raises:
            ScriptError: Compiling went over the memory limit or the deadline.
            ConfigurationError: `source` or `name` is not text.
            EngineClosedError: The engine is closed.
            EngineBusyError: The call came from a host function of a run of this engine, or from a
                forked child in which such a run can never end.

        Example:
            >>> with LuaEngine() as engine:
            ...     engine.validate_syntax("x = = 1").line
            1
        """
        shown = _DEFAULT_NAME if name is None else name
        if self._unused:
            self._free_unused()
        result = self._compile(-1, 0, _source_bytes("source", source), _chunk_name(shown), False)
        error: ScriptError | None = result.error
        if error is None or isinstance(error, ScriptSyntaxError):
            return error
        raise error

    @until_exit
    def interrupt(self) -> bool:
        """End the run in progress.

        The `error` of that run's result is a `ScriptInterruptedError`. Any thread may call this,
        and so may a signal handler.

        Returns:
            Whether a run was in progress.
        """
        return self._state.interrupt()

    @until_exit
    def stats(self) -> EngineStats:
        """Return what the engine holds and did.

        Raises:
            EngineClosedError: The engine is closed.
        """
        live, reserved, runs, stops, no_stop = self._state.counters()
        return EngineStats(
            lua=self._config.lua,
            live_bytes=live,
            reserved_bytes=reserved,
            runs=runs,
            cached_scripts=len(self._cache),
            source="allocator",
            hard_stops=stops,
            no_hard_stop=no_stop,
            release=self._lua.release,
            module=self._lua.module,
        )

    @until_exit
    def close(self) -> None:
        """Close the Lua state and give its memory back.

        It waits for the end of a run in progress. An engine may be closed twice.

        Raises:
            EngineBusyError: The call came from a host function of a run of this engine, or from a
                forked child in which such a run can never end.
        """
        self._state.close()
        self._cache.clear()
        self._unused.clear()

    def __enter__(self) -> LuaEngine:
        """Return the engine, for `with`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def __reduce__(self) -> typing.NoReturn:
        """Refuse to be copied or pickled.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            "a LuaEngine cannot be copied or pickled; hand on its config, and make another engine from that"
        )

    def __repr__(self) -> str:
        """Say which Lua it runs and whether it is closed."""
        return f"<LuaEngine lua={self._config.lua} {'closed' if self.closed else 'open'}>"


def _source_bytes(setting: str, source: object, remedy: str = "give Lua source as str or bytes") -> bytes:
    """Return a script's source as bytes."""
    if isinstance(source, str):
        try:
            return source.encode()
        except UnicodeEncodeError as error:
            raise ConfigurationError(
                setting, source, f"it cannot be encoded as UTF-8 ({error.reason}); give text without lone surrogates"
            ) from None
    if isinstance(source, (bytes, bytearray)):
        return bytes(source)
    if isinstance(source, LuaScript):
        raise ConfigurationError(setting, source, "it is compiled already; give Lua source as str or bytes")
    raise ConfigurationError(setting, source, remedy)


def _chunk_name(name: object) -> bytes:
    """Return a name as Lua's chunk name."""
    if not isinstance(name, str) or "\0" in name:
        raise ConfigurationError("name", name, "give a str without NUL")
    return b"@" + name.encode(errors="replace")


def _context_data(context: object) -> typing.Any:
    """Return the data that becomes the global `context`."""
    if isinstance(context, ScriptContext):
        return {"request": context.request, "response": context.response, "metadata": context.metadata}
    if isinstance(context, (dict, Mapping)):  # dict first: it is quicker to tell
        return context
    raise ConfigurationError("context", context, "give a ScriptContext, a dict or another mapping, or None")
