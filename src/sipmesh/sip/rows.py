"""Header rows that keep their octets: split once, parsed on demand (RFC 3261 section 7.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip.fields import CSeq, NameAddr, Via, ViaForm, bounded, first_item, split_list
from sipmesh.sip.names import BITS, bits_of, name_of, spelled, wire_name
from sipmesh.sip.text import (
    LWS,
    all_printable,
    ascii_lower,
    has_control,
    is_digits,
    separators,
    shown,
    without_escaped_controls,
)
from sipmesh.sip.text_cache import TextCache

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_extensions import i64

# 20.22: Max-Forwards is in the range 0-255.
MAX_HOPS: Final = 255
# Longer than any limit of a body.
_MAX_LENGTH: Final = 2**48

VIA: Final[i64] = BITS["via"]
FROM: Final[i64] = BITS["from"]
TO: Final[i64] = BITS["to"]
CALL_ID: Final[i64] = BITS["call-id"]
CSEQ: Final[i64] = BITS["cseq"]
MAX_FORWARDS: Final[i64] = BITS["max-forwards"]
MAX_BREADTH: Final[i64] = BITS["max-breadth"]
CONTENT_LENGTH: Final[i64] = BITS["content-length"]
CONTACT: Final[i64] = BITS["contact"]
ROUTE: Final[i64] = BITS["route"]
RECORD_ROUTE: Final[i64] = BITS["record-route"]
EVENT: Final[i64] = BITS["event"]
PRIVACY: Final[i64] = BITS["privacy"]
PROXY_REQUIRE: Final[i64] = BITS["proxy-require"]
REPLACES: Final[i64] = BITS["replaces"]
JOIN: Final[i64] = BITS["join"]
P_ASSERTED_IDENTITY: Final[i64] = BITS["p-asserted-identity"]
P_PREFERRED_IDENTITY: Final[i64] = BITS["p-preferred-identity"]

# The lists that our code splits.
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
# Rows with these names are not cached: they are different in each transaction, or are secret. A Call-ID is cached: its value is
# checked once for all messages of a call.
_NOT_KEPT: Final[i64] = bits_of("via", "authorization", "proxy-authorization")
_LONGEST_KEPT: Final = 256
_MOST_KEPT: Final = 4096
_MOST_KEPT_OF_ONE: Final = 256
"""Rows of one header that are cached: one message with thousands must not displace those of all others."""

_HOLDS_ADDRESSES: Final[i64] = bits_of("contact", "p-asserted-identity", "path", "record-route", "route")
_MOST_COMMAS_KEPT: Final = 8
_VIA_BEGINS: Final = "Via: "
_CALL_ID_BEGINS: Final = "Call-ID: "
_V: Final = ord("V")
_SPACE: Final = 32
_AT: Final = ord("@")
_TAB: Final = 9

LONE_LINE_BREAK: Final[i64] = 1
"""Flaw of a row that contains a lone CR or LF: many parsers end a line there."""
CONTROL: Final[i64] = 2
"""Flaw of a row with a control character that the grammar does not allow: some parsers end a header at NUL."""
TOO_MANY: Final[i64] = 4
"""Flaw of a message whose header is longer, or has more rows or list items, than the reader's limits allow."""
_REPEATED: Final[i64] = VIA | FROM | TO | CALL_ID | CSEQ | RECORD_ROUTE
"""What a response repeats of its request (RFC 3261 section 8.2.6.2 and 12.1.1)."""
_MOST_REPEATED: Final = 16
"""Rows of a request that a row of its response is compared with. A request with more has passed many servers."""
_QUOTES_NAMES: Final[i64] = FROM | TO | CONTACT
_NUMBERED: Final[i64] = CSEQ | MAX_FORWARDS | CONTENT_LENGTH


