"""What the Luas differ in, as far as tests and benchmarks ask: a property is the Luas that have it.

A Lua that is new has what the last one has. What the C core asks is in csrc/lua/traits.h.
"""

from __future__ import annotations

from luagauge import LUA_VERSIONS

LUAJIT = tuple(lua for lua in LUA_VERSIONS if lua.startswith("luajit"))
PUC = tuple(lua for lua in LUA_VERSIONS if lua not in LUAJIT)


def _since(first: str) -> tuple[str, ...]:
    """Return PUC-Rio's Luas from a version on."""
    return PUC[PUC.index(first) :]


HAVE_ENVIRONMENTS = ("5.1", *LUAJIT)
"""The globals are a function's environment, and the library is that of 5.1: unpack, loadstring, table.getn."""
HAVE_ENV = _since("5.2")
"""The globals are the variable _ENV."""
HAVE_LEN = _since("5.2")
"""A table's length is what __len says."""
HAVE_EPHEMERONS = _since("5.2")
"""A weak key keeps its value only as long as it lives."""
HAVE_GOTO = (*_since("5.2"), *LUAJIT)
"""There are goto and labels, and load takes a text."""
HAVE_INTEGERS = _since("5.3")
"""Numbers are integers or floats. With them came //, utf8, string.pack, and metamethods in the table library."""
ONLY_FLOATS = tuple(lua for lua in LUA_VERSIONS if lua not in HAVE_INTEGERS)
CHECK_HANDLERS = (*_since("5.3"), *LUAJIT)
"""xpcall looks at its handler before there is an error."""
HAVE_MODES = ("5.2", *_since("5.4"))
"""The collector can work by generations."""
HAVE_TYPE_NAMES = _since("5.3")
"""A metatable's __name is its values' kind."""
HAVE_POINTERS = (*_since("5.4"), *LUAJIT)
"""string.format has %p."""
HAVE_CLOSE = _since("5.4")
"""There are variables that are closed when their scope ends, and coroutine.close."""
HAVE_FRESH_RANDOM = _since("5.4")
"""math.random() begins anew in every run."""
HAVE_ARENA = tuple(lua for lua in LUA_VERSIONS if lua != "luajit2.0")
"""The heap lies in the arena, so there is an image of it and the hard stop. LuaJIT 2.0 wants an allocator of its own."""
