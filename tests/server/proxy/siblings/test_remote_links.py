"""The links of other processes, as they are announced."""

from __future__ import annotations

from sipmesh.demo.organisation import Organisation
from support.network import EDGE
from support.running import on_loop, until
from support.siblings import ONE, TWO, pair_of


@on_loop
async def test_link_is_known_once_and_counted_until_it_ends(example: Organisation) -> None:
    async with pair_of(example) as pair:
        server = await pair.peer("alice", ONE, EDGE)
        assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
        await until(lambda: pair.links_elsewhere(TWO))
        [link] = pair.links_elsewhere(TWO)
        remote = pair.siblings(TWO).remote
        assert (len(remote), remote.accepted[link.kind, EDGE], remote.of_process(ONE)) == (1, 1, [link.number])
        channel = pair.siblings(TWO).channel(ONE)
        assert channel is not None
        assert remote.up(pair.nodes[TWO].dispatch, channel, link.number, []) is None
        assert remote.down(link.number) is link
        assert remote.down(link.number) is None
        assert (len(remote), remote.accepted.total()) == (0, 0)
