"""Readers of SIP messages that share no code with ours: one by the grammar, and those that find boundaries where it has none.

A message that is read alike by all of them has one meaning for each receiver. Each lax reading is that of programs which are
in use: text that ends at NUL (C strings), lines that end at a lone CR or LF, lines that Unicode ends, folds that are not joined,
blank lines that end a header, numbers as ``atoi`` reads them, and of two fields the last.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

LONG = {
    b"c": b"content-type",
    b"e": b"content-encoding",
    b"f": b"from",
    b"i": b"call-id",
    b"k": b"supported",
    b"l": b"content-length",
    b"m": b"contact",
    b"o": b"event",
    b"s": b"subject",
    b"t": b"to",
    b"v": b"via",
}
TOKEN = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~]+")
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
FIELD = re.compile(rb"([^:]*):[ \t]*(.*?)[ \t]*", re.DOTALL)


class OtherReaderError(Exception):
    """The grammar does not allow this."""


@dataclass(frozen=True)
class Reading:
    """What a reader has read: the fields by long name in lower case, the body, and what follows it."""

    start: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    rest: bytes

    def values(self, name: bytes) -> list[bytes]:
        """The values of all fields of that name."""
        return [value for known, value in self.fields if known == name]


def by_the_grammar(data: bytes) -> Reading:
    """Read a message as RFC 3261 section 25.1 has it; raises `OtherReaderError` for anything else."""
    head, end, after = data.partition(b"\r\n\r\n")
    if not end:
        raise OtherReaderError("no empty line")
    start, *lines = re.sub(rb"[ \t]*\r\n[ \t]+", b" ", head).split(b"\r\n")
    fields = tuple(_field(line) for line in lines)
    lengths = [value for name, value in fields if name == b"content-length"]
    if len(lengths) != 1 or not re.fullmatch(rb"[0-9]+", lengths[0]) or int(lengths[0]) > len(after):
        raise OtherReaderError(f"Content-Length {lengths}")
    bare = STRING.sub(lambda string: re.sub(rb"\\[^\r\n]", b"", string[0]), head.replace(b"\r\n", b""))
    if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", bare):
        raise OtherReaderError("a control character")
    return Reading(start, fields, after[: int(lengths[0])], after[int(lengths[0]) :])


def _field(line: bytes) -> tuple[bytes, bytes]:
    found = FIELD.fullmatch(line)
    if found is None or not TOKEN.fullmatch(found[1].rstrip(b" \t")):
        raise OtherReaderError(f"no field: {line!r}")
    return _name(found[1].rstrip(b" \t")), found[2]


def _name(spelled: bytes) -> bytes:
    name = bytes(octet + 32 if 65 <= octet <= 90 else octet for octet in spelled)
    return LONG.get(name, name)


def _lax(line_ends: str, data: bytes, *, joins: bool = True, exact_names: bool = False) -> Reading:
    """Read with other ends of lines, numbers as ``atoi`` reads them, and the last of two fields."""
    header = re.split(rf"(?>{line_ends})[ \t]*(?>{line_ends})".encode("latin-1"), data, maxsplit=1)
    if len(header) != 2:
        raise OtherReaderError("no empty line")
    text = re.sub(rf"(?>{line_ends})[ \t]+".encode("latin-1"), b" ", header[0]) if joins else header[0]
    start, *lines = re.split(rf"(?>{line_ends})".encode("latin-1"), text)
    fields: list[tuple[bytes, bytes]] = []
    for line in lines:
        spelled, _, value = line.partition(b":")
        fields.append((_name(spelled if exact_names else spelled.strip()), value.strip()))
    lengths = [value for name, value in fields if name == b"content-length"]
    digits = re.match(rb"[\s+]*([0-9]*)", lengths[-1] if lengths else b"")
    length = int(digits[1] or 0) if digits else 0
    return Reading(start, tuple(fields), header[1][:length], header[1][length:])


def _until_nul(data: bytes) -> Reading:
    head, end, body = data.partition(b"\r\n\r\n")
    return _lax("\r\n", head.partition(b"\0")[0] + end + body)


LAX: dict[str, Callable[[bytes], Reading]] = {
    "text ends at NUL": _until_nul,
    "a lone LF ends a line": lambda data: _lax("\r\n|\n", data),
    "a lone CR ends a line": lambda data: _lax("\r\n|\r|\n", data),
    "what ends a line in Unicode does": lambda data: _lax(
        "\r\n|[\x0b\x0c\r\n\x1c-\x1e]|\xc2\x85|\xe2\x80\xa8|\xe2\x80\xa9", data
    ),
    "folds are not joined": lambda data: _lax("\r\n", data, joins=False),
    "names have no blanks": lambda data: _lax("\r\n", data, exact_names=True),
}


def disagreements(data: bytes) -> list[str]:
    """Name each lax reader that finds another field, length, body or message than the grammar does."""
    true = by_the_grammar(data)
    return [name for name, read in LAX.items() if not _same(read, data, true)]


def _same(read: Callable[[bytes], Reading], data: bytes, true: Reading) -> bool:
    try:
        found = read(data)
    except OtherReaderError:
        return False
    return found == true
