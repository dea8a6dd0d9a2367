"""Large documents are applied one after the other; an error of one does not stop the next."""

from __future__ import annotations

import asyncio

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server.agent.document_queue import DocumentQueue
from support.running import on_loop


class Applier:
    """Applies documents slowly, and notes what has happened."""

    def __init__(self) -> None:
        self.queue = DocumentQueue(self.apply, self.applied, self.failed)
        self.noted: list[str] = []

    async def apply(self, item: Item) -> None:
        """Begin, wait, and end; or refuse."""
        self.noted.append(f"begin {item.body.decode()}")
        await asyncio.sleep(0)
        if item.body == b"bad":
            raise OperatorError("it is bad")

    def applied(self, item: Item) -> None:
        """Note the end."""
        self.noted.append(f"end {item.body.decode()}")

    def failed(self, peer: str, item: Item, wrong: SipmeshError) -> None:
        """Note the error."""
        self.noted.append(f"{peer}: {item.body.decode()}: {wrong}")


def version(body: bytes) -> Item:
    return Item(ItemKind.TOPOLOGY, body)


@on_loop
async def test_documents_are_applied_in_their_order() -> None:
    applier = Applier()
    for body in (b"one", b"bad", b"two", b"two"):
        applier.queue.put("mgmt", version(body))
    assert applier.queue.is_busy
    await applier.queue.finished()
    assert not applier.queue.is_busy
    assert applier.noted == ["begin one", "end one", "begin bad", "mgmt: bad: it is bad", "begin two", "end two"]


@on_loop
async def test_closed_queue_applies_nothing_more() -> None:
    applier = Applier()
    for body in (b"one", b"two"):
        applier.queue.put("mgmt", version(body))
    await asyncio.sleep(0)
    applier.queue.close()
    await applier.queue.finished()
    assert applier.noted == ["begin one"]


@on_loop
async def test_waiting_documents_are_counted_for_each_peer() -> None:
    applier = Applier()
    for peer, body in (("fe1", b"one"), ("fe1", b"two"), ("fe2", b"one"), ("fe1", b"two")):
        applier.queue.put(peer, version(body))
    assert [applier.queue.waiting_of(peer) for peer in ("fe1", "fe2", "fe3")] == [2, 0, 0], (
        "the same document waits once"
    )
    await applier.queue.finished()
    assert applier.queue.waiting_of("fe1") == 0
