"""The gatekeeper: judges by the topology in force, makes each policy once, and remembers a limited number of refusals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sipmesh.demo.ports import HOST
from sipmesh.server.in_force.in_force import Current
from sipmesh.server.proxy.gatekeeper import REMEMBERED_REFUSALS, Gatekeeper
from sipmesh.server.proxy.outside import Outside
from sipmesh.topology.view import view
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind, PeerEvidence
from sipmesh.trust.verdict import Seen, Verdict
from support.in_force import current_of, put, put_view
from support.network import EDGE, FE1, FE2, PARTNER_EDGES, Network

ACCEPTED, OPENED = Direction.ACCEPTED, Direction.OPENED


@pytest.fixture(name="current")
def _current(federation: Network) -> Current:
    """What the first front end has in force."""
    return current_of(federation.of(FE1).load(), FE1)


@pytest.fixture(name="gatekeeper")
def _gatekeeper(current: Current) -> Gatekeeper:
    """The gatekeeper of the first front end."""
    return Gatekeeper(current, Outside())


def test_policy_is_made_once_for_each_kind_and_each_name(gatekeeper: Gatekeeper) -> None:
    """Every link uses the policy; a flood of links must not compute it a hundred times a second."""
    accepted = gatekeeper.policy(ACCEPTED, LinkKind.SERVER, "")
    assert gatekeeper.policy(ACCEPTED, LinkKind.SERVER, "") is accepted
    opened = gatekeeper.policy(OPENED, LinkKind.SERVER, FE2)
    assert gatekeeper.policy(OPENED, LinkKind.SERVER, FE2) is opened
    assert opened is not gatekeeper.policy(OPENED, LinkKind.SERVER, EDGE)
    assert opened is not accepted


def test_policy_has_a_reference_name_only_on_opened_links(gatekeeper: Gatekeeper) -> None:
    opened = gatekeeper.policy(OPENED, LinkKind.SERVER, FE2)
    assert opened.meant is not None
    assert (opened.meant.name, opened.meant_name) == (FE2, FE2)
    assert gatekeeper.policy(ACCEPTED, LinkKind.SERVER, "").meant is None


def test_new_topology_is_used_at_once(current: Current, gatekeeper: Gatekeeper, federation: Network) -> None:
    example = federation.of(FE1)
    assert FE2 in gatekeeper.policy(ACCEPTED, LinkKind.SERVER, "").may_open
    front_ends = example.document["pools"][0]  # type: ignore[index]  # as written by build_example
    front_ends["servers"] = front_ends["servers"][:1]
    example.write()
    put(current, example)
    after = gatekeeper.policy(ACCEPTED, LinkKind.SERVER, "")
    assert FE2 not in after.may_open
    assert EDGE in after.may_open


def test_front_end_refuses_partners(gatekeeper: Gatekeeper, federation: Network) -> None:
    assert not gatekeeper.policy(ACCEPTED, LinkKind.PARTNER, "").may_open
    edge = Gatekeeper(current_of(federation.of(EDGE).load(), EDGE), Outside())
    assert edge.policy(ACCEPTED, LinkKind.PARTNER, "").may_open == {PARTNER_EDGES}


@pytest.mark.parametrize("kind", LinkKind)
def test_handshake_that_failed_is_refused_on_every_port(gatekeeper: Gatekeeper, kind: LinkKind) -> None:
    assert not refused_on(gatekeeper, kind, 1).accepted


def test_refusals_are_remembered_newest_first_and_not_for_ever(gatekeeper: Gatekeeper) -> None:
    for port in range(1, REMEMBERED_REFUSALS + 2):
        gatekeeper.remember(refused_on(gatekeeper, LinkKind.CLIENT, port))
    ports = [verdict.remote[1] for verdict in gatekeeper.refused()]
    assert ports == list(range(REMEMBERED_REFUSALS + 1, 1, -1))


@pytest.mark.parametrize(("names", "told"), [(20, 20), (21, 21), (5_000, 21)])
def test_refusal_remembers_the_first_names_of_a_certificate_and_how_many_more_there_were(
    gatekeeper: Gatekeeper, names: int, told: int
) -> None:
    """The names in five hundred certificates of 100 KB each would take half a gigabyte."""
    refused = refused_on(gatekeeper, LinkKind.SERVER, 1)
    spelled = tuple(f"DNS:{number}.example.test" for number in range(names))
    seen = Seen(spelled, "CN=x", "CN=y", "1", "AA", datetime.now(UTC), datetime.now(UTC))
    gatekeeper.remember(replace(refused, seen=seen))
    [held] = gatekeeper.refused()
    assert held.seen is not None
    assert (len(held.seen.names), held.seen.names[:20]) == (told, spelled[:20])
    assert (held.seen.names[-1] == f"and {names - 20} more") is (names > 20)


def refused_on(gatekeeper: Gatekeeper, kind: LinkKind, port: int) -> Verdict:
    """Return the verdict on a failed handshake from *port*."""
    failure = HandshakeFailure("protocol-too-old", "unsupported protocol")
    return gatekeeper.judge(PeerEvidence(ACCEPTED, kind, (HOST, port), (HOST, 5061), failure=failure))


def test_verdicts_mention_a_newer_version_until_it_is_in_force(
    current: Current, gatekeeper: Gatekeeper, federation: Network
) -> None:
    loaded = federation.of(FE1).load()
    put_view(current, view(replace(loaded, number=12), FE1))
    told = gatekeeper.policy(ACCEPTED, LinkKind.SERVER, "")
    assert str(told.edition) == "version 12"
    gatekeeper.knows_of(13)
    for policy in (gatekeeper.policy(ACCEPTED, LinkKind.SERVER, ""), gatekeeper.policy(OPENED, LinkKind.SERVER, FE2)):
        assert str(policy.edition) == "version 12, and version 13 exists"
    gatekeeper.knows_of(12)
    assert str(gatekeeper.policy(ACCEPTED, LinkKind.SERVER, "").edition) == "version 12"
    gatekeeper.knows_of(13)
    assert gatekeeper.policy(ACCEPTED, LinkKind.SERVER, "").edition.is_behind
    put_view(current, view(replace(loaded, number=13), FE1))
    assert str(gatekeeper.policy(ACCEPTED, LinkKind.SERVER, "").edition) == "version 13"


def test_known_version_does_not_drop_the_policies(
    current: Current, gatekeeper: Gatekeeper, federation: Network
) -> None:
    """Every server reports its version in every notification."""
    put_view(current, view(replace(federation.of(FE1).load(), number=12), FE1))
    held = gatekeeper.policy(ACCEPTED, LinkKind.SERVER, "")
    gatekeeper.knows_of(12)
    assert gatekeeper.policy(ACCEPTED, LinkKind.SERVER, "") is held
