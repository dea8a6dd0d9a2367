"""The identity of a request: what its sender has proved or may assert (RFC 3325, rule R10)."""

from __future__ import annotations

from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.routing.authentication.digest import MOST_CREDENTIALS
from sipmesh.routing.identity.alias import name_of
from sipmesh.routing.identity.privacy import is_anonymous
from sipmesh.routing.identity.route_set import RouteSet
from sipmesh.routing.identity.sender import ClientSender, Sender, ServerSender
from sipmesh.routing.outcome import Answer, Prove
from sipmesh.sip.digest import Credentials, is_digest
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Message, Request, Response
from sipmesh.sip.rows import P_ASSERTED_IDENTITY
from sipmesh.sip.tel import NO_DOMAIN
from sipmesh.sip.text import shown
from sipmesh.sip.uri import SipUri
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

ASSERTED: Final = "p-asserted-identity"
PREFERRED: Final = "p-preferred-identity"
MOST_USERS_OF_A_LINK: Final = 256
"""Users who log in on one link: the lines of a gateway. Above it, a login gets 403."""


def asserted(message: Message) -> list[SipUri]:
    """Give the SIP identities of P-Asserted-Identity. A tel URI is ignored (RFC 3325 section 9.1)."""
    if not message.present & P_ASSERTED_IDENTITY:
        return []
    return [address.sip_uri for address in message.asserted_identities if address.is_sip]


def is_claimed(address: NameAddr, claims: list[SipUri]) -> bool:
    """Tell whether the first of *claims* has the user and the domain of *address*: a rule that holds for one holds for both."""
    if not claims or not address.is_sip:
        return False
    uri = address.sip_uri
    return uri.user == claims[0].user and uri.host == claims[0].host


def of_client(request: Request, sender: ClientSender, domains: frozenset[str]) -> str | Answer | Prove:
    """Give the user who sent a client's request. The link must have proved that user, or the result is Prove.

    From is an address of record of the user, or an alias: the identity is the user all the same.
    """
    if is_anonymous(request.from_):
        return of_hidden_client(request, sender, domains)
    uri = name_of(request.from_)
    allowed = uri is not None and (uri.host in domains or (uri.host == NO_DOMAIN and sender.users))
    if uri is None or not allowed or uri.user is None or request.from_.has_verstat:
        return Answer(
            403, code=Code.FROM_NOT_ALLOWED, why=f"From {shown(request.from_.uri)} is not a user of our domains"
        )
    if uri.aor in sender.users:
        return uri.aor
    user = user_of(uri, sender)
    if user in sender.users:
        return user
    if uri.host == NO_DOMAIN:
        return Answer(
            403, code=Code.FROM_NOT_ALLOWED, why=f"{shown(request.from_.uri)} is no number of a user of this link"
        )
    return proof_of(user, 407, sender)


def proof_of(user: str, status: int, sender: ClientSender) -> Prove | Answer:
    """Ask for the password of *user*, whom the link has not proved; *status* is that of the challenge.

    A link may prove several users, one after the other: a telephone adapter or a gateway has one link for all of its lines. Their
    number is bounded, so that one link does not fill the memory of the server. A certificate of a device proves its user alone.
    """
    if sender.device and user != sender.device:
        why = f"the certificate of this link is of a device of {sender.device}, and {user} is another user"
        return Answer(403, code=Code.FROM_NOT_ALLOWED, why=why)
    if len(sender.users) + len(sender.logins) < MOST_USERS_OF_A_LINK or user in sender.logins:
        return Prove(user, status)
    why = f"this link has proved {MOST_USERS_OF_A_LINK} users, and {user} would be one more"
    return Answer(403, code=Code.FROM_NOT_ALLOWED, why=why)


