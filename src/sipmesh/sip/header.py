"""A message's header: rows in wire order, read when asked and edited row by row (RFC 3261 section 7.3), and its body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip.fields import CSeq, NameAddr, Via, bounded, split_list
from sipmesh.sip.names import BITS, wire_name
from sipmesh.sip.rows import (
    CALL_ID,
    CONTACT,
    CONTENT_LENGTH,
    CSEQ,
    FROM,
    MAX_FORWARDS,
    MAX_HOPS,
    ROUTE,
    TO,
    VIA,
    Row,
    made_row,
)
from sipmesh.sip.text import is_digits, octets_of, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_extensions import i64

# 20.19: Expires is in the range 0 to 2**32-1.
_MAX_EXPIRES: Final = 2**32 - 1
_EXPIRES: Final[i64] = BITS["expires"]
_HOPS: Final = [Row(f"Max-Forwards: {left}", "max-forwards", MAX_FORWARDS) for left in range(MAX_HOPS)]


class Message:
    """What a request and a response have in common: header rows and a body.

    *rows* are in wire order. Read them freely, change them by the methods below only: they keep account of which names
    are there. An edit touches the rows it must and leaves every other byte alone.

    *present* and *repeated* hold the bits (:data:`sipmesh.sip.names.BITS`) of the names that stand in the header at all,
    and of those that stand in it more than once.

    *flaws* are those of its start line and rows (:class:`Row`), as they came: a message with any must not be acted on.

    The typed properties raise RemoteError (400) where their field is absent or malformed.
    """

    __slots__ = ("body", "flaws", "present", "repeated", "rows")

    def __init__(self, rows: list[Row], body: bytes = b"") -> None:
        self.rows = rows
        self.body = body
        present: i64 = 0
        repeated: i64 = 0
        flaws: i64 = 0
        for row in rows:
            repeated |= present & row.bit
            present |= row.bit
            flaws |= row.flaws
        self.present, self.repeated, self.flaws = present, repeated, flaws

    def _count_rows(self) -> None:
        present: i64 = 0
        repeated: i64 = 0
        for row in self.rows:
            repeated |= present & row.bit
            present |= row.bit
        self.present, self.repeated = present, repeated

    @property
    def start_line(self) -> str:
        """The first line, without its CRLF."""
        raise NotImplementedError

    @property
    def lines(self) -> list[bytes]:
        """The octets of each row."""
        return [octets_of(row.line) for row in self.rows]

    @property
    def names(self) -> Sequence[str]:
        """The name of each row; "" for a row without one."""
        return [row.name for row in self.rows]

    def has(self, name: str) -> bool:
        """Tell whether there is a row of that name."""
        bit = BITS.get(name)
        return bool(self.present & bit) if bit is not None else self._at(name) >= 0

    def first(self, name: str) -> str | None:
        """Give the value of the first row of that name, stripped of its blanks."""
        at = self._at(name)
        return self.rows[at].value if at >= 0 else None

    def values(self, name: str) -> list[str]:
        """Give the values of all rows of that name, one for each row."""
        return [row.value for row in self.rows if row.name == name]

    def items(self, name: str) -> list[str]:
        """Give the items of all rows of that name: comma lists are split. Empty items stay, as ""."""
        if not self.has(name):
            return []
        return [item for value in self.values(name) for item in split_list(value)]

    def count(self, name: str) -> int:
        """Count the rows of that name."""
        return sum([row.name == name for row in self.rows])

    @property
    def top_via(self) -> Via:
        """The first Via: of the element that sent this to us, or (in a response) our own."""
        return self._the(VIA).via

    @property
    def vias(self) -> list[Via]:
        """All Vias, the top one first."""
        return [via for row in self.rows if row.bit == VIA for via in row.vias]

    @property
    def from_(self) -> NameAddr:
        """Who sent the request, as it says."""
        return self._the(FROM).address

    @property
    def to(self) -> NameAddr:
        """Whom the request was first meant for."""
        return self._the(TO).address

    @property
    def call_id(self) -> str:
        """The Call-ID, compared byte by byte (20.8)."""
        return self._the(CALL_ID).call_id

    @property
    def cseq(self) -> CSeq:
        """Number and method."""
        return self._the(CSEQ).cseq

    @property
    def max_forwards(self) -> int | None:
        """Hops left, or None where the field is absent (16.3: it may be)."""
        return self._the(MAX_FORWARDS).hops if self.present & MAX_FORWARDS else None

    @property
    def expires(self) -> int | None:
        """Seconds, or None where the field is absent."""
        return _expires(self._the(_EXPIRES).value) if self.present & _EXPIRES else None

    @property
    def contacts(self) -> list[NameAddr]:
        """All Contacts; ``*`` is a NameAddr whose uri is ``*``."""
        return self._all(CONTACT)

    @property
    def routes(self) -> list[NameAddr]:
        """All Route items, the next one first."""
        return self._all(ROUTE)

    @property
    def has_lower_via(self) -> bool:
        """Whether there is a Via below the top one."""
        return bool(self.repeated & VIA) or (bool(self.present & VIA) and "," in self._the(VIA).line)

    def prepend(self, name: str, value: str) -> None:
        """Put a new row before the first one of that name, or on top where there is none."""
        self._insert(max(self._at(name), 0), made_row(name, value))

    def append(self, name: str, value: str) -> None:
        """Put a new row at the end."""
        self.add(made_row(name, value))

    def add(self, row: Row) -> None:
        """Put *row* at the end."""
        self._insert(len(self.rows), row)

    def replace(self, name: str, value: str) -> None:
        """Give the first row of that name a new value; a new row at the end where there is none."""
        at = self._at(name)
        if at < 0:
            self.append(name, value)
        else:
            self.rows[at] = made_row(name, value)

    def spend_hop(self) -> None:
        """Count one hop of those that are left; LocalError where none is, or where it is not said how many are."""
        left = self.max_forwards
        if not left:
            raise LocalError(f"no hop to spend: Max-Forwards is {left}")
        self.rows[self._place(MAX_FORWARDS)] = _HOPS[left - 1]

    def replace_item(self, name: str, value: str) -> None:
        """Give the first item of that name a new value; what else its row holds stays, in a row of its own."""
        at = self._at(name)
        if at >= 0 and "," not in self.rows[at].line:
            self.rows[at] = made_row(name, value)
        else:
            self.pop_item(name)
            self.prepend(name, value)

    def remove(self, name: str) -> None:
        """Take away all rows of that name."""
        if self.has(name):
            self.rows = [row for row in self.rows if row.name != name]
            self._count_rows()

    def row(self, bit: i64) -> Row:
        """Give the first row of the name with that *bit*; RemoteError where there is none."""
        return self._the(bit)

    def keep(self, rows: list[Row]) -> None:
        """Hold *rows* and no others from now on."""
        self.rows = rows
        self._count_rows()

    def first_item(self, name: str) -> str | None:
        """Give the first item of that name, None where there is none; its list gets a row for each item, empty rows go.

        So a loop that looks at items and pops them splits each list once.
        """
        at = self._first_filled(name)
        return self.rows[at].value if at >= 0 else None

    def pop_item(self, name: str) -> str | None:
        """Take the first item of that name and give it; the others of its row get a row each."""
        at = self._first_filled(name)
        return self._popped(at) if at >= 0 else None

    def _first_filled(self, name: str) -> int:
        """Give the place of the row that holds the first item of that name alone, -1 where there is none."""
        at = self._at(name)
        while at >= 0 and self.rows[at].value == "":
            self._popped(at)
            at = self._at(name)
        if at >= 0 and "," in self.rows[at].line:
            self._spread(at)
        return at

    def _spread(self, at: int) -> None:
        """Give each item of the list in a row a row of its own (7.3.1: the meaning is the same)."""
        row = self.rows[at]
        items = split_list(row.value)
        if "" in items:
            raise RemoteError(f"an empty item in a list: {shown(row.line)}", rule="RFC 3261 7.3.1")
        single = [made_row(row.name, item) for item in items]
        if len(single) > 1:
            row.hand_on(single)
            self.rows[at : at + 1] = single
            self.repeated |= row.bit

    def _popped(self, at: int) -> str:
        row = self.rows[at]
        self.rows = self.rows[1:] if at == 0 else self.rows[:at] + self.rows[at + 1 :]
        self._lost(row.bit, at)
        return row.value

    def encode(self) -> bytes:
        """Give the octets for the wire."""
        lines = [row.line for row in self.rows]
        lines.insert(0, self.start_line)
        lines.append("\r\n")
        return octets_of("\r\n".join(lines)) + self.body

    def _at(self, name: str) -> int:
        """Give the place of the first row of that name, -1 where there is none."""
        bit = BITS.get(name)
        if bit is not None:
            return self._place(bit)
        for at, row in enumerate(self.rows):
            if row.name == name:
                return at
        return -1

    def _place(self, bit: i64) -> int:
        """Give the place of the first row of the name with that *bit*, -1 where there is none."""
        if self.present & bit:
            for at, row in enumerate(self.rows):
                if row.bit == bit:
                    return at
        return -1

    def _the(self, bit: i64) -> Row:
        """Give the first row of the name with that *bit*; RemoteError where there is none."""
        if self.present & bit:
            for row in self.rows:
                if row.bit == bit:
                    return row
        name = next(known for known, its in BITS.items() if its == bit)
        raise RemoteError(f"no {wire_name(name)}", rule="RFC 3261 8.1.1")

    def _all(self, bit: i64) -> list[NameAddr]:
        if not self.present & bit:
            return []
        return [address for row in self.rows if row.bit == bit for address in row.addresses]

    def _insert(self, at: int, row: Row) -> None:
        self.rows.insert(at, row)
        self.repeated |= self.present & row.bit
        self.present |= row.bit

    def _lost(self, bit: i64, at: int) -> None:
        """Keep account of the first row with that *bit* having gone from the place *at*."""
        left = 0
        if self.repeated & bit:
            for place in range(at, len(self.rows)):
                left += self.rows[place].bit == bit
                if left > 1:
                    return
        self.repeated &= ~bit
        if not left:
            self.present &= ~bit

    def _copy_rows_into(self, other: Message) -> None:
        other.rows, other.body = self.rows.copy(), self.body
        other.present, other.repeated = self.present, self.repeated

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self.start_line)} {len(self.rows)} rows, {len(self.body)} octets>"


def _expires(value: str) -> int:
    if not is_digits(value):
        raise RemoteError(f"not an Expires: {shown(value)}", rule="RFC 3261 20.19")
    seconds = bounded(value, _MAX_EXPIRES)
    return _MAX_EXPIRES if seconds is None else seconds


def content_length(message: Message) -> int | None:
    """Give the announced length of the body, None where none is announced.

    RemoteError 400 for two of them, even of one value, and for what is no number: where one message ends would be a
    matter of opinion, and a second opinion downstream would see a message that we never checked.
    """
    if not message.present & CONTENT_LENGTH:
        return None
    if message.repeated & CONTENT_LENGTH:
        raise RemoteError("more than one Content-Length", rule="RFC 3261 18.3, RFC 4475 3.3.9")
    return message._the(CONTENT_LENGTH).length  # noqa: SLF001
