-- The doubly recursive Fibonacci function: nothing but calls and additions.
-- N is the index. Returns the number.
local function fib(n)
  if n < 2 then
    return n
  end
  return fib(n - 1) + fib(n - 2)
end

return fib(N or 30)
