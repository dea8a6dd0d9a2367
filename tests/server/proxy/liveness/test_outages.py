"""Servers that do not answer: who may still go there, and when they count as up again."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509

from sipmesh.pki.crl.builder import Reason
from sipmesh.server.proxy.liveness.outages import FIRST_PAUSE_S, SLOW_S
from sipmesh.server.running.running_server import RunningServer
from sipmesh.transport.hop import Hop
from sipmesh.transport.limits import Limits
from sipmesh.transport.link.link import Link
from sipmesh.trust.evidence import LinkKind
from support.managed import MGMT, Managed
from support.network import FE1, FE2, Network
from support.running import on_jumping_loop, until
from support.trials import try_by

PAUSE_S = Limits().trial_pause_s


def dialled(node: RunningServer) -> list[float]:
    """The loop times at which trials begin from now on."""
    times: list[float] = []

    def dial(hop: Hop) -> Link:
        times.append(node.loop.time())
        return node.trials.dial(hop)

    try_by(node, dial)
    return times


@on_jumping_loop
async def test_server_that_refuses_connections_is_tried_by_requests_without_another_target_only(home: Network) -> None:
    """A dial that is refused at once keeps no request waiting."""
    async with home:
        node = home.nodes[FE1]
        node.pool.obtain(Hop(FE2, LinkKind.SERVER, (home.address(FE2, LinkKind.SERVER),)))
        await until(lambda: node.outages.names)
        assert node.outages.forbids(FE2, has_others=True)
        assert not node.outages.forbids(FE2, has_others=False)
        assert home.told[FE1].last("server does not answer")["peer"] == FE2


@on_jumping_loop
async def test_server_that_is_silent_gets_no_request_at_all(home: Network) -> None:
    async with home:
        outages = home.nodes[FE1].outages
        outages.silent(FE2, "test")
        assert outages.forbids(FE2, has_others=True)
        assert outages.forbids(FE2, has_others=False)
        assert not outages.forbids(FE1, has_others=True)


@on_jumping_loop
async def test_dial_that_hangs_makes_a_server_silent(home: Network) -> None:
    """Its kernel accepts the connection, and nothing answers the handshake."""
    address = home.address(FE2, LinkKind.SERVER)
    async with home:
        with socket.create_server(address):
            node = home.nodes[FE1]
            began = node.loop.time()
            link = node.trials.dial(Hop(FE2, LinkKind.SERVER, (address,)))
            await until(lambda: node.outages.names)
            assert SLOW_S <= node.loop.time() - began <= node.limits.server_dial_s + 0.1
            assert not link.usable
            assert node.outages.forbids(FE2, has_others=False)


@on_jumping_loop
async def test_trials_come_more_and_more_seldom_up_to_the_bound_and_the_log_has_one_line(home: Network) -> None:
    async with home:
        node = home.nodes[FE1]
        times = dialled(node)
        node.outages.silent(FE2, "test")
        began = node.loop.time()
        await asyncio.sleep(30)
        pauses = [after - before for before, after in zip([began, *times], times, strict=False)]
        assert pauses[0] == pytest.approx(FIRST_PAUSE_S)
        assert pauses == sorted(pauses)
        assert max(pauses) == pytest.approx(PAUSE_S)
        told = home.told[FE1]
        assert len(list(told.events("server does not answer"))) == 1
        assert not list(told.events("link closed"))


@on_jumping_loop
async def test_server_is_up_again_with_its_first_octet_and_the_link_of_the_trial_is_used(home: Network) -> None:
    async with home:
        node = home.nodes[FE1]
        node.outages.silent(FE2, "test")
        await asyncio.sleep(3)
        home.start(FE2)
        await until(lambda: not node.outages.names)
        [link] = [link for link in node.pool.all() if link.meant == FE2]
        assert link.bytes_in > 0
        assert not link.reserved
        assert home.told[FE1].last("server answers again")["peer"] == FE2
        assert node.outages.started == {FE2: 1}


@on_jumping_loop
async def test_link_of_a_trial_belongs_to_no_server_before_the_server_has_answered(pool: Network) -> None:
    """A handshake alone says little: the kernel and the TLS of the other side may finish it, and its loop hang then."""
    async with pool:
        node = pool.nodes[FE1]
        node.outages.silent(FE2, "test")
        await until(lambda: node.outages.names[FE2].trial)
        trial = node.outages.names[FE2].trial
        assert trial is not None
        assert trial.reserved
        assert node.pool.obtain(Hop(FE2, LinkKind.SERVER, (pool.address(FE2, LinkKind.SERVER),))) is not trial
        await until(lambda: not node.outages.names)


@on_jumping_loop
async def test_link_that_the_server_opens_itself_ends_its_outage(pool: Network) -> None:
    async with pool:
        node, mate = pool.nodes[FE1], pool.nodes[FE2]
        try_by(node, mate.trials.dial)  # nothing that leads there
        node.outages.silent(FE2, "test")
        mate.pool.obtain(Hop(FE1, LinkKind.SERVER, (pool.address(FE1, LinkKind.SERVER),)))
        await until(lambda: not node.outages.names)


@on_jumping_loop
async def test_server_that_is_refused_has_answered(pool: Network) -> None:
    """A revoked certificate is no outage: the verdict says what to do."""
    async with pool:
        node = pool.nodes[FE1]
        leaf = x509.load_pem_x509_certificates(pool.credentials(FE2)[0].read_bytes())[0]
        pool.organisations[0].ca.revoke(leaf.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
        node.put_in_force(pool.organisations[0].load())
        link = node.pool.obtain(Hop(FE2, LinkKind.SERVER, (pool.address(FE2, LinkKind.SERVER),)))
        await until(lambda: not link.usable)
        await until(lambda: list(pool.told[FE1].events("link closed")))
        assert not node.outages.names


@on_jumping_loop
async def test_impostor_at_the_address_of_a_silent_server_is_reported(pool: Network) -> None:
    """The trial finds another server there, or a revoked certificate: a refusal like any other, with its verdict."""
    async with pool:
        node, told = pool.nodes[FE1], pool.told[FE1]
        elsewhere = Hop(FE2, LinkKind.SERVER, (pool.address(FE1, LinkKind.SERVER),))
        try_by(node, lambda _: node.trials.dial(elsewhere))
        node.outages.silent(FE2, "test")
        await until(lambda: any(verdict.meant == FE2 for verdict in node.gatekeeper.refused()))
        [refused, *_] = [verdict for verdict in node.gatekeeper.refused() if verdict.meant == FE2]
        assert refused.code in {line["code"] for line in told.events("link refused")}
        assert refused.code == "name-mismatch"
        assert FE2 in node.outages.names


@on_jumping_loop
async def test_server_that_is_not_in_the_topology_is_not_noted_and_a_server_that_leaves_it_is_forgotten(
    home: Network,
) -> None:
    async with home:
        node = home.nodes[FE1]
        node.outages.silent("fe9.example.test", "test")
        assert not node.outages.names
        node.outages.silent(FE2, "test")
        document: Any = home.organisations[0].document
        document["pools"][0]["servers"] = [one for one in document["pools"][0]["servers"] if one["name"] != FE2]
        home.organisations[0].write()
        node.put_in_force(home.organisations[0].load())
        await until(lambda: not node.outages.names)


@on_jumping_loop
async def test_server_that_stops_tries_none_and_notes_none(home: Network) -> None:
    async with home:
        node = home.nodes[FE1]
        times = dialled(node)
        node.outages.silent(FE2, "test")
        node.outages.close()
        await asyncio.sleep(10)
        node.outages.silent("edge1.example.test", "test")
        assert not times
        assert list(node.outages.names) == [FE2]


@pytest.mark.wide
@on_jumping_loop
async def test_management_is_not_tried_because_a_front_end_may_not_dial_it(managed: Managed) -> None:
    """The trial would be refused as `role-not-allowed`, again and again, and the server would have a fault for ever."""
    async with managed:
        await managed.start(MGMT, FE1)
        node = managed.nodes[FE1]
        for server in (MGMT, FE2):
            node.outages.silent(server, "test")
        assert (node.outages.has(MGMT), node.outages.has(FE2)) == (False, True)
        assert MGMT not in node.outages.started
