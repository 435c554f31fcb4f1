-- Random calls of the library, the same ones on either side (calls.py). Each is a line: its number, the call, what came of it.
--
-- The host gives: calls_wanted() -> "SEED FIRST LAST"; calls_functions() -> lines "NAME SIGNATURE"; calls_tell(text).
-- A signature says what a function likes to get, a letter an argument: s text, p pattern, F format, i small integer, n number,
-- t table, f function, c coroutine, k source text, d date format, * anything. A capital N is a number of any size.
local tell = calls_tell
local pcall, type, tostring, select, rawget, next, error, setmetatable = pcall, type, tostring, select, rawget, next, error, setmetatable
local format, gsub, concat, sort, floor, char, find = string.format, string.gsub, table.concat, table.sort, math.floor, string.char, string.find
local create, resume, status, yield, wrap = coroutine.create, coroutine.resume, coroutine.status, coroutine.yield, coroutine.wrap
local unpack, loads = unpack or table.unpack, loadstring or load
local math_type, to_integer = math.type, math.tointeger
local globals = _G
local seed, first, last = calls_wanted():match("(%d+) (%d+) (%d+)")
seed, first, last = tonumber(seed), tonumber(first), tonumber(last)

local state
local function below(n)
  state = state * 16807 % 2147483647
  local v = (state - state % 8) / 8 % n
  return to_integer and to_integer(v) or v
