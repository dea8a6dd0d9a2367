"""A changed field is written with both values; names by what was added, removed and put into another order."""

from __future__ import annotations

from sipmesh.topology.document.parts.services import Presence
from sipmesh.topology.document.parts.stores import Messages
from sipmesh.topology.document.watching import Watching
from sipmesh.topology.versions.part_changes.field_changes import from_to, list_fields, list_names, order_changes, spell


def test_field_without_words_is_listed_by_its_name() -> None:
    old, new = Messages(), Messages(per_user=7, lifetime_days=3)
    words = {"lifetime_days": None}
    assert list(list_fields("", old, new, words)) == ["per user changes from 200 to 7"]
    assert list(list_fields("pool x", old, new, words)) == ["pool x's per user changes from 200 to 7"]
    assert list(list_fields("", old, old, {})) == []


def test_missing_value_has_a_text() -> None:
    assert from_to("site", "none")("pool x", None, "berlin") == "pool x's site changes from none to berlin"
    assert (spell((), "none"), spell(("a", "b"), "none")) == ("none", "a, b")
    assert spell(Presence(inside=Watching.BLOCK), "none") == "inside block, partners block"


def test_names_are_added_removed_and_ordered() -> None:
    lines = list_names(["a", "b", "c"], ["c", "b", "d"], "{} comes".format, "{} goes".format, "the names")
    assert list(lines) == ["a goes", "d comes", "the order of the names changes to c, b"]
    assert list(order_changes(["a", "b"], ["a", "x", "b"], "the names")) == []
