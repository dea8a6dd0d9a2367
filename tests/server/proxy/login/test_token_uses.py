"""A token is bound to its first link until it ends, and a user cannot fill the memory."""

from __future__ import annotations

from sipmesh.server.proxy.login.token_uses import MOST_OF_USER, TokenUses

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"


def test_first_link_keeps_the_token() -> None:
    uses = TokenUses()
    assert uses.link_of(ALICE, "a") is None
    uses.use(ALICE, "a", 1, 100.0, 0.0)
    uses.use(ALICE, "a", 2, 100.0, 0.0)
    assert (uses.link_of(ALICE, "a"), uses.link_of(BOB, "a")) == (1, None)
    assert list(uses.entries()) == [(ALICE, "a", 1, 100.0)]


def test_ended_tokens_are_forgotten_first() -> None:
    uses = TokenUses()
    uses.use(ALICE, "old", 1, 10.0, 0.0)
    uses.use(ALICE, "new", 1, 100.0, 10.0)
    assert [entry[1] for entry in uses.entries()] == ["new"]


def test_user_with_too_many_tokens_loses_the_oldest_and_others_lose_none() -> None:
    uses = TokenUses()
    uses.use(BOB, "b", 1, 100.0, 0.0)
    for number in range(MOST_OF_USER + 1):
        uses.use(ALICE, str(number), number, 100.0, 0.0)
    assert (uses.link_of(ALICE, "0"), uses.link_of(ALICE, "1"), uses.link_of(BOB, "b")) == (None, 1, 1)
