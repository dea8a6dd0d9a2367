"""The impostors: each differs from its control in exactly one property, and both come from the same call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from sipmesh.demo.cast import Cast
from sipmesh.demo.forge import CLIENT_AUTH, SERVER_AUTH, Forged, KeyKind, Wish
from sipmesh.trust.code import Code

Credentials = Callable[[Cast], Forged | None]
"""Makes the certificate that a peer presents; None for a peer without one."""


class AttackedListener(Enum):
    """The port to connect to: where another front end, or a partner's edge, is expected."""

    SERVER = "front end, server port"
    INSIDE = "edge, server port"
    PARTNER = "edge, partner port"


@dataclass(frozen=True, slots=True)
class Impostor:
    """A peer that must be refused in the handshake.

    *wanted* is the code of its verdict. *credentials* makes its certificate, *control* the certificate of its control.
    """

    title: str
    listener: AttackedListener
    credentials: Credentials
    wanted: Code
    control: Credentials


def front_end(**changes: Any) -> Credentials:
    """Return the certificate of fe2.example.test by our own CA, with *changes*."""
    return lambda cast: cast.forge.server(cast.ours, "fe2.example.test", **changes)


def partner_edge(**changes: Any) -> Credentials:
    """Return the certificate of sip.partner.test by the partner's CA, with *changes*."""
    return lambda cast: cast.forge.server(cast.partner, "sip.partner.test", "partner.test", **changes)


def other_edge(**changes: Any) -> Credentials:
    """Return the certificate of the second partner by its own CA, with *changes*."""
    return lambda cast: cast.forge.server(cast.other, "other.test", **changes)


def named(*names: str, **changes: Any) -> Credentials:
    """Return a certificate by our own CA for other *names*."""
    return lambda cast: cast.forge.server(cast.ours, *names, **changes)


def bare(**changes: Any) -> Credentials:
    """Return a certificate by our own CA whose names are all in *changes*."""
    return lambda cast: cast.forge.forge(Wish("fe2.example.test"), cast.ours, **changes)


def nobody(_cast: Cast) -> None:
    """Return no certificate."""


def self_signed(cast: Cast) -> Forged:
    """Return a certificate that is signed by its own key."""
    return cast.forge.server(None, "fe2.example.test")


def by(issuer: str, *names: str) -> Credentials:
    """Return a certificate for *names* by the CA that is named *issuer* in the cast."""
    return lambda cast: cast.forge.server(getattr(cast, issuer), *names)


def _at_server(title: str, credentials: Credentials, wanted: Code) -> Impostor:
    return Impostor(title, AttackedListener.SERVER, credentials, wanted, front_end())


def _at_partner(title: str, credentials: Credentials, wanted: Code, control: Credentials | None = None) -> Impostor:
    return Impostor(title, AttackedListener.PARTNER, credentials, wanted, control or partner_edge())


DAY = timedelta(days=1)

IMPOSTORS: tuple[Impostor, ...] = (
    _at_server("no certificate", nobody, Code.NO_CERTIFICATE),
    _at_server("self-signed", self_signed, Code.UNTRUSTED_ISSUER),
    _at_server("signed by an unknown CA", by("stranger", "fe2.example.test"), Code.UNTRUSTED_ISSUER),
    _at_server("our CA, a name that is not in the topology", named("fe9.example.test"), Code.NOT_IN_TOPOLOGY),
    Impostor(
        "in the topology, wrong role for this link",
        AttackedListener.INSIDE,
        named("bot.example.test"),
        Code.ROLE_NOT_ALLOWED,
        front_end(),
    ),
    _at_server("expired", front_end(begins=-3 * DAY, ends=-DAY), Code.EXPIRED),
    _at_server("not yet valid", front_end(begins=DAY), Code.NOT_YET_VALID),
    _at_server("name in the common name only", bare(), Code.NO_SIP_IDENTITY),
    _at_server("wildcard", bare(dns=("*.example.test",), uris=("sip:*.example.test",)), Code.NO_SIP_IDENTITY),
    _at_server("subjectAltName sip:alice@example.test", bare(uris=("sip:alice@example.test",)), Code.NO_SIP_IDENTITY),
    _at_server("subjectAltName https://example.test", bare(uris=("https://example.test",)), Code.NO_SIP_IDENTITY),
    _at_server("a server certificate with CA:TRUE", front_end(ca=True), Code.NOT_A_LEAF),
    _at_server("RSA-1024 key", front_end(key=KeyKind.RSA_1024), Code.WEAK_KEY),
    _at_server(
        "our server's name, signed by a partner's CA",
        by("partner", "fe2.example.test"),
        Code.ISSUER_NOT_FOR_THIS_NAME,
    ),
    _at_server(
        "a server's name, signed by our device CA",
        lambda cast: cast.forge.server(cast.devices, "fe2.example.test", usages=(CLIENT_AUTH,)),
        Code.DEVICE_CERTIFICATE,
    ),
    _at_partner(
        "partner B's name, signed by partner A's CA", by("partner", "other.test"), Code.ISSUER_NOT_FOR_THIS_NAME
    ),
    _at_partner(
        "partner A's name, signed by our own CA", by("ours", "sip.partner.test"), Code.ISSUER_NOT_FOR_THIS_NAME
    ),
    _at_partner(
        "names of two partners in one certificate",
        by("partner", "sip.partner.test", "other.test"),
        Code.AMBIGUOUS_IDENTITY,
    ),
    _at_partner("a blocked partner", by("partner", "evil.test"), Code.PARTNER_BLOCKED),
    _at_partner("an unknown partner", by("partner", "unknown.test"), Code.PARTNER_UNKNOWN),
    _at_partner(
        "a certificate for serverAuth only",
        partner_edge(usages=(SERVER_AUTH,)),
        Code.WRONG_USAGE,
        other_edge(usages=(SERVER_AUTH,)),
    ),
)
