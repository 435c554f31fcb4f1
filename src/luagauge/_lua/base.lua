-- The base functions and coroutines of the sandbox: those that differ from stock Lua's.
local S, log_append, time, getenv = ...
local error, pcall, xpcall, select, type = error, pcall, xpcall, select, type
local rawget, setmetatable, getmetatable = rawget, setmetatable, getmetatable
local tostring, next = tostring, next
local raw_metatable = debug.getmetatable
local concat, find, sub, format = table.concat, string.find, string.sub, string.format
local count, stock_load = collectgarbage, load
local caught, blame, real51 = S.caught, S.blame, S.real51

local base = {}
for name in ("assert error ipairs next pairs rawequal rawget rawset rawlen select type tonumber _VERSION getmetatable")
  :gmatch("%S+") do
  base[name] = _G[name]
end
if S.old then
  base.unpack, base.rawlen = unpack, nil
end

-- Raise an error that, uncaught, makes the result an OperationNotAllowed; `level` as error's.
local function forbid(what, level)
  local text = S.where(level + 1) .. what .. " is not allowed"
  S.raised, S.raised_kind, S.forbidden = text, "forbidden", what
  error(text, 0)
end

function base.setmetatable(t, mt)
  local is = type(mt)
  if is == "table" and rawget(mt, "__gc") ~= nil then
    local held = type(t) == "table" and raw_metatable(t)
    if type(t) == "table" and not (held and rawget(held, "__metatable") ~= nil) then
      forbid("a finalizer (__gc)", 2)
    end
  elseif not real51 and (is == "table" or mt == nil) and type(t) == "table" then
    return setmetatable(t, mt) -- a tail call: the script is blamed for a protected metatable
  end
  return S.through("setmetatable", pcall(setmetatable, t, mt))
end

-- Any value as text, without addresses.
local function text_of(value)
  local kind = type(value)
  if kind ~= "table" and kind ~= "userdata" and kind ~= "function" and kind ~= "thread" then return tostring(value) end
  local mt = raw_metatable(value)
  if mt then
    if rawget(mt, "__tostring") ~= nil then return tostring(value) end
    local name = not S.old and S.names_types and rawget(mt, "__name")
    if type(name) == "string" then kind = name end
  end
  return kind .. ": (hidden)"
end
S.text_of = text_of
S.names_types = find(tostring(setmetatable({}, { __name = "probe" })), "^probe") ~= nil -- from 5.3 on

function base.tostring(...)
  local value = ...
  local kind = type(value)
  if kind == "number" or kind == "string" then return tostring(value) end
  if value == nil and select("#", ...) == 0 then error("bad argument #1 to 'tostring' (value expected)", 2) end
  return (text_of(value))
end

