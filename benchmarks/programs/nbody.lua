-- Steps the five large bodies of the solar system (positions in astronomical units, days folded into years).
-- N is the number of steps. Returns the energy before and after, to nine places.
local steps = N or 30000
local sqrt = math.sqrt

local PI = 3.141592653589793
local SOLAR_MASS = 4 * PI * PI
local DAYS = 365.24

-- One array a coordinate and numbers for keys: field names would make the time hang on each state's own hash seed.
local xs, ys, zs, vxs, vys, vzs, masses = {}, {}, {}, {}, {}, {}, {}

local function body(x, y, z, vx, vy, vz, mass)
  local i = #xs + 1
  xs[i], ys[i], zs[i] = x, y, z
  vxs[i], vys[i], vzs[i] = vx * DAYS, vy * DAYS, vz * DAYS
  masses[i] = mass * SOLAR_MASS
end

body(0, 0, 0, 0, 0, 0, 1)
body(4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01,
  1.66007664274403694e-03, 7.69901118419740425e-03, -6.90460016972063023e-05, 9.54791938424326609e-04)
body(8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01,
  -2.76742510726411899e-03, 4.99852801234917238e-03, 2.30417297573763929e-05, 2.85885980666130812e-04)
body(1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01,
  2.96460137564761618e-03, 2.37847173959480950e-03, -2.96589568540237556e-05, 4.36624404335156298e-05)
body(1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01,
  2.68067772490389322e-03, 1.62824170038242295e-03, -9.51592254519715870e-05, 5.15138902046611451e-05)

local function still_the_centre()
  local px, py, pz = 0, 0, 0
  for i = 1, #xs do
    local mass = masses[i]
    px, py, pz = px + vxs[i] * mass, py + vys[i] * mass, pz + vzs[i] * mass
  end
  vxs[1], vys[1], vzs[1] = -px / SOLAR_MASS, -py / SOLAR_MASS, -pz / SOLAR_MASS
end

local function energy()
  local sum = 0
  for i = 1, #xs do
    local vx, vy, vz = vxs[i], vys[i], vzs[i]
    sum = sum + 0.5 * masses[i] * (vx * vx + vy * vy + vz * vz)
    for j = i + 1, #xs do
      local dx, dy, dz = xs[i] - xs[j], ys[i] - ys[j], zs[i] - zs[j]
      sum = sum - masses[i] * masses[j] / sqrt(dx * dx + dy * dy + dz * dz)
    end
  end
  return sum
end

local function advance(dt)
  local count = #xs
  for i = 1, count do
    local x, y, z, mass = xs[i], ys[i], zs[i], masses[i]
    local vx, vy, vz = vxs[i], vys[i], vzs[i]
    for j = i + 1, count do
      local dx, dy, dz = x - xs[j], y - ys[j], z - zs[j]
      local squared = dx * dx + dy * dy + dz * dz
      local pull = dt / (squared * sqrt(squared))
      local toward_j, toward_i = masses[j] * pull, mass * pull
      vx, vy, vz = vx - dx * toward_j, vy - dy * toward_j, vz - dz * toward_j
      vxs[j], vys[j], vzs[j] = vxs[j] + dx * toward_i, vys[j] + dy * toward_i, vzs[j] + dz * toward_i
    end
    vxs[i], vys[i], vzs[i] = vx, vy, vz
    xs[i], ys[i], zs[i] = x + dt * vx, y + dt * vy, z + dt * vz
  end
end

still_the_centre()
local before = energy()
for _ = 1, steps do
  advance(0.01)
end
return string.format("%.9f %.9f", before, energy())
