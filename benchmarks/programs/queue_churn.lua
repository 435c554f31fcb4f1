-- Linked lists and first-in first-out queues under steady churn: nodes are made, spliced, reversed and dropped.
-- N is the number of operations. Returns a checksum of the values taken out.
local operations = N or 150000
local WIDTH = 400

local function list_push(list, value)
  local node = { value = value, next = false }
  if list.last then
    list.last.next = node
  else
    list.first = node
  end
  list.last = node
  list.count = list.count + 1
end

local function list_shift(list)
  local node = list.first
  list.first = node.next
  if not list.first then
    list.last = false
  end
  list.count = list.count - 1
  return node.value
end

local function list_reversed(list)
  local turned = { first = false, last = false, count = 0 }
  local node = list.first
  while node do
    local head = { value = node.value, next = turned.first }
    turned.last = turned.last or head
    turned.first = head
    turned.count = turned.count + 1
    node = node.next
  end
  return turned
end

local queue = { first = false, last = false, count = 0 }
local seed, sum = 42, 0
for i = 1, operations do
  seed = (seed * 3877 + 29573) % 139968
  list_push(queue, { seed, i })
  if queue.count > WIDTH or (queue.count > 0 and seed % 3 == 0) then
    local taken = list_shift(queue)
    sum = (sum * 3 + taken[1] + taken[2]) % 1000003
  end
  if i % 2000 == 0 then
    queue = list_reversed(queue)
  end
end
return sum * 1000 + queue.count
