"""Splices: the change is made, and every other character stays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import LocalError, OperatorError
from sipmesh.topology.document.yaml_edit import append, at_most, drop, put, remove, rewritten, written
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
def test_item_is_appended_and_the_rest_stays(before: str, after: str) -> None:
    assert append(before, ("a",), "new") == after


def test_comment_below_the_last_item_stays_with_it() -> None:
    """As a server that `sipmesh init` writes in a comment: without its ``#`` it must still be in its pool."""
    pools = "pools:\n  - name: a\n    servers:\n      - x\n      #- y\n  # the next pool\nb: 1\n"
    with_pool = append(pools, ("pools",), {"name": "z"})
    with_key = put(pools, ("pools", 0, "after"), 20)
    assert with_pool == pools.replace("  # the next", "  - {name: z}\n  # the next")
    assert with_key == pools.replace("  # the next", "    after: 20\n  # the next")
    assert append(pools, ("pools", 0, "servers"), "w") == pools.replace("      #- y", "      - w\n      #- y")


def test_missing_keys_are_added() -> None:
    assert append("x: 1\n", ("a", "b"), "new") == "x: 1\na:\n  b: [new]\n"
    assert append("x: 1\na:\n  c: 1\n", ("a", "b"), "new") == "x: 1\na:\n  c: 1\n  b: [new]\n"


PARTNER = {
    "domains": ["new.test"],
    "edge": "sip.new.test:5081",
    "crls": ["partners/d/root.crl", "partners/d/issuing.crl"],
}
BLOCK = "- domains: [new.test]\n  edge: sip.new.test:5081\n  crls: [partners/d/root.crl, partners/d/issuing.crl]\n"


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
def test_item_is_removed_and_the_rest_stays(before: str, number: int, after: str) -> None:
    assert remove(before, ("a", number)) == after


