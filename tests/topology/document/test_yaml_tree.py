"""The document as a tree: places are right, and no text does more than become a problem."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import OperatorError, Problem
from sipmesh.topology.document import yaml_tree
from sipmesh.topology.document.yaml_tree import YamlEntry, dotted, parse
from topology.world import TOPOLOGY

FILE = Path("topology.yaml")


def refusal(content: bytes) -> Problem:
    with pytest.raises(OperatorError) as refused:
        parse(content, FILE)
    (problem,) = refused.value.problems
    return problem


def tree(text: str) -> YamlEntry:
    root, problems = parse(text.encode(), FILE)
    assert problems == []
    return root


def test_every_value_has_its_line_and_path() -> None:
    root = tree("a: 1\npools:\n  - name: x\n    servers:\n      - y\n")
    assert root.at(("pools", 0, "servers", 0)).line == 5
    assert root.at(("pools", 0, "servers")).line == 4
    assert dotted(root.at(("pools", 0, "servers", 0)).path) == "pools[0].servers[0]"


def test_child_is_the_value_at_a_key_or_an_index() -> None:
    root = tree("a: text\npools: [x, y]\n")
    pools = root.child("pools")
    assert pools is not None
    found = [pools.child(step) for step in (0, 1, 2, -1, "0")]
    assert [entry and entry.value for entry in found] == ["x", "y", None, None, None]
    assert root.child(0) is root.child("b") is root.at(("a",)).child(0) is None


def test_missing_path_gives_the_nearest_entry_above() -> None:
    root = tree("a:\n  b: 1\n")
    assert root.at(("a", "c", "d")).path == ("a",)
    assert root.at(("a", "b", "d")).path == ("a", "b")


def test_values_are_texts_integers_and_booleans() -> None:
    given_ = tree("{a: x, b: 1, c: true, d: false, e: , f: 1.5, g: 2026-11-24, h: off, i: '1', j: 0x10, k: -1}").plain()
    assert given_ == {
        "a": "x",
        "b": 1,
        "c": True,
        "d": False,
        "e": None,
        "f": "1.5",
        "g": "2026-11-24",
        "h": "off",
        "i": "1",
        "j": "0x10",
        "k": "-1",
    }


def test_lists_become_tuples_and_aliases_are_written_out() -> None:
    assert tree("a: &x [1, 2]\nb: *x\n").plain() == {"a": (1, 2), "b": (1, 2)}


def test_a_key_given_twice_is_a_problem_with_both_lines() -> None:
    root, (problem,) = parse(b"a: 1\nb: 2\na: 3\n", FILE)
    assert (problem.line, problem.field) == (3, "a")
    assert "line 1" in problem.reason
    assert root.plain() == {"a": 1, "b": 2}


def test_a_tag_is_a_problem_and_constructs_nothing() -> None:
    _, (problem,) = parse(b"a: !!python/object/apply:os.system [id]\nb: !!python/name:os.system x\n", FILE)
    assert (problem.line, problem.field) == (2, "b")


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [1\nb: 2\n", 2), ("a: 1\n  b: 2\n", 2), ("a: 'x\n", 2), ("a: *x\n", 1), ("a: 1\n---\nb: 2\n", 2)],
)
def test_a_syntax_error_has_its_line(text: str, line: int) -> None:
    problem = refusal(text.encode())
    assert "not YAML" in problem.reason
    assert problem.line == line


def test_what_is_not_utf8_has_its_line() -> None:
    problem = refusal(b"a: 1\nb: \xff\n")
    assert (problem.line, problem.reason) == (2, "is not UTF-8")


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"---\n"])
def test_an_empty_document_is_a_problem(content: bytes) -> None:
    assert "is empty" in refusal(content).reason


def test_control_characters_are_a_problem() -> None:
    assert "not YAML" in refusal(b"a: \x00\n").reason


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(
            f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
        ),
    ],
)
def test_endless_and_exploding_aliases_are_a_problem(text: str) -> None:
    assert "with its aliases written out" in refusal(text.encode()).reason


def test_deep_nesting_is_a_problem_and_no_crash() -> None:
    assert "nested" in refusal(b"a: " + b"[" * 500 + b"]" * 500).reason


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_a_document_has_a_largest_size(tmp_path: Path, more: int, *, fits: bool) -> None:
    file = tmp_path / "topology.yaml"
    file.write_bytes(b"#" * (yaml_tree.LARGEST_DOCUMENT + more))
    if fits:
        assert len(yaml_tree.read(file)) == yaml_tree.LARGEST_DOCUMENT
    else:
        with pytest.raises(OperatorError, match="larger than"):
            yaml_tree.read(file)


def test_without_keeps_lines_and_paths_of_the_rest() -> None:
    root = tree("a: [x, y, z]\nb: 1\n").without(("a", 0))
    assert root.plain() == {"a": ("y", "z"), "b": 1}
    assert dotted(root.at(("a", 0)).path) == "a[1]"


@given(st.integers(0, len(TOPOLOGY)), st.integers(0, 8), st.text(max_size=8))
def test_any_change_of_a_topology_is_a_tree_or_a_refusal(at: int, gone: int, inserted: str) -> None:
    text = TOPOLOGY[:at] + inserted + TOPOLOGY[at + gone :]
    with suppress(OperatorError):
        root, _ = parse(text.encode("utf-8", "surrogatepass"), FILE)
        assert root.line >= 1


@given(st.text(alphabet="ab:-[]{},&*!|>'\"#% \n\t?@`0.\\", max_size=60))
def test_any_text_is_a_tree_or_a_refusal(text: str) -> None:
    with suppress(OperatorError):
        root, _ = parse(text.encode(), FILE)
        assert all(isinstance(found, str) for found in root.texts())


def test_document_is_parsed_once_and_its_problems_name_the_file_that_was_read() -> None:
    content = b"a: 1\na: 2\n"
    (first, problems), (again, theirs) = parse(content, FILE), parse(content, Path("other.yaml"))
    assert again is first
    assert [(problem.file, problem.line) for problem in (*problems, *theirs)] == [(FILE, 2), (Path("other.yaml"), 2)]


@pytest.mark.parametrize("longer", [0, 1])
def test_only_documents_of_a_bounded_size_are_remembered(longer: int) -> None:
    content = b"a: " + b"x" * (yaml_tree.LARGEST_REMEMBERED - 3 + longer)
    assert (parse(content, FILE)[0] is parse(content, FILE)[0]) is not bool(longer)
