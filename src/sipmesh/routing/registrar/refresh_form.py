"""The octets of a REGISTER that a phone repeats, and of its response: only branch, CSeq number and credentials differ.

A REGISTER of this form needs no parser: each octet of its header was read and checked before, in an earlier REGISTER, or is
in one of three values with a grammar that is simple to check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.sip.message import Response
from sipmesh.sip.names import BITS, bits_of
from sipmesh.sip.rows import CALL_ID, CSEQ, VIA
from sipmesh.sip.text import octets_of

if TYPE_CHECKING:
    from mypy_extensions import i64

    from sipmesh.sip.message import Request
    from sipmesh.sip.rows import Row

LONGEST: Final = 2_048
"""Octets of a REGISTER whose form is kept; the form of each phone needs about twice the octets of its REGISTER."""

LONGEST_ANSWER: Final = 16_384
LONGEST_BRANCH: Final = 128
LONGEST_CREDENTIALS: Final = 1_024
MOST_DIGITS: Final = 9
"""Digits of a CSeq number that is known to be below 2**31 (RFC 3261 section 8.1.1.5)."""

_COOKIE: Final = b"z9hG4bK"
_BRANCH: Final = ";branch="
_TRANSPORT: Final = "TLS"
"""In a WebSocket message, the octets of a request are not those of the stream."""

_AUTHORIZATION: Final[i64] = BITS["authorization"]
_READ_EACH_TIME: Final[i64] = bits_of("event", "proxy-require", "route")
"""With one of these fields, more is looked at than the registrar decides by."""

_PRINTABLE: Final = bytes(range(0x20, 0x7F))


BRANCH: Final = 1
NUMBER: Final = 2
CREDENTIALS: Final = 3
"""The kinds of gaps: values of a REGISTER that are new each time. Numbers are compared faster than an enum."""


class RefreshForm:
    """The constant octets of a REGISTER, *pieces*, with one of *gaps* between two of them; *answer* is the response likewise.

    *answer* has the octets before the branch, before the CSeq number, before the rows that are new in each response, and behind
    them. *call_id* is that of each such REGISTER.
    """

    __slots__ = ("_answer", "_gaps", "_pieces", "call_id")

    def __init__(
        self, pieces: tuple[bytes, ...], gaps: tuple[int, ...], answer: tuple[bytes, bytes, bytes, bytes], call_id: str
    ) -> None:
        self._pieces, self._gaps, self._answer, self.call_id = pieces, gaps, answer, call_id

    def read(self, octets: bytes) -> tuple[bytes, bytes] | None:
        """Give branch and CSeq number of a REGISTER of this form; None if *octets* are anything else."""
        pieces, gaps = self._pieces, self._gaps
        if not octets.startswith(pieces[0]):
            return None
        at = len(pieces[0])
        branch = number = b""
        for index in range(len(gaps)):
            piece, gap = pieces[index + 1], gaps[index]
            end = octets.find(piece[:1], at)  # no value has the octet that is behind it: it fits nowhere else
            value = octets[at:end]
            if end < 0 or not octets.startswith(piece, end) or not fits(gap, value):
                return None
            if gap == BRANCH:
                branch = value
            elif gap == NUMBER:
                number = value
            at = end + len(piece)
        return (branch, number) if at == len(octets) else None

    def answer(self, branch: bytes, number: bytes, fresh: bytes) -> bytes:
        """Write the response to the REGISTER with that branch and CSeq number; *fresh* are the rows that are new in it."""
        begins, between, before_fresh, ends = self._answer
        return b"".join((begins, branch, between, number, before_fresh, fresh, ends))


def fits(gap: int, value: bytes) -> bool:
    """Tell whether *value* can fill a *gap*, and is read by each parser as it is by ours."""
    if gap == NUMBER:
        return value.isdigit() and len(value) <= MOST_DIGITS and (len(value) == 1 or not value.startswith(b"0"))
    if gap == CREDENTIALS:
        return len(value) <= LONGEST_CREDENTIALS and not value.translate(None, _PRINTABLE)
    if len(value) > LONGEST_BRANCH or len(value) <= len(_COOKIE) or not value.startswith(_COOKIE):
        return False
    return value.isalnum() or value.replace(b"-", b"0").replace(b".", b"0").isalnum()


def form_of(request: Request, via: str, copied: list[Row], added: list[Row]) -> RefreshForm | None:
    """Give the form of *request*, a REGISTER that was answered with 200; None if it has none.

    *via* is the value of its top Via as the phone has sent it, before it was marked. *copied* are the first rows of the response,
    *added* the last rows; between them are rows that are new each time.
    """
    branch = request.top_via.branch
    if branch is None or request.body or request.has_lower_via or request.present & _READ_EACH_TIME:
        return None
    if request.repeated & _AUTHORIZATION or request.top_via.transport != _TRANSPORT:
        return None
    pieces, gaps = _pieces(request, branch, via)
    answer = _answer(request, branch, copied, added)
    if answer is None or BRANCH not in gaps or NUMBER not in gaps:
        return None
    if sum(map(len, pieces)) > LONGEST or sum(map(len, answer)) > LONGEST_ANSWER:
        return None
    return RefreshForm(pieces, gaps, answer, request.row(CALL_ID).call_id)


def _pieces(request: Request, branch: str, via: str) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """Cut the octets of *request* at each value that is new each time."""
    pieces: list[str] = []
    gaps: list[int] = []
    piece = request.start_line
    for row in request.rows:
        before, gap, after = row.line, 0, ""
        if row.bit == VIA:
            before, gap, after = _via_parts(via, branch)
        elif row.bit == CSEQ:
            before, gap, after = "CSeq: ", NUMBER, f" {row.cseq.method}"
        elif row.bit == _AUTHORIZATION:
            before, gap = "Authorization: ", CREDENTIALS
        piece = f"{piece}\r\n{before}"
        if gap:
            pieces.append(piece)
            gaps.append(gap)
            piece = after
    pieces.append(f"{piece}\r\n\r\n")
    return tuple([octets_of(text) for text in pieces]), tuple(gaps)


def _via_parts(via: str, branch: str) -> tuple[str, int, str]:
    """Give a Via before and after the value of its branch; no gap where that value is not there once."""
    before, found, after = via.partition(f"{_BRANCH}{branch}")
    if not found or _BRANCH in after:
        return f"Via: {via}", 0, ""
    return f"Via: {before}{_BRANCH}", BRANCH, after


def _answer(
    request: Request, branch: str, copied: list[Row], added: list[Row]
) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Cut the octets of the response at the branch and at the CSeq number; None where they are not in that order, once each."""
    octets, cseq = Response(200, "OK", copied).encode()[: -len(b"\r\n")], request.cseq
    value = octets_of(f"{_BRANCH}{branch}")
    via, number = octets_of(f"\r\n{request.row(VIA).line}\r\n"), octets_of(f"\r\nCSeq: {cseq.number} {cseq.method}\r\n")
    if octets.count(via) != 1 or octets.count(number) != 1 or via.count(value) != 1:
        return None
    at = octets.find(via) + via.find(value) + len(_BRANCH)
    behind = at + len(branch)
    numbered = octets.find(number) + len(b"\r\nCSeq: ")
    if numbered < behind:
        return None
    ends = octets_of("".join([f"{row.line}\r\n" for row in added]) + "\r\n")
    return octets[:at], octets[behind:numbered], octets[numbered + len(str(cseq.number)) :], ends
