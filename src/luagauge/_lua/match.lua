-- A pattern matcher in Lua, for calls whose stock counterpart could outlast the deadline unseen: here a hook ends it.
-- Same results as the version at hand; single characters are matched by the stock matcher, once per class and byte.
local S = ...
local error, pcall, select, tostring, type = error, pcall, select, tostring, type
local byte, char, find, sub = string.byte, string.char, string.find, string.sub
local gsub = string.gsub
local tonumber, concat = tonumber, table.concat
local unpack = table.unpack or unpack

-- What a version says of a capture that is not there, in a pattern and in a replacement.
local names_index = { pattern = not S.old, replacement = not S.old }
do
  local _, text = pcall(gsub, "a", "a", "%9")
  names_index.replacement = find(text, "%%9") ~= nil
end

local function no_capture(level, where)
  error("invalid capture index" .. (names_index[where] and " %" .. level or ""), 0)
end

-- A single character's class as a table: byte -> whether it belongs.
local function class_of(text)
  local anchored = "^" .. text
  return setmetatable({}, {
    __index = function(t, b)
      local belongs = b ~= nil and find(char(b), anchored) ~= nil
      if b ~= nil then t[b] = belongs end
      return belongs
    end,
  })
end

-- The end of the single-character item at i, or nil where it is malformed.
local function item_end(p, i)
  local c = sub(p, i, i)
  if c == "%" then return i < #p and i + 2 or nil end
  if c ~= "[" then return i + 1 end
  i = i + 1
  if sub(p, i, i) == "^" then i = i + 1 end
  repeat
    if i > #p then return nil end
    local inner = sub(p, i, i)
    i = i + 1
    if inner == "%" then i = i + 1 end
  until sub(p, i, i) == "]" or i > #p
  return i <= #p and i + 1 or nil
end

S.item_end = item_end

-- What the stock matcher says about the rest of a malformed pattern.
local function complaint(p, i)
  local ok, text = pcall(find, "", sub(p, i))
  return { "error", ok and "malformed pattern" or gsub(text, "^.-:%d+: ", "") }
end

local QUANTIFIERS = { ["*"] = "*", ["+"] = "+", ["-"] = "-", ["?"] = "?" }

