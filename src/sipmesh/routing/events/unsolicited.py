"""A NOTIFY outside a subscription: phones do what some of them say, such as to start again (``check-sync``) or to answer."""

from __future__ import annotations

from sipmesh.routing.identity.border import is_outside
from sipmesh.routing.identity.sender import Sender, ServerSender
from sipmesh.routing.outcome import Answer
from sipmesh.sip.message import Request
from sipmesh.trust.code import Code


def refused_unsolicited(request: Request, sender: Sender) -> Answer | None:
    """Refuse a NOTIFY without a dialog, of a client or from outside (RFC 6665 section 4.1.3); None for all else.

    An application of ours may send one to the phones that it provisions. Servers of ours pass on what they have not refused.
    """
    if request.method != "NOTIFY" or request.to.tag is not None:
        return None
    if isinstance(sender, ServerSender) and not is_outside(sender):
        return None
    return Answer(481, code=Code.NO_ROUTE, why="a NOTIFY that belongs to no subscription")
