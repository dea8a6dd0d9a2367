"""What is asked of a new chain before it replaces the old one: its key, its names, our judge, and a handshake with itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.server.public_certificates.acme_error import AcmeError
from sipmesh.transport.tls.contexts import Identity
from sipmesh.transport.tls.self_handshake import SelfHandshakeError, check_client_handshake
from sipmesh.trust.authority import Authority
from sipmesh.trust.judgement.public_certificate import judge_public_certificate
from sipmesh.trust.revocation.crl_set import RevocationLists

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from sipmesh.topology.server_files import AcmeOrder

MOST_CERTIFICATES = 10
ASK_THE_CA = "ask the CA; the order is repeated by itself"


def accepted_chain(
    pem: str,
    key: EllipticCurvePrivateKey,
    order: AcmeOrder,
    anchors: Sequence[x509.Certificate],
    at: datetime,
    here: str,
) -> Sequence[x509.Certificate]:
    """Return the chain in *pem*, leaf first, if clients that have *anchors* accept it; raises `AcmeError`."""
    try:
        chain = tuple(x509.load_pem_x509_certificates(pem.encode()))
    except ValueError as wrong:
        raise AcmeError(f"what the CA has issued cannot be read ({wrong})", ASK_THE_CA) from None
    if len(chain) > MOST_CERTIFICATES:
        raise AcmeError(f"the CA has issued a chain of {len(chain)} certificates", ASK_THE_CA)
    if chain[0].public_key() != key.public_key():
        raise AcmeError("the CA has issued a certificate for another key", ASK_THE_CA)
    try:
        seen = check_client_handshake(Identity(order.certificate, order.key, chain, key), anchors, order.names[0])
    except SelfHandshakeError as wrong:
        raise AcmeError(f"the new certificate cannot serve TLS: {wrong}", ASK_THE_CA) from None
    if seen.failure is not None:
        raise AcmeError(f"a handshake with the new certificate fails: {seen.failure.text}", ASK_THE_CA)
    authority = Authority("the public CA", tuple(anchors), RevocationLists(()))
    verdict = judge_public_certificate(
        seen.presented, authority, order.names, at=at, engine_errors=seen.engine_errors, here=here
    )
    if not verdict.is_trusted:
        why = f"the new certificate is refused: {verdict.code}: {'; '.join(verdict.reasons)}"
        raise AcmeError(why, " ".join(verdict.remedies))
    return chain
