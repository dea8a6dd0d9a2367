from __future__ import annotations

from routing.parts import ALICE, BOB, EDGE_INSIDE, FRONT_END, INCARNATION, PARTNER, POOL, THEIR_EDGE, client, flow_side
from sipmesh.routing.sender import ClientSender, named_side, peer_side
from sipmesh.routing.token import owner_hash


def test_client_is_named_by_its_link_and_the_user_it_acts_for() -> None:
    assert client(ALICE, BOB, flow=4).side(BOB) == flow_side(4, BOB)


def test_client_knows_its_users_as_tokens_do() -> None:
    assert client(ALICE, BOB).owners == {owner_hash(ALICE), owner_hash(BOB)}
    assert ClientSender(INCARNATION, 1).owners == frozenset()


def test_client_is_the_side_of_each_of_its_users_on_whatever_link() -> None:
    assert client(ALICE).is_side(flow_side(99, ALICE))
    assert not client(ALICE).is_side(flow_side(1, BOB))
    assert not client(ALICE).is_side(named_side(ALICE))


def test_link_is_that_of_a_side_by_number_and_incarnation() -> None:
    assert client(ALICE, flow=4).is_link_of(flow_side(4, BOB))
    assert not client(ALICE, flow=4).is_link_of(flow_side(4, ALICE, incarnation=INCARNATION - 1))
    assert not client(ALICE, flow=4).is_link_of(named_side(POOL))


def test_server_is_named_by_its_pool_and_a_partner_by_its_edge() -> None:
    assert FRONT_END.side(ALICE) == named_side(POOL) == peer_side(FRONT_END.peer)
    assert PARTNER.side(ALICE) == named_side(THEIR_EDGE)


def test_server_is_the_side_that_names_its_pool() -> None:
    assert FRONT_END.is_side(named_side(POOL))
    assert FRONT_END.is_link_of(named_side(POOL))
    assert not EDGE_INSIDE.is_side(named_side(POOL))
    assert not FRONT_END.is_side(flow_side(1, ALICE))
