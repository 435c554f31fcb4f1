"""Python functions that scripts call: data in, data out, exceptions both ways, the engine's own calls inside them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from luas import HAVE_ENVIRONMENTS

from luagauge import (
    EngineBusyError,
    LuaEngine,
    ScriptInterruptedError,
    ScriptRuntimeError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.emulated


class OwnError(Exception):
    """An exception of the host's."""


class OwnEnd(BaseException):
    """An exception that is no Exception."""


def test_functions_get_and_return_plain_data(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Any number of arguments, None among them; one value back."""
    calls: list[tuple[Any, ...]] = []

    def note(*args: Any) -> dict[str, Any]:
        calls.append(args)
        return {"count": len(args), "args": list(args)}

    engine = make_engine(lua, functions={"note": note})
    output = engine.execute_script("note() note(nil, 1, nil) return note('a', {1, 2}, {k = true}).count").output
    assert output == 3
    assert calls == [(), (None, 1, None), ("a", [1, 2], {"k": True})]


def test_functions_are_known_by_name_only(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """They are globals of each run, ordinary functions to Lua, and a script may replace them for itself."""
    engine = make_engine(lua, functions={"f": lambda: 1, "print": lambda *_: "mine"})
    assert engine.execute_script("return type(f), f()").output == ("function", 1)
    assert engine.execute_script("f = nil return f == nil").output is True
    assert engine.execute_script("return f(), print('x')").output == (1, "mine")
    assert engine.execute_script("return _G.f(), (loadstring or load)('return f()')()").output == (1, 1)


def test_functions_may_be_any_callable(make_engine: Callable[..., LuaEngine]) -> None:
    """Builtins, classes, methods and callable objects."""

    class Adder:
        def __call__(self, a: int, b: int) -> int:
            return a + b

    engine = make_engine(functions={"size": len, "add": Adder(), "upper": str.upper, "number": float})
    source = "return size('four'), add(1, 2), upper('x'), number('1.5')"
    assert engine.execute_script(source).output == (4, 3, "X", 1.5)


def test_exception_of_a_function_is_a_lua_error(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """The script can catch it and read its text; a caught one leaves no trace."""

    def fail(text: str) -> None:
        raise OwnError(text)

    engine = make_engine(lua, functions={"fail": fail})
    ok, message = engine.execute_script("return pcall(fail, 'no such row')").output
    assert ok is False
    assert message.endswith("fail: OwnError: no such row")
    result = engine.execute_script("pcall(fail, 'x') return 'went on'")
    assert (result.success, result.output, result.error) == (True, "went on", None)


def test_exception_of_a_function_is_the_cause_of_the_error(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str
) -> None:
    """Uncaught, it ends the run: message and line are Lua's, the cause is the exception itself, with its traceback."""
    raised: list[BaseException] = []

    def fail() -> None:
        error = OwnError("why")
        raised.append(error)
        raise error

    engine = make_engine(lua, functions={"fail": fail})
    error = engine.execute_script("local x = 1\nfail()").error
    assert isinstance(error, ScriptRuntimeError)
    assert str(error) == "script:2: fail: OwnError: why"
    assert error.line == 2
    assert error.__cause__ is raised[0]
    assert error.__cause__ is not None
    assert error.__cause__.__traceback__ is not None
    assert_usable(engine)


def test_cause_is_that_of_the_error_that_ended_the_run(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A caught exception is not the cause of a later, different error."""

    def fail(text: str) -> None:
        raise OwnError(text)

    engine = make_engine(lua, functions={"fail": fail})
    error = engine.execute_script("pcall(fail, 'first') error('other', 0)").error
    assert type(error) is ScriptRuntimeError
    assert error.__cause__ is None
    error = engine.execute_script("pcall(fail, 'first') fail('second')").error
    assert error is not None
    assert str(error.__cause__) == "second"
    error = engine.execute_script("local ok, e = pcall(fail, 'again') error(e, 0)").error
    assert error is not None
    assert str(error.__cause__) == "again"


def test_cause_survives_a_coroutine(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Through coroutine.resume and error, and through coroutine.wrap."""

    def fail() -> None:
        raise OwnError

    engine = make_engine(lua, functions={"fail": fail})
    source = "local ok, e = coroutine.resume(coroutine.create(fail)) error(e, 0)"
    if lua in HAVE_ENVIRONMENTS:  # there a C function is no coroutine's body
        source = source.replace("create(fail)", "create(function() fail() end)")
    error = engine.execute_script(source).error
    assert error is not None
    assert isinstance(error.__cause__, OwnError)
    error = engine.execute_script("coroutine.wrap(function() fail() end)()").error
    assert error is not None
    assert isinstance(error.__cause__, OwnError)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, OwnEnd])
