"""Which of our edges probe a partner; a real probe is in `cli/test_federation.py`."""

from __future__ import annotations

import pytest

from cli.world import Organisation
from sipmesh.cli.place import Place
from sipmesh.cli.topology.partner_probe import edges_of
from sipmesh.errors import OperatorError
from sipmesh.topology.document.load import load


def test_network_without_an_edge_has_nothing_to_probe_from(organisation: Organisation) -> None:
    probed = organisation.type("partner", "probe", "partner.test")
    assert probed.code == 1
    assert "sipmesh topology add pool --role edge" in probed.err


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


def test_partner_that_cannot_be_reached_is_reported_by_stage(organisation: Organisation) -> None:
    assert organisation.type("topology", "add", "pool", "--role", "edge").code == 0
    assert organisation.type("ca", "issue", "edge1.example.com").code == 0
    organisation.publish("an edge")
    assert Place(organisation.file).in_force().topology.federation.route == "sip.example.com"
    probed = organisation.type("partner", "probe", "127.0.0.1:1", "--json")
    assert (probed.code, probed.json["good"]) == (1, False)
    [stage] = probed.json["edges"]["edge1.example.com"]["stages"]
    assert (stage["stage"], stage["passed"]) == ("TCP", False)
    assert organisation.type("topology", "add", "server", "--pool", "sip", "--address", "127.0.0.1").code == 0
    organisation.publish("a second edge, on another machine")
    told = organisation.type("partner", "probe", "127.0.0.1:1")
    assert "✗ TCP" in told.out
    assert "Not probed from edge2.example.com" in told.out
