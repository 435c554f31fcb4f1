"""What the command line reads: sizes, times, scripts and contexts. A wrong one is named, with what would be right."""

from __future__ import annotations

import errno
import json
import math
import re
import sys
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from luagauge.config import SEEDS, is_moment

_SIZE_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
}
_TIME_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-z]*)", re.ASCII)
_LEAST_SEED, _MOST_SEED = SEEDS
_SEED = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_SECONDS = re.compile(r"-?\d{1,16}(?:\.\d{1,16})?", re.ASCII)
_MAX_DIGITS = 32
_MAX_BYTES = 1 << 62
_MAX_MS = 10**12


def _amount(text: str, units: dict[str, int]) -> Fraction | None:
    """Return a number times its unit, exactly, or None where `text` is no such thing."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or len(match[1]) > _MAX_DIGITS or match[2].lower() not in units:
        return None
    return Fraction(match[1]) * units[match[2].lower()]


def size_bytes(text: str) -> int:
    """Return the bytes that `64MiB`, `64MB`, `1.5GiB` or `65536` stands for.

    Raises:
        click.BadParameter: It is no such thing.
    """
    amount = _amount(text, _SIZE_UNITS)
    if amount is None or not 1 <= amount < _MAX_BYTES:
        raise click.BadParameter(
            f"{text!r} is not a size: give bytes, from 1 to 4 EiB, or a number with kB, MB, GB, TB (powers of 1000) or "
            "KiB, MiB, GiB, TiB (powers of 1024), such as 64MiB"
        )
    return int(amount)


def time_ms(text: str) -> float:
    """Return the milliseconds that `2s`, `500ms` or `1m` stands for.

    Raises:
        click.BadParameter: It is no such thing.
    """
    amount = _amount(text, _TIME_UNITS_MS)
    if amount is None or not 0 < amount < _MAX_MS:
        raise click.BadParameter(
            f"{text!r} is not a time: give a number with its unit, ms, s, m or h, above 0 and below 31 years, such as "
            "500ms"
        )
    return float(amount)


def count(text: str) -> int:
    """Return the whole number above 0 that `text` is.

    Raises:
        click.BadParameter: It is no such thing.
    """
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _MAX_DIGITS and 1 <= int(digits) < _MAX_BYTES):
        raise click.BadParameter(f"{text!r} is not a count: give a whole number from 1 to {_MAX_BYTES - 1}, or none")
    return int(digits)


def seed(text: str) -> int:
    """Return the whole number of 64 bits that `text` is.

    Raises:
        click.BadParameter: It is no such thing.
    """
    digits = text.strip()
    if not _SEED.fullmatch(digits) or not _LEAST_SEED <= int(digits) <= _MOST_SEED:
        raise click.BadParameter(f"{text!r} is not a seed: give a whole number from {_LEAST_SEED} to {_MOST_SEED}")
    return int(digits)


def moment(text: str) -> float:
    """Return the seconds since the epoch that `2026-01-31T12:00:00Z` or `1769860800` stands for.

    Raises:
        click.BadParameter: It is no such thing, or has no time zone.
    """
    given = text.strip()
    try:
        if _SECONDS.fullmatch(given):
            seconds = float(given)
        else:
            date = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", given))
            if date.utcoffset() is None:
                raise click.BadParameter(f"{text!r} has no time zone: give one, such as {date.isoformat()}Z for UTC")
            seconds = date.timestamp()
    except ValueError:
        seconds = math.nan
    if is_moment(seconds):
        return seconds
    raise click.BadParameter(
        f"{text!r} is not a moment: give a date and time with its zone, such as 2026-01-31T12:00:00Z, or seconds since "
        "the epoch, from year 1 to 9999"
    )


def is_none(text: str) -> bool:
    """Tell whether a limit is to be off."""
    return text.strip().lower() == "none"


def _read(path: str) -> bytes:
    """Return what is in a file, or on standard input for `-`.

    Raises:
        OSError: It cannot be read.
    """
    if path != "-":
        return Path(path).read_bytes()
    if sys.stdin is None:
        raise OSError(errno.EBADF, "standard input is closed")
    return sys.stdin.buffer.read()


def read_script(path: str) -> bytes:
    """Return the source in a file, or from standard input for `-`.

    As the `lua` program does, leaves out a UTF-8 byte order mark and a first line that starts with `#` (its line break
    stays, so that line numbers are right).

    Raises:
        OSError: It cannot be read.
    """
    source = _read(path)
    source = source.removeprefix(b"\xef\xbb\xbf")
    if source.startswith(b"#"):
        end = source.find(b"\n")
        return b"" if end < 0 else source[end:]
    return source


def read_context(path: str) -> dict[str, Any]:
    """Return the JSON object in a file, or from standard input for `-`.

    Raises:
        click.BadParameter: It cannot be read, is not JSON, or not an object.
    """
    shown = "standard input" if path == "-" else path
    try:
        text = _read(path)
        data = json.loads(text)
    except OSError as error:
        raise _bad_context(f"cannot read {shown}: {error.strerror}") from None
    except RecursionError:
        raise _bad_context(f"{shown} is nested too deeply; give flatter data") from None
    except ValueError as error:
        raise _bad_context(f"{shown} is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise _bad_context(f'{shown} holds a JSON {type(data).__name__}; give an object such as {{"request": ...}}')
    return data


def _bad_context(message: str) -> click.BadParameter:
    """Blame --context."""
    return click.BadParameter(message, param_hint="'--context'")
