"""Which of our certificates a client gets: by the name that it asks for, and one for each type of key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.sip.text import ascii_lower
from sipmesh.trust.x509.sip_identity import alternative_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.transport.tls.contexts import Identity


class CertificateChoice:
    """Chooses among *own*, the certificate of the server, and *others*, in the order of the topology.

    For a name in the SNI, the first of *others* that holds it counts, unless it is for other names only; then *own*. For each
    type of key there is one at most, so that a client that supports RSA only finds a certificate, too. But *own* is
    used beside one of *others* only if both have the same issuer: OpenSSL chooses by the algorithms of the client,
    which say nothing of the CAs that it knows. A client without SNI, or with an IP address in it, gets a certificate
    that holds the address that it has connected to, if there is one; otherwise *own*.
    """

    __slots__ = ("_held", "_own", "by_default")

    def __init__(self, own: Identity, others: Sequence[Identity]) -> None:
        self._own, own_names = own, names_of(own.leaf)
        self._held = [(identity, identity.only or names_of(identity.leaf)) for identity in (*others, own)]
        beside = [identity for identity, names in self._held if shares_a_name(names, own_names)]
        self.by_default = one_of_each_type([own, *(one for one in beside if _is_of_one_ca(one, own))])

    def of(self, name: str, address: str) -> tuple[Identity, ...]:
        """Return the certificates for *name*, from the SNI or empty, at our IP *address*; never empty."""
        wanted = ascii_lower(name)
        found = [identity for identity, names in self._held if wanted and holds(names, wanted)]
        found = found or [identity for identity, names in self._held if address and address in names]
        if found and not _is_of_one_ca(found[0], self._own):
            found = [identity for identity in found if identity is not self._own]
        return one_of_each_type(found) or self.by_default


def _is_of_one_ca(one: Identity, other: Identity) -> bool:
    """Tell whether the chains of both lead to the same CA: a peer that knows it accepts either."""
    subjects = {certificate.issuer for certificate in one.chain}
    return not subjects.isdisjoint(certificate.issuer for certificate in other.chain)


def names_of(leaf: x509.Certificate) -> frozenset[str]:
    """Return the DNS names, in lower case, and the IP addresses of a certificate; none if they cannot be read."""
    try:
        names = alternative_names(leaf)
    except ValueError:
        return frozenset()
    dns = (ascii_lower(name.value) for name in names if isinstance(name, x509.DNSName))
    return frozenset((*dns, *(str(name.value) for name in names if isinstance(name, x509.IPAddress))))


def holds(names: frozenset[str], name: str) -> bool:
    """Tell whether *name* is among *names*; clients accept a wildcard as the first label (RFC 9525 section 6.3)."""
    _, dot, rest = name.partition(".")
    return name in names or (bool(dot) and f"*.{rest}" in names)


def shares_a_name(names: frozenset[str], others: frozenset[str]) -> bool:
    """Tell whether a certificate with *names* holds one of *others*."""
    return any(holds(names, other) for other in others)


def one_of_each_type(identities: Sequence[Identity]) -> tuple[Identity, ...]:
    """Return the first certificate of each type of key, in order: OpenSSL presents one of each."""
    found: dict[type, Identity] = {}
    for identity in identities:
        found.setdefault(type(identity.key), identity)
    return tuple(found.values())
