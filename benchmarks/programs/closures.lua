-- Makes closures over fresh upvalues, composes them into chains and calls each chain once.
-- N is the number of chains. Returns a checksum of the results.
local chains = N or 35000

local function adder(amount)
  return function(value)
    return value + amount
  end
end

local function scaler(factor, modulus)
  return function(value)
    return value * factor % modulus
  end
end

local function compose(first, second)
  return function(value)
    return second(first(value))
  end
end

local function counter()
  local hits = 0
  return function()
    hits = hits + 1
    return hits
  end, function()
    return hits
  end
end

local hit, hits = counter()
local total = 0
for i = 1, chains do
  local chain = adder(i)
  for step = 1, 5 do
    if (i + step) % 2 == 0 then
      chain = compose(chain, scaler(step + 2, 65521))
    else
      chain = compose(chain, adder(step))
    end
  end
  total = (total + chain(i)) % 1000003
  if total % 3 == 0 then
    hit()
  end
end

return total * 100000 + hits()
