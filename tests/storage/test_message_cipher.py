"""The keys of the message history: a row is read by its pool, for its user, account and place, and nowhere else."""

from __future__ import annotations

import pytest

from sipmesh.storage.message_cipher import HistoryCipher

BOB = "sip:bob@example.test"
POOL = HistoryCipher("pool1", b"k" * 32)
OTHER = HistoryCipher("pool1", b"o" * 32)


def test_owner_is_always_the_same_and_read_with_the_key_only() -> None:
    owner = POOL.owner(BOB)
    assert (POOL.owner(BOB), POOL.aor(owner)) == (owner, BOB)
    assert "bob" not in owner
    assert [OTHER.aor(owner), POOL.aor("x"), POOL.aor("ü"), POOL.aor("")] == [""] * 4


def test_row_is_opened_at_its_place_only() -> None:
    bob = POOL.of(BOB, 5)
    place = (7, bob.conversation("alice@example.test"))
    sealed = bob.sealed(b"hello", *place)
    assert bob.opened(sealed, *place) == b"hello"
    assert b"hello" not in sealed
    assert bob.sealed(b"hello", *place) != sealed
    wrong = (
        bob.opened(sealed, 8, place[1]),
        bob.opened(sealed, 7, bob.conversation("carol@example.test")),
        bob.opened(sealed[:-1], *place),
        bob.opened(b"", *place),
        POOL.of(BOB, 6).opened(sealed, *place),
        POOL.of("sip:carol@example.test", 5).opened(sealed, *place),
        OTHER.of(BOB, 5).opened(sealed, *place),
    )
    assert set(wrong) == {None}


@pytest.mark.parametrize("name", ["conversation", "source"])
def test_hashes_of_names_differ_between_users_and_pools(name: str) -> None:
    alice = "alice@example.test"
    hashes = [getattr(cipher.of(aor, 5), name)(alice) for cipher in (POOL, OTHER) for aor in (BOB, "sip:carol@x.test")]
    assert len(set(hashes)) == 4
    assert POOL.of(BOB, 5).conversation("Alice@Example.test") == POOL.of(BOB, 5).conversation(alice)


def test_message_to_oneself_has_two_keys() -> None:
    bob = POOL.of(BOB, 5)
    assert bob.key(b"m", is_mine=True) != bob.key(b"m", is_mine=False)
