from __future__ import annotations

from dataclasses import replace

import pytest

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
from sipmesh.routing.identity.alias import alias_keys
from sipmesh.routing.identity.dialog_token import FlowSide, owner_hash
from sipmesh.routing.identity.sender import ClientSender, peer_side
from sipmesh.sip.fields import NameAddr

BOTH = ClientSender(INCARNATION, 4, frozenset({ALICE, BOB}))


def test_client_is_named_by_its_link_and_the_user_it_acts_for() -> None:
    assert BOTH.side(BOB) == FlowSide(INCARNATION, 4, owner_hash(BOB))


def test_client_knows_its_users_as_tokens_do() -> None:
    assert BOTH.owners == {owner_hash(ALICE), owner_hash(BOB)}
    assert ClientSender(INCARNATION, 1).owners == frozenset()


def test_client_is_the_side_of_each_of_its_users_on_any_link() -> None:
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


def owner_of(name: str) -> str:
    """Alice has the number +4930123, and local number 42."""
    return ALICE if {"tel:+4930123", "tel:42;phone-context=example.test"} & {*alias_keys(name)} else ""


ALIASES = (
    "tel:+49-30-123",
    "sip:+4930123@example.test",
    "sip:%2B49(30)123@example.test;user=phone",
    "sip:42@example.test",
    "tel:42;phone-context=EXAMPLE.test",
)


@pytest.mark.parametrize("uri", ALIASES)
def test_client_speaks_as_the_aliases_of_its_own_users(uri: str) -> None:
    """The control has proved another user, and the third link none."""
    address = NameAddr.parse(f"<{uri}>")
    for users, may in (({ALICE}, True), ({ALICE, BOB}, True), ({BOB}, False), (set(), False)):
        sender = ClientSender(INCARNATION, 4, frozenset(users), owner_of)
        assert sender.may_speak_as(address, frozenset()) is may


@pytest.mark.parametrize(
    ("uri", "ours", "theirs"),
    [
        ("tel:+4930123", True, False),
        ("tel:+4930999", False, False),  # of no user: no server may assert it
        ("sip:+4930123@example.test", True, False),
        ("sip:+4930123@partner.test", False, False),
        ("sip:%2B49-30-123@partner.test;user=phone", False, False),
        ("sip:42;phone-context=example.test@partner.test", False, False),
        ("sip:+4930123;npdi@partner.test;user=phone", False, False),
        ("sip:+49-30-123;=@partner.test", False, False),
        ("sip:+4930123%3Bext=1@partner.test", False, False),
        ("sip:+4930123;ext=1@example.test", True, False),
        ("sip:42@partner.test", False, True),  # a local number of the partner
        ("sip:+4930999@partner.test", False, True),
        ("sip:carol@partner.test", False, True),
        ("sip:+%25@partner.test", False, True),  # a name with a percent sign is decoded once
        ("sip:+%252B@partner.test", False, True),
    ],
)
def test_server_speaks_as_a_number_of_ours_only_if_it_speaks_for_its_user(
    uri: str, *, ours: bool, theirs: bool
) -> None:
    """A number is the same in all domains: a partner's user must not call from the number of one of ours."""
    address = NameAddr.parse(f"<{uri}>")
    assert replace(MATE, owner_of=owner_of).may_speak_as(address, frozenset({"example.test"})) is ours
    assert replace(FROM_PARTNER, owner_of=owner_of).may_speak_as(address, frozenset({"partner.test"})) is theirs
