"""Places in the document as it was written, and parts that could not be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.checks.checked_document import CheckedDocument
from sipmesh.topology.document.parse import shape
from sipmesh.topology.document.report import ProblemReport
from sipmesh.topology.document.yaml_tree import parse

if TYPE_CHECKING:
    from topology.world import Place


def checked(place: Place) -> CheckedDocument:
    """The document of *place* during its checks."""
    root, _ = parse(place.file.read_bytes(), place.file)
    report = ProblemReport(place.file, root)
    shaped = shape(root, report)
    assert shaped.topology is not None
    report.root = shaped.root
    return CheckedDocument(shaped.topology, report, shaped.unread)


def test_each_server_has_its_place_and_pool(place: Place) -> None:
    found = [(loc, pool.name, server.name) for loc, pool, server in checked(place).servers()]
    assert found[:3] == [
        (("pools", 0, "servers", 0), "pool1.example.test", "fe1.example.test"),
        (("pools", 0, "servers", 1), "pool1.example.test", "fe2.example.test"),
        (("pools", 1, "servers", 0), "pool2.example.test", "fe3.example.test"),
    ]


def test_place_is_reported_with_its_line(place: Place) -> None:
    line = place.line("name: pool2.example.test")
    assert checked(place).place(("pools", 1, "name")) == f"pools[1].name on line {line}"


def test_part_that_could_not_be_read_is_not_missing(place: Place) -> None:
    """Its problem is reported already. What comes after it has another place than in the document."""
    place.spoil(("address: 127.0.0.1,", "address: nowhere,"))
    document = checked(place)
    assert document.is_unread(("pools", 0, "servers", 0, "address"))
    assert not document.is_unread(("pools", 1, "servers", 0, "address"))
    assert document.written(("pools", 1, "next_hop")) == ("pools", 1, "next_hop")
