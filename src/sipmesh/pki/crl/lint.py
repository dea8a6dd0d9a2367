"""Rules for each CRL, checked on the CRL itself before it is signed, and its signature after that.

The rules are written independently of `builder`, from the RFCs. So an error in one of the two modules is found.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.keys.algorithm import OwnPublicKey
from sipmesh.trust.x509.certificate import LONGEST_SERIAL, extension

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipmesh.pki.crl.builder import CrlProfile

_LONGEST: Final = {
    CertificateKind.ISSUING: timedelta(days=10),
    CertificateKind.DEVICES: timedelta(days=10),
    CertificateKind.ROOT: timedelta(days=366),
}
"""CA/Browser Forum 4.9.7: ten days, and twelve months for the CRL of a root. The certificates are backdated, so 366 days."""

_EXTENSIONS: Final = {ExtensionOID.CRL_NUMBER, ExtensionOID.AUTHORITY_KEY_IDENTIFIER}
_NUMBER_BITS = _SERIAL_BITS = 8 * LONGEST_SERIAL - 1  # RFC 5280 5.2.3 and 4.1.2.2: 20 octets, positive
_NOT_REASONS: Final = {x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl}


def lint_crl(found: x509.CertificateRevocationList, wish: CrlProfile) -> list[str]:
    """Give all faults of a CRL compared with *wish*."""
    return [fault for rule in RULES for fault in rule(found, wish)]


def check_signed_crl(
    signed: x509.CertificateRevocationList, draft: x509.CertificateRevocationList, issuer: x509.Certificate
) -> list[str]:
    """Give all faults of the signed CRL: it differs from the checked draft, or *issuer* has not signed it."""
    faults = [] if signed.tbs_certlist_bytes == draft.tbs_certlist_bytes else ["the signed CRL differs from the draft"]
    key = issuer.public_key()
    if not isinstance(key, OwnPublicKey) or not signed.is_signature_valid(key):
        faults.append(f"the signature is not that of {issuer.subject.rfc4514_string()}")
    return faults


def issuer_may_sign_crls(found: x509.CertificateRevocationList, wish: CrlProfile) -> Iterator[str]:
    """Check RFC 5280 5.1.2.3, 5.2.1 and 6.3.3 (f): name, key identifier and key usage are those of the issuer."""
    usage, key = extension(wish.issuer, x509.KeyUsage), extension(wish.issuer, x509.SubjectKeyIdentifier)
    if found.issuer != wish.issuer.subject:
        yield "its issuer is another"
    if not usage or not usage.crl_sign:
        yield "its issuer may not sign CRLs"
    named = [one.value.key_identifier for one in found.extensions if isinstance(one.value, x509.AuthorityKeyIdentifier)]
    if not key or named != [key.digest]:
        yield "its authority key identifier is not its issuer's subject key identifier"


def times_are_those_of_the_ledger(found: x509.CertificateRevocationList, wish: CrlProfile) -> Iterator[str]:
    """Check RFC 5280 5.1.2.4 and 5.1.2.5: a CRL ends, and not late."""
    begin, end = found.last_update_utc, found.next_update_utc
    if end is None or (begin, end) != (wish.record.this_update, wish.record.next_update):
        yield "its times are not those in the ledger"
    elif not timedelta(0) < end - begin <= _LONGEST[CertificateKind(wish.record.issuer)]:
        yield f"it is valid for {end - begin}"


def extensions_are_number_and_key(found: x509.CertificateRevocationList, wish: CrlProfile) -> Iterator[str]:
    """Check RFC 5280 5.2: a complete CRL, which no peer has to refuse for an extension that it does not know."""
    for oid in sorted({one.oid for one in found.extensions} ^ _EXTENSIONS, key=lambda oid: oid.dotted_string):
        yield f"extension {oid.dotted_string} is {'missing' if oid in _EXTENSIONS else 'not of the profile'}"
    if any(one.critical for one in found.extensions):
        yield "an extension is critical"
    numbers = [one.value.crl_number for one in found.extensions if isinstance(one.value, x509.CRLNumber)]
    if numbers != [wish.record.number] or not 0 < wish.record.number < 1 << _NUMBER_BITS:
        yield "its number is not that in the ledger"


def entries_are_those_revoked(found: x509.CertificateRevocationList, wish: CrlProfile) -> Iterator[str]:
    """Each revoked certificate is listed once, and no other (RFC 5280 5.1.2.6)."""
    serials = [entry.serial_number for entry in found]
    if len(serials) != len(set(serials)):
        yield "it lists a certificate twice"
    for serial in sorted(wish.serials.symmetric_difference(serials)):
        yield f"serial {serial:x} is {'missing' if serial in wish.serials else 'not revoked'}"
    if any(not 0 < serial < 1 << _SERIAL_BITS for serial in serials):
        yield "it lists a serial number that no certificate can have"


def reasons_are_those_of_complete_crls(found: x509.CertificateRevocationList, _wish: CrlProfile) -> Iterator[str]:
    """Check RFC 5280 5.3.1: an entry has a reason or nothing; `removeFromCRL` is for delta CRLs."""
    for entry in found:
        values = [one.value for one in entry.extensions]
        if any(one.critical for one in entry.extensions):
            yield f"an extension of serial {entry.serial_number:x} is critical"
        if any(not isinstance(value, x509.CRLReason) or value.reason in _NOT_REASONS for value in values):
            yield f"serial {entry.serial_number:x} has an extension that is no reason"


RULES: tuple[Callable[[x509.CertificateRevocationList, CrlProfile], Iterator[str]], ...] = (
    issuer_may_sign_crls,
    times_are_those_of_the_ledger,
    extensions_are_number_and_key,
    entries_are_those_revoked,
    reasons_are_those_of_complete_crls,
)
