"""The order and the kind of branches."""

from __future__ import annotations

from sipmesh.routing.call_rules.diversion import Diversion, Reason
from sipmesh.routing.proxy.branch_kinds import by_rank, has_other_trunks, is_beside, is_to_our_server
from sipmesh.routing.target import FlowTarget, ServerTarget
from sipmesh.trust.evidence import LinkKind

PHONE, SECOND = FlowTarget(1, b"", "sip:a@b", 0.5), FlowTarget(2, b"", "sip:a@b", 1.0)
TRUNKS = ServerTarget(("one", "two"), LinkKind.PARTNER, "sip:a@b")
OURS = ServerTarget(("one", "two"), LinkKind.SERVER, "sip:a@b")


def test_targets_are_grouped_by_q_and_the_best_group_is_last() -> None:
    assert by_rank((PHONE, SECOND)) == [(PHONE,), (SECOND,)]
    assert by_rank((PHONE, PHONE)) == [(PHONE, PHONE)]
    assert by_rank(()) == []


def test_only_several_trunks_are_tried_one_after_the_other() -> None:
    assert [has_other_trunks(one) for one in (TRUNKS, OURS, PHONE)] == [True, False, False]
    assert [is_to_our_server(one) for one in (TRUNKS, OURS, PHONE)] == [False, True, False]


def test_target_beside_the_phones_is_known_by_its_reason() -> None:
    chains = [(Diversion("sip:a@b", "sip:c@d", reason),) for reason in (Reason.FOLLOW_ME, Reason.USER_BUSY)]
    assert [is_beside(chain) for chain in (*chains, ())] == [True, False, False]
