"""A group of the directory lets users call a class of numbers, as far as the signed topology says so."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.descriptions import SDES, SDP
from support.managed import Managed
from support.network import FE1, POOL
from support.peer import HungUpError, Peer
from support.running import LOOK_AGAIN_S, until, within
from support.scim import adopted, scim_client, scim_network
from support.trunks import GATEWAY, GATEWAYS, PROVIDER, build_trunk

ABROAD, PREMIUM = "+15550100", "+49900123456"
OFFER = [("content-type", SDP)]
PROMISED_S = 60.0
NUMBERS: dict[str, Any] = {
    "country": "49",
    "emergency": ["112"],
    "classes": [
        {"name": "abroad", "numbers": ["+1"], "groups": ["travellers", "everywhere"]},
        {"name": "premium", "numbers": ["+49900"], "users": ["bob@example.test"]},
    ],
}


def trunk_entry(provider: Organisation) -> dict[str, Any]:
    """The partner that carries calls."""
    trunk = {"gateway": GATEWAYS, "asserts": ["+"], "carries": ["+"], "emergency": True, "main_number": "+49301234"}
    anchors = {"anchors": [str(provider.root)], "crls": [str(one) for one in provider.lists]}
    return {"domains": [PROVIDER], "edge": PROVIDER, "address": "127.0.0.1", "trunk": trunk, **anchors}


async def line_of(network: Managed, trunk: Organisation) -> Peer:
    """A link of the trunk, once the gateway has the CRLs of its CA."""
    while True:
        line = await network.peer_with(trunk.credentials(PROVIDER), GATEWAY, LinkKind.PARTNER)
        with suppress(HungUpError):
            await line.ask(line.request("OPTIONS", "sip:example.test"))
            return line


async def called(caller: Peer, number: str, line: Peer) -> int:
    """Call *number*, and give the status; the line answers a call that it gets."""
    await caller.send(caller.request("INVITE", f"tel:{number}", OFFER, SDES))
    final = asyncio.ensure_future(caller.final())
    rings = asyncio.ensure_future(line.request_in("INVITE"))
    await asyncio.wait((final, rings), return_when=asyncio.FIRST_COMPLETED)
    if final.done():
        rings.cancel()
        await asyncio.gather(rings, return_exceptions=True)
    else:
        await line.reply(rings.result(), 486)
        await line.request_in("ACK")
    return (await final).status


async def until_called(caller: Peer, number: str, line: Peer, status: int) -> None:
    """Call again until the answer has *status*."""
    while await called(caller, number, line) != status:
        await asyncio.sleep(LOOK_AGAIN_S * 20)


@pytest.mark.wide
@within(180.0)
async def test_member_of_the_group_may_call_abroad(tmp_path: Path) -> None:
    """Within a minute, and not before. A group in the group counts too. A group that the topology does not name gives nothing."""
    provider = build_trunk(tmp_path / "t", PROVIDER)
    gateway = PoolPlan(GATEWAYS, Role.GATEWAY, (GATEWAY,), {"next_hop": POOL})
    federation = {"partners": [trunk_entry(provider)], "networks": ["127.0.0.0/8"]}
    async with scim_network(tmp_path, further=(gateway,)) as network:
        document = network.organisation.document
        await network.publish(lambda _: document.update(federation=federation, numbers=NUMBERS), force=True)
        await network.start(FE1, GATEWAY)
        line = await line_of(network, provider)
        await until(lambda: network.nodes[FE1].users.ready)
        alice = await network.phone(FE1, "alice")
        assert (await alice.register()).status == 200
        async with scim_client(network) as client:
            user = await adopted(network, client, "alice")
            assert await called(alice, ABROAD, line) == 403
            await client.group("travellers", user)  # by its display name alone
            await client.group("admins", user, externalId="premium")
            assert await called(alice, ABROAD, line) == 403
            inner = await client.group("inner", user)
            began = time.monotonic()
            outer = await client.group("outer", inner, externalId="travellers")
            await until_called(alice, ABROAD, line, 486)
            assert time.monotonic() - began < PROMISED_S
            assert await called(alice, PREMIUM, line) == 403
            removed = {"op": "Remove", "path": "members", "value": [{"value": user}]}
            assert (await client.patch(f"/Groups/{inner}", removed))[0] == 200
            await until_called(alice, ABROAD, line, 403)
            assert (await client.patch(f"/Groups/{inner}", {**removed, "op": "Add"}))[0] == 200
            await until_called(alice, ABROAD, line, 486)
            assert (await client.ask("DELETE", f"/Groups/{outer}"))[0] == 204
            await until_called(alice, ABROAD, line, 403)


def test_class_that_the_topology_gives_by_no_group_is_not_given_by_a_document() -> None:
    """A signer of users that lies gives no class that groups may not give."""
    from sipmesh.routing.numbers.dial_plan import dial_plan_of
    from sipmesh.topology.document.parts.numbers import Numbers

    plan, user = dial_plan_of(Numbers.model_validate(NUMBERS)), "sip:alice@example.test"
    assert not plan.refusal(ABROAD, user, ("abroad", "premium"))
    assert "premium" in plan.refusal(PREMIUM, user, ("abroad", "premium"))
    assert "abroad" in plan.refusal(ABROAD, user, ())
    assert "abroad" in plan.refusal(ABROAD, None, ("abroad",))
