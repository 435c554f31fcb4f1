-- The guarded call on lupa's Python API alone: who may allocate when, and how a run is ended.
--
-- Every part gets S, the table they share; this one also gets the host's callables. lupa lets Python work on the Lua
-- state outside any protected call, where a refused allocation aborts the process, or, in a callback, leaves the GIL
-- locked for good. So the limit is in force only while the script's own code runs:
--   S.lift() ... S.lower()  around everything Python does; they nest.
-- The host's watcher makes the limit 1 byte when a run is to end, which fails the next allocation; it does so only while
-- it can take the hold that lift() takes: an entry of a Python dict, { [HOLDER] = RUN }. hold (setdefault), let_go (pop),
-- set_limit and memory_used are C functions of Python: they run no Python code, so no signal handler and no exception can
-- come between.
--
-- A run that is to end (S.due) raises S.mark in the hook, from then on at every instruction; every function of the
-- sandbox that could catch it raises it again. Parts are written in what Lua 5.1 to 5.5 have in common.
local S, hold, let_go, set_limit, memory_used, attend = ...
local HOLDER, RUN = 0, 1
local error, pcall, select, type = error, pcall, select, type
local clock, count, sethook, find, gsub = os.clock, collectgarbage, debug.sethook, string.find, string.gsub
local getinfo = debug.getinfo

S.mark = "the run is being ended"
S.no_memory = "not enough memory" -- Lua's own text, in every version

-- Whether an error value says that memory was refused; 5.3's buffers say so in words of their own.
function S.is_refusal(problem)
  return problem == S.no_memory
    or type(problem) == "string" and find(problem, "not enough memory for buffer allocation$") ~= nil
end

S.depth = 1 -- lifted sections that are open; the host starts and ends inside one
S.limit = 0 -- bytes of the whole Lua state, 0 for none
S.due = false
S.running = false -- between begin and end of the script's own code
S.peak = 0 -- KiB, as sampled
S.fatal = nil -- a Python exception that came out of a callable of the host's
S.jit = type(jit) == "table"
S.old = _VERSION == "Lua 5.1" -- LuaJIT calls itself so too
S.real51 = S.old and not S.jit
if S.jit then jit.off() end -- compiled code never looks at hooks, and leaves out allocations that it can do without
-- What error() must be told to blame the caller of a function that was reached by a tail call.
S.tail_level = S.real51 and 3 or 2

-- Calling anything may need memory, which may be refused just here, even on the way out of the last call. So each step can
-- be done twice: taking the hold that is the run's already gives it to the run, and the hold is let go of last. The hook is
-- kept away meanwhile: for so many calls of it, which is more than these functions need, since an error leaves the number
-- standing.
S.quiet = 0 -- calls of the hook that are to do nothing

function S.lift()
  if S.depth == 0 then
    S.quiet = 50
    while hold(HOLDER, RUN) ~= RUN do end
    set_limit(0)
  end
  S.depth = S.depth + 1
end

function S.lower()
  if S.depth > 1 then
    S.depth = S.depth - 1
    return
  end
  S.quiet = 50
  set_limit(S.limit, true)
  S.depth = 0
  let_go(HOLDER, nil)
  S.quiet = 0
end

-- No code of the script's runs lifted. Should an error have left it so, for want of stack in lower() itself, make it good.
function S.settle()
  S.depth = 1
  S.lower()
end

S.memory_used = function() return memory_used(true) end

-- Make room for a block of n bytes, as far as collecting does: auxiliary buffers are refused without a collection, on 5.1
-- and LuaJIT everything is.
function S.room(n)
  if n > 4096 and S.limit > 0 and count("count") * 1024 + 2 * n > S.limit then count("collect") end
end
local retries = not S.old -- Lua itself collects when memory is refused

local next_look = 0 -- on clock(), when the host is asked again
-- Windows counts its milliseconds in 31 bits: after 24.8 days of the process clock() says less than 0. Then ask each time.
-- In a forked child it starts anew. Then ask once.
local cpu_clock, latest = clock, 0
clock = function()
  local now = cpu_clock()
  local again = now < latest
  latest = now
  return (again or now < 0) and 1 / 0 or now
end

-- Ask the host whether the run is to end; Python looks at its signals meanwhile. True from then on. An error where there is
-- no C stack left to ask on: what catches it has more.
function S.ending()
  S.lift()
  local ok, answer, seconds = pcall(attend)
  if ok then
    latest = cpu_clock()
    next_look = latest < 0 and 0 or latest + seconds
  elseif type(answer) == "userdata" then
    S.fatal, answer = answer, true
  end
  if ok and answer or S.fatal then S.due = true end
  S.lower()
  if not ok and not S.due then error(answer, 0) end
  return S.due
end

local hook

-- End the run. What the script still gets to run while its frames are left, such as a __close, ends at its first
-- instruction.
function S.stop()
  if S.hooked then sethook(hook, "", 1) end
  error(S.mark, 0)
end
local stop = S.stop

-- For functions of the sandbox that work for long without a hook being called.
function S.poll()
  if S.due or (S.hooked and clock() >= next_look and S.ending()) then stop() end
end

-- Take one period's instructions from the budget.
local function spend()
  if not S.budget then return end
  S.budget = S.budget - S.period
  if S.budget < 0 then S.due, S.spent = true, true end
end

local function new_table() return {} end

-- clock() is the process's CPU time, on Windows wall time: good enough to say when to ask the host, which knows. On a busy
-- machine CPU time falls behind: then the table finds no memory once the watcher has taken it away.
local heard = false

