-- Keeps everything it makes, until its memory limit stops it.
--
--   luagauge run --memory-limit 16MiB examples/memory_hog.lua
--
-- The run fails with the limit's own error and exit code, the figures say how far it came, and the process that ran it
-- has lost nothing: the memory is free again. Without a limit this would go on until the machine had none left.
local kept = {}
local megabytes = 0
while true do
  for i = 1, 1024 do
    kept[#kept + 1] = string.rep(string.char(i % 26 + 97), 1000) .. #kept
  end
  megabytes = megabytes + 1
  print("about " .. megabytes .. " MB so far")
end
