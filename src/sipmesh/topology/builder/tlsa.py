"""TLSA records (RFC 6698) for the ports that SRV records name (RFC 7673 section 3.1), for peers that use DANE.

A record names the key of the CA that issues a server's certificate, not that of the server: a server has a new key with each
renewal, and its CA has the same key for years. Servers present that CA's certificate (RFC 7671 section 5.2.2). Our own servers
trust by the topology, and use no TLSA record (rule R9).
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography import x509

    TlsaData = Mapping[tuple[str, int], Sequence[str]]
    """By the host name and the port of an SRV record: the data of its TLSA records."""

DANE_TA: Final = 2
DANE_EE: Final = 3
SPKI: Final = 1
SHA_256: Final = 1


def tlsa_name(host: str, port: int) -> str:
    """Return the name of the TLSA records of a TCP port (RFC 6698 section 3), without a final dot."""
    return f"_{port}._tcp.{host}"


def tlsa_of_ca(certificate: x509.Certificate) -> str:
    """Return the data of a record that names the key of an issuing CA: 2 1 1 (RFC 7671 section 5.2)."""
    return _data(DANE_TA, certificate)


def tlsa_of_chain(chain: Sequence[x509.Certificate]) -> str:
    """Return the data for a chain that a server presents, leaf first.

    It names the CA that has issued the leaf. A chain of the leaf alone has no certificate of its CA: then it names the key of the
    leaf, 3 1 1.
    """
    return _data(DANE_TA, chain[1]) if len(chain) > 1 else _data(DANE_EE, chain[0])


def _data(usage: int, certificate: x509.Certificate) -> str:
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"{usage} {SPKI} {SHA_256} {sha256(key).hexdigest()}"
