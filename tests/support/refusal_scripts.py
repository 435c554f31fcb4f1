"""Scripts that ask for memory in every way there is, each small enough to be run at many limits."""

from __future__ import annotations

COMPLAINTS = {
    "an option": "collectgarbage(('x'):rep(1500))",
    "a module": "require(('x'):rep(1500))",
    "a type": "math.floor(setmetatable({}, {__name = ('x'):rep(1500)}))",
    "a type of a stream": "io.input(setmetatable({}, {__name = ('x'):rep(1500)}))",
    "a name": "local t = {[('x'):rep(150)] = ('').rep} A(C('local t = ... t.' .. ('x'):rep(150) .. '()'))(t)",
}
"""Each ends with a message about what is long."""

REFUSAL_SCRIPTS = {
    "tables": "local t = {} for i = 1, 200 do t[i] = {i} end return #t",
    "array": "local t = {} for i = 1, 1000 do t[i] = i end return #t",
    "hash": "local t = {} for i = 1, 300 do t['k' .. i] = i end return t.k300",
    "constructor": "return #{" + "1, " * 400 + "1}",
    "text by pieces": "local s = '' for i = 1, 300 do s = s .. 'piece' end return #s",
    "text of many pieces": "local s = ('x'):rep(300) return #(s .. s .. s .. s .. s .. s .. s .. s .. s)",
    "doubling text": "local s = 'x' for i = 1, 13 do s = s .. s end return #s",
    "closures": "local t = {} for i = 1, 200 do t[i] = function() return t, i end end return #t",
    "recursion": "local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end return f(1500)",
    "recursion that is caught": (
        "local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end"
        " local ok, e = pcall(f, 1500) if not ok then error(e, 0) end return e"
    ),
    "arguments": "local function f(...) return select('#', ...) end return f(U(L(1500)))",
    "arguments that are passed on": (
        "local function f(n, ...) if n == 0 then return select('#', ...) end return f(n - 1, ...) end"
        " return f(20, U(L(500)))"
    ),
    "arguments that are kept": "local function f(...) return {...} end return #f(U(L(1500)))",
    "results": "local function f() return U(L(1500)) end return select('#', f())",
    "select": "return select(-1, U(L(2000)))",
    "unpack": "return select('#', U(L(3000)))",
    "unpack into char": "local n = 0 for i = 1, 20 do n = n + #string.char(U(L(1000))) end return n",
    "unpack into a function that calls": (
        "local ok, n = pcall(function(...) return select('#', ...) end, U(L(1500)))"
        " if not ok then error(n, 0) end return n"
    ),
    "pack": "return #(table.pack or function(...) return {...} end)(U(L(1500)))",
    "byte": "return select('#', ('x'):rep(2000):byte(1, -1))",
    "captures": "return select('#', ('x'):rep(40):match(('(x)'):rep(30)))",
    "wrap": "local n = 0 for i = 1, 20 do n = n + coroutine.wrap(function() return i end)() end return n",
    "wrap with many arguments": "return coroutine.wrap(function(...) return select('#', ...) end)(U(L(1500)))",
    "wrap with many results": "return select('#', coroutine.wrap(function() return U(L(1500)) end)())",
    "yield of much": (
        "local f = coroutine.wrap(function() for i = 1, 5 do coroutine.yield(U(L(300 * i))) end return 1 end)"
        " local n = 0 for i = 1, 6 do n = n + select('#', f()) end return n"
    ),
    "resume": (
        "local co = coroutine.create(function(...) local n = select('#', ...) n = n + select('#', coroutine.yield(n))"
        " return n end) local function go(...) local ok, n = coroutine.resume(co, ...) if not ok then error(n, 0) end"
        " return n end go(1, 2) return go(U(L(1500)))"
    ),
    "recursion in a coroutine": (
        "local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end"
        " return coroutine.wrap(function() return f(1500) end)()"
    ),
    "coroutines in coroutines": (
        "local function f(n) if n == 0 then return 0 end return 1 + coroutine.wrap(f)(n - 1) end return f(25)"
    ),
    "many coroutines": (
        "local t = {} for i = 1, 30 do t[i] = coroutine.wrap(function() coroutine.yield(i) end) t[i]() end return #t"
    ),
    "errors": "local n = 0 for i = 1, 50 do local ok, e = pcall(error, 'x' .. i) n = n + #A(e) end return n",
    "errors in a handler": (
        "local n = 0 for i = 1, 20 do local ok, e = xpcall(function() error('x' .. i) end, function(m) return m .. '!' end)"
        " n = n + #A(e) end return n"
    ),
    "error values": "local n = 0 for i = 1, 50 do local ok, e = pcall(error, {i, i, i}) n = n + #A(e) end return n",
    "sort": "local t = L(300) for i = 1, 300 do t[i] = (i * 7919) % 1000 end table.sort(t) return t[1]",
    "sort by a function": "local t = L(200) table.sort(t, function(a, b) return #(a .. 'x') < #(b .. 'y') end) return #t",
    "concat": "return #table.concat(L(1000), ', ')",
    "insert": "local t = {} for i = 1, 500 do table.insert(t, i) end return #t",
    "insert in front": "local t = {} for i = 1, 100 do table.insert(t, 1, {i}) end return #t",
    "rep": "return #('xyz'):rep(3000)",
    "gsub": "return #(('x'):rep(2000):gsub('x', 'yz'))",
    "gsub by a table": "return #(('xy'):rep(500):gsub('(%a)(%a)', {x = 'long text'}))",
    "gsub by a function": "return #(('xy'):rep(300):gsub('%a', function(c) return c .. c end))",
    "gmatch": "local n = 0 for w in ('word '):rep(300):gmatch('%a+') do n = n + #(w .. n) end return n",
    "find": "return (('x'):rep(3000):find('y', 1, true)) == nil",
    "format": "local n = 0 for i = 1, 100 do n = n + #string.format('%s %5d %q', ('x'):rep(i), i, 'y') end return n",
    "upper and reverse": "local n = 0 for i = 1, 100 do n = n + #('text' .. i):upper():reverse():sub(2) end return n",
    "tostring": "local n = 0 for i = 1, 200 do n = n + #tostring(i / 7) end return n",
    "tostring by a metamethod": (
        "local t = setmetatable({}, {__tostring = function() return ('x'):rep(500) end})"
        " local n = 0 for i = 1, 30 do n = n + #tostring(t) end return n"
    ),
    "metamethods": (
        "local m = {} m.__index = function(t, k) return {k} end m.__concat = function(a, b) return 'c' .. #b end"
        " local t, n = setmetatable({}, m), 0 for i = 1, 100 do n = n + #t[i] + #(t .. ('x'):rep(i)) end return n"
    ),
    "load": "local n = 0 for i = 1, 10 do n = n + A(C('local a = {' .. i .. '} return a[1]'))() end return n",
    "load of much": "return A(C('return #{' .. ('1, '):rep(300) .. '1}'))()",
    "load with a reader": (
        "local n = 0 return A(load(function() n = n + 1 if n < 30 then return 'local a = ' .. n .. ' ' end end)) ~= nil"
    ),
    "weak tables": "local t = setmetatable({}, {__mode = 'k'}) for i = 1, 200 do t[{}] = i end return 1",
    "next and pairs": "local t, n = {}, 0 for i = 1, 200 do t[i .. ''] = i end for k in pairs(t) do n = n + #(k .. n) end return 1",
    "date": "local n = 0 for i = 1, 50 do n = n + #os.date('!%Y-%m-%d', i) + #os.date('!*t', i) end return n",
    "print": "for i = 1, 50 do print('line', i, {} == nil) end return 1",
    "io.write": "for i = 1, 50 do io.write('line ', i, ' of ', 50, '\\n') end io.write('x') return 1",
    "warn": "if warn then warn('@on') for i = 1, 50 do warn('line ', i, ' of ', 50) end end return ('x'):rep(100)",
    "require": (
        "local n = 0 for i = 1, 20 do package.preload['m' .. i] = function(name) return {name} end"
        " n = n + #require('m' .. i) end return n"
    ),
    "a module that is not there": "local ok, e = pcall(require, ('m'):rep(300)) return #A(e)",
    "traceback": (
        "local function f(n) if n == 0 then return #debug.traceback('x') end return (f(n - 1)) end return f(30)"
    ),
    "traceback of an error": (
        "local n = 0 for i = 1, 10 do local ok, e = xpcall(function() error('x') end, debug.traceback)"
        " n = n + #A(e) end return n"
    ),
    "getinfo": "local n = 0 for i = 1, 50 do n = n + #debug.getinfo(1, 'Sl').short_src end return n",
    "finalizers that never run": (
        "local t = {} for i = 1, 100 do t[i] = setmetatable({}, {__gc = function() end}) end return #t"
    ),
    "texts of objects": "local n = 0 for i = 1, 100 do n = n + #tostring({}) end return n",
    "a host function": "local n = 0 for i = 1, 10 do n = n + #echo({i, {i, 'text'}}) end return n",
    "a host function of much": "return #echo(L(500))",
    "a host function of nesting": "local t = {} for i = 1, 60 do t = {t} end return #echo(t)",
    "a result that is a table": "return L(300)",
}
"""Each is run after `PRELUDE`, which names what differs between Luas."""

PRELUDE = (
    "local U, C = unpack or table.unpack, loadstring or load"
    " local function L(n) local t = {} for i = 1, n do t[i] = 65 end return t end"
    " local function A(v, e) if v == nil or e == 'not enough memory' or v == 'not enough memory' then error(e or v, 0) end"
    " return v end "
)