@pytest.mark.parametrize(
    ("text", "loc"),
    [
        ("a: [x  # one\n  ]\n", ("a",)),  # a comment between the last item and the bracket
        ("a: x\n", ("a",)),
        ("a: &l [x]\nb: *l\n", ("a",)),  # it would change b too
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


@pytest.mark.parametrize(
    ("before", "loc", "value", "after"),
    [
        ("a: x  # c\nb: 1\n", ("a",), "new", "a: new  # c\nb: 1\n"),
        ("a: {b: x, c: y}\n", ("a", "b"), "new", "a: {b: new, c: y}\n"),
        ("a: {b: x}  # c\n", ("a", "c"), 5, "a: {b: x, c: 5}  # c\n"),
        ("a: {}  # c\n", ("a", "b"), "new", "a: {b: new}  # c\n"),
        ("a:  # c\nb: 1\n", ("a",), "new", "a: new  # c\nb: 1\n"),
        ("a:  # c\nb: 1\n", ("a", "d"), "new", "a: {d: new}  # c\nb: 1\n"),
        ("a:\n  b: 1\n# end\n", ("x", "y"), "new", "a:\n  b: 1\n# end\nx:\n  y: new\n"),
        ("a: [x, y]  # c\n", ("a", 0), {"name": "x", "k": 1}, "a: [{name: x, k: 1}, y]  # c\n"),
        ("a:\n  - x  # one\n  - y\n", ("a", 0), {"k": 1}, "a:\n  - {k: 1}  # one\n  - y\n"),
        ("a:\n  - k: v  # c\n    l: w\n", ("a", 0, "k"), "new", "a:\n  - k: new  # c\n    l: w\n"),
        ("a:\n  - k: v\n", ("a", 0, "m"), [1, 2], "a:\n  - k: v\n    m: [1, 2]\n"),
        ("a:\n  - x\n  - y  # last\nb: 1\n", ("a",), "new", "a: new  # last\nb: 1\n"),
        ("a:\n- k: v\n", ("a", 0), {"s": [{"n": [1]}], "t": 2}, "a:\n- s:\n    - n: [1]\n  t: 2\n"),
    ],
)
def test_value_is_set_and_the_rest_stays(before: str, loc: Loc, value: object, after: str) -> None:
    assert put(before, loc, value) == after


@pytest.mark.parametrize(
    ("before", "loc", "after"),
    [
        ("a: {b: x, c: y}\n", ("a", "b"), "a: {c: y}\n"),
        ("a: {b: x, c: y}  # c\n", ("a", "c"), "a: {b: x}  # c\n"),
        ("a: {b: x}\n", ("a", "b"), "a: {}\n"),
        ("a:\n  b: x  # of b\n  # of c\n  c: y\n", ("a", "b"), "a:\n  # of c\n  c: y\n"),
        ("a:\n  - b: x\n    c: y\n", ("a", 0, "b"), "a:\n  - c: y\n"),
        ("a:\n  - b: x\n    c:\n      - y\nd: 1\n", ("a", 0, "c"), "a:\n  - b: x\nd: 1\n"),
        ("a:\n  b: x\nd: 1\n", ("a", "b"), "a: {}\nd: 1\n"),
        ("a: 1\nb:\n", ("b",), "a: 1\n"),
    ],
)
def test_key_is_removed_and_the_rest_stays(before: str, loc: Loc, after: str) -> None:
    assert drop(before, loc) == after


@pytest.mark.parametrize("loc", [("b",), ("a", 0), ("a", "x", "y")])
def test_missing_key_cannot_be_removed(loc: Loc) -> None:
    with pytest.raises(LocalError):
        drop("a: [x]\n", loc)


@pytest.mark.parametrize("loc", [("a", 5), ("b",), ("c", "d"), ("a", 0, "k")])
def test_value_cannot_be_set_where_another_would_change(loc: Loc) -> None:
    with pytest.raises(LocalError):
        put("a: &l [x]\nb: *l\nc: 1\n" if loc != ("b",) else "a: &l [x]\n? [b]\n: 1\n- x\n", loc, "new")


def test_document_is_written_again_without_comments() -> None:
    text = "a: [x  # one\n  ]\nb:\n  - c: {d: [1, 2]}\ne: |\n  f\n"
    assert rewritten(text) == 'a: [x]\nb:\n  - c:\n      d: [1, 2]\ne: "f\\n"\n'
    with pytest.raises(LocalError):
        rewritten("- a\n")


KEYS = st.text("abc", min_size=1, max_size=3)


@given(
    st.dictionaries(KEYS, st.text(max_size=8) | st.dictionaries(KEYS, st.text(max_size=8))), KEYS, st.text(max_size=20)
)
def test_value_that_is_set_is_read_back(value: dict[str, object], key: str, new: str) -> None:
    try:
        text = put("x:\n  a: []  # c\n", ("x", "a"), value)
        text = put(text, ("x", "a", key), new)
    except LocalError:
        assert not written([value, new]).isprintable() or not written([value, new]).isascii()
    else:
        assert parse(text.encode(), Path("x"))[0].plain() == {"x": {"a": {**value, key: new}}}
        assert "# c" in text
        assert drop(text, ("x", "a", key))


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
def test_all_that_is_written_is_read_back(value: object) -> None:
    """Quotes, colons, braces, numbers and truths in disguise."""
    try:
        text = append("a: []\n", ("a",), value)
    except LocalError:
        assert not written(value).isprintable() or not written(value).isascii()
    else:
        plain = parse(text.encode(), Path("x"))[0].plain()
        assert isinstance(plain, dict)
        assert len(plain["a"]) == 1


def test_edits_read_only_as_many_octets_as_they_may() -> None:
    """The first edit of a large text is always made, and nothing counts outside of the block."""
    text = "a: [x]\n"
    with at_most(2 * len(text)):
        for _ in range(2):
            text = append(text, ("a",), "x")
        with pytest.raises(OperatorError, match="at too many places for one request"):
            append(text, ("a",), "x")
    for _ in range(9):
        text = append(text, ("a",), "x")
    with at_most(0):
        append(text, ("a",), "x")
