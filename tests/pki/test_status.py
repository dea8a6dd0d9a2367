"""Status: what became of a certificate at an instant."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.ledger.records import Record
from sipmesh.pki.status import CertificateState, CertificateStatus

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("after", "state"),
    [
        (-DAY, CertificateState.NOT_YET_VALID),
        (timedelta(0), CertificateState.VALID),
        (DAY, CertificateState.VALID),
        (DAY + timedelta(seconds=1), CertificateState.EXPIRED),
    ],
)
def test_state_follows_the_instant(noon: datetime, after: timedelta, state: CertificateState) -> None:
    record = Record(
        1, CertificateKind.ISSUING, CertificateKind.SERVER, ("x.test",), noon, noon + DAY, b"der", None, None
    )
    seen = CertificateStatus.of(record, noon + after)
    assert (seen.state, seen.left) == (state, DAY - after)


def test_revoked_and_abandoned_come_before_expired(noon: datetime) -> None:
    revoked = Record(
        1, CertificateKind.ISSUING, CertificateKind.SERVER, ("x.test",), noon, noon + DAY, b"der", noon, "superseded"
    )
    abandoned = Record(
        1, CertificateKind.ISSUING, CertificateKind.SERVER, ("x.test",), noon, noon + DAY, None, None, None
    )
    assert CertificateStatus.of(revoked, noon).state is CertificateState.REVOKED
    assert CertificateStatus.of(abandoned, noon).state is CertificateState.ABANDONED
    assert repr(revoked) == "<Record 1 server x.test revoked>"
    assert repr(abandoned) == "<Record 1 server x.test abandoned>"