def test_exceptions_that_are_no_exception_end_the_call(
    make_engine: Callable[..., LuaEngine],
    assert_usable: Callable[[LuaEngine], None],
    lua: str,
    kind: type[BaseException],
) -> None:
    """No script can swallow them, not with pcall, xpcall or a coroutine: the call itself raises."""
    later: list[int] = []

    def end() -> None:
        raise kind

    engine = make_engine(lua, functions={"end_": end, "later": lambda: later.append(1)})
    for source in (
        "end_() later()",
        "pcall(end_) later()",
        "xpcall(end_, function() later() end) later()",
        "coroutine.wrap(function() pcall(end_) later() end)() later()",
        "while true do pcall(end_) end",
    ):
        with pytest.raises(kind):
            engine.execute_script(source)
        assert_usable(engine)
    assert later == []


def test_exception_without_text_and_with_a_bad_one(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Whatever __str__ does: there is a message."""

    class Silent(OwnError):
        pass

    class Broken(OwnError):
        def __str__(self) -> str:
            raise OwnError

    class Surrogate(OwnError):
        def __str__(self) -> str:
            return "\ud800"

    def fail(which: int) -> None:
        raise (Silent, Broken, Surrogate)[which]

    engine = make_engine(lua, functions={"fail": fail})
    for i, kind in enumerate((Silent, Broken, Surrogate)):
        error = engine.execute_script(f"fail({i})").error
        assert type(error) is ScriptRuntimeError
        assert type(error.__cause__) is kind
        assert str(error).startswith("script:1: ")
    assert str(error) == "script:1: fail: Surrogate: \\ud800"


def test_exception_with_a_huge_text_is_cut(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A message crosses up to 64 KiB."""

    def fail() -> None:
        raise OwnError("é" * 5_000_000)

    engine = make_engine(lua, functions={"fail": fail}, memory_limit_mb=1)
    error = engine.execute_script("fail()").error
    assert type(error) is ScriptRuntimeError
    assert len(str(error)) < 200_000
    assert isinstance(error.__cause__, OwnError)


def test_function_with_the_wrong_arguments_is_a_type_error(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Python's own check, as a Lua error."""
    engine = make_engine(lua, functions={"one": lambda a: a})
    error = engine.execute_script("one()").error
    assert error is not None
    assert isinstance(error.__cause__, TypeError)


def test_functions_run_on_the_thread_of_the_run(make_engine: Callable[..., LuaEngine]) -> None:
    """So thread-local state of the host is at hand."""
    seen: list[int] = []
    engine = make_engine(functions={"note": lambda: seen.append(threading.get_ident())})
    engine.execute_script("note()")
    thread = threading.Thread(target=engine.execute_script, args=("note()",))
    thread.start()
    thread.join()
    assert seen[0] == threading.get_ident()
    assert seen[1] != seen[0]


def test_engine_is_refused_inside_its_own_function(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str
) -> None:
    """Every call that needs the state says busy; what only tells may be asked."""
    refused: list[str] = []
    told: list[Any] = []

    def inside() -> None:
        calls: list[Callable[[], object]] = [
            lambda: engine.execute_script("return 1"),
            lambda: engine.execute_script("return 'never seen before'"),
            lambda: engine.execute_script(script),
            lambda: engine.precompile_script("return 1"),
            lambda: engine.validate_syntax("return 1"),
            engine.close,
        ]
        for call in calls:
            with pytest.raises(EngineBusyError) as caught:
                call()
            refused.append(str(caught.value))
        told.append((engine.closed, engine.stats().runs, repr(engine)))

    engine = make_engine(lua, functions={"inside": inside})
    script = engine.precompile_script("return 1")
    assert engine.execute_script("inside() return 'done'").output == "done"
    assert len(refused) == 6
    assert told[0][:2] == (False, 2)
    assert_usable(engine)


def test_busy_error_that_leaves_the_function_is_the_cause(make_engine: Callable[..., LuaEngine]) -> None:
    """A host that does not catch it finds it in the result."""
    engines: list[LuaEngine] = []
    engine = make_engine(functions={"again": lambda: engines[0].execute_script("return 1")})
    engines.append(engine)
    error = engine.execute_script("again()").error
    assert error is not None
    assert isinstance(error.__cause__, EngineBusyError)


def test_functions_may_run_other_engines(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Engines nest, each with its own limits and logs, ten deep."""
    engines: list[LuaEngine] = []

    def deeper(level: int) -> Any:
        return (
            engines[level].execute_script("print('here') return deeper and deeper(context.n + 1)", {"n": level}).output
        )

    engines.extend(make_engine(lua, functions={"deeper": deeper}) for _ in range(9))
    engines.append(make_engine(lua))
    outermost = make_engine(lua, functions={"deeper": deeper})
    result = outermost.execute_script("return deeper(0)")
    assert result.error is None
    assert result.logs == ()


def test_interrupt_from_inside_a_function_ends_the_run(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str
) -> None:
    """A host function can end the run it is part of."""
    engines: list[LuaEngine] = []

    def stop() -> bool:
        return engines[0].interrupt()

    engine = make_engine(lua, timeout_ms=None, functions={"stop": stop})
    engines.append(engine)
    for source in ("stop() while true do end", "pcall(stop) while true do end"):
        assert isinstance(engine.execute_script(source).error, ScriptInterruptedError)
        assert_usable(engine)


def test_functions_in_metamethods_sorts_and_coroutines(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Wherever Lua calls a function, it may be Python's."""
    engine = make_engine(lua, functions={"less": lambda a, b: a < b, "index": lambda _, key: f"<{key}>"})
    source = """
    local t = {3, 1, 2}
    table.sort(t, less)
    local o = setmetatable({}, {__index = index})
    local text = ('abc'):gsub('b', function(c) return index(nil, c) end)
    local co = coroutine.wrap(function() return less(1, 2) end)
    return t, o.key, text, co()
    """
    assert engine.execute_script(source).output == ([1, 2, 3], "<key>", "a<b>c", True)


def test_functions_are_called_many_times(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Ten thousand calls in one run."""
    engine = make_engine(lua, functions={"inc": lambda n: n + 1})
    assert engine.execute_script("local n = 0 for i = 1, 10000 do n = inc(n) end return n").output == 10_000


def test_function_can_interrupt_its_own_run(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str
) -> None:
    """The run ends where the function returns, not a moment later, when it may be over."""
    engines: list[LuaEngine] = []
    functions: dict[str, Callable[[], bool]] = {"stop": lambda: engines[0].interrupt()}  # noqa: PLW0108 - not made yet
    engines.append(make_engine(lua, functions=functions))
    for _ in range(20):
        assert isinstance(engines[0].execute_script("pcall(stop) return 1").error, ScriptInterruptedError)
    assert_usable(engines[0])


class Unspeakable(Exception):
    """An exception whose text ends the program."""

    def __str__(self) -> str:
        """Raise what a signal handler may raise anywhere."""
        raise KeyboardInterrupt


def test_interrupt_while_an_exception_is_described_comes_out(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """KeyboardInterrupt in the __str__ of a host function's error is not lost."""

    def fail() -> None:
        raise Unspeakable

    engine = make_engine(lua, functions={"fail": fail})
    with pytest.raises(KeyboardInterrupt):
        engine.execute_script("pcall(fail) return 1")
