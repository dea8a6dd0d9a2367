"""The registrar and the proxy core of one server."""

from __future__ import annotations

from sipmesh.demo.organisation import Organisation
from support.network import EDGE, FE1
from support.running import on_loop
from support.server_parts import server_parts


@on_loop
async def test_media_policy_of_another_version_is_used(example: Organisation) -> None:
    async with server_parts(example, FE1) as parts:
        before = parts.setup.current.value.media
        example.document["media"] = "any"
        example.write()
        parts.put(example)
        assert parts.setup.current.value.media is not before


@on_loop
async def test_edge_forwards_without_a_client_port(example: Organisation) -> None:
    """It has no registrations, so no GRUU names a port of it."""
    async with server_parts(example, EDGE) as parts:
        assert parts.relays.relay.load == 0
