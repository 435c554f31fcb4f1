"""Scripts that keep Lua busy in single steps of its own: no hook gets a word in, only the hard stop ends them.

The C tests read this file too, where no luagauge is installed.

`pure_step` is certain to spend nearly all of its time in one such step. Of `LONG_STEPS` each is a long step, a row of
them, or a graceful end that takes long; which it is depends on the Lua and on the machine.
"""

from __future__ import annotations

import struct
from typing import Any

# Keys whose places in a table differ while it is small, and are one place once it has 2^K: the rehash that makes it so
# large moves 2^(K-1) keys, each past all others. Each needs an arithmetic of its own, as Luas hash numbers differently.
_INTEGERS = "local M, t = (2^K // 1 | 0) - 1, {} for i = 1, 2^(K-1) + 1 do t[i * M] = true end"
_FLOATS = """
local M, t, n = 2^K - 1, {}, 0
for e = 1, 1000 do for j = math.ceil((2^30 + e) / M), (2^31 - 1) // M do
  local key = (j * M - e) / 2^31 * 2^e
  if key % 1 ~= 0 then n = n + 1 t[key] = true if n > 2^(K-1) then return end end
end end
"""
_DOUBLES = """
local M, t, n = 2^K - 1, {}, 0
for mh = 0, 1e5 do for j = math.ceil((0x43300000 + mh) / M), 2^31 / M do
  n = n + 1
  t[2^52 + mh * 2^32 + j * M - 0x43300000 - mh + ADD] = true
  if n > 2^(K-1) then return end
end end
"""
# The free places are looked for from the top, past all that are taken.
_MIXED = """
local N, t, n = 2^(K+1) // 1 | 0, {}, 0
local S = N // 2
local h = S // 2
for i = 0, h - 1 do t[i * (N - 1)] = true n = n + 1 end
for r = N + 1 - h, N - 3 do t[r] = true n = n + 1 end
while n <= S do t['x' .. n] = true n = n + 1 end
"""
# LuaJIT hashes both words of a double. What shares 16 bits of a hash shares fewer, so every insertion takes long, too; but
# not that of other keys, and when there is no room for one of these, all are moved.
_WORDS = """
local t, keys = {}, context.keys
for i = 1, #keys do t[keys[i]] = true end
for round = 1, 1000 do
  for i = 1, #keys do t[i .. "x" .. round] = true end
  for i = 1, #keys do t[i .. "x" .. round] = nil end
end
"""
_COLLIDING = {
    "5.1": _DOUBLES.replace("ADD", "0"),
    "5.2": _DOUBLES.replace("ADD", "-1"),
    "5.3": _FLOATS,
    "5.4": _INTEGERS,
}
_WORD = 0xFFFFFFFF


def _rotated(word: int, count: int) -> int:
    return (word << count | word >> (32 - count)) & _WORD


def luajit_keys(count: int) -> list[float]:
    """Return doubles that LuaJIT hashes to one value: its hash (lj_tab.c, hashrot) computed backwards."""
    keys: list[float] = []
    low2 = 1
    while len(keys) < count:
        low2 = (low2 * 2654435761 + 12345) & _WORD
        high2 = _rotated(low2, 13) ^ low2
        high1 = _rotated(high2, 27)
        high = _rotated(high1, 18)
        exponent = high >> 21
        if high & 1 or exponent in {0, 0x7FF}:
            continue
        low = (low2 + high1 & _WORD) ^ high
        keys.append(struct.unpack("<d", struct.pack("<II", low, high >> 1))[0])
    return keys


def pure_step(lua: str, k: int = 16) -> tuple[str, dict[str, Any]]:
    """Return a script and its context that keep a Lua busy in one step: four times as long for each `k` more.

    With 16 a step takes about half a second, and some milliseconds go by before it begins. On LuaJIT there are many,
    each a tenth as long, and they begin after a tenth of a second.
    """
    if lua.startswith("luajit"):
        return _WORDS, {"keys": luajit_keys(2 ** (k - 2))}
    return _COLLIDING.get(lua, _MIXED).replace("K", str(k)), {}


# A chain of `length` ephemerons, held by `first`: each value is a key of the same table. A pass of the collector marks what
# follows in the order of the table's places, which is that of addresses. So the chain is in another order, in which a pass
# marks little: a collection of 20,000 takes more than half a second, and the time grows with the square of the length.
CHAIN_OF_WEAK_KEYS = """
local t, first, objects, random = setmetatable({}, {__mode = 'k'}), nil, {}, 1
for i = 1, length do objects[i] = {} end
for i = length, 1, -1 do
  random = random * 16807 % 2147483647
  local j = random % i + 1
  objects[i], objects[j] = objects[j], objects[i]
  t[objects[i]] = first
  first = objects[i]
end
objects = nil
"""
_SHARED_HASH = """
local head, tail, n = ('h'):rep(40), ('t'):rep(40), 0
local t = {}
while true do
  n = n + 1
  local s = ('%06d'):format(n):gsub('.', '%0xx')
  t[n] = head .. s .. tail
end
"""

