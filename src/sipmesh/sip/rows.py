"""Header rows that keep their bytes: split once, read when asked, edited row by row (RFC 3261 section 7.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip.fields import CSeq, NameAddr, Via, bounded, first_item, split_list
from sipmesh.sip.kept import keep
from sipmesh.sip.names import BITS, bits_of, name_of, spelled, wire_name
from sipmesh.sip.text import (
    LWS,
    ascii_lower,
    has_control,
    is_digits,
    octets_of,
    separators,
    shown,
    without_escaped_controls,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mypy_extensions import i64

# 20.22: Max-Forwards is in the range 0-255. 20.19: Expires is in the range 0 to 2**32-1.
_MAX_HOPS: Final = 255
_MAX_EXPIRES: Final = 2**32 - 1
# Longer than any limit that a reader may be given.
_MAX_LENGTH: Final = 2**48

VIA: Final[i64] = BITS["via"]
FROM: Final[i64] = BITS["from"]
TO: Final[i64] = BITS["to"]
CALL_ID: Final[i64] = BITS["call-id"]
CSEQ: Final[i64] = BITS["cseq"]
MAX_FORWARDS: Final[i64] = BITS["max-forwards"]
CONTENT_LENGTH: Final[i64] = BITS["content-length"]
CONTACT: Final[i64] = BITS["contact"]
ROUTE: Final[i64] = BITS["route"]
RECORD_ROUTE: Final[i64] = BITS["record-route"]
EVENT: Final[i64] = BITS["event"]
PRIVACY: Final[i64] = BITS["privacy"]
PROXY_REQUIRE: Final[i64] = BITS["proxy-require"]
P_ASSERTED_IDENTITY: Final[i64] = BITS["p-asserted-identity"]
P_PREFERRED_IDENTITY: Final[i64] = BITS["p-preferred-identity"]
_EXPIRES: Final[i64] = BITS["expires"]

# The lists that our code takes apart.
_LISTS: Final[i64] = bits_of(
    "accept",
    "contact",
    "p-asserted-identity",
    "p-preferred-identity",
    "path",
    "privacy",
    "proxy-require",
    "record-route",
    "require",
    "route",
    "supported",
    "via",
)
# Rows of these names are not looked for among those seen before: one transaction's own, or a secret.
_NOT_KEPT: Final[i64] = bits_of("via", "call-id", "authorization", "proxy-authorization")
_LONGEST_KEPT: Final = 256
_MOST_KEPT: Final = 4096
_HOLDS_ADDRESSES: Final[i64] = bits_of("contact", "path", "record-route", "route")
_MOST_COMMAS_KEPT: Final = 8
_VIA_BEGINS: Final = "Via: "
_CALL_ID_BEGINS: Final = "Call-ID: "
_V: Final = ord("V")
_SPACE: Final = 32
_AT: Final = ord("@")
_TAB: Final = 9

LONE_LINE_BREAK: Final[i64] = 1
"""The flaw of a row that holds a CR or LF: for many a reader downstream that ends a line."""
CONTROL: Final[i64] = 2
"""The flaw of a row that holds a control character where the grammar allows none: for some readers NUL ends a header."""
TOO_MANY: Final[i64] = 4
"""The flaw of a message whose header is longer, or has more rows or more items in a list, than its reader allows."""
_QUOTES_NAMES: Final[i64] = FROM | TO | CONTACT
_NUMBERED: Final[i64] = CSEQ | MAX_FORWARDS | CONTENT_LENGTH


class Row:
    """One header row: its *line* without the CRLF that ends it, its *name*, and what has been read of its value.

    The line is text in which octets that are no UTF-8 are surrogates (PEP 383), so that it gives back every octet. It is as
    we write it: unfolded, without blanks before its colon, and in canonical form where it decides a boundary
    (Content-Length, CSeq, Max-Forwards). So no reader downstream can find another boundary in it than we did.

    A row is never changed, so messages share it: most rows of a message have been seen before, octet for octet, in
    another message of the same peer, and what was read of them need not be read again.

    *bit* is that of the name (:data:`sipmesh.sip.names.BITS`). *flaws* is 0, LONE_LINE_BREAK or CONTROL. *checked* is set
    once :mod:`sipmesh.sip.check` has passed it.
    """

    __slots__ = (
        "_addresses",
        "_call_id",
        "_cseq",
        "_number",
        "_value",
        "_via",
        "bit",
        "checked",
        "flaws",
        "line",
        "name",
    )

    def __init__(self, line: str, name: str, bit: i64, flaws: i64 = 0, value: str | None = None) -> None:
        self.line, self.name, self.bit, self.flaws = line, name, bit, flaws
        self.checked = False
        self._value = value
        self._addresses: list[NameAddr] | None = None
        self._via: Via | None = None
        self._call_id: str | None = None
        self._cseq: CSeq | None = None
        self._number = -1

    @property
    def value(self) -> str:
        """The value, stripped of its blanks."""
        value = self._value
        if value is None:
            value = self._value = _value(self.line)
        return value

    @property
    def address(self) -> NameAddr:
        """The one address of a From or To; RemoteError where it is malformed."""
        if self._addresses is None:
            self._addresses = [NameAddr.parse(self.value)]
        return self._addresses[0]

    @property
    def addresses(self) -> list[NameAddr]:
        """The addresses of a Contact or Route; RemoteError where one is malformed."""
        if self._addresses is None:
            self._addresses = [NameAddr.parse(item) for item in split_list(self.value)]
        return self._addresses

    @property
    def vias(self) -> list[Via]:
        """All via-parms of a Via; RemoteError where one is malformed, or where there is none."""
        if "," not in self.line:
            return [self.via]
        return [Via.parse(item) for item in split_list(self.value)]

    @property
    def via(self) -> Via:
        """The first via-parm of a Via; RemoteError where it is malformed."""
        via = self._via
        if via is None:
            via = self._via = Via.parse(first_item(self.value))
        return via

    @property
    def call_id(self) -> str:
        """The Call-ID; RemoteError where it is malformed."""
        call_id = self._call_id
        if call_id is None:
            call_id = self._call_id = _call_id(self.value)
        return call_id

    @property
    def cseq(self) -> CSeq:
        """The CSeq; RemoteError where it is malformed."""
        cseq = self._cseq
        if cseq is None:
            cseq = self._cseq = CSeq.parse(self.value)
        return cseq

    @property
    def hops(self) -> int:
        """The Max-Forwards; RemoteError where it is malformed."""
        if self._number < 0:
            self._number = _max_forwards(self.value)
        return self._number

    @property
    def length(self) -> int:
        """The Content-Length; RemoteError where it is malformed."""
        if self._number < 0:
            self._number = _length(self.value)
        return self._number

    def hand_on(self, rows: list[Row]) -> None:
        """Give what was read of the items of this row to the *rows* that hold one item each."""
        if self._addresses is not None:
            for row, address in zip(rows, self._addresses, strict=True):
                row._addresses = [address]  # noqa: SLF001 - of a row, too

    def __repr__(self) -> str:
        return f"<Row {shown(self.line)}>"


_kept: Final[dict[str, Row]] = {}


def rows_of(lines: list[str], start: int = 0) -> list[Row]:
    """Give the rows of *lines* from *start* on; those that are folded are unfolded (RFC 3261 7.3.1).

    A row is the same object as before where its line has been seen lately.
    """
    rows: list[Row] = []
    for at in range(start, len(lines)):
        line = lines[at]
        if line != "" and ord(line[0]) == _V and line.startswith(_VIA_BEGINS):
            row = _row_of_its_own(line, _VIA_BEGINS, "via", VIA)
        elif (known := _kept.get(line)) is not None:
            row = known
        elif rows and _continues(line):
            return rows_of(_unfolded(lines[start:]))
        else:
            row = _new_row(line)
        rows.append(row)
    return rows


def _row_of_its_own(line: str, beginning: str, name: str, bit: i64) -> Row:
    """Give the row of a name that nearly every peer writes in one way, and that is new in every message.

    Its value is checked against its own grammar, which has no control characters; so only a line break is looked for.
    """
    flaws: i64 = LONE_LINE_BREAK if "\n" in line or "\r" in line else 0
    return Row(line, name, bit, flaws, line[len(beginning) :].strip(LWS))


def _continues(line: str) -> bool:
    """Tell whether *line* belongs to the row before it."""
    return line != "" and ord(line[0]) in (_SPACE, _TAB)


def _unfolded(lines: list[str]) -> list[str]:
    """Put continuation lines behind the line that they continue; all the blanks of a fold become one space."""
    whole: list[list[str]] = []
    for line in lines:
        if whole and _continues(line):
            whole[-1].append(line)
        else:
            whole.append([line])
    return [parts[0] if len(parts) == 1 else _one_line(parts) for parts in whole]


def _one_line(parts: list[str]) -> str:
    return " ".join([part for part in [parts[0].rstrip(LWS), *[more.strip(LWS) for more in parts[1:]]] if part])


def _new_row(line: str) -> Row:
    if line.startswith(_CALL_ID_BEGINS):
        return _row_of_its_own(line, _CALL_ID_BEGINS, "call-id", CALL_ID)
    name, bit = name_of(line)
    row = _numbered(line, name, bit) if bit & _NUMBERED else None
    if row is None:
        row = _plain_row(line, name, bit)
    if _may_keep(line, bit):
        keep(_kept, _MOST_KEPT, line, row)
    return row


def _may_keep(line: str, bit: i64) -> bool:
    """Tell whether the row of *line* is to be found again.

    A line that begins with a blank is a row only where nothing is before it: elsewhere it continues one. The addresses of a long
    list would hold a hundred times the memory of its line.
    """
    if len(line) > _LONGEST_KEPT or bit & _NOT_KEPT or _continues(line):
        return False
    return not (bit & _HOLDS_ADDRESSES and line.count(",") > _MOST_COMMAS_KEPT)


def _numbered(line: str, name: str, bit: i64) -> Row | None:
    """Read a row whose number decides a boundary, and write it in one way; None where it is malformed, for others to refuse."""
    value = _value(line)
    try:
        if bit == CSEQ:
            cseq = CSeq.parse(value)
            row = Row(f"CSeq: {cseq.number} {cseq.method}", name, bit)
            row._cseq = cseq  # noqa: SLF001 - it is being made
        else:
            number = _length(value) if bit == CONTENT_LENGTH else _max_forwards(value)
            row = Row(f"{wire_name(name)}: {number}", name, bit)
            row._number = number  # noqa: SLF001 - it is being made
    except RemoteError:
        return None
    return row


def _plain_row(line: str, name: str, bit: i64) -> Row:
    """Read a row as we send it: no blanks before its colon, no escaped control characters in a display name."""
    flaws: i64 = 0
    if not line.isprintable():
        if bit & _QUOTES_NAMES:
            line = without_escaped_controls(line)
        flaws = flaws_in(line)
    colon = line.find(":")
    if colon > 0 and _continues(line[colon - 1]):
        line = f"{line[:colon].rstrip(LWS)}{line[colon:]}"
    return Row(line, name, bit, flaws)


def flaws_in(line: str) -> i64:
    """Tell what is wrong with the characters of a line that came from the wire."""
    if line.isprintable():
        return 0
    if "\n" in line or "\r" in line:
        return LONE_LINE_BREAK
    return CONTROL if has_control(line) else 0


def has_long_list(rows: list[Row], most: int) -> bool:
    """Tell whether a list field that our code takes apart holds more than *most* items, over all its rows."""
    if len(rows) + _commas(rows) <= most:
        return False
    counted: dict[int, int] = {}
    for row in rows:
        if row.bit & _LISTS:
            counted[row.bit] = counted.get(row.bit, 0) + len(separators(row.value, ",")) + 1
    return any(count > most for count in counted.values())


def _commas(rows: list[Row]) -> int:
    """Count the commas of all list fields, those in quotes too: so much is cheap, and nearly always enough to know."""
    commas = 0
    for row in rows:
        if row.bit & _LISTS and "," in row.line:
            commas += row.line.count(",")
    return commas


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


def _value(line: str) -> str:
    return line[line.find(":") + 1 :].strip(LWS)


def made_row(name: str, value: str) -> Row:
    """Write a row from its name in lower case and its value; LocalError for what is no name, or a value of two lines."""
    beginning, bit = spelled(name)
    return Row(f"{beginning}{one_line(value)}", name, bit)


_HOPS: Final = [Row(f"Max-Forwards: {left}", "max-forwards", MAX_FORWARDS) for left in range(_MAX_HOPS)]


def one_line(value: str) -> str:
    """Give *value* back; LocalError where it holds a line break."""
    if "\n" in value or "\r" in value:
        raise LocalError(f"a line break would forge a header field: {shown(value)}")
    return value


# callid = word [ "@" word ]; "@" is in no word, so a failed match takes linear time.
_WORD: Final = r"[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]+"
_CALL_ID: Final = re.compile(f"{_WORD}(?:@{_WORD})?")


def _is_plain_call_id(value: str) -> bool:
    """Tell whether *value* is of letters, digits, hyphens and dots, with one ``@`` in it at most: quicker than a pattern."""
    if value == "" or ord(value[0]) == _AT or ord(value[-1]) == _AT or not value.isascii():
        return False
    return value.replace("-", "0").replace(".", "0").replace("@", "0", 1).isalnum()


def _call_id(value: str) -> str:
    if not _is_plain_call_id(value) and _CALL_ID.fullmatch(value) is None:
        raise RemoteError(f"not a Call-ID: {shown(value)}", rule="RFC 3261 20.8")
    return value


def _max_forwards(value: str) -> int:
    hops = bounded(value, _MAX_HOPS) if is_digits(value) else None
    if hops is None:
        raise RemoteError(f"not a Max-Forwards: {shown(value)}", rule="RFC 3261 20.22")
    return hops


def _expires(value: str) -> int:
    if not is_digits(value):
        raise RemoteError(f"not an Expires: {shown(value)}", rule="RFC 3261 20.19")
    seconds = bounded(value, _MAX_EXPIRES)
    return _MAX_EXPIRES if seconds is None else seconds


def _length(value: str) -> int:
    if not is_digits(value):
        raise RemoteError(f"not a Content-Length: {shown(value)}", rule="RFC 3261 20.14")
    length = bounded(value, _MAX_LENGTH)
    return _MAX_LENGTH if length is None else length


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


def header_rows(headers: Iterable[tuple[str, str]]) -> list[Row]:
    """Write header rows from names and values."""
    return [made_row(ascii_lower(name), value) for name, value in headers]
