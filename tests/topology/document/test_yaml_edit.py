"""Splices: the change is made, and every other character stays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import LocalError
from sipmesh.topology.document.yaml_edit import append, remove, written
from sipmesh.topology.document.yaml_tree import parse

if TYPE_CHECKING:
    from sipmesh.topology.document.yaml_tree import Loc


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: [x]\n", "a: [x, new]\n"),
        ("a: []\n", "a: [new]\n"),
        ("a: [x, ]  # c\n", "a: [x, new]  # c\n"),
        ("a:  # why\n  - x  # one\n# b's own\nb: 1\n", "a:  # why\n  - x  # one\n  - new\n# b's own\nb: 1\n"),
        ("a:\n- x\nb: 1\n", "a:\n- x\n- new\nb: 1\n"),
        ("a:\n    - x", "a:\n    - x\n    - new\n"),
        ("a:\n  - x\n\n\nb: 1\n", "a:\n  - x\n  - new\n\n\nb: 1\n"),
        ("a:\n  - k: v  # of x\n    l: w  # last\nb: 1\n", "a:\n  - k: v  # of x\n    l: w  # last\n  - new\nb: 1\n"),
        ("a:   # none yet\nb: 1\n", "a: [new]   # none yet\nb: 1\n"),
        ("b: 1  # end\n", "b: 1  # end\na: [new]\n"),
        ("{b: 1}\n", "{b: 1, a: [new]}\n"),
        ("a:\r\n  - x\r\nb: 1\r\n", "a:\r\n  - x\r\n  - new\r\nb: 1\r\n"),
        ("# ünïcode 🎉\na:\n  - x\n", "# ünïcode 🎉\na:\n  - x\n  - new\n"),
    ],
)
def test_an_item_is_added_behind_the_others_and_nothing_else_moves(before: str, after: str) -> None:
    assert append(before, ("a",), "new") == after


def test_missing_keys_come_into_being() -> None:
    assert append("x: 1\n", ("a", "b"), "new") == "x: 1\na: {b: [new]}\n"
    assert append("x: 1\na:\n  c: 1\n", ("a", "b"), "new") == "x: 1\na:\n  c: 1\n  b: [new]\n"


@pytest.mark.parametrize(
    ("before", "number", "after"),
    [
        ("a: [x, y, z]  # c\n", 1, "a: [x, z]  # c\n"),
        ("a: [x, y]\n", 0, "a: [y]\n"),
        ("a: [x, y]\n", 1, "a: [x]\n"),
        ("a: [x]\n", 0, "a: []\n"),
        ("a:\n  - x\n  # why y\n  - y  # gone\nb: 1\n", 1, "a:\n  - x\n  # why y\nb: 1\n"),
        ("a:\n  - x\n  # about b\nb: 1\n", 0, "a: []\n  # about b\nb: 1\n"),
        ("a:\n  # only\n  - k: v\n    l: w\nb: 1\n", 0, "a: []\n  # only\nb: 1\n"),
    ],
)
def test_an_item_is_taken_out_and_nothing_else_moves(before: str, number: int, after: str) -> None:
    assert remove(before, ("a", number)) == after


@pytest.mark.parametrize(
    ("text", "loc"),
    [
        ("a: [x  # one\n  ]\n", ("a",)),  # a comment between the last item and the bracket
        ("a: x\n", ("a",)),
        ("a: &l [x]\nb: *l\n", ("a",)),  # it would change b as well
        ("- a\n", ("a",)),
        ("a: [\n", ("a",)),
    ],
)
def test_what_cannot_be_spliced_safely_is_given_up(text: str, loc: Loc) -> None:
    with pytest.raises(LocalError):
        append(text, loc, "new")


@pytest.mark.parametrize("loc", [("a", 5), ("b", 0), ("a",)])
def test_what_is_not_there_cannot_be_removed(loc: Loc) -> None:
    with pytest.raises(LocalError):
        remove("a: [x]\n", loc)


@given(st.recursive(st.text(max_size=12), lambda inner: st.lists(inner, max_size=3), max_leaves=6))
def test_whatever_is_written_is_read_back(value: object) -> None:
    """Quotes, colons, braces, numbers and truths in disguise."""
    try:
        text = append("a: []\n", ("a",), value)
    except LocalError:
        assert not written(value).isprintable() or not written(value).isascii()
    else:
        plain = parse(text.encode(), Path("x"))[0].plain()
        assert isinstance(plain, dict)
        assert len(plain["a"]) == 1
