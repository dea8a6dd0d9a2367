"""What users may not send, here or at a partner, because phones act on it without asking their user (decisions 0048, 0052)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.content_indirection import PLAIN, refused_indirection
from sipmesh.routing.events.unsolicited import refused_unsolicited
from sipmesh.routing.identity.border import is_for_users
from sipmesh.routing.identity.cpim import refused_author
from sipmesh.routing.identity.sender import Sender
from sipmesh.routing.outcome import Answer
from sipmesh.sip.message import Request
from sipmesh.sip.names import BITS

if TYPE_CHECKING:
    from mypy_extensions import i64

_CONTENT_TYPE: Final[i64] = BITS["content-type"]


def refused_of_users(request: Request, sender: Sender) -> Answer | None:
    """Refuse a NOTIFY without a subscription, a body that names another author, and a body that is elsewhere; else None."""
    if request.method == "NOTIFY" and (unsolicited := refused_unsolicited(request, sender)) is not None:
        return unsolicited
    if not request.present & _CONTENT_TYPE or request.row(_CONTENT_TYPE).value in PLAIN or not is_for_users(sender):
        return None
    return refused_author(request, sender) or refused_indirection(request, sender)
