-- The random numbers of a run belong to it. Up to 5.3 and in LuaJIT the stock functions share one generator with the
-- whole process (the C library's rand); these draw from L'Ecuyer's combination of two multiplicative generators, whose
-- products fit a double. From 5.4 on the stock generator belongs to the Lua state and is made fresh for every run, from the
-- host's seeds: Lua's own hold an address, which randomseed() tells and the numbers give away.
local S, seed1, seed2 = ...
local error, floor, pcall, select, tonumber, type = error, math.floor, pcall, select, tonumber, type
local format = string.format

-- LuaJIT's bit.tohex() negates its width, which the smallest integer has no room for: 2.0 then writes beyond its buffer
-- (CVE-2024-31449). The one next to it means the same, more digits than there are.
if bit then
  local tohex, tobit = bit.tohex, bit.tobit
  S.bit = {}
  for name, value in next, bit do S.bit[name] = value end
  function S.bit.tohex(...)
    local x, width = ...
    if width ~= nil then
      local ok, n = pcall(tobit, width)
      if ok and n == -2147483648 then return tohex(x, -2147483647) end
    end
    return tohex(...) -- a tail call: the script is blamed
  end
end

local lib = {}
for name, value in next, math do lib[name] = value end

local stock_seed = math.randomseed
local modern = math.ult ~= nil and pcall(stock_seed) -- randomseed() without arguments: 5.4
if modern then
  function S.fresh_random()
    seed1 = seed1 + 1
    return stock_seed(seed1, seed2)
  end
  function lib.randomseed(...)
    if select("#", ...) == 0 then return S.fresh_random() end
    return stock_seed(...)
  end
  S.math = lib
  return
end

local a, b

local function seed(n)
  if n ~= n or n == math.huge or n == -math.huge then n = 0 end
  a = n % 2147483562 + 1
  b = floor(n / 65536) % 2147483398 + 1
  for _ = 1, 4 do
    a = a * 40014 % 2147483563
    b = b * 40692 % 2147483399
  end
end

function S.fresh_random() seed(0) end

local function draw()
  a = a * 40014 % 2147483563
  b = b * 40692 % 2147483399
  return (a - b) % 2147483562
end

-- In [0, 1), 53 bits.
local function fraction()
  return (floor(draw() / 32) * 134217728.0 + floor(draw() / 16)) / 9007199254740992.0
end

local function number(value, index, name)
  local n = tonumber(value)
  if n == nil or type(value) == "boolean" then
    error(format("bad argument #%d to '%s' (number expected, got %s)", index, name, value == nil and "no value" or type(value)), 3)
  end
  return n
end

function lib.random(...)
  local n = select("#", ...)
  if n == 0 then return fraction() end
  if n > 2 then error("wrong number of arguments", 2) end
  local low, high = 1, nil
  if n == 1 then
    high = floor(number((...), 1, "random"))
  else
    low, high = floor(number((...), 1, "random")), floor(number(select(2, ...), 2, "random"))
  end
  if low > high then error(format("bad argument #%d to 'random' (interval is empty)", n), 2) end
  return floor(low + floor(fraction() * (high - low + 1.0)))
end

function lib.randomseed(n) seed(floor(number(n, 1, "randomseed"))) end

S.math = lib
