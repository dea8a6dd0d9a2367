"""What was read is added to a draft; what cannot be added is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sipmesh.errors import LocalError, OperatorError
from sipmesh.topology.builder.additions import NewPool, NewServer
from sipmesh.topology.builder.importing.imported import (
    LARGEST_FILE,
    MOST_LEFT,
    Imported,
    add_imported,
    read_file,
    site_label,
)
from sipmesh.topology.builder.outline import Outline
from sipmesh.topology.document import yaml_edit
from sipmesh.trust.role import Role
from topology.world import TOPOLOGY

FILE = Path("imported.yaml")


def test_parts_are_added_beside_those_of_the_draft() -> None:
    imported = Imported(
        domains=["example.test", "example.net"],
        sites=["berlin"],
        pools=[
            NewPool(Role.FRONT_END, "new.example.net", [NewServer("a.example.net")], site="berlin"),
            NewPool(Role.EDGE, "sip.example.test"),
            NewPool(Role.EDGE, "edge.example.net"),
        ],
        partners=[{"domains": ["third.test"], "anchors": ["x.pem"], "crls": ["x.crl"]}, {"edge": "partner"}],
    )
    outline = Outline(add_imported(TOPOLOGY, imported, FILE), FILE)
    assert [entry.name for entry in outline.domains] == ["example.test", "example.net"]
    assert outline.pools[-1].value == {
        "name": "new.example.net",
        "role": "front-end",
        "site": "berlin",
        "servers": ("a.example.net",),
    }
    assert outline.partner("third.test").value["anchors"] == ("x.pem",)
    assert imported.left == [
        "example.test: the draft has it already",
        "sip.example.test: the draft has it already",
        (
            "edge.example.net: the draft has 3 front-end pools; choose one as its next hop: pool1.example.test,"
            " pool2.example.test, new.example.net"
        ),
    ]


def test_draft_that_cannot_be_edited_keeps_its_text() -> None:
    text, imported = "sip_domains: [a.test  # why\n  ]\n", Imported(domains=["b.test"])
    assert add_imported(text, imported, FILE) == text
    assert "it cannot be written" in imported.left[0]


@pytest.mark.parametrize(
    ("name", "label"), [("Redmond (US)", "redmond-us"), ("Zürich", "z-rich"), ("???", ""), ("x" * 80, "x" * 63)]
)
def test_site_gets_a_short_name(name: str, label: str) -> None:
    assert site_label(name) == label


@pytest.mark.parametrize(("size", "refused"), [(LARGEST_FILE, False), (LARGEST_FILE + 1, True)])
def test_file_has_a_largest_size(tmp_path: Path, size: int, *, refused: bool) -> None:
    (tmp_path / "x").write_bytes(b"x" * size)
    if refused:
        with pytest.raises(OperatorError, match="is larger than"):
            read_file(tmp_path / "x")
    else:
        assert len(read_file(tmp_path / "x")) == size
    with pytest.raises(OperatorError, match="cannot be read"):
        read_file(tmp_path / "none")


def test_list_of_what_is_left_is_bounded() -> None:
    imported = Imported()
    for n in range(MOST_LEFT + 5):
        imported.leave(f"part {n}", "it has no counterpart")
    assert len(imported.left) == MOST_LEFT + 1


def test_pools_of_an_import_are_written_at_once() -> None:
    """Each edit reads the whole draft: one for each pool would make the import of a large network take minutes."""
    pools = [NewPool(Role.FRONT_END, f"p{n}.example.test", [NewServer(f"s{n}.example.test")]) for n in range(200)]
    with yaml_edit.at_most(0):  # the first edit alone
        outline = Outline(add_imported(TOPOLOGY, Imported(pools=pools), FILE), FILE)
    assert [pool.name for pool in outline.pools[-200:]] == [pool.name for pool in pools]


def test_pool_that_cannot_be_written_does_not_keep_the_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same pools with one whose text the draft would read as something else."""
    written = yaml_edit.extend

    def extend(text: str, loc: tuple[str | int, ...], items: Sequence[object]) -> str:
        if any("bad.example.test" in str(item) for item in items):
            raise LocalError("the splice would say something else")
        return written(text, loc, items)

    monkeypatch.setattr(yaml_edit, "extend", extend)
    names = [f"{name}.example.test" for name in ("a", "b", "bad", "c", "d")]
    imported = Imported(pools=[NewPool(Role.FRONT_END, name, [NewServer(f"s-{name}")]) for name in names])
    outline = Outline(add_imported(TOPOLOGY, imported, FILE), FILE)
    assert [pool.name for pool in outline.pools[-4:]] == [name for name in names if not name.startswith("bad")]
    assert imported.left == ["bad.example.test: it cannot be written (the splice would say something else)"]
