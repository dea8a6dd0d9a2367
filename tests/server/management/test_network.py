"""Which servers get versions from management, and which of them are behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.management.network import Member, Network
from sipmesh.server.management.network_reply import encoded_status, network_reply
from sipmesh.server.management.replies import Acknowledgement, ManagerReply
from sipmesh.server.management.server_faults import Fault
from sipmesh.server.management.server_reports import ServerReports
from sipmesh.server.replication.server_status import ServerStatus
from sipmesh.topology.view import ServerView, view
from sipmesh.trust.role import Role
from sipmesh.typed_json import plain
from support.managed import MGMT, build_managed
from support.network import EDGE, EDGES, FE1, FE2, POOL
from support.running import on_loop

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass
class Links:
    """The links of a management server: *linked* have subscribed; there is no link to the others."""

    linked: Collection[str] = field(default_factory=list)

    def code_of(self, server: str) -> str:
        return "revoked" if self.why_not(server) else ""

    def why_not(self, server: str) -> str:
        """Return why there is no link."""
        return "" if server in self.linked else "connection refused"

    def managers(self) -> list[ManagerReply]:
        """Return nothing: there is one management server."""
        return []

    def pool_faults(self) -> list[Fault]:
        """Return nothing, as `managers`."""
        return []


@dataclass
class Manager:
    """The management server in its topology."""

    view: ServerView


@pytest.fixture(name="manager", scope="module")
def _manager(tmp_path_factory: pytest.TempPathFactory) -> Manager:
    organisation: Organisation = build_managed(tmp_path_factory.mktemp("n") / "o")
    return Manager(view(organisation.load(), MGMT))


def network_of(manager: Manager, *linked: str, holding: dict[str, int]) -> tuple[Network, ServerReports]:
    """A network whose servers have reported these versions as in force."""
    reports = ServerReports()
    for name, number in holding.items():
        reports.record(name, ServerStatus(number=number), NOON, newest=2)
    return Network(manager, lambda: ServerStatus(number=2), reports, Links(linked)), reports


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
    network.report_received()
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


@on_loop
async def test_status_has_every_server_with_its_faults(manager: Manager) -> None:
    network, _ = network_of(manager, FE1, holding={FE1: 2})
    status = network.status(2)
    members = {member.known.server: member for member in status.members}
    assert (status.version, status.manager, status.faults) == (2, MGMT, [])
    assert (members[FE1].known.linked, members[FE1].role) == (True, Role.FRONT_END)
    assert members[FE2].known.report is None
    assert "connection refused" in members[FE2].faults[0].what
    assert members[FE2].faults[0].code == "revoked"


@on_loop
async def test_encoded_status_is_the_status(manager: Manager) -> None:
    network, _ = network_of(manager, FE1, holding={FE1: 2, FE2: 1})
    encoded, status = json.loads(await encoded_status(network, 2)), network.status(2)
    reply = network_reply(replace(status, at=datetime.fromisoformat(encoded["at"])))
    assert encoded == json.loads(json.dumps(reply, default=plain))
    assert [server["server"] for server in encoded["servers"]] == [member.name for member in network.members()]
