-- Checks an HTTP request and the response to it against rules, as a test harness or a gateway would.
--
--   luagauge run examples/validate_response.lua --context examples/data/validate_context.json
--
-- The context is plain data: `context.request` and `context.response` are the decoded messages, `context.metadata`
-- says what the caller wants to know about them. The result lists every rule that was broken, with the path of the
-- value that broke it; the one given breaks three on purpose.
local request, response, metadata = context.request, context.response, context.metadata
for name, message in pairs({ request = request, response = response }) do
  if type(message) ~= "table" or type(message.headers) ~= "table" then
    error("context." .. name .. " must be a message with headers", 0)
  end
end

local failures, checked = {}, 0

local function expect(holds, path, message)
  checked = checked + 1
  if not holds then
    failures[#failures + 1] = { path = path, message = message }
    print("failed: " .. path .. ": " .. message)
  end
end

-- A shape says what a value must be: a type's name, a pattern for a string ("=..."), a list of one shape for an array,
-- or a table of shapes for an object; a "?" after a key's name allows the key to be missing.
local function matches(value, shape, path)
  if type(shape) == "string" then
    local pattern = string.match(shape, "^=(.*)$")
    if pattern then
      local text = type(value) == "string" and value or ""
      expect(string.find(text, "^" .. pattern .. "$") ~= nil, path, "must look like " .. pattern)
    else
      expect(type(value) == shape, path, "must be a " .. shape .. ", not a " .. type(value))
    end
    return
  end
  expect(type(value) == "table", path, "must be a table, not a " .. type(value))
  if type(value) ~= "table" then
    return
  end
  if shape[1] then
    for i, item in ipairs(value) do
      matches(item, shape[1], path .. "[" .. i .. "]")
    end
    return
  end
  local keys = {}
  for key in pairs(shape) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local name, optional = string.match(key, "^(.-)(%??)$")
    if value[name] ~= nil or optional == "" then
      matches(value[name], shape[key], path .. "." .. name)
    end
  end
end

local ORDER = {
  id = "number",
  customer = { name = "string", email = "=[^@%s]+@[^@%s]+%.%a+", ["phone?"] = "=%+?[%d ]+" },
  lines = { { sku = "=%u%u%-%d%d%d%d", count = "number", price = "number" } },
  total = "number",
}

expect(response.status == 200, "response.status", "must be 200, not " .. tostring(response.status))
expect(
  string.find(response.headers["content-type"] or "", "^application/json") ~= nil,
  "response.headers.content-type",
  "must be application/json"
)
expect(
  response.headers["x-request-id"] == request.headers["x-request-id"],
  "response.headers.x-request-id",
  "must be the request's"
)
expect(metadata.elapsed_ms <= metadata.budget_ms, "metadata.elapsed_ms", "must be within the budget")
matches(response.body, ORDER, "response.body")
expect(response.body.id == request.params.id, "response.body.id", "must be the one asked for")

local sum = 0
for i, line in ipairs(response.body.lines) do
  expect(line.count > 0, "response.body.lines[" .. i .. "].count", "must be more than 0")
  sum = sum + line.count * line.price
end
expect(math.abs(sum - response.body.total) < 0.005, "response.body.total", string.format("must be %.2f", sum))

return { valid = #failures == 0, checked = checked, failures = failures }