end
local function one_of(list) return list[below(#list) + 1] end
local function chance(percent) return below(100) < percent end

-- ---- values, each with the words that show it ----
local function number_words(v) return (math_type and math_type(v):sub(1, 1) or "") .. format("%.17g", v) end
local names = {} -- of functions that every side has

local function mask(text)
  text = gsub(text, "'_G%.", "'") -- 5.2 takes the name that it finds first, which the hashes decide
  text = gsub(text, "(%a+): 0?x?%x%x%x%x%x%x+", "%1: (hidden)")
  text = gsub(text, "builtin#%d+", "builtin: (hidden)")
  -- A handler that fails until the C stack is full: a collection that happens to come then fails in other words.
  text = gsub(text, "error in __gc metamethod %b()", "error in error handling")
  return (gsub(text, "builtin: %(hidden%)", "(hidden)"))
end
local function quoted(text)
  local shown = gsub(mask(text:sub(1, 300)), "[%c\127-\255\\]", function(c) return format("\\%03d", c:byte()) end)
  return #text > 300 and format('"%s..."(%d)', shown, #text) or '"' .. shown .. '"'
end
local function show(v, depth)
  local t = type(v)
  if t == "number" then return number_words(v) end
  if t == "string" then return quoted(v) end
  if t == "function" then return names[v] or t end
  if t == "thread" then return "thread " .. status(v) end
  if t == "table" and depth < 3 then
    local out = {}
    for k, x in next, v do
      out[#out + 1] = show(k, depth + 1) .. "=" .. show(x, depth + 1)
      if #out > 40 then break end
    end
    sort(out)
    return "{" .. concat(out, ",") .. "}"
  end
  return t == "table" and t or t == "userdata" and t or tostring(v)
end

local small = { 0, 1, 2, 3, -1, -2, 5, 10, 1.5, -0.5, 3.0, "2", " 4 ", "0x3", "1e0", "3.5" }
local tiny_or_bad = { 0, 1, 2, 3, 4, -1, -3, 7, 1.5, 2.0, "2", "x", {}, true }
local huge = { 2 ^ 31, -2 ^ 31, 2 ^ 31 - 1, 2 ^ 32 + 1, 2 ^ 53, -2 ^ 53, 2 ^ 63, -2 ^ 63, 1e100, -1e100, 1 / 0, -1 / 0, 0 / 0, -0.0, 1e-320,
  "1e400", "9007199254740993", "-9223372036854775808", 255, 256, 65536, 0.1, math.maxinteger or 2 ^ 52, math.mininteger or -2 ^ 52 }
local texts = { "", "a", "hello world", "a,b,,c", "%d", "%", "\0x\0", "tab\tline\n", "\228\246\252", "0", "12", "-7", "1e5", "0x1p4", " 42 ",
  "nan", "inf", "abcabcabc", ("x"):rep(200), "\r\n", "caf\195\169", "\237\160\128", "\244\143\191\191", "a.b", "(", "key=value", "z", "1 2", "=", "true" }
local patterns = { "", ".", ".-", "a", "[a-c]+", "(%a+)", "()", "^a", "a$", "%d+", "(a)(b)", "%1", "(a)%1", "%b()", "%f[%w]", "[", "[^", "[a", "%", "(", ")",
  "[]]", "[%a_]*", "x*", "a?b?c?", "(.)(.)", "[\0]", "\0", "%z", "%g", "(()", "%bx", "%f", "[a-]", "[%", "([^,]*),?", "l+", "o", "%s", "^", "$", "%-", "[^%s]+" }
local formats = { "%d", "%5d", "%-5d|", "%05.1f", "%s", "%10s|", "%-10.3s|", "%q", "%x", "%X", "%#o", "%c", "%g", "%e", "%a", "%i", "%u", "%%", "%", "%y", "%10", "%.20s",
  "%100d", "%.100f", "%0+ -#5d", "%s %s", "%d %s", "%5.2q", "%ll", "%.f", "%+.3g", "% d", "%5c", "%F", "%E", "%G", "%A", "x%sx", "%.3d", "%-+ 8.3f|" }
local sources = { "return 1", "return ...", "x =", "return {}", "local a <const> = 1 return a", "goto x ::x:: return 2", "return 1 // 2", "", " ", "return 'a", "--[[",
  "return function() return 3 end", "error('e')", "error({})", "return 1 +", "for i = 1, 2 do end return 7", "\27Lua", "return 0x", "break", "local function f( end", "return return", "x.y.z", "return ~1" }
local dates = { "%Y", "*t", "!*t", "!%c", "%x", "!%H:%M:%S", "%", "!%", "%E", "!%Ey", "!%Od", "%Q", "!%d/%m/%y", "!%j %U %w %a %A %b %B %p", "", "!", "!%5", "!%-d", "!%10Y", "%%", "!%Z", "!%z", "!%T", "!%h", "!%k",
  "!%Ez", "!%O", "!%e", "!%D" , "!%n%t", "!%G %g %V %u", "!%C", "!%F", "!%R", "!%r", "!%s", "!\1%\1", "!%\200" }

local function fresh_table()
  local k = below(14)
  if k == 0 then return {}, "{}" end
  if k == 1 then return { 1, 2, 3 }, "{1,2,3}" end
  if k == 2 then return { "a", "b", n = 2 }, "{'a','b',n=2}" end
  if k == 3 then return { 3, 1, 2, 10, 5 }, "{3,1,2,10,5}" end
  if k == 4 then return { 1, nil, 3 }, "{1,nil,3}" end
  if k == 5 then return { "b", "a", "c" }, "{'b','a','c'}" end
  if k == 6 then return { 1, "a", true }, "{1,'a',true}" end
  if k == 7 then return setmetatable({ 1 }, { __index = { x = 5, 7, 8 } }), "<index>" end
  if k == 8 then return setmetatable({}, { __tostring = function() return "object" end, __name = "Kind" }), "<tostring>" end
  if k == 9 then return setmetatable({ 4, 5 }, { __len = function() return 3 end, __call = function(_, a) return a end }), "<len,call>" end
  if k == 10 then
    local mt = { __eq = function() return true end, __lt = function() return true end, __le = function() return false end, __concat = function() return "joined" end,
      __add = function() return 9 end, __unm = function() return -9 end }
    return setmetatable({ 1 }, mt), "<arith>"
  end
  if k == 11 then return setmetatable({}, { __metatable = "locked", __name = 5, __pairs = function() return next, { 1 }, nil end }), "<locked>" end
  if k == 12 then return { year = 2024, month = 5, day = 17, hour = 3 }, "{date}" end
  return setmetatable({}, { __tostring = function() return 5 end, __len = function() return "x" end, __index = function(_, i) error("index " .. tostring(i), 0) end }), "<bad>"
end

-- A text in pieces: it has an end, because load() asks for more until there is no more.
local function some_pieces()
  local left = 50
  return function()
    left = left - 1
    if left >= 0 then return "r" end
  end
end
local functions = {
  { function(...) return ... end, "id" }, { function() error("raised", 0) end, "raises" }, { function() error({ 1 }) end, "raises table" },
  { function(a, b) return a < b end, "less" }, { false, "r" }, { function() return nil end, "nothing" },
  { function() return yield(1) end, "yields" }, { function(a) return a .. "" end, "text" }, { function() return false end, "false" },
}
local function fresh_coroutine()
  local k = below(4)
  local co = create(one_of(functions)[1] or some_pieces())
  if k == 1 then resume(co, 1) end
  if k == 2 then co = create(function(a) local b = yield(a) error(b, 0) end) resume(co, 5) end
  if k == 3 then co = create(function() error("dead", 0) end) resume(co) end
  return co, "co " .. status(co)
end

local value
local of = {
  s = function(safe)
    local v = one_of(texts)
    if safe and v == "inf" then v = "nan" end -- LuaJIT takes it for a number, and what counts up to it has no end
    return v, quoted(v)
  end,
  p = function() local v = one_of(patterns) return v, quoted(v) end,
  F = function() local v = one_of(formats) return v, quoted(v) end,
  k = function() local v = one_of(sources) return v, quoted(v) end,
  d = function() local v = one_of(dates) return v, quoted(v) end,
  i = function() local v = one_of(small) return v, show(v, 0) end,
  j = function() local v = one_of(tiny_or_bad) return v, show(v, 0) end,
  n = function() local v = chance(60) and one_of(small) or below(2000) / 16 - 50 return v, show(v, 0) end,
  N = function() local v = chance(50) and one_of(huge) or one_of(small) return v, show(v, 0) end,
  t = fresh_table,
  c = fresh_coroutine,
  f = function() local f = one_of(functions) return f[1] or some_pieces(), "<" .. f[2] .. ">" end,
}
local kinds = { "s", "p", "i", "n", "t", "c", "f", "s", "t", "i" }
of["*"] = function(safe)
  local k = below(10)
  if k == 0 then return nil, "nil" end
  if k == 1 then return true, "true" end
  if k == 2 then return false, "false" end
  if k == 3 and not safe then return of.N() end
  return of[one_of(kinds)]()
end

-- ---- the functions ----
local listed = {}
for name, signature in calls_functions():gmatch("(%S+) (%S+)") do
  local library, field = name:match("^(.-)%.(.*)$")
  local f = library and globals[library] and globals[library][field] or globals[name]
  listed[#listed + 1] = { name = name, field = field or name, signature = signature == "-" and "" or signature, f = f, safe = find(signature, "j", 1, true) ~= nil }
  if f ~= nil then names[f] = name end
end

-- ---- ways of calling ----
local compiled = {}
local function chunk(text)
  local f = compiled[text]
  if f == nil then
    f = loads(text, "=c")
    compiled[text] = f
  end
  return f
end
local letters = { "a", "b", "c", "d", "e" }
local function arguments(n) return concat(letters, ",", 1, n) end
local function given(n) return n > 0 and "local " .. arguments(n) .. " = ... " or "" end
local ways = {
  function(e, list, n) return "pcall", e.f, list, n end,
  function(e, list, n) return "tail", chunk(given(n) .. "return " .. e.name .. "(" .. arguments(n) .. ")"), list, n end,
  function(e, list, n) return "call", chunk(given(n) .. "local r, s, t = " .. e.name .. "(" .. arguments(n) .. ") return r, s, t"), list, n end,
  function(e, list, n)
    return "local", chunk("local f " .. (n > 0 and "," or "") .. arguments(n) .. " = ... local r = f(" .. arguments(n) .. ") return r"), { e.f, unpack(list, 1, n) }, n + 1
  end,
  function(e, list, n)
    if n == 0 then n = 1 end
    return "method", chunk(given(n) .. "local r = a:" .. e.field .. "(" .. concat(letters, ",", 2, n) .. ") return r"), list, n
  end,
  function(e, list, n) return "index", chunk("local m, a = ... local r = m[a] return r"), { setmetatable({}, { __index = e.f }), list[1] }, 2 end,
  function(e, list, n) return "add", chunk("local m, a = ... local r = m + a return r"), { setmetatable({}, { __add = e.f }), list[1] }, 2 end,
  function(e, list, n) return "for", chunk("local f, a, b = ... for x, y in f, a, b do return x, y end"), { e.f, list[1], list[2] }, 3 end,
  function(e, list, n) return "wrap", wrap(function(...) return e.f(...) end), list, n end,
  function(e, list, n) return "field", chunk("local t" .. (n > 0 and "," or "") .. arguments(n) .. " = ... local r, s = t.x(" .. arguments(n) .. ") return r, s"), { { x = e.f }, unpack(list, 1, n) }, n + 1 end,
}
local weights = { 1, 1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 3, 1, 3 }

-- What differs from run to run, or between the C library's random numbers and ours, is not shown: nor is an order of names.
local seeded = loads("local x <const> = 1") ~= nil or bit ~= nil -- from 5.4 on, and LuaJIT
local function outcome(e, list, ok, ...)
  local n = select("#", ...)
  if ok and (e.name == "math.randomseed" or e.name == "math.random" and not seeded) then return "returns numbers" end
  if ok and (e.name == "os.time" and list[1] == nil or e.name == "os.date" and list[2] == nil) then return "returns the time" end
  if (e.name == "next" or e.name == "table.foreach") and type(list[1]) == "table" and rawget(list[1], "year") then
    return "takes names in the order of their hashes"
  end
  if ok and e.name == "getmetatable" and type(list[1]) == "string" then return "returns strings' own" end
  local out = {}
  for i = 1, n do
    if i > 20 then out[i] = "..." break end
    out[i] = show((select(i, ...)), 0)
  end
  return (ok and "returns " or "fails ") .. n .. " " .. concat(out, " ")
end

local function one(number)
  state = (seed * 1000003 + number * 7919) % 2147483646 + 1
  below(2) below(2)
  local e = one_of(listed)
  local n = #e.signature
  if chance(20) then n = below(5) end
  local list, words = {}, {}
  for i = 1, n do
    local kind = e.signature:sub(i, i)
    if kind == "" or chance(12) then kind = "*" end
    list[i], words[i] = of[kind](e.safe)
  end
  if e.f == nil then return format("%d %s is absent", number, e.name) end
  local way, f, args, count = ways[one_of(weights)](e, list, n)
  if seeded then math.randomseed(number) end
  local result = outcome(e, list, pcall(f, unpack(args, 1, count)))
  for i = 1, n do
    if type(list[i]) == "table" then result = result .. " after " .. show(list[i], 1) end
  end
  return format("%d %s %s(%s) %s", number, way, e.name, concat(words, ", "), result)
end

local lines = {}
for number = first, last do
  lines[#lines + 1] = one(number)
  if #lines == 500 then
    tell(concat(lines, "\n"))
    lines = {}
  end
end
tell(concat(lines, "\n"))
