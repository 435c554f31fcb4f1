-- What the libraries must not tell or share: addresses, bytecode, the process's environment, another run's numbers.
local number = tonumber((version:gsub("luajit%d+", "51"):gsub("lua", "")))
local seen = {}
local objects = { {}, print, function() end, coroutine.create(function() end) }
if number >= 53 then objects[#objects + 1] = setmetatable({}, { __name = "Kind" }) end

for _, object in ipairs(objects) do
  local text = tostring_ours(object)
  local kind, shown = text:match("^(%a+): (0x%x%x%x%x%x%x%x%x%x%x%x%x)$")
  if not kind then error("tostring gives " .. text) end
  if tostring(object) == text then error("tostring gives what stock does: the address") end
  if tostring_ours(object) ~= text then error("tostring gives something else the second time") end
  if seen[text] then error("two objects have the text " .. text) end
  seen[text] = true
  if version ~= "lua51" and ours.string.format("%s", object) ~= text then error("%s gives something else") end
  for _, form in ipairs({ "%p", "%20p", "%-20p" }) do
    local ok, message = pcall(ours.string.format, form, object)
    if ok ~= pcall(stock.string.format, form, object) then error(form .. " is not as stock's: " .. message) end
    if ok and message:match("^ *(0x%x+) *$") ~= shown then error(form .. " gives " .. message) end
  end
end

if ours.string.dump then error("string.dump is there") end
local os_names = { clock = true, date = true, difftime = true, getenv = true, setlocale = true, time = true }
for name in pairs(ours.os) do
  if not os_names[name] then error("os." .. name .. " is there") end
end
for lib, functions in pairs(ours) do
  for name in pairs(functions) do
    if stock[lib][name] == nil then error(lib .. "." .. name .. " is not in stock Lua") end
  end
end

if ours.os.getenv("HOME") ~= "nowhere" or ours.os.getenv("EMPTY") ~= "" or ours.os.getenv("PATH") ~= nil then
  error("getenv shows something else than what the host gave")
end

-- The generator is the run's: the C library's is neither read nor changed.
local function numbers(random)
  local list = {}
  for i = 1, 8 do list[i] = random(1000000) end
  return table.concat(list, " ")
end
if number < 54 then
  stock.math.randomseed(5)
  local expected = numbers(stock.math.random)
  stock.math.randomseed(5)
  ours.math.randomseed(9)
  numbers(ours.math.random)
  if numbers(stock.math.random) ~= expected then error("math.random disturbs the C library's generator") end
end
ours.math.randomseed(3)
local first = numbers(ours.math.random)
ours.math.randomseed(4)
if numbers(ours.math.random) == first then error("another seed gives the same numbers") end
ours.math.randomseed(3)
if numbers(ours.math.random) ~= first then error("the same seed gives other numbers") end
local low, high, sum = 10, 0, 0
for _ = 1, 20000 do
  local v = ours.math.random(10)
  low, high, sum = math.min(low, v), math.max(high, v), sum + v
  if v ~= math.floor(v) then error("math.random(10) gave " .. v) end
  local r = ours.math.random()
  if r < 0 or r >= 1 then error("math.random() gave " .. r) end
end
if low ~= 1 or high ~= 10 or math.abs(sum / 20000 - 5.5) > 0.1 then error("math.random(10) is not even") end
if number >= 54 then
  local a = { ours.math.randomseed() }
  local b = { ours.math.randomseed() }
  if #a ~= 2 or (a[1] == b[1] and a[2] == b[2]) then error("randomseed() gives the same seeds again") end
end
print(version .. ": no address, no bytecode, no environment, no shared generator")
