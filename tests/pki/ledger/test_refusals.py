"""What a revocation says that the ledger did not store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sipmesh.pki.ledger.records import Record
from sipmesh.pki.ledger.refusals import LedgerRefusedError, UnrecordedRevocationError

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_unrecorded_revocation_names_each_server_and_the_cause() -> None:
    record = Record(
        serial=7,
        issuer="issuing",
        kind="server",
        names=("fe1.example.test", "example.test"),
        not_before=NOON,
        not_after=NOON + timedelta(days=1),
        der=None,
        revoked_at=NOON,
        reason="superseded",
    )
    raised = UnrecordedRevocationError((record,), LedgerRefusedError("a trigger says no"))
    assert raised.servers == {7: "fe1.example.test"}
    assert "in the new CRL, but not in the CA's ledger: a trigger says no" in raised.message
