"""Which of our edges a command can connect as: those with their key on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.world import Organisation, sipmesh
from sipmesh.cli.diagnosis.edges_here import edges_of
from sipmesh.errors import OperatorError
from sipmesh.topology.document.load import load


def test_network_without_an_edge_pool_has_none(organisation: Organisation) -> None:
    with pytest.raises(OperatorError, match="sipmesh topology add pool --role edge"):
        edges_of(load(organisation.file), "")


def test_edges_of_other_machines_are_named(organisation: Organisation) -> None:
    assert organisation.type("topology", "add", "pool", "--role", "edge", "--server", "e1", "--server", "e2").code == 0
    loaded = load(organisation.file)
    with pytest.raises(OperatorError, match=r"key of none of these servers: e1\.example\.com, e2\.example\.com; run"):
        edges_of(loaded, "")
    assert organisation.type("ca", "issue", "e2.example.com").code == 0
    assert edges_of(loaded, "") == (["e2.example.com"], ["e1.example.com"])
    assert edges_of(loaded, "e2.example.com") == (["e2.example.com"], [])
    with pytest.raises(OperatorError, match=r"e1\.example\.com"):
        edges_of(loaded, "fe1.example.com")


def test_trunk_is_reached_from_its_gateway_and_a_partner_from_an_edge(
    organisation: Organisation, tmp_path: Path
) -> None:
    """A network may have trunks and no edge."""
    assert sipmesh("init", "sbc.test", "--dir", tmp_path / "t").code == 0
    trunk = organisation.file.parent / "partners"
    trunk.mkdir()
    for name in ("root.pem", "root.crl", "issuing.crl"):
        (trunk / name).write_bytes((tmp_path / "t" / "ca" / name).read_bytes())
    assert organisation.type("topology", "add", "pool", "--role", "gateway").code == 0
    entry = "domains: [sbc.test], third_party: true, anchors: [partners/root.pem]"
    lists = "crls: [partners/root.crl, partners/issuing.crl], trunk: {gateway: gw.example.com, carries: ['+']}"
    with organisation.file.open("a") as file:
        file.write(f"federation:\n  partners:\n    - {{{entry}, {lists}}}\n")
    assert organisation.type("ca", "issue", "gate1.example.com").code == 0
    loaded = load(organisation.file)
    assert edges_of(loaded, "", "sbc.test") == (["gate1.example.com"], [])
    with pytest.raises(OperatorError, match="no edge pool for partners"):
        edges_of(loaded, "", "partner.test")
