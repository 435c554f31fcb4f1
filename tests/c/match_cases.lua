-- What the sandbox's pattern matching does where the stock functions cannot be asked: they would not end, or would not
-- survive. Run by test_match.py through lib_driver. Argument: the name of one case, or none to print all names.
local cases = {}
local is_51 = _VERSION == "Lua 5.1"
local big = 1024 * 1024

-- f must run until the interrupt comes, and then end with the interrupt's own error value.
local function interrupted(f)
  interrupt_in(0.03)
  local ok, err = pcall(f)
  local was = calm()
  assert(not ok, "it ended by itself")
  assert(type(err) == "userdata", "it raised: " .. tostring(err))
  assert(was, "it raised before the interrupt")
end

local function raises(message, f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "no error")
  assert(type(err) == "string" and string.find(err, message, 1, true), "another error: " .. tostring(err))
end

function cases.interrupt_ends_exponential_patterns()
  local many = ("a?"):rep(40) .. ("a"):rep(40)
  local s = ("a"):rep(40)
  interrupted(function() for _ = 1, 1000 do ours.find(s, many) end end)
  interrupted(function() ours.match(("a"):rep(5000), ("a*"):rep(30) .. "b") end)
  interrupted(function() ours.match(("a"):rep(5000), ("a-"):rep(30) .. "b") end)
  interrupted(function() ours.gsub(("a"):rep(5000), ("a+"):rep(30) .. "b", "") end)
  interrupted(function() for _ in ours.gmatch(("a"):rep(5000), ("(a*)"):rep(30) .. "b") do end end)
  interrupted(function() ours.match(("a"):rep(5000), ("[a-c]*"):rep(30) .. "[xyz]") end)
  interrupted(function() ours.match(("a"):rep(5000), ("%l*"):rep(30) .. "%d") end)
end

function cases.interrupt_ends_quadratic_scans()
  local s = ("a"):rep(2 * big)
  interrupted(function() ours.find(s, ".-b") end)
  interrupted(function() ours.find(s, "a*b") end)
  interrupted(function() ours.find(s, "a+$b") end)
  interrupted(function() ours.find(("("):rep(2 * big), "%b()") end)
  interrupted(function() ours.find(s, "(a*)%1b") end)
  interrupted(function() ours.find(s, "[ab]-[^a]") end)
end

function cases.interrupt_ends_plain_searches()
  local s = ("a"):rep(8 * big)
  interrupted(function() ours.find(s, ("a"):rep(2 * big) .. "b" .. ("a"):rep(big), 1, true) end)
  interrupted(function() while true do ours.find(s, "b", 1, true) end end)
  interrupted(function() while true do ours.find("", ("x"):rep(4 * big)) end end)
end

function cases.interrupt_ends_endless_sets()
  local set = "[" .. ("b"):rep(4 * big) .. "]"
  interrupted(function() while true do ours.find("a", set) end end)
  interrupted(function() ours.find(("a"):rep(big), (set .. "*"):rep(6)) end)
  interrupted(function() while true do ours.find("a", "%f" .. set) end end)
end

function cases.interrupt_ends_long_patterns()
  local s = ("a"):rep(4 * big)
  local p = s .. "."
  interrupted(function() while true do ours.find(s, p) end end)
  interrupted(function() while true do ours.match(s, "^" .. ("%w"):rep(big)) end end)
end

function cases.interrupt_ends_growing_replacements()
  local s = ("a"):rep(64 * 1024)
  local with = ("%0"):rep(32 * 1024)
  limit(64 * big)
  local ok, err = pcall(ours.gsub, s, "a", with)
  limit()
  assert(not ok and string.find(err, "not enough memory", 1, true), err)
  interrupted(function() while true do ours.gsub("a", "()", ("%1"):rep(64 * 1024)) end end)
  interrupted(function() while true do ours.gsub(s, "", "") end end)
  interrupted(function() while true do ours.gsub(s, "a", setmetatable({}, { __index = { a = false } })) end end)
end

function cases.interrupt_comes_through_callbacks()
  local n = 0
  interrupted(function()
    ours.gsub("abc", "%w", function()
      n = n + 1
      return (ours.gsub("abc", "%w", function() return ours.match(("a"):rep(5000), ("a*"):rep(30) .. "b") end))
    end)
  end)
  assert(n == 1)
end

function cases.nested_gsub_ends_in_an_error()
  local depth = 0
  local function nest()
    depth = depth + 1
    return (ours.gsub("a", "a", nest))
  end
  raises("stack overflow", nest)
  assert(depth > 100, depth)
  local lookups = 0
  local t = {}
  setmetatable(t, { __index = function() lookups = lookups + 1 return (ours.gsub("a", "a", t)) end })
  raises("stack overflow", ours.gsub, "a", "a", t)
  assert(lookups > 100, lookups)
  depth = 0
  raises("stack overflow", nest) -- the first one left nothing behind
  assert(ours.gsub("abc", "%w", function(c) return ours.gsub(c, ".", "%0%0") end) == "aabbcc")
end

