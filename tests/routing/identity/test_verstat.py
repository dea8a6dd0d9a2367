"""What a phone sees of a caller's number that our gateway has verified."""

from __future__ import annotations

import pytest

from routing.messages import BOB, request
from sipmesh.routing.identity.verstat import NUMBER_VERIFICATION, Verstat, asserted_with_verstat

CALLER = "sip:+491705550100@sbc.test"


@pytest.mark.parametrize(
    ("identity", "written", "seen"),
    [
        (CALLER, "TN-Validation-Passed;attest=A", "<tel:+491705550100;verstat=TN-Validation-Passed>"),
        (CALLER, str(Verstat.NONE), "<tel:+491705550100;verstat=No-TN-Validation>"),
        (CALLER, "TN-Validation-Passed>,<tel:+1", ""),
        (CALLER, None, ""),
        ("sip:sbc.test", str(Verstat.PASSED), ""),
        (None, str(Verstat.PASSED), ""),
    ],
)
def test_verstat_is_shown_beside_the_number_alone(identity: str | None, written: str | None, seen: str) -> None:
    """A caller who hides has no identity here."""
    given = [(NUMBER_VERIFICATION, written)] if written is not None else []
    assert asserted_with_verstat(request("INVITE", BOB, *given), identity) == seen
