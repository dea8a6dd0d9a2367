"""What a response may say: of its request nothing but what stood there, of its sender only what that may say (rule R10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.border import IN_RESPONSES
from sipmesh.routing.identity import cleanse
from sipmesh.routing.realm import UNAUTHORIZED, lacks_challenge
from sipmesh.sip.reasons import REASONS
from sipmesh.sip.rows import CALL_ID, CSEQ, FROM, P_ASSERTED_IDENTITY, TO, VIA

if TYPE_CHECKING:
    from sipmesh.routing.border import Border
    from sipmesh.routing.sender import Sender
    from sipmesh.sip.message import Request, Response

FORBIDDEN: Final = 403
_TAG: Final = ";tag="
_AS_ASKED: Final = VIA | FROM | CALL_ID | CSEQ


def settle(response: Response, request: Request, sender: Sender, border: Border, here: str) -> None:
    """Make *response* fit to go back to who sent *request*; our own Via has been taken off.

    *here* is the name that we warn under. Raises `RemoteError` where it is the response to another request.
    """
    if not repeats(response, request):
        restore(response, request)
    if response.present & P_ASSERTED_IDENTITY:
        cleanse(response, sender)
    if response.present & IN_RESPONSES:
        border.admit_response(response, sender)
    if response.status in UNAUTHORIZED and lacks_challenge(response):
        response.status, response.reason = FORBIDDEN, REASONS[FORBIDDEN]
        response.append("warning", f'399 {here} "refused: identity, a challenge that its sender may not make"')


def repeats(response: Response, request: Request) -> bool:
    """Tell whether a response repeats its request octet for octet, as nearly all do; only the tag of To may be new."""
    asked, told = [], []
    asked_to = told_to = ""
    for row in request.rows:
        if row.bit & _AS_ASKED:
            asked.append(row.line)
        elif row.bit == TO:
            asked_to = row.line
    for row in response.rows:
        if row.bit & _AS_ASKED:
            told.append(row.line)
        elif row.bit == TO:
            told_to = row.line
    return asked == told and (told_to == asked_to or told_to.startswith(f"{asked_to}{_TAG}"))


def restore(response: Response, request: Request) -> None:
    """Write again what a response repeats of its request (RFC 3261 section 8.2.6.2), from the request itself.

    Who answers could otherwise name another caller, or have a server before us take it for the answer to another request.
    """
    if response.call_id != request.call_id or response.cseq != request.cseq or response.from_.tag != request.from_.tag:
        raise RemoteError(
            "a response whose Call-ID, CSeq or From is not its request's", rule="RFC 3261 section 8.2.6.2"
        )
    tag = response.to.tag
    ours = [row for row in request.rows if row.bit & (_AS_ASKED | TO)]
    response.keep([*ours, *[row for row in response.rows if not row.bit & (_AS_ASKED | TO)]])
    if tag is not None and request.to.tag is None:
        response.replace("to", f"{request.row(TO).value}{_TAG}{tag}")
