"""What was read is added to a draft; what cannot be added is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
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
            "edge.example.net: the draft has 3 front-end pools; add --next-hop with one of: pool1.example.test,"
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
