-- io, os.remove/rename/tmpname, loadfile, dofile and require below the configured directories. Every access is a call of
-- the host (luagauge._filesystem), which answers {value} or {false, message, errno}; a file's number never leaves here.
-- PIECE: what one call of the host may carry. LUA: the version.
local internal, load, os, setmetatable, error, type, tostring, select, string = ...
local find, format, sub = string.find, string.format, string.sub
local host_open, host_close = internal["fs.open"], internal["fs.close"]
local host_read, host_write, host_seek = internal["fs.read"], internal["fs.write"], internal["fs.seek"]
local host_source, host_module = internal["fs.source"], internal["fs.module"]
local host_remove, host_rename, host_tmpname = internal["fs.remove"], internal["fs.rename"], internal["fs.tmpname"]

local has_integers = find(LUA, "^5%.[3-9]") ~= nil

-- File -> its number with the host; false once closed. In the sandbox keys are weak only where values are, too.
local numbers = setmetatable({}, {__mode = "kv"})
local methods = {}
local file_meta = {__index = methods, __newindex = function() error("attempt to change a file", 2) end,
                   __metatable = false, __name = "FILE*"}
file_meta.__tostring = function(file) return numbers[file] and "file" or "file (closed)" end

-- Argument `n` of the function `name`, which the script called, as a string; `level` as error's, 3 where that calls this.
local function text(value, n, name, level)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return tostring(value) end
  if kind == "nil" then kind = "no value" end
  error("bad argument #" .. n .. " to '" .. name .. "' (string expected, got " .. kind .. ")", level or 3)
end

local function answer(reply)
  if reply[1] == false then return nil, reply[2], reply[3] end
  return reply[1]
end

local function number_of(file, name)
  local number = numbers[file]
  if number == nil then error("bad argument #1 to '" .. name .. "' (FILE* expected)", 3) end
  if number == false then error("attempt to use a closed file", 3) end
  return number
end

-- Whether a number stands for an integer of 64 bits.
local function is_integer(value) return value % 1 == 0 and value >= -2 ^ 63 and value < 2 ^ 63 end

-- Complain about what are no formats of reading, given to the function `name`, which the script called.
local function check_formats(name, ...)
  local formats = { ... }
  for n = 1, select("#", ...) do
    local wanted, complaint = formats[n], nil
    local kind = type(wanted)
    if kind == "number" then
      if has_integers and not is_integer(wanted) then
        complaint = "number has no integer representation"
      elseif LUA ~= "5.1" and not (wanted >= 0 and wanted < 2 ^ 63) then
        error("not enough memory", 3)
      end
    elseif kind ~= "string" then
      complaint = has_integers and "string expected, got " .. kind or "invalid option"
    elseif not find(wanted, "^%**[alnL]") then
      complaint = (has_integers or LUA == "luajit2.1") and "invalid format" or "invalid option"
    end
    if complaint then error("bad argument #" .. n .. " to '" .. name .. "' (" .. complaint .. ")", 3) end
  end
end

local function read_all(number, ...)
  local reply = host_read(number, ...)
  if reply[1] == false then return nil, reply[2], reply[3] end
  local n = reply.n
  if n == 1 then return reply[1] end
  if n == 2 then return reply[1], reply[2] end
  if n == 3 then return reply[1], reply[2], reply[3] end
  local function spread(i) if i <= n then return reply[i], spread(i + 1) end end
  return spread(1)
end

function methods.read(file, ...)
  local number = number_of(file, "read")
  check_formats("read", ...)
  return read_all(number, ...)
end

-- 5.5 writes a float as tostring shows it, the others with 14 digits; 5.3 and 5.4 show it differently.
local as_shown = tostring(2 ^ 53) == "9007199254740992.0"

local function written(value, n)
  local shown = text(value, n, "write", 4)
  if type(value) == "string" or as_shown or find(shown, "^%-?%d+$") then return shown end
  return format("%.14g", value)
end

function methods.write(file, ...)
  local number = number_of(file, "write")
  local values, size = { ... }, 0
  local n = select("#", ...)
  for i = 1, n do
    values[i] = written(values[i], i)
    size = size + #values[i] + 18 -- with what the way to the host adds
  end
  if size <= PIECE then
    local reply = host_write(number, values)
    if reply[1] == false then return nil, reply[2], reply[3] end
    return file
  end
  for i = 1, n do
    for at = 1, #values[i], PIECE do
      local reply = host_write(number, { sub(values[i], at, at + PIECE - 1) })
      if reply[1] == false then return nil, reply[2], reply[3] end
    end
  end
  return file
