"""A device in a managed network, by the commands alone: it logs in without a password, and a revocation ends its link."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from cli.world import FE1, Organisation
from support.peer import Peer

if TYPE_CHECKING:
    from pathlib import Path

WITHIN_S = 10.0  # the promise is one second


def issued(ours: Organisation, device: str) -> tuple[Path, Path]:
    """The file of a device, which has certificates and key."""
    made = ours.type("ca", "issue", "--user", "alice", "--device", device, "--format", "pem")
    assert made.code == 0, made.err
    file = ours.folder / "devices" / f"alice.{device}.pem"
    return file, file


async def logged_in(ours: Organisation, device: str) -> Peer:
    host, port = ours.address(FE1).split(":")
    peer = await Peer.open((host, int(port)), "alice@example.com", issued(ours, device))
    assert (await peer.register(password="wrong")).status == 200
    return peer


@pytest.mark.wide
def test_operator_lets_a_device_in_revokes_it_and_removes_the_user(organisation: Organisation) -> None:
    """Management gives the servers the CA by the version, and its CRL by a push."""
    ours = organisation
    ours.add_user("alice")
    text = ours.file.read_text()
    ours.file.write_text(text.replace(f"{{name: {FE1},", f"{{name: {FE1}, client_auth: certificate,"))
    ours.publish("devices instead of passwords")
    ours.serve(FE1)

    async def play() -> None:
        lost, kept = [await logged_in(ours, device) for device in ("lost", "kept")]
        listed = await asyncio.to_thread(ours.type, "links", "--json")
        assert "kept of sip:alice@example.com" in listed.out
        began = time.monotonic()
        revoked = await asyncio.to_thread(ours.type, "ca", "revoke", "alice@example.com", "--device", "lost")
        assert revoked.code == 0, revoked.err
        await lost.hung_up()
        assert time.monotonic() - began < WITHIN_S
        assert (await kept.register(password="wrong")).status == 200
        removed = await asyncio.to_thread(ours.type, "user", "remove", "alice")
        assert "of kept of alice@example.com" in removed.out
        await kept.hung_up()

    asyncio.run(play())
    audit = ours.type("audit", "--json").out
    assert audit.count('"device": "lost"') == 2
