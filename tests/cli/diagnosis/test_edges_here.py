"""Which of our edges a command can connect as: those with their key on this machine."""

from __future__ import annotations

import pytest

from cli.world import Organisation
from sipmesh.cli.diagnosis.edges_here import edges_of
from sipmesh.errors import OperatorError
from sipmesh.topology.document.load import load


def test_network_without_an_edge_pool_has_none(organisation: Organisation) -> None:
    with pytest.raises(OperatorError, match="sipmesh topology add pool --role edge"):
        edges_of(load(organisation.file), "")


def test_edges_of_other_machines_are_named(organisation: Organisation) -> None:
    assert organisation.type("topology", "add", "pool", "--role", "edge", "--server", "e1", "--server", "e2").code == 0
    loaded = load(organisation.file)
    with pytest.raises(OperatorError, match=r"key of none of these edges: e1\.example\.com, e2\.example\.com; run"):
        edges_of(loaded, "")
    assert organisation.type("ca", "issue", "e2.example.com").code == 0
    assert edges_of(loaded, "") == (["e2.example.com"], ["e1.example.com"])
    assert edges_of(loaded, "e2.example.com") == (["e2.example.com"], [])
    with pytest.raises(OperatorError, match=r"e1\.example\.com"):
        edges_of(loaded, "fe1.example.com")
