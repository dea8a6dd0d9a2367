"""The delegates of users in memory."""

from __future__ import annotations

from sipmesh.storage.delegate_index import DelegateIndex

ALICE, BOB, CAROL = "sip:alice@example.test", "sip:bob@example.test", "sip:carol@example.test"


def test_delegate_of_two_users_calls_for_both() -> None:
    index = DelegateIndex()
    index.put(ALICE, [CAROL, CAROL])
    index.put(BOB, [CAROL, ALICE])
    assert index.bosses(CAROL) == {ALICE, BOB}
    assert index.bosses(ALICE) == {BOB}
    assert (len(index.bosses(BOB)), len(index)) == (0, 2)


def test_new_delegates_replace_the_old_delegates() -> None:
    index = DelegateIndex()
    index.put(ALICE, [CAROL])
    index.put(BOB, [CAROL])
    index.put(ALICE, [BOB])
    assert index.bosses(CAROL) == {BOB}
    assert index.bosses(BOB) == {ALICE}
    index.put(ALICE, [])
    index.put(BOB, [])
    assert (len(index.bosses(CAROL)), len(index.bosses(BOB)), len(index)) == (0, 0, 0)


def test_copy_is_independent() -> None:
    index = DelegateIndex()
    index.put(ALICE, [CAROL])
    copy = index.copy()
    copy.put(ALICE, [])
    assert index.bosses(CAROL) == {ALICE}
    assert not copy.bosses(CAROL)
