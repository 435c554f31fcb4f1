-- Calls that need more memory than is left: each must fail with Lua's own memory error (LUA_ERRMEM), never with a
-- message of another kind, and whatever little is left must end in that error or in the right result.
local unpack = unpack or table.unpack
local number = tonumber((version:gsub("luajit%d+", "51"):gsub("lua", "")))
local s, t, m, o, u = ours.string, ours.table, ours.math, ours.os, ours.utf8
local count = 0

local function refused(name, room, f, ...)
  collectgarbage()
  collectgarbage()
  local outcome, value = attempt(room, f, ...)
  if outcome ~= "memory" then error(string.format("%s ended as '%s' (%s)", name, outcome, tostring(value):sub(1, 100)), 0) end
  count = count + 1
end

local kilo, mega = 1024, 1024 * 1024
local text = string.rep("abcdefgh", 128 * kilo)
local list = {}
for i = 1, 7000 do list[i] = 65 + i % 26 end
refused("rep", mega, s.rep, "x", 1e8)
refused("rep of a gigabyte", mega, s.rep, "x", 2 ^ 30)
refused("reverse", mega, s.reverse, text)
refused("upper", mega, s.upper, text)
refused("lower", mega, s.lower, text)
refused("sub", kilo * 100, s.sub, text, 2)
refused("format", mega, s.format, "%s%s%s", text, text, text)
refused("format of quotes", mega, s.format, "%q", text)
refused("date", mega, o.date, text)
refused("char", kilo, s.char, unpack(list))
refused("byte", kilo * 10, s.byte, text, 1, 7000)
refused("concat", kilo * 10, t.concat, list, "many bytes between")
refused("insert", 100, function()
  local l = {}
  while true do t.insert(l, 1) end
end)
if number >= 52 then
  refused("byte of many", mega, s.byte, text, 1, 500000)
  refused("unpack", mega, t.unpack, {}, 1, 900000)
end
if number >= 53 then
  refused("pack", mega, s.pack, "c100000000", "")
  refused("unpack of many", mega, s.unpack, string.rep("b", 200000), text)
  refused("codepoint", mega, u.codepoint, text, 1, 500000)
  refused("utf8.char", kilo, u.char, unpack(list))
end
if number >= 55 then refused("create", mega, t.create, 10 ^ 7) end

local io, debug, package, require, collect = own.io, own.debug, own.package, own.require, collect_ours
local find = package.searchers or package.loaders
local name = string.rep("n", 2 ^ 19)
refused("require", mega, require, name)
refused("require by a path", mega, function()
  package.path = text
  return require("m")
end)
refused("a searcher by a path", mega, find[2], "m")
package.path = "?"
refused("preloaded modules", kilo, find[1], name)
if package.searchpath then
  refused("searchpath", mega, package.searchpath, "m", text)
  refused("searchpath of a name", mega, package.searchpath, name, "?;?;?")
end
if own.module then
  local function begins(name) own.module(name) end
  refused("module", 100, begins, name)
  refused("module of many parts", mega, begins, string.rep("a.", 2 ^ 16))
