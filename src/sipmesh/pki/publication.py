"""What others fetch from the URLs in our certificates: the CRLs (RFC 5280 4.2.1.13), and the certificates of our CAs (4.2.2.1).

Both are in DER, as these sections require. The files of the CA itself are in PEM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.pki.ca_rotation import CaGenerations

CRL_TYPE: Final = "application/pkix-crl"  # RFC 2585 4.2
CERTIFICATE_TYPE: Final = "application/pkix-cert"  # RFC 2585 4.1


class PublishedFile(NamedTuple):
    """One file: its *path* below the base of our URLs, such as ``issuing.crl`` or ``2/root.crt``, and its media type."""

    path: str
    media_type: str
    content: bytes


def published_files(generations: CaGenerations) -> Iterator[PublishedFile]:
    """Yield the CRL and the certificate of each CA that is not retired; a CRL that cannot be read is left out.

    The path is that in the certificates of the CA: 0.1.0 has made ``2/3/`` for a third generation.
    """
    base = generations.open(1).crl_base
    for ca in generations.alive:
        below = f"{ca.crl_base.removeprefix(base)}/".removeprefix("/")
        for kind in ca.crls.kinds:
            if (crl := ca.crls.readable(kind)) is not None:
                yield PublishedFile(f"{below}{kind}.crl", CRL_TYPE, crl.public_bytes(Encoding.DER))
            certificate: x509.Certificate = ca.crls.certificate_of(kind)
            yield PublishedFile(f"{below}{kind}.crt", CERTIFICATE_TYPE, certificate.public_bytes(Encoding.DER))