local function special(p, i, items)
  local two = sub(p, i, i + 1)
  if two == "()" then
    items[#items + 1] = { "()" }
    return i + 2
  elseif sub(two, 1, 1) == "(" or sub(two, 1, 1) == ")" then
    items[#items + 1] = { sub(two, 1, 1) }
    return i + 1
  elseif two == "%b" and i + 3 <= #p then
    items[#items + 1] = { "%b", byte(p, i + 2, i + 3) }
    return i + 4
  elseif two == "%f" and sub(p, i + 2, i + 2) == "[" and item_end(p, i + 2) then
    local stop = item_end(p, i + 2)
    items[#items + 1] = { "%f", class_of(sub(p, i + 2, stop - 1)) }
    return stop
  elseif find(two, "^%%%d") then
    items[#items + 1] = { "back", tonumber(sub(two, 2, 2)) }
    return i + 2
  elseif two == "$" and i == #p then
    items[#items + 1] = { "$" }
    return i + 1
  end
end

-- The items of a pattern, and whether it is anchored.
local function parse(p)
  if S.real51 or S.jit then p = gsub(p, "%z.*", "") end -- there a zero ends a pattern
  local items, i, anchored = {}, 1, false
  if sub(p, 1, 1) == "^" then i, anchored = 2, true end
  while i <= #p do
    local after = special(p, i, items)
    if not after then
      local two = sub(p, i, i + 1)
      after = two ~= "%b" and two ~= "%f" and item_end(p, i)
      if not after then
        items[#items + 1] = complaint(p, i)
        break
      end
      local class, mark = class_of(sub(p, i, after - 1)), sub(p, after, after)
      if QUANTIFIERS[mark] then after = after + 1 end
      items[#items + 1] = { QUANTIFIERS[mark] or "one", class }
    end
    i = after
  end
  return items, anchored
end

-- m, the state of a match: s, n (its length), items, level, start and length of each capture.
local OPEN, POSITION = -1, -2
local step

local function fail(text) error(text, 0) end

local ops = {}

ops["error"] = function(_, _, item) fail(item[2]) end
ops["$"] = function(m, at, _, i)
  if at == m.n + 1 then return step(m, at, i + 1) end
end
ops["one"] = function(m, at, item, i)
  if item[2][byte(m.s, at)] then return step(m, at + 1, i + 1) end
end
ops["?"] = function(m, at, item, i)
  if item[2][byte(m.s, at)] then
    local stop = step(m, at + 1, i + 1)
    if stop then return stop end
  end
  return step(m, at, i + 1)
end
ops["*"] = function(m, at, item, i, least)
  local class, s, stop = item[2], m.s, at
  while class[byte(s, stop)] do stop = stop + 1 end
  for from = stop, at + (least or 0), -1 do
    local found = step(m, from, i + 1)
    if found then return found end
  end
end
ops["+"] = function(m, at, item, i) return ops["*"](m, at, item, i, 1) end
ops["-"] = function(m, at, item, i)
  local class, s = item[2], m.s
  while true do
    local found = step(m, at, i + 1)
    if found then return found end
    if not class[byte(s, at)] then return nil end
    at = at + 1
  end
end

local function open_capture(m, at, i, length)
  if m.level >= 32 then fail("too many captures") end
  m.level = m.level + 1
  m.start[m.level], m.length[m.level] = at, length
  local stop = step(m, at, i + 1)
  if not stop then m.level = m.level - 1 end
  return stop
end
ops["("] = function(m, at, _, i) return open_capture(m, at, i, OPEN) end
ops["()"] = function(m, at, _, i) return open_capture(m, at, i, POSITION) end
ops[")"] = function(m, at, _, i)
  local level = m.level
  while level > 0 and m.length[level] ~= OPEN do level = level - 1 end
  if level == 0 then fail("invalid pattern capture") end
  m.length[level] = at - m.start[level]
  local stop = step(m, at, i + 1)
  if not stop then m.length[level] = OPEN end
  return stop
end
ops["back"] = function(m, at, item, i)
  local level = item[2]
  if level < 1 or level > m.level or m.length[level] == OPEN then
    no_capture(level, "pattern")
  end
  local n = m.length[level]
  if n ~= POSITION and m.n - at + 1 >= n and sub(m.s, m.start[level], m.start[level] + n - 1) == sub(m.s, at, at + n - 1) then
    return step(m, at + n, i + 1)
  end
end
ops["%b"] = function(m, at, item, i)
  local s, first, last = m.s, item[2], item[3]
  if byte(s, at) ~= first then return nil end
  local depth = 1
  for here = at + 1, m.n do
    local b = byte(s, here)
    if b == last then
      depth = depth - 1
      if depth == 0 then return step(m, here + 1, i + 1) end
    elseif b == first then
      depth = depth + 1
    end
  end
end
ops["%f"] = function(m, at, item, i)
  local before, here = at == 1 and 0 or byte(m.s, at - 1), byte(m.s, at) or 0
  if not item[2][before] and item[2][here] then return step(m, at, i + 1) end
end

-- The position behind the match of items i.. at `at`, or nil.
function step(m, at, i)
  local item = m.items[i]
  while item and item[1] == "one" do
    if not item[2][byte(m.s, at)] then return nil end
    at, i = at + 1, i + 1
    item = m.items[i]
  end
  if not item then return at end
  return ops[item[1]](m, at, item, i)
end

local function capture(m, level, from, stop)
  if level > m.level then
    if level ~= 1 then no_capture(level, "replacement") end
    return sub(m.s, from, stop - 1)
  end
  local length = m.length[level]
  if length == OPEN then fail("unfinished capture") end
  if length == POSITION then return m.start[level] end
  return sub(m.s, m.start[level], m.start[level] + length - 1)
end

local function captures(m, from, stop, whole)
  local found = {}
  local n = m.level == 0 and whole and 1 or m.level
  for level = 1, n do found[level] = capture(m, level, from, stop) end
  return unpack(found, 1, n)
end

local function start(s, p)
  local items, anchored = parse(p)
  return { s = s, n = #s, items = items, level = 0, start = {}, length = {} }, anchored
end

local function try(m, at)
  m.level = 0
  return step(m, at, 1)
end

-- find or match from position `at` on, which lies within the subject.
function S.slow_find(s, p, at, want_match)
  local m, anchored = start(s, p)
  for from = at, anchored and at or #s + 1 do
    local stop = try(m, from)
    if stop then
      if want_match then return captures(m, from, stop, true) end
      return from, stop - 1, captures(m, from, stop, false)
    end
  end
  return nil
end

function S.slow_gmatch(s, p, at)
  local m, anchored = start(s, p)
  if anchored then m.items = parse("%" .. p) end -- gmatch knows no anchor: '^' is a character there
  local last = nil
  return function()
    while at <= #s + 1 do
      local from, stop = at, try(m, at)
      if stop and not (S.last_match and stop == last) then
        last = stop
        at = S.last_match and stop or (stop == from and stop + 1 or stop)
        return captures(m, from, stop, true)
      end
      at = at + 1
    end
  end
end

local function expand(m, template, from, stop)
  return (gsub(template, "%%(.?)", function(letter)
    if letter == "%" then return "%" end
    local level = tonumber(letter)
    if not level then
      fail(S.old and "invalid capture index" or "invalid use of '%' in replacement string")
    end
    if level == 0 then return sub(m.s, from, stop - 1) end
    return tostring(capture(m, level, from, stop))
  end))
end

local function replacement(m, with, kind, from, stop)
  local value
  if kind == "string" then return expand(m, with, from, stop) end
  if kind == "function" then value = with(captures(m, from, stop, true)) else value = with[capture(m, 1, from, stop)] end
  if not value then return sub(m.s, from, stop - 1) end
  local got = type(value)
  if got ~= "string" and got ~= "number" then fail("invalid replacement value (a " .. got .. ")") end
  return value
end

function S.slow_gsub(s, p, with, most)
  local kind = type(with)
  if kind == "number" then with, kind = tostring(with), "string" end
  local m, anchored = start(s, p)
  local parts, at, done, last = {}, 1, 0, nil
  while done < most do
    local stop = try(m, at)
    local matched = stop and not (S.last_match and stop == last)
    if matched then
      done = done + 1
      parts[#parts + 1] = replacement(m, with, kind, at, stop)
    end
    if matched and (S.last_match or stop > at) then
      at, last = stop, stop
    elseif at <= #s then
      parts[#parts + 1] = sub(s, at, at)
      at = at + 1
    else
      break
    end
    if anchored then break end
  end
  parts[#parts + 1] = sub(s, at)
  return concat(parts), done
end
