-- A full collection that goes in steps: it can be ended between two of them, and it collects all the same.
local collect = collect_ours

local function finalized(f)
  if newproxy then
    getmetatable(newproxy(true)).__gc = f
  else
    setmetatable({}, { __gc = f })
  end
end

local keep = {}
for i = 1, 400000 do keep[i] = { i } end
assert(heap() > 2 ^ 24, "too small a heap to be collected in steps")

-- The flag that a deadline sets goes up in the midst of the collection: a finalizer raises it.
collectgarbage()
collectgarbage()
finalized(function() interrupt_in(0) end)
local outcome = attempt(nil, collect)
assert(calm(), "no finalizer was called")
assert(outcome == "interrupted", "a collection that is told to end goes on: " .. outcome)

-- Garbage that a cycle of Lua's own has marked already, at many moments of such a cycle: all of it goes.
collectgarbage()
collectgarbage()
local least, steps = heap(), 1
while not collectgarbage("step", 0) do steps = steps + 1 end
for round = 0, 19 do
  local dying = {}
  for i = 1, 5000 do dying[i] = { i } end
  for _ = 1, steps * round / 20 do collectgarbage("step", 0) end
  dying = nil
  assert(attempt(nil, collect) == "ok")
  local left = heap() - least
  assert(left < 4096, string.format("round %d: %d bytes of garbage are left", round, left))
end
print(string.format("%s: collected in steps", version))
