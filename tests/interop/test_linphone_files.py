"""linphone sends files beside messages, and fetches them, over HTTPS with a certificate that it verifies."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from interop.hosts_file import require_namespaces
from interop.linphone_files_peer import LinphoneWithFiles, device_password, files_port
from sipmesh.demo.network import FE1, DemoNetwork
from sipmesh.demo.web import MGMT
from sipmesh.storage.sent_files import SentFiles
from support.invited import sipmesh

pytestmark = [pytest.mark.wide, pytest.mark.peer("linphone")]


def stored(network: DemoNetwork) -> int:
    """How many files management has."""
    store = SentFiles(network.example.file.parent / "state" / "files.db")
    try:
        return store.usage()[0]
    finally:
        store.close()


def test_linphone_sends_a_file_to_linphone_and_none_with_its_own_password_or_to_another_server(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    """The receiver is offline at first: the message about the file is stored. The other server has another certificate."""
    require_namespaces()

    async def play() -> None:
        network = await DemoNetwork.build(tmp_path / "n", web=True)
        for server in (FE1, MGMT):
            network.dns.records[server, "A"] = ["127.0.0.1"]
        await network.start(MGMT, FE1)
        alice, bob = [await device_password(network, user) for user in ("alice", "bob")]
        note = tmp_path / "plan.txt"
        note.write_text("to be built\n" * 50_000)
        own = LinphoneWithFiles(network, tmp_path / "own", "alice", "alice-secret", login="alice")
        misled = LinphoneWithFiles(
            network, tmp_path / "misled", "alice", alice, files=f"https://{FE1}:{files_port(network)}/files"
        )
        for phone in (own, misled):
            async with phone:
                refused = await phone.does(f"send bob@example.test {note}")
                assert not refused["delivered"], refused
        assert not stored(network)
        async with LinphoneWithFiles(network, tmp_path / "alice", "alice", alice) as sender:
            sent = await sender.does(f"send bob@example.test {note}")
            assert sent["delivered"], sent
        async with LinphoneWithFiles(network, tmp_path / "bob", "bob", bob) as receiver:
            got = await receiver.does("receive")
        assert (got["from"], got["name"], got["fetched"]) == ("sip:alice@example.test", "plan.txt", True)
        assert got["sha256"] == hashlib.sha256(note.read_bytes()).hexdigest()
        assert stored(network) == 1
        await sipmesh(network.example.file, "group", "add", "team", "--member", "bob", "--member", "carol")
        async with LinphoneWithFiles(network, tmp_path / "again", "alice", alice) as sender:
            sent = await sender.does(f"send team@example.test {note}")
            assert sent["delivered"], sent
        async with LinphoneWithFiles(network, tmp_path / "member", "bob", bob) as receiver:
            got = await receiver.does("receive")
        assert (got["from"], got["name"], got["fetched"]) == ("sip:alice@example.test", "plan.txt", True)
        await network.stop()

    runner.run(play())
