"""A server as a process: signals, changed files, its control socket, its log."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509

from sipmesh.demo.organisation import Organisation
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.control_socket import ask
from sipmesh.sip.message import Request
from support.network import FE1, FE2, Network
from support.process import Process, serving
from support.running import LOOK_AGAIN_S, on_loop, within


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
@pytest.mark.wide
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
async def test_sighup_has_the_files_read_again(example: Organisation) -> None:
    async with Network((example,)), serving(example, FE1) as server:
        server.started.send_signal(signal.SIGHUP)
        while "topology in force" not in server.log:
            await asyncio.sleep(0.02)


@on_loop
async def test_client_that_still_asks_does_not_keep_a_server_from_stopping(example: Organisation) -> None:
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
        leaf = x509.load_pem_x509_certificates(network.credentials(FE2)[0].read_bytes())[0]
        example.ca.revoke(leaf.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
        async with asyncio.timeout(10):
            while any(link["peer"] == FE2 for link in await server.ask("links")):
                await asyncio.sleep(0.02)
        refused = await alice.ask(alice.request("OPTIONS", "sip:bob@example.test"))
        assert refused.status == 480
        assert (await server.ask("refused"))[0]["code"] == "revoked"


@on_loop
@pytest.mark.wide
async def test_sigterm_with_two_hundred_requests_under_way_gives_two_hundred_final_answers(
    example: Organisation,
) -> None:
    """New work is refused meanwhile, and a phone for which nothing is under way is let go."""
    async with Network((example,)) as network, serving(example, FE1) as server:
        alice, bob, carol = [await network.phone(name, FE1) for name in ("alice", "bob", "carol")]
        sent = [alice.request("MESSAGE", "sip:bob@example.test") for _ in range(200)]
        await alice.send(*sent)
        came = [await bob.request_in("MESSAGE") for _ in sent]
        server.started.send_signal(signal.SIGTERM)
        await carol.hung_up()
        said = (await server.ask("status"))["work"]
        assert (said["state"], said["requests_waiting"]) == ("draining", 200)
        assert (await alice.ask(alice.request("OPTIONS", "sip:example.test"))).status == 503
        for one in came:
            await bob.reply(one, 200)
        assert [(await alice.final()).status for _ in sent] == [200] * 200
        assert await server.started.waited() == 0
        assert '"event": "drained"' in server.log


@on_loop
async def test_second_sigterm_ends_a_server_at_once_and_leaves_no_request_without_an_answer(
    example: Organisation,
) -> None:
    async with Network((example,)) as network, serving(example, FE1) as server:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.request_in("MESSAGE")
        server.started.send_signal(signal.SIGTERM)
        while '"event": "draining"' not in server.log:
            await asyncio.sleep(LOOK_AGAIN_S)
        server.started.send_signal(signal.SIGTERM)
        assert (await alice.final()).status == 503
        assert await server.started.waited() == 0


@on_loop
@pytest.mark.wide
async def test_server_that_hangs_is_found_out_and_is_used_again_when_it_goes_on(example: Organisation) -> None:
    """The promise is three seconds; the log says that it was the silence, and not a deadline of the requests."""
    async with Network((example,)) as network, serving(example, FE1) as server, serving(example, FE2) as mate:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE2)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
        mate.started.send_signal(signal.SIGSTOP)
        began = asyncio.get_running_loop().time()
        await alice.send(*(alice.request(method, "sip:bob@example.test") for method in ("MESSAGE", "INVITE")))
        assert {(await alice.final()).status for _ in range(2)} == {202, 480}  # 202: the MESSAGE is stored
        assert asyncio.get_running_loop().time() - began < 30
        assert [one["peer"] for one in told_by(server, "server does not answer")] == [FE2]
        assert "does not answer keepalives" in told_by(server, "server does not answer")[0]["why"]
        assert [one["server"] for one in (await server.ask("status"))["work"]["servers_down"]] == [FE2]
        mate.started.send_signal(signal.SIGCONT)
        while not told_by(server, "server answers again"):
            await asyncio.sleep(LOOK_AGAIN_S)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test", body=b"again"))
        async with asyncio.timeout(30):  # and not the minute after which a phone that does not answer is asked again
            while (came := await bob.receive()).body != b"again":  # the stored one, or what it had read before it hung
                if isinstance(came, Request) and came.method == "MESSAGE":
                    await bob.reply(came, 200)
        assert isinstance(came, Request)
        await bob.reply(came, 200)
        assert (await alice.final()).status in {200, 202}  # 202: it comes after the stored one
        assert len(told_by(server, "server does not answer")) == 1


@pytest.mark.soak
@within(60.0)
async def test_sigterm_ends_a_server_within_fifteen_seconds_though_no_peer_answers_or_reads(
    example: Organisation,
) -> None:
    """What is left after ``stop_s`` gets its final answer, and a peer that reads nothing delays no other for longer."""
    async with Network((example,)) as network, serving(example, FE1) as server:
        alice, bob, carol = [await network.phone(name, FE1) for name in ("alice", "bob", "carol")]
        await alice.send(*(alice.request(method, "sip:bob@example.test") for method in ("MESSAGE", "INVITE")))
        await bob.request_in("MESSAGE")
        await bob.reply(await bob.request_in("INVITE"), 180)
        await bob.send(*(bob.request("MESSAGE", "sip:carol@example.test", body=b"x" * 100_000) for _ in range(100)))
        began = asyncio.get_running_loop().time()
        server.started.send_signal(signal.SIGTERM)
        assert [(await alice.final()).status for _ in range(2)] == [503, 503]
        assert await server.started.waited() == 0
        assert asyncio.get_running_loop().time() - began < 15
        await carol.hung_up()


def told_by(server: Process, event: str) -> list[dict[str, Any]]:
    """The lines of one event in the log of a process."""
    return [told for told in map(json.loads, server.log.splitlines()) if told["event"] == event]
