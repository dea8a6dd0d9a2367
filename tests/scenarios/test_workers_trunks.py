"""A gateway of two workers: what is shown of a trunk is the sum of both."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import PoolPlan
from sipmesh.demo.ports import free_port
from sipmesh.server.running.worker_place import LINKS_OF_A_START
from sipmesh.sip.digest import answer, parse_challenge
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.descriptions import SDES, SDP
from support.figures import figures_with, labelled
from support.managed import MGMT, Managed, build_published, servers_of
from support.network import EXAMPLE, FE1, POOL, ringing
from support.peer import Peer
from support.running import LOOK_AGAIN_S, on_loop
from support.talking import inside_of
from support.trunks import ALICE, GATEWAY, GATEWAYS, OUTSIDE, PROVIDER, build_trunk
from support.workers import MOST_TRIES

pytestmark = pytest.mark.soak  # the test starts a network and three interpreters


async def start_of(managed: Managed, peer: Peer) -> int:
    """Tell at which start of a worker the link of *peer* is: the number of the link begins with it."""
    remote = f"{peer.address[0]}:{peer.address[1]}"
    while not (found := [one for one in await managed.ask(GATEWAY, "links") if one["remote"] == remote]):
        await asyncio.sleep(LOOK_AGAIN_S)
    return int(found[0]["id"][1:]) // LINKS_OF_A_START


@on_loop
async def test_channels_of_a_trunk_are_the_sum_of_both_workers_in_status_and_metric(tmp_path: Path) -> None:
    """One call comes in at each worker; after the first has ended, the second is left."""
    provider, port = build_trunk(tmp_path / "t", PROVIDER), free_port()
    gateway = PoolPlan(GATEWAYS, Role.GATEWAY, (GATEWAY,), {"next_hop": POOL})
    managed = Managed(build_published(tmp_path / "o", gateway), tmp_path)

    def change(document: dict[str, Any]) -> None:
        trunk = {"gateway": GATEWAYS, "asserts": ["+"], "carries": ["+"], "channels": 30}
        entry = {"domains": [PROVIDER], "edge": PROVIDER, "address": "127.0.0.1", "trunk": trunk}
        entry |= {"anchors": [str(provider.root)], "crls": [str(one) for one in provider.lists]}
        document["federation"] = {"partners": [entry], "networks": ["127.0.0.0/8"]}
        for server in servers_of(document, GATEWAYS):
            server |= {"workers": 2, "metrics": port}

    async def trunk_at(worker: int) -> Peer:
        """A link of the trunk that the kernel has given to *worker*."""
        for _ in range(MOST_TRIES):
            peer = await managed.peer_with(provider.credentials(PROVIDER), GATEWAY, LinkKind.PARTNER)
            if await start_of(managed, peer) == worker:
                return peer
        raise AssertionError(f"no connection came to worker {worker}")

    async def shown(calls: int) -> None:
        """Wait until the metric, and the report that `sipmesh status` and the page read, have *calls*."""
        figure = labelled("sipmesh_trunk_calls", trunk=PROVIDER)
        await figures_with(port, lambda found: found.get(figure) == calls)
        while (await managed.network())[GATEWAY]["trunks"] != [
            {"trunk": PROVIDER, "calls": calls, "fails": False, "minutes": 0}
        ]:
            await asyncio.sleep(LOOK_AGAIN_S)

    async with managed:
        await managed.start(MGMT)
        await managed.type("user", "alias", "add", f"alice@{EXAMPLE}", ALICE)
        await managed.publish(change, force=True)
        await managed.start(FE1, GATEWAY)
        await managed.acknowledged(2, FE1, GATEWAY)
        alice = await managed.agent("alice", FE1)
        await shown(0)
        ended = []
        for worker in (1, 2):
            trunk = await trunk_at(worker)
            sender = f"<sip:{OUTSIDE}@{PROVIDER}>;tag={trunk.tag}"
            invite = trunk.request("INVITE", f"sip:{ALICE}@{GATEWAYS}", [("content-type", SDP)], SDES, sender=sender)
            await trunk.send(invite)
            (await ringing(alice)).accept(SDES)
            dialog = Dialog.of_caller(invite, await trunk.final())
            await trunk.send(inside_of(dialog, trunk, "ACK"))
            await shown(worker)
            ended.append((trunk, dialog))
        trunk, dialog = ended[0]
        assert (await trunk.ask(inside_of(dialog, trunk, "BYE"))).status == 200
        await shown(1)


@on_loop
async def test_trunk_without_a_certificate_logs_in_at_each_worker(tmp_path: Path) -> None:
    """Both share its port, and each has nonces of its own."""
    provider, port = build_trunk(tmp_path / "t", PROVIDER), free_port()
    gateway = PoolPlan(GATEWAYS, Role.GATEWAY, (GATEWAY,), {"next_hop": POOL})
    managed = Managed(build_published(tmp_path / "o", gateway), tmp_path)

    def change(document: dict[str, Any]) -> None:
        challenge = {"user": "sbc", "secret_file": "secrets/sbc", "networks": ["127.0.0.1/32"]}
        trunk = {"gateway": GATEWAYS, "asserts": ["+"], "port": port, "calls_per_second": 100, "challenge": challenge}
        entry = {"domains": [PROVIDER], "edge": PROVIDER, "address": "127.0.0.1", "trunk": trunk}
        entry |= {"anchors": [str(provider.root)], "crls": [str(one) for one in provider.lists]}
        document["federation"] = {"partners": [entry], "networks": ["127.0.0.0/8"]}
        for server in servers_of(document, GATEWAYS):
            server |= {"workers": 2}

    async with managed, AsyncExitStack() as stack:
        await managed.start(MGMT)
        await managed.type("user", "alias", "add", f"alice@{EXAMPLE}", ALICE)
        await managed.publish(change, force=True)
        secret = managed.folder(GATEWAY) / "secrets" / "sbc"
        secret.parent.mkdir(parents=True, exist_ok=True)
        secret.write_text("correct horse battery")
        secret.chmod(0o600)
        await managed.start(FE1, GATEWAY)
        await managed.acknowledged(2, FE1, GATEWAY)
        alice, workers = await managed.agent("alice", FE1), set[int]()
        for _ in range(MOST_TRIES):
            trunk = await stack.enter_async_context(await Peer.open(("127.0.0.1", port), f"{OUTSIDE}@{PROVIDER}"))
            if (worker := await start_of(managed, trunk)) in workers:
                continue
            workers.add(worker)
            given, uri = [("content-type", SDP)], f"sip:{ALICE}@{GATEWAYS}"
            sender = f"<sip:{OUTSIDE}@{PROVIDER}>;tag={trunk.tag}"
            first = await trunk.ask(trunk.request("INVITE", uri, given, SDES, sender=sender))
            challenges = [parse_challenge(value) for value in first.values("proxy-authenticate")]
            proof = answer(challenges, "sbc", "correct horse battery", "INVITE", uri, "cnonce", 1)
            await trunk.send(
                trunk.request("INVITE", uri, [*given, ("proxy-authorization", proof)], SDES, sender=sender)
            )
            (await ringing(alice)).accept(SDES)
            assert (await trunk.final()).status == 200
            if len(workers) == 2:
                break
        assert workers == {1, 2}