function hook()
  if S.depth ~= 0 then
    if not S.running or find(getinfo(2, "S").source, "^=luagauge") then return end
    S.settle()
  end
  if S.quiet > 0 then
    heard, S.quiet = true, S.quiet - 1
    return
  end
  if S.due then stop() end
  if S.jit then -- which makes "error in error handling" of memory that a hook is refused
    if not pcall(new_table) and S.ending() then stop() end
  else
    local _ = {}
  end
  local used = count("count")
  if used > S.peak then S.peak = used end
  if not retries and used > S.crowded then -- half way from what was live to the limit
    count("collect")
    S.crowded = (count("count") + S.limit / 1024) / 2
  end
  spend()
  if S.due or (clock() >= next_look and S.ending()) then stop() end
end

-- Hook the running coroutine, or a new one. In PUC Lua each needs its own, and counts for itself: a budget pays for what
-- a new one may run before its first call of the hook.
function S.hook(co)
  if not co then return sethook(hook, "", S.period) end
  if not S.jit then sethook(co, hook, "", S.period) end
  spend()
  if S.due then stop() end
end

-- Whether the hook is called in the running coroutine. It is not while an error is handled that came from calling the
-- hook itself, such as "C stack overflow": code of the script's that runs then could go on for ever.
-- False too when the run is to end.
function S.hook_works()
  heard, S.quiet = false, 50
  sethook(hook, "", 1)
  sethook(hook, "", S.period)
  S.quiet = 0
  spend() -- the count to the next call of the hook begins anew
  if clock() >= next_look then S.ending() end
  return heard and not S.due
end

-- 5.1 keeps the hook of every coroutine in a table of the registry that nothing empties.
local function hooks_of_51()
  S.period = 1000
  S.hook()
  for _, value in next, debug.getregistry() do
    if type(value) == "table" then
      for _, found in next, value do
        if found == hook then
          sethook()
          return value
        end
      end
    end
  end
end
local hooks = S.real51 and hooks_of_51()

function S.begin_hook(period, seconds, budget)
  S.crowded = S.limit > 0 and (S.start_bytes + S.limit) / 2048 or math.huge
  S.period, S.budget, S.hooked, S.spent = period, budget, period > 0, false
  next_look = clock() + seconds
  if S.hooked then S.hook() end
end

function S.end_hook()
  S.hooked = false
  sethook()
  if hooks then
    for key in next, hooks do hooks[key] = nil end
  end
end

-- Functions of C's that call the script back nest on the C stack: gsub with eight kilobytes each, LuaJIT's without a bound of
-- its own. S.nested counts the calls back that are open; who catches an error sets it to what it was.
S.nested = 0
S.deepest = 60

function S.left(n, ...)
  S.nested = n
  return ...
end

function S.enter()
  local n = S.nested
  if n >= S.deepest then error("C stack overflow", 0) end
  S.nested = n + 1
  return n
end

-- A function of C's that the sandbox calls blames the sandbox's own line for what it complains about.
local OURS = "^luagauge%.%w+:%d+: "

-- What a protected call came to: raises again when the run is to end, else passes everything on. Looks at the clock after an
-- error: it may have come from calling the hook where no stack was left for it, time and again.
function S.caught(ok, ...)
  if S.running and S.depth ~= 0 then S.settle() end
  if not ok and S.hooked then
    local problem = ...
    if type(problem) == "string" and find(problem, "stack overflow", 1, true) then spend() end
    S.poll()
  end
  if not ok and not S.due and S.depth == 0 then
    local problem = ...
    if S.is_refusal(problem) then
      if not retries then count("collect") end -- the script goes on with what the failed call let go of
      if not S.ending() then -- the limit's doing, not the watcher's
        S.refused = true
        return ok, S.no_memory
      end
    elseif type(problem) == "string" and find(problem, OURS) then
      return ok, (gsub(problem, OURS, "", 1))
    end
  end
  if S.due then stop() end
  return ok, ...
end

-- Raise what pcall() of a stock function returned, as if the script had called it by `name`; `level` as error's.
function S.blame(name, level, message)
  if S.due then stop() end
  if S.is_refusal(message) then
    S.refused = true
    error(S.no_memory, 0)
  end
  if type(message) ~= "string" then error(message, 0) end
  local text = gsub(gsub(message, OURS, "", 1), "to '[%w.?]+'", function() return "to '" .. name .. "'" end, 1)
  error(text, level + 1)
end

-- For `return S.through(name, pcall(stock, ...))` in a function that stands in for the stock one.
function S.through(name, ok, ...)
  if ok then return ... end
  S.blame(name, S.tail_level, ...)
end

-- The same one tail call further in.
function S.through_twice(name, ok, ...)
  if ok then return ... end
  S.blame(name, S.real51 and 4 or 2, ...)
end

-- The line a script's own code is at, from this level up, and the name of its source; 0 when there is none.
function S.line(level)
  while true do
    local info = getinfo(level, "Sl")
    if not info then return 0, "?" end
    if info.currentline > 0 and not find(info.source, "^=luagauge") then return info.currentline, info.short_src end
    level = level + 1
  end
end

-- "name:line: " of the script's own code from this level up, or nothing.
function S.where(level)
  local line, name = S.line(level + 1)
  return line > 0 and name .. ":" .. line .. ": " or ""
end

-- An error value with the script's line in the place of the sandbox's; `level` is where the script's frames begin.
function S.placed(problem, level)
  if type(problem) ~= "string" or not find(problem, OURS) then return problem end
  local where = S.where(level + 1)
  return (gsub(problem, OURS, function() return where end, 1))
end
