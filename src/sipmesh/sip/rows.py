"""Header rows that keep their bytes: split once, read when asked, edited row by row (RFC 3261 section 7.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip.fields import CSeq, NameAddr, Via, bounded, first_item, split_list
from sipmesh.sip.names import names_of, wire_name
from sipmesh.sip.text import separators, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_T = TypeVar("_T")
# 20.22: Max-Forwards is in the range 0-255. 20.19: Expires is in the range 0 to 2**32-1.
_MAX_HOPS = 255
_MAX_EXPIRES = 2**32 - 1
_FOLD = re.compile(r"[ \t]*\r\n[ \t]+")
# Longer than any limit that a reader may be given.
_MAX_LENGTH = 2**48


class Message:
    """What a request and a response have in common: header rows and a body.

    *lines* holds one entry for each header row in wire order, without the CRLF that ends it; a folded row keeps the
    line breaks inside it. Read it freely, change it by the methods below only: they keep an index of the names. An edit
    touches the rows it must and leaves every other byte alone.

    The typed properties are cached, and raise RemoteError (400) where their field is absent or malformed.
    """

    __slots__ = ("_names", "_typed", "body", "lines")

    def __init__(self, lines: list[bytes], body: bytes = b"") -> None:
        self.lines = lines
        self.body = body
        self._names = names_of(lines)
        self._typed: dict[str, Any] = {}

    @property
    def start_line(self) -> str:
        """The first line, without its CRLF."""
        raise NotImplementedError

    @property
    def names(self) -> Sequence[str]:
        """The name of each row, beside :attr:`lines`; "" for a row without one."""
        return self._names

    def first(self, name: str) -> str | None:
        """Give the value of the first row of that name, unfolded and stripped."""
        names = self._names
        return _value(self.lines[names.index(name)]) if name in names else None

    def values(self, name: str) -> list[str]:
        """Give the values of all rows of that name, one for each row."""
        return [_value(line) for line, known in zip(self.lines, self._names, strict=True) if known == name]

    def items(self, name: str) -> list[str]:
        """Give the items of all rows of that name: comma lists are split. Empty items stay, as ""."""
        if name not in self._names:
            return []
        return [item for value in self.values(name) for item in split_list(value)]

    def count(self, name: str) -> int:
        """Count the rows of that name."""
        return self._names.count(name)

    @property
    def top_via(self) -> Via:
        """The first Via: of the element that sent this to us, or (in a response) our own."""
        return self._parsed("via", _first_via)

    @property
    def from_(self) -> NameAddr:
        """Who sent the request, as it says."""
        return self._parsed("from", NameAddr.parse)

    @property
    def to(self) -> NameAddr:
        """Whom the request was first meant for."""
        return self._parsed("to", NameAddr.parse)

    @property
    def call_id(self) -> str:
        """The Call-ID, compared byte by byte (20.8)."""
        return self._parsed("call-id", _call_id)

    @property
    def cseq(self) -> CSeq:
        """Number and method."""
        return self._parsed("cseq", CSeq.parse)

    @property
    def max_forwards(self) -> int | None:
        """Hops left, or None where the field is absent (16.3: it may be)."""
        return self._parsed("max-forwards", _max_forwards) if "max-forwards" in self._names else None

    @property
    def expires(self) -> int | None:
        """Seconds, or None where the field is absent."""
        return self._parsed("expires", _expires) if "expires" in self._names else None

    @property
    def contacts(self) -> list[NameAddr]:
        """All Contacts; ``*`` is a NameAddr whose uri is ``*``."""
        return self._all("contact")

    @property
    def routes(self) -> list[NameAddr]:
        """All Route items, the next one first."""
        return self._all("route")

    def prepend(self, name: str, value: str) -> None:
        """Put a new row before the first one of that name, or on top where there is none."""
        self._insert(self._names.index(name) if name in self._names else 0, name, value)

    def append(self, name: str, value: str) -> None:
        """Put a new row at the end."""
        self._insert(len(self.lines), name, value)

    def replace(self, name: str, value: str) -> None:
        """Give the first row of that name a new value; a new row at the end where there is none."""
        if name not in self._names:
            self.append(name, value)
            return
        self.lines[self._names.index(name)] = _line(name, value)
        self._typed.pop(name, None)

    def remove(self, name: str) -> None:
        """Take away all rows of that name."""
        if name in self._names:
            kept = [(line, known) for line, known in zip(self.lines, self._names, strict=True) if known != name]
            self.lines[:] = [line for line, _ in kept]
            self._names = [known for _, known in kept]
            self._typed.pop(name, None)

    def pop_item(self, name: str) -> str | None:
        """Take the first item of that name and give it; what else its row holds stays byte for byte."""
        if name not in self._names:
            return None
        at = self._names.index(name)
        self._typed.pop(name, None)
        start, colon, rest = self.lines[at].partition(b":")
        text = rest.decode("utf-8", "surrogateescape")
        cut = next(iter(separators(text, ",")), -1) if "," in text else -1
        if cut < 0:
            del self.lines[at], self._names[at]
            return _unfolded(text).strip()
        self.lines[at] = start + colon + b" " + text[cut + 1 :].lstrip().encode("utf-8", "surrogateescape")
        return _unfolded(text[:cut]).strip()

    def encode(self) -> bytes:
        """Give the bytes for the wire."""
        start = self.start_line.encode("utf-8", "surrogateescape")
        return b"\r\n".join([start, *self.lines, b"", self.body])

    def _insert(self, at: int, name: str, value: str) -> None:
        self.lines.insert(at, _line(name, value))
        self._names.insert(at, name)
        self._typed.pop(name, None)

    def _parsed(self, name: str, parse: Callable[[str], _T]) -> _T:
        known: _T | None = self._typed.get(name)
        if known is None:
            value = self.first(name)
            if value is None:
                raise RemoteError(f"no {wire_name(name)}", rule="RFC 3261 8.1.1")
            known = self._typed[name] = parse(value)
        return known

    def _all(self, name: str) -> list[NameAddr]:
        known: list[NameAddr] | None = self._typed.get(name)
        if known is None:
            known = self._typed[name] = [NameAddr.parse(item) for item in self.items(name)]
        return known

    def _copy_into(self, other: Self) -> Self:
        other.lines, other.body = self.lines.copy(), self.body
        other._names, other._typed = self._names.copy(), self._typed.copy()
        return other

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self.start_line)} {len(self.lines)} rows, {len(self.body)} octets>"


def _value(line: bytes) -> str:
    raw = line[line.find(b":") + 1 :]
    text = raw.decode() if raw.isascii() else raw.decode("utf-8", "surrogateescape")
    return (_unfolded(text) if "\n" in text else text).strip()


def _unfolded(text: str) -> str:
    return _FOLD.sub(" ", text)


def _line(name: str, value: str) -> bytes:
    return f"{wire_name(name)}: {one_line(value)}".encode("utf-8", "surrogateescape")


def one_line(value: str) -> str:
    """Give *value* back; LocalError where it holds a line break."""
    if "\n" in value or "\r" in value:
        raise LocalError(f"a line break would forge a header field: {shown(value)}")
    return value


def _first_via(value: str) -> Via:
    return Via.parse(first_item(value))


def _call_id(value: str) -> str:
    if not value or " " in value or "\t" in value:
        raise RemoteError(f"not a Call-ID: {shown(value)}", rule="RFC 3261 20.8")
    return value


def _max_forwards(value: str) -> int:
    hops = bounded(value, _MAX_HOPS) if value.isascii() and value.isdigit() else None
    if hops is None:
        raise RemoteError(f"not a Max-Forwards: {shown(value)}", rule="RFC 3261 20.22")
    return hops


def _expires(value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise RemoteError(f"not an Expires: {shown(value)}", rule="RFC 3261 20.19")
    seconds = bounded(value, _MAX_EXPIRES)
    return _MAX_EXPIRES if seconds is None else seconds


def content_length(message: Message) -> int | None:
    """Give the announced length of the body, None where none is announced.

    RemoteError 400 for two of them, even of one value, and for what is no number: where one message ends would be a
    matter of opinion, and a second opinion downstream would see a message that we never checked.
    """
    if "content-length" not in message.names:
        return None
    value = message.first("content-length") or ""
    if message.count("content-length") > 1:
        raise RemoteError("more than one Content-Length", rule="RFC 3261 18.3, RFC 4475 3.3.9")
    if not (value.isascii() and value.isdigit()):
        raise RemoteError(f"not a Content-Length: {shown(value)}", rule="RFC 3261 20.14")
    length = bounded(value, _MAX_LENGTH)
    return _MAX_LENGTH if length is None else length


def header_rows(headers: Iterable[tuple[str, str]]) -> list[bytes]:
    """Write header rows from names and values."""
    return [_line(name, value) for name, value in headers]
