-- Loads the other parts with globals of their own, and empties the real ones: nothing of those stays reachable.
-- (lupa looks for debug.traceback in the real globals, outside any protected call.)
local private = {}
for name, value in next, _G do private[name] = value end

local S = { deadline = ... }
local setfenv, loadstring, load, error = setfenv, loadstring, load, error

local function part(source, name, ...)
  local f, problem
  if setfenv then f, problem = loadstring(source, name) else f, problem = load(source, name, "t", private) end
  if not f then error(problem, 0) end
  if setfenv then setfenv(f, private) end
  return f(S, ...)
end

local function close_globals()
  local loaded, globals, next = package.loaded, _G, next
  for name in next, loaded do loaded[name] = nil end
  for name in next, globals do globals[name] = nil end
end

return S, part, close_globals
