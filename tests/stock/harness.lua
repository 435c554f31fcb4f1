-- Runs a rewritten source (statements.py), on either side; what it finds goes to the host as it comes.
--
-- The host gives four functions:
--   suite_text(name)   the text of a file: "" for the source itself, nil where there is none
--   suite_name()       the name that the source is loaded under
--   suite_absent()     the names of what this side lacks, one a line: functions, "debug." for a table, "io.stdin=" for a value,
--                      "require:ffi" for a module
--   suite_tell(text)   takes a line of what was found:
--     start LINE                            a unit begins
--     unit LINE ERROR ABSENT COUNTS         a unit has ended: its error, or "-"; the absent names that it used;
--                                           LINE:PASSED:FAILED of each of its assertions
--     loaded ERROR                          the source was loaded ("-") or not
local suite_text, suite_name, suite_absent, tell = suite_text, suite_name, suite_absent, suite_tell
local pcall, error, type, tostring, select, rawget, pairs = pcall, error, type, tostring, select, rawget, pairs
local setmetatable, concat, sort, find, gsub, gmatch = setmetatable, table.concat, table.sort, string.find, string.gsub, string.gmatch
local loads = loadstring or load
local globals = _G
local MARK = "absent here: "

local here = { counts = {}, absent = {} } -- the unit that runs
local top = here

local function touch(name)
  here.absent[name] = true
  error(MARK .. name, 0)
end

-- What stands for a value that could not be had: whatever is done with it ends the unit too.
local function stand_in(name)
  local function use() touch(name) end
  local events = { __index = use, __newindex = use, __call = use, __concat = use, __len = use, __unm = use, __lt = use, __le = use }
  for event in gmatch("add sub mul div mod pow idiv band bor bxor shl shr bnot pairs", "%a+") do events["__" .. event] = use end
  return setmetatable({}, events)
end

local function missing(name)
  return function() touch(name) end
end

local absent_modules = {}
local function install_absent()
  for name in gmatch(suite_absent(), "[^\n]+") do
    local module = name:match("^require:(.+)$")
    local library, field = name:match("^([^.]*)%.(.*)$")
    if module ~= nil then
      absent_modules[module] = name
    elseif library == nil then
      if rawget(globals, name) == nil then globals[name] = missing(name) end
    else
      if rawget(globals, library) == nil then globals[library] = {} end
      local t = globals[library]
      local value = field:match("^(.*)=$")
      if field ~= "" and rawget(t, value or field) == nil then
        t[value or field] = value and stand_in(name:sub(1, -2)) or missing(name)
      end
    end
  end
end

local function line_of(text) -- a text in one word: no spaces, no line ends
  return (gsub(text, "[%c %%\127-\255]", function(c) return ("%%%02x"):format(c:byte()) end))
end

local function words_of(err)
  if type(err) ~= "string" then return "(" .. type(err) .. ")" end
  return err == "" and "(empty)" or err
end

local function finish(line, ok, err)
  local counts, absent = {}, {}
  for at, count in pairs(here.counts) do counts[#counts + 1] = at .. ":" .. count.passed .. ":" .. count.failed end
  for name in pairs(here.absent) do absent[#absent + 1] = name end
  sort(absent)
  tell(concat({ "unit", line, ok and "-" or line_of(words_of(err)), #absent > 0 and concat(absent, ",") or "-",
    #counts > 0 and concat(counts, ",") or "-" }, " "))
end

-- A statement; its results do not matter.
local function unit(line, f, ...)
  local before = here
  here = { counts = {}, absent = {} }
  tell("start " .. line)
  local ok, err = pcall(f, ...)
  finish(line, ok, err)
  for name in pairs(here.absent) do before.absent[name] = before ~= top or nil end
  here = before
end

-- The values that locals get. Where they fail the locals are stand-ins on the side that lacks something.
local function give(line, before, ok, ...)
  finish(line, ok, ...)
  local name = next(here.absent)
  here = before
  if ok then return ... end
  if name == nil then return end
  before.absent[name] = before ~= top or nil
  local s = stand_in(name)
  return s, s, s, s, s, s, s, s
end

local function values(line, f, ...)
  local before = here
  here = { counts = {}, absent = {} }
  tell("start " .. line)
  return give(line, before, pcall(f, ...))
end

local function skip() end

local function assertion(line, ...)
  local counts = here.counts
  local count = counts[line]
  if count == nil then
    count = { passed = 0, failed = 0 }
    counts[line] = count
  end
  if select("#", ...) == 0 then error("bad argument #1 to 'assert' (value expected)", 2) end
  local kind = (...) and "passed" or "failed"
  count[kind] = count[kind] + 1
  return ...
end

local function prepare()
  install_absent()
  globals.print = function() end
  globals._soft, globals._port, globals._nomsg, globals.T = true, nil, true, nil
  globals.arg = {}
  math.randomseed(42) -- the same on both sides, where the numbers are those of the Lua
  local packages = {}
  local require_stock = require
  globals.require = function(name) -- the suites' own modules; what is more is the side's
    if packages[name] ~= nil then return packages[name] end
    if absent_modules[name] ~= nil then touch(absent_modules[name]) end
    if name == "_G" or type(rawget(globals, name)) == "table" then return rawget(globals, name) end
    local text = suite_text((gsub(name, "%.", "/")) .. ".lua")
    if text == nil then return require_stock(name) end
    local result = assert(loads(text, "@" .. name .. ".lua"))(name)
    packages[name] = result == nil or result
    return packages[name]
  end
end

local f, err = loads("local __unit, __values, __skip, __assert = ... ; return function(...) " .. suite_text("") .. "\nend", "@" .. suite_name())
tell("loaded " .. (f and "-" or line_of(words_of(err))))
if f then
  local main = f(unit, values, skip, assertion)
  prepare()
  unit(0, main)
end
