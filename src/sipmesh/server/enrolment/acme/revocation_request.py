"""Revocation by ACME (RFC 8555 7.6): by the account that has ordered the certificate, or by the key of the certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.server.enrolment.acme.asked import Answer
from sipmesh.server.enrolment.problem import AcmeProblemError
from sipmesh.server.management.revoking import revoke
from sipmesh.sip import base64url
from sipmesh.trust.x509.certificate import MalformedCertificateError, read_certificate

if TYPE_CHECKING:
    from sipmesh.pki.ledger.records import Record
    from sipmesh.server.enrolment.acme.asked import Asked
    from sipmesh.server.enrolment.enrolment_host import EnrolmentHost
    from sipmesh.storage.audit_act import AuditAct

REASONS: Final = {
    0: Reason.UNSPECIFIED,
    1: Reason.KEY_COMPROMISE,
    3: Reason.AFFILIATION_CHANGED,
    4: Reason.SUPERSEDED,
    5: Reason.CESSATION_OF_OPERATION,
}
"""The reasons (RFC 5280 5.3.1) that a client may give."""


def revoke_certificate(host: EnrolmentHost, asked: Asked) -> Answer:
    """Revoke the certificate of a request; raises `AcmeProblemError`."""
    members, generations = asked.members, CaGenerations(host.ca)
    certificate, reason = _certificate(members), _reason(members)
    _ca, record = generations.as_issued({certificate.serial_number}).get(certificate.serial_number, (None, None))
    is_ours = generations.has_signed(certificate) and record is not None and record.kind == CertificateKind.SERVER
    if record is None or not is_ours or not _may(host, asked, certificate, record):
        raise AcmeProblemError("unauthorized", "neither the account nor the key of this request may revoke it")
    if record.revoked_at is not None:
        raise AcmeProblemError("alreadyRevoked", "the certificate was revoked already", 400)
    who = asked.account.server if asked.account is not None else record.names[0]

    def note(act: AuditAct, /, **about: object) -> None:
        host.management_db.audit.append(who, act, {**about, "protocol": "acme"}, at=asked.at)

    try:
        revoke(generations, certificate.serial_number, reason, asked.at, note)
    finally:
        host.log.info("certificate revoked", peer=record.names[0], serial=record.serial_hex, protocol="acme")
    return Answer("", then=host.look)


def _may(host: EnrolmentHost, asked: Asked, certificate: x509.Certificate, record: Record) -> bool:
    if asked.account is None:
        return bool(asked.key.key == certificate.public_key())
    found = host.management_db.enrolled_certificates.find(record.serial_hex)
    return found is not None and found.account == asked.account.id


def _certificate(members: Any) -> x509.Certificate:
    given = members.get("certificate")
    try:
        return read_certificate(base64url.decode(given.encode("ascii")) if isinstance(given, str) else b"")
    except (ValueError, MalformedCertificateError, OperatorError):
        raise AcmeProblemError("malformed", "certificate is not a certificate in base64url", 400) from None


def _reason(members: Any) -> Reason:
    given = members.get("reason", 0)
    if type(given) is not int or given not in REASONS:
        listed = ", ".join(map(str, REASONS))
        raise AcmeProblemError("badRevocationReason", f"the reason is none of {listed}", 400)
    return REASONS[given]
