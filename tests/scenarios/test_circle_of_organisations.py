"""A call that two organisations and a trunk between them forward to each other ends, and its caller gets a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from scenarios.test_trunks import OFFER, invited
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.server.proxy.calls.call_bounds import MOST_FORWARDED, MOST_OF_CALLER
from sipmesh.sip.message import Request
from sipmesh.sip.status import FIRST_FINAL
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.role import Role
from support.call_rules import rules
from support.descriptions import SDES
from support.network import (
    BEGAN,
    EDGE,
    EDGES,
    EXAMPLE,
    FE1,
    PARTNER,
    PARTNER_EDGE,
    PARTNER_EDGES,
    PARTNER_FE,
    POOL,
    Network,
    federate,
    finished,
)
from support.peer import Peer
from support.running import on_loop
from support.trunks import ALICE, BOB, GATEWAY, GATEWAYS, PROVIDER, PlayedTrunk

ERIN = "+33123456789"
THEIR_GATEWAYS, THEIR_GATEWAY = "gw.partner.test", "gw1.partner.test"


@pytest.fixture(name="network")
def _network(provider: PlayedTrunk, tmp_path: Path) -> Network:
    """Two organisations that federate; both have a gateway to the same provider, which carries calls of the second one."""
    ours = organisation(tmp_path / "e", EXAMPLE, (POOL, FE1), (EDGES, EDGE), (GATEWAYS, GATEWAY))
    theirs = organisation(
        tmp_path / "p",
        PARTNER,
        ("pool1.partner.test", PARTNER_FE),
        (PARTNER_EDGES, PARTNER_EDGE),
        (THEIR_GATEWAYS, THEIR_GATEWAY),
    )
    numbered(ours, alice=ALICE, bob=BOB)
    numbered(theirs, erin=ERIN)
    federate(ours, theirs)
    for one, gateway, carries in ((ours, GATEWAYS, "+33"), (theirs, THEIR_GATEWAYS, "+49")):
        one.document["federation"]["partners"].append(entry(provider, gateway, carries))  # type: ignore[index]
        one.write()
    network = Network((ours, theirs), starts=(FE1, EDGE, GATEWAY, PARTNER_FE, PARTNER_EDGE, THEIR_GATEWAY))
    for name in (EDGES, PARTNER_EDGES):
        network.dns.records[name, "A"] = ["127.0.0.1"]
    return network


def organisation(folder: Path, domain: str, *pools: tuple[str, str]) -> Organisation:
    """A front end, an edge and a gateway."""
    hop: dict[str, object] = {"next_hop": pools[0][0]}
    roles = ((Role.FRONT_END, dict[str, object]()), (Role.EDGE, hop), (Role.GATEWAY, hop))
    plans = tuple(
        PoolPlan(pool, role, (server,), keys) for (pool, server), (role, keys) in zip(pools, roles, strict=True)
    )
    return Organisation.build(folder, domain, plans, issued_at=BEGAN)


def numbered(one: Organisation, **numbers: str) -> None:
    """Write it, and give its users their numbers."""
    finished(one, *numbers)
    users = Users(one.load().users_url)
    for user, number in numbers.items():
        users.add_alias(f"{user}@{one.domain}", number)
    users.close()


def entry(trunk: PlayedTrunk, gateway: str, carries: str) -> dict[str, object]:
    return {
        "domains": [trunk.name],
        "edge": f"{trunk.name}:{trunk.port}",
        "address": "127.0.0.1",
        "anchors": [str(trunk.organisation.root)],
        "crls": trunk.organisation.lists,
        "trunk": {"gateway": gateway, "asserts": ["+"], "carries": [carries]},
    }


class Carrier:
    """The provider of both: it calls what they call, and gives each answer to who has called.

    It says who has forwarded a call, or else *hides* it, and then shows another caller each time.
    """

    def __init__(self, provider: PlayedTrunk, ways: dict[str, Peer], *, hides: bool) -> None:
        self._provider, self._ways, self._hides, self.rounds = provider, ways, hides, 0
        self._came: dict[str, tuple[Peer, Request]] = {}

    async def carry(self) -> None:
        """Carry calls until the task is cancelled. The gateways call on links that they open, and on those of the provider."""
        async with asyncio.TaskGroup() as tasks:
            for way in self._ways.values():
                tasks.create_task(self._serve(way))
            while True:
                tasks.create_task(self._serve(await self._provider.links.get()))

    async def _serve(self, link: Peer) -> None:
        while True:
            came = await link.receive()
            if isinstance(came, Request):
                if came.method == "INVITE":
                    await self._call(link, came)
            elif came.status >= FIRST_FINAL:
                by, invite = self._came.pop(came.call_id)
                await by.reply(invite, came.status)

    async def _call(self, link: Peer, came: Request) -> None:
        self.rounds += 1
        called = came.ruri.user or ""
        shown = f"+44{self.rounds:09}" if self._hides else came.from_.sip_uri.user
        by = [] if self._hides else [item.partition("@")[0] for item in came.items("diversion")]
        headers = [*OFFER, *(("diversion", f"{one}@{PROVIDER}>;reason=unconditional") for one in by)]
        way = self._ways[called]
        uri = f"sip:{called}@{GATEWAYS if called == ALICE else THEIR_GATEWAYS}"
        invite = way.request("INVITE", uri, headers, SDES, sender=f"<sip:{shown}@{PROVIDER}>;tag={self.rounds}")
        self._came[invite.call_id] = link, came
        await way.send(invite)


@asynccontextmanager
async def carrying(network: Network, provider: PlayedTrunk, *, hides: bool = False) -> AsyncIterator[Carrier]:
    """The network, with a provider that carries the calls of both organisations."""
    async with network, provider:
        ways = {ALICE: await provider.opens(network), ERIN: await provider.opens(network, THEIR_GATEWAY)}
        carrier = Carrier(provider, ways, hides=hides)
        carries = asyncio.create_task(carrier.carry())
        yield carrier
        carries.cancel()
        await asyncio.wait([carries])


async def call(network: Network) -> Peer:
    """A call of Bob to Alice."""
    bob = await network.phone("bob", FE1)
    await invited(bob, f"sip:alice@{EXAMPLE}", f"<sip:bob@{EXAMPLE}>")
    return bob


@pytest.mark.parametrize("to", [ERIN, f"erin@{PARTNER}"])
@on_loop
async def test_call_that_one_of_two_users_forwards_rings_at_the_other(
    network: Network, provider: PlayedTrunk, to: str
) -> None:
    """By the trunk, and by the edges."""
    async with carrying(network, provider) as carrier:
        erin = await network.phone("erin", PARTNER_FE)
        await rules(network, "alice", always=to)
        bob = await call(network)
        await erin.reply(await erin.request_in("INVITE"), 486)
        assert (await bob.final()).status == 486
        assert carrier.rounds == (to == ERIN)


@on_loop
async def test_circle_over_the_edges_and_the_trunk_ends_before_it_is_round(
    network: Network, provider: PlayedTrunk
) -> None:
    """A user forwards to a partner only calls of users of the own organisation, and this one comes from a trunk."""
    async with carrying(network, provider) as carrier:
        await rules(network, "alice", always=f"erin@{PARTNER}")
        await rules(network, f"erin@{PARTNER}", always=ALICE)
        assert (await (await call(network)).final()).status == 403
        assert carrier.rounds == 1
        assert "forwards to a partner" in network.told[FE1].last("message refused")["why"]


@pytest.mark.parametrize(("hides", "most"), [(False, MOST_OF_CALLER), (True, MOST_FORWARDED)])
@on_loop
async def test_circle_over_the_trunk_in_both_directions_ends_at_the_bound_of_forwarded_calls(
    network: Network, provider: PlayedTrunk, *, hides: bool, most: int
) -> None:
    """The log and the status of the gateway name the user whose rule it is, and the metric counts it.

    Alice forwards the call of Bob, and those of the trunk. Erin forwards those of the trunk alone, and so is the first.
    """
    async with carrying(network, provider, hides=hides) as carrier:
        await rules(network, "alice", always=ERIN)
        await rules(network, f"erin@{PARTNER}", always=ALICE)
        assert (await (await call(network)).final()).status == 403
        assert carrier.rounds == 2 * most + 1
        bounds = network.nodes[THEIR_GATEWAY].relay.calls.bounds
        [told] = bounds.lately
        assert told.startswith(f"erin@{PARTNER} forwards {most} calls")
        assert bounds.reached == {"forwarded": 1}
        assert network.told[THEIR_GATEWAY].last("bound of calls reached")["who"] == f"erin@{PARTNER}"


@on_loop
async def test_user_of_a_partner_does_not_take_the_forwarded_calls_of_a_user_from_others(
    network: Network, provider: PlayedTrunk
) -> None:
    async with network, provider:
        await rules(network, "alice", always=ERIN)
        erin, bob = await network.phone("erin", PARTNER_FE), await network.phone("bob", FE1)
        await invited(erin, f"sip:alice@{EXAMPLE}", f"<sip:erin@{PARTNER}>")
        trunk = await provider.links.get()
        await trunk.request_in("INVITE")
        for _ in range(MOST_OF_CALLER - 1):
            await invited(erin, f"sip:alice@{EXAMPLE}", f"<sip:erin@{PARTNER}>")
            await trunk.request_in("INVITE")
        await invited(erin, f"sip:alice@{EXAMPLE}", f"<sip:erin@{PARTNER}>")
        assert (await erin.final()).status == 403
        await invited(bob, f"sip:alice@{EXAMPLE}", f"<sip:bob@{EXAMPLE}>")
        await trunk.request_in("INVITE")