function cases.nested_gsub_in_coroutines_ends_in_an_error()
  local depth = 0
  local function nest()
    depth = depth + 1
    local co = coroutine.create(function() return (ours.gsub("a", "a", nest)) end)
    local ok, err = coroutine.resume(co)
    if not ok then error(err, 0) end
    return err
  end
  raises("stack overflow", nest)
  assert(depth > 20, depth)
end

function cases.depth_is_limited()
  local most = is_51 and arg[2] ~= "jit" and 1000 or 200
  local s = ("a"):rep(3000)
  assert(ours.match(s, ("a-"):rep(most - 1)) == "")
  raises("pattern too complex", ours.match, s, ("a-"):rep(most))
  raises("pattern too complex", ours.match, s, ("a?"):rep(most * 2))
  raises("pattern too complex", ours.gsub, s, ("(a-)"):rep(30) .. ("a-"):rep(most), "")
end

function cases.gmatch_goes_on_after_an_error()
  local nexts = ours.gmatch(("a"):rep(3000), ("a-"):rep(1500))
  for _ = 1, 3000 do raises("pattern too complex", nexts) end
  nexts = ours.gmatch("ab", "(")
  for _ = 1, 10 do assert(not pcall(nexts) or true) end
  nexts = ours.gmatch("abc", "%w")
  assert(nexts() == "a")
  local co = coroutine.wrap(function() return nexts() end)
  assert(co() == "b") -- another coroutine goes on where the first one stopped
  assert(nexts() == "c" and nexts() == nil and nexts() == nil)
end

function cases.memory_limit_is_a_memory_error()
  local s = ("x"):rep(big)
  for _, f in ipairs({
    function() return ours.gsub(s, "x", "%0%0%0%0") end,
    function() return ours.gsub(s, "x", function(c) return c:rep(8) end) end,
    function() return ours.gsub(s, "x", { x = s }) end,
  }) do
    collectgarbage()
    limit(2 * big)
    local ok, err = pcall(f)
    limit()
    assert(not ok and err == "not enough memory", tostring(err))
  end
  collectgarbage()
  local before = heap()
  assert(#ours.gsub(s, "x", "%0%0") == 2 * big)
  collectgarbage()
  assert(heap() - before < 4096, heap() - before)
end

function cases.every_refused_allocation_is_clean()
  local s = ("key = value, "):rep(100)
  local expected = ours.gsub(s, "(%w+) = (%w+)", "%2 = %1")
  local passed = false
  local function count()
    local n = 0
    for _ in ours.gmatch(s, "%a+") do n = n + 1 end
    return n
  end
  for bytes = 0, 40000, 37 do
    collectgarbage()
    limit(bytes)
    local ok, a = pcall(ours.gsub, s, "(%w+) = (%w+)", "%2 = %1")
    local ok_2, b = pcall(count)
    limit()
    assert(ok and a == expected or not ok and a == "not enough memory", tostring(a))
    assert(ok_2 and b == 200 or not ok_2 and b == "not enough memory", tostring(b))
    passed = ok and ok_2
  end
  assert(passed)
end

function cases.long_texts_are_whole()
  local s = ("0123456789"):rep(100000)
  assert(ours.gsub(s, "5", "") == ("012346789"):rep(100000))
  assert(select(2, ours.gsub(s, "%d", "%0")) == #s)
  assert(ours.find(s .. "needle" .. s, "needle", 1, true) == #s + 1)
  assert(ours.find(s .. "needle", "n[e]+dle") == #s + 1)
  assert(ours.match(s .. "!", "^%d*()!$") == #s + 1)
  assert(ours.match(s, "^(.-)$") == s)
  assert(#ours.match("(" .. s .. ")", "%b()") == #s + 2)
  assert(ours.match(s .. "=" .. s, "^(%d+)=%1$") == s)
  local set = "[" .. ("%a_x-z"):rep(20000) .. "5]"
  assert(ours.find("---5", set) == 4)
  assert(ours.find("---Q", set) == 4)
  assert(ours.find("----", set) == nil)
  raises("missing ']'", ours.find, "a", ("[a"):rep(50000))
end

function cases.replacement_keeps_what_is_not_replaced()
  local same = "abc"
  assert(ours.gsub(same, "x", "y") == same)
  assert(ours.gsub("abc", "b", function() return nil end) == "abc")
  assert(ours.gsub("abc", "%w", { b = "-" }) == "a-c")
  assert(ours.gsub("abc", "%w", "") == "")
  assert(ours.gsub("abc", "", "") == "abc")
  assert(ours.gsub("\0a\0", "%z", "0") == "0a0")
  raises("no such luck", ours.gsub, "abc", "b", function() error("no such luck") end)
end

function cases.yields_do_not_cross()
  local co = coroutine.create(function() return ours.gsub("a", "a", coroutine.yield) end)
  local ok, err = coroutine.resume(co)
  assert(not ok and string.find(err, "yield", 1, true), tostring(err))
end

if arg[1] == nil then
  local names = {}
  for name in pairs(cases) do names[#names + 1] = name end
  table.sort(names)
  print(table.concat(names, "\n"))
else
  cases[arg[1]]()
end
