"""The aliases of users in memory."""

from __future__ import annotations

import pytest

from sipmesh.storage.alias_index import AliasIndex

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
ONE, TWO = "tel:+491", "tel:+492"


def test_alias_has_one_user_and_a_user_has_all_aliases() -> None:
    index = AliasIndex()
    index.put(ALICE, [TWO, ONE])
    assert (index.owner(ONE), index.owner(TWO), index.owner("tel:+493")) == (ALICE, ALICE, "")
    assert (tuple(index.of(ALICE)), tuple(index.of(BOB)), len(index)) == ((ONE, TWO), (), 2)
    assert list(index.users()) == [ALICE]


def test_new_aliases_replace_the_old_aliases() -> None:
    index = AliasIndex()
    index.put(ALICE, [ONE])
    index.put(ALICE, [TWO])
    assert (index.owner(ONE), index.owner(TWO)) == ("", ALICE)
    index.put(ALICE, [])
    assert (len(index), list(index.users())) == (0, [])


def test_alias_that_moves_belongs_to_its_new_user_in_any_order_of_the_two_changes() -> None:
    """The parts of a document are in no order."""
    for users in ([ALICE, BOB], [BOB, ALICE]):
        index = AliasIndex()
        index.put(ALICE, [ONE])
        for aor in users:
            index.put(aor, [ONE] if aor == BOB else [])
        assert (index.owner(ONE), tuple(index.of(ALICE))) == (BOB, ())


def test_copy_is_independent() -> None:
    index = AliasIndex()
    index.put(ALICE, [ONE])
    index.copy().put(ALICE, [])
    assert index.owner(ONE) == ALICE


@pytest.mark.parametrize(
    ("word", "found"),
    [("li", [ALICE]), ("4930", [ALICE]), ("sip", []), ("tel", []), ("phone", []), ("example", []), ("desk", [BOB])],
)
def test_names_and_aliases_are_searched_without_what_all_of_them_have(word: str, found: list[str]) -> None:
    index = AliasIndex()
    index.put(ALICE, ["tel:+493012345"])
    index.put(BOB, ["sip:desk@example.test", "tel:77;phone-context=example.test"])
    assert list(index.matching([ALICE, BOB], word, ["example.test"])) == found
