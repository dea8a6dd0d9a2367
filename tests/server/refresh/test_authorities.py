"""Which authorities a server needs: its own, and on an edge those of the partners."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.refresh.authorities import authorities_for
from sipmesh.topology.document.load import Loaded
from sipmesh.trust.role import Role
from support.network import PARTNER, copied, federate


@pytest.fixture(name="loaded")
def _loaded(example: Organisation, partner_model: Organisation, tmp_path: Path) -> Loaded:
    federate(example, copied(partner_model, tmp_path / "p"))
    return example.load()


@pytest.mark.parametrize(
    ("role", "owners"),
    [
        (Role.FRONT_END, [""]),
        (Role.APPLICATION, [""]),
        (Role.MANAGEMENT, [""]),
        (Role.EDGE, ["", PARTNER]),
    ],
)
def test_only_an_edge_needs_the_authorities_of_partners(loaded: Loaded, role: Role, owners: list[str]) -> None:
    assert [one.owner for one in authorities_for(role, loaded)] == owners


def test_each_authority_has_its_own_entry_and_files(loaded: Loaded) -> None:
    ours, theirs = authorities_for(Role.EDGE, loaded)
    assert ours.entry is loaded.topology.authority
    assert theirs.entry is loaded.topology.federation.partners[0]
    assert (ours.authority, theirs.authority) == (loaded.authority, loaded.partners[0])
    for one in (ours, theirs):
        assert [crl_file.name for crl_file in one.files.files] == list(one.entry.crls)
