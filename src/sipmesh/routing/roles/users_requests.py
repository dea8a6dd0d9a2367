"""What users may not send, here or at a partner, because phones act on it without asking their user (decisions 0048, 0052)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.content_indirection import PLAIN, refused_indirection
from sipmesh.routing.events.packages import BETWEEN_PHONES, event_type
from sipmesh.routing.identity.border import is_for_users
from sipmesh.routing.identity.cpim import refused_author
from sipmesh.routing.identity.sender import Sender
from sipmesh.routing.outcome import Answer
from sipmesh.sip.message import Request
from sipmesh.sip.names import BITS
from sipmesh.sip.text import shown
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from mypy_extensions import i64

_CONTENT_TYPE: Final[i64] = BITS["content-type"]


def refused_of_users(request: Request, sender: Sender) -> Answer | None:
    """Refuse a NOTIFY without a subscription, a body that names another author, and a body that is elsewhere; else None."""
    if request.method == "NOTIFY" and (unsolicited := refused_unsolicited(request, sender)) is not None:
        return unsolicited
    if not request.present & _CONTENT_TYPE or request.row(_CONTENT_TYPE).value in PLAIN or not is_for_users(sender):
        return None
    return refused_author(request, sender) or refused_indirection(request)


def refused_unsolicited(request: Request, sender: Sender) -> Answer | None:
    """Refuse a NOTIFY that belongs to no subscription, of a client or from outside (RFC 6665 section 4.1.3); None for all else.

    Phones do what some of them say, such as to start again (``check-sync``) or to answer.

    An application of ours may send one to the phones that it provisions. Servers of ours pass on what they have not refused.

    Inside a dialog, only a package of `BETWEEN_PHONES` passes. The caller of a phone that rings could have it answer with `talk`.
    """
    if request.method != "NOTIFY" or not is_for_users(sender):
        return None
    if request.to.tag is None:
        return Answer(481, code=Code.NO_ROUTE, why="a NOTIFY that belongs to no subscription")
    return refused_package(request)


def refused_package(request: Request) -> Answer | None:
    """Refuse a NOTIFY inside a dialog, of a package that phones do not subscribe to; None for one of `BETWEEN_PHONES`."""
    event = event_type(request)
    if event in BETWEEN_PHONES:
        return None
    return Answer(
        481, code=Code.NO_ROUTE, why=f"a NOTIFY of {shown(event)}, which is no package that phones subscribe to"
    )
