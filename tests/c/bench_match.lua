-- Times realistic pattern matching with the stock functions and with this project's, turn and turn about in one process.
-- Argument: rounds. Prints one line for each piece of work: name, median of the rounds' ratios ours/stock, stock's
-- median in microseconds.
local rounds = tonumber(arg[1])
local words = {}
for i = 1, 400 do words[i] = ({ "lorem", "ipsum", "dolor", "sit", "amet,", "Consectetur", "adipiscing", "42", "elit." })[i % 9 + 1] end
local prose = table.concat(words, " ")
local lines = {}
for i = 1, 100 do lines[i] = "  2024-0" .. i % 9 + 1 .. "-1" .. i % 10 .. " level=info user_" .. i .. "=value" .. i .. "   " end
local logs = table.concat(lines, "\n")
local csv = ("12,abc,,3.5,hello world,"):rep(60)
local url = "https://example.org/path/to/page?name=value&x=1&y=22&long_name=some%20thing"
local haystack = ("abcdefghij"):rep(2000) .. "needle"
local html = ("<p class='x'>text</p><b>bold</b> and more text &amp; "):rep(40)

local function times(n, f) return function(lib) for _ = 1, n do f(lib) end end end

local work = {
  { "word count: gmatch %a+", function(lib) for _ in lib.gmatch(prose, "%a+") do end end },
  { "fields: gmatch (%w+)=(%w+)", times(20, function(lib) for _ in lib.gmatch(url, "(%w+)=(%w+)") do end end) },
  { "fields: gmatch ([%w_]+)=([%w_]+)", function(lib) for _ in lib.gmatch(logs, "([%w_]+)=([%w_]+)") do end end },
  { "csv: gmatch ([^,]*),", function(lib) for _ in lib.gmatch(csv, "([^,]*),") do end end },
  { "lines: gmatch [^\\n]+", function(lib) for _ in lib.gmatch(logs, "[^\n]+") do end end },
  { "find plain, far", times(20, function(lib) lib.find(haystack, "needle", 1, true) end) },
  { "find plain, near", times(200, function(lib) lib.find(url, "example", 1, true) end) },
  { "find without specials", times(200, function(lib) lib.find(url, "page") end) },
  { "find absent text", times(20, function(lib) lib.find(prose, "zzz", 1, true) end) },
  { "find %d+", times(20, function(lib) lib.find(prose, "%d+") end) },
  { "trim: gsub ^%s*(.-)%s*$", times(20, function(lib) lib.gsub(lines[7], "^%s*(.-)%s*$", "%1") end) },
  { "trim: match ^%s*(.-)%s*$", times(20, function(lib) lib.match(lines[7], "^%s*(.-)%s*$") end) },
  { "trim right: gsub %s+$", times(20, function(lib) lib.gsub(lines[7], "%s+$", "") end) },
  { "date: match (%d+)-(%d+)-(%d+)", times(100, function(lib) lib.match(lines[7], "(%d+)-(%d+)-(%d+)") end) },
  { "date: match ^(%d%d%d%d)-(%d%d)-(%d%d)$", times(200, function(lib) lib.match("2024-05-17", "^(%d%d%d%d)-(%d%d)-(%d%d)$") end) },
  { "is number: match ^%-?%d+$", times(200, function(lib) lib.match("-123456", "^%-?%d+$") end) },
  { "is name: match ^[%a_][%w_]*$", times(200, function(lib) lib.match("some_identifier", "^[%a_][%w_]*$") end) },
  { "one letter: match [aeiou]", times(200, function(lib) lib.match("e", "[aeiou]") end) },
  { "gsub space to underscore", function(lib) lib.gsub(prose, " ", "_") end },
  { "gsub . to %0%0", function(lib) lib.gsub(url, ".", "%0%0") end },
  { "gsub with a table", function(lib) lib.gsub(prose, "%a+", { sit = "SIT" }) end },
  { "gsub with a function", function(lib) lib.gsub(prose, "%a+", function(w) return w end) end },
  { "escape: gsub [&<>'\"]", function(lib) lib.gsub(html, "[&<>'\"]", { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;" }) end },
  { "url: gsub %%(%x%x)", times(20, function(lib) lib.gsub(url, "%%(%x%x)", function(x) return string.char(tonumber(x, 16)) end) end) },
  { "tags: gsub <.->", function(lib) lib.gsub(html, "<.->", "") end },
  { "balanced: match %b()", times(100, function(lib) lib.match("call f(a, (b + c) * d) end", "%b()") end) },
  { "frontier: gsub %f[%w]%w+", function(lib) lib.gsub(prose, "%f[%w]%w+", "x") end },
  { "path: match (.-)([^/]+)$", times(50, function(lib) lib.match("/usr/local/share/lua/file.lua", "^(.-)([^/]+)$") end) },
  { "extension: match %.([^.]+)$", times(50, function(lib) lib.match("/usr/local/share/file.tar.gz", "%.([^.]+)$") end) },
}

local function median(list)
  table.sort(list)
  return list[(#list + 1 - (#list + 1) % 2) / 2]
end

for i = 1, #work do
  local name, f = work[i][1], work[i][2]
  local ratios, base = {}, {}
  local function timed(lib)
    local from = clock()
    f(lib)
    return clock() - from
  end
  f(stock) f(ours)
  collectgarbage()
  for round = 1, rounds do
    local a, b
    if round % 2 == 0 then a = timed(stock) b = timed(ours) else b = timed(ours) a = timed(stock) end
    ratios[round], base[round] = b / a, a * 1e6
  end
  print(string.format("%-42s %6.2f %9.1f", name, median(ratios), median(base)))
end
