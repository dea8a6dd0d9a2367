"""A refresh that is known by its octets: what a phone sends again and again needs to be read and decided once.

A refresh has the rows of the REGISTER before it, but for those that tell one request from another. If they are equal octet for
octet, the decision is the same: the row of the phone is renewed for the time that it has been granted.
"""

from __future__ import annotations

from typing import Final

from sipmesh.routing.registrar.binding import Binding
from sipmesh.routing.registrar.granted import GruuMint, contact_value
from sipmesh.routing.registrar.registrar import RegistrarAnswer
from sipmesh.sip.message import NO_BODY, Request, Response, copied_rows, stateless_tag
from sipmesh.sip.names import bits_of
from sipmesh.sip.rows import TO, Row, header_rows, made_row

DECIDES: Final = bits_of("to", "contact", "expires", "require", "supported")
"""The rows that the registrar decides by; Call-ID and CSeq are read. A User-Agent is noted once on a flow: it is one phone's."""


class KnownRefresh:
    """The REGISTER with which one flow renews *row*, the only row of its address of record.

    *renewals* counts how often it was read and not decided. *gives_gruu*: each answer has a new temporary GRUU.
    """

    __slots__ = ("_lines", "_most", "_to", "gives_gruu", "renewals", "row", "rows")

    def __init__(self, request: Request, answer: RegistrarAnswer, max_call_id_length: int) -> None:
        """Remember *request*, to which *answer* was given: a 200 with one binding, that of the only Contact.

        A longer Call-ID than *max_call_id_length* is left to the decision: the row would keep it.
        """
        self._most = max_call_id_length
        self.renewals = 0
        self.row: Binding = answer.bindings[0]
        self._lines = deciding_lines(request)
        to = request.row(TO)
        self._to = to if request.to.tag is not None else made_row("to", f"{to.value};tag={stateless_tag(request)}")
        self.gives_gruu = answer.gives_gruu
        self.rows = header_rows([header for header in answer.headers if not self.gives_gruu or header[0] != "contact"])
        self.rows.append(NO_BODY)

    def is_repeated_by(self, request: Request) -> bool:
        """Tell whether *request* asks for the same, later: then the row may be renewed without a new decision.

        Raises `RemoteError` where Call-ID or CSeq cannot be read.
        """
        if not self._has_lines_of(request):
            return False
        held = self.row
        if len(request.call_id) > self._most:
            return False
        if (
            request.call_id != held.call_id
        ):  # of an instance, it ends the temporary GRUUs, which other servers have to know
            return held.instance is None
        return request.cseq.number > held.cseq

    def _has_lines_of(self, request: Request) -> bool:
        lines = self._lines
        count = 0
        for row in request.rows:
            if row.bit & DECIDES:
                if count == len(lines) or row.line != lines[count]:
                    return False
                count += 1
        return count == len(lines)

    def was_renewed_by(self, request: Request) -> bool:
        """Tell whether *request* has renewed the row last."""
        row = self.row
        is_last = request.call_id == row.call_id and request.cseq.number == row.cseq
        return is_last and self._has_lines_of(request)

    def renew(self, request: Request, at: float, date: Row, mint: GruuMint | None = None) -> Response:
        """Renew the row by *request* from the instant *at*, in seconds of the clock of its end, and answer.

        *date* is the Date of the answer. *mint* is needed only if `gives_gruu`: each answer has a new temporary GRUU.
        """
        self.row.renew(request.call_id, request.cseq.number, at)
        self.renewals += 1
        return self.answer(request, at, date, mint)

    def answer(self, request: Request, at: float, date: Row, mint: GruuMint | None = None) -> Response:
        """Give the response to a REGISTER that repeats this one; the arguments are those of :meth:`renew`."""
        return Response(200, "OK", [*self.copied(request), *self.fresh(at, date, mint), *self.rows])

    def copied(self, request: Request) -> list[Row]:
        """Give the rows of the answer that come from *request*: these are the first rows."""
        return [self._to if row.bit == TO else row for row in copied_rows(request)]

    def fresh(self, at: float, date: Row, mint: GruuMint | None) -> list[Row]:
        """Give the rows of the answer that are written each time: after those of the request, and before *rows*."""
        return [made_row("contact", contact_value(self.row, at, mint)), date] if self.gives_gruu else [date]


def deciding_lines(request: Request) -> list[str]:
    """Give the rows that the registrar decides by, as they are written."""
    return [row.line for row in request.rows if row.bit & DECIDES]


def known_refresh(request: Request, answer: RegistrarAnswer, max_call_id_length: int) -> KnownRefresh | None:
    """Remember a REGISTER that was granted, if its repetition can be known: one Contact, and no other binding."""
    if len(answer.bindings) != 1 or answer.bindings != answer.changes.put or len(request.contacts) != 1:
        return None
    return KnownRefresh(request, answer, max_call_id_length)