class Row:
    """One header row: its *line* without CRLF, its *name*, and the parsed forms of its value.

    In *line*, octets that are not UTF-8 are surrogates (PEP 383), so that all octets can be restored. The line is as we
    write it: unfolded, without blanks before the colon, and in canonical form if its value decides a boundary
    (Content-Length, CSeq, Max-Forwards). So no parser downstream can find another boundary in it.

    Do not change a row: messages share it. Most rows of a message were in an earlier message of the same peer, octet for
    octet, and are not parsed again.

    *name* is the lower-case long name. *bit* is the bit of the name (:data:`sipmesh.sip.names.BITS`). *flaws* is 0,
    LONE_LINE_BREAK or CONTROL. *checked* is set when :mod:`sipmesh.sip.check` has accepted the addresses of the row. *repeated*:
    this is the Via of a request that was sent, and these are its rows that a response repeats.
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
        "repeated",
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
        self.repeated: list[Row] | None = None

    @property
    def value(self) -> str:
        """The value, without blanks around it."""
        value = self._value
        if value is None:
            value = self._value = _value(self.line)
        return value

    @property
    def address(self) -> NameAddr:
        """The address of a From or To; RemoteError if it is malformed."""
        if self._addresses is None:
            self._addresses = [NameAddr.parse(self.value)]
        return self._addresses[0]

    @property
    def addresses(self) -> list[NameAddr]:
        """The addresses of a Contact, P-Asserted-Identity, Path, Record-Route or Route; RemoteError if one is malformed."""
        if self._addresses is None:
            self._addresses = [NameAddr.parse(item) for item in split_list(self.value)]
        return self._addresses

    @property
    def vias(self) -> list[Via]:
        """All via-parms of a Via; RemoteError if one is malformed, or if there is none."""
        if "," not in self.line:
            return [self.via]
        return [Via.parse(item) for item in split_list(self.value)]

    @property
    def via(self) -> Via:
        """The first via-parm of a Via; RemoteError if it is malformed."""
        via = self._via
        if via is None:
            via = self._via = Via.parse(first_item(self.value))
        return via

    @property
    def call_id(self) -> str:
        """The Call-ID; RemoteError if it is malformed."""
        call_id = self._call_id
        if call_id is None:
            call_id = self._call_id = _call_id(self.value)
        return call_id

    @property
    def cseq(self) -> CSeq:
        """The CSeq; RemoteError if it is malformed."""
        cseq = self._cseq
        if cseq is None:
            cseq = self._cseq = CSeq.parse(self.value)
        return cseq

    @property
    def hops(self) -> int:
        """The Max-Forwards; RemoteError if it is malformed."""
        if self._number < 0:
            self._number = _max_forwards(self.value)
        return self._number

    @property
    def length(self) -> int:
        """The Content-Length in octets; RemoteError if it is malformed."""
        if self._number < 0:
            self._number = _length(self.value)
        return self._number

    def hand_on(self, rows: list[Row]) -> None:
        """Give each of *rows*, which hold one item of this row each, the address that was parsed here."""
        if self._addresses is not None:
            for row, address in zip(rows, self._addresses, strict=True):
                row._addresses = [address]  # noqa: SLF001 - the same class

    def __repr__(self) -> str:
        return f"<Row {shown(self.line)}>"


_kept: Final[TextCache[Row]] = TextCache(_MOST_KEPT)


def rows_of(lines: list[str], start: int = 0, top: Row | None = None) -> list[Row]:
    """Give the rows of *lines* from the index *start* on. Folded rows are unfolded (RFC 3261 7.3.1).

    A line that was seen recently gives the same Row object as before. *top* is the row of the first line, if it is known.
    A line that *top* says is repeated gives the row of its request: to compare a few lines costs less than to hash one.
    """
    rows: list[Row] = [] if top is None else [top]
    repeated = top.repeated if top is not None else None
    next_one: i64 = 0
    for at in range(start + len(rows), len(lines)):
        line = lines[at]
        if repeated is not None:
            found = _index_of_line(repeated, line, next_one)
            if found >= 0:
                rows.append(repeated[found])
                next_one = found + 1
                continue
        if line != "" and ord(line[0]) == _V and line.startswith(_VIA_BEGINS):
            row = _row_of_its_own(line, _VIA_BEGINS, "via", VIA)
        elif (known := _kept.get(line)) is not None:
            row = known
        elif rows and _continues(line):
            return rows_of(_unfolded(lines[start:]))
        else:
            row = _new_row(line, is_kept=len(rows) < _MOST_KEPT_OF_ONE)
        rows.append(row)
    return rows


def next_of(rows: list[Row], bit: i64, start: int) -> int:
    """Give the index of the first row of the name with that *bit* from the index *start* on, -1 if there is none."""
    at: i64 = start
    count: i64 = len(rows)
    while at < count:
        if rows[at].bit == bit:
            return at
        at += 1
    return -1


def expect(row: Row) -> None:
    """Keep a row that we send, and that a peer sends back octet for octet; the addresses that we write need no check."""
    row.checked = True
    if len(row.line) <= _LONGEST_KEPT:
        _kept.keep(row.line, row)


def _index_of_line(rows: list[Row], line: str, start: i64) -> i64:
    """Give the index of the row that has that *line* from *start* on, or else before it; -1 if there is none."""
    count: i64 = len(rows)
    at = start
    while at < count:
        if rows[at].line == line:
            return at
        at += 1
    at = 0
    while at < start:
        if rows[at].line == line:
            return at
        at += 1
    return -1


def expect_addressed(row: Row, address: NameAddr) -> None:
    """Keep a row that a peer will send, as `expect` does. Its only *address* is known."""
    row._addresses = [address]  # noqa: SLF001 - the row is under construction
    expect(row)


_sent_vias: Final[TextCache[Row]] = TextCache(_MOST_KEPT)


def sent_via(form: ViaForm, branch: str) -> Row:
    """Write a Via of ours, and keep it: each response begins with it, octet for octet (RFC 3261 section 8.2.6.2)."""
    row = Row(form.line(branch), "via", VIA)
    row._via = Via.of_form(form, branch)  # noqa: SLF001 - the row is under construction
    return _sent_vias.keep(row.line, row)


def expect_repeated(via: Row, rows: list[Row]) -> None:
    """Tell *via*, which is our Via in a request that we send, the *rows* of this request: its responses repeat some of them.

    Long rows are left out: *via* is kept after its transaction, and a peer must not fill the memory.
    """
    repeated = [row for row in rows if row.bit & _REPEATED and row is not via and len(row.line) <= _LONGEST_KEPT]
    via.repeated = repeated if len(repeated) <= _MOST_REPEATED else repeated[:_MOST_REPEATED]


def response_rows_of(lines: list[str], start: int) -> list[Row]:
    """Give the rows of a response as `rows_of` does; its first line is a Via that we have sent, or is read like any other."""
    return rows_of(lines, start, _sent_vias.get(lines[start]) if start < len(lines) else None)


def _row_of_its_own(line: str, beginning: str, name: str, bit: i64) -> Row:
    """Make a row of a name that nearly all peers write in one way, and whose value is new in each message.

    The grammar of its value has no control characters, and is checked later. So only line breaks are searched here.
    """
    flaws: i64 = LONE_LINE_BREAK if "\n" in line or "\r" in line else 0
    return Row(line, name, bit, flaws, line[len(beginning) :].strip(LWS))


def _continues(line: str) -> bool:
    """Tell whether *line* continues the row before it."""
    return line != "" and ord(line[0]) in (_SPACE, _TAB)


def _unfolded(lines: list[str]) -> list[str]:
    """Join continuation lines with the line that they continue. The blanks of a fold become one space."""
    whole: list[list[str]] = []
    for line in lines:
        if whole and _continues(line):
            whole[-1].append(line)
        else:
            whole.append([line])
    return [parts[0] if len(parts) == 1 else _one_line(parts) for parts in whole]


def _one_line(parts: list[str]) -> str:
    return " ".join([part for part in [parts[0].rstrip(LWS), *[more.strip(LWS) for more in parts[1:]]] if part])


def _new_row(line: str, *, is_kept: bool) -> Row:
    if line.startswith(_CALL_ID_BEGINS):
        row = _row_of_its_own(line, _CALL_ID_BEGINS, "call-id", CALL_ID)
        return _kept.keep(line, row) if is_kept and len(line) <= _LONGEST_KEPT else row
    name, bit = name_of(line)
    numbered = _numbered(line, name, bit) if bit & _NUMBERED else None
    row = _plain_row(line, name, bit) if numbered is None else numbered
    if is_kept and _may_keep(line, bit):
        _kept.keep(line, row)
    return row


def _may_keep(line: str, bit: i64) -> bool:
    """Tell whether the row of *line* is cached.

    A line that begins with a blank is a row only at the start of a header: elsewhere it continues another row. The
    addresses of a long list would need a hundred times the memory of its line.
    """
    if len(line) > _LONGEST_KEPT or bit & _NOT_KEPT or _continues(line):
        return False
    return not (bit & _HOLDS_ADDRESSES and line.count(",") > _MOST_COMMAS_KEPT)


def _numbered(line: str, name: str, bit: i64) -> Row | None:
    """Parse a row whose number decides a boundary, and write it in canonical form; None if it is malformed."""
    value = _value(line)
    try:
        if bit == CSEQ:
            cseq = CSeq.parse(value)
            row = Row(f"CSeq: {cseq.number} {cseq.method}", name, bit)
            row._cseq = cseq  # noqa: SLF001 - the row is under construction
        else:
            number = _length(value) if bit == CONTENT_LENGTH else _max_forwards(value)
            row = Row(f"{wire_name(name)}: {number}", name, bit)
            row._number = number  # noqa: SLF001 - the row is under construction
    except RemoteError:
        return None
    return row


def _plain_row(line: str, name: str, bit: i64) -> Row:
    """Make a row as we send it: no blanks before the colon, no escaped control characters in a display name."""
    flaws: i64 = 0
    if not all_printable(line):
        if bit & _QUOTES_NAMES:
            line = without_escaped_controls(line)
        flaws = flaws_in(line)
    colon = line.find(":")
    if colon > 0 and _continues(line[colon - 1]):
        line = f"{line[:colon].rstrip(LWS)}{line[colon:]}"
    return Row(line, name, bit, flaws)


def flaws_in(line: str) -> i64:
    """Give the flaw of a line from the wire: 0, LONE_LINE_BREAK or CONTROL."""
    if all_printable(line):
        return 0
    if "\n" in line or "\r" in line:
        return LONE_LINE_BREAK
    return CONTROL if has_control(line) else 0


def has_long_list(rows: list[Row], most: int) -> bool:
    """Tell whether a list field that our code splits has more than *most* items in all its rows together."""
    if len(rows) + _commas(rows) <= most:
        return False
    counted: dict[int, int] = {}
    for row in rows:
        if row.bit & _LISTS:
            counted[row.bit] = counted.get(row.bit, 0) + len(separators(row.value, ",")) + 1
    return any(count > most for count in counted.values())


def _commas(rows: list[Row]) -> int:
    """Count the commas of all list fields, also those in quotes. This is fast, and is enough for nearly every message."""
    commas = 0
    for row in rows:
        if row.bit & _LISTS and "," in row.line:
            commas += row.line.count(",")
    return commas


def _value(line: str) -> str:
    return line[line.find(":") + 1 :].strip(LWS)


def made_row(name: str, value: str) -> Row:
    """Write a row from its lower-case name and its value; LocalError for an invalid name or a line break in the value."""
    beginning, bit = spelled(name)
    return Row(f"{beginning}{one_line(value)}", name, bit)


def named_row(name: str, uri: str, tag: str | None, display: str = "") -> Row:
    """Write a From or To with *uri* and *tag*, which was parsed: only what is new in it is parsed once more.

    *display* is a display name, quoted where the header field needs it.
    """
    named = f"{display} <{uri}>" if display else f"<{uri}>"
    row = made_row(name, named if tag is None else f"{named};tag={tag}")
    address = NameAddr.parse(named)
    row._addresses = [address if tag is None else address.with_tag(tag)]  # noqa: SLF001 - the row is under construction
    return row


def one_line(value: str) -> str:
    """Return *value*; LocalError if it contains a line break."""
    if "\n" in value or "\r" in value:
        raise LocalError(f"a line break would forge a header field: {shown(value)}")
    return value


# callid = word [ "@" word ]. No word contains "@", so a failed match takes linear time.
_WORD: Final = r"[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]+"
_CALL_ID: Final = re.compile(f"{_WORD}(?:@{_WORD})?")


def _is_plain_call_id(value: str) -> bool:
    """Tell whether *value* has only letters, digits, hyphens, dots and one ``@`` at most: faster than the pattern."""
    if value == "" or ord(value[0]) == _AT or ord(value[-1]) == _AT or not value.isascii():
        return False
    return value.replace("-", "0").replace(".", "0").replace("@", "0", 1).isalnum()


def _call_id(value: str) -> str:
    if not _is_plain_call_id(value) and _CALL_ID.fullmatch(value) is None:
        raise RemoteError(f"not a Call-ID: {shown(value)}", rule="RFC 3261 20.8")
    return value


def _max_forwards(value: str) -> int:
    hops = bounded(value, MAX_HOPS) if is_digits(value) else None
    if hops is None:
        raise RemoteError(f"not a Max-Forwards: {shown(value)}", rule="RFC 3261 20.22")
    return hops


def _length(value: str) -> int:
    if not is_digits(value):
        raise RemoteError(f"not a Content-Length: {shown(value)}", rule="RFC 3261 20.14")
    length = bounded(value, _MAX_LENGTH)
    return _MAX_LENGTH if length is None else length


def header_rows(headers: Iterable[tuple[str, str]]) -> list[Row]:
    """Write header rows from pairs of name and value; LocalError as in :func:`made_row`."""
    return [made_row(name if name in BITS else ascii_lower(name), value) for name, value in headers]
