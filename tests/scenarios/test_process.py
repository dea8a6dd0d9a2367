"""A server as a process: signals, changed files, its control socket, its log."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import UTC, datetime

from cryptography import x509

from sipmesh.demo.organisation import Organisation
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.control_socket import ask
from support.network import FE1, FE2, Network
from support.process import serving
from support.running import on_loop


@on_loop
async def test_sigterm_writes_what_waits_hangs_up_and_leaves_nothing_behind(example: Organisation) -> None:
    async with Network((example,)) as network, serving(example, FE1) as server:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        waiting = [alice.request("MESSAGE", "sip:bob@example.test") for _ in range(50)]
        await alice.send(*waiting)
        for _ in waiting:
            await bob.reply(await bob.request_in("MESSAGE"), 200)
        for _ in waiting:
            assert (await alice.final()).status == 200
        assert await server.end(signal.SIGTERM) == 0
        await alice.hung_up()
        await bob.hung_up()
        assert "stopped" in server.log
        assert not list((example.folder / "state").glob("*.sock"))


@on_loop
async def test_changed_topology_is_taken_without_being_asked_and_a_bad_one_is_not(example: Organisation) -> None:
    async with Network((example,)), serving(example, FE1) as server:
        before = (await server.ask("status"))["topology"]
        good = example.file.read_text()
        example.file.write_text(good + "nonsense: 1\n")
        while "topology rejected" not in server.log:
            await asyncio.sleep(0.02)
        assert (await server.ask("status"))["topology"] == before
        [told] = [json.loads(line) for line in server.log.splitlines() if "topology rejected" in line]
        assert "nonsense" in told["problems"][0]
        example.file.write_text(good + "# only a comment\n")
        while (await server.ask("status"))["topology"] == before:
            await asyncio.sleep(0.02)


@on_loop
async def test_sighup_has_the_files_read_anew(example: Organisation) -> None:
    async with Network((example,)), serving(example, FE1) as server:
        server.started.send_signal(signal.SIGHUP)
        while "topology in force" not in server.log:
            await asyncio.sleep(0.02)


@on_loop
async def test_whoever_still_asks_does_not_keep_a_server_from_stopping(example: Organisation) -> None:
    """An open control connection is hung up on."""
    async with Network((example,)), serving(example, FE1) as server:
        path = example.folder / "state" / f"{FE1}.sock"
        _, writer = await asyncio.open_unix_connection(path)
        assert (await ask(path, "status"))["server"] == FE1
        assert await server.end(signal.SIGTERM) == 0
        writer.close()


@on_loop
async def test_revoked_server_loses_its_live_links_within_a_second_and_no_other(example: Organisation) -> None:
    """The promise is a second and is kept for ten times as long on a slow machine."""
    async with Network((example,), starts=(FE2,)) as network, serving(example, FE1) as server:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE2)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
        leaf = x509.load_pem_x509_certificates(network.papers(FE2)[0].read_bytes())[0]
        example.ca.revoke(leaf.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
        async with asyncio.timeout(10):
            while any(link["peer"] == FE2 for link in await server.ask("links")):
                await asyncio.sleep(0.02)
        refused = await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))
        assert refused.status == 480
        assert (await server.ask("refused"))[0]["code"] == "revoked"
