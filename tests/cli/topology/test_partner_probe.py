"""Which of our edges probe a partner; a real probe is in `cli/test_federation.py`."""

from __future__ import annotations

from cli.world import Organisation
from sipmesh.cli.place import Place


def test_network_without_an_edge_has_nothing_to_probe_from(organisation: Organisation) -> None:
    probed = organisation.type("partner", "probe", "partner.test")
    assert probed.code == 1
    assert "sipmesh topology add pool --role edge" in probed.err


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