local function log_entry(level, message)
  local bytes = #message
  if S.log_left < 1 or bytes > S.log_bytes then
    S.logs_dropped = S.logs_dropped + 1
    return
  end
  S.log_left, S.log_bytes = S.log_left - 1, S.log_bytes - bytes
  S.room(bytes)
  log_append(format("%d:%.6f:", #level, time()) .. level .. message) -- one call: all of an entry, or none
end

local function logged(value, by)
  local text = text_of(value)
  if type(text) == "number" then text = tostring(text) end
  if type(text) ~= "string" then error(S.where(2) .. "'tostring' must return a string to '" .. by .. "'", 0) end
  return text
end

local function log_all(level, by, ...)
  local n = select("#", ...)
  local parts = { ... }
  local bytes = n
  for i = 1, n do
    parts[i] = logged(parts[i], by)
    bytes = bytes + #parts[i]
  end
  S.room(bytes)
  log_entry(level, concat(parts, "\t", 1, n))
end

function base.print(...)
  if select("#", ...) ~= 1 then return log_all("print", "print", ...) end
  local text = logged((...), "print")
  return log_entry("print", text)
end

function base.log(level, ...)
  if type(level) == "number" then level = tostring(level) end
  if type(level) ~= "string" then
    error(format("bad argument #1 to 'log' (string expected, got %s)", level == nil and "no value" or type(level)), 2)
  end
  if select("#", ...) == 0 then error("bad argument #2 to 'log' (value expected)", 2) end
  if #level > 32 then error("bad argument #1 to 'log' (a level has at most 32 bytes)", 2) end
  if select("#", ...) ~= 1 then return log_all(level, "log", ...) end
  local text = logged((...), "log")
  return log_entry(level, text)
end

function base.collectgarbage(what)
  if what == nil or what == "collect" then
    S.poll()
    return count("collect")
  elseif what == "count" then
    return count("count")
  elseif what == "step" then
    S.poll()
    count("collect")
    return true
  elseif what == "isrunning" then
    return true
  elseif type(what) ~= "string" then
    error(format("bad argument #1 to 'collectgarbage' (string expected, got %s)", type(what)), 2)
  end
  forbid(format("collectgarbage('%s')", #what > 20 and "?" or what), 2)
end

local function caught_at(n, ...)
  S.nested = n
  return caught(...)
end

function base.pcall(...) return caught_at(S.nested, pcall(...)) end

-- The script's handler, not called where no hook could end it.
local function handler_of(handler)
  if type(handler) ~= "function" then return handler end
  return function(problem)
    if S.due or (S.hooked and not S.hook_works()) then return problem end
    return handler(S.placed(problem, 3))
  end
end

local handler_is_checked = S.jit or S.names_types

local function with_handler(n, f, handler, ...)
  if n == 0 and not handler_is_checked then error("bad argument #2 to 'xpcall' (value expected)", 3) end
  if handler_is_checked and type(handler) ~= "function" then
    local kind = n == 0 and "no value" or type(handler)
    error(format("bad argument #2 to 'xpcall' (function expected, got %s)", kind), 3)
  end
  return xpcall(f, handler_of(handler), ...)
end

function base.xpcall(f, ...) return caught_at(S.nested, with_handler(select("#", ...), f, ...)) end

local BINARY = "attempt to load a binary chunk (only text is allowed)"

-- A reader that asks the host in between, refuses bytecode, and gives a long text in pieces; with `refusal` none.
local function reader_of(chunk, refusal)
  local started = false
  local at = 1
  return function()
    S.poll()
    local piece
    if type(chunk) == "string" then
      piece = sub(chunk, at, at + 16383)
      at = at + 16384
    else
      local n = S.enter()
      piece = S.left(n, chunk())
    end
    if not started and type(piece) == "string" and piece ~= "" then
      started = true
      if sub(piece, 1, 1) == "\27" then error(BINARY, 0) end
    end
    if refusal and (piece == nil or type(piece) == "string" or type(piece) == "number") then error(refusal, 0) end
    return piece
  end
end

-- What pcall() of a load function gave: the function, or nil and the message.
local function loaded(n, ok, made, problem)
  S.nested = n
  if ok and made then return made end
  return nil, not ok and made or problem or "error in error handling"
end

-- Compile text with these globals: the function, or nil and the message. Behind pcall(), because from 5.4 on load() calls
-- the message handler around it.
function S.compile(chunk, name, env, refusal)
  local whole = type(chunk) == "string"
  if whole and sub(chunk, 1, 1) == "\27" then return nil, BINARY end
  if whole and refusal then return nil, refusal end
  local pieces = not whole or (#chunk > 16384 and S.hooked)
  if pieces then chunk = reader_of(chunk, refusal) end
  if not S.old then return loaded(S.nested, pcall(stock_load, chunk, name, "t", env)) end
  local made, problem = loaded(S.nested, pcall(pieces and stock_load or loadstring, chunk, name))
  if made then setfenv(made, env) end
  return made, problem
end

-- What load()'s mode says to a text: nil where it allows one.
local function refusal_by(mode)
  if mode == nil or real51 then return nil end
  if type(mode) == "number" then mode = tostring(mode) end
  if type(mode) ~= "string" then
    error(format("bad argument #3 to 'load' (string expected, got %s)", type(mode)), 3)
  end
  if find(mode, "t", 1, true) then return nil end
  return S.jit and "attempt to load chunk with wrong mode" or "attempt to load a text chunk (mode is '" .. mode .. "')"
end

function base.load(...)
  local chunk, name, mode, own = ...
  local n = select("#", ...)
  local refusal = refusal_by(mode)
  local kind = type(chunk)
  if kind == "number" and not real51 then chunk, kind = tostring(chunk), "string" end
  if kind ~= "string" and kind ~= "function" then
    error(format("bad argument #1 to 'load' (function expected, got %s)", n == 0 and "no value" or kind), 2)
  end
  local env = S.env
  if not S.old and n > 3 or S.jit and type(own) == "table" then env = own end
  local made, problem = S.compile(chunk, name or (kind == "string" and chunk or "=(load)"), env, refusal)
  if made then return made end
  caught(false, problem)
  return nil, problem
end
if real51 then
  function base.loadstring(text, name)
    local kind = type(text)
    if kind == "number" then text = tostring(text) end
    if kind ~= "number" and kind ~= "string" then
      kind = kind == "nil" and "no value" or kind
      error(format("bad argument #1 to 'loadstring' (string expected, got %s)", kind), 2)
    end
    local made, problem = base.load(text, name)
    if made then return made end
    return nil, problem
  end
elseif S.old then
  base.loadstring = base.load
end

local stock = coroutine
local create, resume, close = stock.create, stock.resume, stock.close
local lib = { status = stock.status, running = stock.running, yield = stock.yield, isyieldable = stock.isyieldable }

-- 5.1 makes room for what a coroutine is given on its own stack, outside every protected call: memory refused there ends the
-- process. One that waits has room for a few values; more go by way of a table, and are spread out inside it.
if real51 then
  local FEW, marked = 15, {}
  local getinfo, unpack, yield = debug.getinfo, unpack, stock.yield
  local stock_create, stock_resume = create, resume
  local function received(...)
    local first, values = ...
    if first == marked then return unpack(values, 1, values.n) end
    return ...
  end
  function create(f)
    if getinfo(f, "S").what == "C" then return stock_create(f) end
    return stock_create(function(...) return f(received(...)) end)
  end
  function resume(co, ...)
    local n = select("#", ...)
    if n > FEW then return stock_resume(co, marked, { n = n, ... }) end
    return stock_resume(co, ...)
  end
  function lib.yield(...) return received(yield(...)) end
end

-- A coroutine that died in the hook, for want of memory or stack, stays without one: what it has yet to close (from 5.4 on)
-- could go on for ever. `sound` says which others there are; nothing is added to it where memory may be wanting.
local sound = setmetatable({}, { __mode = "k" })

local function new(name, f)
  if type(f) ~= "function" then
    blame(name, 3, select(2, pcall(stock.create, f)))
  end
  local co = create(f)
  if close then sound[co] = true end
  if S.hooked then S.hook(co) end
  return co
end

local function settle(co, ok, ...)
  local problem = ...
  sound[co] = ok or not S.due and (type(problem) ~= "string" or not (find(problem, "not enough memory", 1, true)
    or find(problem, "stack overflow", 1, true) or find(problem, "error in error handling", 1, true)))
  return ok, ...
end

local function tracked_resume(co, ...)
  if stock.status(co) ~= "suspended" then return resume(co, ...) end
  sound[co] = false
  return settle(co, resume(co, ...))
end

-- LuaJIT bounds nested coroutines by nothing but memory.
local function counted_resume(co, ...)
  local n = S.nested
  if n >= S.deepest then return false, "C stack overflow" end
  S.nested = n + 1
  return S.left(n, resume(co, ...))
end
local step = S.jit and counted_resume or close and tracked_resume or resume

function lib.create(f)
  local co = new("create", f)
  return co
end

function lib.resume(...)
  if type((...)) ~= "thread" then blame("resume", 2, select(2, pcall(resume, ...))) end
  return caught_at(S.nested, step(...))
end

local function unwrap(co, ok, ...)
  if ok and not S.due then return ... end
  local problem = select(2, caught(ok, ...))
  if close and sound[co] and stock.status(co) == "dead" then
    local closed, later = close(co)
    if not closed then problem = later end
    caught(closed, problem)
  end
  if S.is_refusal(problem) then
    S.refused = true -- still a refusal by the limit, one level further out
    error(problem, 0)
  end
  if type(problem) ~= "string" then error(problem, 0) end
  local _, text = pcall(error, problem, S.tail_level + 1)
  if problem == S.raised then S.raised = text end -- still the same failure
  error(text, 0)
end

function lib.wrap(f)
  local co = new("wrap", f)
  return function(...) return unwrap(co, step(co, ...)) end
end

if close then
  function lib.close(...)
    local co = ...
    if co ~= nil and (type(co) ~= "thread" or (stock.status(co) ~= "suspended" and stock.status(co) ~= "dead")) then
      blame("close", 2, select(2, pcall(close, co)))
    end
    S.poll()
    if sound[co] == false then return false, "the coroutine broke off where nothing of it can be closed" end
    return caught(close(...))
  end
end

function S.make_os()
  local os, stock_date, difftime = os, os.date, os.difftime
  local made = { clock = os.clock, difftime = difftime, time = os.time, date = stock_date }
  function made.getenv(name)
    if type(name) == "number" then name = tostring(name) end
    if type(name) ~= "string" then
      error(format("bad argument #1 to 'getenv' (string expected, got %s)", name == nil and "no value" or type(name)), 2)
    end
    return getenv[name]
  end
  if S.old then
    -- What 5.1 hands to the C library unseen ends the process on some of them.
    function made.date(pattern, ...)
      if type(pattern) ~= "string" and type(pattern) ~= "number" then
        return S.through("date", pcall(stock_date, pattern, ...))
      end
      local safe = tostring(pattern):gsub("%%(.?)", function(letter)
        if letter ~= "" and find("aAbBcdHIjmMpSUwWxXyYZ%", letter, 1, true) then return "%" .. letter end
        return "%%" .. letter
      end)
      return stock_date(safe, ...)
    end
  end
  return made
end

S.base, S.guarded_coroutine = base, lib
-- For runs without a hook: nothing would come of keeping track.
S.stock_coroutine = real51 and lib or {}
if not real51 then
  for name in next, lib do S.stock_coroutine[name] = stock[name] end
end
