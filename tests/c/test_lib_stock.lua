-- Differential test: generated arguments go to the stock library functions and to this project's; results, error
-- messages, changes to the arguments and the sequence of metamethod calls must be equal.
-- Arguments: cases per function, seed. An error names the first call that differs.
local cases, seed = tonumber(arg[1]), tonumber(arg[2])
local unpack = unpack or table.unpack
local pcall, type, select, rawget, rawset, tostring = pcall, type, select, rawget, rawset, tostring
local format, rep, concat, char, gsub = string.format, string.rep, table.concat, string.char, string.gsub
local is_jit = version == "luajit20" or version == "luajit21"
local number = is_jit and 51 or tonumber((version:gsub("lua", "")))
local has_integers = number >= 53
local integer_max = has_integers and math.maxinteger or 2 ^ 31
local integer_min = has_integers and math.mininteger or -2 ^ 31

-- A generator of its own, for the same cases everywhere: 31-bit Lehmer, exact in doubles and in integers.
local state = seed % 2147483646 + 1
local function below(n)
  state = state * 16807 % 2147483647
  local v = (state - state % 8) / 8 % n
  return has_integers and math.tointeger(v) or v
end
local function one_of(list) return list[below(#list) + 1] end
local function chance(percent) return below(100) < percent end
local function pack(...) return { n = select("#", ...), ... } end

-- A value as text, for comparison: numbers exactly and with their kind, tables by content.
local on_windows = stock.os.getenv("OS") == "Windows_NT"
local function show(v, depth)
  local t = type(v)
  if t == "number" then
    return (has_integers and math.type(v) or "") .. format("%.17g", v)
  elseif t == "string" then
    v = gsub(gsub(v, ": 0?x?%x%x%x%x%x%x+", ": (object)"), ": builtin#%d+", ": (object)")
    if on_windows then v = gsub(v, "%-?nan%(ind%)", "nan") end -- two functions of its C runtime spell it in two ways
    return #v > 3000 and format("string(%d)%s...%s", #v, v:sub(1, 50), v:sub(-50)) or format("%q", v)
  elseif t == "table" and (depth or 0) < 3 then
    local out = {}
    for k, x in next, v do out[#out + 1] = show(k, 1) .. "=" .. show(x, (depth or 0) + 1) end
    table.sort(out)
    return "{" .. concat(out, ",") .. "}"
  end
  return t == "boolean" and tostring(v) or t
end

local function show_all(list)
  local out = {}
  for i = 1, list.n do out[i] = show(list[i]) end
  return concat(out, ", ")
end

local function outcome(f, list)
  local ok, results = pcall(function()
    local results = pack(f(unpack(list, 1, list.n))) -- the function's name in messages is "f" on both sides
    return results
  end)
  return ok and "returns " .. show_all(results) or "fails: " .. show(results)
end

local done, failing = 0, 0

-- make() gives a fresh, equal argument list each time it is called with the same generator state.
local function compare(lib, name, make)
  local before = state
  local theirs_list, theirs_log = make()
  local theirs = outcome(stock[lib][name], theirs_list)
  local after = show_all(theirs_list) .. concat(theirs_log or {}, ";")
  local next_state = state
  state = before
  local given = show_all((make()))
  state = before
  local our_list, our_log = make()
  local our = outcome(ours[lib][name], our_list)
  local our_after = show_all(our_list) .. concat(our_log or {}, ";")
  if our ~= theirs or after ~= our_after then
    error(format("%s.%s(%s)\nstock %s\nours  %s\nstock after: %s\nours after:  %s", lib, name, given, theirs, our, after,
      our_after), 0)
  end
  done = done + 1
  if theirs:sub(1, 5) == "fails" then failing = failing + 1 end
  state = next_state
end

local function args(...)
  local list = pack(...)
  while list.n > 0 and list[list.n] == nil and chance(50) do list.n = list.n - 1 end
  return list
end

local odd = { 0, 1.5, -1.5, -0.0, 2 ^ 31, -2 ^ 31, 2 ^ 31 - 1, 2 ^ 32 + 1, 2 ^ 53, -2 ^ 53, integer_max, integer_min, 2 ^ 63, 1 / 0,
  -1 / 0, 0 / 0, "3", "0x10", " 7 ", "1e1", "x", "", true, false, {} }
local function small() return below(12) - 3 end
local function position()
  if chance(70) then return small() end
  if chance(30) then return nil end
  return one_of(odd)
end

local function text(max)
  local out = {}
  for i = 1, below(max or 12) do out[i] = char(chance(60) and 97 + below(6) or below(256)) end
  return concat(out)
end
local function maybe_text()
  if chance(85) then return text() end
  return one_of({ 12, 1.5, -0.0, true, {}, 1e100, 2 ^ 53 })
end
local function any()
  local k = below(8)
  if k == 0 then return text(160) elseif k == 1 then return one_of(odd) elseif k == 2 then return true end
  if k == 3 then return setmetatable({}, { __tostring = function() return "object\0x" end, __name = "Kind" }) end
  if k == 4 then return setmetatable({}, { __name = "Kind" }) end
  if k == 5 then return nil end
  return one_of({ below(1000) - 500, (below(2000) - 1000) / 16, below(100000) * 1e10, 1e300, -1e-300, 97 })
end

local function string_calls()
  compare("string", "sub", function() return args(maybe_text(), position(), position()) end)
  compare("string", "byte", function() return args(maybe_text(), position(), position()) end)
  compare("string", "upper", function() return args(maybe_text()) end)
  compare("string", "lower", function() return args(maybe_text()) end)
  compare("string", "reverse", function() return args(maybe_text()) end)
  compare("string", "rep", function()
    local n = below(40) - 3
    if chance(10) then n = one_of({ "7", 2.5, 3.0, "x", true, nil, -2 ^ 31, integer_min, -1 / 0 }) end
    if chance(3) and (number == 53 or number == 54) then return args("ab", one_of({ 2 ^ 40, 2 ^ 31, integer_max })) end
    return args(maybe_text(), n, chance(40) and maybe_text() or nil)
  end)
  compare("string", "char", function()
    local list = { n = below(8) }
    for i = 1, list.n do
      list[i] = below(256)
      if chance(10) then list[i] = one_of({ -1, 256, 3.0, 3.5, "65", "x", 2 ^ 40, integer_min, true }) end
    end
    return list
  end)
end

-- Luas built for Windows do without C99's library, and spell %a, and with it %q of a float, in a way of their own; what
-- 5.1 and 5.2 format as an integer has 32 bits there.
local function comparable(list)
  if not on_windows then return list end
  local out = {}
  for _, item in ipairs(list) do
    local own = item:find("[aA]$") or (item:find("q$") and number >= 53)
    local narrow = (version == "lua51" or version == "lua52") and item:find("[diouxX]$")
    if not own and not narrow then out[#out + 1] = item end
  end
  return out
end
local conversions = comparable({ "d", "i", "o", "u", "x", "X", "e", "E", "f", "g", "G", "a", "A", "c", "p", "q", "s", "s", "F", "y", "n", "", "\0", "l" })
local usual = comparable({ "d", "5d", "05d", "s", "q", "10.3f", "-6s", "x", "04X", "o", "c", ".3s", "g", "05.1f", "i" })
local function spec()
  local out = { "%" }
  while chance(35) do out[#out + 1] = one_of({ "-", "+", " ", "#", "0" }) end
  if chance(40) then out[#out + 1] = tostring(below(chance(20) and 200 or 40)) end
  if chance(30) then out[#out + 1] = "." end
  if chance(30) then out[#out + 1] = tostring(below(chance(20) and 200 or 20)) end
  out[#out + 1] = one_of(conversions)
  return concat(out)
end

local function format_calls()
  compare("string", "format", function()
    local form, list = {}, { n = 1 }
    for i = 1, below(4) + 1 do
      local k = below(6)
      if k == 0 then
        form[#form + 1] = "%%"
      elseif k == 1 then
        form[#form + 1] = text()
      else
        local s = chance(70) and "%" .. one_of(usual) or spec()
        form[#form + 1] = s
        list.n = list.n + 1
        list[list.n] = any()
        if type(list[list.n]) == "table" and not (getmetatable(list[list.n]) or {}).__tostring then
          list[list.n] = "text" -- in stock its text has an address, which may run into what follows it
        end
        if s:sub(-1) == "c" and chance(80) then list[list.n] = below(256) end
        if s:sub(-1) == "p" then list[list.n] = one_of({ 7, 1.5, true, false }) end -- what has no address
        if s:find("[difgexu]$") and chance(70) then list[list.n] = below(1000) - 500 end
        if number == 51 and s:find("[oxXu]$") and type(list[list.n]) == "number" and not (math.abs(list[list.n]) < 2 ^ 63) then
          list[list.n] = 7 -- undefined in C, and compiled in more ways than one
        end
      end
    end
    list[1] = gsub(concat(form), "\0", number == 51 and "" or "\0")
    if chance(10) and list.n > 1 then list.n = list.n - 1 end
    if chance(1) then list[1] = one_of({ 12, true, {} }) end
    return list
  end)
end

local options = { "b", "B", "h", "H", "i", "I", "l", "L", "j", "J", "T", "f", "d", "n", "s", "z", "x", "X", "<", ">", "=", "!", " ", "c" }
local function layout()
  local out = {}
  for i = 1, below(5) + 1 do
    local o = one_of(options)
    out[i] = o
    if (o == "c" and chance(90)) or ((o == "i" or o == "I" or o == "s" or o == "!") and chance(50)) then
      out[i] = o .. (chance(90) and below(o == "c" and 20 or 18) or one_of({ "99", "2147483647", "2147483648", "99999999999999999999" }))
      if o == "c" and #out[i] > 4 then out[i] = "c3" end
    end
    if chance(2) then out[i] = one_of({ "q", "Xc1", "X", "\0", "8" }) end
  end
  return concat(out)
end
local function pack_calls()
  compare("string", "packsize", function() return args(chance(10) and layout() .. "c2147483639c2147483639c9" or layout()) end)
  compare("string", "pack", function()
    local list = { n = below(6) + 1, layout() }
    for i = 2, list.n do
      local k = below(5)
      if k < 2 then list[i] = below(600) - 200 elseif k == 2 then list[i] = text() elseif k == 3 then list[i] = one_of(odd) else list[i] = below(1000) / 8 end
    end
    return list
  end)
  compare("string", "unpack", function() return args(layout(), chance(97) and text(40) or 12, position()) end)
end

-- A list, or something that stands for one and logs what is done to it.
local log
local function elements(n, holes)
  local t = {}
  for i = 1, n do
    if not (holes and chance(8)) then t[i] = chance(85) and below(50) or one_of({ "s", 1.5, "10", "zz" }) end
  end
  return t
end
local function proxy(n, refuses_huge)
  local t = elements(n)
  local length = chance(80) and n or one_of({ n + 3, 0, -2, "2", 2.0, 2.5, "x", integer_min, false })
  if refuses_huge and chance(3) then length = integer_max end
  local mt = {
    __index = function(_, k) log[#log + 1] = "get " .. show(k) return t[k] end,
    __newindex = function(_, k, v) log[#log + 1] = "set " .. show(k) .. " " .. show(v) t[k] = v end,
    __len = function() log[#log + 1] = "len" return length end,
  }
  if chance(10) then mt[one_of({ "__index", "__newindex", "__len" })] = nil end
  return setmetatable({}, mt)
end
local function list_like(refuses_huge)
  log = {}
  local k = below(20)
  if k < 13 then return elements(below(10), chance(20)) end
  if k < 19 then return proxy(below(8), refuses_huge) end
  return one_of({ 1, "abc", true, false })
end
local function logged(list) return list, log end

local function index()
  if chance(92) then return small() end
  return one_of({ nil, 1.5, "2", "x", true, 3.0, -1.5 })
end

-- Ranges that stock refuses, or that are short at the ends of the integers.
local extreme_moves = { { integer_min, integer_max, 1 }, { 0, integer_max, 1 }, { 1, integer_max, 2 }, { -1, integer_max - 1, 1 },
  { integer_max, integer_max, integer_max }, { integer_min, integer_min, 5 }, { 3, 2, integer_max }, { 1, 2, integer_max } }

local function table_calls()
  compare("table", "insert", function()
    local t = list_like()
    local list = chance(45) and pack(t, below(9)) or pack(t, index(), below(9))
    if chance(3) then list.n = one_of({ 1, 4 }) end
    return logged(list)
  end)
  compare("table", "remove", function() return logged(args(list_like(), chance(60) and index() or nil)) end)
  compare("table", "concat", function()
    return logged(args(list_like(), chance(50) and maybe_text() or nil, chance(30) and index() or nil, chance(30) and index() or nil))
  end)
  if number >= 52 then
    compare("table", "unpack", function()
      local e = chance(40) and index() or nil
      if chance(3) then e = one_of({ 2 ^ 30, 2 ^ 31, integer_max }) end
      return logged(args(list_like(true), chance(40) and index() or nil, e))
    end)
    compare("table", "pack", function() return args(any(), any(), any(), any()) end)
  end
  if number >= 53 or version == "luajit21" then
    compare("table", "move", function()
      local t = list_like()
      local a, b, c = index(), index(), index()
      if chance(4) and has_integers then a, b, c = unpack(one_of(extreme_moves)) end
      local to = nil
      if chance(30) then to = chance(50) and t or elements(4) end
      return logged(pack(t, a, b, c, to))
    end)
  end
  if number == 51 then
    local function visitor(stop) return function(k, v) log[#log + 1] = show(k) .. "=" .. show(v) if k == stop then return k end end end
    compare("table", "foreachi", function()
      return logged(args(list_like(), chance(95) and visitor(below(12)) or one_of({ 1, "x" })))
    end)
    compare("table", "foreach", function()
      return logged(args(list_like(), chance(95) and visitor(below(12)) or one_of({ 1, "x" })))
    end)
    compare("table", "getn", function() return logged(args(list_like())) end)
    compare("table", "maxn", function()
      local t = list_like()
      if type(t) == "table" then
        for i = 1, below(4) do rawset(t, one_of({ -3, 0.5, 7.25, 100, "k", true }), 1) end
      end
      return logged(args(t))
    end)
  end
  if version == "lua51" then compare("table", "setn", function() return logged(args(list_like(), 3)) end) end
  if number >= 55 then
    compare("table", "create", function() return args(one_of({ 0, 5, "3", 2.5, -1, 2 ^ 40, nil }), one_of({ 0, 5, "3", -1, 2 ^ 40, nil })) end)
  end
end

local function order()
  local k, count = below(10), 0
  if k < 3 then return nil end
  local made = below(1000000)
  return function(a, b)
    log[#log + 1] = show(a) .. "?" .. show(b)
    if k < 6 then return tostring(a) < tostring(b) end
    if k == 6 then return true end
    if k == 7 then return false end
    count = count + 1
    if k == 8 and (version ~= "lua51" or count < 200) then return (made * count) % 7 < 3 end -- 5.1 may never end
    if count > 20 + made % 50 then error("comparison " .. count, 0) end
    return tostring(a) > tostring(b)
  end
end
local function sort_calls()
  compare("table", "sort", function()
    log = {}
    local t, n = {}, below(30)
    if chance(10) then n = below(90) end
    local kind = below(3)
    for i = 1, n do t[i] = kind == 0 and below(20) or kind == 1 and text() or (chance(97) and below(1000) or "mixed") end
    if chance(8) then t = list_like(true) end
    if chance(5) and type(t) == "table" and n > 3 then t[below(n) + 1] = nil end
    local f = order()
    if chance(3) then f = one_of({ 1, "x", {} }) end
    return logged(args(t, f))
  end)
end

local function utf8_text()
  local out = {}
  for i = 1, below(8) do
    local k = below(10)
    if k < 3 then out[i] = char(97 + below(26))
    elseif k < 4 then out[i] = char(194 + below(30), 128 + below(64))
    elseif k < 5 then out[i] = char(224 + below(16), 128 + below(64), 128 + below(64))
    elseif k < 6 then out[i] = char(240 + below(8), 128 + below(64), 128 + below(64), 128 + below(64))
    elseif k < 7 then out[i] = char(248 + below(8), 128 + below(64), 128 + below(64), 128 + below(64), 128 + below(64), 128 + below(64))
    elseif k < 8 then out[i] = char(128 + below(64))
    else out[i] = char(below(256)) end
  end
  return concat(out)
end
local function utf8_calls()
  local function lax() if chance(30) then return true end return nil end
  compare("utf8", "len", function() return args(utf8_text(), position(), position(), lax()) end)
  compare("utf8", "codepoint", function() return args(utf8_text(), position(), position(), lax()) end)
  compare("utf8", "offset", function() return args(utf8_text(), position(), position()) end)
  compare("utf8", "char", function()
    local list = { n = below(5) }
    for i = 1, list.n do
      list[i] = one_of({ below(128), below(2048), below(65536), below(2 ^ 21), below(2 ^ 31 - 1), 2 ^ 31, -1, "65", 1.5, 0x10FFFF, 0x110000, 0x7FFFFFFF })
    end
    return list
  end)
  compare("utf8", "codes", function() return args(chance(95) and utf8_text() or one_of({ 12, true })) end)
  local s, l = utf8_text(), lax()
  local function step(f)
    return function(n)
      local iterator = f(s, l)
      return iterator(s, n)
    end
  end
  stock.step, ours.step = { of = select(2, pcall(step, stock.utf8.codes)) }, { of = select(2, pcall(step, ours.utf8.codes)) }
  compare("step", "of", function() return args(position()) end)
end

local math_names = { "abs", "ceil", "floor", "fmod", "modf", "sqrt", "exp", "log", "deg", "rad", "tointeger", "ult", "type", "pow",
  "ldexp", "frexp", "sin", "atan2", "log10", "mod" }
local function math_calls()
  local function value() return chance(60) and below(200) - 100 or chance(50) and (below(200) - 100) / 8 or one_of(odd) end
  for _, name in ipairs({ "min", "max" }) do
    compare("math", name, function()
      local list = { n = below(5) }
      for i = 1, list.n do list[i] = chance(95) and value() or "abc" end
      return list
    end)
  end
  local name = one_of(math_names)
  -- LuaJIT 2.1 writes these two in Lua, so they also take what has an __mul, and complain in other words
  local is_lua = version == "luajit21" and (name == "deg" or name == "rad")
  if stock.math[name] and not is_lua then
    compare("math", name, function() return args(value(), chance(50) and value() or nil) end)
  end
  if number >= 54 then
    compare("math", "randomseed", function() return args(value() or 1, chance(30) and value() or nil) end)
  end
  compare("math", "random", function()
    -- before 5.4 the numbers are not stock's, so that only what fails is compared
    local list = { n = below(4) }
    for i = 1, list.n do list[i] = value() end
    if number < 54 then
      local ok = pcall(stock.math.random, unpack(list, 1, list.n))
      if ok and pcall(ours.math.random, unpack(list, 1, list.n)) then return pack("not", "a", "number") end
    end
    return list
  end)
end

local date_items = { "%Y", "%m", "%d", "%H:%M", "%S", "%a", "%A", "%b", "%B", "%c", "%x", "%X", "%p", "%j", "%U", "%w", "%W", "%y", "%Z", "%%",
  "text", "%Ey", "%Od", "%Q", "%", "%E", "%5", "\0", "%n", "*t", "é" }
if on_windows then -- what its C runtime does not know ends the process, in stock Luas before 5.2 too
  date_items = { "%Y", "%m", "%d", "%H:%M", "%S", "%a", "%A", "%b", "%B", "%c", "%x", "%X", "%p", "%j", "%U", "%w", "%W", "%y", "%%", "text", "é" }
end
local function os_calls()
  compare("os", "date", function()
    local out = {}
    for i = 1, below(4) do
      out[i] = one_of(date_items)
      -- LuaJIT gives the whole format to the C library at once; what is malformed there is not a matter of Lua
      if is_jit and (out[i] == "%" or out[i] == "%E" or out[i] == "%5" or out[i] == "\0" or out[i] == "%Q") then out[i] = "-" end
    end
    local form = (chance(40) and "!" or "") .. (chance(20) and "*t" or concat(out))
    if is_jit and (form == "" or form == "!" or form == "%p") then form = "%Y" end
    local when = chance(80) and below(2 ^ 31 - 1) or one_of({ 0, -1, 1.5, 2 ^ 40, 2 ^ 60, -2 ^ 60, "77", "x", true })
    return args(chance(97) and form or one_of({ 12, true }), when)
  end)
  compare("os", "difftime", function() return args(below(1000), chance(80) and below(1000) or nil) end)
  compare("os", "time", function()
    local t = {}
    for _, k in ipairs({ "year", "month", "day", "hour", "min", "sec", "isdst" }) do
      if chance(90) then t[k] = below(60) - 5 end
      if chance(5) then t[k] = one_of({ "7", 1.5, "x", 2 ^ 40, true }) end
    end
    t.year = 1971 + below(100)
    local log, data = {}, t
    if chance(20) then
      t = setmetatable({}, { __index = function(_, k) log[#log + 1] = k return data[k] end })
    end
    return args(t), log
  end)
end

local function bit_calls()
  for _, name in ipairs({ "band", "bor", "bxor", "btest", "bnot", "lshift", "arshift", "extract", "tohex", "rol" }) do
    if stock.bit[name] then
      compare("bit", name, function()
        local list = { n = below(5) }
        for i = 1, list.n do list[i] = chance(85) and below(5000) - 1000 or chance(50) and tostring(below(100)) or one_of({ true, "x", 1.5, {} }) end
        return list
      end)
    end
  end
end

local function tostring_calls()
  stock.base, ours.base = { tostring = tostring }, { tostring = tostring_ours }
  compare("base", "tostring", function()
    local v = any()
    if chance(20) then
      local r = one_of({ "text", 5, 1.5, false, {} })
      v = setmetatable({}, { __tostring = function() return r end })
    end
    if chance(5) then return { n = 0 } end
    return pack(v)
  end)
end

-- A numeral, nearly always: its parts each short, or as long as the pieces that ours reads, or longer than those.
-- Short ones only on Windows: of long ones wine's C runtime makes other numbers.
local lengths = on_windows and { 0, 1, 1, 2, 3, 4 } or { 0, 1, 1, 2, 5, 17, 20, 40, 257, 801, 4096, 32768, 65536, 70000 }
local function run_of(digits)
  local n = one_of(lengths) + below(3)
  local k, d = below(4), 1 + below(#digits)
  if k == 0 then return rep("0", n) end
  if k == 1 then return rep(digits:sub(d, d), n) end
  if k == 2 then return rep("0", n) .. digits:sub(d, d) end
  local out = {}
  for i = 1, n % 300 do out[i] = digits:sub(1 + (d * i * i) % #digits, 1 + (d * i * i) % #digits) end
  return concat(out) .. rep(digits:sub(d, d), n - n % 300)
end
local function blanks()
  if chance(70) then return "" end
  return one_of({ " ", "\t\n\v\f\r ", rep(" ", chance(10) and 66000 or 3) })
end
local function spoilt(s)
  if chance(85) then return s end
  local at = below(#s + 1)
  return s:sub(1, at) .. one_of({ "x", "n", "\0", "g", " ", "_", "e", "p", "-", ".", ",", "\160", "\0" .. rep("x", 66000) }) .. s:sub(at + 1)
end
local function numeral()
  local is_hex = chance(35)
  local digits = is_hex and "0123456789abcdefABCDEF" or "0123456789"
  local out, whole, fraction = { blanks(), one_of({ "", "", "-", "+" }), is_hex and one_of({ "0x", "0X" }) or "" }, run_of(digits), ""
  out[#out + 1] = whole
  if chance(50) then
    fraction = run_of(digits)
    out[#out + 1] = "." .. fraction
  end
  if chance(50) then
    local of = is_hex and 4 or 1 -- exponents that bring it back among the doubles, to their ends, and anywhere
    local e = one_of({ 0, 1, -5, 300, -300, -#whole * of, #fraction * of, 300 - #whole * of, -324 - #whole * of, #fraction * of - 1074 })
    out[#out + 1] = one_of(is_hex and { "p", "P" } or { "e", "E" })
    out[#out + 1] = chance(90) and (e < 0 and "-" or one_of({ "", "+" })) .. (chance(20) and run_of("0") or "") .. format("%d", math.abs(e))
      or one_of({ "", "-", "+" }) .. run_of("0123456789")
  end
  out[#out + 1] = blanks()
  return spoilt(concat(out))
end
local function word()
  return blanks() .. one_of({ "", "-", "+" }) .. one_of({ "inf", "Infinity", "infinit", "nan", "NAN(", "nan(a_1)", "nan(" .. run_of("0aZ_")
    .. ")", "nan(" .. run_of("1"), "x", "" }) .. blanks()
end
local function based()
  local base = below(37)
  if chance(20) then base = one_of({ 10, 16, 36, 37, -2, 0, 1, "16", "x", 2.5, 16.0, true, 2 ^ 32 + 16, rep("0", 66000) .. "8", rep("1", 66000), rep("z", 66000) }) end
  local most = type(base) == "number" and base >= 2 and base <= 36 and base - base % 1 or 16
  local digits = ("0123456789abcdefghijklmnopqrstuvwxyz"):sub(1, most)
  local s = blanks() .. one_of({ "", "-", "+" }) .. one_of({ "", "", "0x", "0", "00x" }) .. run_of(digits .. digits:upper()) .. blanks()
  return args(chance(90) and spoilt(s) or any(), base)
end
local function tonumber_calls()
  stock.base, ours.base = { tonumber = tonumber }, { tonumber = tonumber_ours }
  for _ = 1, 3 do compare("base", "tonumber", function() return args(numeral()) end) end
  compare("base", "tonumber", function() return args(chance(60) and word() or any(), nil) end)
  compare("base", "tonumber", based)
end

if number >= 54 then -- from here on the two generators are in step
  stock.math.randomseed(seed)
  ours.math.randomseed(seed)
end
for i = 1, cases do
  string_calls()
  format_calls()
  table_calls()
  sort_calls()
  math_calls()
  os_calls()
  tostring_calls()
  if not is_jit then tonumber_calls() end
  if stock.bit then bit_calls() end
  if stock.utf8 then
    pack_calls()
    utf8_calls()
  end
end
if done < cases or failing == 0 or failing == done then error("the generator makes no variety") end
print(format("%s: %d calls equal to stock (%d of them errors)", version, done, failing))
