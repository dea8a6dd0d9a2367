"""The CRL that a distribution point of a certificate names (RFC 5280 4.2.1.13).

A CA that issues many certificates divides its CRL, and only the certificate says which part it is in. The URL comes from a
certificate, so it is used only if the topology names its host.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipmesh.sip.text import ascii_lower
from sipmesh.trust.formatting import tell
from sipmesh.trust.revocation.crl_decoding import UnusableListError
from sipmesh.trust.revocation.crl_scope import point_names
from sipmesh.trust.x509.certificate import extension

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sipmesh.trust.revocation.crl import RevocationList

LONGEST_URL: Final = 2048
MOST_NAMES: Final = 8
"""Distribution points of one certificate that are read, and names of one distribution point."""

URL: Final = re.compile(
    r"(https?)://([A-Za-z0-9.-]{1,253})(?::([0-9]{1,5}))?/[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*", re.ASCII
)
"""An absolute path, no user name and no fragment: characters that two readers of a URL could read differently do not match."""

ANY_LABEL: Final = "*."
"""The begin of a host that stands for all names with one more label."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class CrlPoint:
    """The *url* of a CRL, which certificates of one *issuer* (a Name in DER) name; *names* are all names of that point.

    *until* is when the last certificate that is known to name it expires, with a time zone.
    """

    url: str
    names: tuple[str, ...]
    issuer: bytes
    until: datetime

    @property
    def mark(self) -> str:
        """What tells it from every other: the same URL in the certificates of two CAs is two points."""
        return hashlib.sha256(self.issuer + self.url.encode()).hexdigest()[:32]

    def must_be_of(self, crl: RevocationList) -> None:
        """Refuse a CRL of another distribution point (RFC 5280 6.3.3 (b)); raises `UnusableListError`.

        A CRL is signed, but not for a URL. So without this check, an attacker in place of the publisher could answer with the
        CRL of another part.
        """
        if crl.issuer_der != self.issuer:
            raise UnusableListError(
                f"is a CRL of {tell(crl.issuer.rfc4514_string())}, and its URL is named by certificates of another CA"
            )
        if crl.base is not None:
            raise UnusableListError("is a delta CRL, and its URL is named as that of a complete CRL")
        if crl.scope.points and crl.scope.points.isdisjoint(self.names):
            raise UnusableListError(
                f"is for the distribution point {tell(min(crl.scope.points))}, not for that of its URL (RFC 5280 6.3.3)"
            )


def point_of(certificate: x509.Certificate, issuer: x509.Certificate, hosts: Collection[str]) -> CrlPoint | None:
    """Return the first distribution point of *certificate* with a URL at one of *hosts*; None if there is none.

    *hosts* are ``name``, ``*.name`` or ``name:port``; a host without port allows the default port of the scheme only.
    """
    for point in list(extension(certificate, x509.CRLDistributionPoints) or ())[:MOST_NAMES]:
        if point.reasons is None and not point.crl_issuer and len(point.full_name or ()) <= MOST_NAMES:
            names = tuple(point_names(point, certificate.issuer))
            if (url := next((name for name in names if is_allowed(name, hosts)), None)) is not None:
                return CrlPoint(url, names, issuer.subject.public_bytes(), certificate.not_valid_after_utc)
    return None


def is_allowed(url: str, hosts: Collection[str]) -> bool:
    """Tell whether *url* is an HTTP URL at one of *hosts*."""
    found = URL.fullmatch(url) if len(url) <= LONGEST_URL else None
    if found is None:
        return False
    scheme, host, port = found[1], ascii_lower(found[2]), found[3]
    number = int(port) if port else _DEFAULT_PORTS[scheme]
    ports = ("", f":{number}") if number == _DEFAULT_PORTS[scheme] else (f":{number}",)
    names = (host, f"{ANY_LABEL}{host.partition('.')[2]}")
    return any(f"{name}{end}" in hosts for name in names for end in ports)
