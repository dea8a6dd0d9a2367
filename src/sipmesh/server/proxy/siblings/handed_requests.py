"""The requests on links of this process that another process serves: if that process ends, they are answered here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.outcome import RETRY_AFTER_S
from sipmesh.sip.message import NO_BODY, Response, respond
from sipmesh.sip.rows import CALL_ID, CSEQ, FROM, TO, VIA
from sipmesh.sip.status import FIRST_FINAL, REASONS, Status
from sipmesh.sip.transaction.key import client_key

if TYPE_CHECKING:
    from mypy_extensions import i64

    from sipmesh.sip.message import Request

_KEPT: Final[i64] = VIA | FROM | TO | CALL_ID | CSEQ


class HandedRequests:
    """What waits for the answer of another process, by the number of its link and by its transaction.

    Each entry has the process and the answer in its place. It ends with the answer, with the link or with the process.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[int, dict[str, tuple[int, bytes]]] = {}

    def handed(self, process: int, number: int, request: Request) -> None:
        """Note a *request* of the link *number* that *process* serves."""
        answer = refused(request)
        self._waiting.setdefault(number, {})[client_key(answer)] = process, answer.encode()

    def has(self, number: int) -> bool:
        """Tell whether a request of the link *number* waits."""
        return number in self._waiting

    def answered(self, number: int, response: Response) -> None:
        """Another process has answered on the link *number*."""
        waiting = self._waiting.get(number)
        if waiting is not None and response.status >= FIRST_FINAL:
            waiting.pop(client_key(response), None)
            if not waiting:
                del self._waiting[number]

    def link_closed(self, number: int) -> None:
        """The link *number* is gone."""
        self._waiting.pop(number, None)

    def process_ended(self, process: int) -> list[tuple[int, bytes]]:
        """Return the answers that *process* owes, each with the number of its link, and forget them."""
        owed = [
            (number, key, answer)
            for number, waiting in self._waiting.items()
            for key, (server, answer) in waiting.items()
            if server == process
        ]
        for number, key, _ in owed:
            del self._waiting[number][key]
        self._waiting = {number: waiting for number, waiting in self._waiting.items() if waiting}
        return [(number, answer) for number, _, answer in owed]


def refused(request: Request) -> Response:
    """Return the answer to a request that no process can serve now."""
    return respond(request, Status.SERVICE_UNAVAILABLE, headers=(("Retry-After", RETRY_AFTER_S),))


def shortened(response: Response) -> Response:
    """Return the 503 in place of a final response for which there is no room."""
    rows = [row for row in response.rows if row.bit & _KEPT]
    return Response(Status.SERVICE_UNAVAILABLE, REASONS[Status.SERVICE_UNAVAILABLE], [*rows, NO_BODY])
