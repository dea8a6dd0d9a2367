"""The page of the header fields between phones and telephone trunks: what passes, by the tables of the code itself.

Each field goes through the borders of a front end and of a gateway, as in a call. `CHANGED` has what `TrunkNames` writes. A test
sends each field through a real network and compares.
"""

from __future__ import annotations

from typing import Final

from sipmesh.routing.identity.border import TABLE, Border
from sipmesh.routing.identity.realm import Realms
from sipmesh.routing.identity.sender import ClientSender, Sender, ServerSender
from sipmesh.sip.message import Request, build_request, respond
from sipmesh.trust.authority import Authority
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.role import Role
from sipmesh.trust.trusted_peer import TrustedPeer

OURS, TRUNK, GATEWAY, FRONT_END = "example.com", "sbc.provider.example", "gw1.example.com", "fe1.example.com"
PASSES, REMOVED = "passes", "removed"

ADDRESS: Final = "<sip:mallory@elsewhere.example>"
SAMPLES: Final = {
    **dict.fromkeys(TABLE, "x"),
    **dict.fromkeys(
        ("diversion", "history-info", "referred-by", "p-preferred-identity", "remote-party-id", "verified-identity"),
        ADDRESS,
    ),
    "history-info": f"{ADDRESS};index=1",
    "www-authenticate": 'Digest realm="elsewhere.example", nonce="n", algorithm=SHA-256, qop="auth"',
    "proxy-authenticate": 'Digest realm="elsewhere.example", nonce="n", algorithm=SHA-256, qop="auth"',
    "authorization": 'Digest username="m", realm="elsewhere.example", nonce="n", uri="sip:x.example", response="0"',
    "proxy-authorization": 'Digest username="m", realm="elsewhere.example", nonce="n", uri="sip:x.example", response="0"',
    "path": "<sip:elsewhere.example;lr>",
    "service-route": "<sip:elsewhere.example;lr>",
    # fields without a rule
    "subject": "x",
    "organization": "x",
    "priority": "normal",
    "reply-to": "<sip:anybody@elsewhere.example>",
    "in-reply-to": "x",
    "accept-language": "de",
    "user-to-user": "00",
    "reason": "SIP;cause=200",
    "x-anything": "x",
}
"""A value of each field. Its addresses are not those of the sender: with addresses of the sender alone, some fields pass."""

ONLY_REQUESTS: Final = frozenset({"in-reply-to", "priority", "referred-by"})

NUMBER_HERE, NUMBER_THERE = "the number at our name", "the number at the name of the trunk"
AS_ASKED: Final = "as in the request"
CHANGED: Final = {
    "Request-URI": (NUMBER_THERE, "the user of the number, and then the phone", "", ""),
    "From": (f"{NUMBER_HERE}, without a display name", f"{NUMBER_THERE}, without a display name", AS_ASKED, AS_ASKED),
    "To": (NUMBER_THERE, "the number at our domain", AS_ASKED, AS_ASKED),
    "Contact": ("a token at our name", "passes; a token for a caller who is withheld", PASSES, "a token at our name"),
    "P-Asserted-Identity": (NUMBER_HERE, f"{NUMBER_THERE}, if the trunk may assert it", REMOVED, REMOVED),
    "Via, Record-Route": ("ours are added", "ours are added", "as added", "as added"),
    "Call-ID, CSeq": (PASSES, PASSES, PASSES, PASSES),
    "Identity": ("ours, if `stir.sign` is set; else passes", "verified, if `stir` says so", PASSES, PASSES),
}
"""What `TrunkNames` and others write, by the four directions."""


def _peer(name: str, role: Role | None) -> TrustedPeer:
    own = frozenset({name})
    asserts = frozenset({TRUNK} if role is not Role.FRONT_END else {OURS})
    return TrustedPeer(name, role, None, own, own, asserts, Authority(name, (), RevocationLists(())))


PHONE: Final[Sender] = ClientSender(1, 1, frozenset({f"sip:alice@{OURS}"}))
AT_TRUNK: Final[Sender] = ServerSender(LinkKind.PARTNER, _peer(TRUNK, None))
BY_GATEWAY: Final[Sender] = ServerSender(LinkKind.SERVER, _peer(GATEWAY, Role.GATEWAY))
BY_FRONT_END: Final[Sender] = ServerSender(LinkKind.SERVER, _peer(FRONT_END, Role.FRONT_END))

BORDER_INSIDE: Final = Border(Realms(frozenset({OURS}), frozenset()), frozenset())
BORDER_OF_GATEWAY: Final = Border(Realms(frozenset({OURS}), frozenset({TRUNK})), frozenset({TRUNK}))


def fates(field: str) -> tuple[str, str, str, str]:
    """Tell what happens to *field* in a call to the trunk, in one from it, and in the answers to each."""
    to_trunk = _asked(field, PHONE, LinkKind.SERVER, BY_FRONT_END, LinkKind.PARTNER)
    from_trunk = _asked(field, AT_TRUNK, LinkKind.SERVER, BY_GATEWAY, LinkKind.CLIENT)
    return to_trunk, from_trunk, _answered(field, AT_TRUNK, BY_GATEWAY), _answered(field, PHONE, BY_FRONT_END)


def _asked(field: str, first: Sender, on: LinkKind, second: Sender, out: LinkKind) -> str:
    request = _invite(field)
    BORDER_INSIDE.admit_request(request, first)
    BORDER_INSIDE.release(request, on, frozenset({OURS}), private=False)
    BORDER_OF_GATEWAY.admit_request(request, second)
    BORDER_OF_GATEWAY.release(
        request, out, frozenset({TRUNK}) if out is LinkKind.PARTNER else frozenset(), private=False
    )
    return PASSES if request.has(field) else REMOVED


def _answered(field: str, first: Sender, second: Sender) -> str:
    response = respond(_invite("x-anything"), 200, headers=[(field, SAMPLES[field])])
    BORDER_OF_GATEWAY.admit_response(response, first)
    BORDER_INSIDE.admit_response(response, second)
    return PASSES if response.has(field) else REMOVED


def _invite(field: str) -> Request:
    ends = [("from", f"<sip:alice@{OURS}>;tag=1"), ("to", "<sip:+491705550100@example.com>"), ("call-id", "1")]
    return build_request(
        "INVITE", "sip:+491705550100@example.com", [*ends, ("cseq", "1 INVITE"), (field, SAMPLES[field])]
    )


HEAD: Final = """<!-- made by tools/docs/reference.py: make reference -->

# Header fields at a trunk

What a call between a user and a [trunk](../howto/trunks.md) carries through a front end and a gateway, in both directions.
The table is made from the tables of the code, and a test sends each field through a real network. Fields that are not in the
table pass. A field with addresses (Diversion, History-Info, Referred-By) passes if each address is the sender's own: a user's own
name, or a number that the trunk may assert. Towards a trunk, the user becomes the number at our name in these fields.

| field | call to the trunk | call from the trunk | answer of the trunk | answer to the trunk |
| --- | --- | --- | --- | --- |
"""


def page() -> str:
    """Write the page."""
    rows = [(name, fate) for name, fate in CHANGED.items()] + [(spelled(name), fates(name)) for name in SAMPLES]
    return HEAD + "".join(f"| {name} | {' | '.join(fate)} |\n" for name, fate in rows)


def spelled(field: str) -> str:
    """Write a name as RFCs do."""
    known = {"www-authenticate": "WWW-Authenticate", "p-dcs-osps": "P-DCS-OSPS", "p-dcs-laes": "P-DCS-LAES"}
    return known.get(field, "-".join(part.capitalize() for part in field.split("-")))
