-- The string library of the sandbox: no dump, no addresses, and under a deadline no call that could outlast it.
local S = ...
local error, pcall, select, tonumber, tostring, type = error, pcall, select, tonumber, tostring, type
local stock = string
local byte, find, format, gmatch, gsub, match, rep, sub =
  stock.byte, stock.find, stock.format, stock.gmatch, stock.gsub, stock.match, stock.rep, stock.sub
local floor = math.floor
local through = S.through

local lib = {}
for _, name in next, { "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "pack", "packsize",
                       "rep", "reverse", "sub", "unpack", "upper" } do
  lib[name] = stock[name]
end
S.string = lib
S.last_match = gsub("abc", "%w*", "x") == "x" -- from 5.3.3 on, no empty match right behind another match

-- format: "%s" of a table would show its address, and "%p" is nothing else. What a pattern asks for is looked at once.
local shows_pointers = pcall(format, "%p", lib)
local shows_tables = pcall(format, "%s", lib)
local quotes_tables = pcall(format, "%q", lib) -- LuaJIT 2.1 shows any value, as for "%s"
local unpack = table.unpack or unpack

-- pattern -> "plain", "first" (its one %s is for the first argument), "text" (has a %s) or "pointer"
local formats, format_count = {}, 0

local function format_kind(pattern)
  if format_count >= 100 then formats, format_count = {}, 0 end
  local kind, i = "plain", 0
  for letter in gmatch(gsub(pattern, "%%%%", ""), "%%[-+ #0-9.]*(.)") do
    i = i + 1
    if letter == "p" and shows_pointers then
      kind = "pointer"
    elseif (letter == "s" or letter == "q" and quotes_tables) and kind ~= "pointer" then
      kind = i == 1 and "first" or "text"
    end
  end
  if #pattern <= 200 then -- a long one would be kept beyond its run
    formats[pattern], format_count = kind, format_count + 1
  end
  return kind
end

-- The arguments without addresses. Only where "%s" asks for them: elsewhere the stock function's complaint names the type.
local function hidden(pattern, n, ...)
  local values, i = { ... }, 0
  for letter in gmatch(gsub(pattern, "%%%%", ""), "%%[-+ #0-9.]*(.)") do
    i = i + 1
    local kind = type(values[i])
    if (letter == "s" or letter == "q" and quotes_tables)
      and (kind == "table" or kind == "function" or kind == "thread" or kind == "userdata") then
      local shown = S.text_of(values[i])
      kind = type(shown) -- LuaJIT takes any value from a __tostring
      values[i] = (kind == "string" or kind == "number") and shown or kind .. ": (hidden)"
    end
  end
  return unpack(values, 1, n)
end

local hides = { table = shows_tables, ["function"] = shows_tables, thread = shows_tables, userdata = shows_tables }

local function any_hides(n, ...)
  local values = { ... }
  for i = 5, n do
    if hides[type(values[i])] then return true end
  end
  return false
end

local function room_for(n, ...)
  local values, bytes = { ... }, 0
  for i = 1, n do
    if type(values[i]) == "string" then bytes = bytes + #values[i] end
  end
  S.room(bytes)
end

local real51 = S.real51

function lib.format(pattern, ...)
  local known = formats[pattern]
  if real51 then -- nothing is quick there: the way below
  elseif known == "first" then
    local value = ...
    local is = type(value)
    if is == "number" or is == "string" and #value <= 4096 then return format(pattern, ...) end
  elseif known == "plain" then
    return format(pattern, ...)
  end
  if type(pattern) ~= "string" then return through("format", pcall(format, pattern, ...)) end
  local kind = known or format_kind(pattern)
  if kind == "pointer" then error("invalid option '%p' to 'format'", 2) end
  if kind ~= "plain" then
    local n = select("#", ...)
    local a, b, c, d = ...
    local most = n > 4 and 4097 or 0
    if hides[type(a)] or hides[type(b)] or hides[type(c)] or hides[type(d)] or n > 4 and any_hides(n, ...) then
      return through("format", pcall(format, pattern, hidden(pattern, n, ...)))
    end
    if type(a) == "string" and #a > most then most = #a end
    if type(b) == "string" and #b > most then most = #b end
    if most > 4096 then room_for(n, ...) end
  end
  if real51 then return through("format", pcall(format, pattern, ...)) end
  return format(pattern, ...) -- a tail call: the script is blamed for what is wrong
end

local function text(value)
  if type(value) == "number" then return tostring(value) end
  return value
