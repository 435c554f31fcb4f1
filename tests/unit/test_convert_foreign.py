"""Values of no plain type on their way to Lua: mappings go in as what they hold, all else is refused by its full name."""

from __future__ import annotations

import asyncio
import decimal
import os
import types
from collections import ChainMap, UserDict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from luagauge import ConfigurationError, LuaEngine, ScriptContext, ScriptRuntimeError, ScriptSerializationError

if TYPE_CHECKING:
    from collections.abc import Callable


class Opaque:
    """Stands for any object that is no data."""

    class Inner:
        """A class whose qualified name has two parts."""


class Lazy(Mapping[str, Any]):
    """A mapping that computes what it holds."""

    def __init__(self, make: Callable[[str], Any], keys: Iterable[str] = ("a", "b")) -> None:
        """Take what makes the value of a key, and the keys."""
        self.make = make
        self.names = list(keys)

    def __getitem__(self, key: str) -> Any:
        """Make a value."""
        return self.make(key)

    def __iter__(self) -> Iterator[str]:
        """Go through the keys."""
        return iter(self.names)

    def __len__(self) -> int:
        """Count the keys."""
        return len(self.names)


MAPPINGS: list[tuple[str, Callable[[dict[str, Any]], Mapping[str, Any]]]] = [
    ("MappingProxyType", types.MappingProxyType),
    ("ChainMap", lambda data: ChainMap({}, data)),
    ("UserDict", UserDict),
    ("Lazy", lambda data: Lazy(data.__getitem__, data)),
]


