-- Calls that would run for seconds or for ever, each told to stop after 20 ms: each must end as interrupted. A call
-- that never looks at the deadline shows as a test that hangs, or as one that ended by itself.
local unpack = unpack or table.unpack
local number = tonumber((version:gsub("luajit%d+", "51"):gsub("lua", "")))
local is_jit = version:sub(1, 6) == "luajit"
local s, t, m, o, u = ours.string, ours.table, ours.math, ours.os, ours.utf8

local worst, worst_name, count = 0, "", 0
local function stops(name, f, ...)
  collectgarbage()
  interrupt_in(0.02)
  local begin = clock()
  local outcome, value = attempt(nil, f, ...)
  local took = clock() - begin
  calm()
  if outcome ~= "interrupted" then
    error(string.format("%s ended as '%s' (%s) after %.3f s", name, outcome, tostring(value):sub(1, 100), took), 0)
  end
  count = count + 1
  if took > worst then worst, worst_name = took, name end
end

local function again(f, ...)
  while true do f(...) end
end

-- Lengths that are not true: 31 elements whose border is at 2^30, or a __len.
local function long()
  local list = {}
  for k = 0, 30 do list[2 ^ k] = true end
  if #list < 2 ^ 29 and number >= 52 then list = setmetatable({}, { __len = function() return 2 ^ 30 end }) end
  if number >= 53 then list = setmetatable({}, { __len = function() return math.tointeger(2 ^ 30) end }) end
  return list
end
local has_long = number >= 52 or #long() >= 2 ^ 29
local endless = setmetatable({}, { __len = function() return math.maxinteger and math.maxinteger - 1 or 2 ^ 31 - 2 end,
  __index = function() return "x" end, __newindex = function() end })

local big = string.rep("a", 2 ^ 27)
local mega = string.rep("a", 2 ^ 20)
stops("rep", again, s.rep, "x", 2 ^ 24)
stops("rep of a long unit", again, s.rep, mega, 2 ^ 6)
stops("rep, many times", again, s.rep, "ab", 1000)
stops("reverse", again, s.reverse, big)
stops("upper", again, s.upper, big)
stops("lower", again, s.lower, big)
stops("char", again, s.char, unpack({ 65, 66, 67 }))
stops("format of literals", again, s.format, string.rep("%%", 2 ^ 24))
stops("format of text", again, s.format, "%s%s", mega, mega)
stops("format of quotes", s.format, "%q", string.rep("\n", 2 ^ 26))
stops("format of numbers", again, s.format, string.rep("%99.99f", 200), unpack((function()
  local list = {}
  for i = 1, 200 do list[i] = 1e300 + i end
  return list
end)()))
stops("date", o.date, string.rep("%c", 2 ^ 22))
stops("date of literals", again, o.date, string.rep("%%", 2 ^ 20))

do
  local list = {}
  for i = 1, 200 do list[i] = number >= 53 and mega or "1" .. string.rep("0", 2 ^ 22) end
  stops("max", again, m.max, unpack(list))
  stops("min", again, m.min, unpack(list))
end

do
  local zeros, list = string.rep("0", 2 ^ 22), {}
  for i = 1, 200 do list[i] = zeros end
  if ours.bit then stops("bor", ours.bit.bor, unpack(list)) end
  local digits = zeros .. "1970" -- of a moment that every C library can express
  local fields = setmetatable({}, { __index = function() return digits end })
  stops("time", again, function() pcall(o.time, fields) o.time(fields) end)
end
if tonumber_ours then
  local n, ones = tonumber_ours, string.rep("1", 2 ^ 27)
  stops("tonumber", again, n, ones)
  stops("tonumber with a base", again, n, ones, 36)
  stops("tonumber with a long base", again, n, "1", ones)
  stops("tonumber of an exponent", again, n, "1e" .. ones)
  stops("tonumber of white space", again, n, string.rep(" ", 2 ^ 27))
  stops("tonumber of hexadecimals", again, n, "0x." .. ones)
end
if has_long then
  stops("sort with a C function", t.sort, long(), rawequal)
  stops("sort", t.sort, long(), function() return false end)
  stops("remove", t.remove, long(), 1)
  if number >= 52 then stops("insert", t.insert, long(), 1, 0) end
end
stops("sort against the order", again, t.sort, (function()
  local list = {}
  for i = 1, 3000 do list[i] = i % 2 * 3000 + i end
  return list
end)(), function(a, b) return a > b end)
if number == 51 then
  stops("insert far below", t.insert, {}, -2 ^ 31 + 1, 0)
  if has_long then stops("foreachi", t.foreachi, long(), function() end) end
  local list = {}
  for i = 1, 2 ^ 16 do list[i] = i end
  stops("foreach", again, t.foreach, list, function() end)
  stops("maxn", again, t.maxn, list)
end
if version == "luajit21" then
  stops("move", t.move, {}, 1, 2 ^ 60, 2)
  stops("move downwards", t.move, {}, 1, 2 ^ 52, 2 ^ 51)
