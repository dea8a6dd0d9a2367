"""Links are found by their id and by the name that they proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.transport.registry.registry import Registry
from sipmesh.trust.evidence import LinkKind
from transport.world import Node, on_loop

if TYPE_CHECKING:
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority


async def linked(server: Node, client: Node) -> tuple[Link, Link]:
    """A link that is up, with its two ends."""
    opened = client.pool.obtain(client.hop("here.test", server.listen(LinkKind.SERVER)))
    await client.heard.until(lambda: client.heard.up)
    await server.heard.until(lambda: server.heard.up)
    return opened, server.heard.up[0]


@on_loop
async def test_link_is_found_by_id_and_by_the_name_that_it_proved(
    ca: Authority, here: Identity, there: Identity
) -> None:
    async with Node(ca, here) as server, Node(ca, there) as client:
        _, accepted = await linked(server, client)
        registry = Registry()
        assert (len(registry), registry.get(accepted.id)) == (0, None)
        registry.add(accepted, ["there.test"])
        registry.add(accepted, ["there.test"])
        assert (list(registry), registry.get(accepted.id)) == ([accepted], accepted)
        assert registry.of("there.test", LinkKind.SERVER) == [accepted]
        assert registry.of("there.test", LinkKind.PARTNER) == []
        assert registry.of("other.test", LinkKind.SERVER) == []


@on_loop
async def test_links_that_a_peer_opened_to_us_are_counted(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here) as server, Node(ca, there) as client:
        opened, accepted = await linked(server, client)
        registry = Registry()
        registry.add(opened, ["there.test"])
        assert registry.accepted_from(["there.test"], LinkKind.SERVER) == 0
        registry.add(accepted, ["there.test"])
        assert registry.accepted_from(["there.test", "other.test"], LinkKind.SERVER) == 1
        assert registry.accepted_from([], LinkKind.SERVER) == 0


@on_loop
async def test_removal_of_the_last_link_is_reported_once(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here) as server, Node(ca, there) as client:
        opened, accepted = await linked(server, client)
        registry, told = Registry(), list[str]()
        registry.when_empty(lambda: told.append("empty"))
        registry.add(opened, opened.names)
        registry.add(accepted, accepted.names)
        registry.remove(accepted)
        assert told == []
        registry.remove(opened)
        registry.remove(opened)
        assert (told, len(registry)) == (["empty"], 0)
        assert not registry._by_name
