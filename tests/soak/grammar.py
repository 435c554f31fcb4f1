"""Random Lua programs: syntactically valid for the version at hand, hostile in what they combine.

Not a test: the generators that fuzz.py and mixed.py draw from. Same seed, same program.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).resolve().parent.parent / "support"))

from luas import HAVE_CLOSE, HAVE_GOTO, HAVE_INTEGERS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

NAMES = ("a", "b", "c", "t", "s", "f", "result", "context", "_G", "x1")
GLOBALS = (
    "print", "pairs", "ipairs", "next", "type", "tostring", "tonumber", "pcall", "xpcall", "error", "assert", "select",
    "rawget", "rawset", "rawequal", "getmetatable", "setmetatable", "load", "collectgarbage", "unpack", "log",
    "string.rep", "string.format", "string.gsub", "string.find", "string.match", "string.gmatch", "string.byte",
    "string.char", "string.sub", "string.reverse", "string.upper", "string.len", "string.pack", "string.unpack",
    "table.insert", "table.remove", "table.concat", "table.sort", "table.unpack", "table.pack", "table.move",
    "math.floor", "math.random", "math.randomseed", "math.max", "math.huge", "math.tointeger", "os.time", "os.date",
    "os.getenv", "coroutine.create", "coroutine.resume", "coroutine.wrap", "coroutine.yield", "coroutine.status",
    "coroutine.running", "coroutine.close", "utf8.char", "utf8.len", "utf8.codepoint", "host", "boom",
)  # fmt: skip
METHODS = ("rep", "gsub", "find", "match", "gmatch", "byte", "sub", "format", "upper", "len", "x")
EVENTS = (
    "__index", "__newindex", "__call", "__add", "__concat", "__len", "__eq", "__lt", "__le", "__unm", "__tostring",
    "__pairs", "__mode", "__metatable", "__gc", "__close", "__name",
)  # fmt: skip
BINARY = ("+", "-", "*", "/", "%", "^", "..", "==", "~=", "<", "<=", ">", ">=", "and", "or")
TEXTS = ('""', '"a"', '"%a+"', '"(.-)%1"', '"%s %d %q"', '"[^%w]*"', '"\\0\\255"', '"%f[%w]"', '"i8z"', '"k"', '"*t"')
NUMBERS = ("0", "1", "-1", "2", "7", "255", "1e3", "1e6", "2^53", "1e308", "0/0", "1/0", "-2^63", "3.5")


class Generator:
    """Draws one program from a random source."""

    def __init__(self, source: random.Random, version: str) -> None:
        """Take the source and the Lua version ("5.4", "luajit2.1")."""
        self.random = source
        self.integers = version in HAVE_INTEGERS
        self.gotos = version in HAVE_GOTO
        self.close = version in HAVE_CLOSE

    def program(self) -> str:
        """Return a whole chunk."""
        body = "\n".join(self.guarded(self.statement(0)) for _ in range(self.random.randint(1, 10)))
        if self.random.random() < 0.7:
            body += f"\nreturn {self.expressions(0)}"
        return body

    def guarded(self, statement: str) -> str:
        """Return a statement that mostly cannot end the program by its error."""
        return f"pcall(function(...) {statement} end)" if self.random.random() < 0.8 else statement

    def block(self, depth: int, size: int) -> str:
        """Return some statements."""
        return "\n".join(self.statement(depth) for _ in range(size))

    def statement(self, depth: int) -> str:
        """Return one statement."""
        kinds: list[Callable[[int], str]] = [self.local, self.assignment, self.call_statement]
        if depth < 4:
            kinds += [self.branch, self.loop, self.numeric_for, self.generic_for, self.function, self.do_block]
        return self.random.choice(kinds)(depth + 1)

    def name(self) -> str:
        """Return a variable."""
        return self.random.choice(NAMES)

    def local(self, depth: int) -> str:
        """Return a local declaration, sometimes of a variable to be closed."""
        if self.close and self.random.random() < 0.1:
            return f"local {self.name()} <close> = setmetatable({{}}, {{__close = {self.closure(depth)}}})"
        return f"local {self.name()} = {self.expression(depth)}"

    def assignment(self, depth: int) -> str:
        """Return an assignment to a variable or a field."""
        target = self.name() if self.random.random() < 0.5 else f"{self.name()}[{self.expression(depth)}]"
        return f"{target} = {self.expression(depth)}"

    def call_statement(self, depth: int) -> str:
        """Return a call; parenthesised calls would join the line before."""
        return self.call(depth)

    def branch(self, depth: int) -> str:
        """Return an if."""
        other = f" else {self.block(depth, 1)}" if self.random.random() < 0.4 else ""
        return f"if {self.expression(depth)} then {self.block(depth, 1)}{other} end"

    def loop(self, depth: int) -> str:
        """Return a while or repeat, seldom an endless one."""
        condition = "true" if self.random.random() < 0.05 else self.expression(depth)
        if self.random.random() < 0.5:
            return f"while {condition} do {self.block(depth, 1)} if {self.expression(depth)} then break end end"
        return f"repeat {self.block(depth, 1)} until {condition}"

    def numeric_for(self, depth: int) -> str:
        """Return a for over numbers."""
        limit = self.random.choice(("3", "10", "50", "1000", self.expression(depth)))
        return f"for {self.name()} = 1, {limit} do {self.block(depth, 1)} end"

    def generic_for(self, depth: int) -> str:
        """Return a for over a table or an iterator."""
        source = self.random.choice(("pairs", "ipairs", "next,", "string.gmatch"))
        what = f"({self.expressions(depth)})" if source != "next," else f" {self.expression(depth)}"
        return f"for k, v in {source}{what} do {self.block(depth, 1)} end"

    def function(self, depth: int) -> str:
        """Return a function definition, local or global."""
        local = "local " if self.random.random() < 0.6 else ""
        name = self.random.choice(("f", "a", "b"))
        return f"{local}function {name}(...) {self.block(depth, self.random.randint(1, 3))} end"

    def do_block(self, depth: int) -> str:
        """Return a block of its own."""
        return f"do {self.block(depth, 2)} end"

    def closure(self, depth: int) -> str:
        """Return a function expression."""
        if depth > 5:
            return "function(...) return ... end"
        result = f" return {self.expressions(depth + 1)}" if self.random.random() < 0.6 else ""
        return f"function(x1, ...) {self.block(depth + 1, 1)}{result} end"

    def expressions(self, depth: int) -> str:
        """Return a list of expressions."""
        return ", ".join(self.expression(depth + 1) for _ in range(self.random.randint(1, 3)))

    def expression(self, depth: int) -> str:
        """Return an expression."""
        pick = self.random.random()
        if depth > 5 or pick < 0.3:
            text, number = self.random.choice(TEXTS), self.random.choice(NUMBERS)
            return self.random.choice((self.name(), text, number, "nil", "true"))
        if pick < 0.5:
            return f"({self.expression(depth + 1)} {self.operator()} {self.expression(depth + 1)})"
        if pick < 0.6:
            return self.table(depth)
        if pick < 0.7:
            return self.closure(depth)
        if pick < 0.75:
            return f"({self.random.choice(('-', 'not ', '#'))}{self.expression(depth + 1)})"
        if pick < 0.8:
            return f"setmetatable({self.table(depth)}, {self.metatable(depth)})"
        return self.call(depth) if pick < 0.95 else f"{self.name()}.{self.random.choice(NAMES)}"

    def operator(self) -> str:
        """Return a binary operator of this version."""
        extra = ("//", "&", "|", "~", "<<", ">>") if self.integers else ()
        return self.random.choice(BINARY + extra)

    def table(self, depth: int) -> str:
        """Return a table constructor."""
        fields = [self.expression(depth + 1) for _ in range(self.random.randint(0, 3))]
        if self.random.random() < 0.4:
            fields.append(f"[{self.random.choice(TEXTS)}] = {self.expression(depth + 1)}")
        return "{" + ", ".join(fields) + "}"

    def metatable(self, depth: int) -> str:
        """Return a metatable with one or two events."""
        events = self.random.sample(EVENTS, self.random.randint(1, 2))
        return "{" + ", ".join(f"{event} = {self.expression(depth + 1)}" for event in events) + "}"

    def call(self, depth: int) -> str:
        """Return a call of a library function, a method or a variable."""
        pick = self.random.random()
        if pick < 0.65:
            return f"{self.random.choice(GLOBALS)}({self.expressions(depth + 1)})"
        if pick < 0.85:
            return f"{self.name()}:{self.random.choice(METHODS)}({self.expressions(depth + 1)})"
        return f"{self.name()}({self.expressions(depth + 1)})"