LONG_STEPS = {
    "float keys": """
        local t, n = {}, 0
        while true do n = n + 1 t[n * 2^40 + 0.5] = n end
    """,
    "strings sharing a hash": _SHARED_HASH,
    "ephemerons": f"local length = 20000 {CHAIN_OF_WEAK_KEYS} while true do collectgarbage() end",
    "chain of __call": """
        local t = {} t.__call = t setmetatable(t, t)
        while true do pcall(t) end
    """,
    "next on an emptied table": """
        local t = {}
        for i = 1, 2^17 do t['k' .. i] = true end
        for k in pairs(t) do t[k] = nil end
        while true do next(t) end
    """,
    "rehash after rehash": """
        while true do local t = {} for i = 1, 2^18 do t[-i] = i end end
    """,
    "borders": """
        local t = {}
        for i = 1, 2^17 do t[i] = i end
        while true do for i = 2^17, 1, -1 do t[i] = nil local n = #t end for i = 1, 2^17 do t[i] = i end end
    """,
    "table.concat": """
        local t = {} for i = 1, 2^16 do t[i] = 'some text ' .. i end
        while true do local s = table.concat(t, ', ') end
    """,
    "table.unpack": """
        local unpack, t = unpack or table.unpack, {} for i = 1, 5000 do t[i] = i end
        while true do local n = select('#', unpack(t)) end
    """,
    "table.insert in front": """
        local t = {} while true do table.insert(t, 1, true) end
    """,
    "table.sort": """
        local t = {}
        while true do for i = 1, 1e5 do t[i] = (i * 7919) % 100003 end table.sort(t) end
    """,
    "comparison of strings": """
        local a = ('a'):rep(4e6) local b, c = a .. 'b', a .. 'c'
        local d = {} d[1], d[2] = b, c
        while true do local x = d[1] < d[2] local y = d[1] <= d[2] end
    """,
    "equal strings with zeros": """
        local a = ('a\\0'):rep(1e6) local b, c = a .. 'b', a .. 'c'
        while true do local x = b < c end
    """,
    "tonumber with a base": """
        local s = ('z'):rep(4e6) while true do local n = tonumber(s, 36) end
    """,
    "tonumber of blanks": """
        local s = (' '):rep(4e6) while true do local n = tonumber(s .. 'x') local m = tonumber(s .. '1') end
    """,
    "nested pcall": """
        local function f(n) if n == 0 then while true do end end return pcall(f, n - 1) end
        while true do pcall(f, 150) end
    """,
    "deep recursion": """
        local function f(n) return 1 + f(n + 1) end
        while true do pcall(f, 1) end
    """,
    "nested coroutines": """
        local function f(n) if n > 0 then return coroutine.wrap(f)(n - 1) end while true do end end
        while true do pcall(f, 100) end
    """,
    "coroutines made": """
        local t = {} while true do t[#t % 5000 + 1] = coroutine.create(function() end) end
    """,
    "a long expression": """
        local s = 'local x = 1 return x' .. (' + x'):rep(2e6)
        while true do local f = (loadstring or load)(s) end
    """,
    "a long constant expression": """
        local s = 'return 1' .. (' + 1'):rep(2e6)
        while true do local f = (loadstring or load)(s) end
    """,
    "a long string literal": """
        local s = 'return "' .. ('x'):rep(8e6) .. '"'
        while true do local f = (loadstring or load)(s) end
    """,
    "a long comment": """
        local s = '--[[' .. ('x'):rep(8e6) .. ']] return 1'
        while true do local f = (loadstring or load)(s) end
    """,
    "many constants": """
        local t = {} for i = 1, 60000 do t[i] = i * 65535 end
        local s = 'local x for i = 1, 2 do x = {' .. table.concat(t, ',') .. '} end return x'
        while true do local f = (loadstring or load)(s) end
    """,
    "many functions": """
        local s = ('local function f(a, b) return function() return a + b end end '):rep(150)
        s = ('do ' .. s .. ' end '):rep(50)
        while true do local f = (loadstring or load)(s) end
    """,
    "many labels": """
        local t = {} for i = 1, 20000 do t[i] = 'goto l' .. i .. ' ::l' .. i .. '::' end
        local s = table.concat(t, ' ')
        while true do local f = (loadstring or load)(s) if not f then s = 'local a = 1 ' .. s end end
    """,
    "nested tables in source": """
        local s = 'return ' .. ('{'):rep(150) .. ('}'):rep(150)
        while true do local f = (loadstring or load)(s) end
    """,
    "repeat and append": """
        local s = '' while true do s = s .. ('x'):rep(1e5) if #s > 8e6 then s = '' end end
    """,
    "pattern": "while true do local n = (('a'):rep(40)):find(('a?'):rep(40) .. ('a'):rep(40)) end",
    "gsub": "local s = ('a'):rep(1e6) while true do s:gsub('a', 'b') end",
    "format": """
        local t = {} for i = 1, 50 do t[i] = i end
        local unpack = unpack or table.unpack
        while true do local s = ('%099d'):rep(50):format(unpack(t)) end
    """,
    "strings as keys": """
        local t, n = {}, 0 while true do n = n + 1 t['key ' .. n] = n if n % 2^18 == 0 then t = {} end end
    """,
    "weak values": """
        local t = setmetatable({}, {__mode = 'v'})
        while true do for i = 1, 2^16 do t[i] = {} end collectgarbage() end
    """,
    "garbage of every size": """
        local t = {} local n = 0
        while true do n = n + 1 t[n % 1000] = ('x'):rep(n % 3000) .. n end
    """,
    "an array that grows": "while true do local t = {} for i = 1, 2^20 do t[i] = i end end",
    "one block": "local t = {} while true do for i = 1, 2^18 do t[i] = {} end collectgarbage() end",
}
