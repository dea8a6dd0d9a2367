"""A document that the disk had no room for is stored later, with pauses that grow; a newer one takes its place."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.errors import RemoteError
from sipmesh.pki.file_error import FileError
from sipmesh.server.agent.storage_retry import FIRST_PAUSE_S, LONGEST_PAUSE_S, MOST_OCTETS, Pace, StorageRetry
from support.running import on_jumping_loop

FULL = FileError(Path("state/x"), OSError(errno.ENOSPC, "No space left on device"))


class Receiver:
    """Receives documents as an agent does: what cannot be stored is given to the retry, and refused."""

    def __init__(self) -> None:
        self.retry = StorageRetry(self.receive, asyncio.get_running_loop())
        self.is_full, self.refuses = True, False
        self.attempts, self.stored = 0, list[bytes]()

    def receive(self, peer: str, item: Item) -> None:
        """Store *item*, if there is room."""
        self.attempts += 1
        if self.is_full:
            self.retry.failed(peer, item)
            raise RemoteError("not in force", rule="rule R12", status=488) from FULL
        if self.refuses:
            raise RemoteError("expired", rule="rule R12", status=488)
        self.stored.append(item.body)
        self.retry.stored(item)


def crl(body: bytes, name: str = "a.crl") -> Item:
    return Item(ItemKind.LIST, body, name)


@on_jumping_loop
@pytest.mark.wide
async def test_attempts_become_rare_and_end_with_success() -> None:
    receiver, loop = Receiver(), asyncio.get_running_loop()
    receiver.retry.failed("m", crl(b"one"))
    begun = loop.time()
    while loop.time() - begun < 3600:
        await asyncio.sleep(0.5)
        receiver.retry.tick()
    assert 3600 / LONGEST_PAUSE_S - 5 <= receiver.attempts <= 3600 / LONGEST_PAUSE_S + 5
    receiver.is_full = False
    await asyncio.sleep(LONGEST_PAUSE_S)
    receiver.retry.tick()
    receiver.retry.tick()
    assert receiver.stored == [b"one"]


@on_jumping_loop
async def test_newest_document_of_each_key_is_stored() -> None:
    receiver = Receiver()
    for item in (crl(b"old"), crl(b"other", "b.crl"), crl(b"new"), crl(b"third", "c.crl")):
        receiver.retry.failed("m", item)
    assert receiver.retry.has(crl(b"new"))
    assert not receiver.retry.has(crl(b"old"))
    receiver.retry.stored(crl(b"came later", "c.crl"))
    assert not receiver.retry.has(crl(b"third", "c.crl"))
    receiver.is_full = False
    await asyncio.sleep(LONGEST_PAUSE_S)
    receiver.retry.tick()
    assert receiver.stored == [b"new", b"other"]


@on_jumping_loop
async def test_document_that_is_refused_meanwhile_is_dropped() -> None:
    receiver = Receiver()
    receiver.retry.failed("m", crl(b"one"))
    receiver.is_full, receiver.refuses = False, True
    await asyncio.sleep(LONGEST_PAUSE_S)
    receiver.retry.tick()
    receiver.refuses = False
    receiver.retry.tick()
    assert (receiver.attempts, receiver.stored) == (1, [])


@on_jumping_loop
async def test_waiting_documents_take_limited_memory() -> None:
    receiver = Receiver()
    body = bytes(MOST_OCTETS // 2)
    for name in ("a.crl", "b.crl", "c.crl"):
        receiver.retry.failed("m", crl(body, name))
    receiver.is_full = False
    await asyncio.sleep(LONGEST_PAUSE_S)
    receiver.retry.tick()
    assert len(receiver.stored) == 2


@on_jumping_loop
async def test_pause_starts_again_after_a_success() -> None:
    pace, loop = Pace(asyncio.get_running_loop()), asyncio.get_running_loop()
    assert pace.is_due
    for _ in range(10):
        pace.failed()
    assert not pace.is_due
    pace.succeeded()
    assert pace.is_due
    pace.failed()
    begun = loop.time()
    while not pace.is_due:
        await asyncio.sleep(0.1)
    assert FIRST_PAUSE_S <= loop.time() - begun < FIRST_PAUSE_S + 1
