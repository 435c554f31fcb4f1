-- Counts the words of a text: how many, how many different ones, the longest, and the most frequent.
--
--   luagauge run examples/word_count.lua --context examples/data/word_count_context.json
--
-- A script sees no file system, so the text comes in through the context, as `context.request.text`. The one given
-- holds examples/data/constitution.txt: the Constitution of the United States without its amendments, in the public
-- domain. For a text of your own:
--
--   python3 -c 'import json, sys; print(json.dumps({"request": {"text": sys.stdin.read()}}))' < book.txt > book.json
--
-- `context.request.top` says how many of the frequent words to list, 10 if it is left out.
local request = context.request
local text = request.text
if type(text) ~= "string" then
  error("context.request.text must be a string, not " .. type(text), 0)
end

local counts, distinct = {}, {}
local words, longest = 0, ""
for word in string.gmatch(string.lower(text), "%a[%a'%-]*") do
  if not counts[word] then
    distinct[#distinct + 1] = word
    counts[word] = 0
  end
  counts[word] = counts[word] + 1
  words = words + 1
  if #word > #longest then
    longest = word
  end
end

table.sort(distinct, function(a, b)
  if counts[a] ~= counts[b] then
    return counts[a] > counts[b]
  end
  return a < b
end)

local frequent = {}
for rank = 1, math.min(request.top or 10, #distinct) do
  local word = distinct[rank]
  frequent[rank] = { word = word, count = counts[word] }
  print(string.format("%4d  %s", counts[word], word))
end

local _, newlines = string.gsub(text, "\n", "")
return { lines = newlines, words = words, distinct = #distinct, longest = longest, frequent = frequent }