end
if number >= 52 then
  stops("unpack", again, t.unpack, setmetatable({}, { __index = function(_, k) return k end }), 1, 900000)
end
if number >= 53 then
  stops("concat", t.concat, endless)
  stops("insert into a proxy", t.insert, setmetatable({}, { __len = function() return math.maxinteger - 1 end }), 1, 0)
  stops("remove from a proxy", t.remove, endless, 1)
  stops("move", t.move, {}, 1, math.tointeger(2 ^ 62), 1)
  stops("move elsewhere", t.move, endless, 1, math.tointeger(2 ^ 62), 1, {})
  stops("move downwards", t.move, {}, 1, math.tointeger(2 ^ 62), 2)
  stops("pack", s.pack, "c2147483639", "")
  stops("packsize", s.packsize, string.rep("b", 2 ^ 26):rep(1) .. string.rep(" ", 2 ^ 26))
  stops("unpack of nothing", s.unpack, string.rep(" ", 2 ^ 26), "")
  stops("utf8.len", again, u.len, big)
  stops("utf8.offset", again, u.offset, big, math.maxinteger)
  stops("utf8.offset backwards", again, u.offset, big, math.mininteger)
  local rest = "a" .. string.rep("\128", 2 ^ 27)
  stops("utf8.offset of a tail", again, u.offset, rest, 0, -1)
  stops("utf8.codes", again, function() u.codes(rest)(rest, 1) end)
  stops("utf8.codepoint", again, u.codepoint, big, 1, 200000)
  stops("utf8.char", again, u.char, 1, 2000, 70000)
end

-- Nothing ends a loop of the script's own here. So each of these looks at the flag itself, or calls what does.
local io, debug, package, require, collect = own.io, own.debug, own.package, own.require, collect_ours
local find = package.searchers or package.loaders
local function failing(f, ...) -- what pcall catches here, the next call raises again
  while true do
    pcall(f, ...)
    find[1]("m")
  end
end
do
  local many = {}
  for i = 1, number == 51 and 3000 or 200000 do many[i] = "*a" end
  local stdin, stdout = io.stdin, io.stdout
  stops("io.write", again, io.write, mega)
  stops("io.write of lines", again, io.write, string.rep("\n", 2 ^ 20))
  stops("io.write of many", again, function() io.write(unpack(many)) end)
  stops("write", again, stdout.write, stdout, big)
  stops("io.read of many", again, function() io.read(unpack(many)) end)
  stops("read", again, function() stdin:read(unpack(many)) end)
end
do
  local empty, dots = string.rep(";", 2 ^ 26), string.rep("a.", 2 ^ 19)
  local path = package.path
  package.path = empty
  stops("require by an empty path", failing, require, "m")
  stops("a searcher by an empty path", failing, find[2], "m")
  package.path = string.rep("?;", 2 ^ 16)
  stops("require by many templates", failing, require, "m")
  package.path = path
  stops("require of a long name", failing, require, dots)
  stops("preloaded modules", again, find[1], "m")
  if package.searchpath then
    stops("searchpath", again, package.searchpath, "m", string.rep("?;", 2 ^ 16))
    stops("searchpath of a long name", again, package.searchpath, dots, "?;?")
    stops("searchpath by an empty path", again, package.searchpath, "m", empty)
  end
  for i = 1, 2 ^ 16 do find[i + 2] = tostring end
  stops("require by many searchers", failing, require, "m")
  for i = 1, 2 ^ 16 do find[i + 2] = nil end
  if own.module then
    stops("module", failing, own.module, dots)
    stops("seeall", again, package.seeall, {})
  end
end
do
  local function deep(n, f, ...)
    if n == 0 then return f(...) end
    local result = deep(n - 1, f, ...)
    return result
  end
  local levels = number == 51 and 2000 or 100000
  stops("getinfo of many options", failing, debug.getinfo, 1, string.rep("Sl", 2 ^ 26))
  stops("traceback", again, debug.traceback, mega)
  stops("traceback of many levels", deep, levels, again, debug.traceback)
  if number == 51 and not is_jit then stops("traceback of levels that are none", debug.traceback, "", -2 ^ 31 + 1) end
end
stops("xpcall with a traceback", failing, own.xpcall, error, debug.traceback)
do
  local list = {}
  for i = 1, 2 ^ 17 do list[i] = { i } end
  stops("collectgarbage", again, collect)
  stops("collectgarbage of a step", again, collect, "step")
  stops("collectgarbage of a large step", again, collect, "step", 2 ^ 30)
  collect("stop")
  stops("collectgarbage while stopped", again, collect)
  collect("restart")
  if pcall(collect, "generational") then
    stops("collectgarbage of generations", again, collect, "generational")
    stops("collectgarbage in generations", again, collect)
    collect("incremental")
  end
end
print(string.format("%s: %d hostile calls stopped, the latest %.1f ms late (%s)", version, count, worst * 1000 - 20, worst_name))
