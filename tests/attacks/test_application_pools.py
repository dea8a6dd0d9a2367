"""Each server of an application's pool goes on in its calls, under its own names; another application does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.sip.message import Request
from sipmesh.trust.role import Role
from support.network import BEGAN, EXAMPLE, FE1, FE2, POOL, Network, finished
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking

BOTS, BOT1, BOT2, OTHER = (f"{name}.example.test" for name in ("bots", "bot1", "bot2", "other"))
ECHO, MENU = f"echo@{EXAMPLE}", f"menu@{EXAMPLE}"
ASSERTED = "p-asserted-identity"
NUMBER, THEIRS = "+4930123456", "+4930567890"


@pytest.fixture(name="network")
def _network(tmp_path: Path) -> Network:
    """Two front ends, an application of two servers, and another application."""
    plans = (
        PoolPlan(POOL, Role.FRONT_END, (FE1, FE2)),
        PoolPlan(
            BOTS, Role.APPLICATION, (BOT1, BOT2), {"next_hop": POOL, "sip_addresses": [ECHO], "numbers": ["+4930123"]}
        ),
        PoolPlan(
            OTHER, Role.APPLICATION, (OTHER,), {"next_hop": POOL, "sip_addresses": [MENU], "numbers": ["+4930567"]}
        ),
    )
    organisation = finished(Organisation.build(tmp_path / "e", EXAMPLE, plans, issued_at=BEGAN))
    organisation.add_users("bob")
    return Network((organisation,), starts=(FE1, FE2))


async def in_call(network: Network) -> tuple[Peer, Peer, Dialog]:
    """The first server of the application in a call with bob."""
    bob, bot = await network.phone("bob", FE2), await network.peer(FE1, ECHO, BOT1)
    came, _, dialog = await talking(bot, bob)
    assert came.values(ASSERTED) == [f"<sip:{ECHO}>"]
    await bob.request_in("ACK")
    return bob, bot, dialog


def referring(request: Request) -> Request:
    """Complete a REFER, so that only its sender is judged."""
    if request.method == "REFER":
        request.append("refer-to", f"<sip:carol@{EXAMPLE}>")
    return request


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "REFER", "BYE"])
@on_loop
async def test_another_server_of_the_pool_goes_on_in_a_call_and_another_application_does_not(
    network: Network, method: str
) -> None:
    """By the other front end, on a link that the call has never used."""
    async with network:
        bob, _, dialog = await in_call(network)
        thief, mate = await network.peer(FE2, ECHO, OTHER), await network.peer(FE2, ECHO, BOT2)
        refused = await thief.ask(referring(inside_of(dialog, thief, method)))
        assert refused.status in {403, 481}
        await bob.silent()
        await mate.send(referring(inside_of(dialog, mate, method)))
        await bob.reply(await bob.request_in(method), 200)
        assert (await mate.final()).status == 200


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "REFER"])
@pytest.mark.parametrize(
    ("asserted", "passes"),
    [
        (f"sip:{ECHO}", True),
        (f"sip:{NUMBER}@{EXAMPLE}", True),
        (f"sip:{MENU}", False),
        (f"sip:{THEIRS}@{EXAMPLE}", False),
    ],
)
@on_loop
async def test_application_asserts_its_own_names_inside_a_call(
    network: Network, method: str, asserted: str, *, passes: bool
) -> None:
    async with network:
        bob, bot, dialog = await in_call(network)
        request = referring(inside_of(dialog, bot, method))
        request.append(ASSERTED, f"<{asserted}>")
        await bot.send(request)
        if passes:
            came = await bob.request_in(method)
            assert came.values(ASSERTED) == [f"<{asserted}>"]
            await bob.reply(came, 200)
        assert (await bot.final()).status == (200 if passes else 403)
        await bob.silent()


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "REFER"])
@pytest.mark.parametrize(
    "name",
    [
        MENU,
        f"{THEIRS}@{EXAMPLE}",
        f"{THEIRS}@{BOT1};user=phone",
        f"%2B{THEIRS[1:]}@{BOT1}",
        f"{THEIRS};x=1@{BOT1}",
        f"1@{OTHER}",
    ],
)
@on_loop
async def test_application_does_not_begin_under_a_name_of_another_one(network: Network, method: str, name: str) -> None:
    """The number of the other one is not its own at its own name either. The other one may."""
    async with network:
        bob, bot, other = (
            await network.phone("bob", FE2),
            await network.peer(FE1, ECHO, BOT1),
            await network.peer(FE1, MENU, OTHER),
        )
        await other.silent()
        sender = f"<sip:{name}>;tag=x"
        refused = await bot.ask(referring(bot.request(method, f"sip:bob@{EXAMPLE}", sender=sender)))
        assert refused.status == 403
        await bob.silent()
        if BOT1 not in name:
            await other.send(referring(other.request(method, f"sip:bob@{EXAMPLE}", sender=sender)))
            await bob.request_in(method)
