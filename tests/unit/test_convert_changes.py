"""Data that changes while it is encoded: the run sees it as it was at one moment, whatever finalizers do.

Before CPython 3.12 making a container can start the collector, and with it any finalizer, in the middle of a C function.
"""

from __future__ import annotations

import gc
from collections import UserDict
from typing import TYPE_CHECKING, Any

import pytest

from luagauge import LuaEngine, ScriptRuntimeError, ScriptSerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 60


@pytest.fixture
def finalizer() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Return a function that lets the collector call something again and again, from as many places as it can."""
    threshold = gc.get_threshold()
    armed: list[Callable[[], None]] = []

    class Garbage:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            for call in armed:
                Garbage()
                call()

    def arm(call: Callable[[], None]) -> None:
        armed.append(call)
        Garbage()
        gc.set_threshold(1)

    yield arm
    gc.set_threshold(*threshold)
    armed.clear()
    gc.collect()


def grow(data: dict[Any, Any]) -> None:
    """Add a good many entries, so that the dict moves."""
    if len(data) < 2000:
        data.update({f"n{len(data) + i}": 1 for i in range(40)})


def shrink(data: dict[Any, Any]) -> None:
    """Take one entry out."""
    if len(data) > 5:
        data.pop(next(iter(data)))


def empty(data: dict[Any, Any]) -> None:
    """Take them all out."""
    data.clear()


@pytest.mark.parametrize("change", [grow, shrink, empty], ids=lambda change: change.__name__)
@pytest.mark.parametrize("where", ["inner", "outer"])
def test_dict_that_changes_is_seen_whole(
    make_engine: Callable[..., LuaEngine],
    finalizer: Callable[[Callable[[], None]], None],
    change: Callable[[dict[Any, Any]], None],
    where: str,
) -> None:
    """Keys of bytes are what used to make an object in between; the dict that changes holds them, or holds their dict."""
    engine = make_engine(timeout_ms=None)
    script = engine.precompile_script("local n = 0 for _ in pairs(context.v) do n = n + 1 end return n")
    data: dict[Any, Any] = {}
    finalizer(lambda: change(data))
    for _ in range(ROUNDS):
        gc.set_threshold(700)
        data.clear()
        data[b"first"] = 1
        data["nested"] = {b"x": 1, "y": [{b"z": 2}]}
        data.update({f"a{i}": {b"k": i} if where == "outer" else i for i in range(50)})
        gc.set_threshold(1)
        result = engine.execute_script(script, {"v": data})
        assert result.error is None


def test_list_that_changes_is_seen_whole(
    make_engine: Callable[..., LuaEngine], finalizer: Callable[[Callable[[], None]], None]
) -> None:
    """A list that gets shorter while its items are encoded ends where it ended at one moment."""
    engine = make_engine(timeout_ms=None)
    script = engine.precompile_script("return #context.v")
    data: list[Any] = []
    finalizer(lambda: data.__delitem__(slice(len(data) // 2, None)))
    for _ in range(ROUNDS):
        gc.set_threshold(700)
        data[:] = [{b"k": i, "m": i} for i in range(50)]
        gc.set_threshold(1)
        assert engine.execute_script(script, {"v": data}).error is None


def test_return_value_that_changes_is_seen_whole(
    make_engine: Callable[..., LuaEngine], finalizer: Callable[[Callable[[], None]], None]
) -> None:
    """What a host function returns is encoded by the same rules."""
    data: dict[Any, Any] = {}
    engine = make_engine(timeout_ms=None, functions={"f": lambda: data})
    finalizer(lambda: shrink(data))
    for _ in range(ROUNDS):
        gc.set_threshold(700)
        data.update({(b"b%d" % i if i % 2 else f"a{i}"): [i] for i in range(50)})
        gc.set_threshold(1)
        assert engine.execute_script("local n = 0 for _ in pairs(f()) do n = n + 1 end return n").error is None


def test_refused_data_that_changes_is_refused(
    make_engine: Callable[..., LuaEngine], finalizer: Callable[[Callable[[], None]], None]
) -> None:
    """The error is made of new objects: what it shows of the data may be gone by then, and stays valid."""
    engine = make_engine(timeout_ms=None)
    data: dict[Any, Any] = {}
    finalizer(lambda: empty(data))
    refused: list[Any] = [
        object(),
        "\ud800",
        1 << 70,
        {"\ud800x": 1, b"k": 2},
        {b"k": 2, "\ud800y": 1},
        {(1,): 2},
        {1j: 3},
    ]
    for bad in refused:
        for _ in range(10):
            gc.set_threshold(700)
            data.update({f"a{i}": [{b"k": i}] for i in range(20)})
            data.update({b"first": 1, "bad": [bad]})
            gc.set_threshold(1)
            try:
                engine.execute_script("return 1", data)  # before or after: it is good data when it is empty
            except ScriptSerializationError as error:
                assert error.path.startswith("bad[0]")  # noqa: PT017 - it may be raised, or not


def test_mapping_that_changes_the_data_around_it_is_seen_whole(make_engine: Callable[..., LuaEngine]) -> None:
    """Reading a mapping runs its own code, in the middle of everything."""
    engine = make_engine()
    data: dict[Any, Any] = {}

    def meddle(change: Callable[[], None]) -> Any:
        class Meddler(UserDict[str, int]):
            def __getitem__(self, key: str) -> int:
                change()
                return 1

        return Meddler(a=1)

    rows: list[Any] = []
    for change in (data.clear, lambda: grow(data), rows.clear, lambda: rows.extend([0] * 50)):
        data.clear()
        rows[:] = [0] * 20 + [meddle(change)] + [0] * 20
        data.update({f"a{i}": i for i in range(20)}, rows=rows, m=meddle(change), z=1)
        assert engine.execute_script("return 1", data).output == 1


class Emptying(int):
    """A number that no Lua holds, and that empties the list it lies in when it is shown."""

    home: list[Any]

    def __repr__(self) -> str:
        """Leave nothing that keeps this object alive."""
        self.home.clear()
        gc.collect()
        return "shown " * 3


class EmptyingKey(str):
    """The same as a key that UTF-8 cannot hold."""

    __slots__ = ("home",)
    home: dict[Any, Any]

    def __repr__(self) -> str:
        """Leave nothing that keeps this object alive."""
        self.home.clear()
        gc.collect()
        return "shown"


def test_conversion_keeps_values_whose_repr_empties_their_container(
    make_engine: Callable[..., LuaEngine], lua: str
) -> None:
    """What is shown in the error, and the keys on its path, stay alive until the error is made."""
    items: list[Any] = []
    pairs: dict[Any, Any] = {}

    def from_list() -> list[Any]:
        items.append(Emptying(2**70))
        items[0].home = items
        return items

    def from_dict() -> dict[Any, Any]:
        key = EmptyingKey("\ud800")
        key.home = pairs
        pairs[key] = 1
        return pairs

    engine = make_engine(lua, functions={"from_list": from_list, "from_dict": from_dict})
    for source, shown in (("from_list()", "shown shown shown"), ("from_dict()", "the text shown has a lone surrogate")):
        error = engine.execute_script(source).error
        assert isinstance(error, ScriptRuntimeError)
        assert shown in str(error)
