"""The header fields that may cross a border: one table for those that state an identity or belong to one hop.

``docs/identity.md`` shows this table with the reasons. A message is filtered twice. On entry, fields that the sender may not
use are removed (`Border.admit_request` and `Border.admit_response`). On exit, fields that the receiver may not see are
removed (`Border.release`). Between the two, `sipmesh.routing.proxy.forwarding` writes P-Asserted-Identity.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.call_rules.diversion import claims_beside
from sipmesh.routing.identity.realm import CHALLENGES, CREDENTIALS, NOBODY, Realms
from sipmesh.routing.identity.sender import ClientSender, Sender, ServerSender
from sipmesh.sip.header import Message
from sipmesh.sip.names import BITS, GUARDED, GUARDED_NAMES, bits_of
from sipmesh.sip.rows import Row
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from mypy_extensions import i64


class Rule(Enum):
    """What this server does with a header field at its borders."""

    REMOVED = "always removed"
    INSIDE = "removed where a user, a partner or an edge has sent it"
    OWN = "removed unless every address in it is the sender's to use; removed where privacy is asked for"
    VERIFIED = "in a request kept from an edge or a front end, towards servers and clients; else removed"
    RESULT = "in a request kept from a gateway or a front end, towards servers; else removed"
    CHALLENGE = "in a response of a server kept where the realm is its own; else removed"
    CREDENTIALS = "in a request kept towards a server whose realm it is; else removed"


TABLE: Final[dict[str, Rule]] = {
    # Fields that state or prefer an identity. P-Asserted-Identity is the only one, made from what was proved (RFC 3325).
    "p-preferred-identity": Rule.REMOVED,
    "remote-party-id": Rule.REMOVED,
    # Fields of a provider's core (RFC 5502, RFC 7315, RFC 5503). No server here uses them, but a phone or B2BUA may.
    "p-served-user": Rule.REMOVED,
    "p-charging-vector": Rule.REMOVED,
    "p-charging-function-addresses": Rule.REMOVED,
    "p-associated-uri": Rule.REMOVED,
    "p-called-party-id": Rule.REMOVED,
    "p-access-network-info": Rule.REMOVED,
    "p-visited-network-id": Rule.REMOVED,
    "p-profile-key": Rule.REMOVED,
    "p-user-database": Rule.REMOVED,
    "p-private-network-indication": Rule.REMOVED,
    "p-asserted-service": Rule.REMOVED,
    "p-preferred-service": Rule.REMOVED,
    "additional-identity": Rule.REMOVED,
    "attestation-info": Rule.REMOVED,
    "origination-id": Rule.REMOVED,
    "cc-diversion": Rule.REMOVED,
    "p-dcs-trace-party-id": Rule.REMOVED,
    "p-dcs-osps": Rule.REMOVED,
    "p-dcs-billing-info": Rule.REMOVED,
    "p-dcs-laes": Rule.REMOVED,
    "p-dcs-redirect": Rule.REMOVED,
    "p-refused-uri-list": Rule.REMOVED,
    "p-media-authorization": Rule.REMOVED,
    "response-source": Rule.REMOVED,
    "security-verify": Rule.REMOVED,
    # Fields at which a phone acts without its user (decision 0052). It answers, so that the caller listens in (RFC 5373), rings
    # in another way, fetches a URL, or calls the URI of an announcement (RFC 3261 section 20.18, RFC 6794).
    "alert-info": Rule.INSIDE,
    "call-info": Rule.INSIDE,
    "answer-mode": Rule.INSIDE,
    "priv-answer-mode": Rule.INSIDE,
    "p-auto-answer": Rule.INSIDE,
    "error-info": Rule.INSIDE,
    "policy-contact": Rule.INSIDE,
    # RFC 4474 is obsolete. The field names a URL from which a verifier fetches a key. Identity (RFC 8224) is not removed.
    "identity-info": Rule.REMOVED,
    # A nonce for the next request, for a realm that the field does not name (RFC 7615, RFC 7616 section 3.5).
    "authentication-info": Rule.REMOVED,
    "proxy-authentication-info": Rule.REMOVED,
    # Fields of a REGISTER, with no meaning in other requests (RFC 3327, RFC 3608).
    "path": Rule.REMOVED,
    "service-route": Rule.REMOVED,
    # Who redirected or transferred a call: a user for itself, a server for its domains (RFC 5806, RFC 7044, RFC 3892).
    "diversion": Rule.OWN,
    "history-info": Rule.OWN,
    "referred-by": Rule.OWN,
    # Whose signature an edge of ours has verified (RFC 8224 section 6). No other peer may assert this.
    "verified-identity": Rule.VERIFIED,
    # What a gateway of ours has verified of the caller's number (`verstat`). Phones see it in P-Asserted-Identity.
    "number-verification": Rule.RESULT,
    # RFC 3261 section 22.
    "www-authenticate": Rule.CHALLENGE,
    "proxy-authenticate": Rule.CHALLENGE,
    "authorization": Rule.CREDENTIALS,
    "proxy-authorization": Rule.CREDENTIALS,
}

OWN: Final = frozenset(name for name, rule in TABLE.items() if rule is Rule.OWN)
INSIDE: Final = frozenset(name for name, rule in TABLE.items() if rule is Rule.INSIDE)
VERIFIED: Final = frozenset(name for name, rule in TABLE.items() if rule is Rule.VERIFIED)
RESULT: Final = frozenset(name for name, rule in TABLE.items() if rule is Rule.RESULT)
REMOVED: Final = frozenset(name for name, rule in TABLE.items() if rule is Rule.REMOVED)
# A message whose `present` has none of these bits needs no filter. Nearly all messages have none.
CREDENTIAL_BITS: Final[i64] = bits_of("authorization", "proxy-authorization")
IN_REQUESTS: Final[i64] = GUARDED | bits_of(*(name for name in TABLE if name in BITS and name not in CREDENTIALS))
IN_RESPONSES: Final[i64] = IN_REQUESTS | CREDENTIAL_BITS
ON_THE_WAY_OUT: Final[i64] = CREDENTIAL_BITS | GUARDED | BITS["referred-by"]

assert TABLE.keys() == GUARDED_NAMES | (TABLE.keys() & BITS.keys())  # noqa: S101 - else a field would pass unseen


class Border:
    """The borders of one server: *realms* with their owners, and the *partner_domains*, in one topology."""

    __slots__ = ("_partner_domains", "_realms")

    def __init__(self, realms: Realms, partner_domains: frozenset[str]) -> None:
        self._realms, self._partner_domains = realms, partner_domains

    def admit_request(self, request: Message, sender: Sender) -> None:
        """Remove the fields that *sender* may not use in a request. Only for a request with a bit of `IN_REQUESTS`."""
        domains = self._speaks_for(sender)
        request.keep([row for row in request.rows if self._may_ask(row, sender, domains)])
        if not is_front_end(sender) and claims_beside(request):  # no rule of the callee would count
            request.remove("history-info")

    def admit_response(self, response: Message, sender: Sender) -> None:
        """Remove the fields that *sender* may not use in a response. Only for a response with a bit of `IN_RESPONSES`."""
        domains = self._speaks_for(sender)
        response.keep([row for row in response.rows if self._may_answer(row, sender, domains)])

    def release(
        self, request: Message, kind: LinkKind, domains: frozenset[str], *, private: bool, hidden: bool = False
    ) -> None:
        """Remove the fields that the receiver may not see: a peer that speaks for *domains*, on a link of *kind*.

        Only for a request with a bit of `ON_THE_WAY_OUT`. *private*: the sender asked for privacy. Then clients and partners
        do not learn who redirected the call. *hidden*: no receiver may learn by the request who its sender is.
        Credentials tell: a phone sends those for an earlier challenge again.
        """
        request.keep([row for row in request.rows if self._may_see(row, kind, domains)])
        if private and kind is not LinkKind.SERVER:
            request.keep([row for row in request.rows if row.name not in OWN and row.name not in VERIFIED])
        if hidden:
            request.keep([row for row in request.rows if row.name not in CREDENTIALS])

    def _may_ask(self, row: Row, sender: Sender, domains: frozenset[str]) -> bool:
        if row.name in REMOVED or row.name in CHALLENGES or (row.name in INSIDE and is_for_users(sender)):
            return False
        if row.name in VERIFIED:
            return verifies(sender) and is_own(row, sender, domains)
        if row.name in RESULT:
            return verifies_numbers(sender)
        return row.name not in OWN or is_own(row, sender, domains)

    def _may_answer(self, row: Row, sender: Sender, domains: frozenset[str]) -> bool:
        if row.name in REMOVED or row.name in CREDENTIALS or row.name in VERIFIED or row.name in RESULT:
            return False
        if row.name in INSIDE and is_for_users(sender):
            return False
        if row.name in CHALLENGES:
            outside = is_outside(sender)
            return isinstance(sender, ServerSender) and self._realms.challenge_passes(row, domains, is_outside=outside)
        return row.name not in OWN or is_own(row, sender, domains)

    def _may_see(self, row: Row, kind: LinkKind, domains: frozenset[str]) -> bool:
        if row.name in VERIFIED:
            return kind is not LinkKind.PARTNER
        if row.name in RESULT:
            return kind is LinkKind.SERVER
        if row.name not in CREDENTIALS:
            return True
        outside = kind is LinkKind.PARTNER
        return kind is not LinkKind.CLIENT and self._realms.credentials_pass(row, domains, is_outside=outside)

    def _speaks_for(self, sender: Sender) -> frozenset[str]:
        """Give the domains of a server. Another front end also forwards what an edge has admitted from partners."""
        if not isinstance(sender, ServerSender):
            return NOBODY
        if is_front_end(sender):
            return sender.peer.asserts | self._partner_domains
        return sender.peer.asserts


def is_front_end(sender: Sender) -> bool:
    """Tell whether *sender* is a front end of ours."""
    return isinstance(sender, ServerSender) and sender.kind is LinkKind.SERVER and sender.peer.role is Role.FRONT_END


def is_outside(sender: Sender) -> bool:
    """Tell whether *sender* is a partner, or an edge or a gateway, which forwards messages of partners."""
    return isinstance(sender, ServerSender) and (sender.kind is LinkKind.PARTNER or sender.peer.role in BORDERS)


def is_for_users(sender: Sender) -> bool:
    """Tell whether *sender* is a client, or forwards messages of users whom no server of ours has authenticated."""
    return isinstance(sender, ClientSender) or is_outside(sender)


def verifies(sender: Sender) -> bool:
    """Tell whether *sender* is a server of ours that verifies signatures of partners, or forwards what has been verified."""
    roles = (Role.EDGE, Role.FRONT_END)
    return isinstance(sender, ServerSender) and sender.kind is LinkKind.SERVER and sender.peer.role in roles


def verifies_numbers(sender: Sender) -> bool:
    """Tell whether *sender* is a gateway of ours, or a front end, which forwards what a gateway has verified."""
    roles = (Role.GATEWAY, Role.FRONT_END)
    return isinstance(sender, ServerSender) and sender.kind is LinkKind.SERVER and sender.peer.role in roles


def is_own(row: Row, sender: Sender, domains: frozenset[str]) -> bool:
    """Tell whether *sender* may use every address in *row*; false if the row is malformed or has no address."""
    try:
        return row.addresses != [] and all(sender.may_speak_as(address, domains) for address in row.addresses)
    except RemoteError:
        return False