end

-- rep() by doubling, where the stock function is slow (5.1) or takes twice the result (LuaJIT) and nothing collects for it.
local function repeat_by_doubling(s, times)
  local result = ""
  while true do
    local rest = times % 2
    S.room(#s * 2)
    if rest == 1 then result = result == "" and s or result .. s end
    times = (times - rest) / 2
    if times == 0 then return result end
    S.poll()
    s = s .. s
  end
end

-- An empty text takes no memory however often it is repeated, so nothing else would end it.
function lib.rep(s, n, separator, ...)
  local times = tonumber(n)
  s = text(s)
  if type(s) == "string" and times then
    if s == "" and (separator == nil or separator == "") then return "" end
    if S.old and separator == nil and #s * times > 65536 and #s * times < 2147483392 then
      return repeat_by_doubling(s, floor(times))
    end
    if #s * times > 4096 then S.room(#s * times) end
    if not S.old then return rep(s, n, separator, ...) end
  end
  return through("rep", pcall(rep, s, n, separator, ...))
end

-- What gsub() may call instead of `with`: the same, counting.
local raw_metatable, enter, left = debug.getmetatable, S.enter, S.left
local function counting(with)
  local kind = type(with)
  if kind == "function" then
    return function(...)
      local n = enter()
      return left(n, with(...))
    end
  elseif kind == "table" and raw_metatable(with) then
    return function(key)
      local n = enter()
      return left(n, with[key])
    end
  end
  return with
end

-- Beyond this many calls back gsub() is done in Lua.
local SHALLOW = 10
local function is_deep(with)
  local kind = type(with)
  return S.nested >= SHALLOW and (kind == "function" or kind == "table" and raw_metatable(with))
end

local function deep_gsub(s, p, with, most)
  s, p = text(s), text(p)
  if type(s) ~= "string" or type(p) ~= "string" then return through("gsub", pcall(gsub, s, p, with, most)) end
  return S.slow_gsub(s, p, with, tonumber(most) or #s + 1)
end

function lib.gsub(s, p, with, ...)
  if type(s) == "string" and #s > 4096 then S.room(#s) end
  local kind = type(with)
  if kind == "string" or kind == "table" and not raw_metatable(with) then return gsub(s, p, with, ...) end
  if is_deep(with) then return deep_gsub(s, p, with, ...) end
  return gsub(s, p, counting(with), ...)
end

-- Without a deadline only 5.1 has to look at patterns before they are matched.
if not S.deadline and not S.real51 then return end

local known, known_count = {}, 0 -- pattern -> the longest subject that the stock matcher may take at once
local bounded = {} -- pattern -> the longest that it may take after a look at the clock

-- What the stock matcher may do for a pattern at one place of a subject of n bytes: factor * n ^ exponent steps, each of
-- which compares up to `weight` bytes; and how deeply it nests.
local function analyse(p)
  local exponent, factor, weight, depth = 0, 1, 0, 0
  local run, pending = 0, false -- bytes of the items without a quantifier so far; whether a quantifier was the last
  local i = sub(p, 1, 1) == "^" and 2 or 1
  while i <= #p do
    local c = sub(p, i, i)
    if c ~= ")" and pending then -- something follows the last quantifier: it may have to give back
      exponent, pending = exponent + 1, false
    end
    local after = i + 1
    if c == "(" or c == ")" then
      depth = depth + 1
    else
      local two = sub(p, i, i + 1)
      if two == "%b" then
        after, exponent = i + 4, exponent + 1
      elseif find(two, "^%%%d") then
        after, exponent = i + 2, exponent + 1
      elseif two == "%f" then
        after = i + 2 -- its set counts as an item, which is more than it costs
      else
        after = S.item_end(p, i) or #p + 1
        local mark = sub(p, after, after)
        run = run + after - i
        if run > weight then weight = run end
        if find(mark, "^[*+?-]") then
          after, run, depth = after + 1, 0, depth + 1
          if mark == "?" then factor = factor * 2 else pending = true end
        end
      end
    end
    i = after
  end
  return exponent, factor, weight, depth
end

local STEPS, AT_ONCE = 4e6, 20 -- steps that the stock matcher does within some 20 ms; what part of that needs no look
local COMPARED = 1e8 -- bytes it compares within as much
local DEEPEST = 200 -- 5.1's matcher overflows the C stack where later ones say that a pattern is too complex

-- Note how long the subject may be that the stock matcher takes for a pattern, and return it; without a deadline the
-- depth alone matters.
local function longest(p)
  if known_count >= 100 then known, bounded, known_count = {}, {}, 0 end
  local exponent, factor, weight, depth = analyse(p)
  local most, at_once = math.huge, math.huge
  if depth > DEEPEST and S.real51 then
    most, at_once = -1, -1
  elseif S.deadline then
    most = COMPARED / (#p + 1)
    at_once = most / AT_ONCE < 65536 and most / AT_ONCE or 65536
    if exponent > 0 or factor > 1 then
      local steps = STEPS / factor / (weight / 8 + 1)
      local most_steps, at_once_steps = steps ^ (1 / (exponent + 1)), (steps / AT_ONCE) ^ (1 / (exponent + 1))
      if steps < 1 then most_steps = -1 end
      if steps < AT_ONCE then at_once_steps = -1 end
      if most_steps < most then most = most_steps end
      if at_once_steps < at_once then at_once = at_once_steps end
    end
  end
  if #p <= 200 then -- a long pattern would be kept beyond its run
    known[p], bounded[p], known_count = at_once, most, known_count + 1
  end
  return most, at_once
end

local function quick(n, p)
  local most = bounded[p] or longest(p)
  if n > most then return false end
  if n > (known[p] or 0) then S.poll() end
  return true
end

local function position(init, n)
  init = tonumber(init) or 1
  if init < 0 then init = n + init + 1 end
  return init < 1 and 1 or floor(init)
end

-- The first place of a long needle: stock find() compares byte by byte at each place.
local function slow_plain(s, needle, at)
  local first, n = sub(needle, 1, 1), #needle
  while true do
    at = find(s, first, at, true)
    if not at or at + n - 1 > #s then return nil end
    if sub(s, at, at + n - 1) == needle then return at, at + n - 1 end
    at = at + 1
  end
end

local function search(name, stock_function, s, p, init, plain, ...)
  s, p = text(s), text(p)
  if type(s) == "string" and type(p) == "string" then
    local n = #s
    local is_plain = name == "find" and (plain or not find(p, "[%^$*+?.()%[%]%%-]"))
    if is_plain then
      if n > 4096 then S.poll() end
      if n * #p > COMPARED and position(init, n) <= n then return slow_plain(s, p, position(init, n)) end
    elseif not quick(n, p) then
      local at = position(init, n)
      if at <= n + 1 then return S.through_twice(name, pcall(S.slow_find, s, p, at, name == "match")) end
    end
  end
  if type(s) ~= "string" or type(p) ~= "string" then
    return S.through_twice(name, pcall(stock_function, s, p, init, plain, ...))
  end
  if S.real51 then return S.through_twice(name, pcall(stock_function, s, p, init, plain, ...)) end
  return stock_function(s, p, init, plain, ...) -- a tail call: the script is blamed for a malformed pattern
end

function lib.find(s, p, ...)
  local most = known[p]
  if most and type(s) == "string" and #s <= most then return find(s, p, ...) end
  return search("find", find, s, p, ...)
end

function lib.match(s, p, ...)
  local most = known[p]
  if most and type(s) == "string" and #s <= most then return match(s, p, ...) end
  return search("match", match, s, p, ...)
end

function lib.gmatch(s, p, ...)
  local most = known[p]
  if most and type(s) == "string" and #s <= most then return gmatch(s, p, ...) end
  s, p = text(s), text(p)
  if type(s) == "string" and type(p) == "string" and not quick(#s, p) then
    return S.slow_gmatch(s, p, S.last_match and position((...), #s) or 1)
  end
  return through("gmatch", pcall(gmatch, s, p, ...))
end

function lib.gsub(s, p, with, most, ...)
  local longest_subject = known[p]
  if is_deep(with) then return deep_gsub(s, p, with, most) end
  if longest_subject and type(s) == "string" and #s <= longest_subject then
    if #s > 4096 then S.room(#s) end
    return gsub(s, p, counting(with), most, ...)
  end
  s, p = text(s), text(p)
  local kind = type(with)
  if type(s) ~= "string" or type(p) ~= "string" then return through("gsub", pcall(gsub, s, p, with, most, ...)) end
  S.room(#s)
  if quick(#s, p) then return gsub(s, p, counting(with), most) end
  if kind ~= "string" and kind ~= "number" and kind ~= "function" and kind ~= "table" then
    return through("gsub", pcall(gsub, "", "", with))
  end
  return S.slow_gsub(s, p, with, tonumber(most) or #s + 1)
end
