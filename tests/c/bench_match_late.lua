-- How late an interrupt ends pattern matching: CPU time from the signal's handler to the call's end, for each kind of
-- endless work. Argument: rounds. Prints name, median, 99th percentile, highest; microseconds.
local rounds = tonumber(arg[1])
local big = 1024 * 1024
local s, many = ("a"):rep(4 * big), ("a?"):rep(40) .. ("a"):rep(40)
local forty = ("a"):rep(40)
local set = "[" .. ("b"):rep(4 * big) .. "]"
local needle = ("a"):rep(2 * big) .. "b" .. ("a"):rep(big)
local sets = (set .. "*"):rep(6)
local doubled = s .. "=" .. s .. "x"
local with = ("%0"):rep(32 * 1024)
local work = {
  { "a? forty times", function() ours.find(forty, many) end },
  { "a* thirty times", function() ours.match(s, ("a*"):rep(30) .. "b") end },
  { ".-b over 4 MiB", function() ours.find(s, ".-b") end },
  { "%b() over 4 MiB", function() ours.find(s, "%bab") end },
  { "sets of 4 MiB", function() ours.find(s, sets) end },
  { "plain find, 3 MiB in 4", function() for _ = 1, 1e5 do ours.find(s, needle, 1, true) end end },
  { "back reference of 4 MiB", function() for _ = 1, 1e5 do ours.find(doubled, "^(a*)=%1$") end end },
  { "gsub growing", function() ours.gsub(s, "a", with) end },
  { "gsub of nothing", function() for _ = 1, 1e5 do ours.gsub(s, "", "") end end },
}
for i = 1, #work do
  local late = {}
  for round = 1, rounds do
    collectgarbage()
    local after = 0.004 + round % 7 * 0.0003
    interrupt_in(after)
    local ok = pcall(work[i][2])
    late[round] = since_interrupt() * 1e6
    assert(calm() and not ok, work[i][1])
  end
  table.sort(late)
  print(string.format("%-26s %9.1f %9.1f %9.1f", work[i][1], late[math.floor(rounds / 2) + 1], late[math.ceil(rounds * 0.99)], late[rounds]))
end