end
refused("traceback", mega, debug.traceback, text)
refused("open", kilo, io.open or io.lines, text)
refused("setvbuf", kilo, io.stdout.setvbuf, io.stdout, text)
refused("seek", kilo, io.stdout.seek, io.stdout, text)
refused("lines", 100, function()
  local kept = {}
  while true do kept[#kept + 1] = io.lines() end
end)
refused("collectgarbage", kilo, collect, text)
refused("collectgarbage while stopped", mega, function()
  collect("stop")
  return s.rep("x", 1e8)
end)
collect("restart")
refused("xpcall", kilo, function()
  local kept = {}
  own.xpcall(error, function() return s.rep("x", 1e8) end)
  own.xpcall(function() while true do kept[#kept + 1] = {} end end, function(e) return e end)
  while true do kept[#kept + 1] = {} end
end)

-- Every amount of memory, byte class by byte class: right result, or right error, or memory error.
local function sweep_to(wanted, expected, name, f, ...)
  local memory, fine = 0, 0
  for room = 0, 6000, 24 do
    collectgarbage()
    local outcome, value = attempt(room, f, ...)
    if outcome == "memory" then
      memory = memory + 1
    elseif outcome == wanted and value == expected then
      fine = fine + 1
    else
      error(string.format("%s with %d bytes left ended as '%s' (%s)", name, room, outcome, tostring(value):sub(1, 100)), 0)
    end
  end
  if fine == 0 or memory == 0 then error(string.format("%s: %d right, %d refused", name, fine, memory), 0) end
  count = count + 1
end
local function sweep(name, expected, f, ...) sweep_to("ok", expected, name, f, ...) end
local thousand = string.rep("x", 1000)
sweep("rep", thousand .. thousand, s.rep, thousand, 2)
sweep("reverse", thousand, s.reverse, thousand)
sweep("format", thousand .. "     1", s.format, "%s%6d", thousand, 1)
sweep("concat", string.rep("ab", 300), t.concat, (function()
  local l = {}
  for i = 1, 300 do l[i] = "ab" end
  return l
end)())
if version ~= "lua51" then -- where %s takes strings only
  sweep("tostring", thousand, s.format, "%s", setmetatable({}, { __tostring = function() return s.rep("x", 1000) end }))
end
sweep("date", string.rep("1970", 100), o.date, "!" .. string.rep("%Y", 100), 0)
-- As with all the memory there is. Of several results, a text of all.
local function steady(name, f, ...)
  local outcome, value = attempt(nil, f, ...)
  sweep_to(outcome, value, name, f, ...)
end
local function words(...)
  local list = { ... }
  for i = 1, select("#", ...) do list[i] = tostring(list[i]) end
  return t.concat(list, " ")
end
local missing = string.rep("m", 100)
steady("require", require, missing)
steady("require of a library", function()
  require("io")
  require("debug")
  return require("package") == package and #s.rep("y", 700)
end)
steady("require of a module", function()
  package.preload.m = function() return string.rep("x", 300) end
  package.loaded.m = nil
  return require("m")
end)
steady("searchers", function() return words(find[1](missing), (find[2](missing))) end)
if package.searchpath then steady("searchpath", function() return words(package.searchpath(missing, string.rep("?;", 10))) end) end
if own.module then
  steady("module", function()
    package.loaded["a.b"], _G.a = nil, nil
    own.setfenv(own.setfenv(function() module("a.b", seeall) end, { module = own.module, seeall = package.seeall }), {
      module = own.module, seeall = package.seeall })()
    return words(package.loaded["a.b"]._NAME, package.loaded["a.b"]._PACKAGE, a.b == package.loaded["a.b"])
  end)
  steady("environments", function()
    local f = own.setfenv(function() return x end, { x = string.rep("x", 300) })
    return words(f(), own.getfenv(f).x, own.getfenv(print) == _G)
  end)
end
steady("io.write", function() return io.type(io.write(thousand, 1, 2.5, "\n")) end)
steady("write", function() return io.type(io.stdout:write(thousand, 1, 2.5)) end)
steady("read", function() return words(io.read("*a", 10, 0)) end)
steady("lines", function()
  for _ in io.stdin:lines() do return 1 end
  for _ in io.lines() do return 1 end
  return 2
end)
steady("streams", function()
  io.output(io.stderr)
  io.input(io.stdin)
  local text = words(io.type(io.stdout), io.output() == io.stderr, tostring(io.output()) == tostring(io.stderr))
  io.output(io.stdout)
  return text
end)
steady("a path without files", io.lines, string.rep("p", 200))
steady("close", function() return words(io.stdout:close()) end)
steady("seek", function() return words(io.stdout:seek("set", 5)) end)
local waiting = coroutine.create(function() (function() coroutine.yield() end)() end)
coroutine.resume(waiting)
steady("traceback", debug.traceback, waiting, "m")
steady("getinfo", function()
  local info, list = debug.getinfo(words), {}
  for k, v in pairs(info) do list[#list + 1] = k .. "=" .. tostring(v) end
  t.sort(list)
  return t.concat(list, " ")
end)
local function caught(_, value) -- what is caught of refused memory is memory refused: LuaJIT's handlers too
  return (value == "not enough memory" or value == "error in error handling") and s.rep("x", 1e9) or value
end
steady("xpcall", function()
  return caught(own.xpcall(function() error(string.rep("x", 200), 0) end, function(e) return e .. e end))
end)
if own.setmetatable then
  steady("setmetatable", function()
    local meta = { __gc = 1, __index = { x = thousand } }
    return words(own.setmetatable({}, meta).x, meta.__gc, getmetatable(own.setmetatable({}, meta)) == meta)
  end)
end
for _, option in ipairs({ "stop", "restart", "incremental", "generational", "incremental", "isrunning", "collect" }) do
  local ok = pcall(collect, option)
  if ok then steady("collectgarbage of " .. option, function() return type(collect(option)), #s.rep("y", 700) end) end
end
if number >= 53 then
  sweep("pack", string.rep("\0", 1000), s.pack, "c1000", "")
  sweep("utf8.char", string.rep("é", 100), u.char, unpack((function()
    local l = {}
    for i = 1, 100 do l[i] = 233 end
    return l
  end)()))
end
print(string.format("%s: %d cases of too little memory", version, count))
