-- Runs and compilations: fresh globals, the protected call, and what it came to.
--
-- The entries (S.run, S.compile_only, S.release) are called by the host with the limit lifted and the lock held, and
-- leave both so. They return flat values; whatever came between, the host finds out from S.result().
local S, call = ...
local error, next, pcall, select, type, xpcall = error, next, pcall, select, type, xpcall
local count, setupvalue, traceback = collectgarbage, debug.setupvalue, debug.traceback
local find, sub = string.find, string.sub
local unpack, remove = table.unpack or unpack, table.remove
local setfenv = setfenv

local scripts, script_count, free_refs = {}, 0, {}
local functions = {}
local libraries = { string = S.string, table = S.table, math = S.math, os = S.make_os(),
                    utf8 = utf8, bit32 = bit32, bit = S.bit }

-- A host function: everything Python does happens lifted, and comes back as plain values.
local function exchange(index, name, n, ...)
  local problem, what, _, at = S.pack(S.max_output, n, ...)
  if problem == "interrupted" then return problem end
  if problem then
    local why = problem == "large" and "larger than max_output_size"
      or problem == "cycle" and "a table that contains itself"
      or problem == "depth" and "nested too deeply"
      or what .. " is not plain data"
    return "refused", "bad argument #" .. at .. " to '" .. name .. "' (" .. why .. ")"
  end
  local status, answer = call(index, S.limit, S.memory_used())
  if status == "full" then -- perhaps there is room once the garbage is gone
    count("collect")
    status, answer = call(-1, S.limit, S.memory_used())
  end
  if status == "value" then return status, S.unpack() end
  return status, answer
end

local function host_function(index, name)
  return function(...)
    S.poll()
    S.lift()
    local ok, status, answer = pcall(exchange, index, name, select("#", ...), ...)
    S.lower()
    if not ok and not S.due then
      if type(status) ~= "userdata" then error(status, 0) end -- Lua's own: no stack was left
      S.fatal, S.due = status, true
    elseif status == "fatal" then
      S.due = true
    end
    if S.due then S.stop() end
    if status == "value" then return answer end
    if status == "full" then
      S.refused = true
      error(S.no_memory, 0)
    end
    local text = S.where(2) .. answer
    if status == "error" then S.raised, S.raised_kind = text, "callback" end
    error(text, 0)
  end
end

function S.offer(index, name) functions[name] = host_function(index, name) end

-- The metatable of strings: its __index is a table no script can reach, and it is closed to getmetatable.
local strings = debug.getmetatable("")
strings.__index, strings.__metatable = {}, false
for name, f in next, S.string do strings.__index[name] = f end

local function new_globals(hooked)
  local env = {}
  libraries.coroutine = (hooked or S.jit) and S.guarded_coroutine or S.stock_coroutine
  for name, value in next, S.base do env[name] = value end
  for name, library in next, libraries do
    local copy = {}
    for key, value in next, library do copy[key] = value end
    env[name] = copy
  end
  for name, f in next, functions do env[name] = f end
  env.context = { request = {}, response = {}, metadata = {} }
  env._G = env
  S.fresh_random()
  return env
end

local function bind(script, env)
  if setfenv then setfenv(script, env or {}) else setupvalue(script, 1, env) end
end

-- The text of an error value. A table's __tostring is the script's code: it runs under the limits.
local function message_of(problem)
  local kind = type(problem)
  if kind == "string" then return problem end
  if kind == "number" then return problem .. "" end
  local mt = debug.getmetatable(problem)
  if mt and mt.__tostring ~= nil then
    local ok, text = pcall(mt.__tostring, problem)
    if ok and type(text) == "string" then return text end
  end
  return "(error object is a " .. kind .. " value)"
end

-- Message handler of the whole run: takes down what is known while the stack still stands. Lua calls none when memory
-- ran out, and calls it for what load() finds wrong too, where the run goes on.
local function on_error(problem)
  if S.due then return problem end
  -- Without a hook the stock coroutine.wrap passes refusals on, and words are all there is to know them by.
  local refused = S.is_refusal(problem) and (S.refused or problem ~= S.no_memory)
    or not S.hooked and type(problem) == "string" and find(problem, "not enough memory$")
  local raised = S.raised ~= nil and problem == S.raised
  S.outcome = refused and "memory" or "error"
  if S.end_bytes == 0 then S.end_bytes = S.memory_used() end
  S.lift() -- what is noted here is bounded, and none of it is the script's code
  S.line_of_error = S.line(3)
  problem = S.placed(problem, 3)
  S.lower()
  if refused then return problem end
  if raised then
    S.kind = S.raised_kind
    if S.kind == "forbidden" then S.path = S.forbidden end
  end
  S.message = sub(message_of(problem), 1, 65536)
  S.lift()
  S.traceback = sub(traceback("", 2), 1, 16384)
  S.lower()
  return problem
end

local function keep(...)
  S.end_bytes = S.memory_used()
  S.results, S.result_count = { ... }, select("#", ...)
end

-- Make the script callable: it, or nil with S.not_loaded set.
local function load_script(ref, source, name)
  if ref then return scripts[ref] end
  if sub(source, 1, 1) == "\27" then
    S.not_loaded = "the script is compiled Lua code: only source text is accepted"
    return nil
  end
  local script, problem = S.compile(source, name, S.env)
  S.not_loaded = problem and sub(problem, 1, 65536)
  return script
