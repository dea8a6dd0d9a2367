"""A CRL is checked before and after its signature."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sipmesh.pki.crl import builder as crl
from sipmesh.pki.crl.builder import CrlProfile
from sipmesh.pki.crl.issue import drafted_crl, issue_crl
from sipmesh.pki.issuance.lint import LintRefusedError
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.issuance.signer import CaSigner
from sipmesh.pki.ledger.records import ListRecord
from sipmesh.pki.ledger.ticket import CrlTicket

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.pki.authority import EnterpriseCa


@pytest.fixture(name="wish")
def _wish(ca: EnterpriseCa, noon: datetime) -> CrlProfile:
    return CrlProfile(
        ca.issuing, ListRecord(CertificateKind.ISSUING, 7, *crl.times(CertificateKind.ISSUING, noon), 0), ()
    )


@pytest.fixture(name="signer")
def _signer(ca: EnterpriseCa) -> CaSigner:
    return CaSigner(CertificateKind.ISSUING, ca.folder / "issuing.key", ca.issuing)


def test_crl_is_signed(wish: CrlProfile, signer: CaSigner, ca: EnterpriseCa) -> None:
    signed = issue_crl(wish, signer, CrlTicket(wish.record), ca.folder)
    assert signed.tbs_certlist_bytes == drafted_crl(wish, ca.folder).tbs_certlist_bytes


def test_crl_that_the_profile_does_not_allow_is_not_signed(
    wish: CrlProfile, signer: CaSigner, ca: EnterpriseCa
) -> None:
    never = replace(wish, record=replace(wish.record, number=0))
    ticket = CrlTicket(never.record)
    with pytest.raises(LintRefusedError, match="number is not that in the ledger"):
        issue_crl(never, signer, ticket, ca.folder)
    assert "unspent" in repr(ticket)


def test_result_with_another_number_is_not_handed_out(wish: CrlProfile, signer: CaSigner, ca: EnterpriseCa) -> None:
    with pytest.raises(LintRefusedError, match="differs from the draft"):
        issue_crl(wish, signer, CrlTicket(replace(wish.record, number=8)), ca.folder)
