-- Builds and walks full binary trees of two-field nodes: many short-lived tables of one size, one long-lived tree.
-- N is the depth of the largest tree. Returns the number of nodes seen.
local depth = N or 14

local function grow(levels)
  if levels == 0 then
    return {}
  end
  return { left = grow(levels - 1), right = grow(levels - 1) }
end

local function count(node)
  local left = node.left
  if not left then
    return 1
  end
  return 1 + count(left) + count(node.right)
end

local keeper = grow(depth)
local nodes = 0
for levels = 4, depth, 2 do
  for _ = 1, 2 ^ (depth - levels) do
    nodes = nodes + count(grow(levels))
  end
end
return nodes + count(keeper)
