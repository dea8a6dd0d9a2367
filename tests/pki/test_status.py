"""Status: what became of a certificate at an instant."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sipmesh.pki.ledger import Record
from sipmesh.pki.profiles import Kind
from sipmesh.pki.status import CertificateStatus, State

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("after", "state"),
    [
        (-DAY, State.NOT_YET_VALID),
        (timedelta(0), State.VALID),
        (DAY, State.VALID),
        (DAY + timedelta(seconds=1), State.EXPIRED),
    ],
)
def test_state_follows_the_instant(noon: datetime, after: timedelta, state: State) -> None:
    record = Record(1, Kind.ISSUING, Kind.SERVER, ("x.test",), noon, noon + DAY, b"der", None, None)
    seen = CertificateStatus.of(record, noon + after)
    assert (seen.state, seen.left) == (state, DAY - after)


def test_revoked_and_abandoned_say_more_than_the_time(noon: datetime) -> None:
    revoked = Record(1, Kind.ISSUING, Kind.SERVER, ("x.test",), noon, noon + DAY, b"der", noon, "superseded")
    abandoned = Record(1, Kind.ISSUING, Kind.SERVER, ("x.test",), noon, noon + DAY, None, None, None)
    assert CertificateStatus.of(revoked, noon).state is State.REVOKED
    assert CertificateStatus.of(abandoned, noon).state is State.ABANDONED
    assert repr(revoked) == "<Record 1 server x.test revoked>"
    assert repr(abandoned) == "<Record 1 server x.test abandoned>"
