-- Plain data between Lua and Python, through calls of at most 50 values: one character says what each value is.
--   v the value itself    d a number that is a float    - negative zero    [ a list of n values follows
--   { a table follows: key, value, ... until }    n nil
-- Read raw: no metamethod is looked at. Runs only in lifted sections (guard.lua) and never runs the script's code.
local S, emit, pull, drop = ...
local next, type, rawget, floor = next, type, rawget, math.floor
local concat, format, sub = table.concat, string.format, string.sub
local unpack = table.unpack or unpack
local integer_type = math.type
local rawlen = rawlen or function(t) return #t end

local BATCH, MAX_DEPTH = 50, 200

local kinds, values, filled = {}, {}, 0
local size, max_size, steps = 0, 0, 0

local function flush()
  local ending = emit(concat(kinds, "", 1, filled), unpack(values, 1, filled))
  for i = 1, filled do values[i] = nil end
  filled = 0
  if ending then S.due = true end
  return S.due and "interrupted" or nil
end

local function put(kind, value)
  filled = filled + 1
  kinds[filled], values[filled] = kind, value
  if filled == BATCH then return flush() end
end

local open, keys, depth = {}, {}, 0
local pack

local function pack_string(s)
  size = size + #s + 5
  if size > max_size + 5 then return "large" end
  return put("v", s)
end

local function pack_number(n)
  size = size + 9
  if integer_type then return put("v", n) end
  if n ~= floor(n) or n > 9007199254740992 or n < -9007199254740992 then return put("d", n) end
  if n == 0 and 1 / n < 0 then return put("-", 0) end
  return put("v", n)
end

-- Whether the keys are exactly 1..#t.
local function is_sequence(t, length)
  local seen = 0
  for key in next, t do
    if type(key) ~= "number" or key < 1 or key > length or key ~= floor(key) then return false end
    seen = seen + 1
    if seen % 4096 == 0 and S.hooked then S.poll() end
  end
  return seen == length
end

local function pack_key(t, key)
  local kind = type(key)
  if kind == "string" then return pack_string(key) end
  if kind == "number" then return pack_number(not integer_type and key == 0 and 0 or key) end -- -0 is the same key
  if kind == "boolean" then
    if rawget(t, key and 1 or 0) ~= nil then
      return "key", "boolean (beside 1 or 0, which is the same key in Python)"
    end
    size = size + 1
    return put("v", key)
  end
  return "key", kind
end

local function pack_pairs(t)
  local level = depth
  local problem, what = put("{", 0)
  for key, value in next, t do
    keys[level] = key
    if not problem then problem, what = pack_key(t, key) end
    if not problem then problem, what = pack(value) end
    if problem then return problem, what end
  end
  return put("}", 0)
end

local function pack_list(t, length)
  local level = depth
  local problem, what = put("[", length), nil
  for i = 1, length do
    if problem then return problem, what end
    keys[level] = i
    problem, what = pack(rawget(t, i))
  end
  return problem, what
end

-- When it fails, depth and keys stay: they are the path.
local function pack_table(t)
  if open[t] then return "cycle" end
  if depth == MAX_DEPTH then return "depth" end
  open[t] = true
  depth = depth + 1
  size = size + 9
  local length = rawlen(t)
  local problem, what
  if is_sequence(t, length) then problem, what = pack_list(t, length) else problem, what = pack_pairs(t) end
  if problem then return problem, what end
  open[t], keys[depth] = nil, nil
  depth = depth - 1
end

function pack(value)
  local kind, problem, what = type(value), nil, nil
  if kind == "string" then
    problem = pack_string(value)
  elseif kind == "number" then
    problem = pack_number(value)
  elseif kind == "table" then
    problem, what = pack_table(value)
  elseif kind == "nil" then
    size = size + 1
    problem = put("n")
  elseif kind == "boolean" then
    size = size + 1
    problem = put("v", value)
  else
    return "value", kind
  end
  if not problem and size > max_size then return "large" end
  return problem, what
end

local function step(key)
  local kind = type(key)
  if kind == "string" then return "." .. sub(key, 1, 40) .. (#key > 40 and "..." or "") end
  if kind == "number" then return format("[%.14g]", key) end
  return "[" .. kind .. "]"
end

local function path()
  local parts = {}
  for i = 1, depth do
    if keys[i] ~= nil then parts[#parts + 1] = step(keys[i]) end
  end
  return concat(parts)
end

local function reset(max)
  for key in next, open do open[key] = nil end
  for key in next, keys do keys[key] = nil end
  for i = 1, filled do values[i] = nil end
  filled, depth, size, max_size = 0, 0, 0, max
end

-- Let go of what a hand-over that broke off had at hand.
function S.forget() reset(0) end

-- Hand n values to Python, at most `max` bytes by the rules of max_output_size. nil when all went well, else what is
-- wrong: "large", "depth", "cycle", "value" or "key" and the type's name, "interrupted"; then the path, the number of the
-- value, and the size reached.
function S.pack(max, n, ...)
  reset(max)
  if n > 1 then size = 9 end
  local given = { ... }
  for i = 1, n do
    local problem, what
    if size > max then problem = "large" else problem, what = pack(given[i]) end
    if problem then
      local where, reached = path(), size
      reset(0)
      drop() -- what the host has of it by now
      return problem, what or "", where, i, reached
    end
  end
  local problem = filled > 0 and flush() or nil
  return problem, "", "", n, size
end

-- Python's values -> Lua, from pull()'s batches.
local batch, letters, at, last = nil, "", 0, 0

local function take()
  if at == last then
    batch = { pull() }
    letters, at, last = batch[1], 0, #batch[1]
  end
  at = at + 1
  return sub(letters, at, at), batch[at + 1]
end

local function unpack_value()
  local kind, value = take()
  if kind == "v" or kind == "n" then return value end
  steps = steps + 1
  if steps % 64 == 0 and S.hooked then S.poll() end
  local made = {}
  if kind == "[" then
    for i = 1, value do made[i] = unpack_value() end
  else
    for _ = 1, value do
      local key = unpack_value()
      made[key] = unpack_value()
    end
  end
  return made
end

-- The one value that Python has ready.
function S.unpack()
  batch, letters, at, last = nil, "", 0, 0
  local value = unpack_value()
  batch, letters = nil, ""
  return value
end
