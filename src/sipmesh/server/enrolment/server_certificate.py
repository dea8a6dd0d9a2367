"""The certificate of a server that asks for its next one: judged as on a link, with its revocation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.server.enrolment.enrollable import NotEnrollableError, enrollable
from sipmesh.sip.text import ascii_lower
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judgement.judge import judge
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.trusted_peers import TrustedPeers
from sipmesh.trust.x509.certificate import MalformedCertificateError, extension, read_certificate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sipmesh.server.enrolment.enrollable import Enrollable
    from sipmesh.topology.view import ServerView


class CertificateRefusedError(NotEnrollableError):
    """The certificate proves no entry of the topology; the text is the reason."""


def proved_by(leaf: bytes, view: ServerView, issuers: Sequence[x509.Certificate], at: datetime) -> Enrollable:
    """Return the entry of the topology that *leaf*, in DER, proves at the time *at*; raises `NotEnrollableError`.

    *issuers* are the certificates of our issuing CAs. TLS has proved that the other end has the key.
    """
    try:
        certificate = read_certificate(leaf)
    except MalformedCertificateError as wrong:
        raise CertificateRefusedError(f"the certificate cannot be read: {wrong}") from None
    entry = enrollable(view, _own_name(certificate))
    chain = (certificate, *issuers)
    evidence = PeerEvidence(
        direction=Direction.ACCEPTED,
        kind=LinkKind.SERVER,
        remote=(entry.name, 0),
        local=(view.name, 0),
        presented=tuple(one.public_bytes(Encoding.DER) for one in chain),
        engine_errors=path_errors(chain, view.loaded.authority.anchors, at),
    )
    grace = view.accept_policy(LinkKind.SERVER).grace
    policy = LinkPolicy(evidence.kind, view.name, frozenset({entry.name}), TrustedPeers((entry.peer,)), grace=grace)
    verdict = judge(evidence, policy, at=at)
    if not verdict.accepted:
        why = "; ".join(f"{found.check} wanted {found.wanted}; saw {found.saw}" for found in verdict.failed)
        raise CertificateRefusedError(f"the certificate of {entry.name} is refused: {verdict.code}: {why}")
    return entry


def _own_name(certificate: x509.Certificate) -> str:
    """Return the first DNS name of a certificate: our CA writes the server's own name there. "" if there is none."""
    names = extension(certificate, x509.SubjectAlternativeName)
    return next(map(ascii_lower, names.get_values_for_type(x509.DNSName)), "") if names is not None else ""
