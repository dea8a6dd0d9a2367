"""Issue a CRL. The steps are always: journal, draft, lint, signature, check of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.pki.crl import builder as crl
from sipmesh.pki.crl.lint import check_signed_crl, lint_crl
from sipmesh.pki.issuance.issue import algorithm_of, own_key
from sipmesh.pki.issuance.lint import refuse
from sipmesh.pki.issuance.signer import CaSigner, draft_list

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

    from sipmesh.pki.crl.builder import CrlProfile
    from sipmesh.pki.ledger.ticket import CrlTicket


def drafted_crl(wish: CrlProfile, folder: Path) -> x509.CertificateRevocationList:
    """Return the CRL with the signature of a throwaway key; raises LintRefusedError if the profile does not allow it."""
    drafted = draft_list(crl.builder(wish), wish.record.number, algorithm_of(own_key(wish.issuer)))
    refuse(lint_crl(drafted, wish), folder, "CRL")
    return drafted


def issue_crl(wish: CrlProfile, signer: CaSigner, ticket: CrlTicket, folder: Path) -> x509.CertificateRevocationList:
    """Sign the CRL of *ticket*. The caller has the lock of the CA in *folder*.

    Raises LintRefusedError: before the signature if the profile does not allow it, or after it if the result differs.
    """
    drafted = drafted_crl(wish, folder)
    signed = signer.sign_list(crl.builder(wish), ticket)
    refuse(check_signed_crl(signed, drafted, wish.issuer), folder, "CRL")
    return signed
