"""The presets of public CAs are listed, with what has changed since a partner was added."""

from __future__ import annotations

from pathlib import Path

from cli.public_ca import ROOTS, trust
from cli.topology.test_trusted_authority import add
from cli.world import Organisation, sipmesh


def test_presets_are_listed_without_a_topology(tmp_path: Path, system: Path) -> None:
    listed = sipmesh("partner", "presets", "--json", topology=tmp_path / "topology.yaml")
    assert listed.code == 0
    assert listed.json["sources"] == {"roots": "there", "crl_hosts": "there"}
    (preset,) = listed.json["presets"]
    assert (preset["name"], preset["missing"], preset["crl_hosts"]) == (
        "public",
        ["CN=Public Root 2"],
        ["*.c.public.test"],
    )
    assert listed.json["faults"] == []


def test_root_that_leaves_the_system_is_a_fault(open_: Organisation, system: Path) -> None:
    """The control: with the root there, the exit code is 0."""
    assert add(open_, "public").code == 0
    assert open_.type("partner", "presets").code == 0
    trust(system, ROOTS[0])
    listed = open_.type("partner", "presets")
    assert listed.code == 1
    assert (
        "partner partner.test is trusted by CN=Public Root 1 of public, which this system does not trust" in listed.out
    )
    assert "CN=Public Root 1" in open_.type("doctor").out
