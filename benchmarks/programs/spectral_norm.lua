-- Power iteration for the spectral norm of an infinite matrix cut to N by N: calls and floating point.
-- N is the number of rows. Returns the norm to nine places.
local rows = N or 180

local function cell(i, j)
  local diagonal = i + j - 1
  return 1 / (diagonal * (diagonal - 1) * 0.5 + i)
end

local function times(x, y)
  for i = 1, rows do
    local sum = 0
    for j = 1, rows do
      sum = sum + x[j] * cell(i, j)
    end
    y[i] = sum
  end
end

local function times_transposed(x, y)
  for i = 1, rows do
    local sum = 0
    for j = 1, rows do
      sum = sum + x[j] * cell(j, i)
    end
    y[i] = sum
  end
end

local u, v, between = {}, {}, {}
for i = 1, rows do
  u[i] = 1
end
for _ = 1, 10 do
  times(u, between)
  times_transposed(between, v)
  times(v, between)
  times_transposed(between, u)
end

local dot, square = 0, 0
for i = 1, rows do
  dot = dot + u[i] * v[i]
  square = square + v[i] * v[i]
end
return string.format("%.9f", math.sqrt(dot / square))
