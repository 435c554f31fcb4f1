-- Counts the points of a square grid that stay bounded under z -> z^2 + c: floating point in local variables.
-- N is the number of points along a side. Returns the number of points inside and the steps taken.
local side = N or 240
local LIMIT = 50

local inside, steps = 0, 0
for row = 0, side - 1 do
  local ci = 2 * row / side - 1
  for column = 0, side - 1 do
    local cr = 2 * column / side - 1.5
    local zr, zi, zr2, zi2 = 0, 0, 0, 0
    local left = LIMIT
    while left > 0 and zr2 + zi2 <= 4 do
      zi = 2 * zr * zi + ci
      zr = zr2 - zi2 + cr
      zr2, zi2 = zr * zr, zi * zi
      left = left - 1
    end
    if left == 0 then
      inside = inside + 1
    end
    steps = steps + LIMIT - left
  end
end
return inside * 10000000 + steps
