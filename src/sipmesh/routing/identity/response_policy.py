"""Rules for responses: they repeat their request exactly, and assert only what their sender may assert (rule R10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.assertion import ASSERTED, remove_foreign_assertion
from sipmesh.routing.identity.border import IN_RESPONSES, TABLE
from sipmesh.routing.identity.privacy import hides_identity
from sipmesh.routing.identity.realm import CHALLENGED, CHALLENGES, lacks_challenge
from sipmesh.sip.bearer import is_bearer
from sipmesh.sip.digest import parse_challenge
from sipmesh.sip.message import as_received
from sipmesh.sip.rows import (
    CALL_ID,
    CSEQ,
    FROM,
    P_ASSERTED_IDENTITY,
    TO,
    VIA,
    expect_addressed,
    made_row,
    next_of,
)
from sipmesh.sip.status import FIRST_FINAL, REASONS, Status

if TYPE_CHECKING:
    from mypy_extensions import i64

    from sipmesh.routing.identity.border import Border
    from sipmesh.routing.identity.sender import Sender
    from sipmesh.sip.message import Request, Response
    from sipmesh.sip.rows import Row

OF_REGISTRATIONS: Final = frozenset({"path", "service-route", "p-associated-uri"})
_TAG: Final = ";tag="
_ONCE: Final[i64] = FROM | TO | CALL_ID | CSEQ
_REPEATED: Final[i64] = VIA | _ONCE


def settle(
    response: Response, request: Request, sender: Sender, border: Border, here: str, *, screens: bool = False
) -> None:
    """Make *response* valid for the sender of *request*. Our own Via has been removed.

    *sender* is the peer that sent the response. *here* is our host name, for the Warning. *screens*: it is an application that
    the sender of the request has not called. Raises `RemoteError` if it is the response to another request.

    A challenge does not reach the sender of a request that hides it: the answer to a challenge has the name of a user, and a
    digest of the password. A 401 or 407 becomes 433 then: the callee wants to know who calls (RFC 5079). One of an application
    that screens calls becomes 403.
    """
    if request.renamed or not repeats(response, request):
        restore(response, request)
    if response.present & P_ASSERTED_IDENTITY:
        remove_foreign_assertion(response, sender)
    hidden = bool(response.present & IN_RESPONSES or response.status in CHALLENGED) and hides_identity(request)
    if response.present & IN_RESPONSES:
        border.admit_response(response, sender)
        if hidden or screens:
            response.keep([row for row in response.rows if row.name not in CHALLENGES])
    if response.status in CHALLENGED and lacks_challenge(response):
        status = Status.ANONYMITY_DISALLOWED if hidden else Status.FORBIDDEN
        response.status, response.reason = status, REASONS[status]
        why = "a request that hides its sender answers none" if hidden else "its sender may not make it"
        response.append("warning", f'399 {here} "refused: identity, a challenge: {why}"')


def settle_registration(response: Response, request: Request) -> None:
    """Make the home pool's *response* to a REGISTER valid for the phone that sent *request*.

    Its challenges pass if they are of the user's own domain: the phone answers to the home pool. Raises `RemoteError` if it is
    the response to another request.
    """
    if not repeats(response, request):
        restore(response, request)
    domain = request.to.sip_uri.host if request.to.is_sip else ""
    response.keep([row for row in response.rows if passes_to_phone(row, domain)])


def passes_to_phone(row: Row, domain: str) -> bool:
    """Tell whether a row of the home pool's response to a REGISTER of a user in *domain* passes."""
    if row.name in OF_REGISTRATIONS:
        return True
    if row.name != "www-authenticate":
        return row.name not in TABLE and row.name != ASSERTED
    if is_bearer(row.value):  # it has no realm; the home pool is a pool of ours
        return True
    try:
        return parse_challenge(row.value).realm == domain
    except RemoteError:
        return False


def repeats(response: Response, request: Request) -> bool:
    """Tell whether a response repeats its request octet for octet, as nearly all do. Only the To tag may be added.

    The Vias come in their order. The other fields come in any order: most phones do not keep that of the request.
    """
    if response.repeated & _ONCE:
        return False
    asked, at = request.rows, 0
    missing: i64 = request.present & _ONCE
    for row in response.rows:
        if row.bit & _REPEATED:
            found = next_of(asked, row.bit, at if row.bit == VIA else 0)
            if found < 0:
                return False
            if row is not asked[found] and not _is_repeated(row, asked[found]):  # seen before: the same object
                return False
            missing &= ~row.bit
            if row.bit == VIA:
                at = found + 1
    return not missing and next_of(asked, VIA, at) < 0


def _is_repeated(row: Row, asked: Row) -> bool:
    """Tell whether *row* has the octets of the row *asked*, or adds a tag to them in To."""
    return row.line == asked.line or (row.bit == TO and row.line.startswith(f"{asked.line}{_TAG}"))


def is_to(response: Response, request: Request) -> bool:
    """Tell whether *response* has the Call-ID, the CSeq and the From tag of *request*."""
    return (
        response.call_id == request.call_id
        and response.cseq.number == request.cseq.number
        and response.cseq.method == request.cseq.method
        and response.from_.tag == request.from_.tag
    )


def restore(response: Response, request: Request) -> None:
    """Copy the fields that a response repeats (RFC 3261 section 8.2.6.2) from the request into the response.

    Otherwise the answering peer could name another caller, or make the previous server match it with another request.
    """
    if not is_to(response, request):
        raise RemoteError(
            "a response whose Call-ID, CSeq or From is not its request's", rule="RFC 3261 section 8.2.6.2"
        )
    tag = response.to.tag
    ours = as_received(request, [row for row in request.rows if row.bit & _REPEATED])
    response.keep([*ours, *[row for row in response.rows if not row.bit & _REPEATED]])
    if tag is not None and request.to.tag is None:
        asked = response.row(TO)
        row = made_row("to", f"{asked.value}{_TAG}{tag}")
        if response.status >= FIRST_FINAL and not asked.address.params:
            expect_addressed(row, asked.address.with_tag(tag))  # all requests of the dialog have it
        response.put(row)
