"""All parts of one server."""

from __future__ import annotations

from sipmesh.demo.organisation import Organisation
from support.network import FE1
from support.running import on_loop
from support.server_parts import server_parts


@on_loop
async def test_parts_are_complete_and_nothing_listens(example: Organisation) -> None:
    async with server_parts(example, FE1) as parts:
        assert not parts.links.listening.listeners
