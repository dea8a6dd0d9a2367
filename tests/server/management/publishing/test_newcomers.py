"""Servers and partners that a version adds break nothing before they have connected; each has its next command."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.management.publishing.newcomers import new_partners, new_servers, next_steps
from sipmesh.topology.document.load import Loaded
from support.network import BOT, FE1, PARTNER


@pytest.fixture(name="versions")
def _versions(example: Organisation) -> tuple[Loaded, Loaded]:
    """The example without, and with, a server on each kind of machine."""
    before = example.load()
    pools: Any = example.document["pools"]
    pools[0]["servers"] += ["fe9.example.test"]
    pools[0]["servers"] += [{"name": "fe8.example.test", "machine": "loopback", "ports": {"client": 1, "server": 2}}]
    pools[0]["servers"][-2] = {"name": "fe9.example.test", "machine": "loopback"}
    example.write()
    return before, example.load()


def test_servers_of_both_versions_are_not_new(versions: tuple[Loaded, Loaded]) -> None:
    before, after = versions
    assert new_servers(before, after) == {"fe8.example.test", "fe9.example.test"}
    assert new_servers(after, before) == frozenset()


def test_partner_is_new_if_none_of_its_domains_was_known(example: Organisation) -> None:
    """A partner with another edge is the same partner: its link worked before."""
    loaded = example.load()
    alone = loaded.topology.federation.model_copy(update={"partners": ()})
    without = replace(loaded, topology=loaded.topology.model_copy(update={"federation": alone}))
    names = {one.edge_address[0] if one.edge_address else one.name for one in loaded.topology.federation.partners}
    assert new_partners(without, loaded) == names
    moved = [one.model_copy(update={"edge": "other.example.net"}) for one in loaded.topology.federation.partners]
    other = loaded.topology.federation.model_copy(update={"partners": tuple(moved)})
    assert new_partners(loaded, replace(loaded, topology=loaded.topology.model_copy(update={"federation": other}))) == (
        frozenset()
    )


def test_each_kind_has_its_next_command(versions: tuple[Loaded, Loaded], example: Organisation) -> None:
    after = versions[1]
    assert next_steps(after, [FE1, "fe9.example.test"], [PARTNER]) == [
        f"{FE1} is not started yet: sipmesh serve {FE1}",
        "fe9.example.test is not started yet: on its machine: sipmesh join request fe9.example.test",
        f"{PARTNER} does not answer yet: sipmesh partner probe {PARTNER}",
    ]
    example.issue(BOT)
    assert next_steps(after, [BOT], ()) == [f"{BOT} is not started yet: start its program with its key and certificate"]
