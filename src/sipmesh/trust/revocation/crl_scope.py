"""The certificates of its issuer that a CRL covers (RFC 5280 5.2.5, 6.3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.trust.x509.certificate import extension, is_authority

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Scope:
    """The certificates of its issuer that a CRL covers (RFC 5280 5.2.5); by default all of them."""

    points: frozenset[str] = frozenset()  # names of distribution points; the certificate must have one of them
    leaves: bool = True
    authorities: bool = True

    def covers(self, certificate: x509.Certificate) -> bool:
        """Tell whether a certificate that is not in such a CRL is good."""
        wanted = self.authorities if is_authority(certificate) else self.leaves
        return wanted and (not self.points or not self.points.isdisjoint(distribution_points(certificate)))


WHOLE = Scope()


def distribution_points(certificate: x509.Certificate) -> Iterator[str]:
    """Give the names of the distribution points of a certificate, except those of indirect and partial CRLs."""
    for point in extension(certificate, x509.CRLDistributionPoints) or ():
        if point.reasons is None and not point.crl_issuer:  # indirect and partial CRLs are refused
            yield from point_names(point, certificate.issuer)


def point_names(point: x509.DistributionPoint | x509.IssuingDistributionPoint, issuer: x509.Name) -> Iterator[str]:
    """Write the names of a distribution point. A relative name is completed with the issuer's name (RFC 5280 4.2.1.13)."""
    yield from (str(name.value) for name in point.full_name or ())
    if point.relative_name is not None:
        yield str(x509.Name([*issuer.rdns, point.relative_name]))
