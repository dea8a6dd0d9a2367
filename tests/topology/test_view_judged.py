"""CA, topology and judge together: what the CA issues by the topology is what the judge accepts by the topology."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.topology.view import certificate_names, view
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judgement.judge import judge
from sipmesh.trust.role import Role
from topology.world import NOON

if TYPE_CHECKING:
    from sipmesh.trust.policy import LinkPolicy
    from topology.world import Place

FE1, FE3, EDGE, BOT = "fe1.example.test", "fe3.example.test", "edge1.example.test", "bot.example.test"


@pytest.fixture(name="ca")
def _ca(place: Place) -> EnterpriseCa:
    """A new CA of the organisation, so that a test may revoke."""
    folder = place.file.parent / "ca"
    for file in folder.iterdir():
        file.unlink()
    return EnterpriseCa.create(folder, "Example", NOON, crl_base="http://crl.example.test")


def verdict(ca: EnterpriseCa, names: tuple[str, ...], policy: LinkPolicy, direction: Direction) -> Code:
    leaf = ca.issue(names, Role.FRONT_END, NOON).certificate
    presented = tuple(one.public_bytes(Encoding.DER) for one in (leaf, ca.issuing))
    evidence = PeerEvidence(direction, policy.kind, ("192.0.2.7", 5062), ("192.0.2.1", 5062), presented)
    return judge(evidence, policy, at=NOON).code


@pytest.mark.parametrize(
    ("peer", "here", "code"),
    [
        (FE3, FE1, Code.ACCEPTED),
        (EDGE, FE1, Code.ACCEPTED),
        (BOT, FE1, Code.ACCEPTED),
        (FE1, EDGE, Code.ACCEPTED),
        (EDGE, FE3, Code.ROLE_NOT_ALLOWED),
        (BOT, FE3, Code.ROLE_NOT_ALLOWED),
        (BOT, EDGE, Code.ROLE_NOT_ALLOWED),
    ],
)
def test_what_the_topology_names_is_accepted_where_the_table_says(
    place: Place, ca: EnterpriseCa, peer: str, here: str, code: Code
) -> None:
    loaded = place.load()
    policy = view(loaded, here).accept_policy(LinkKind.SERVER)
    assert verdict(ca, certificate_names(loaded.topology, peer), policy, Direction.ACCEPTED) is code


def test_certificate_of_our_ca_alone_is_not_enough(place: Place, ca: EnterpriseCa) -> None:
    policy = view(place.load(), FE1).accept_policy(LinkKind.SERVER)
    assert verdict(ca, ("rogue.example.test",), policy, Direction.ACCEPTED) is Code.NOT_IN_TOPOLOGY


@pytest.mark.parametrize(("meant", "code"), [(FE3, Code.ACCEPTED), (EDGE, Code.NAME_MISMATCH)])
def test_an_opened_link_reaches_whom_it_meant(place: Place, ca: EnterpriseCa, meant: str, code: Code) -> None:
    loaded = place.load()
    policy = view(loaded, FE1).open_policy(LinkKind.SERVER, meant)
    assert verdict(ca, certificate_names(loaded.topology, FE3), policy, Direction.OPENED) is code


def test_a_missing_crl_refuses_at_the_link_and_not_at_the_start(place: Place, ca: EnterpriseCa) -> None:
    (ca.folder / "issuing.crl").unlink()
    loaded = place.load()
    policy = view(loaded, FE1).accept_policy(LinkKind.SERVER)
    names = certificate_names(loaded.topology, FE3)
    assert verdict(ca, names, policy, Direction.ACCEPTED) is Code.REVOCATION_UNKNOWN


def test_a_revoked_certificate_is_refused_once_the_crl_is_read(place: Place, ca: EnterpriseCa) -> None:
    loaded = place.load()
    leaf = ca.issue(certificate_names(loaded.topology, FE3), Role.FRONT_END, NOON).certificate
    presented = tuple(one.public_bytes(Encoding.DER) for one in (leaf, ca.issuing))
    evidence = PeerEvidence(Direction.ACCEPTED, LinkKind.SERVER, ("192.0.2.7", 1), ("192.0.2.1", 5062), presented)
    before = judge(evidence, view(loaded, FE1).accept_policy(LinkKind.SERVER), at=NOON)
    ca.revoke(leaf.serial_number, Reason.KEY_COMPROMISE, NOON)
    after = judge(evidence, view(place.load(), FE1).accept_policy(LinkKind.SERVER), at=NOON)
    assert (before.code, after.code) == (Code.ACCEPTED, Code.REVOKED)
