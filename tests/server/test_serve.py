"""The service around a server: what is slow or broken in one of its duties holds up none of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.node import Node
from sipmesh.server.serve import Service
from sipmesh.server.stores import Nobody
from support.network import FE1
from support.running import on_loop, until
from support.telling import Told


class Held(Nobody):
    """Users in a database that does not answer until it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()

    def refresh(self) -> frozenset[str]:
        self.asked.set()
        self.let_go.wait()
        return frozenset()


@asynccontextmanager
async def serving_here(organisation: Organisation, told: Told) -> AsyncIterator[Node]:
    """The service, in this loop; it drains when it is cancelled."""
    ready: asyncio.Future[Node] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(Service(organisation.file, FE1, told.log).serve(ready.set_result))
    try:
        yield await ready
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@on_loop
async def test_database_that_does_not_answer_holds_up_nothing_else(example: Organisation) -> None:
    """Deadlines are swept and files are looked at all the same."""
    told, held = Told(), Held()
    async with serving_here(example, told) as node:
        before, node.users = node.users, held
        try:
            await until(held.asked.is_set)
            example.file.write_text(example.file.read_text() + "# changed\n")
            await until(lambda: list(told.events("topology taken")))
        finally:
            node.users = before
            held.let_go.set()


@on_loop
async def test_service_takes_its_socket_and_its_ports_away_with_it(example: Organisation) -> None:
    told = Told()
    for _ in range(2):
        async with serving_here(example, told) as node:
            assert list(node.state.glob("*.sock"))
        assert not list(node.state.glob("*.sock"))
    assert len(list(told.events("stopped"))) == 2


@on_loop
async def test_server_that_is_not_in_the_topology_does_not_start(example: Organisation) -> None:
    service = Service(example.file, "fe9.example.test", Told().log)
    with pytest.raises(OperatorError, match=r"fe9\.example\.test"):
        await service.serve()
