-- For every permutation of 1..N, counts the prefix reversals until 1 comes first; only array reads and writes.
-- N is the length of the permutations. Returns the largest count and an alternating checksum.
local length = N or 8

local original, working, counts = {}, {}, {}
for i = 1, length do
  original[i] = i
end

local most, checksum, sign, rest = 0, 0, 1, length
while true do
  while rest ~= 1 do
    counts[rest] = rest
    rest = rest - 1
  end
  for i = 1, length do
    working[i] = original[i]
  end
  local flips = 0
  local first = working[1]
  while first ~= 1 do
    local low, high = 1, first
    while low < high do
      working[low], working[high] = working[high], working[low]
      low, high = low + 1, high - 1
    end
    flips = flips + 1
    first = working[1]
  end
  if flips > most then
    most = flips
  end
  checksum = checksum + sign * flips
  sign = -sign
  repeat
    rest = rest + 1
    if rest > length then
      return checksum * 1000 + most
    end
    local front = original[1]
    for i = 1, rest - 1 do
      original[i] = original[i + 1]
    end
    original[rest] = front
    counts[rest] = counts[rest] - 1
  until counts[rest] > 0
  rest = rest - 1
end
