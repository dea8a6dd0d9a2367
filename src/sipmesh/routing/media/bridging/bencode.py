"""Bencode: the form of the messages of rtpengine. Strings are octets, and the keys of a dictionary are in order."""

from __future__ import annotations

from typing import Final

from sipmesh.errors import RemoteError

Bencoded = int | bytes | list["Bencoded"] | dict[bytes, "Bencoded"]

RULE: Final = "bencode"
MAX_DEPTH: Final = 16
MAX_DIGITS: Final = 19
"""Digits of a number or of a length: more than 64 bits have no meaning."""

_ZERO: Final = ord("0")
_NINE: Final = ord("9")


def encode(value: object) -> bytes:
    """Encode text, octets, whole numbers, lists, and dictionaries whose keys are text."""
    if isinstance(value, str):
        return encode(value.encode())
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, list):
        return b"l%be" % b"".join([encode(one) for one in value])
    if isinstance(value, dict):
        return b"d%be" % b"".join([encode(key) + encode(value[key]) for key in sorted(value)])
    raise TypeError(f"a value of type {type(value).__name__} has no form in bencode")


def decode(octets: bytes) -> Bencoded:
    """Read one value, which is all of *octets*; RemoteError if it is malformed."""
    value, end = _read(octets, 0, MAX_DEPTH)
    if end != len(octets):
        raise RemoteError(f"{len(octets) - end} octets after the end of a value", rule=RULE)
    return value


def _read(octets: bytes, at: int, depth: int) -> tuple[Bencoded, int]:
    """Read the value at *at*; give it, and where it ends. Values may be in values, *depth* deep."""
    kind = octets[at : at + 1]
    if kind == b"i":
        return _number(octets, at + 1, b"e")
    if kind in {b"l", b"d"} and depth == 0:
        raise RemoteError(f"values in values, deeper than {MAX_DEPTH}", rule=RULE)
    if kind == b"l":
        return _items(octets, at + 1, depth - 1)
    if kind == b"d":
        return _dictionary(octets, at + 1, depth - 1)
    length, start = _number(octets, at, b":")
    if length < 0 or len(octets) - start < length:
        raise RemoteError("a string that is longer than its message", rule=RULE)
    return octets[start : start + length], start + length


def _items(octets: bytes, at: int, depth: int) -> tuple[list[Bencoded], int]:
    found: list[Bencoded] = []
    while octets[at : at + 1] != b"e":
        value, at = _read(octets, at, depth)
        found.append(value)
    return found, at + 1


def _dictionary(octets: bytes, at: int, depth: int) -> tuple[dict[bytes, Bencoded], int]:
    items, end = _items(octets, at, depth)
    if len(items) % 2:
        raise RemoteError("a key without a value", rule=RULE)
    found: dict[bytes, Bencoded] = {}
    for n in range(0, len(items), 2):
        key = items[n]
        if not isinstance(key, bytes) or key in found:
            raise RemoteError("a key that is no string, or there twice", rule=RULE)
        found[key] = items[n + 1]
    return found, end


def _number(octets: bytes, at: int, stop: bytes) -> tuple[int, int]:
    """Read a whole number that *stop* ends; give it, and where the octets after it begin."""
    end = octets.find(stop, at, at + MAX_DIGITS + 2)
    digits = octets[at:end] if end >= 0 else b""
    unsigned = digits[1:] if digits[:1] == b"-" else digits
    if not unsigned or any(not _ZERO <= one <= _NINE for one in unsigned):
        raise RemoteError("a number or length that cannot be read", rule=RULE)
    return int(digits), end + 1
