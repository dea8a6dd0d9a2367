"""The end of a carried flow: each of its two servers tells the other, by a REGISTER with the token of the flow in its Route."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.sip.message import Request, build_request

if TYPE_CHECKING:
    from sipmesh.server.proxy.events.own_requests import OwnRequests
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.quotas.limited_log import LimitedLog

FLOW_FAILED: Final = 'SIP;cause=430;text="Flow Failed"'
"""The Reason (RFC 3326) of such a REGISTER. It has no Contact, so that it changes no registration of another device."""


def is_end(request: Request) -> bool:
    """Tell whether a request that names a carried flow ends this flow."""
    return request.method == "REGISTER" and FLOW_FAILED in request.values("reason")


class EndOfFlow:
    """Tells other servers of flows that have ended; *server* is this one, *token* gives an unpredictable text."""

    def __init__(self, server: str, own_requests: OwnRequests, token: Callable[[], str], log: LimitedLog) -> None:
        self._server, self._own_requests, self._token, self._log = server, own_requests, token, log

    def tell(self, by: Flow, route: str, why: str) -> None:
        """Tell the server at the other end of *by* that the flow of the Route entry *route* has ended.

        If it gets no message, it finds out with the next request on the flow (430), or by the end of the link of *by*.
        """
        if not by.link.usable:
            return
        self._log.info(by.account.name, "carried flow ended", link=by.link.id, why=why)
        here = f"<sip:{self._server}>"
        headers = [
            ("route", route),
            ("max-forwards", "70"),
            ("from", f"{here};tag={self._token()}"),
            ("to", here),
            ("call-id", self._token()),
            ("cseq", "1 REGISTER"),
            ("expires", "0"),
            ("reason", FLOW_FAILED),
        ]
        self._own_requests.send(by, build_request("REGISTER", f"sip:{self._server}", headers), _ignore)


def _ignore(status: int) -> None:
    """Do nothing: a flow that is unknown there has ended too."""
