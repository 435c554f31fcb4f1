-- An object-oriented simulation: devices, workers and a clock exchange messages through a priority queue of events.
-- Classes with inheritance and method calls; every message and every event is a fresh object.
-- N is the number of clock ticks simulated. Returns a checksum of what each unit did.
local ticks = N or 8000
local floor = math.floor

local function class(base)
  local kind = setmetatable({}, base and { __index = base } or nil)
  kind.__index = kind
  kind.new = function(...)
    local object = setmetatable({}, kind)
    object:init(...)
    return object
  end
  return kind
end

-- A binary heap ordered by time, then by order of arrival.
local Queue = class()

function Queue:init()
  self.events, self.count, self.arrivals = {}, 0, 0
end

local function earlier(a, b)
  return a.time < b.time or (a.time == b.time and a.arrival < b.arrival)
end

function Queue:push(time, unit, message)
  self.arrivals = self.arrivals + 1
  local event = { time = time, arrival = self.arrivals, unit = unit, message = message }
  local events, at = self.events, self.count + 1
  self.count = at
  while at > 1 do
    local parent = floor(at / 2)
    if earlier(events[parent], event) then
      break
    end
    events[at] = events[parent]
    at = parent
  end
  events[at] = event
end

function Queue:pop()
  local events, count = self.events, self.count
  local first, last = events[1], events[count]
  events[count] = nil
  count = count - 1
  self.count = count
  if count > 0 then
    local at = 1
    while true do
      local child = at * 2
      if child > count then
        break
      end
      if child < count and earlier(events[child + 1], events[child]) then
        child = child + 1
      end
      if earlier(last, events[child]) then
        break
      end
      events[at] = events[child]
      at = child
    end
    events[at] = last
  end
  return first
end

local Message = class()

function Message:init(kind, sender, value)
  self.kind, self.sender, self.value = kind, sender, value
end

local Unit = class()

function Unit:init(simulation, id)
  self.simulation, self.id, self.handled, self.sum = simulation, id, 0, 0
end

function Unit:send(delay, target, kind, value)
  local simulation = self.simulation
  simulation.queue:push(simulation.now + delay, target, Message.new(kind, self, value))
end

function Unit:receive(message)
  self.handled = self.handled + 1
  self["on_" .. message.kind](self, message)
end

local Clock = class(Unit)

function Clock:on_tick(message)
  local workers = self.simulation.workers
  self:send(1, self, "tick", message.value + 1)
  self:send(0, workers[message.value % #workers + 1], "job", message.value)
  if message.value % 3 == 0 then
    self:send(2, workers[message.value % 5 % #workers + 1], "job", -message.value)
  end
end

local Worker = class(Unit)

function Worker:init(simulation, id, device)
  Unit.init(self, simulation, id)
  self.device, self.waiting, self.busy = device, {}, false
end

function Worker:start(job)
  self.busy = true
  self:send(1 + job.cost, self.device, "request", job)
end

function Worker:on_job(message)
  local job = { number = message.value, cost = message.value % 4, steps = { message.kind, self.id } }
  if self.busy then
    self.waiting[#self.waiting + 1] = job
  else
    self:start(job)
  end
end

function Worker:on_reply(message)
  self.sum = (self.sum * 7 + message.value) % 1000003
  self.busy = false
  local next_job = table.remove(self.waiting, 1)
  if next_job then
    self:start(next_job)
  end
end

local Device = class(Unit)

function Device:on_request(message)
  local job = message.value
  job.steps[#job.steps + 1] = self.id
  self.sum = (self.sum + job.number * #job.steps) % 1000003
  self:send(1, message.sender, "reply", self.sum)
end

local SlowDevice = class(Device)

function SlowDevice:on_request(message)
  message.value.number = message.value.number * 2
  Device.on_request(self, message)
end

local simulation = { now = 0, queue = Queue.new(), workers = {} }
local units = { Clock.new(simulation, 1) }
for i = 1, 8 do
  local device = (i % 3 == 0 and SlowDevice or Device).new(simulation, 100 + i)
  local worker = Worker.new(simulation, 200 + i, device)
  simulation.workers[i] = worker
  units[#units + 1] = device
  units[#units + 1] = worker
end

simulation.queue:push(0, units[1], Message.new("tick", units[1], 0))
while simulation.now < ticks do
  local event = simulation.queue:pop()
  simulation.now = event.time
  event.unit:receive(event.message)
end

local checksum = 0
for i = 1, #units do
  checksum = (checksum * 31 + units[i].handled * 17 + units[i].sum) % 1000003
end
return checksum
