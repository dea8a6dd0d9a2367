"""Approvals without a network: what a proposal is, whose signature counts, and what only blocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sipmesh.topology.document.model import Topology
from sipmesh.topology.versions.approval import (
    FARTHEST_BLOCK,
    ApprovalNeed,
    NotApprovedError,
    Proposal,
    approvers,
    is_block,
    must_be_approved,
    needed_approvals,
    proposal_of,
)
from sipmesh.topology.versions.publication import HIGHEST, Publication
from support.approving import Approver, rule

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
ADA, BEN = Approver("ada"), Approver("ben")
HELD = Publication("Example", 7, NOON, "ada", "why", "held", {"root.pem": b"root"}, serial=3)
NEW = replace(HELD, number=8, topology="new", serial=4)


def topology(**changed: Any) -> Topology:
    authority = {"anchors": ["root.pem"], "crls": ["root.crl"]}
    partner = {"domains": ["partner.test"], **authority}
    document: dict[str, Any] = {
        "sipmesh": 1,
        "organisation": "Example",
        "sip_domains": ["example.test"],
        "authority": authority,
        "pools": [{"name": "pool1.example.test", "role": "front-end", "servers": ["fe1.example.test"]}],
        "federation": {"partners": [partner, {**partner, "domains": ["other.test"]}], "blocked": ["evil.test"]},
        "approvals": rule(ADA, BEN),
    }
    return Topology.model_validate({**document, **changed})


HELD_TOPOLOGY = topology()


def signed(publication: Publication, *operators: Approver) -> Publication:
    octets = proposal_of(publication).encode()
    return replace(publication, approvals={operator.name: operator.signs(octets) for operator in operators})


def test_content_with_enough_operators_may_follow_and_with_fewer_not() -> None:
    must_be_approved(HELD, HELD_TOPOLOGY, signed(NEW, ADA, BEN), HELD_TOPOLOGY)
    with pytest.raises(NotApprovedError, match="1 of 2 operators have approved its content: ada"):
        must_be_approved(HELD, HELD_TOPOLOGY, signed(NEW, ADA), HELD_TOPOLOGY)


def test_without_a_rule_management_alone_publishes() -> None:
    must_be_approved(HELD, topology(approvals=None), NEW, HELD_TOPOLOGY)


def test_same_content_with_another_number_needs_no_new_approval() -> None:
    must_be_approved(HELD, HELD_TOPOLOGY, replace(HELD, number=9, why="again"), HELD_TOPOLOGY)
    for changed in ({"files": {"root.pem": b"other"}}, {"topology": "other"}, {"serial": 4}):
        with pytest.raises(NotApprovedError):
            must_be_approved(HELD, HELD_TOPOLOGY, replace(HELD, number=9, **changed), HELD_TOPOLOGY)


@pytest.mark.parametrize("serial", [0, 2, 3])
def test_serial_number_that_is_not_higher_is_refused(serial: int) -> None:
    with pytest.raises(NotApprovedError, match="does not count again"):
        must_be_approved(HELD, HELD_TOPOLOGY, signed(replace(NEW, serial=serial), ADA, BEN), HELD_TOPOLOGY)


def test_operator_counts_once_and_malformed_signatures_not_at_all() -> None:
    octets = proposal_of(NEW).encode()
    given = HELD_TOPOLOGY.approvals
    assert given is not None
    blobs = [b"", b"SSHSIG", ADA.signs(octets), ADA.signs(octets), Approver("eve").signs(octets), BEN.signs(b"")]
    assert approvers(given, octets, blobs).keys() == {"ada"}


def test_proposal_has_one_form() -> None:
    proposal = Proposal("Example", 4, "a: b\n", {"b.pem": b"1", "a.pem": b"2"})
    assert Proposal.decode(proposal.encode()) == proposal
    assert proposal.encode() == replace(proposal, files={"a.pem": b"2", "b.pem": b"1"}).encode()
    for wrong in (b"", b"{}", b"[1]", proposal.encode() + b" ", proposal.encode().replace(b"4", b"4.0", 1)):
        with pytest.raises(NotApprovedError):
            Proposal.decode(wrong)


@pytest.mark.parametrize(
    ("changed", "blocks"),
    [
        ({"blocked": ["evil.test", "more.test"]}, True),
        ({"partners": []}, True),
        ({"blocked": ["evil.test", "partner.test"], "partners": [1]}, True),
        ({"blocked": []}, False),
        ({"partners": [1, 0]}, False),
        ({"partners": [0, 1, 1]}, False),
        ({"route": "sip.example.test"}, False),
    ],
)
def test_only_what_is_blocked_and_removed_is_a_block(changed: dict[str, Any], *, blocks: bool) -> None:
    federation = HELD_TOPOLOGY.federation
    partners = [federation.partners[n] for n in changed.get("partners", (0, 1))]
    new = federation.model_copy(
        update={**changed, "partners": tuple(partners), "blocked": tuple(changed.get("blocked", federation.blocked))}
    )
    assert is_block(HELD_TOPOLOGY, HELD_TOPOLOGY.model_copy(update={"federation": new})) is blocks


def test_entry_that_a_block_keeps_is_that_of_the_partner() -> None:
    """Without this, few operators could prepare the trust that comes back when the partner is unblocked."""
    federation = HELD_TOPOLOGY.federation
    kept, left = federation.partners
    entry = kept.model_dump(mode="json", exclude_defaults=True)
    blocked = (*federation.blocked, kept.name)
    for given, blocks in ((entry, True), ({**entry, "anchors": ["evil.pem"]}, False)):
        update = {"partners": (left,), "blocked": blocked, "blocked_partners": (given,)}
        new = federation.model_copy(update=update)
        assert is_block(HELD_TOPOLOGY, HELD_TOPOLOGY.model_copy(update={"federation": new})) is blocks


def test_block_that_changes_anything_else_is_not_one() -> None:
    federation = HELD_TOPOLOGY.federation.model_copy(update={"blocked": ("evil.test", "more.test")})
    for more in ({"sip_domains": ("evil.test",)}, {"approvals": None}, {"organisation": "Other"}):
        assert not is_block(HELD_TOPOLOGY, HELD_TOPOLOGY.model_copy(update={"federation": federation, **more}))


def test_operators_of_a_block_cannot_use_up_the_serial_numbers() -> None:
    """The highest number would be the last one: a block of one operator may be a small step, a version of all any step."""
    held = topology(approvals=rule(ADA, BEN, block=1))
    small, large = (replace(NEW, serial=HELD.serial + step) for step in (FARTHEST_BLOCK, FARTHEST_BLOCK + 1))
    must_be_approved(HELD, held, signed(small, ADA), held)
    for serial in (large.serial, HIGHEST):
        far = replace(NEW, serial=serial)
        with pytest.raises(NotApprovedError, match="1 of 2"):
            must_be_approved(HELD, held, signed(far, ADA), held)
    must_be_approved(HELD, held, signed(large, ADA, BEN), held)


def test_block_needs_fewer_operators_only_if_the_rule_says_so() -> None:
    blocks = topology(federation={**HELD_TOPOLOGY.federation.model_dump(), "blocked": ["evil.test", "worse.test"]})
    fewer = topology(approvals=rule(ADA, BEN, block=1)).approvals
    assert fewer is not None
    assert HELD_TOPOLOGY.approvals is not None
    assert needed_approvals(fewer, HELD, HELD_TOPOLOGY, NEW, blocks) == 1
    assert needed_approvals(fewer, HELD, HELD_TOPOLOGY, NEW, topology(organisation="Other")) == 2
    assert needed_approvals(HELD_TOPOLOGY.approvals, HELD, HELD_TOPOLOGY, NEW, blocks) == 2


def test_need_says_who_must_approve_and_who_has() -> None:
    need = ApprovalNeed("the version in force", 2, ["ada", "ben", "cyd"], ["ada"])
    assert str(need) == "by the version in force, 2 of ada, ben, cyd must approve; 1 of 2 has approved: ada"
    assert not need.is_met
    assert ApprovalNeed("the new version", 1, ["ada"], ["ada"]).is_met


def test_some_of_several_managers_may_be_removed_by_a_block_and_have_no_other_change() -> None:
    """A management server whose host was taken has to be shut out quickly; the last one stays."""
    front_end = {"name": "pool1.example.test", "role": "front-end", "servers": ["fe1.example.test", "fe2.example.test"]}

    def with_managers(*servers: Any, **more: Any) -> Topology:
        pool = {"name": "mgmt.example.test", "role": "management", "servers": list(servers), **more}
        return topology(pools=[pool, front_end])

    held = with_managers("m1.example.test", "m2.example.test", "m3.example.test")
    assert is_block(held, with_managers("m1.example.test", "m3.example.test"))
    assert is_block(held, with_managers("m2.example.test"))
    assert not is_block(held, with_managers("m3.example.test", "m1.example.test"))
    assert not is_block(held, with_managers("m1.example.test", "evil.example.test"))
    assert not is_block(held, with_managers({"name": "m1.example.test", "address": "192.0.2.66"}))
    assert not is_block(held, with_managers("m1.example.test", site="berlin"))
    assert not is_block(with_managers("m1.example.test"), held)
    fewer = held.pools[1].model_copy(update={"servers": held.pools[1].servers[:1]})
    assert not is_block(held, held.model_copy(update={"pools": (held.pools[0], fewer)}))
    assert not is_block(held, held.model_copy(update={"pools": held.pools[1:]}))
