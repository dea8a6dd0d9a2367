"""The 503 to new requests under overload, made from their octets: refusing must cost a small part of serving.

Only plain messages are refused here: each header field on one line, under its full name as the RFC spells it. Everything else
is left for the parser, and is refused after it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from sipmesh.routing.overload import Demand, OverloadControl

CLIENT_METHODS: Final = frozenset((b"MESSAGE", b"OPTIONS", b"SUBSCRIBE", b"PUBLISH", b"REFER", b"INFO", b"NOTIFY"))
"""Methods that are refused early on links of clients. An INVITE needs its transaction, by which its ACK is known."""

SERVER_METHODS: Final = frozenset((b"MESSAGE",))
"""Methods that are refused early on other links, which carry the control plane and its probes too."""

LONGEST_METHOD: Final = 16
RETRY_AFTER_S: Final = 5
SPREAD: Final = 8
"""Retry-After is `RETRY_AFTER_S` and up to so many seconds more, so that those who were refused do not come back at once."""

_STATUS: Final = b"SIP/2.0 503 Service Unavailable"
_ENDS: Final = tuple(
    b"\r\nRetry-After: %d\r\nContent-Length: 0\r\n\r\n" % (RETRY_AFTER_S + more) for more in range(SPREAD)
)
_LENGTH: Final = b"\r\nContent-Length:"
_MOST_DIGITS: Final = 7
"""Content-Length has only as many digits as a body may need."""

_LENGTHS: Final = re.compile(rb"\r\n(?:l|content-length)[ \t]*:")
"""Each row in lower case that a parser may take for Content-Length: of two, the parser decides where the message ends."""

_VIA_NAMES: Final = frozenset((b"v", b"via"))
_BLANKS: Final = b" \t"
_SPACE: Final = 0x20
_TAB: Final = 0x09
_CAPITAL_V: Final = 0x56
_SMALL_V: Final = 0x76

_CRLF: Final = b"\r\n"
_END: Final = b"\r\n\r\n"


class EarlyRefusal:
    """What is left of one chunk of octets, the responses to the rest, and how many of its requests were admitted."""

    __slots__ = ("admitted", "answers", "refused", "rest")

    def __init__(self, rest: bytes, answers: bytes, refused: int, admitted: int) -> None:
        self.rest, self.answers, self.refused, self.admitted = rest, answers, refused, admitted


def refuse_early(
    chunk: bytes, control: OverloadControl, demand: Demand, methods: frozenset[bytes], host: bytes, port: bytes
) -> EarlyRefusal:
    """Refuse the share of new requests in *chunk* that *control* asks for, and leave the others as they came.

    *chunk* begins with a message. *demand* is that of its sender. *methods* are those that may be refused. *host* and *port*
    are where the chunk is from, for the top Via (RFC 3261 section 18.2.1, RFC 3581 section 4).

    A request that should be refused, but is of a dialog or not plain, ends the look at *chunk*: the requests from there on are
    not admitted, and are decided about after the parser. Otherwise a spelling that is not plain would escape each refusal.
    """
    kept: list[bytes] = []
    answers: list[bytes] = []
    at = kept_from = admitted = 0
    while (head_end := chunk.find(_END, at)) >= 0:
        end = message_end(chunk, at, head_end)
        if end < 0:
            break
        if chunk[at : chunk.find(b" ", at, at + LONGEST_METHOD)] in methods:
            if control.refuses_new(demand, end - at):
                answer = unavailable(chunk, at, head_end, host, port)
                if answer is None:
                    control.undo_last(demand, end - at)
                    break
                answers.append(answer)
                if kept_from < at:
                    kept.append(chunk[kept_from:at])
                kept_from = end
            else:
                admitted += 1
        at = end
    if not answers:
        return EarlyRefusal(chunk, b"", 0, admitted)
    kept.append(chunk[kept_from:])
    return EarlyRefusal(b"".join(kept), b"".join(answers), len(answers), admitted)


def message_end(chunk: bytes, at: int, head_end: int) -> int:
    """Tell where the message ends whose header is *chunk* from *at* to *head_end*; -1 if that is not plain, or not here."""
    found = chunk.find(_LENGTH, at, head_end)
    if found < 0 or not _has_one_length(chunk[at:head_end].lower()):
        return -1
    line_end = chunk.find(_CRLF, found + len(_CRLF))
    digits = chunk[found + len(_LENGTH) : line_end].strip(_BLANKS)
    if not digits.isdigit() or len(digits) > _MOST_DIGITS:
        return -1
    end = head_end + len(_END) + int(digits)
    return end if end <= len(chunk) else -1


def _has_one_length(header: bytes) -> bool:
    """Tell whether no parser finds two Content-Lengths in *header*, which is in lower case and has one."""
    if header.count(b"\r\ncontent-length") == 1 and header.find(b"\r\nl") < 0:
        return True
    return len(_LENGTHS.findall(header)) == 1


def unavailable(chunk: bytes, at: int, head_end: int, host: bytes, port: bytes) -> bytes | None:
    """Make the 503 for the request whose header is *chunk* from *at* to *head_end*; None if it is of a dialog, or not plain.

    The response repeats what RFC 3261 section 8.2.6.2 asks for. The tag of To is the same for each copy of the request.
    """
    lines = chunk[at:head_end].split(_CRLF)
    vias = _vias(lines, host, port)
    from_, to = _line(lines, b"From:"), _line(lines, b"To:")
    call_id, cseq = _line(lines, b"Call-ID:"), _line(lines, b"CSeq:")
    if not (vias and from_ and to and call_id and cseq) or b"tag=" in to.lower():
        return None
    number = crc32(vias + call_id)
    rows = (_STATUS, vias, from_, b"%b;tag=%08x" % (to, number), call_id, cseq)
    return _CRLF.join(rows) + _ENDS[number % SPREAD]


def _line(lines: list[bytes], name: bytes) -> bytes:
    """Give the first row that begins with *name*; nothing if there is none."""
    for line in lines:
        if line.startswith(name):
            return line
    return b""


def _vias(lines: list[bytes], host: bytes, port: bytes) -> bytes:
    """Give all rows of Via, the top one with where it came from; nothing if there is none, or if a row is not plain.

    Not plain is a line that goes on (RFC 3261 section 7.3.1), and a Via under another spelling: no Via may be missing.
    """
    vias: list[bytes] = []
    for line in lines:
        first = line[0] if line else _SPACE
        if first in (_SPACE, _TAB):
            return b""
        if first in (_CAPITAL_V, _SMALL_V):
            if line.startswith(b"Via:"):
                vias.append(line)
            elif line.partition(b":")[0].rstrip(_BLANKS).lower() in _VIA_NAMES:
                return b""
    if not vias:
        return b""
    vias[0] = _marked(vias[0], host, port)
    return _CRLF.join(vias) if vias[0] else b""


def _marked(via: bytes, host: bytes, port: bytes) -> bytes:
    """Give the top Via with the address that the request came from; nothing if it is not plain."""
    if b"," in via or b'"' in via or b"received=" in via or b"rport=" in via:
        return b""
    if b";rport" in via:
        via = via.replace(b";rport", b";rport=" + port, 1)
    return via + b";received=" + host
