"""Plain data between Python and the fallback's Lua: as flat values, with one character each that says what it is.

The forms are those of _lua/data.lua; the rules and messages those of csrc/fast/encode.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from luagauge._binding import MAX_DEPTH, foreign_form, key_refusal, serialization_error
from luagauge.errors import ScriptSerializationError

_BATCH = 50
_VALUE_BYTES = 16  # what a value takes in Lua at least
_EXACT_FLOAT = 1 << 53


class Outgoing:
    """Values on their way to Lua, encoded; `batch()` hands them out a few at a time.

    Attributes:
        least_bytes: What they will take in Lua, at least.
    """

    __slots__ = ("_at", "_kinds", "_values", "least_bytes")

    def __init__(self, value: object, root: str, *, integers: bool) -> None:
        """Encode a value.

        Args:
            value: Plain data.
            root: What errors call the value.
            integers: This Lua has 64-bit integers, not only floats.

        Raises:
            ScriptSerializationError: It holds something that has no form in Lua.
        """
        encoder = _Encoder(root, integers=integers)
        encoder.add(value)
        self._kinds = bytes(encoder.kinds)
        self._values = encoder.values
        self._at = 0
        self.least_bytes = encoder.text_bytes + _VALUE_BYTES * len(encoder.values)

    def batch(self) -> tuple[Any, ...]:
        """Return the kinds of the next few values, and the values."""
        at = self._at
        self._at = at + _BATCH
        return (self._kinds[at : at + _BATCH], *self._values[at : at + _BATCH])


class _Encoder:
    """One walk over a value."""

    def __init__(self, root: str, *, integers: bool) -> None:
        self.kinds = bytearray()
        self.values: list[Any] = []
        self.text_bytes = 0
        self._root = root
        self._integers = integers
        self._open: list[object] = []  # the containers around the value at hand
        self._path: list[str] = []  # the step into each of them

    def add(self, value: object) -> None:
        """Encode one value.

        Raises:
            ScriptSerializationError: It has no form in Lua.
        """
        if isinstance(value, str):
            self._text(value)
        elif value is None:
            self._put(b"n", None)
        elif isinstance(value, bool):
            self._put(b"v", value)
        elif isinstance(value, int):
            self._int(value)
        elif isinstance(value, float):
            self._put(b"v", float(value))
        elif isinstance(value, dict):
            self._dict(value)
        elif isinstance(value, (list, tuple)):
            self._sequence(value)
        elif isinstance(value, bytes):
            self._bytes(value)
        else:
            form = foreign_form(value, self._root)
            if isinstance(form, str):
                raise self._refused(form)
            self._dict(form)

    def _put(self, kind: bytes, value: Any) -> None:
        self.kinds += kind
        self.values.append(value)

    def _bytes(self, value: bytes) -> None:
        self.text_bytes += len(value)
        self._put(b"v", value)

    def _text(self, value: str) -> None:
        try:
            self._bytes(value.encode())
        except UnicodeEncodeError:
            raise self._refused(f"the text {_shown(value, 60)} has a lone surrogate, which UTF-8 cannot hold") from None

    def _int(self, value: int) -> None:
        most = (1 << 63) - 1 if self._integers else _EXACT_FLOAT
        least = -most - 1 if self._integers else -most
        if not least <= value <= most:
            numbers = "64-bit integers" if self._integers else "floats, exact up to 2**53"
            raise self._refused(f"{_shown(value, 60)} does not fit: this Lua's numbers are {numbers}")
        self._put(b"v", int(value))

    def _enter(self, value: object) -> None:
        if any(outer is value for outer in self._open):
            raise self._refused("it contains itself")
        if len(self._open) == MAX_DEPTH:
            raise self._refused(f"it is nested deeper than {MAX_DEPTH} levels")
        self._open.append(value)
        self._path.append("")

    def _leave(self) -> None:
        self._open.pop()
        self._path.pop()

    def _sequence(self, value: list[Any] | tuple[Any, ...]) -> None:
        self._enter(value)
        items = tuple(value)  # the collector can run any code at any time, and so change a list
        self._put(b"[", len(items))
        for index, item in enumerate(items):
            self._path[-1] = f"[{index}]"
            self.add(item)
        self._leave()

    def _dict(self, value: dict[Any, Any]) -> None:
        self._enter(value)
        pairs = dict.copy(value)  # as above
        self._put(b"{", len(pairs))
        texts: set[bytes] | None = None
        for key, item in pairs.items():
            self._path[-1] = _step(key)
            if isinstance(key, bytes):
                texts = _texts_of(pairs) if texts is None else texts
                if b"".join((key,)) in texts:
                    raise self._refused("the key is there as str and as bytes, one string in Lua")
            self._key(key)
            self.add(item)
        self._leave()

    def _key(self, key: object) -> None:
        if isinstance(key, float) and key != key:  # noqa: PLR0124 - a NaN compares with nothing
            raise self._refused("a NaN cannot be a key in Lua")
        if not isinstance(key, (str, bytes, int, float)):
            raise self._refused(key_refusal(key))
        self.add(key)

    def _refused(self, why: str) -> ScriptSerializationError:
        return serialization_error(why, (self._root + "".join(self._path)).removeprefix("." if not self._root else ""))


def _texts_of(given: dict[Any, Any]) -> set[bytes]:
    """Return the UTF-8 of every text among a dict's keys, for in Lua a key of bytes may be the same string.

    Not looked up in the dict itself, where bytes would be compared with text.
    """
    return {str.encode(key, errors="surrogatepass") for key in given if isinstance(key, str)}


def _step(key: object) -> str:
    """Return a key as a step of a path."""
    if isinstance(key, str) and key.isidentifier():
        return f".{key}"
    return f"[{_shown(key, 80)}]"


def _shown(value: object, most: int) -> str:
    """Return `repr(value)`, cut; what cannot be shown (too many digits, a __repr__ that raises) by its type."""
    try:
        return repr(value)[:most]
    except Exception:  # noqa: BLE001 - see above
        return f"<unprintable {type(value).__name__}>"


class Incoming:
    """Values that Lua sends, batch by batch."""

    __slots__ = ("_kinds", "_values")

    def __init__(self) -> None:
        """Start empty."""
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._kinds = bytearray()
        self._values: list[Any] = []

    def add(self, kinds: bytes, values: tuple[Any, ...]) -> None:
        """Take one batch."""
        self._kinds += kinds
        self._values += values

    def take(self) -> list[Any]:
        """Return all values as Python has them, and forget them."""
        stream = zip(bytes(self._kinds), self._values, strict=True)
        found = [_decode(kind, value, stream) for kind, value in stream]
        self.clear()
        return found


def _decode(kind: int, value: Any, rest: Iterator[tuple[int, Any]]) -> Any:
    """Return one value; a container takes what belongs to it from the rest."""
    if kind == ord("v"):
        return text(value) if type(value) is bytes else value
    if kind == ord("["):
        return [_decode(*next(rest), rest) for _ in range(value)]
    if kind == ord("{"):
        made = {}
        for inner, key in rest:
            if inner == ord("}"):
                break
            name = _decode(inner, key, rest)
            made[name] = _decode(*next(rest), rest)
        return made
    if kind == ord("d"):
        return float(value)
    return -0.0 if kind == ord("-") else None


def text(value: bytes) -> str | bytes:
    """Return a Lua string as str, or as it is where it is no UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