def of_hidden_client(request: Request, sender: ClientSender, domains: frozenset[str]) -> str | Answer | Prove:
    """Give the user who sent a client's request with an anonymous From: the link has proved it all the same.

    On a link with several users, P-Preferred-Identity says which of them it is (RFC 3325 section 9.2), or the user part of
    Contact. Before a login, the credentials or P-Preferred-Identity say which user is to be proved.
    """
    if request.from_.has_verstat:
        return Answer(403, code=Code.FROM_NOT_ALLOWED, why="an anonymous From that says of itself that it was verified")
    preferred = preferred_user(request, sender, domains)
    if not sender.users and sender.device:
        return Prove(sender.device, 407)
    if not sender.users:
        return Prove(preferred or credited_user(request, domains), 407)
    if preferred and preferred not in sender.users:
        return proof_of(preferred, 407, sender)
    return preferred or only_user(request, sender)


def only_user(request: Request, sender: ClientSender) -> str | Answer:
    """Give the user of a link with one user, or the one whom the user part of Contact names."""
    named = [user for user in sender.users if user.startswith(f"sip:{contact_user(request)}@")]
    for users in (list(sender.users), named):
        if len(users) == 1:
            return users[0]
    why = "From is anonymous, and P-Preferred-Identity does not say which user of this link it is"
    return Answer(403, code=Code.FROM_NOT_ALLOWED, why=why)


def preferred_user(request: Request, sender: ClientSender, domains: frozenset[str]) -> str:
    """Give the user in P-Preferred-Identity, "" if there is none in our *domains*."""
    for item in request.items(PREFERRED):
        name = name_of(NameAddr.parse(item))
        if name is not None and name.user is not None and is_of_us(name, domains):
            user = name.aor if name.aor in sender.users else user_of(name, sender)
            if user in sender.users or name.host in domains:
                return user
    return ""


def credited_user(request: Request, domains: frozenset[str]) -> str:
    """Give the user whose credentials a request has; without any, an unknown address in the domain of the callee."""
    for value in request.values("proxy-authorization")[:MOST_CREDENTIALS]:
        if is_digest(value) and (found := Credentials.parse(value)).realm in domains:
            return SipUri.parse(f"sip:{found.username}@{found.realm}").aor
    host = request.ruri.host
    return f"sip:anonymous@{host if host in domains else min(domains)}"


def contact_user(request: Request) -> str:
    """Give the user part of the first Contact, "" if there is none."""
    contacts = request.contacts
    return (contacts[0].sip_uri.user or "") if contacts and contacts[0].is_sip else ""


def is_of_us(name: SipUri, domains: frozenset[str]) -> bool:
    """Tell whether a name can be one of our users: it is in one of our *domains*, or a telephone number without domain."""
    return name.host in domains or name.host == NO_DOMAIN


def user_of(name: SipUri, sender: ClientSender) -> str:
    """Give the user whose name *name* is; an unknown name is given unchanged, and its login fails like that of any user.

    An alias in another domain than that of its user is unknown for others: the realm of the challenge would tell whose
    it is.
    """
    owner = sender.owner_of(name.aor)
    return owner if owner in sender.users or owner.rpartition("@")[2] == name.host else name.aor


def in_dialog(request: Request, route_set: RouteSet, sender: Sender, allowed: frozenset[str]) -> str | Answer | None:
    """Give the identity of a request inside a dialog, whose token has been checked for *sender*; None if there is none.

    A client has the identity of its side of the dialog, unless From is another user that its link has proved. A server may
    assert an identity of the domains *allowed*.
    """
    if isinstance(sender, ServerSender):
        claims = asserted(request)
        return (refused_assertion(claims, sender, allowed) or claims[0].aor) if claims else None
    uri = name_of(request.from_)
    if uri is not None and sender.users:
        user = uri.aor if uri.aor in sender.users else user_of(uri, sender)
        if user in sender.users:
            return user
    token = route_set.dialog
    return sender.user_of(token.a if route_set.from_a else token.b) if token is not None else None


def of_partner_inside(request: Request, sender: ServerSender) -> str | None:
    """Give the identity that an edge asserts inside a dialog: the From, if *sender* may use its domain; else None."""
    if is_anonymous(request.from_):
        claims = asserted(request)
        if not claims:
            return domain_of(sender)
        return claims[0].aor if sender.may_use(claims[0], sender.peer.asserts) else None
    uri = from_uri(request)
    return uri.aor if uri is not None and uri.host in sender.peer.asserts else None


