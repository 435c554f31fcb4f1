-- The table library of the sandbox. Under a deadline, what could work for long without running an instruction works here
-- in Lua, where a hook ends it: huge ranges, lengths that a __len made up, and sorting without a function.
local S = ...
local error, pcall, rawget, select, setmetatable = error, pcall, rawget, select, setmetatable
local tonumber, type, floor = tonumber, type, math.floor
local raw_metatable, count = debug.getmetatable, collectgarbage
local stock = table
local through = S.through

local lib = {}
for _, name in next, { "concat", "create", "foreach", "foreachi", "getn", "insert", "maxn", "move", "pack", "remove",
                       "setn", "sort", "unpack" } do
  lib[name] = stock[name]
end
S.table = lib

local concat = stock.concat

-- Make room for the text of t; a sample of its elements says enough.
local function room_for(t)
  if type(t) ~= "table" or raw_metatable(t) then return end
  local n, bytes = #t, 0
  local step = n > 64 and n / 64 or 1
  for i = 1, n, step do
    local value = t[floor(i)]
    if type(value) == "string" then bytes = bytes + #value end
  end
  S.room(bytes * step)
end

local function concat_with_room(t, separator, first, last)
  local limit = S.limit
  if limit > 0 and count("count") * 4096 > limit then room_for(t) end -- else the heap is nearly empty
  if S.real51 then return through("concat", pcall(concat, t, separator, first, last)) end
  return concat(t, separator, first, last)
end
lib.concat = concat_with_room

-- 5.1's, 5.2's and LuaJIT's unpack() counts a range in an int, which overflows (CVE-2025-46817). Ranges that cannot are
-- left to it as they come; others as the ints that it would make of them.
local function near(n) return n == nil or type(n) == "number" and n > -1e9 and n < 1e9 end

local function to_int(n)
  n = tonumber(n)
  if S.jit then return n >= -2147483648 and n < 2147483648 and (n < 0 and -floor(-n) or floor(n)) or -2147483648 end
  if n ~= n or n >= 9223372036854775808 or n < -9223372036854775808 then return 0 end
  n = (n < 0 and -floor(-n) or floor(n)) % 4294967296
  return n >= 2147483648 and n - 4294967296 or n
end

local function unpack_function(unpack)
  local function is_number(n) return type(n) == "number" or type(n) == "string" and tonumber(n) ~= nil end

  return function(...)
    local t, first, last = ...
    local whole = last == nil
    if near(first) and near(last) and (S.old or not whole) then
      if S.real51 then return through("unpack", pcall(unpack, ...)) end
      return unpack(...) -- a tail call: the script is blamed
    end
    if type(t) ~= "table" or first ~= nil and not is_number(first) then return through("unpack", pcall(unpack, ...)) end
    if whole then last = #t end -- asked once: a __len may say something else the next time
    if not is_number(last) then
      if whole then error("object length is not a number", 2) end
      return through("unpack", pcall(unpack, ...))
    end
    local from, to = first == nil and 1 or to_int(first), to_int(last)
    if to - from >= 2147483647 then error("too many results to unpack", 2) end
    return through("unpack", pcall(unpack, t, from, to))
  end
end

if S.base.unpack then S.base.unpack = unpack_function(S.base.unpack) end
if lib.unpack and not stock.move then lib.unpack = unpack_function(lib.unpack) end

if S.jit then
  local sort = stock.sort
  function lib.sort(t, compare)
    if type(compare) ~= "function" then return through("sort", pcall(sort, t, compare)) end
    return sort(t, function(a, b)
      local n = S.enter()
      return S.left(n, compare(a, b))
    end)
  end
end

if not S.deadline then return end

local LONG = 100000
local MANY = 4096 -- elements that a stock function goes through in no time
local FEW = 100 -- likewise, where each may take a walk over thousands of tables: from 5.3 on, __index is looked at

local sort = lib.sort
local getinfo = debug.getinfo
local modern = stock.move and not S.old

-- Whether a stock function would go through this table by metamethods that may be tables, and so run no instruction.
local function is_odd(t)
  local mt = modern and type(t) == "table" and raw_metatable(t)
  return mt and (rawget(mt, "__index") ~= nil or rawget(mt, "__newindex") ~= nil or rawget(mt, "__len") ~= nil)
end

