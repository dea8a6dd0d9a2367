"""The 503 to new requests under overload, made from their octets: refusing must cost a small part of serving.

Only plain messages are refused here: each header field on one line, under its full name as the RFC spells it. Everything else
is left for the parser, and is refused after it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from sipmesh.routing.overload import OverloadControl

CLIENT_METHODS: Final = frozenset((b"MESSAGE", b"OPTIONS", b"SUBSCRIBE", b"PUBLISH", b"REFER", b"INFO", b"NOTIFY"))
"""Methods that are refused early on links of clients. An INVITE needs its transaction, by which its ACK is known."""

SERVER_METHODS: Final = frozenset((b"MESSAGE",))
"""Methods that are refused early on other links, which carry the control plane and its probes too."""

NOBODY_METHODS: Final = frozenset[bytes]()

LONGEST_METHOD: Final = 16
RETRY_AFTER_S: Final = 5
SPREAD: Final = 8
"""Retry-After is `RETRY_AFTER_S` and up to so many seconds more, so that those who were refused do not come back at once."""

_STATUS: Final = b"SIP/2.0 503 Service Unavailable"
_ENDS: Final = tuple(
    b"\r\nRetry-After: %d\r\nContent-Length: 0\r\n\r\n" % (RETRY_AFTER_S + more) for more in range(SPREAD)
)
_NOT_PLAIN: Final = re.compile(rb"\r\n(?:[ \t]|(?!Via:)[vV](?:[iI][aA])?[ \t]*:)")
"""A line that goes on (RFC 3261 section 7.3.1), and a Via under another spelling: no Via may be missing in a response."""

_LENGTH: Final = re.compile(rb"\r\nContent-Length:[ \t]*([0-9]{1,7})[ \t]*\r\n")
"""Content-Length, with no more digits than any body may have."""

_LENGTHS: Final = re.compile(rb"\r\n(?:[lL]|(?i:content-length))[ \t]*:")
"""Each row that a parser may take for Content-Length: where there are two, the parser decides where the message ends."""

_TAG: Final = re.compile(rb"[tT][aA][gG]=")

_CRLF: Final = b"\r\n"
_END: Final = b"\r\n\r\n"


class EarlyRefusal:
    """What is left of one chunk of octets, the responses to the rest, and how many of its requests were admitted."""

    __slots__ = ("admitted", "answers", "refused", "rest")

    def __init__(self, rest: bytes, answers: bytes, refused: int, admitted: int) -> None:
        self.rest, self.answers, self.refused, self.admitted = rest, answers, refused, admitted

    def __repr__(self) -> str:
        return f"<EarlyRefusal {self.refused} refused, {self.admitted} admitted, {len(self.rest)} octets left>"


def refuse_early(
    chunk: bytes, control: OverloadControl, methods: frozenset[bytes], host: bytes, port: bytes
) -> EarlyRefusal:
    """Refuse the share of new requests in *chunk* that *control* asks for, and leave the others as they came.

    *chunk* begins with a message. *methods* are those that may be refused. *host* and *port* are where the chunk is from: the
    top Via is told (RFC 3261 section 18.2.1, RFC 3581 section 4).

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
            if control.refuses_new():
                answer = unavailable(chunk, at, head_end, host, port)
                if answer is None:
                    control.undo_last()
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
    length = _LENGTH.search(chunk, at, head_end + len(_CRLF))
    if length is None or len(_LENGTHS.findall(chunk, at, head_end)) != 1:
        return -1
    end = head_end + len(_END) + int(length.group(1))
    return end if end <= len(chunk) else -1


def unavailable(chunk: bytes, at: int, head_end: int, host: bytes, port: bytes) -> bytes | None:
    """Make the 503 for the request whose header is *chunk* from *at* to *head_end*; None if it is of a dialog, or not plain.

    The response repeats what RFC 3261 section 8.2.6.2 asks for. The tag of To is the same for each copy of the request.
    """
    if _NOT_PLAIN.search(chunk, at, head_end) is not None:
        return None
    from_, to = row(chunk, b"\r\nFrom:", at, head_end), row(chunk, b"\r\nTo:", at, head_end)
    call_id, cseq = row(chunk, b"\r\nCall-ID:", at, head_end), row(chunk, b"\r\nCSeq:", at, head_end)
    vias = _vias(chunk, at, head_end, host, port)
    if not (from_ and to and call_id and cseq and vias) or _TAG.search(to) is not None:
        return None
    number = crc32(vias + call_id)
    return b"".join((_STATUS, vias, from_, to, b";tag=%08x" % number, call_id, cseq, _ENDS[number % SPREAD]))


def row(chunk: bytes, name: bytes, at: int, head_end: int) -> bytes:
    """Give the header row that begins with *name*, with the line end before it; nothing if there is none."""
    found = chunk.find(name, at, head_end)
    return b"" if found < 0 else chunk[found : chunk.find(_CRLF, found + 2, head_end + 2)]


def _vias(chunk: bytes, at: int, head_end: int, host: bytes, port: bytes) -> bytes:
    """Give all rows of Via, the top one with where it came from; nothing if there is none, or it is not plain."""
    vias = _marked(row(chunk, b"\r\nVia:", at, head_end), host, port)
    found = chunk.find(b"\r\nVia:", at, head_end)
    while vias and (found := chunk.find(b"\r\nVia:", found + 2, head_end)) >= 0:
        vias += chunk[found : chunk.find(_CRLF, found + 2, head_end + 2)]
    return vias


def _marked(via: bytes, host: bytes, port: bytes) -> bytes:
    """Give the top Via with the address that the request came from; nothing if it is not plain."""
    if not via or b"," in via or b'"' in via or b"received=" in via or b"rport=" in via:
        return b""
    if b";rport" in via:
        via = via.replace(b";rport", b";rport=" + port, 1)
    return via + b";received=" + host
