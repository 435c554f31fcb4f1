"""tonumber: what stock Lua makes of every numeral, short or of a hundred thousand bytes, and in time whatever its length."""

from __future__ import annotations

import importlib
import random
import re
import sys
from fractions import Fraction
from math import inf, ldexp, nextafter
from typing import TYPE_CHECKING, TypeVar

import pytest

from luagauge import LuaEngine, ScriptTimeoutError, _finder

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = 400
SEED = 20
LONG = 70_000
"""Bytes: more than the C library is given at once."""

T = TypeVar("T")
Argument = bytes | int | float | None
Case = tuple[bytes, Argument]

# The outcome as text: exact, with its kind, the sign of a zero and of a NaN, and with the message of an error.
SHOW = r"""
    local tonumber, s, base, has_base = ...
    local show = function(ok, value)
        if not ok then return "error: " .. value:gsub("_G%.", ""):gsub("'%?'", "'tonumber'") end
        if type(value) ~= "number" then return tostring(value) end
        local kind = math.type and math.type(value) or "number"
        if value ~= value or kind == "integer" then return kind .. " " .. tostring(value) end
        return kind .. " " .. string.format("%.17g", value) .. (value == 0 and " " .. tostring(1 / value) or "")
    end
    if has_base then return show(pcall(tonumber, s, base)) end
    return show(pcall(tonumber, s))
"""
OURS = f"""
    local show = function(...) {SHOW} end
    local outcomes = {{}}
    for i, case in ipairs(context.cases) do outcomes[i] = show(tonumber, case.s, case.base, case.base ~= nil) end
    return outcomes
"""


class Numerals:
    """Makes numerals of many kinds, most of them right."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret

    def _one_of(self, *choices: T) -> T:
        return self._random.choice(choices)

    def _is_rare(self) -> bool:
        return self._random.random() < 0.1

    def _run(self, digits: str) -> str:
        """Return digits, of lengths at which something changes: kept digits, pieces, what is converted at once."""
        lengths = (0, 1, 2, 5, 16, 20, 40, 257, 801, 4096, 32768, 65536, LONG)
        n = self._one_of(*lengths) + self._random.randrange(3)
        head = "".join(self._random.choices(digits, k=min(n, self._one_of(0, 300, LONG))))
        zeros = "0" * self._one_of(0, 0, 0, LONG)
        last: str = self._one_of(*digits)
        return zeros + head + last * (n - len(head))

    def _blanks(self) -> str:
        return self._one_of("", "", "", " ", "\t\n\v\f\r ", " " * LONG if self._is_rare() else "")

    def _sign(self) -> str:
        return self._one_of("", "", "-", "+")

    def _spoilt(self, text: str) -> bytes:
        if self._is_rare():
            at = self._random.randrange(len(text) + 1)
            text = text[:at] + self._one_of(*"xn\0g _epP-.,(", "\xa0", "\0" + "x" * LONG) + text[at:]
        return text.encode("latin-1")

    def standard(self) -> Case:
        """Return a decimal or hexadecimal one, its exponent often such that the number is no extreme one."""
        is_hex = self._random.random() < 0.35
        digits = "0123456789abcdefABCDEF" if is_hex else "0123456789"
        per_digit = 4 if is_hex else 1
        whole, fraction, exponent = self._run(digits), "", ""
        if self._one_of(True, False):
            fraction = "." + self._run(digits)
        if self._one_of(True, False):
            back = self._one_of(0, -len(whole), len(fraction) - 1) * per_digit
            value = back + self._one_of(0, 1, -5, 300, -324, -1074)
            text = ("-" if value < 0 else self._one_of("", "+")) + self._one_of("", "", "0" * LONG) + str(abs(value))
            if self._is_rare():
                text = self._sign() + self._run("0123456789")
            exponent = self._one_of(*("pP" if is_hex else "eE")) + text
        prefix = self._one_of("0x", "0X") if is_hex else ""
        return self._spoilt(self._blanks() + self._sign() + prefix + whole + fraction + exponent + self._blanks()), None

    def middle(self) -> Case:
        """Return the exact middle between two doubles, or what is just above: the longest that rounding looks at."""
        below = ldexp(self._random.random(), self._one_of(-1074, -1060, -1020, -500, 0, 60, 500))
        middle = (Fraction(below) + Fraction(nextafter(below, inf))) / 2
        places = middle.denominator.bit_length() - 1
        digits = str((middle * 10**places).numerator)
        tail = self._one_of("", "0" * LONG, "0" * LONG + "1")
        return f"{self._one_of('', '0' * LONG)}{digits}{tail}e{-places - len(tail)}".encode(), None

    def named(self) -> Case:
        """Return a word that is a numeral to 5.1 alone, or to none."""
        word = self._one_of(
            "inf", "Infinity", "infinit", "nan", "NAN(", "nan(a_1)", "x", "", "nan(" + self._run("0aZ_")
        )
        word += self._one_of("", "", ")")
        return self._spoilt(self._blanks() + self._sign() + word + self._blanks()), None

    def based(self) -> Case:
        """Return one with its base."""
        odd: tuple[Argument, ...] = (
            1,
            0,
            -2,
            37,
            2**32 + 16,
            b"16",
            b"x",
            2.5,
            b"0" * LONG + b"8",
            b"1" * LONG,
            b"z" * LONG,
        )
        base = self._one_of(*odd) if self._is_rare() else self._random.randrange(2, 37)
        letters = "0123456789abcdefghijklmnopqrstuvwxyz"[: base if isinstance(base, int) and 2 <= base <= 36 else 16]
        text = self._sign() + self._one_of("", "", "0x", "0", "00x") + self._run(letters + letters.upper())
        return self._spoilt(self._blanks() + text + self._blanks()), base

    def any(self) -> Case:
        """Return one of any kind."""
        make = self._one_of(self.standard, self.standard, self.middle, self.named, self.based)
        return make()


def stock_outcomes(lua: str, cases: list[Case]) -> list[bytes]:
    """Return what the tonumber of a plain lupa of this version makes of each."""
    runtime = importlib.import_module(f"lupa.{_finder.MODULES[lua]}").LuaRuntime(encoding=None)
    show = runtime.eval(f"function(...) return (function(...) {SHOW} end)(tonumber, ...) end".encode())
    return [show(numeral, base, base is not None) for numeral, base in cases]


def our_outcomes(engine: LuaEngine, cases: list[Case]) -> list[bytes]:
    """Return what a script's tonumber makes of each."""
    context = {"cases": [{"s": numeral, "base": base} for numeral, base in cases]}
    result = engine.execute_script(OURS, context)
    assert result.error is None
    return [text if isinstance(text, bytes) else text.encode() for text in result.output]


