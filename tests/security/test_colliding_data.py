"""Data whose keys or strings collide keeps a Lua busy on the way in; a run with such data ends by its limits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from long_steps import luajit_keys

from luagauge import LuaEngine, ScriptTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_MS = 50
LATE_CPU_MS = 1500


def shared_hash(count: int) -> list[str]:
    """Return strings that 5.1 and LuaJIT 2.0 hash to one value each: they differ where neither looks.

    5.1 reads every n-th byte from the end, n = length // 32 + 1; LuaJIT the first, the last and two in the middle.
    """
    length, step = 1024, 33
    read = set(range(length - 1, -1, -step))
    places = [i for i in range(40, 200) if i not in read][:32]
    strings = []
    for number in range(count):
        text = bytearray(b"x" * length)
        for bit, place in enumerate(places):
            text[place] = ord("a") + (number >> bit & 1)
        strings.append(text.decode())
    return strings


def colliding_keys(count: int) -> dict[Any, bool]:
    """Return a map whose keys a Lua table of its size puts in one place: 5.3 to 5.5 take integers modulo size - 1."""
    size = 1 << (count - 1).bit_length()
    return {i * (size - 1): True for i in range(count)}


DATA: dict[str, Callable[[], Any]] = {
    "strings": lambda: shared_hash(60_000),
    "integer keys": lambda: colliding_keys(100_000),
    "float keys": lambda: dict.fromkeys(luajit_keys(100_000), True),
}


@pytest.fixture(scope="module", params=DATA)
def data(request: pytest.FixtureRequest) -> Any:
    """Return each kind of data in turn."""
    return DATA[str(request.param)]()


def ends_in_time(engine: LuaEngine, source: str, context: dict[str, Any] | None) -> None:
    """Run a script that gets the data: it comes to its end, or is ended, within some CPU time of its limit.

    Encoding in Python comes before, and is part of no run: the time is taken of what the data costs Lua.
    """
    before = time.thread_time()
    result = engine.execute_script(source, context)
    assert (time.thread_time() - before) * 1000 < LIMIT_MS + LATE_CPU_MS
    if result.error is not None:
        assert isinstance(result.error, ScriptTimeoutError)
        assert result.stopped in ("error", "state")


def test_context_that_collides_does_not_outlive_a_deadline(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, data: Any
) -> None:
    """Data of the host's that somebody else chose costs no more than the limit."""
    engine = make_engine(lua, timeout_ms=None, cpu_time_ms=LIMIT_MS)
    for _ in range(2):
        ends_in_time(engine, "return type(context.data)", {"data": data})
    assert_usable(engine)


def test_result_that_collides_does_not_outlive_a_deadline(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, data: Any
) -> None:
    """The same for what a host function returns."""
    engine = make_engine(lua, timeout_ms=None, cpu_time_ms=LIMIT_MS, functions={"fetch": lambda: data})
    for _ in range(2):
        ends_in_time(engine, "local ok, value = pcall(fetch) return type(value)", None)
    assert_usable(engine)
