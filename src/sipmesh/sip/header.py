"""The header of a message: rows in wire order, parsed on demand and edited row by row (RFC 3261 7.3); and its body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip.fields import CSeq, NameAddr, Via, bounded, split_list
from sipmesh.sip.names import BITS, GUARDED, GUARDED_NAMES, wire_name
from sipmesh.sip.rows import (
    CALL_ID,
    CONTACT,
    CONTENT_LENGTH,
    CSEQ,
    FROM,
    MAX_FORWARDS,
    MAX_HOPS,
    P_ASSERTED_IDENTITY,
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
    """The common part of requests and responses: header rows and a body.

    *rows* are in wire order. Read them directly, but change them with the methods of this class only: these update
    *present* and *repeated*. An edit changes only the rows that it names, and keeps all other octets.

    *present* has the bits (:data:`sipmesh.sip.names.BITS`) of the names that are in the header, *repeated* those of the
    names that are in it more than once.

    *flaws* are those of the start line and the rows (:class:`Row`) as received. Do not process a message with flaws.

    The typed properties raise RemoteError (400) if their field is absent or malformed.
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
        """The octets of each row, without CRLF."""
        return [octets_of(row.line) for row in self.rows]

    @property
    def names(self) -> Sequence[str]:
        """The lower-case long name of each row; "" for a row without a name."""
        return [row.name for row in self.rows]

    def has(self, name: str) -> bool:
        """Tell whether there is a row with that name."""
        bit = BITS.get(name)
        return bool(self.present & bit) if bit is not None else self._index_of(name) >= 0

    def first(self, name: str) -> str | None:
        """Give the value of the first row with that name, without blanks around it; None if there is no such row."""
        at = self._index_of(name)
        return self.rows[at].value if at >= 0 else None

    def values(self, name: str) -> list[str]:
        """Give the values of all rows with that name, one for each row."""
        return [row.value for row in self.rows if row.name == name]

    def items(self, name: str) -> list[str]:
        """Give the items of all rows with that name: comma lists are split. Empty items are kept, as ""."""
        if not self.has(name):
            return []
        return [item for value in self.values(name) for item in split_list(value)]

    def count(self, name: str) -> int:
        """Count the rows with that name."""
        return sum([row.name == name for row in self.rows])

    @property
    def top_via(self) -> Via:
        """The first Via: in a request that of the element that sent it, in a response our own."""
        return self._required(VIA).via

    @property
    def from_(self) -> NameAddr:
        """The From: the sender according to the request. It is not verified."""
        return self._required(FROM).address

    @property
    def to(self) -> NameAddr:
        """The To: the original recipient of the request."""
        return self._required(TO).address

    @property
    def call_id(self) -> str:
        """The Call-ID, compared byte by byte (20.8)."""
        return self._required(CALL_ID).call_id

    @property
    def cseq(self) -> CSeq:
        """The CSeq: sequence number and method."""
        return self._required(CSEQ).cseq

    @property
    def max_forwards(self) -> int | None:
        """The hops that are left, or None if the field is absent (16.3 step 3 allows that)."""
        return self._required(MAX_FORWARDS).hops if self.present & MAX_FORWARDS else None

    @property
    def expires(self) -> int | None:
        """The Expires in seconds, or None if the field is absent."""
        return _expires(self._required(_EXPIRES).value) if self.present & _EXPIRES else None

    @property
    def contacts(self) -> list[NameAddr]:
        """All Contacts. ``*`` is a NameAddr whose uri is ``*``."""
        return self._all(CONTACT)

    @property
    def routes(self) -> list[NameAddr]:
        """All Route items, the next one first."""
        return self._all(ROUTE)

    @property
    def asserted_identities(self) -> list[NameAddr]:
        """All P-Asserted-Identities. Whether their sender may assert them is not checked."""
        return self._all(P_ASSERTED_IDENTITY)

    @property
    def has_lower_via(self) -> bool:
        """Whether there is a Via below the top one."""
        return bool(self.repeated & VIA) or (bool(self.present & VIA) and "," in self._required(VIA).line)

    def prepend(self, name: str, value: str) -> None:
        """Insert a new row before the first row with that name, or at the top if there is none."""
        self.push(made_row(name, value))

    def push(self, row: Row) -> None:
        """Insert *row* before the first row with its name, or at the top if there is none."""
        self._insert(max(self._index_of(row.name), 0), row)

    def append(self, name: str, value: str) -> None:
        """Add a new row at the end."""
        self.add(made_row(name, value))

    def add(self, row: Row) -> None:
        """Add *row* at the end."""
        self._insert(len(self.rows), row)

    def replace(self, name: str, value: str) -> None:
        """Replace the value of the first row with that name; add a row at the end if there is none."""
        self.put(made_row(name, value))

    def put(self, row: Row) -> None:
        """Replace the first row with the name of *row*; add *row* at the end if there is none."""
        at = self._index_of(row.name)
        if at < 0:
            self.add(row)
        else:
            self.rows[at] = row

    def spend_hop(self) -> None:
        """Reduce Max-Forwards by one; LocalError if it is 0 or absent."""
        left = self.max_forwards
        if not left:
            raise LocalError(f"no hop to spend: Max-Forwards is {left}")
        self.rows[self._index_of_bit(MAX_FORWARDS)] = _HOPS[left - 1]

    def replace_item(self, name: str, value: str) -> None:
        """Replace the first item of that name. The other items of its row move to rows of their own."""
        at = self._index_of(name)
        if at >= 0 and "," not in self.rows[at].line:
            self.rows[at] = made_row(name, value)
        else:
            self.pop_item(name)
            self.prepend(name, value)

    def replace_via(self, value: str) -> None:
        """Replace the first Via by *value*, which has no line break."""
        at = self._index_of_bit(VIA)
        if at >= 0 and "," not in self.rows[at].line:
            self.rows[at] = Row(f"Via: {value}", "via", VIA, value=value)
        else:
            self.replace_item("via", value)

    def remove(self, name: str) -> None:
        """Remove all rows with that name."""
        if self.has(name):
            self.rows = [row for row in self.rows if row.name != name]
            self._count_rows()

    def row(self, bit: i64) -> Row:
        """Give the first row of the name with that *bit*; RemoteError if there is none."""
        return self._required(bit)

    def keep(self, rows: list[Row]) -> None:
        """Replace all rows with *rows*."""
        self.rows = rows
        self._count_rows()

    def first_item(self, name: str) -> str | None:
        """Give the first item of that name, or None. Its list is spread over rows, one for each item.

        Empty rows before it are removed. So a loop that reads and pops items splits each list once only.
        """
        at = self._first_filled(name)
        return self.rows[at].value if at >= 0 else None

    def first_address(self, name: str) -> NameAddr | None:
        """Give the address in the first item of that name, or None; RemoteError if it is malformed. See `first_item`."""
        at = self._first_filled(name)
        return self.rows[at].address if at >= 0 else None

    def pop_item(self, name: str) -> str | None:
        """Remove the first item of that name, and give it. The other items of its row move to rows of their own."""
        at = self._first_filled(name)
        return self._pop_row(at) if at >= 0 else None

    def pop_via(self) -> None:
        """Remove the top Via of a message that has one."""
        at = self._index_of_bit(VIA)
        if at >= 0 and "," not in self.rows[at].line:
            self._pop_row(at)
        else:
            self.pop_item("via")

    def _first_filled(self, name: str) -> int:
        """Give the index of a row that holds the first item of that name and no other item; -1 if there is none."""
        at = self._index_of(name)
        while at >= 0 and self.rows[at].value == "":
            self._pop_row(at)
            at = self._index_of(name)
        if at >= 0 and "," in self.rows[at].line:
            self._spread(at)
        return at

    def _spread(self, at: int) -> None:
        """Split the list in one row into one row for each item (7.3.1: the meaning is the same)."""
        row = self.rows[at]
        items = split_list(row.value)
        if "" in items:
            raise RemoteError(f"an empty item in a list: {shown(row.line)}", rule="RFC 3261 7.3.1")
        single = [made_row(row.name, item) for item in items]
        if len(single) > 1:
            row.hand_on(single)
            self.rows[at : at + 1] = single
            self.repeated |= row.bit

    def _pop_row(self, at: int) -> str:
        row = self.rows.pop(at)
        self._count_removed(row.bit)
        return row.value

    def encode(self) -> bytes:
        """Give the octets for the wire."""
        lines = [row.line for row in self.rows]
        lines.insert(0, self.start_line)
        lines.append("\r\n")
        octets = octets_of("\r\n".join(lines))
        return octets + self.body if self.body else octets

    def _index_of(self, name: str) -> int:
        """Give the index of the first row with that name, -1 if there is none."""
        bit = BITS.get(name)
        if bit is not None:
            return self._index_of_bit(bit)
        if self.present & GUARDED or name not in GUARDED_NAMES:
            for at, row in enumerate(self.rows):
                if row.name == name:
                    return at
        return -1

    def _index_of_bit(self, bit: i64) -> int:
        """Give the index of the first row of the name with that *bit*, -1 if there is none."""
        if self.present & bit:
            for at, row in enumerate(self.rows):
                if row.bit == bit:
                    return at
        return -1

    def _required(self, bit: i64) -> Row:
        """Give the first row of the name with that *bit*; RemoteError if there is none."""
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

    def _count_removed(self, bit: i64) -> None:
        """Update *present* and *repeated* after a row with that *bit* was removed."""
        left: i64 = 0
        if self.repeated & bit:
            for row in self.rows:
                if row.bit == bit:
                    left += 1
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
    """Give the Content-Length, or None if there is none.

    RemoteError 400 for two Content-Lengths, even with one value, and for a value that is not a number. Two parsers could
    disagree where such a message ends, and the next server would see a message that we did not check.
    """
    if not message.present & CONTENT_LENGTH:
        return None
    if message.repeated & CONTENT_LENGTH:
        raise RemoteError("more than one Content-Length", rule="RFC 3261 18.3, RFC 4475 3.3.9")
    return message._required(CONTENT_LENGTH).length  # noqa: SLF001