end

local places = {set = true, cur = true, ["end"] = true}

function methods.seek(file, whence, offset)
  local number = number_of(file, "seek")
  whence = whence == nil and "cur" or text(whence, 1, "seek")
  if not places[whence] then error("bad argument #1 to 'seek' (invalid option '" .. whence .. "')", 2) end
  offset = offset == nil and 0 or offset
  if type(offset) ~= "number" then
    error("bad argument #2 to 'seek' (number expected, got " .. type(offset) .. ")", 2)
  end
  if (has_integers or LUA == "5.2") and not is_integer(offset) then
    local complaint = has_integers and "number has no integer representation" or "not an integer in proper range"
    error("bad argument #2 to 'seek' (" .. complaint .. ")", 2)
  end
  return answer(host_seek(number, whence, offset))
end

function methods.flush(file) number_of(file, "flush") return file end
function methods.setvbuf(file) number_of(file, "setvbuf") return true end

function methods.close(file)
  local number = number_of(file, "close")
  numbers[file] = false
  return answer(host_close(number))
end

file_meta.__close = function(file) if numbers[file] then methods.close(file) end end

function methods.lines(file, ...)
  local number = number_of(file, "lines")
  local first, second = ...
  return function()
    if numbers[file] ~= number then error("file is already closed", 2) end
    if second ~= nil then
      check_formats("lines", first, second)
      return read_all(number, first, second)
    end
    check_formats("lines", first or "l")
    return read_all(number, first or "l")
  end
end

local io = {}

local function open(path, mode)
  local reply = host_open(path, mode)
  if reply[1] == false then return nil, reply[2], reply[3] end
  local file = setmetatable({ [io.type] = true }, file_meta) -- not empty: a file is no plain data, and an empty table is
  numbers[file] = reply[1]
  return file
end

function io.open(path, mode) return open(text(path, 1, "open"), mode == nil and "r" or text(mode, 2, "open")) end

function io.close(file) return methods.close(file) end

function io.type(value)
  local number = numbers[value]
  if number == nil then return nil end
  return number and "file" or "closed file"
end

function io.lines(path, ...)
  local file, message = open(text(path, 1, "lines"), "r")
  if file == nil then error(message, 2) end
  local number, first, second = numbers[file], ...
  return function()
    if not numbers[file] then error("file is already closed", 2) end
    local a, b
    if second ~= nil then
      check_formats("lines", first, second)
      a, b = read_all(number, first, second)
    else
      check_formats("lines", first or "l")
      a = read_all(number, first or "l")
    end
    if a == nil then methods.close(file) end
    return a, b
  end
end

function os.remove(path) return answer(host_remove(text(path, 1, "remove"))) end
function os.rename(from, to) return answer(host_rename(text(from, 1, "rename"), text(to, 2, "rename"))) end

function os.tmpname()
  local name, message = answer(host_tmpname())
  if name == nil then error(message, 2) end
  return name
end

local function load_from(path, ...)
  local reply = host_source(path)
  if reply[1] == false then return nil, reply[2] end
  return load(reply[1], "@" .. path, "t", ...)
end

local function loadfile(path, _, ...) return load_from(text(path, 1, "loadfile"), ...) end

local function dofile(path)
  local chunk, message = load_from(text(path, 1, "dofile"))
  if chunk == nil then error(message, 2) end
  return chunk()
end

local function require(name)
  name = text(name, 1, "require")
  local reply = host_module(name)
  if reply[1] == false then error(reply[2], 2) end
  -- What modules returned is the run's own: it is kept under the run's globals, which nothing else shares.
  local globals = load("return _G", "=require")()
  local loaded = globals["package.loaded"]
  if loaded == nil then
    loaded = {}
    globals["package.loaded"] = loaded
  end
  if loaded[name] == nil then
    local chunk, message = load(reply[1], "@" .. reply[2], "t")
    if chunk == nil then error("error loading module '" .. name .. "':\n\t" .. message, 2) end
    local value = chunk(name)
    if value == nil then value = true end
    if loaded[name] == nil then loaded[name] = value end
  end
  return loaded[name]
end

return {io = io, loadfile = loadfile, dofile = dofile, require = require}
