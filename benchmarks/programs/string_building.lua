-- Builds strings by appending, joining, formatting, cutting and replacing: many strings of many lengths, few tables.
-- N is the number of records. Returns the total length and a rolling sum over the characters kept.
local records = N or 13000
local format, sub, gsub, upper, byte = string.format, string.sub, string.gsub, string.upper, string.byte
local concat = table.concat

local words = { "meter", "gauge", "arena", "stack", "upvalue", "closure", "metatable", "string", "number", "thread" }
local length, sum = 0, 0

for i = 1, records do
  local line = ""
  for j = 1, 6 do
    line = line .. words[(i * j) % #words + 1] .. "/"
  end
  local fields = {}
  for j = 1, 4 do
    fields[j] = format("%s-%05d:%x", words[(i + j) % #words + 1], i * j, i + j)
  end
  local joined = concat(fields, ";")
  local changed = gsub(joined, "%-(%d+)", "<%1>")
  local head = upper(sub(line, 1, i % 20 + 1))
  local record = head .. "|" .. changed .. "|" .. line
  length = length + #record
  sum = (sum * 31 + byte(record, i % #record + 1)) % 1000003
end

return format("%d:%d", length, sum)
