"""Keys of dialogs. Call-ID and both tags name a dialog (RFC 3261 section 12): a Call-ID alone names no call.

Phones choose all three, so that a second call can have those of another one. So the key has the ends of the dialog too, from the
token that this server has record-routed: only the same two ends can begin a dialog with the same key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.sip.status import FIRST_FINAL, FIRST_REDIRECTION, FLOW_FAILED, Status
from sipmesh.sip.text_cache import short_key

if TYPE_CHECKING:
    from sipmesh.sip.message import Message

_UNREACHED: Final = frozenset(
    {
        Status.REQUEST_TIMEOUT,
        FLOW_FAILED,
        Status.TEMPORARILY_UNAVAILABLE,
        Status.CALL_OR_TRANSACTION_DOES_NOT_EXIST,
        Status.SERVICE_UNAVAILABLE,
        Status.SERVER_TIMEOUT,
    }
)
"""Final responses of a BYE whose receiver has no such dialog, or was not reached."""


def dialog_of(message: Message, ends: bytes) -> str:
    """Give the key of the dialog between *ends* (`ends_of`) of a request or response; each side gives the tags in its order."""
    sender, receiver = message.from_.tag or "", message.to.tag or ""
    first, second = (sender, receiver) if sender < receiver else (receiver, sender)
    return short_key(f"{ends.hex()} {message.call_id} {first} {second}")


def ends_dialog(status: int) -> bool:
    """Tell whether a dialog is over once its BYE has the response *status* (RFC 3261 section 15.1.1).

    A receiver that refuses the BYE stays in the call: 500 if the CSeq is old (section 12.2.2), or 420, 401 or 400. So no sender
    can end the record of a call by a BYE that its receiver cannot accept.
    """
    return FIRST_FINAL <= status < FIRST_REDIRECTION or status in _UNREACHED
