-- Runs the test suite of a library: the Lua text `library_run`, or the files of `library_specs` as busted runs them
-- (`describe`, `it`, luassert's `assert`; telescope's `test` and `assert_...` too). `library_tell` gets the outcomes.
-- Both sides run this text. Nothing of Lua's library is replaced, but for an `assert` that counts.

local tell, specs, run, path = library_tell, library_specs, library_run, library_path
library_tell, library_specs, library_run, library_path = nil, nil, nil, nil
package.path = path

local plain_assert, asserted = assert, 0

if run ~= "" then
  function assert(...)
    asserted = asserted + 1
    return plain_assert(...)
  end
  local ok, why = xpcall(plain_assert((loadstring or load)(run, "=run")), function(why)
    return type(why) == "string" and why or tostring(why) .. debug.traceback("")
  end)
  tell(ok and "pass" or "fail", "the suite comes to its end", ok and "" or tostring(why))
  tell("asserted", tostring(asserted), "")
  return
end

local luassert = require("luassert")
local spy, stub, mock, match = require("luassert.spy"), require("luassert.stub"), require("luassert.mock"),
  require("luassert.match")

local block -- the block that is read: its name, children and hooks
local PENDING = {}

local function reader(kind)
  return function(name, body)
    if type(name) == "function" then
      name, body = "?", name
    end
    block.children[#block.children + 1] = { name = name, body = body or false, kind = kind }
  end
end

local function hook(kind)
  return function(body)
    block[kind][#block[kind] + 1] = body
  end
end

local function copied(t)
  local copy = {}
  for k, v in pairs(t) do
    copy[k] = v
  end
  return copy
end

local function put_back(t, before)
  for k in pairs(copied(t)) do
    if before[k] == nil then
      rawset(t, k, nil)
    end
  end
  for k, v in pairs(before) do
    rawset(t, k, v)
  end
end

local function attempt(f)
  local ok, why = xpcall(f, function(why)
    return why == PENDING and why or tostring(why)
  end)
  return ok, why
end

local function all(list)
  for _, body in ipairs(list) do
    local ok, why = attempt(body)
    if not ok then
      return false, why
    end
  end
  return true
end

local function run_test(test, name, parents)
  local ends = {}
  function finally(body)
    ends[#ends + 1] = body
  end
  local state = luassert:snapshot()
  local ok, why = true, nil
  for _, parent in ipairs(parents) do
    if ok then
      ok, why = all(parent.before_each)
    end
  end
  if ok and test.body then
    ok, why = attempt(test.body)
  end
  all(ends)
  for i = #parents, 1, -1 do
    local fine, after = all(parents[i].after_each)
    if ok and not fine then
      ok, why = false, after
    end
  end
  state:revert()
  if test.body and why ~= PENDING then
    tell(ok and "pass" or "fail", name, ok and "" or why)
  end
end

local function run_block(this, name, parents)
  local outer = block
  block = { children = {}, before_each = {}, after_each = {}, setup = {}, teardown = {} }
  local here, state = block, luassert:snapshot()
  local globals, loaded = copied(_G), copied(package.loaded)
  local ok, why = attempt(this.body)
  block = outer
  if ok then
    ok, why = all(here.setup)
  end
  if not ok and why ~= PENDING then
    tell("fail", name, why)
  end
  local deeper = copied(parents)
  deeper[#deeper + 1] = here
  for _, child in ipairs(ok and here.children or {}) do
    local run_child = child.kind == "test" and run_test or run_block
    run_child(child, name .. " " .. child.name, deeper)
  end
  all(here.teardown)
  state:revert()
  if this.kind == "insulate" then
    put_back(_G, globals)
    put_back(package.loaded, loaded)
  end
end

assert, _G.spy, _G.stub, _G.mock, _G.match = luassert, spy, stub, mock, match
describe, insulate, expose = reader("block"), reader("insulate"), reader("block")
it, context, test, spec = reader("test"), describe, reader("test"), reader("test")
before_each, after_each, before, after = hook("before_each"), hook("after_each"), hook("before_each"), hook("after_each")
setup, lazy_setup, strict_setup = hook("setup"), hook("setup"), hook("setup")
teardown, lazy_teardown, strict_teardown = hook("teardown"), hook("teardown"), hook("teardown")
function pending()
  if not block then
    error(PENDING, 0)
  end
end
package.loaded.busted = copied(_G)
for name, its in pairs({
  equal = "equal", not_equal = "not_equal", error = "has_error", not_error = "has_no_error", ["true"] = "is_true",
  ["false"] = "is_false", ["nil"] = "is_nil", not_nil = "is_not_nil", empty = "is_empty",
}) do
  _G["assert_" .. name] = luassert[its]
end
for file in specs:gmatch("[^\n]+") do
  run_block({ body = function()
    plain_assert(loadfile(file))()
  end, kind = "insulate" }, file, {})
end