def test_tonumber_agrees_with_stock(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """Generated numerals of every kind give the same number, to the bit and of the same kind, or the same error."""
    numerals = Numerals(SEED)
    engine = make_engine(lua, memory_limit_mb=500, timeout_ms=None)
    for _ in range(CASES // 20):
        cases = [numerals.any() for _ in range(20)]
        for (numeral, base), stock, our in zip(
            cases, stock_outcomes(lua, cases), our_outcomes(engine, cases), strict=True
        ):
            if sys.platform == "win32" and lua == "5.1" and re.match(rb"\s*[+-]?nan\(", numeral, re.IGNORECASE):
                continue  # how long a name of a NaN strtod() takes, each C runtime has for itself
            assert our == stock, f"tonumber of {len(numeral)} bytes, {numeral[:60]!r}...{numeral[-60:]!r}, {base!r:.60}"


# What a script can have converted, 20 MB of it.
HUGE = {
    "digits": "('1'):rep(2e7)",
    "a fraction": "'.' .. ('1'):rep(2e7)",
    "leading zeros": "('0'):rep(2e7)",
    "hexadecimal digits": "'0x' .. ('f'):rep(2e7)",
    "an exponent": "'1e' .. ('1'):rep(2e7)",
    "white space": "(' '):rep(2e7) .. '1'",
    "no numeral": "('1'):rep(2e7) .. 'x'",
    "a base": "('1'):rep(2e7), 36",
    "a base of many digits": "'11', ('0'):rep(2e7) .. '2'",
}


@pytest.mark.parametrize("what", HUGE)
def test_deadline_ends_conversions(
    make_engine: Callable[..., LuaEngine], assert_usable: Callable[[LuaEngine], None], lua: str, what: str
) -> None:
    """However long each is; tests/c/test_lib_hostile.lua shows that a single one ends half-way."""
    engine = make_engine(lua, timeout_ms=20, memory_limit_mb=200)
    source = f"local s, base = {HUGE[what]} for i = 1, 1000 do tonumber(s, base) end return 'converted'"
    assert isinstance(engine.execute_script(source).error, ScriptTimeoutError)
    assert_usable(engine)