def of_border(request: Request, sender: ServerSender) -> str | Answer:
    """Give the identity of a request outside dialogs at an edge: the From, or if that is anonymous what *sender* asserts.

    Each assertion has been checked (`refused_assertion`). A partner that asserts no user tells about the caller only
    that it is a user of the partner (`domain_of`). An anonymous From of a server of ours without an assertion comes
    from no user: refused.
    """
    if not is_anonymous(request.from_) or request.from_.has_verstat:
        return by_from(request, sender, sender.peer.asserts)
    claims = asserted(request)
    who = claims[0].aor if claims else domain_of(sender)
    return by_from(request, sender, sender.peer.asserts) if who is None else who


def domain_of(sender: ServerSender) -> str | None:
    """Give the identity of a user whom a partner withholds: the domain of the partner, without a user; None for other senders.

    The organisation that has proved its edge answers for its users. It removes P-Asserted-Identity of who hides before the
    request leaves it (RFC 3325 section 5). Of several domains, the first one is used for the partner.
    """
    if sender.kind is not LinkKind.PARTNER or not sender.peer.asserts:
        return None
    return f"sip:{min(sender.peer.asserts)}"


def from_uri(request: Request) -> SipUri | None:
    """Give the URI of From; None for another scheme, which identifies no user here."""
    return sip_uri(request.from_)


def sip_uri(address: NameAddr) -> SipUri | None:
    """Give the SIP URI of *address*; None for another scheme."""
    return address.sip_uri if address.is_sip else None


def of_server(request: Request, sender: ServerSender, allowed: frozenset[str]) -> str | Answer:
    """Give the identity that a server asserts; refuse an identity outside the domains *allowed*.

    From must be in the same domains, even if there is an assertion: phones show From. Only an anonymous From is exempt (RFC
    3323 section 4.1.1.3), and then there must be an assertion.
    """
    claims = asserted(request)
    if not claims:
        return by_from(request, sender, allowed)
    refused = refused_assertion(claims, sender, allowed)
    if refused is not None:
        return refused
    sent_as = request.from_
    if is_anonymous(sent_as) or (is_claimed(sent_as, claims) and not sent_as.has_verstat):
        return claims[0].aor
    checked = by_from(request, sender, allowed)
    return checked if isinstance(checked, Answer) else claims[0].aor


def refused_assertion(claims: list[SipUri], sender: ServerSender, allowed: frozenset[str]) -> Answer | None:
    """Refuse a request if *sender* may not assert one of *claims*; None if it may assert all."""
    for uri in claims:
        if not sender.may_use(uri, allowed):
            return Answer(403, code=Code.ASSERTION_NOT_ALLOWED, why=f"{sender.peer.name} may not assert {uri.aor}")
    return None


def by_from(request: Request, sender: ServerSender, allowed: frozenset[str]) -> str | Answer:
    """Give the identity in From; refuse a From that *sender* may not use (`ServerSender.may_use`)."""
    uri = name_of(request.from_)
    if uri is None or not sender.may_use(uri, allowed) or request.from_.has_verstat:
        why = f"{sender.peer.name} may not send as {shown(request.from_.uri)}"
        return Answer(403, code=Code.FROM_NOT_ALLOWED, why=why)
    return uri.aor if uri.host != NO_DOMAIN else sender.owner_of(uri.aor)


def remove_foreign_assertion(response: Response, sender: Sender | None) -> None:
    """Remove P-Asserted-Identity from a response, unless its sender may assert it (RFC 3325 section 5, rule R10)."""
    if response.present & P_ASSERTED_IDENTITY and not may_assert_all(response, sender):
        response.remove(ASSERTED)


def may_assert_all(response: Response, sender: Sender | None) -> bool:
    """Tell whether *sender* may assert every identity in a response; false for an identity that is malformed or not SIP."""
    if not isinstance(sender, ServerSender) or sender.kind is not LinkKind.SERVER:
        return False
    try:
        return all(sender.may_speak_as(claim, sender.peer.asserts) for claim in response.asserted_identities)
    except RemoteError:
        return False