-- What goes through a long table without an instruction looks at the clock first.
local function poll_if_long(t)
  if type(t) == "table" and (modern and raw_metatable(t) or #t > MANY) then S.poll() end
end

local function sort_copy(t, n, compare)
  local copy = {}
  for i = 1, n do copy[i] = t[i] end
  sort(copy, compare)
  for i = 1, n do t[i] = copy[i] end
end

function lib.sort(t, compare)
  local n = type(t) == "table" and #t
  if type(n) == "number" and (n > MANY or n > FEW and is_odd(t)) then
    if compare == nil then
      compare = function(a, b) return a < b end
    elseif type(compare) == "function" and getinfo(compare, "S").what == "C" then
      local c_function = compare
      compare = function(a, b) return c_function(a, b) end
    end
    if is_odd(t) and n < 2147483647 then return sort_copy(t, n, compare) end
  end
  if compare ~= nil then return sort(t, compare) end
  return through("sort", pcall(sort, t))
end

if stock.move then
  local move = stock.move
  function lib.move(a, first, last, to, b)
    if type(first) == "number" and type(last) == "number" and type(to) == "number" and last - first > FEW then
      local target = b == nil and a or b
      if last - first > LONG or is_odd(a) or is_odd(target) then
        if type(a) ~= "table" or type(target) ~= "table" then return through("move", pcall(move, a, 1, 0, 1, b)) end
        if to > last or to <= first or target ~= a then
          for i = 0, last - first do target[to + i] = a[first + i] end
        else
          for i = last - first, 0, -1 do target[to + i] = a[first + i] end
        end
        return target
      end
      S.poll()
    end
    return through("move", pcall(move, a, first, last, to, b))
  end
end

local function polling(name)
  local stock_function, appends = lib[name], name == "insert" and 2 or -1
  return function(...)
    local t = ...
    if select("#", ...) == appends and type(t) == "table" then return stock_function(...) end
    poll_if_long(t)
    return through(name, pcall(stock_function, ...))
  end
end

if not modern then
  lib.concat, lib.remove, lib.insert = polling("concat"), polling("remove"), polling("insert")
  return
end

local function walks_far(t)
  if not is_odd(t) then return false end
  local n = #t
  return type(n) == "number" and n > FEW
end

local insert, remove, unpack = stock.insert, stock.remove, stock.unpack

-- The stock functions are tail-called, so that the script is blamed for what they complain about.
function lib.insert(t, ...)
  local n = select("#", ...)
  if n == 1 and not raw_metatable(t) then return insert(t, ...) end
  if n ~= 2 or not walks_far(t) then
    poll_if_long(t)
    return insert(t, ...)
  end
  local at, value = ...
  local last = #t + 1
  if type(at) ~= "number" or at ~= floor(at) then return insert({}, at, value) end
  if at < 1 or at > last then error("bad argument #2 to 'insert' (position out of bounds)", 2) end
  for i = last, at + 1, -1 do t[i] = t[i - 1] end
  t[at] = value
end

function lib.remove(t, ...)
  local n = select("#", ...)
  if n == 0 and not raw_metatable(t) then return remove(t) end
  if n ~= 1 or not walks_far(t) then
    poll_if_long(t)
    return remove(t, ...)
  end
  local at, last = ..., #t
  if type(at) ~= "number" or at ~= floor(at) then return remove({}, at) end
  if at < 1 or at > last + 1 then error("bad argument #2 to 'remove' (position out of bounds)", 2) end
  local value = t[at]
  for i = at, last - 1 do t[i] = t[i + 1] end
  if at <= last then t[last] = nil end
  return value
end

function lib.concat(t, separator, first, last)
  if not (is_odd(t) and (walks_far(t) or first ~= nil or last ~= nil)) then
    poll_if_long(t)
    return concat_with_room(t, separator, first, last)
  end
  local parts = {}
  for i = first or 1, last or #t do
    local value = t[i]
    if type(value) ~= "string" and type(value) ~= "number" then
      error(("invalid value (at index %d) in table for 'concat'"):format(i), 2)
    end
    parts[#parts + 1] = value
  end
  return concat(parts, separator or "")
end

function lib.unpack(t, first, last, ...)
  if is_odd(t) and (first == nil or type(first) == "number") and (last == nil or type(last) == "number") then
    local from, to = first or 1, last or #t
    local n = type(to) == "number" and to - from + 1 or 0
    if n > FEW and n < 1e6 and from == floor(from) then
      local values = {}
      for i = 1, n do values[i] = t[from + i - 1] end
      return unpack(values, 1, n)
    end
    if type(to) == "number" then return unpack(t, from, to) end -- a __len is asked once
  end
  return unpack(t, first, last, ...)
end
