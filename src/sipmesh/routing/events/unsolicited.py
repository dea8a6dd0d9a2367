"""A NOTIFY outside a subscription: phones do what some of them say, such as to start again (``check-sync``) or to answer."""

from __future__ import annotations

from sipmesh.routing.events.packages import BETWEEN_PHONES, event_type
from sipmesh.routing.identity.border import is_for_users
from sipmesh.routing.identity.sender import Sender
from sipmesh.routing.outcome import Answer
from sipmesh.sip.message import Request
from sipmesh.sip.text import shown
from sipmesh.trust.code import Code


def refused_unsolicited(request: Request, sender: Sender) -> Answer | None:
    """Refuse a NOTIFY that belongs to no subscription, of a client or from outside (RFC 6665 section 4.1.3); None for all else.

    An application of ours may send one to the phones that it provisions. Servers of ours pass on what they have not refused.

    Inside a dialog, only a package of `BETWEEN_PHONES` passes. The caller of a phone that rings could have it answer with `talk`.
    """
    if request.method != "NOTIFY" or not is_for_users(sender):
        return None
    if request.to.tag is None:
        return Answer(481, code=Code.NO_ROUTE, why="a NOTIFY that belongs to no subscription")
    event = event_type(request)
    if event in BETWEEN_PHONES:
        return None
    return Answer(
        481, code=Code.NO_ROUTE, why=f"a NOTIFY of {shown(event)}, which is no package that phones subscribe to"
    )
