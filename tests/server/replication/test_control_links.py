"""Links that are kept up: one to each server, dialled again after a pause that doubles."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from sipmesh.server.replication.control_links import (
    BETWEEN_OPENED_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    OPENED_AT_ONCE,
    STARTING_DIALS,
    ControlLinks,
    edges_behind,
)
from sipmesh.server.replication.link_fault import Cause, LinkFault
from sipmesh.topology.view import view
from sipmesh.transport.hop import Hop
from sipmesh.trust.evidence import LinkKind
from support.managed import MGMT, Managed
from support.network import EDGE, POOL, POOL2
from support.running import on_jumping_loop
from support.wires import Wire

FE1, FE2 = "fe1.example.test", "fe2.example.test"


def hop(name: str, port: int = 5062) -> Hop:
    return Hop(name, LinkKind.SERVER, (("127.0.0.1", port),))


class Dialled:
    """The dialled hops in order, each with its link."""

    def __init__(self) -> None:
        self.hops: list[Hop] = []
        self.wires: list[Wire] = []
        self.links = ControlLinks(asyncio.get_running_loop(), lambda hop: self.dial(hop).link)

    def dial(self, hop: Hop) -> Wire:
        self.hops.append(hop)
        self.wires.append(Wire())
        return self.wires[-1]


@on_jumping_loop
@pytest.mark.parametrize(
    ("shown", "ahead_s"), [((3600.0, 3603.0), 3603.0), ((3600.0, -9e8), 0.0), ((None, 3600.0), 0.0), ((0.3, 0.4), 0.0)]
)
async def test_clock_of_a_server_is_known_once_two_handshakes_agree(
    shown: Sequence[float | None], ahead_s: float
) -> None:
    """An older release, and what else answers there, sends random octets in place of its time."""
    dialled = Dialled()
    dialled.links.keep({FE1: hop(FE1)})
    fault = None
    for seconds in shown:
        wire = dialled.wires[-1]
        wire.ahead_s = seconds
        dialled.links.gone(wire.link, "closed by the peer")
        fault = dialled.links.fault_of(FE1)
        dialled.links.dial([FE1])
    assert fault is not None
    assert fault.ahead_s == ahead_s
    wire = dialled.wires[-1]
    wire.ahead_s = ahead_s
    dialled.links.up(wire.link)
    assert dialled.links.fault_of(FE1) is (fault if ahead_s else None)
    wire.ahead_s = 0.4
    dialled.links.up(wire.link)
    assert dialled.links.fault_of(FE1) is None


@on_jumping_loop
async def test_each_server_gets_one_control_link() -> None:
    dialled = Dialled()
    for _ in range(2):
        dialled.links.keep({FE1: hop(FE1), FE2: hop(FE2)})
    assert [one.name for one in dialled.hops] == [FE1, FE2]
    assert all(one.control for one in dialled.hops)
    assert all(dialled.links.has(wire.link) for wire in dialled.wires)
    assert not dialled.links.has(Wire().link)


@on_jumping_loop
async def test_many_new_links_are_opened_in_groups() -> None:
    """A server that leaves the topology meanwhile is not dialled, and a closed object dials no server."""
    dialled = Dialled()
    hops = {name: hop(name) for name in (f"fe{n}.example.test" for n in range(2 * OPENED_AT_ONCE + 1))}
    dialled.links.keep(hops)
    assert len(dialled.hops) == OPENED_AT_ONCE
    gone = list(hops)[OPENED_AT_ONCE]
    dialled.links.keep({name: one for name, one in hops.items() if name != gone})
    while len(dialled.hops) < len(hops) - 1:
        await asyncio.sleep(BETWEEN_OPENED_S)
    assert {one.name for one in dialled.hops} == set(hops) - {gone}
    dialled.links.keep(hops | {f"new{n}.example.test": hop("new") for n in range(2 * OPENED_AT_ONCE)})
    dialled.links.close()
    before = len(dialled.hops)
    await asyncio.sleep(1)
    assert len(dialled.hops) == before


REFUSED = "Connection refused"


@on_jumping_loop
async def test_failure_counts_only_of_a_dial_that_has_begun_since() -> None:
    """The server may have started after the dial before."""
    dialled, loop = Dialled(), asyncio.get_running_loop()
    dialled.links.keep({FE1: hop(FE1)})
    failed = dialled.links.dial([FE1])
    assert len(dialled.wires) == 1
    begun = loop.time()
    for dial in range(1 + STARTING_DIALS):
        dialled.links.gone(dialled.wires[dial].link, REFUSED)
        assert not failed()
        while len(dialled.wires) == dial + 1:
            await asyncio.sleep(0.05)
    assert loop.time() - begun <= 7
    dialled.links.gone(dialled.wires[-1].link, REFUSED)
    assert failed() == {FE1}
    again = dialled.links.dial([FE1, "unknown.example.test"])
    assert len(dialled.wires) == 3 + STARTING_DIALS
    assert not again()
    dialled.links.up(dialled.wires[-1].link)
    assert not failed()


@pytest.mark.parametrize(("why", "failed_at"), [(REFUSED, {FE1}), ("the peer has closed the link", set())])
@on_jumping_loop
async def test_only_a_server_that_does_not_listen_is_out_of_reach(why: str, failed_at: set[str]) -> None:
    dialled = Dialled()
    dialled.links.keep({FE1: hop(FE1)})
    dialled.links.gone(dialled.wires[0].link, REFUSED)
    failed = dialled.links.dial([FE1])
    for dial in range(1, 2 + STARTING_DIALS):
        while len(dialled.wires) == dial:
            await asyncio.sleep(0.05)
        dialled.links.gone(dialled.wires[dial].link, why)
    assert failed() == failed_at


@on_jumping_loop
async def test_servers_are_dialled_again_at_once_and_their_faults_forgotten() -> None:
    dialled = Dialled()
    dialled.links.keep({FE1: hop(FE1), FE2: hop(FE2)})
    dialled.links.gone(dialled.wires[0].link, REFUSED)
    dialled.links.dial_again()
    assert [one.name for one in dialled.hops] == [FE1, FE2, FE1]
    assert not dialled.links.faults


@on_jumping_loop
async def test_closed_link_is_dialled_again_after_a_pause_that_doubles() -> None:
    dialled, loop = Dialled(), asyncio.get_running_loop()
    dialled.links.keep({FE1: hop(FE1)})
    pauses = []
    for failures in range(1, 8):
        dialled.links.gone(dialled.wires[-1].link, "refused")
        assert dialled.links.fault_of(FE1) == LinkFault("refused", Cause.NO_ANSWER)
        begun = loop.time()
        while len(dialled.wires) == failures:
            await asyncio.sleep(0.05)
        pauses.append(round(loop.time() - begun, 1))
    assert pauses == [FIRST_PAUSE_S, 0.4, 0.8, 1.6, 3.2, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


@on_jumping_loop
async def test_pause_is_short_again_after_a_link_was_up() -> None:
    dialled = Dialled()
    dialled.links.keep({FE1: hop(FE1)})
    for _ in range(3):
        dialled.links.gone(dialled.wires[-1].link, "refused")
        await asyncio.sleep(LONGEST_PAUSE_S)
    dialled.links.up(dialled.wires[-1].link)
    assert dialled.links.fault_of(FE1) is None
    dialled.links.gone(dialled.wires[-1].link, "closed")
    await asyncio.sleep(FIRST_PAUSE_S + 0.1)
    assert len(dialled.wires) == 5


@on_jumping_loop
async def test_server_with_another_address_is_dialled_at_once_where_there_is_no_link() -> None:
    dialled = Dialled()
    dialled.links.keep({FE1: hop(FE1)})
    dialled.links.keep({FE1: hop(FE1, 6062)})
    assert len(dialled.hops) == 1
    dialled.links.gone(dialled.wires[-1].link, "closed")
    dialled.links.keep({FE1: hop(FE1, 7062)})
    assert [one.addresses for one in dialled.hops][-1] == (("127.0.0.1", 7062),)
    await asyncio.sleep(LONGEST_PAUSE_S)
    assert len(dialled.hops) == 2


@on_jumping_loop
async def test_link_to_a_removed_server_is_drained_and_not_dialled_again() -> None:
    dialled = Dialled()
    dialled.links.keep({FE1: hop(FE1), FE2: hop(FE2)})
    dialled.links.gone(dialled.wires[1].link, "closed")
    dialled.links.keep({})
    assert [wire.drained for wire in dialled.wires] == [True, False]
    await asyncio.sleep(LONGEST_PAUSE_S)
    assert (len(dialled.hops), dialled.links.fault_of(FE2)) == (2, None)


@on_jumping_loop
async def test_nothing_is_dialled_after_close() -> None:
    dialled = Dialled()
    dialled.links.keep({FE1: hop(FE1), FE2: hop(FE2)})
    dialled.links.gone(dialled.wires[0].link, "closed")
    dialled.links.close()
    await asyncio.sleep(LONGEST_PAUSE_S)
    assert len(dialled.hops) == 2
    assert not dialled.links.has(dialled.wires[1].link)


def test_edges_behind_a_pool_have_it_as_their_next_hop(managed: Managed) -> None:
    seen = view(managed.organisation.load(), MGMT)
    assert edges_behind(seen, POOL) == {EDGE}
    assert edges_behind(seen, POOL2) == frozenset()


@on_jumping_loop
async def test_link_that_was_not_refused_has_the_cause_and_not_a_verdict() -> None:
    dialled = Dialled()
    dialled.links.keep({FE1: hop(FE1)})
    dialled.links.gone(dialled.wires[-1].link, "closed")
    assert dialled.links.faults == {FE1: LinkFault("closed", Cause.NO_ANSWER)}
    assert dialled.links.fault_of(FE2) is None
    dialled.links.close()
