"""A network whose topology needs a post-quantum key exchange between servers: these links use no other, phones are free."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import pytest

from sipmesh.client.agent import UserAgent
from sipmesh.client.judge import Trust
from sipmesh.transport.tls.contexts import POST_QUANTUM
from sipmesh.trust.evidence import LinkKind
from support.network import EXAMPLE, FE1, FE2, Network
from support.running import on_loop

if TYPE_CHECKING:
    from sipmesh.demo.organisation import Organisation

CLASSICAL = ("X25519", "P-256:P-384")


@pytest.fixture(name="network", params=[True, False], ids=["required", "preferred"])
def _network(example: Organisation, request: pytest.FixtureRequest) -> Network:
    example.document["post_quantum"] = request.param
    example.write()
    return Network((example,), starts=(FE1, FE2))


async def agrees(network: Network, kind: LinkKind, *options: str) -> bool:
    """Let openssl, with the certificate of fe2, open a link to fe1 with some groups only."""
    host, port = network.address(FE1, kind)
    example = network.of(FE1)
    servers = example.folder / "servers"
    ours = ("-cert_chain", servers / f"{FE2}.pem", "-cert", servers / f"{FE2}.pem", "-key", servers / f"{FE2}.key")
    command = ("openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", example.root, *ours, "-brief", *options)
    given = tuple(map(str, command))
    done = await asyncio.to_thread(subprocess.run, given, input=b"", capture_output=True, timeout=30, check=False)
    return b"CONNECTION ESTABLISHED" in done.stderr


@pytest.mark.peer("openssl")
@on_loop
async def test_link_between_servers_takes_no_exchange_that_a_quantum_computer_could_break(network: Network) -> None:
    async with network:
        is_required = network.of(FE1).document["post_quantum"]
        for groups in CLASSICAL:
            assert await agrees(network, LinkKind.SERVER, "-groups", groups) is not is_required
            assert await agrees(network, LinkKind.CLIENT, "-groups", groups)
        assert await agrees(network, LinkKind.SERVER, "-groups", f"{POST_QUANTUM}:X25519")
        assert await agrees(network, LinkKind.SERVER, "-tls1_2") is not is_required
        trust = Trust.of_pem(network.of(FE1).root.read_bytes())
        alice, bob = (UserAgent(f"{user}@{EXAMPLE}", f"{user}-secret", trust=trust) for user in ("alice", "bob"))
        for agent, server in ((alice, FE1), (bob, FE2)):
            await agent.connect(*network.address(server))
            assert (await agent.register()).status == 200
        outcome = await alice.message(f"bob@{EXAMPLE}", "from one front end to the other")
        assert outcome is not None
        assert outcome.ok
        groups_in_use = {
            link.peer.facts.group for link in network.nodes[FE1].pool.all() if link.kind is LinkKind.SERVER
        }
        assert groups_in_use == {POST_QUANTUM}
        await alice.close()
        await bob.close()