end

S.least_bytes = S.memory_used()

-- The Lua stack that our own functions need is not the script's.
local blank = {}
local function grow_stack() return select("#", unpack(blank, 1, 40)) end

local function begin(limit, period, seconds, budget)
  if not S.jit then grow_stack() end -- whose stack is large enough
  S.outcome, S.message, S.traceback, S.kind, S.line_of_error = nil, "", "", "", 0
  S.not_loaded, S.raised, S.refused, S.fatal, S.due, S.spent = nil, nil, false, nil, false, false
  S.results, S.result_count, S.end_bytes, S.script, S.peak = nil, 0, 0, nil, 0
  S.start_bytes = S.memory_used()
  S.nested = 0
  S.limit = limit > 0 and S.start_bytes + limit + 1 or 0 -- lupa refuses what would reach its limit
  S.begin_hook(period, seconds, budget)
end

-- Call body() under the limits; afterwards the limit is lifted and the lock held again.
local function guarded(body)
  S.running = true
  S.lower()
  local ok, problem = xpcall(body, on_error)
  S.lift()
  S.running, S.hooked = false, false
  if S.end_bytes == 0 then S.end_bytes = S.memory_used() end
  if S.due then
    S.outcome = "due"
  elseif ok and S.not_loaded == nil then
    S.outcome = "ok"
  elseif ok and S.not_loaded == S.no_memory then
    S.outcome = "memory"
  elseif ok then
    S.outcome, S.message = "syntax", S.not_loaded
  elseif S.outcome == nil then
    -- Lua called no handler: memory ran out, by the script's doing or the watcher's; or the handler itself failed.
    if problem == S.no_memory then
      S.outcome = S.ending() and "due" or "memory"
    else
      S.outcome, S.message = "error", message_of(problem)
    end
  end
  if S.outcome == "memory" and S.ending() then S.outcome = "due" end
end

-- Hand the output to Python: what the chunk returned, or the global `result` when it returned nothing.
local function pack_output(env)
  if S.outcome ~= "ok" then return end
  local n, results = S.result_count, S.results
  if n == 0 then
    results = { rawget(env, "result") }
    if results[1] ~= nil then n = 1 end
  end
  local problem, what, path, at, size = S.pack(S.max_output, n, unpack(results, 1, n))
  S.size = size
  if problem == "interrupted" then
    S.outcome = "due"
  elseif problem == "large" then
    S.outcome = "output"
  elseif problem then
    S.outcome, S.message = "data", what ~= "" and what or problem
    S.kind = problem == "key" and "key" or ""
    S.path = (S.result_count > 1 and "[" .. at .. "]" or "") .. path
  end
end

function S.run(ref, source, name, with_context, limit, period, seconds, budget)
  local env = new_globals(period > 0)
  S.env, S.path, S.size = env, "", 0
  begin(limit, period, seconds, budget)
  if with_context then env.context = S.unpack() end
  local script
  guarded(function()
    script = load_script(ref, source, name)
    if not script then return end
    bind(script, env)
    S.script = script
    return keep(script())
  end)
  S.hooked = S.period > 0
  local ok, problem = pcall(pack_output, env) -- raises the mark when the run is to end meanwhile
  if not ok and not S.due then S.fatal, S.due = problem, true end
  if not ok then S.outcome = "due" end
  S.end_hook()
end

function S.compile_only(source, name, limit, period, seconds)
  S.env, S.path, S.size = {}, "", 0
  begin(limit, period, seconds)
  guarded(function() S.script = load_script(nil, source, name) end)
  S.end_hook()
end

-- What the last run or compilation came to. Collects: nothing of a run stays.
function S.finish(keep_script)
  S.depth, S.quiet, S.hooked, S.running = 1, 0, false, false
  S.end_hook()
  S.forget()
  if S.script then bind(S.script, nil) end
  if S.due then
    S.outcome = "due"
  elseif S.outcome == nil then
    S.outcome = "memory" -- the limit was reached outside the script, with nothing left to say so
  end
  local ref = -1
  if keep_script and S.script then
    ref = remove(free_refs)
    if not ref then
      script_count = script_count + 1
      ref = script_count
    end
    scripts[ref] = S.script
  end
  local fatal = S.fatal
  S.env, S.script, S.results, S.raised, S.fatal = nil, nil, nil, nil, nil
  count("collect")
  while S.memory_used() > S.least_bytes * 1.03 do -- the table of strings is halved once in a collection
    local before = S.memory_used()
    count("collect")
    if S.memory_used() >= before then S.least_bytes = before end
  end
  if S.memory_used() < S.least_bytes then S.least_bytes = S.memory_used() end
  return S.outcome, S.message, S.line_of_error, S.traceback, S.path, S.kind, S.start_bytes, S.end_bytes, S.peak,
    S.size, S.logs_dropped, S.spent, ref, fatal
end

-- Forget a script; `collects` once for several.
function S.release(ref, collects)
  scripts[ref] = false
  free_refs[#free_refs + 1] = ref
  if collects then count("collect") end
end

-- Let go of everything: what is left is collected, and with it what Lua held of the host's.
function S.shut_down()
  scripts, functions, libraries = {}, {}, {}
  strings.__index = nil
  for name in next, S do S[name] = nil end
end
