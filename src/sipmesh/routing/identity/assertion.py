"""Whose request is this? The identity a sender has proved or may assert (RFC 3325, rule R10)."""

from __future__ import annotations

from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.route_set import RouteSet
from sipmesh.routing.identity.sender import ClientSender, Sender, ServerSender
from sipmesh.routing.outcome import Answer, Prove
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Message, Request, Response
from sipmesh.sip.rows import P_ASSERTED_IDENTITY
from sipmesh.sip.text import shown
from sipmesh.sip.uri import SipUri
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

ASSERTED: Final = "p-asserted-identity"
ANONYMOUS: Final = "anonymous.invalid"


def asserted(message: Message) -> list[SipUri]:
    """Read the SIP identities of P-Asserted-Identity; a tel URI beside one asserts nothing here (RFC 3325 section 9.1)."""
    claims = (sip_uri(NameAddr.parse(item)) for item in message.items(ASSERTED))
    return [claim for claim in claims if claim is not None]


def of_client(request: Request, sender: ClientSender, domains: frozenset[str]) -> str | Answer | Prove:
    """Tell which user a client's request comes from, once the link has proved to be that user."""
    uri = from_uri(request)
    if uri is None or uri.host not in domains or uri.user is None or request.from_.has_verstat:
        return Answer(
            403, code=Code.FROM_NOT_ALLOWED, why=f"From {shown(request.from_.uri)} is not a user of our domains"
        )
    if not sender.users:
        return Prove(uri.aor, 407)
    if uri.aor not in sender.users:
        proved = ", ".join(sorted(sender.users))
        return Answer(403, code=Code.FROM_NOT_ALLOWED, why=f"From is {uri.aor}, this link proved {proved}")
    return uri.aor


def in_dialog(request: Request, route_set: RouteSet, sender: Sender, allowed: frozenset[str]) -> str | Answer | None:
    """Tell who acts inside a dialog whose token has bound the sender.

    A client acts as the user who is that side of the dialog, unless From names another user that its link has proved. A
    server may assert an identity of the domains *allowed*, or none.
    """
    if isinstance(sender, ServerSender):
        claims = asserted(request)
        return (refused_assertion(claims, sender, allowed) or claims[0].aor) if claims else None
    uri = from_uri(request)
    if uri is not None and uri.aor in sender.users:
        return uri.aor
    token = route_set.dialog
    return sender.user_of(token.a if route_set.from_a else token.b) if token is not None else None


def of_partner_inside(request: Request, sender: ServerSender) -> str | None:
    """Tell whom an edge asserts inside a dialog: the From, where its domain is the sender's to use."""
    uri = from_uri(request)
    return uri.aor if uri is not None and uri.host in sender.peer.asserts else None


def from_uri(request: Request) -> SipUri | None:
    """Read From; None for a URI of another scheme, by which nobody is known here."""
    return sip_uri(request.from_)


def sip_uri(address: NameAddr) -> SipUri | None:
    """Read a SIP URI; None for one of another scheme."""
    return address.sip_uri if address.is_sip else None


def of_server(request: Request, sender: ServerSender, allowed: frozenset[str]) -> str | Answer:
    """Tell which identity a server asserts, or refuse one outside the domains *allowed* to it.

    From is held to the same domains, also beside an assertion: it is what a phone shows. Only the anonymous From says nothing
    (RFC 3323 section 4.1.1.3), and needs an assertion beside it.
    """
    claims = asserted(request)
    if not claims:
        return by_from(request, sender, allowed)
    refused = refused_assertion(claims, sender, allowed)
    if refused is not None:
        return refused
    checked = claims[0].aor if is_anonymous(request.from_) else by_from(request, sender, allowed)
    return checked if isinstance(checked, Answer) else claims[0].aor


def is_anonymous(address: NameAddr) -> bool:
    """Tell whether a From hides its user (RFC 3323 section 4.1.1.3: a host under ``anonymous.invalid``)."""
    return address.is_sip and address.sip_uri.host == ANONYMOUS


def refused_assertion(claims: list[SipUri], sender: ServerSender, allowed: frozenset[str]) -> Answer | None:
    """Refuse the first identity that the sender may not assert."""
    for uri in claims:
        if uri.host not in allowed:
            return Answer(403, code=Code.ASSERTION_NOT_ALLOWED, why=f"{sender.peer.name} may not assert {uri.aor}")
    return None


def by_from(request: Request, sender: ServerSender, allowed: frozenset[str]) -> str | Answer:
    """Hold the sender to the domain of its From."""
    uri = from_uri(request)
    if uri is None or uri.host not in allowed or request.from_.has_verstat:
        why = f"{sender.peer.name} may not send as {shown(request.from_.uri)}"
        return Answer(403, code=Code.FROM_NOT_ALLOWED, why=why)
    return uri.aor


def cleanse(response: Response, sender: Sender | None) -> None:
    """Take out of a response what its sender may not assert of who answered (RFC 3325 section 5, rule R10)."""
    if response.present & P_ASSERTED_IDENTITY and not may_assert_all(response, sender):
        response.remove(ASSERTED)


def may_assert_all(response: Response, sender: Sender | None) -> bool:
    """Tell whether every identity in a response is its sender's to assert; nobody's is what cannot be read or is not SIP's."""
    if not isinstance(sender, ServerSender) or sender.kind is not LinkKind.SERVER:
        return False
    try:
        claims = [NameAddr.parse(item) for item in response.items(ASSERTED)]
        return all(sender.may_speak_as(claim, sender.peer.asserts) for claim in claims)
    except RemoteError:
        return False
