"""One decision about a link, a message or a login. The whole ways are in `test_simulate.py`."""

from __future__ import annotations

from dataclasses import replace

from sipmesh.cli.topology.simulation.decisions import (
    accepted_link,
    link_seen_by_partner,
    login,
    message,
    opened_link,
    ours,
)
from sipmesh.demo.organisation import Organisation
from sipmesh.topology.builder.hops import LinkHop, hops
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, FE2, POOL


def hop(example: Organisation, start: str, end: str) -> LinkHop:
    return hops(example.load().topology, start, end)[0]


def test_link_is_judged_with_its_certificate_else_by_the_topology_alone(example: Organisation) -> None:
    loaded, between = example.load(), hop(example, FE2, FE1)
    chain = read_certificates(example.credentials(FE2)[0])
    judged = accepted_link(loaded, between, chain)
    assert (judged.decider, judged.accepted, judged.judged) == (FE1, True, True)
    assert accepted_link(loaded, between, []).judged is False
    assert opened_link(loaded, between, chain).code == "name-mismatch"
    assert opened_link(loaded, between, read_certificates(example.credentials(FE1)[0])).accepted


def test_link_that_the_topology_forbids_is_refused_without_a_certificate(example: Organisation) -> None:
    refused = accepted_link(example.load(), hop(example, EDGE, EDGE), [])
    assert (refused.accepted, refused.rule) == (False, "rule R5")
    assert "--certificate" in refused.remedies[0]


def test_phone_needs_no_certificate_but_its_home_pool(example: Organisation) -> None:
    loaded, phone = example.load(), hop(example, "phone", FE1)
    assert accepted_link(loaded, phone, []).accepted
    assert login(loaded, phone, "alice@example.test", "").accepted
    assert login(loaded, phone, "alice@example.test", POOL).accepted
    elsewhere = login(loaded, phone, "alice@example.test", "pool9.example.test")
    assert (elsewhere.code, elsewhere.saw) == ("other-home", "pool9.example.test")
    assert login(loaded, phone, "alice@example.test", None).code == "not-authenticated"


def test_partner_may_see_us_as_our_edge_only(example: Organisation) -> None:
    loaded, out = example.load(), hop(example, EDGE, FE1)
    assert link_seen_by_partner(loaded, replace(out, kind=LinkKind.PARTNER), []).accepted
    assert not message(loaded, out, "alice@example.test").accepted


def test_message_is_decided_by_what_the_opener_may_assert(example: Organisation) -> None:
    loaded, between = example.load(), hop(example, FE2, FE1)
    accepted = message(loaded, between, "alice@example.test")
    assert (accepted.accepted, accepted.saw) == (True, "sip:alice@example.test")
    refused = message(loaded, between, "bob@partner.test")
    assert (refused.code, refused.wanted) == ("from-not-allowed", "a user of: bot.example.test, example.test")
    stranger = hops(loaded.topology, "evil.test", FE1)[0]
    assert message(loaded, stranger, "alice@example.test").code == "not-in-topology"
    outside = replace(stranger, target=hop(example, FE1, EDGE).target, kind=LinkKind.PARTNER)
    assert message(loaded, outside, "alice@example.test").code == "not-in-topology"


def test_login_at_another_pool_is_carried_and_of_another_domain_is_refused(example: Organisation) -> None:
    loaded, phone = example.load(), hop(example, "phone", FE1)
    assert login(loaded, phone, "bob@partner.test", "").wanted == "a user of: example.test"
    assert ours(phone) == (False, True)


def test_partner_judges_the_certificate_of_our_edge(example: Organisation) -> None:
    loaded, out = example.load(), replace(hop(example, EDGE, FE1), kind=LinkKind.PARTNER)
    chain = read_certificates(example.credentials(EDGE)[0])
    assert link_seen_by_partner(loaded, out, chain).accepted
