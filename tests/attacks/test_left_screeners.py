"""A server of a screening application gives a call up, and the next one decides: the first one does not decide beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.test_silent_applications import BOB, BOTS, behaves, both, let_on
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.trust.role import Role
from support.network import BEGAN, BOT, EXAMPLE, FE1, POOL, Network, finished
from support.running import on_jumping_loop
from support.ticking import ticking


@pytest.fixture(name="two_servers")
def _two_servers(tmp_path: Path) -> Network:
    """A front end, and an application of two servers that screens all calls."""
    plans = (
        PoolPlan(POOL, Role.FRONT_END, (FE1,)),
        PoolPlan(BOT, Role.APPLICATION, BOTS, {"next_hop": POOL, "screens": [EXAMPLE]}),
    )
    organisation = finished(Organisation.build(tmp_path / "two", EXAMPLE, plans, issued_at=BEGAN))
    organisation.add_users("alice", "bob")
    return Network((organisation,), starts=(FE1,))


@pytest.mark.parametrize("if_away", ["pass", "refuse"])
@pytest.mark.parametrize("says", ["", "503"])
@on_jumping_loop
async def test_silent_server_does_not_outweigh_the_refusal_of_the_next_one(
    two_servers: Network, if_away: str, says: str
) -> None:
    """Of phones, a 480 and a timeout rank alike. Here the phones stay silent, and the caller gets the 480."""
    two_servers.set_application(if_away=if_away)
    async with ticking(two_servers) as (_, alice, bob):
        first, second = await both(two_servers)
        await alice.send(alice.request("INVITE", BOB))
        await behaves(first, await first.request_in("INVITE"), says)
        await second.reply(await second.request_in("INVITE"), 480)
        assert (await alice.final()).status == 480
        await bob.silent()


@pytest.mark.parametrize("lets_on", [True, False])
@pytest.mark.parametrize("says", ["503", "closes"])
@on_jumping_loop
async def test_server_that_has_given_a_call_up_may_not_let_it_on(
    two_servers: Network, says: str, *, lets_on: bool
) -> None:
    """The next one refuses the call, or lets it on: the token is good for it."""
    async with ticking(two_servers) as (_, alice, bob):
        first, second = await both(two_servers)
        await alice.send(alice.request("INVITE", BOB))
        came = await first.request_in("INVITE")
        await behaves(first, came, says)
        again = await second.request_in("INVITE")
        left = await two_servers.peer(FE1, "bot", BOTS[0])
        assert (await left.ask(let_on(left, came))).status == 403
        if lets_on:
            await second.reply(again, 100)
            await second.send(let_on(second, again))
            await bob.reply(await bob.request_in("INVITE"), 200)
            assert (await second.final()).status == 200
        else:
            await second.reply(again, 480)
            assert (await alice.final()).status == 480
            await bob.silent()
