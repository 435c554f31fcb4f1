-- Grows arrays and maps one element at a time until they are dropped: reallocation of blocks of every size.
-- N is the size of the largest table. Returns a checksum of what the tables held.
local largest = N or 100000

local sum = 0
local size = 10
while size <= largest do
  local array = {}
  for i = 1, size do
    array[i] = i
  end
  local names = math.floor(size / 5)
  local map = {}
  for i = 1, size do
    map["k" .. i % names] = i
  end
  local sparse = {}
  for i = size, 1, -3 do
    sparse[i * 7] = true
  end
  local kept = 0
  for _ in pairs(map) do
    kept = kept + 1
  end
  for _ in pairs(sparse) do
    kept = kept + 1
  end
  sum = sum + #array + kept
  size = size * 2
end
return sum
