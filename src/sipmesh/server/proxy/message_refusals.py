"""Refused messages: each has a reference that its sender gets and that our log contains."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Final

from sipmesh.server.proxy.gatekeeper import REMEMBERED_REFUSALS
from sipmesh.server.proxy.refused_message import RefusedMessage
from sipmesh.server.quotas.limited_log import cut
from sipmesh.sip.status import FIRST_CLIENT_ERROR, Status
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from sipmesh.routing.outcome import Answer
    from sipmesh.server.proxy.counters import Counters
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.sip.message import Request

COARSE: Final = {
    Code.FROM_NOT_ALLOWED: "identity",
    Code.ASSERTION_NOT_ALLOWED: "identity",
    Code.NOT_AUTHENTICATED: "identity",
    Code.NO_ROUTE: "routing",
    Code.PARTNER_BLOCKED: "routing",
    Code.PARTNER_UNKNOWN: "routing",
    Code.ROLE_NOT_ALLOWED: "role",
    Code.OTHER_HOME: "home",
    Code.MEDIA_NOT_ENCRYPTED: "media",
    Code.MEDIA_UNREADABLE: "media",
    Code.MEDIA_NOT_BRIDGED: "media",
    Code.IDENTITY_MISSING: "identity",
    Code.IDENTITY_INVALID: "identity",
}
"""The class of the reason that a refused peer learns; our log has the full reason under the same reference."""

BY_POLICY: Final = (Status.FORBIDDEN, Status.DECLINE)
"""Statuses of what a rule refuses; another refusal without a verdict code tells that its target cannot be reached."""

RECORDED: Final = ("INVITE", "MESSAGE")
"""Methods of the requests that have a call record."""


class MessageRefusals:
    """The newest refused messages of one server, in order of arrival; *server* is its name.

    *newest* have a verdict code. *plain* have none, such as calls that a rule of the callee refuses; they displace no other.
    """

    def __init__(self, server: str, log: LimitedLog, counters: Counters) -> None:
        self._server, self._log, self._counters = server, log, counters
        self._references = 0
        self.newest: deque[RefusedMessage] = deque(maxlen=REMEMBERED_REFUSALS)
        self.plain: deque[RefusedMessage] = deque(maxlen=REMEMBERED_REFUSALS)

    def headers(self, flow: Flow, request: Request, answer: Answer) -> tuple[tuple[str, str], ...]:
        """Give the header fields of *answer*, with a Warning if it refuses with a code, or refuses a new call or message.

        A 503 that asks the sender to try later has none: under load a refusal must cost little.
        """
        if answer.code is None:
            is_refused = answer.why and answer.status >= FIRST_CLIENT_ERROR and not answer.is_busy
            if not is_refused or request.method not in RECORDED or request.to.tag is not None:
                return answer.headers
        return (*answer.headers, ("Warning", self.record(flow, request, answer)))

    def record(self, flow: Flow, request: Request, answer: Answer) -> str:
        """Log and keep a refusal, and count one with a code; returns the Warning for its sender (RFC 3261 20.43)."""
        self._references += 1
        reference = f"{flow.link.id}-{self._references}"
        facts = cut(
            {
                "link": flow.link.id,
                "peer": flow.link.peer_name or ", ".join(sorted(flow.users)) or flow.link.remote[0],
                "method": request.method,
                "status": answer.status,
                "code": answer.code,
                "why": answer.why,
                "reference": reference,
            }
        )
        refused, coarse = RefusedMessage(**facts), "policy"
        if answer.code is None:
            if answer.status not in BY_POLICY:
                coarse = "unavailable"
            self.plain.append(refused)
            self._log.info(flow.account.name, "message refused", **asdict(refused))
        else:
            self.newest.append(refused)
            self._counters.refused(str(answer.code))
            self._log.warning(flow.account.name, "message refused", **asdict(refused))
            coarse = COARSE.get(answer.code, coarse)
        return f'399 {self._server} "refused: {coarse}, reference {reference}"'

    def find(self, reference: str) -> RefusedMessage | None:
        """Return the refusal of this server with that reference, if it is one of the newest."""
        kept = chain(reversed(self.newest), reversed(self.plain))
        return next((refused for refused in kept if refused.reference == reference), None)
