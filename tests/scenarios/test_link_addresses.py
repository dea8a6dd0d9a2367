"""Links leave from the address on which their server listens, so that its peers may know it by that."""

from __future__ import annotations

from sipmesh.trust.evidence import LinkKind
from support.network import EXAMPLE, FE1, FE2, Network
from support.peer import Peer
from support.running import on_loop

ADDRESS = "127.0.0.21"


@on_loop
async def test_link_to_another_server_leaves_from_the_address_of_this_one(pool: Network) -> None:
    organisation = pool.organisations[0]
    pools = organisation.document["pools"]
    assert isinstance(pools, list)
    next(server for server in pools[0]["servers"] if server["name"] == FE1)["bind"] = ADDRESS
    organisation.write()
    async with pool:
        bob = await pool.phone("bob", FE2)
        _, port = pool.address(FE1, LinkKind.CLIENT)
        async with await Peer.open((ADDRESS, port), f"alice@{EXAMPLE}", None) as alice:
            assert (await alice.register()).status == 200
            await alice.send(alice.request("MESSAGE", f"sip:bob@{EXAMPLE}"))
            await bob.reply(await bob.request_in("MESSAGE"), 200)
            assert (await alice.final()).status == 200
        came = next(link for link in pool.nodes[FE2].pool.all() if link.peer_name == FE1)
        assert came.remote[0] == ADDRESS
