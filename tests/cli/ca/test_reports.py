"""What `sipmesh ca ... --json` reports of values that may be missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sipmesh.cli.ca.reports import CaReport, CrlReport, IssuedReport
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.ledger.records import ListRecord, Record
from sipmesh.pki.status import CaStatus, CertificateStatus, ListStatus

NOON, DAY = datetime(2026, 6, 1, 12, tzinfo=UTC), timedelta(days=1)
ISSUED = Record(0x0BAD, "issuing", "server", ("fe1.example.test",), NOON - DAY, NOON + DAY, b"der", None, None)


def crl(made: ListRecord | None) -> ListStatus:
    return ListStatus(CertificateKind.ISSUING, Path("ca/issuing.crl"), made, NOON, 3, due=made is None)


def test_revoked_certificate_has_its_reason_and_time_left() -> None:
    revoked = replace(ISSUED, revoked_at=NOON, reason="superseded")
    report = IssuedReport.of(CertificateStatus.of(revoked, NOON + timedelta(hours=36)))
    assert (report.serial, report.state, report.reason, report.left_s) == ("bad", "revoked", "superseded", -43_200)
    assert (report.names, report.not_after) == (("fe1.example.test",), NOON + DAY)


def test_signed_crl_has_a_number_and_an_end() -> None:
    report = CrlReport.reported(crl(ListRecord("issuing", 7, NOON - DAY, NOON + DAY, 2)))
    assert (report.number, report.next_update, report.left_s, report.revoked, report.due) == (
        7,
        NOON + DAY,
        86_400,
        3,
        False,
    )


def test_crl_that_was_never_signed_has_neither() -> None:
    report = CrlReport.reported(crl(None))
    assert (report.number, report.next_update, report.left_s, report.due) == (None, None, None, True)


def test_status_of_the_ca_has_all_certificates_and_crls() -> None:
    kinds = ["root", "server", "signer", "operator", "device"]
    root, server, signer, operator, device = (
        (CertificateStatus.of(replace(ISSUED, kind=kind), NOON),) for kind in kinds
    )
    found = CaStatus("Example", Path("ca"), NOON, root, server, signer, operator, device, (crl(None),))
    report = CaReport.of(found)
    assert [one.kind for one in report.certificates] == kinds
    assert [(one.of, one.revoked) for one in report.lists] == [(CertificateKind.ISSUING, 3)]
