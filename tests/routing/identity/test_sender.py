from __future__ import annotations

from routing.messages import (
    ALICE,
    ALICE_SIDE,
    ALICES,
    BOB,
    BOB_SIDE,
    FROM_EDGE,
    FROM_PARTNER,
    INCARNATION,
    MATE,
    PARTNER_SIDE,
    POOL_SIDE,
)
from sipmesh.routing.identity.dialog_token import FlowSide, owner_hash
from sipmesh.routing.identity.sender import ClientSender, peer_side
from sipmesh.sip.fields import NameAddr

BOTH = ClientSender(INCARNATION, 4, frozenset({ALICE, BOB}))


def test_client_is_named_by_its_link_and_the_user_it_acts_for() -> None:
    assert BOTH.side(BOB) == FlowSide(INCARNATION, 4, owner_hash(BOB))


def test_client_knows_its_users_as_tokens_do() -> None:
    assert BOTH.owners == {owner_hash(ALICE), owner_hash(BOB)}
    assert ClientSender(INCARNATION, 1).owners == frozenset()


def test_client_is_the_side_of_each_of_its_users_on_whatever_link() -> None:
    assert BOTH.is_side(ALICE_SIDE)
    assert BOTH.is_side(BOB_SIDE)
    assert not ALICES.is_side(BOB_SIDE)
    assert not ALICES.is_side(POOL_SIDE)


def test_client_speaks_as_its_proved_users_only() -> None:
    for uri, may in (
        (ALICE, True),
        ("sips:alice@EXAMPLE.test:7", True),
        ("sip:x@example.test", False),
        ("tel:+1", False),
    ):
        assert BOTH.may_speak_as(NameAddr.parse(f"<{uri}>"), frozenset({"example.test"})) is may


def test_client_knows_which_of_its_users_a_side_is() -> None:
    assert BOTH.user_of(BOB_SIDE) == BOB
    assert ALICES.user_of(BOB_SIDE) is None
    assert ALICES.user_of(POOL_SIDE) is None


def test_server_speaks_for_the_users_of_domains() -> None:
    for uri, may in ((ALICE, True), ("sip:x@EXAMPLE.test", True), ("sip:x@partner.test", False), ("tel:+1", False)):
        assert MATE.may_speak_as(NameAddr.parse(f"<{uri}>"), frozenset({"example.test"})) is may


def test_server_is_named_by_its_pool_and_a_partner_by_its_edge() -> None:
    assert MATE.side(ALICE) == POOL_SIDE == peer_side(MATE.peer)
    assert FROM_PARTNER.side(ALICE) == PARTNER_SIDE


def test_server_is_the_side_that_names_its_pool() -> None:
    assert MATE.is_side(POOL_SIDE)
    assert not FROM_EDGE.is_side(POOL_SIDE)
    assert not MATE.is_side(ALICE_SIDE)
