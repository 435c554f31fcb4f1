-- Differential fuzz of pattern matching: random patterns, subjects and replacements go to the stock functions and to
-- this project's, and every result and error message must be equal. Run by fuzz_match.py through lib_driver.
-- Arguments: number of pattern/subject pairs, seed. Prints what it did; an error names the first pair that differs.
local pairs_wanted, seed = tonumber(arg[1]), tonumber(arg[2])
local char, sub, rep, concat, format = string.char, string.sub, string.rep, table.concat, string.format
local select, type, pcall = select, type, pcall
local is_jit = type(jit) == "table" or arg[3] == "jit"
local puts_nul_in_patterns = _VERSION ~= "Lua 5.1"

-- A generator of its own, for the same pairs in every version: 31-bit Lehmer, exact in doubles and in integers.
local state = seed % 2147483646 + 1
local function below(n)
  state = state * 16807 % 2147483647
  return (state - state % 7) / 7 % n - ((state - state % 7) / 7 % n) % 1
end
local function one_of(list) return list[below(#list) + 1] end
local function chance(percent) return below(100) < percent end

local letters = { "a", "b", "c", "A", "1", "2", " ", "=", "-", ".", "(", ")", "[", "]", "%", "^", "$", "_", "\n", "\t" }
local subject_letters = { "a", "a", "a", "b", "b", "c", "A", "B", "0", "1", " ", " ", "=", "-", ".", "(", ")", "[", "]",
  "%", "\n", "\0", "\200", "\255", "_", "f", "z", "\127" }
local classes = { "a", "c", "d", "g", "l", "p", "s", "u", "w", "x", "z", "A", "C", "D", "G", "L", "P", "S", "U", "W", "X", "Z" }
local suffixes = { "*", "+", "-", "?" }
local set_letters = { "a", "b", "c", "A", "Z", "0", "9", " ", "=", "-", "-", ".", "^", "]", "[", "%", "\0", "\200" }

local function any_byte() return char(below(256)) end

-- Beside each pattern grows a text that it might match, in `sample`.
local sample = {}
local class_samples = { a = "aZ", c = "\n\1", d = "09", g = "!a", l = "ab", p = ".,", s = " \t", u = "AB", w = "a0", x = "fF9", z = "\0" }
local function sample_of(class)
  local from = class_samples[class] or "-\200 "
  local at = below(#from) + 1
  return sub(from, at, at)
end

-- Each of these returns a pattern and one text for it.
local function set()
  local out, likely = { "[" }, "x"
  if chance(25) then out[#out + 1] = "^" end
  if chance(8) then out[#out + 1] = "]" end
  for _ = 1, 1 + below(4) do
    local kind = below(10)
    if kind < 4 then
      likely = one_of(set_letters)
      out[#out + 1] = likely
    elseif kind < 7 then
      local class = one_of(classes)
      likely = sample_of(class)
      out[#out + 1] = "%" .. class
    elseif kind < 9 then out[#out + 1] = one_of(set_letters) .. "-" .. one_of(set_letters)
    else out[#out + 1] = "%" .. one_of(set_letters) end
  end
  if not chance(2) then out[#out + 1] = "]" end
  return concat(out), likely
end

local function single()
  local kind = below(20)
  if kind < 7 then
    local c = one_of({ "a", "a", "b", "c", "1", " ", "=" })
    return c, c
  elseif kind < 10 then return ".", one_of(subject_letters)
  elseif kind < 14 then
    local class = one_of(classes)
    return "%" .. class, sample_of(class)
  elseif kind < 17 then return set()
  elseif kind < 19 then
    local c = one_of(letters)
    return "%" .. c, c
  end
  local c = (puts_nul_in_patterns or chance(20)) and any_byte() or one_of(letters)
  return c, c
end

local items
local function item(depth)
  local kind = below(40)
  if kind < 28 then
    local text, likely = single()
    if chance(45) then
      local suffix = one_of(suffixes)
      likely = rep(likely, suffix == "?" and below(2) or suffix == "+" and 1 + below(3) or below(4))
      text = text .. suffix
    end
    sample[#sample + 1] = likely
    return text
  elseif kind < 33 and depth < 3 then return "(" .. items(depth + 1, 3) .. ")"
  elseif kind < 34 then return "()"
  elseif kind < 35 then
    local ends = one_of({ "()", "[]", "ab", "aa", "  ", "%%", "..", ".)", "%a", "[.", "$b" })
    sample[#sample + 1] = chance(50) and ends or sub(ends, 1, 1) .. "b" .. sub(ends, 2)
    return "%b" .. ends
  elseif kind < 37 then
    local text, likely = set()
    sample[#sample + 1] = likely
    return "%f" .. text
  elseif kind < 39 then return "%" .. one_of({ "1", "1", "1", "2", "3", "0", "9" })
  else
    local c = one_of(letters)
    sample[#sample + 1] = c
    return c
  end
end

items = function(depth, most)
  local out = {}
  for i = 1, below(most) + 1 do out[i] = item(depth) end
  return concat(out)
end

local function mutated(text)
  local at = below(#text + 1)
  local kind = below(4)
  if kind == 0 then return sub(text, 1, at)
  elseif kind == 1 then return sub(text, 1, at) .. one_of(letters) .. sub(text, at + 1)
  elseif kind == 2 then return sub(text, 1, at) .. sub(text, at + 2)
  else return sub(text, 1, at) .. any_byte() .. sub(text, at + 2) end
end

-- Quantified items multiply the work: five of them on a subject of thirty are tens of thousands of steps at most.
local function quantifiers(text)
  local n = 0
  for i = 1, #text do
    local c = sub(text, i, i)
    if c == "*" or c == "+" or c == "-" or c == "?" then n = n + 1 end
  end
  return n
end

local function pattern()
  local kind = below(1000)
  if kind < 3 then return rep(one_of({ "(", "()", "(a)", "a?", "a*", "a-", ")", "%1", "x", "(a" }), below(45)) end
  if kind < 7 then return rep(one_of({ "a-", "c*", "[ab]-", "(a-)", "a?" }), 150 + below(80)) end -- depth: about 200
  local text
  repeat
    sample = {}
    text = items(0, 5)
    if chance(12) then text = "^" .. text end
    if chance(12) then text = text .. "$" end
    if chance(18) then text = mutated(text) end
    if chance(4) then text = mutated(text) end
  until quantifiers(text) <= 5
  return text
end

local function subject(text)
  local out, kind = {}, below(18)
  if kind >= 10 then
    local likely = rep(concat(sample), 1 + below(3))
    if #likely > 40 then likely = sub(likely, 1, 40) end
    if quantifiers(text) <= 1 and chance(10) then return rep(likely .. one_of(subject_letters), 8) end
    if kind < 14 then likely = one_of(subject_letters) .. likely .. one_of(subject_letters) end
    return likely
  end
  if kind == 0 then return one_of({ "", "a", "\0", "aaa", "a=b", "key = value", "((a)b)", "THE (quick) fox" }) end
  for i = 1, below(kind < 8 and 14 or 30) do
    if kind == 1 then out[i] = one_of({ "a", "b" })
    elseif kind == 2 then out[i] = "a"
    elseif kind == 3 and #text > 0 then
      local at = below(#text) + 1
      out[i] = sub(text, at, at)
    else out[i] = one_of(subject_letters) end
  end
  return concat(out)
end

local function replacement()
  local out = {}
  for i = 1, below(5) do
    local kind = below(12)
    if kind < 5 then out[i] = "%" .. one_of({ "0", "1", "1", "2", "3", "9", "%" })
    elseif kind < 6 then out[i] = "%" .. one_of({ "a", " ", "\0", "-", "" })
    elseif kind < 7 then out[i] = any_byte()
    else out[i] = one_of({ "x", "yy", "<", ">", "", "long replacement text" }) end
  end
  return concat(out)
end

local starts = { 0, 1, 1, 2, 3, 5, 10, 14, 15, 40, -1, -2, -5, -14, -40, 2147483647, -2147483648, "2", "x", 1e15, -1e15 }
if not is_jit then starts[#starts + 1] = 2 ^ 53; starts[#starts + 1] = -2 ^ 53 end
local counts = { 0, 1, 1, 2, 3, -1, "1", 100, 1e9 }

-- Everything a call gave: the number of results and each; or the error.
local function gather(ok, ...) return { ok, n = select("#", ...) + 1, ... } end
local calls = 0
local shown -- what is being compared, for the message

local function differ(a, b)
  if a.n ~= b.n then return true end
  for i = 1, a.n do
    local x, y = a[i], b[i]
    if i > 1 then x, y = a[i], b[i] end
    if x ~= y and not (x ~= x and y ~= y) or type(x) ~= type(y) then return true end
    if math.type and math.type(x) ~= math.type(y) then return true end
  end
  return false
end

local function show(r)
  local out = {}
  for i = 1, r.n do out[i] = type(r[i]) == "string" and format("%q", r[i]) or tostring(r[i]) end
  return concat(out, ", ")
end

local function compare(what, f, ...)
  calls = calls + 1
  local a = gather(pcall(f, stock, ...))
  local b = gather(pcall(f, ours, ...))
  if differ(a, b) then
    local out = {}
    for i = 1, select("#", ...) do
      local v = select(i, ...)
      out[i] = type(v) == "string" and format("%q", v) or tostring(v)
    end
    error(format("pair %d: %s(%s)\nstock: %s\nours:  %s", shown, what, concat(out, ", "), show(a), show(b)), 0)
  end
  return a
end

local function keep(...) return ... end -- so that no call below is a tail call: the message shows the caller

local function find(lib, ...) return keep(lib.find(...)) end
local function match(lib, ...) return keep(lib.match(...)) end
local function gsub(lib, ...) return keep(lib.gsub(...)) end

local function gmatch(lib, s, p, from)
  local out, n = {}, 0
  local function add(...)
    local k = select("#", ...)
    if k == 0 or select(1, ...) == nil then return false end
    for i = 1, k do n = n + 1; out[n] = type(select(i, ...)) .. ":" .. select(i, ...) end
    n = n + 1
    out[n] = "|"
    return true
  end
  local nexts = from == nil and lib.gmatch(s, p) or lib.gmatch(s, p, from)
  local rounds = 0
  while add(nexts()) do
    rounds = rounds + 1
    if rounds > 200 then error("gmatch does not end") end
  end
  return concat(out, ","), select("#", nexts())
end

local function gsub_calls(lib, s, p, answer, most)
  local seen = {}
  local function f(...)
    for i = 1, select("#", ...) do seen[#seen + 1] = tostring((select(i, ...))) end
    seen[#seen + 1] = "|"
    return answer
  end
  local text, n
  if most == nil then text, n = lib.gsub(s, p, f) else text, n = lib.gsub(s, p, f, most) end
  return text, n, concat(seen, ",")
end

local answers = { "x", 7, 1.5, "", false, {}, "%1", true }
local tables = {
  { a = "1", b = "2", [" "] = "", [1] = "one", ab = "AB" }, {}, { a = false, b = 3 }, { a = {} },
  setmetatable({}, { __index = function(_, k) return "<" .. tostring(k) .. ">" end }),
  setmetatable({}, { __index = function(_, k) if k == "b" then error("no b", 0) end return nil end }),
}

local results = { matched = 0, failed = 0, nothing = 0 }
for i = 1, pairs_wanted do
  shown = i
  local p = pattern()
  local s = subject(p)
  local start
  if chance(40) then start = one_of(starts) end
  local r = compare("match", match, s, p, start)
  if not r[1] then results.failed = results.failed + 1
  elseif r[2] == nil then results.nothing = results.nothing + 1
  else results.matched = results.matched + 1 end
  local plain
  if chance(20) then plain = chance(70) end
  if start == nil then compare("find", find, s, p) else compare("find", find, s, p, start, plain) end
  if chance(50) then
    local from
    if chance(20) then from = one_of(starts) end
    compare("gmatch", gmatch, s, p, from)
  end
  local most
  if chance(30) then most = one_of(counts) end
  local kind = below(8)
  if kind < 4 then
    local with = replacement()
    if most == nil then compare("gsub", gsub, s, p, with) else compare("gsub", gsub, s, p, with, most) end
  elseif kind < 5 then compare("gsub", gsub, s, p, one_of(tables), most)
  elseif kind < 6 then
    local answer
    if chance(80) then answer = one_of(answers) end
    compare("gsub with a function", gsub_calls, s, p, answer, most)
  end
  if i % 997 == 0 then -- wrong arguments, and numbers where strings belong
    local odd = { false, {}, 12, 1.5, "a", tostring }
    compare("find", find, one_of(odd), one_of(odd), one_of(odd))
    compare("match", match, one_of(odd))
    compare("gmatch", gmatch, one_of(odd), one_of(odd), one_of(odd))
    compare("gsub", gsub, one_of(odd), one_of(odd), one_of(odd), one_of(odd))
    compare("gsub", gsub, 1213, "%d", 4)
    compare("gsub", gsub, "abc", "%w")
  end
end
print(format("%s: %d pairs, %d calls compared: %d matched, %d did not, %d raised", _VERSION, pairs_wanted, calls,
  results.matched, results.nothing, results.failed))
