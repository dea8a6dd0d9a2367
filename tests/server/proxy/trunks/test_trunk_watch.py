"""OPTIONS and REGISTER of a gateway: what a trunk gets, and what its answers lead to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.proxy.trunks.trunk_watch import PINGED_WHILE_SILENT_S, granted_s, seconds
from sipmesh.sip.message import build_request, respond
from support.descriptions import SDES, SDP
from support.network import EXAMPLE, FE1, Network
from support.peer import Peer
from support.running import on_jumping_loop, until
from support.trunks import GATEWAY, GATEWAYS, OF_PBX, PBX, PROVIDER, PlayedTrunk, with_trunks

PING = 20


@pytest.fixture(name="network")
def _network(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    """Two trunks, of which the PBX is pinged."""
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    federation: Any = example.document["federation"]
    federation["partners"][1]["trunk"]["ping"] = PING
    example.write()
    return Network((example,), starts=(FE1, GATEWAY))


async def passed(network: Network, seconds_: float) -> None:
    """Let time pass at the gateway."""
    await asyncio.sleep(seconds_)
    network.nodes[GATEWAY].sweep.tick()


async def pinged(network: Network, trunk: Peer, status: int, after_s: float = PING + 1) -> None:
    """Answer the next OPTIONS."""
    await passed(network, after_s)
    options = await trunk.request_in("OPTIONS")
    assert options.contacts[0].sip_uri.host == GATEWAYS
    await trunk.reply(options, status)
    known = network.nodes[GATEWAY].trunk_watch.trunks[PBX]
    await until(lambda: not known.pings)


async def called(alice: Peer) -> None:
    await alice.send(
        alice.request("INVITE", f"tel:{OF_PBX}", [("content-type", SDP)], SDES, sender=f"<sip:alice@{EXAMPLE}>;tag=1")
    )


@on_jumping_loop
async def test_trunk_that_stops_to_answer_options_is_tried_last_before_any_caller_waits(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    """After two lost answers; after two answers it is tried first again."""
    async with network, provider, pbx:
        network.nodes[GATEWAY].sweep.tick()
        alice = await network.phone("alice", FE1)
        await passed(network, PING + 1)
        trunk = await pbx.links.get()
        await trunk.reply(await trunk.request_in("OPTIONS"), 404)
        await pinged(network, trunk, 503)
        await pinged(network, trunk, 500)
        await called(alice)
        other = await provider.links.get()
        await other.reply(await other.request_in("INVITE"), 486)
        assert (await alice.final()).status == 486
        await pinged(network, trunk, 200, PINGED_WHILE_SILENT_S + 1)
        await pinged(network, trunk, 405, PINGED_WHILE_SILENT_S + 1)
        await called(alice)
        assert (await trunk.request_in("INVITE")).ruri.user == OF_PBX


@on_jumping_loop
async def test_options_have_our_name_at_the_trunk_in_their_contact(network: Network, pbx: PlayedTrunk) -> None:
    federation: Any = network.organisations[0].document["federation"]
    federation["partners"][1]["trunk"]["host"] = "sbc2.example.test"
    network.organisations[0].write()
    async with network, pbx:
        network.nodes[GATEWAY].sweep.tick()
        await passed(network, PING + 1)
        trunk = await pbx.links.get()
        options = await trunk.request_in("OPTIONS")
        names = {options.contacts[0].sip_uri.host, options.from_.sip_uri.host, options.top_via.host}
        assert names == {"sbc2.example.test"}
        await trunk.reply(options, 200)


@on_jumping_loop
async def test_trunk_that_is_away_is_found_by_options(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        network.nodes[GATEWAY].sweep.tick()
        for _ in range(2):
            await passed(network, PING + 1)
            await until(lambda: not network.nodes[GATEWAY].trunk_watch.trunks[PBX].pings)
        assert network.nodes[GATEWAY].core.state.trunk_outages.last((PBX, PROVIDER)) == [PROVIDER, PBX]
        assert PROVIDER not in network.nodes[GATEWAY].trunk_watch.trunks or not provider.links.qsize()


@pytest.mark.parametrize(
    ("contact", "expires", "granted"),
    [("<sip:me@x.test>;expires=90", "300", 90), ("<sip:me@x.test>", "300", 300), ("<sip:you@x.test>;expires=5", "", 0)],
)
def test_time_of_a_registration_is_that_of_our_contact(contact: str, expires: str, granted: int) -> None:
    headers = [("from", "<sip:a@b.test>;tag=1"), ("to", "<sip:a@b.test>"), ("call-id", "1"), ("cseq", "1 REGISTER")]
    fields = [("contact", contact), *([("expires", expires)] if expires else [])]
    response = respond(build_request("REGISTER", "sip:b.test", headers), 200, headers=fields)
    assert granted_s(response, "me") == granted


@pytest.mark.parametrize(("text", "found"), [("60", 60), (None, 0), ("", 0), ("-1", 0), ("1" * 10_000, 0), ("a", 0)])
def test_seconds_of_a_trunk_are_bounded(text: str | None, found: int) -> None:
    assert seconds(text) == found
