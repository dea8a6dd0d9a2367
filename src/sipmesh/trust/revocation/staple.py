"""The OCSP response that a peer has stapled to its handshake (RFC 6066 section 8), and the certificates that demand one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.trust.revocation.ocsp import OcspAnswer, OcspAnswers, UnusableAnswerError, standing
from sipmesh.trust.x509.certificate import extension

if TYPE_CHECKING:
    from datetime import datetime, timedelta


def demands_staple(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate has the TLS feature status_request (RFC 7633 4.2.3): "must-staple"."""
    features = extension(certificate, x509.TLSFeature)
    return features is not None and x509.TLSFeatureType.status_request in features


def beside_staple(answers: OcspAnswers, stapled: bytes) -> OcspAnswers:
    """Return *answers* with the response that is *stapled*; a response that cannot be used is a fault, and the others stay.

    A peer chooses what it staples. So a stapled response only adds a status: what another one revokes stays revoked.
    """
    try:
        answer = OcspAnswer.load(stapled)
    except UnusableAnswerError as wrong:
        return OcspAnswers(answers, (*answers.faults, f"stapled: {wrong}"), answers.terms)
    return OcspAnswers((*answers, answer), answers.faults, answers.terms)


def staple_fault(
    stapled: bytes, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime, grace: timedelta
) -> str:
    """Say why *stapled* is no good response about *certificate* at the instant *at*; "" if it is one."""
    if not stapled:
        return "no OCSP response is stapled"
    alone = beside_staple(OcspAnswers(), stapled)
    told, code = standing(alone.find(certificate, issuer), at=at, grace=grace)
    return "" if code is None else "; ".join((*alone.faults, told))
