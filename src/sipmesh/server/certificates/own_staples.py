"""The OCSP responses about our own certificates, which are stapled for peers that ask (RFC 6066 8)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.trust.revocation.crl_set import RevocationLists


class OwnStaple(NamedTuple):
    """A response in DER that says *good* about *certificate*, which *issuer* has signed; *ends* is its nextUpdate."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    body: bytes
    ends: datetime


class OwnStaples:
    """What is stapled, by certificate. *clock* gives the present instant, *lists* the CRLs of our authority in force.

    A handshake only looks a response up. What is fetched, and when, is in `sipmesh.server.refresh.staple_sources`.
    """

    def __init__(self, clock: Callable[[], datetime], lists: Callable[[], RevocationLists]) -> None:
        self._clock, self._lists = clock, lists
        self._held: dict[bytes, OwnStaple] = {}

    def of(self, certificate: bytes) -> bytes:
        """Return the response about a certificate in DER; empty if there is none, it has expired, or a CRL revokes it."""
        held = self._held.get(certificate)
        if held is None or self._clock() >= held.ends or self._is_revoked(held):
            return b""
        return held.body

    def hold(self, staple: OwnStaple) -> None:
        """Staple this response from now on."""
        self._held[staple.certificate.public_bytes(Encoding.DER)] = staple

    def drop(self, certificate: x509.Certificate) -> None:
        """Staple nothing to *certificate* from now on."""
        self._held.pop(certificate.public_bytes(Encoding.DER), None)

    def _is_revoked(self, held: OwnStaple) -> bool:
        crl = self._lists().find(held.certificate, held.issuer)
        return crl is not None and held.certificate.serial_number in crl.serials
