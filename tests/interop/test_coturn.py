"""A real TURN server relays for the credentials that a user gets, and for no others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from interop.coturn import Coturn
from server.proxy.events.test_notifier import watch
from server.proxy.events.test_turn_credentials import SECRET, write_turn
from support.network import FE1, Network
from support.running import on_loop

pytestmark = pytest.mark.peer("coturn")


@pytest.fixture(name="coturn")
def _coturn(tmp_path: Path) -> Iterator[Coturn]:
    with Coturn(tmp_path / "coturn", SECRET.decode()) as coturn:
        yield coturn


@on_loop
async def test_coturn_relays_for_a_user_with_credentials_and_for_nobody_else(pool: Network, coturn: Coturn) -> None:
    """The others have changed the user, or the end, or have a password of another secret."""
    write_turn(pool, coturn.url)
    async with pool:
        alice = await pool.phone("alice", FE1)
        _, notify = await watch(alice, "sip:alice@example.test", "ua-profile")
    [relay] = json.loads(notify.body)["iceServers"]
    name, password = relay["username"], relay["credential"]
    end, _, user = name.partition(":")
    tried = [
        (name, password),
        (f"{end}:bob@example.test", password),
        (f"{int(end) + 100_000}:{user}", password),
        (name, "A" * len(password)),
    ]
    done = await asyncio.gather(*(asyncio.to_thread(coturn.relays_for, *each) for each in tried))
    assert done == [True, False, False, False]
