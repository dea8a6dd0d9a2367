"""One word for many faults."""

from __future__ import annotations

import pytest

from sipmesh.trust.code import Code
from sipmesh.trust.finding import CheckQuestion
from sipmesh.trust.judgement.priority import choose, most_telling

ASKED = CheckQuestion("x", "y", "z")
YES, CANNOT = ASKED.passed("fine"), ASKED.unjudged("why")


@pytest.mark.parametrize(
    ("more", "less"),
    [
        (Code.PARTNER_BLOCKED, Code.UNTRUSTED_ISSUER),
        (Code.UNTRUSTED_ISSUER, Code.NOT_A_LEAF),
        (Code.UNTRUSTED_ISSUER, Code.NAME_MISMATCH),
        (Code.NAME_MISMATCH, Code.ISSUER_NOT_FOR_THIS_NAME),
        (Code.ISSUER_NOT_FOR_THIS_NAME, Code.ROLE_NOT_ALLOWED),
        (Code.REVOKED, Code.EXPIRED),
        (Code.EXPIRED, Code.REVOCATION_UNKNOWN),
        (Code.NOT_IN_TOPOLOGY, Code.ROLE_NOT_ALLOWED),
        (Code.REFUSED_BY_PEER, Code.EXPIRED),
        (Code.WRONG_USAGE, Code.HANDSHAKE_FAILED),
    ],
)
def test_first_code_of_the_priority_is_chosen(more: Code, less: Code) -> None:
    assert choose([ASKED.refused("", less), YES, ASKED.refused("", more)]) is more


def test_no_findings_and_unjudged_findings_are_refusals() -> None:
    assert choose([]) is Code.HANDSHAKE_FAILED
    assert choose([YES, CANNOT]) is Code.HANDSHAKE_FAILED
    assert choose([YES]) is Code.ACCEPTED
    assert most_telling([None]) is Code.HANDSHAKE_FAILED
