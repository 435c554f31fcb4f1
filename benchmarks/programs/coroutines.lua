-- Generators as coroutines, chained into pipelines and dropped: a fresh Lua thread for every stage.
-- N is the number of pipelines. Returns a checksum of what came out of them.
local pipelines = N or 7000
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield

local function pull(thread)
  local ok, value = resume(thread)
  if not ok then
    error(value, 0)
  end
  return value
end

local function numbers(first, last)
  return create(function()
    for value = first, last do
      yield(value)
    end
    return nil
  end)
end

local function filtered(source, divisor)
  return create(function()
    for value in pull, source do
      if value % divisor ~= 0 then
        yield(value)
      end
    end
    return nil
  end)
end

local function pairs_of(source)
  return create(function()
    for value in pull, source do
      yield({ value, value * value })
    end
    return nil
  end)
end

local sum, unfinished = 0, 0
for i = 1, pipelines do
  local source = pairs_of(filtered(filtered(numbers(i, i + 20), 2), 3))
  for pair in pull, source do
    sum = (sum + pair[1] * 3 + pair[2]) % 1000003
    if i % 4 == 0 and pair[1] > i + 10 then
      unfinished = unfinished + 1
      break
    end
  end
end
return sum * 10000 + unfinished
