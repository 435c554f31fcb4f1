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

-- Every amount of memory, byte class by byte class: right result or memory error.
local function sweep(name, expected, f, ...)
  local memory, ok = 0, 0
  for room = 0, 6000, 24 do
    collectgarbage()
    local outcome, value = attempt(room, f, ...)
    if outcome == "memory" then
      memory = memory + 1
    elseif outcome == "ok" and value == expected then
      ok = ok + 1
    else
      error(string.format("%s with %d bytes left ended as '%s' (%s)", name, room, outcome, tostring(value):sub(1, 100)), 0)
    end
  end
  if ok == 0 or memory == 0 then error(string.format("%s: %d ok, %d refused", name, ok, memory), 0) end
  count = count + 1
end
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
if number >= 53 then
  sweep("pack", string.rep("\0", 1000), s.pack, "c1000", "")
  sweep("utf8.char", string.rep("é", 100), u.char, unpack((function()
    local l = {}
    for i = 1, 100 do l[i] = 233 end
    return l
  end)()))
end
print(string.format("%s: %d cases of too little memory", version, count))
