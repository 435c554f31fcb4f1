"""Take a Lua source apart into statements, and put it together so that each of them runs by itself.

Every top-level statement, and every statement of a `do` or `if` block of such a one, becomes a *unit*: a function that is
called in a protected call. An error ends its unit and not the file. The locals of a block stay where they are, so a unit
sees those before it. Lines keep their numbers.

The names that the rewritten source calls are the locals of `harness.lua`: `__unit`, `__values`, `__skip` and `__assert`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--\[(?P<comment>=*)\[.*?\](?P=comment)\]|--[^\n]*)
  | (?P<string>\[(?P<level>=*)\[.*?\](?P=level)\]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<number>0[xX](?:[pP][+-]?|[0-9a-zA-Z.])*|\.?[0-9](?:[eE][+-]?|[0-9a-zA-Z.])*)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>\.\.\.|\.\.|==|~=|<=|>=|<<|>>|//|::|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BINARY = frozenset("+ - * / // % ^ .. == ~= < > <= >= & | ~ << >> and or".split())
_UNARY = frozenset("- # ~ not".split())
_ENDS = frozenset(["end", "else", "elseif", "until", ""])
_PLAIN = frozenset(", { } = ;".split())


@dataclass
class Token:
    """A word of the source, and where it stands."""

    kind: str
    text: str
    start: int
    end: int
    line: int


@dataclass
class Statement:
    """A statement: its kind, its tokens from `first` up to `last`, and the blocks in it that can be taken apart."""

    kind: str
    first: int
    last: int = 0
    values: int = 0
    """The first token of its expressions, where it declares locals."""
    blocks: list[list[Statement]] = field(default_factory=list)


def tokens_of(source: str) -> list[Token]:
    """Return the tokens of a source, and one of no text at its end."""
    tokens = []
    line = 1
    for match in _TOKEN.finditer(source):
        kind = match.lastgroup or ""
        kind = "string" if match["string"] is not None else "space" if match["space"] is not None else kind
        if kind != "space":
            tokens.append(Token(kind, match[0], match.start(), match.end(), line))
        line += match[0].count("\n")
    tokens.append(Token("end", "", len(source), len(source), line))
    return tokens


class Parser:
    """Finds where statements begin and end. It takes what any Lua takes, and does not say what is wrong elsewhere."""

    def __init__(self, tokens: list[Token], *, has_goto: bool, has_global: bool) -> None:
        """Parse these tokens; `goto` and `global` are words of the language only from some version on."""
        self.tokens = tokens
        self.at = 0
        self.has_goto = has_goto
        self.has_global = has_global
        self.targets: set[int] = set()
        """The tokens that are names of what is set: what an assignment to a field begins with too."""

    @property
    def text(self) -> str:
        """The token that comes next."""
        token = self.tokens[self.at]
        return "" if token.kind in ("string", "number") else token.text

    def take(self, text: str = "") -> None:
        """Pass over a token, which must be this one where one is given."""
        if text and self.text != text:
            token = self.tokens[self.at]
            message = f"line {token.line}: {text!r} expected near {token.text[:20]!r}"
            raise SyntaxError(message)
        self.at += 1

    def accept(self, *texts: str) -> bool:
        """Pass over the next token if it is one of these."""
        found = self.text in texts
        self.at += found
        return found

    def block(self) -> list[Statement]:
        """Parse statements up to the end of their block."""
        statements = []
        while self.text not in _ENDS or self.tokens[self.at].kind in ("string", "number"):
            if self.accept(";"):
                continue
            statement = Statement(self.kind(), self.at)
            self.statement(statement)
            statement.last = self.at
            statements.append(statement)
        return statements

    def kind(self) -> str:
        """Say what kind of statement comes next."""
        text, after = self.text, self.tokens[self.at + 1]
        words = {"do", "if", "while", "repeat", "for", "function", "return", "break", "local"}
        if text == "local" and after.text == "function":
            return "declaration"
        if text == "::":
            return "label"
        if self.has_goto and text == "goto" and after.kind == "name":
            return "goto"
        if self.has_global and text == "global" and (after.kind == "name" or after.text in ("<", "*")):
            return "declaration"
        return text if text in words else "expression"

    def statement(self, statement: Statement) -> None:
        """Parse one statement of the kind that `kind` found."""
        parse = {
            "label": self.label,
            "goto": self.jump,
            "break": self.take,
            "return": self.returning,
            "function": self.named_function,
            "while": self.while_loop,
            "repeat": self.repeat_loop,
            "for": self.loop,
            "expression": self.assignment,
        }.get(statement.kind)
        if parse is not None:
            parse()
        elif statement.kind == "do":
            self.take()
            statement.blocks.append(self.block())
            self.take("end")
        elif statement.kind == "if":
            self.branches(statement)
        else:
            self.declare(statement)

    def label(self) -> None:
        """Parse `::name::`."""
        self.take("::")
        self.take()
        self.take("::")

    def jump(self) -> None:
        """Parse a `goto`."""
        self.take("goto")
        self.take()

    def while_loop(self) -> None:
        """Parse a `while`."""
        self.take("while")
        self.expression()
        self.body("do", "end")

    def repeat_loop(self) -> None:
        """Parse a `repeat`."""
        self.body("repeat", "until")
        self.expression()

    def body(self, opening: str, closing: str) -> None:
        """Parse a block between two words."""
        self.take(opening)
        self.block()
        self.take(closing)

    def branches(self, statement: Statement) -> None:
        """Parse an `if`."""
        while self.accept("if", "elseif"):
            self.expression()
            self.take("then")
            statement.blocks.append(self.block())
        if self.accept("else"):
            statement.blocks.append(self.block())
        self.take("end")

    def returning(self) -> None:
        """Parse a `return`."""
        self.take()
        if (self.text not in _ENDS or self.tokens[self.at].kind in ("string", "number")) and self.text != ";":
            self.expressions()
        self.accept(";")

    def named_function(self) -> None:
        """Parse `function a.b:c(...) ... end`."""
        self.take("function")
        self.targets.add(self.at)
        self.take()
        while self.accept(".", ":"):
            self.take()
        self.function_body()

    def loop(self) -> None:
        """Parse a `for`."""
        self.take("for")
        while not self.accept("=", "in"):
            self.take()
        self.expressions()
        self.body("do", "end")

    def declare(self, statement: Statement) -> None:
        """Parse what declares locals or globals."""
        self.take()
        if self.accept("function"):
            self.take()
            self.function_body()
            return
        while True:
            if self.accept("<"):
                self.take()
                self.take(">")
            if self.tokens[self.at].kind == "name" or self.text == "*":
                self.targets.add(self.at)
                self.take()
            if self.accept("<"):
                self.take()
                self.take(">")
            if not self.accept(","):
                break
        if self.accept("="):
            statement.values = self.at
            self.expressions()

    def assignment(self) -> None:
        """Parse a call or an assignment."""
        targets = {self.at}
        self.suffixed()
        while self.accept(","):
            targets.add(self.at)
            self.suffixed()
        if self.accept("="):
            self.targets |= targets
            self.expressions()

    def expressions(self) -> None:
        """Parse a list of expressions."""
        self.expression()
        while self.accept(","):
            self.expression()

    def expression(self) -> None:
        """Parse an expression."""
        while True:
            while self.text in _UNARY:
                self.take()
            self.simple()
            if self.text not in _BINARY:
                return
            self.take()

    def simple(self) -> None:
        """Parse an operand."""
        token = self.tokens[self.at]
        if token.kind in ("string", "number") or token.text in ("nil", "true", "false", "..."):
            self.take()
        elif token.text == "{":
            self.constructor()
        elif self.accept("function"):
            self.function_body()
        else:
            self.suffixed()

    def constructor(self) -> None:
        """Parse a table."""
        self.take("{")
        while not self.accept("}"):
            if self.accept("["):
                self.expression()
                self.take("]")
                self.take("=")
            elif self.tokens[self.at].kind == "name" and self.tokens[self.at + 1].text == "=":
                self.take()
                self.take()
            self.expression()
            self.accept(",", ";")

    def function_body(self) -> None:
        """Parse the parameters and the body of a function."""
        self.take("(")
        while not self.accept(")"):
            self.take()
        self.block()
        self.take("end")

    def suffixed(self) -> None:
        """Parse a name or a parenthesis, with what is called and indexed behind it."""
        if self.accept("("):
            self.expression()
            self.take(")")
        elif self.tokens[self.at].kind == "name":
            self.take()
        else:
            self.take("a name")
        while True:
            token = self.tokens[self.at]
            if token.kind == "string":
                self.take()
            elif token.kind != "sign" or token.text not in (".", ":", "[", "(", "{"):
                return
            elif token.text in (".", ":"):
                self.take()
                self.take()
            elif token.text == "{":
                self.constructor()
            else:
                self.take()
                if token.text == "[":
                    self.expression()
                    self.take("]")
                elif not self.accept(")"):
                    self.expressions()
                    self.take(")")


def plain(words: list[Token]) -> bool:
    """Say whether expressions are names, literals and tables of them, of which none can fail."""
    calls = any(name.kind == "name" and after.kind == "string" for name, after in pairwise(words))
    return not calls and all(w.kind in ("string", "number", "name") or w.text in _PLAIN for w in words)


@dataclass
class Names:
    """The names that occur in a unit, and those of them that it sets."""

    used: set[str] = field(default_factory=set)
    set: set[str] = field(default_factory=set)


class Rewriter:
    """Puts a source together again, with its units wrapped and its assertions counted."""

    def __init__(self, source: str, skipped: frozenset[int], *, has_goto: bool, has_global: bool) -> None:
        """Rewrite this source; units that begin at the `skipped` lines are not run."""
        self.source = source
        self.skipped = skipped
        self.has_goto = has_goto
        self.tokens = tokens_of(source)
        parser = Parser(self.tokens, has_goto=has_goto, has_global=has_global)
        self.root = parser.block()
        self.targets = parser.targets
        self.inserts: list[tuple[int, int, str]] = []
        self.names: dict[int, Names] = {}

    def note(self, line: int, first: int, last: int) -> None:
        """Note the names that a unit sets and uses."""
        names = self.names.setdefault(line, Names())
        names.used |= {token.text for token in self.tokens[first:last] if token.kind == "name"}
        names.set |= {self.tokens[at].text for at in self.targets if first <= at < last}

    def put(self, position: int, text: str) -> None:
        """Insert a text there, behind what was inserted there before."""
        self.inserts.append((position, len(self.inserts), text))

    def jumps(self, statement: Statement) -> bool:
        """Say whether a statement has a goto in it, which could lead out of it."""
        words = self.tokens[statement.first : statement.last]
        return self.has_goto and any(token.text == "goto" and token.kind == "name" for token in words)

    def split(self, block: list[Statement]) -> None:
        """Wrap the statements of a block."""
        if any(statement.kind == "label" for statement in block):
            return
        for statement in block:
            if statement.kind in ("declaration", "goto", "break") or self.jumps(statement):
                continue
            line = self.tokens[statement.first].line
            if statement.kind == "local":
                words = self.tokens[statement.values : statement.last]
                if not statement.values or plain(words):
                    continue
                self.wrap(statement.values, statement.last, f"__values({line},function(...)return ")
                self.note(line, statement.first, statement.last)
            else:
                call = "__skip" if line in self.skipped else "__unit"
                self.wrap(statement.first, statement.last, f"{call}({line},function(...) ")
                self.note(line, statement.first, statement.last)
                for inner in statement.blocks:
                    self.split(inner)

    def wrap(self, first: int, last: int, opening: str) -> None:
        """Make tokens the body of a function that the harness calls."""
        self.put(self.tokens[first].start, opening)
        ends = opening.startswith("__values") or self.tokens[last].text == ";"  # 5.1 has no empty statement
        self.put(self.tokens[last - 1].end, " end,...)" if ends else " end,...);")

    def count_assertions(self) -> None:
        """Replace `assert(` by a call that counts."""
        tokens = self.tokens
        for at, token in enumerate(tokens[:-2]):
            before = tokens[at - 1].text if at > 0 else ""
            if (
                token.text == "assert"
                and token.kind == "name"
                and tokens[at + 1].text == "("
                and tokens[at + 1].kind == "sign"
            ):
                if before in (".", ":", "function"):
                    continue
                self.put(token.start, "__")
                self.put(tokens[at + 1].end, str(token.line) + ("" if tokens[at + 2].text == ")" else ","))

    def text(self) -> str:
        """Return the source as it is to be run."""
        self.split(self.root)
        self.count_assertions()
        parts, done = [], 0
        for position, _, text in sorted(self.inserts):
            parts += [self.source[done:position], text]
            done = position
        return "".join([*parts, self.source[done:]])


def rewriter(source: str, version: str, skipped: frozenset[int] = frozenset()) -> Rewriter:
    """Return what rewrites a source of this Lua version."""
    if source.startswith("#"):
        source = "--" + source
    return Rewriter(source, skipped, has_goto=version != "5.1", has_global=version == "5.5")


def rewritten(source: str, version: str, skipped: frozenset[int] = frozenset()) -> str:
    """Return a source whose statements run by themselves, for this Lua version."""
    return rewriter(source, version, skipped).text()


def names_of(source: str, version: str) -> dict[int, Names]:
    """Return the names in each unit, by its line."""
    found = rewriter(source, version)
    found.split(found.root)
    return found.names
