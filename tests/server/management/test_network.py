"""Which servers get versions from management, and which of them are behind."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.management.network import Member, Network, Snapshot
from sipmesh.server.management.network_reply import encoded_status, network_reply
from sipmesh.server.management.own_faults import OwnFaults
from sipmesh.server.management.peer_statuses import MANAGEMENT_DATABASE, registrations_of
from sipmesh.server.management.replies import Acknowledgement, ManagerReply
from sipmesh.server.management.server_faults import Fault, Known
from sipmesh.server.management.server_reports import SILENT_S, ServerReports, StatusReport
from sipmesh.server.replication.link_fault import Cause, LinkFault
from sipmesh.server.replication.server_status import PeerFault, PeerKind, ServerStatus
from sipmesh.topology.view import ServerView, view
from sipmesh.trust.code import Code
from sipmesh.trust.role import Role
from sipmesh.typed_json import plain
from support.managed import MGMT, build_managed
from support.network import EDGE, EDGES, FE1, FE2, POOL
from support.running import on_loop

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class NoFaults:
    """What is wrong with the only management server: nothing."""

    def managers(self) -> list[ManagerReply]:
        """There is no pool."""
        return []

    def of_pool(self) -> list[Fault]:
        """See `OwnFaults`."""
        return []

    def of_databases(self) -> dict[str, Fault]:
        """See `OwnFaults`."""
        return {}

    def clocks_s(self) -> dict[str, float]:
        """See `OwnFaults`."""
        return {}


@dataclass
class Links:
    """The links of a management server: *linked* have subscribed; there is no link to the others. No dial reaches *unreached*."""

    linked: Collection[str] = field(default_factory=list)
    unreached: frozenset[str] = frozenset()

    def dial(self, servers: Iterable[str]) -> Callable[[], frozenset[str]]:
        """Say that a dial has failed to *unreached*."""
        dialled = frozenset(servers)
        return lambda: dialled & self.unreached

    def fault_of(self, server: str) -> LinkFault | None:
        """Return why there is no link; management keeps none to an edge."""
        return None if server in (*self.linked, EDGE) else LinkFault("connection refused", Cause.PORT_REFUSES)

    @property
    def own_faults(self) -> OwnFaults:
        """Nothing is wrong with management."""
        return cast("OwnFaults", NoFaults())


@dataclass
class Manager:
    """The management server in its topology."""

    view: ServerView


@pytest.fixture(name="manager", scope="module")
def _manager(tmp_path_factory: pytest.TempPathFactory) -> Manager:
    organisation: Organisation = build_managed(tmp_path_factory.mktemp("n") / "o")
    return Manager(view(organisation.load(), MGMT))


def network_of(
    manager: Manager, *linked: str, holding: dict[str, int], unreached: frozenset[str] = frozenset()
) -> tuple[Network, ServerReports]:
    """A network whose servers have reported these versions as in force."""
    reports = ServerReports()
    for name, number in holding.items():
        reports.record(name, ServerStatus(number=number), NOON, newest=2)
    return Network(manager, lambda: ServerStatus(number=2), reports, Links(linked, unreached)), reports


def test_members_are_front_ends_and_edges(manager: Manager) -> None:
    network, _ = network_of(manager, holding={})
    assert network.members() == [
        Member(FE1, POOL, Role.FRONT_END),
        Member(FE2, POOL, Role.FRONT_END),
        Member(EDGE, EDGES, Role.EDGE),
    ]
    assert list(network.front_ends()) == [FE1, FE2]


def test_server_with_an_older_version_and_server_without_a_report_are_missing(manager: Manager) -> None:
    network, _ = network_of(manager, holding={FE1: 2, FE2: 1})
    assert network.missing(2) == [FE2, EDGE]


@on_loop
async def test_acknowledgement_returns_with_the_last_report(manager: Manager) -> None:
    network, reports = network_of(manager, holding={FE1: 2, FE2: 2})
    waiting = asyncio.create_task(network.acknowledged(2, 60))
    await asyncio.sleep(0)
    assert not waiting.done()
    reports.record(EDGE, ServerStatus(number=2), NOON, newest=2)
    network.changed()
    assert await waiting == Acknowledgement(2, [], [], 3)


@on_loop
async def test_acknowledgement_names_the_servers_that_are_behind_when_the_time_is_up(manager: Manager) -> None:
    network, _ = network_of(manager, holding={FE1: 2, FE2: 1, EDGE: 2})
    assert await network.acknowledged(2, 0) == Acknowledgement(2, [FE2], [], 3)


@on_loop
async def test_acknowledgement_does_not_wait_for_a_server_that_joins_with_the_version(manager: Manager) -> None:
    network, _ = network_of(manager, holding={FE1: 2, FE2: 2})
    network.joins(frozenset({EDGE}))
    assert await network.acknowledged(2, 60) == Acknowledgement(2, [], [EDGE], 2)


@on_loop
async def test_server_of_an_older_version_is_not_awaited_until_it_has_reported_once(manager: Manager) -> None:
    """The control has reported: it runs, and has to confirm."""
    network, reports = network_of(manager, holding={FE1: 2, FE2: 2})
    network.joins(frozenset({EDGE}))
    network.joins(frozenset())
    assert await network.acknowledged(2, 0) == Acknowledgement(2, [], [EDGE], 2)
    reports.record(EDGE, ServerStatus(number=1), NOON, newest=2)
    assert await network.acknowledged(2, 0) == Acknowledgement(2, [EDGE], [], 3)


def refusing(code: str) -> ServerStatus:
    """The report of a front end that cannot reach the edge behind it."""
    fault = PeerFault(peer=EDGE, kind=PeerKind.SERVER, why="Connection refused", code=code)
    return ServerStatus(number=2, peer_faults=(fault,))


@on_loop
async def test_servers_that_were_never_started_are_missing_at_once(manager: Manager) -> None:
    network, reports = network_of(manager, holding={}, unreached=frozenset({FE2}))
    reports.record(FE1, refusing(Cause.PORT_REFUSES), NOON, newest=2)
    assert await asyncio.wait_for(network.acknowledged(2, 60), 30) == Acknowledgement(2, [FE2, EDGE], [], 3)


@pytest.mark.parametrize(
    ("number", "code", "unreached"), [(1, Cause.PORT_REFUSES, FE2), (2, Code.REVOKED, FE2), (2, Cause.PORT_REFUSES, "")]
)
@on_loop
async def test_servers_that_may_still_report_are_awaited(
    manager: Manager, number: int, code: str, unreached: str
) -> None:
    """The edge was tried before the version, or was reached; or a front end may still reach it."""
    network, reports = network_of(manager, holding={}, unreached=frozenset({unreached} - {""}))
    reports.record(FE1, refusing(code).model_copy(update={"number": number}), NOON, newest=2)
    waiting = asyncio.create_task(network.acknowledged(2, 60))
    await asyncio.sleep(0)
    assert not waiting.done()
    for name in (FE1, FE2, EDGE):
        reports.record(name, ServerStatus(number=2), NOON, newest=2)
    network.changed()
    assert await waiting == Acknowledgement(2, [], [], 3)


@on_loop
async def test_server_that_has_reported_is_awaited_while_it_starts_again(manager: Manager) -> None:
    network, _ = network_of(manager, holding={FE1: 2, FE2: 1, EDGE: 2}, unreached=frozenset({FE2}))
    waiting = asyncio.create_task(network.acknowledged(2, 60))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


@on_loop
async def test_status_has_every_server_with_its_faults(manager: Manager) -> None:
    network, _ = network_of(manager, FE1, holding={FE1: 2})
    status = network.status(2)
    members = {member.known.server: member for member in status.members}
    assert (status.version, status.manager, status.faults) == (2, MGMT, [])
    assert (members[FE1].known.linked, members[FE1].role) == (True, Role.FRONT_END)
    assert members[FE2].known.report is None
    assert "connection refused" in members[FE2].faults[0].what
    assert members[FE2].faults[0].code == Cause.NOT_STARTED


@on_loop
async def test_expired_crl_of_our_ca_is_one_fault_of_the_ca(manager: Manager) -> None:
    """The control is a server whose port refuses: a new CRL does not start it."""
    lapsed = PeerFault(peer="example.test", kind=PeerKind.CA, why="the CRL has expired", code=Cause.CRL_EXPIRED)
    ours = ServerStatus(number=2, peer_faults=(lapsed,), refuses_from=NOON, refuses_because="the end of the CRL")
    refused, down = LinkFault("expired", Code.REVOCATION_UNKNOWN), LinkFault("refused", Cause.PORT_REFUSES)
    report = StatusReport(ServerStatus(number=2), NOON)
    known = [
        (Member(name, POOL, Role.FRONT_END), Known(name, POOL, report, linked=False, unreadable={}, fault=fault))
        for name, fault in ((FE1, refused), (FE2, down))
    ]
    status = Snapshot(2, NOON, MGMT, ours, known, peers=[("example.test", PeerKind.CA)]).status()
    assert status.faulty == [(PeerKind.SERVER, Cause.PORT_REFUSES), (PeerKind.CA, Cause.CRL_EXPIRED)]
    assert "sipmesh ca crl" in status.peers[0].faults[0].remedy


@on_loop
async def test_stolen_server_that_speaks_of_an_expired_crl_hides_no_fault_of_another(manager: Manager) -> None:
    lies = (
        PeerFault(peer="example.test", kind=PeerKind.CA, why="x", code=code) for code in (Cause.CRL_EXPIRED, "made up")
    )
    refused = LinkFault("refused", Code.REVOCATION_UNKNOWN)
    known = [
        (
            Member(FE1, POOL, Role.FRONT_END),
            Known(
                FE1,
                POOL,
                StatusReport(ServerStatus(number=2, peer_faults=tuple(lies)), NOON),
                linked=True,
                unreadable={},
            ),
        ),
        (
            Member(FE2, POOL, Role.FRONT_END),
            Known(FE2, POOL, StatusReport(ServerStatus(number=2), NOON), linked=False, unreadable={}, fault=refused),
        ),
    ]
    status = Snapshot(2, NOON, MGMT, ServerStatus(number=2), known, peers=[("example.test", PeerKind.CA)]).status()
    assert (PeerKind.SERVER, Code.REVOCATION_UNKNOWN) in status.faulty
    assert {code for kind, code in status.faulty if kind is PeerKind.CA} == {Cause.CRL_EXPIRED, ""}


@on_loop
async def test_server_with_a_wrong_clock_says_nothing_of_crls(manager: Manager) -> None:
    """If most clocks differ from that of management, management has the fault, and no other server."""
    lapsed = PeerFault(peer="example.test", kind=PeerKind.CA, why="the CRL has expired", code=Cause.CRL_EXPIRED)
    late = ServerStatus(number=2, at=NOON + timedelta(days=9), peer_faults=(lapsed,))

    def status(*late_servers: str) -> Sequence[tuple[PeerKind, str]]:
        statuses = {
            name: late if name in late_servers else ServerStatus(number=2, at=NOON) for name in (FE1, FE2, EDGE)
        }
        known = [
            (Member(name, POOL, Role.FRONT_END), Known(name, POOL, StatusReport(one, NOON), linked=True, unreadable={}))
            for name, one in statuses.items()
        ]
        peers = [("example.test", PeerKind.CA)]
        clocks_s = [one.report.clock_s or 0.0 for _, one in known if one.report is not None]
        ours = ServerStatus(number=2)
        return Snapshot(2, NOON, MGMT, ours, known, peers=peers, clocks_s=clocks_s).status().faulty

    assert status(FE1) == [(PeerKind.SERVER, Cause.CLOCK)]
    assert (PeerKind.CA, Cause.CRL_EXPIRED) in status(FE1, FE2, EDGE)  # then our clock is behind: the CRL has expired


@on_loop
async def test_database_of_management_and_stores_have_their_faults_once(manager: Manager) -> None:
    report = StatusReport(ServerStatus(number=2, bindings_fault="no route"), NOON)
    known = [
        (Member(name, POOL, Role.FRONT_END), Known(name, POOL, report, linked=True, unreadable={}))
        for name in (FE1, FE2)
    ]
    peers = [(registrations_of(POOL), PeerKind.STORE), (MANAGEMENT_DATABASE, PeerKind.STORE)]
    down = Fault("no answer", "start it", Cause.STORE, (MGMT,))
    status = Snapshot(
        2, NOON, MGMT, ServerStatus(number=2), known, peers=peers, database_faults={MANAGEMENT_DATABASE: down}
    ).status()
    assert [fault.hurts for peer in status.peers for fault in peer.faults] == [(FE1, FE2), (MGMT,)]
    assert not any(member.faults for member in status.members)


@on_loop
async def test_encoded_status_is_the_status(manager: Manager) -> None:
    network, _ = network_of(manager, FE1, holding={FE1: 2, FE2: 1})
    encoded, status = json.loads(await encoded_status(network, 2)), network.status(2)
    reply = network_reply(replace(status, at=datetime.fromisoformat(encoded["at"])))
    assert encoded == json.loads(json.dumps(reply, default=plain))
    assert [server["server"] for server in encoded["servers"]] == [member.name for member in network.members()]


@on_loop
async def test_edge_of_which_no_front_end_tells_is_not_said_to_have_stopped(manager: Manager) -> None:
    """As after a restart of management with a wrong clock. If a front end is heard, the remedy is to start the edge."""
    refused = LinkFault("expired", Code.EXPIRED)

    def edge(heard: StatusReport | None) -> Fault:
        servers = (Member(FE1, POOL, Role.FRONT_END), heard), (Member(EDGE, EDGES, Role.EDGE), None)
        known = [
            (
                one,
                Known(
                    one.name, one.pool, report, linked=False, unreadable={}, fault=refused if report is None else None
                ),
            )
            for one, report in servers
        ]
        known[1] = known[1][0], replace(known[1][1], fault=None)
        status = Snapshot(2, NOON, MGMT, ServerStatus(number=2), known).status()
        return status.members[1].faults[0]

    told = edge(None)
    assert (told.code, "sipmesh serve" in told.remedy, FE1 in told.remedy) == (Cause.SILENT, False, True)
    assert f"sipmesh serve {EDGE}" in edge(StatusReport(ServerStatus(number=2), NOON)).remedy


def test_records_may_be_missing_of_servers_that_are_silent_or_cannot_write_them(manager: Manager) -> None:
    network, reports = network_of(manager, holding={FE1: 2, FE2: 2})
    assert network.without_records() == [EDGE]
    reports.record(FE2, ServerStatus(number=2, records_fault="no room on the disk"), NOON, newest=2)
    assert network.without_records() == [FE2, EDGE]
    reports.steady = lambda: time.monotonic() + SILENT_S + 1
    assert network.without_records() == [FE1, FE2, EDGE]