@pytest.mark.parametrize("make", [make for _, make in MAPPINGS], ids=[name for name, _ in MAPPINGS])
def test_mappings_go_in_like_dicts(engine: LuaEngine, make: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """As a context, as a part of one, inside each other and in lists."""
    plain = {"a": 1, "b": [True, "x"]}
    assert engine.execute_script("return context", make(plain)).output == plain
    script = engine.precompile_script("return context.request")
    for nested in ({"request": make(plain)}, make({"a": 0, "b": 0, "request": make(plain)})):
        assert engine.execute_script(script, nested).output == plain
    assert engine.execute_script(script, ScriptContext(request=make(plain))).output == plain
    deep = make({"a": [make(plain), {"k": make({"a": make(plain), "b": 2})}], "b": b"\xff"})
    assert engine.execute_script("return context", deep).output == {
        "a": [plain, {"k": {"a": plain, "b": 2}}],
        "b": b"\xff",
    }


def test_mappings_are_what_functions_return(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A host function may return what a context may hold."""
    engine = make_engine(lua, functions={"settings": lambda: types.MappingProxyType({"a": ChainMap({"b": 1})})})
    assert engine.execute_script("return settings().a.b").output == 1


def test_mapping_in_many_places_is_read_once(engine: LuaEngine) -> None:
    """It goes in everywhere, and everywhere the same."""
    reads: list[str] = []

    def make(key: str) -> int:
        reads.append(key)
        return len(reads)

    shared = Lazy(make)
    output = engine.execute_script("return context.v", {"v": [shared] * 100}).output
    assert output == [{"a": 1, "b": 2}] * 100
    assert reads == ["a", "b"]


def test_mapping_in_itself_is_refused(make_engine: Callable[..., LuaEngine]) -> None:
    """Like a dict that contains itself."""
    inside: dict[str, Any] = {}
    inside["again"] = types.MappingProxyType(inside)
    with pytest.raises(ScriptSerializationError, match=r"contains itself|nested deeper"):
        make_engine().execute_script("return 1", {"v": inside})


def test_mapping_without_end_is_refused(make_engine: Callable[..., LuaEngine]) -> None:
    """One whose values are mappings that it makes anew: it is nested too deeply, like any data."""

    class Endless(Lazy):
        def __init__(self) -> None:
            super().__init__(lambda _: Endless() if _ == "a" else 1)

    with pytest.raises(ScriptSerializationError, match="nested deeper than 200 levels"):
        make_engine().execute_script("return 1", {"v": Endless()})


def test_mapping_that_puts_others_in_its_place_is_refused(make_engine: Callable[..., LuaEngine]) -> None:
    """Reading it changes the data around it, each time: that ends."""
    data: dict[str, Any] = {}

    def replace(_key: str) -> int:
        data["v"] = Lazy(replace)
        return 1

    replace("")
    with pytest.raises(ScriptSerializationError, match="something else with every look"):
        make_engine().execute_script("return 1", data)


def test_what_a_mapping_raises_comes_through(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None]
) -> None:
    """From a context to the caller, from a host function's result to the script."""

    def fail(key: str) -> Any:
        raise LookupError(key)

    engine = make_engine(functions={"f": lambda: Lazy(fail)})
    with pytest.raises(LookupError, match="a"):
        engine.execute_script("return 1", {"v": [Lazy(fail)]})
    error = engine.execute_script("return f()").error
    assert isinstance(error, ScriptRuntimeError)
    assert isinstance(error.__cause__, LookupError)
    assert_usable(engine)


def test_values_inside_mappings_are_refused_with_their_path(make_engine: Callable[..., LuaEngine]) -> None:
    """The path is the one by which the value is reached, as in a dict."""
    context = types.MappingProxyType({"a": ChainMap({"b": [0, Opaque()]})})
    with pytest.raises(ScriptSerializationError) as caught:
        make_engine().execute_script("return 1", context)
    assert caught.value.path == "a.b[1]"


def test_mappings_of_bytes_and_text_are_told_apart(make_engine: Callable[..., LuaEngine]) -> None:
    """The rules for keys are those of dicts."""
    engine = make_engine()
    for keys, why in (({b"k": 1, "k": 2}, "as str and as bytes"), ({(1,): 1}, "a key of type tuple")):
        with pytest.raises(ScriptSerializationError, match=why):
            engine.execute_script("return 1", {"v": types.MappingProxyType(keys)})


@pytest.mark.parametrize(
    "value, name",
    [
        (decimal.Decimal(1), "decimal.Decimal"),
        (Opaque(), f"{__name__}.Opaque"),
        (Opaque.Inner(), f"{__name__}.Opaque.Inner"),
        (object(), "object"),
        (1j, "complex"),
        (os.stat_result, "type"),
        (frozenset(), "frozenset"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_types_are_named_with_their_module(
    make_engine: Callable[..., LuaEngine], value: Any, name: str
) -> None:
    """As values and as keys; what is Python's own stands without."""
    engine = make_engine()
    for context, kind in (({"v": value}, "value"), ({"v": {value: 1}}, "key")):
        with pytest.raises(
            ScriptSerializationError, match=f": a {kind} of type {name.replace('.', '[.]')} has no form"
        ):
            engine.execute_script("return 1", context)


def test_context_of_another_kind_is_refused(make_engine: Callable[..., LuaEngine]) -> None:
    """A sequence of pairs could be made a dict, and is none."""
    for context in ([("a", 1)], "text", 5, Opaque()):
        with pytest.raises(ConfigurationError, match="a dict or another mapping, or None"):
            make_engine().execute_script("return 1", context)  # type: ignore[arg-type]


# --- what is awaited --------------------------------------------------------------------------------------------------


async def fetch() -> int:
    """Give a number, later."""
    return 1


async def feed() -> AsyncIterator[int]:
    """Give a number, later."""
    yield 1


@pytest.mark.parametrize(
    "function, named",
    [
        (lambda: fetch(), "coroutine \\(fetch\\)"),  # noqa: PLW0108 - a plain function is the point
        (lambda: [0, {"a": fetch()}], "coroutine \\(fetch\\)"),
        (lambda: feed(), "async_generator \\(feed\\)"),  # noqa: PLW0108 - the same
    ],
    ids=["coroutine", "coroutine inside", "async generator"],
)
def test_function_that_returns_what_is_awaited_is_told(
    make_engine: Callable[..., LuaEngine], function: Callable[[], Any], named: str
) -> None:
    """The error names it and the way out; Python's own warning of a coroutine nobody awaited does not come."""
    error = make_engine(functions={"f": function}).execute_script("return f()").error
    assert isinstance(error, ScriptRuntimeError)
    assert isinstance(error.__cause__, ScriptSerializationError)
    with pytest.raises(ScriptSerializationError, match=f"{named} is not awaited here.*run_coroutine_threadsafe"):
        raise error.__cause__


def test_awaitables_that_are_somebody_elses_are_left_alone(make_engine: Callable[..., LuaEngine]) -> None:
    """A coroutine in a context is the caller's, and can be awaited after all; so can a future that a function returns."""

    async def main() -> None:
        coroutine = fetch()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        engine = make_engine(functions={"f": lambda: future})
        with pytest.raises(ScriptSerializationError, match="not awaited"):
            engine.execute_script("return 1", {"v": coroutine})
        error = engine.execute_script("return f()").error
        assert error is not None
        assert "Future is not awaited" in str(error.__cause__)
        assert await coroutine == 1
        future.set_result(2)
        assert await future == 2

    asyncio.run(main())


def test_remedy_for_what_is_awaited_works(make_engine: Callable[..., LuaEngine]) -> None:
    """A plain function waits for the loop on which its run is awaited."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        engine = make_engine(functions={"f": lambda: asyncio.run_coroutine_threadsafe(fetch(), loop).result()})
        return (await engine.execute_script_async("return f() + f()")).output

    assert asyncio.run(main()) == 2
