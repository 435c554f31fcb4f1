-- Makes and drops small records, pairs and rows: tables of small tables, with array parts, hash parts and both.
-- N is the number of particles. Returns a checksum of their final cells.
local particles = N or 1200
local floor = math.floor
local ROUNDS = 40

local function vector(x, y)
  return { x = x, y = y }
end

local function plus(a, b)
  return vector(a.x + b.x, a.y + b.y)
end

local function scaled(a, factor)
  return vector(a.x * factor, a.y * factor)
end

local world = {}
for i = 1, particles do
  world[i] = { id = i, position = vector(i % 37, i % 41), velocity = vector(i % 5 - 2, i % 7 - 3), trail = {} }
end

local cells = 0
for round = 1, ROUNDS do
  local grid = {}
  for i = 1, particles do
    local particle = world[i]
    particle.position = plus(particle.position, scaled(particle.velocity, 0.5))
    particle.trail = { particle.trail[2], particle.trail[3], { particle.position.x, particle.position.y } }
    local key = floor(particle.position.x / 4) * 64 + floor(particle.position.y / 4)
    local cell = grid[key]
    if not cell then
      cell = {}
      grid[key] = cell
    end
    cell[#cell + 1] = { particle.id, round }
  end
  for _, cell in pairs(grid) do
    cells = cells + #cell * cell[1][2]
  end
end

local sum = cells
for i = 1, particles do
  local position = world[i].position
  sum = sum + position.x * 2 + position.y * 4
end
return sum
