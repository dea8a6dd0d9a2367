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
def test_item_is_appended_and_nothing_else_changes(before: str, after: str) -> None:
    assert append(before, ("a",), "new") == after


def test_missing_keys_are_added() -> None:
    assert append("x: 1\n", ("a", "b"), "new") == "x: 1\na:\n  b: [new]\n"
    assert append("x: 1\na:\n  c: 1\n", ("a", "b"), "new") == "x: 1\na:\n  c: 1\n  b: [new]\n"


PARTNER = {"domains": ["new.test"], "edge": "sip.new.test:5081", "crls": ["d/root.crl", "d/issuing.crl"]}
BLOCK = "- domains: [new.test]\n  edge: sip.new.test:5081\n  crls: [d/root.crl, d/issuing.crl]\n"


def indented(text: str, columns: int) -> str:
    return "".join(f"{' ' * columns}{line}" for line in text.splitlines(keepends=True))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a:\n  - x: 1  # old\nb: 1\n", "a:\n  - x: 1  # old\n" + indented(BLOCK, 2) + "b: 1\n"),
        ("a:   # none yet\n# b's own\nb: 1\n", "a:   # none yet\n" + indented(BLOCK, 2) + "# b's own\nb: 1\n"),
        ("a: []  # none yet\nb: 1\n", "a:  # none yet\n" + indented(BLOCK, 2) + "b: 1\n"),
        ("b: 1\n", "b: 1\na:\n" + indented(BLOCK, 2)),
    ],
)
def test_mapping_with_lists_is_written_as_a_block_with_a_key_a_line(before: str, after: str) -> None:
    """As a person would write it; and every comment stays."""
    assert append(before, ("a",), PARTNER) == after


def test_short_mapping_of_plain_values_stays_on_its_line() -> None:
    item = {"name": "fe2.example.test", "ports": {"server": 5064}}
    assert append("a:\n  - x\n", ("a",), item) == "a:\n  - x\n  - {name: fe2.example.test, ports: {server: 5064}}\n"


def test_list_that_is_too_long_for_a_line_has_an_item_a_line() -> None:
    names = [f"partners/new.test/a-rather-long-name-of-a-list-{number}.crl" for number in range(3)]
    lines = "".join(f"      - {name}\n" for name in names)
    assert append("a: []\n", ("a",), {"crls": names}) == f"a:\n  - crls:\n{lines}"


def test_mapping_goes_into_brackets_where_the_list_is_in_brackets() -> None:
    assert append("a: [x]\n", ("a",), {"b": ["c"]}) == "a: [x, {b: [c]}]\n"


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
def test_item_is_removed_and_nothing_else_changes(before: str, number: int, after: str) -> None:
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
def test_unsafe_edit_is_a_local_error(text: str, loc: Loc) -> None:
    with pytest.raises(LocalError):
        append(text, loc, "new")


@pytest.mark.parametrize("loc", [("a", 5), ("b", 0), ("a",)])
def test_missing_item_cannot_be_removed(loc: Loc) -> None:
    with pytest.raises(LocalError):
        remove("a: [x]\n", loc)


KEYS = st.text("abc", min_size=1, max_size=3)


@given(
    st.recursive(
        st.text(max_size=40), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner), max_leaves=8
    )
)
def test_block_that_is_written_is_read_back(value: object) -> None:
    """With `append`'s own check out of the way: it must hold by itself."""
    try:
        text = append("x:\n  a: []  # c\n", ("x", "a"), value)
    except LocalError:
        assert not written(value).isprintable() or not written(value).isascii()
    else:
        assert parse(text.encode(), Path("x"))[0].plain() is not None
        assert "# c" in text


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
