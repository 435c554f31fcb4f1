-- The sieve of Eratosthenes over one array of booleans, a few times over: array writes, one large block.
-- N is the upper bound. Returns the number of primes and the largest of them.
local bound = N or 400000
local ROUNDS = 4

local flags = {}
for i = 1, bound do
  flags[i] = true
end

local count, largest = 0, 0
for _ = 1, ROUNDS do
  count = 0
  for i = 2, bound do
    flags[i] = true
  end
  for i = 2, bound do
    if flags[i] then
      count = count + 1
      largest = i
      for multiple = i * i, bound, i do
        flags[multiple] = false
      end
    end
  end
end
return count * 1000000 + largest
