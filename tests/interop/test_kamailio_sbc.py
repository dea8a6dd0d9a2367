"""Kamailio as an SBC, by the page about it: mutual TLS, OPTIONS in both directions, and calls with what happens inside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.kamailio_border import Border
from interop.test_kamailio_provider import calls_in, calls_out
from sipmesh.demo.ports import HOST, free_port
from sipmesh.trust.evidence import LinkKind
from support.descriptions import SDES, SDP
from support.network import EXAMPLE, FE1, Network
from support.peer import Peer
from support.running import on_loop, until
from support.trunks import GATEWAY, GATEWAYS, OUTSIDE, PROVIDER, PlayedTrunk, build_gateway, build_trunk, join_trunks

pytestmark = pytest.mark.peer("kamailio")

CARRIER = "core.carrier.test"


@on_loop
async def test_kamailio_as_sbc_pings_and_is_pinged_and_calls_pass_both_ways(tmp_path: Path) -> None:
    """Early media, hold, a keypress, a withheld number, a transfer, BYE. Kamailio calls a gateway that has answered OPTIONS."""
    example, of_sbc, of_carrier = (
        build_gateway(tmp_path / "e"),
        build_trunk(tmp_path / "s", PROVIDER),
        build_trunk(tmp_path / "c", CARRIER),
    )
    sbc, carrier, inner = PlayedTrunk(PROVIDER, of_sbc, port=free_port()), PlayedTrunk(CARRIER, of_carrier), free_port()
    join_trunks(example, (sbc, {"asserts": ["+"], "carries": ["+"], "ping": 5}))
    chain, key = of_sbc.credentials(PROVIDER)
    folder = tmp_path / "k"
    async with carrier, Network((example,), starts=(FE1, GATEWAY)) as network:
        places = {
            "/etc/kamailio/example-root.pem": str(example.root),
            "/etc/kamailio/carrier-root.pem": str(of_carrier.root),
            "/etc/kamailio/sbc.pem": str(chain),
            "/etc/kamailio/sbc.key": str(key),
            "/etc/kamailio/dispatcher.list": str(folder / "dispatcher.list"),
            "sbc.provider.example": PROVIDER,
            "203.0.113.10:5061": f"{HOST}:{network.address(GATEWAY, LinkKind.PARTNER)[1]}",
            "203.0.113.7:5061": f"{HOST}:{sbc.port}",
            "203.0.113.7:5071": f"{HOST}:{inner}",
            "198.51.100.20:5061": f"{HOST}:{carrier.port}",
            '"gw.example.com"': f'"{GATEWAYS}"',
            "$Rp == 5071": f"$Rp == {inner}",
            '"ds_ping_interval", 10': '"ds_ping_interval", 1',
        }
        async with Border(folder, inner, places, "kamailio.md") as kamailio:
            network.nodes[GATEWAY].sweep.tick()
            shown = of_carrier.credentials(CARRIER)
            async with await Peer.open((HOST, inner), f"{OUTSIDE}@{PROVIDER}", shown) as world:
                await until(lambda: " answers" in kamailio.log)
                alice = await network.phone("alice", FE1)
                await calls_in(world, alice)
                sender = f"<sip:alice@{EXAMPLE}>;tag=1"
                await alice.send(
                    alice.request("INVITE", f"tel:{OUTSIDE}", [("content-type", SDP)], SDES, sender=sender)
                )
                called = await carrier.links.get()
                await called.reply(await called.request_in("INVITE"), 486)
                assert (await called.request_in("ACK")).method == "ACK"
                assert (await alice.final()).status == 486
                await calls_out(alice, called)
                known = network.nodes[GATEWAY].trunk_watch.trunks[PROVIDER]
                known.ping_at = 0.0
                network.nodes[GATEWAY].sweep.tick()
                await until(lambda: not known.pings)
                assert network.nodes[GATEWAY].core.state.trunk_outages.last((PROVIDER, "other.test")) == [
                    PROVIDER,
                    "other.test",
                ]
