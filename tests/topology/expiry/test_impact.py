"""What stops when a certificate or a list ends, and the command that helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipmesh.topology.expiry.impact import (
    issuing_stops,
    list_command,
    list_stops,
    lost,
    managers,
    partner_command,
    partner_stops,
    root_stops,
    server_command,
    server_stops,
    signer_stops,
)
from topology.world import Place

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology

FE1, FE3, EDGE, BOT = "fe1.example.test", "fe3.example.test", "edge1.example.test", "bot.example.test"
MGMT = "mgmt.example.test"


@pytest.fixture(name="topology")
def _topology(place: Place) -> Topology:
    return place.load().topology


def stops(topology: Topology, name: str, *, outside: bool = False, also_outside: bool = False) -> str:
    return server_stops(topology, name, outside=outside, also_outside=also_outside)


def test_pool_goes_on_with_the_other_servers(topology: Topology) -> None:
    told = stops(topology, FE1)
    assert told.startswith("phones and servers ")
    assert "fe2.example.test" in told


def test_users_cannot_log_in_without_the_only_front_end(topology: Topology) -> None:
    assert "users of pool2.example.test" in stops(topology, FE3)


def test_partners_are_cut_off_without_the_only_edge(topology: Topology) -> None:
    assert "2 partners" in stops(topology, EDGE, also_outside=True)
    assert "2 partners" in stops(topology, EDGE, outside=True)
    inside_only = stops(topology, EDGE)
    assert "2 partners" not in inside_only
    assert "cannot reach partners" in inside_only


def test_only_application_of_a_pool_affects_its_pool_only(topology: Topology) -> None:
    assert "bot.example.test has no other server" in stops(topology, BOT)


def test_pools_behind_the_only_server_lose_their_next_hop(topology: Topology) -> None:
    pool = topology.pool_of(FE1)
    assert pool is not None
    told = "; ".join(lost(topology, pool, outside=False, also_outside=False))
    assert "2 pools" in told
    assert "sip.example.test" in told
    assert "bot.example.test" in told


def test_unknown_server_has_no_effect(topology: Topology) -> None:
    assert stops(topology, "fe9.example.test").startswith("no effect")


def test_nothing_is_published_without_the_signer(place: Place) -> None:
    place.spoil(("pools:\n", f"pools:\n  - {{name: {MGMT}, role: management, servers: [{MGMT}]}}\n"))
    topology = place.load().topology
    assert managers(topology) == [MGMT]
    assert "no version can be published" in signer_stops(topology, MGMT)
    assert MGMT in signer_stops(topology, "former.example.test")


def test_certificates_are_refused_without_their_ca() -> None:
    assert FE1 in issuing_stops([FE1])
    assert issuing_stops([]).endswith("its own end")
    assert "CN=New" in root_stops(["CN=New"])
    assert root_stops([]) != root_stops(["CN=New"])
    assert "CN=New" in partner_stops("partner.test", ["CN=New"])
    assert "partner.test" in partner_stops("partner.test", [])


def test_expired_crl_stops_new_links_of_certificates_that_need_it() -> None:
    assert "partner.test" in list_stops("CN=Issuing", "partner.test")
    assert "every server" in list_stops("CN=Issuing", "")


def test_command_is_the_one_for_where_the_key_lies() -> None:
    assert list_command("") == "sipmesh ca crl"
    assert "partner.test" in list_command("partner.test")
    assert server_command(FE1, "servers/fe1.pem", outside=False) == f"sipmesh ca issue {FE1}"
    assert "servers/edge.pem" in server_command(EDGE, "servers/edge.pem", outside=True)
    assert f"sipmesh join request {FE1}" in server_command(FE1, "x", outside=False, elsewhere=True)
    assert "partner.test" in partner_command("partner.test")
