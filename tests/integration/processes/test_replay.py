"""Runs from a seed, in one process after the other: what chance a process brings along does not show."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from process_prelude import PRELUDE

from luagauge import LUA_VERSIONS, _finder

if TYPE_CHECKING:
    from collections.abc import Callable

ORDER = """
e = engine(random_seed=1)
print(e.execute_script('''
    local t, order = {}, {}
    for i = 1, 500 do t['key' .. i] = i end
    for k in pairs(t) do order[#order + 1] = k end
    return table.concat(order, ' ')
''').output)
"""
NUMBERS = """
e = engine(random_seed=-3, clock=86400)
print(e.execute_script("return math.random(1000000), math.random(), os.time(), os.clock()").output)
"""


def shown(program: str, lua: str) -> set[str]:
    """Return what a program prints in three processes, each of which lies at other addresses."""
    command = [sys.executable, "-c", PRELUDE + program, lua]
    return {subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout for _ in range(3)}


@pytest.mark.parametrize("version", LUA_VERSIONS)
def test_seed_gives_every_process_the_same_numbers(version: str) -> None:
    """The numbers hang on nothing but the seed."""
    if _finder.available()[version] is not None:
        pytest.skip(f"there is no Lua {version} here")
    assert len(shown(NUMBERS, version)) == 1


@pytest.mark.parametrize("version", ["5.1", "5.5"])
def test_seed_orders_text_keys_where_the_lua_lets_it(version: str) -> None:
    """5.5 takes a seed for its hashes, and 5.1 has none: pairs() shows the same everywhere."""
    if _finder.available()[version] is not None:
        pytest.skip(f"there is no Lua {version} here")
    assert len(shown(ORDER, version)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_forked_child_has_seed_clock_and_taker(run: Callable[[str], str]) -> None:
    """It begins with the same numbers at the same time, and its entries come to its own copy of the taker."""
    out = run("""
        seen = []
        e = engine(random_seed=5, clock=lambda: 1000, on_log=seen.append)
        source = "print('x') return math.random(1000000), os.time()"
        before = e.execute_script(source).output
        def work():
            assert e.execute_script(source).output == before
            assert len(seen) == 2
        assert in_child(work) == 0
        assert e.execute_script(source).output == before
        print(len(seen))
    """)
    assert out == "2\n"
