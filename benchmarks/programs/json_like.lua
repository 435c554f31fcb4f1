-- Parses a JSON text into tables and prints it again, in plain Lua: strings, small tables, recursion.
-- N is the number of round trips. Returns the length of the last text and a sum over all parsed numbers.
local rounds = N or 35
local byte, find, sub, char, format, gsub = string.byte, string.find, string.sub, string.char, string.format, string.gsub
local concat, sort = table.concat, table.sort

local ESCAPED = { n = "\n", t = "\t", r = "\r", b = "\b", f = "\f", ["/"] = "/", ["\\"] = "\\", ['"'] = '"' }
local ESCAPES = { ["\n"] = "\\n", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"' }
local parse_value

local function skip_space(text, at)
  return find(text, "[^ \n\r\t]", at) or #text + 1
end

local function parse_string(text, at)
  local pieces, start = {}, at + 1
  while true do
    local stop = find(text, '["\\]', start)
    if not stop then
      error("unfinished string at " .. at)
    end
    pieces[#pieces + 1] = sub(text, start, stop - 1)
    if byte(text, stop) == 34 then
      return concat(pieces), stop + 1
    end
    local letter = sub(text, stop + 1, stop + 1)
    if letter == "u" then
      pieces[#pieces + 1] = char(tonumber(sub(text, stop + 4, stop + 5), 16))
      start = stop + 6
    else
      pieces[#pieces + 1] = ESCAPED[letter] or error("bad escape at " .. stop)
      start = stop + 2
    end
  end
end

local function parse_array(text, at)
  local array, count = {}, 0
  at = skip_space(text, at + 1)
  if byte(text, at) == 93 then
    return array, at + 1
  end
  while true do
    count = count + 1
    array[count], at = parse_value(text, at)
    at = skip_space(text, at)
    local mark = byte(text, at)
    if mark == 93 then
      return array, at + 1
    elseif mark ~= 44 then
      error("expected , or ] at " .. at)
    end
    at = skip_space(text, at + 1)
  end
end

local function parse_object(text, at)
  local object, key = {}, nil
  at = skip_space(text, at + 1)
  if byte(text, at) == 125 then
    return object, at + 1
  end
  while true do
    key, at = parse_string(text, at)
    at = skip_space(text, at)
    if byte(text, at) ~= 58 then
      error("expected : at " .. at)
    end
    object[key], at = parse_value(text, skip_space(text, at + 1))
    at = skip_space(text, at)
    local mark = byte(text, at)
    if mark == 125 then
      return object, at + 1
    elseif mark ~= 44 then
      error("expected , or } at " .. at)
    end
    at = skip_space(text, at + 1)
  end
end

function parse_value(text, at)
  local mark = byte(text, at)
  if mark == 123 then
    return parse_object(text, at)
  elseif mark == 91 then
    return parse_array(text, at)
  elseif mark == 34 then
    return parse_string(text, at)
  elseif mark == 116 and sub(text, at, at + 3) == "true" then
    return true, at + 4
  elseif mark == 102 and sub(text, at, at + 4) == "false" then
    return false, at + 5
  end
  local first, last = find(text, "^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  if not first then
    error("expected a value at " .. at)
  end
  return tonumber(sub(text, first, last)), last + 1
end

local function print_value(value, out)
  local kind = type(value)
  if kind == "string" then
    out[#out + 1] = '"' .. gsub(value, '[\n\t\\"]', ESCAPES) .. '"'
  elseif kind == "number" then
    out[#out + 1] = format("%.14g", value)
  elseif kind == "boolean" then
    out[#out + 1] = value and "true" or "false"
  elseif value[1] ~= nil or next(value) == nil then
    out[#out + 1] = "["
    for i = 1, #value do
      if i > 1 then
        out[#out + 1] = ","
      end
      print_value(value[i], out)
    end
    out[#out + 1] = "]"
  else
    local keys = {}
    for key in pairs(value) do
      keys[#keys + 1] = key
    end
    sort(keys)
    out[#out + 1] = "{"
    for i = 1, #keys do
      out[#out + 1] = (i > 1 and "," or "") .. '"' .. keys[i] .. '":'
      print_value(value[keys[i]], out)
    end
    out[#out + 1] = "}"
  end
end

local function add_numbers(value)
  if type(value) == "number" then
    return value
  elseif type(value) ~= "table" then
    return 0
  end
  local sum = 0
  for _, member in pairs(value) do
    sum = sum + add_numbers(member)
  end
  return sum
end

local orders = {}
for i = 1, 40 do
  orders[i] = format(
    '{"id": %d, "customer": {"name": "name\\t%d \\"x\\"", "city": "\\u0041rras", "vip": %s}, "paid": %s,\n'
      .. ' "lines": [{"sku": "A-%d", "count": %d, "price": %d.25}, {"sku": "B-%d", "count": 1, "price": 3}], "tags": ["a", "b/%d"]}',
    i, i, i % 2 == 0 and "true" or "false", i % 3 == 0 and "true" or "false", i, i % 7, i * 3, i, i
  )
end
local text = '{"orders": [' .. concat(orders, ",\n") .. '], "empty": [], "rate": -1.5e2}'

local total = 0
for _ = 1, rounds do
  local document = parse_value(text, 1)
  total = total + add_numbers(document)
  local out = {}
  print_value(document, out)
  text = concat(out)
end
return format("%d:%.2f", #text, total)
