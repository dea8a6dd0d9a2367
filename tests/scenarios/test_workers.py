"""A server of two workers, as an operator starts it: phones on both, one identity, one control socket."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from itertools import permutations
from urllib.request import urlopen

import pytest
from cryptography import x509

from bench.bed import workers_of
from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import free_port
from sipmesh.errors import SipmeshError
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.control_socket import SOCKET_SUFFIX, ask
from sipmesh.sip.message import Request
from support.network import EDGE, FE1, FE2
from support.peer import Peer
from support.process import spawn
from support.running import LOOK_AGAIN_S, on_loop
from support.talking import inside_of, talking
from support.workers import Workers, two_workers

ONE, TWO = 1, 2
COMING = 12
"""Connections: that all of them come to one of two sockets by chance is as likely as 12 heads in a row."""


async def stopped_at_its_start(two: Workers) -> tuple[int, int]:
    """End the worker TWO, and stop its next start before it serves: it starts so fast that this may take several attempts.

    Returns its process, and which start of a worker of this server it is.
    """
    start = TWO
    while True:
        start += 1
        before = {*workers_of(two.server.started.pid)}
        await two.signal(TWO, signal.SIGKILL)
        while not (new := {*workers_of(two.server.started.pid)} - before):
            await asyncio.sleep(0)
        [starting] = new
        os.kill(starting, signal.SIGSTOP)
        if {worker["number"]: worker["state"] for worker in await two.workers()}[TWO] == "starting":
            return starting, start
        os.kill(starting, signal.SIGCONT)
        await two.replaced(TWO)


async def pass_message(sender: Peer, receiver: Peer) -> None:
    """See that a message of *sender* arrives at *receiver*, and its answer at *sender*."""
    await sender.send(sender.request("MESSAGE", f"sip:{receiver.user}", body=b"hello"))
    message = await receiver.request_in("MESSAGE")
    assert message.body == b"hello"
    await receiver.reply(message, 200)
    assert (await sender.final()).status == 200


async def call(caller: Peer, callee: Peer) -> tuple[Request, Request]:
    """Set up a call; returns a BYE of either side that is not sent yet."""
    came, tag, dialog = await talking(caller, callee)
    await callee.request_in("ACK")
    return inside_of(dialog, caller, "BYE"), inside_of(Dialog.of_callee(came, tag), callee, "BYE")


async def call_and_hang_up(caller: Peer, callee: Peer, hangs_up: int = 0) -> None:
    """Set up a call, and end it: *hangs_up* is 0 for the caller, 1 for the callee."""
    byes = await call(caller, callee)
    sender, receiver = ((caller, callee), (callee, caller))[hangs_up]
    await sender.send(byes[hangs_up])
    await receiver.reply(await receiver.request_in("BYE"), 200)
    assert (await sender.final(method="BYE")).status == 200


async def messages_pass_each_way(alice: Peer, bob: Peer, carol: Peer) -> None:
    """See that messages of phones at both workers and at another server reach each other."""
    for sender, receiver in permutations((alice, bob, carol), 2):
        await pass_message(sender, receiver)


@on_loop
async def test_phones_of_both_workers_reach_each_other_and_phones_of_another_server(example: Organisation) -> None:
    async with two_workers(example, FE2) as two:
        alice, bob = await two.phone("alice", ONE), await two.phone("bob", TWO)
        carol = await two.network.phone("carol", FE2)
        await messages_pass_each_way(alice, bob, carol)
        for caller, callee, hangs_up in ((alice, bob, 0), (bob, alice, 1), (carol, bob, 1), (alice, carol, 0)):
            await call_and_hang_up(caller, callee, hangs_up)


@on_loop
@pytest.mark.wide
async def test_operator_sees_one_server(example: Organisation) -> None:
    """Links, verdicts, users, metrics and the status are those of both workers."""
    metrics = free_port()
    async with two_workers(example, metrics=metrics) as two:
        alice, bob = await two.phone("alice", ONE), await two.phone("bob", TWO)
        await pass_message(alice, bob)
        links = await two.server.ask("links")
        assert {link["peer"] for link in links} == {"sip:alice@example.test", "sip:bob@example.test"}
        for link in links:
            assert (await two.server.ask("explain", id=link["id"]))["lines"]
        with pytest.raises(SipmeshError, match="no live link"):
            await two.server.ask("explain", id="c5")
        status = await two.server.ask("status")
        assert (status["links"], [one["links"] for one in status["workers"]]) == (2, [1, 1])
        rows = []
        after = None
        while True:
            page = await two.server.ask("registrations", **({"after": after} if after else {}))
            rows += page["bindings"]
            if (after := page["next"]) is None:
                break
        assert {(row["user"], row["server"]) for row in rows} == {
            ("alice@example.test", FE1),
            ("bob@example.test", FE1),
        }
        [binding] = (await two.server.ask("user", user="sip:bob@example.test"))["bindings"]
        assert binding["link"] is not None
        text = (await asyncio.to_thread(urlopen, f"http://127.0.0.1:{metrics}/metrics")).read().decode()
        assert "sipmesh_registrations 2.0" in text
        assert 'sipmesh_messages_total{direction="in",kind="client"}' in text


@on_loop
async def test_revoked_server_loses_its_links_at_every_worker_and_no_other_server_does(example: Organisation) -> None:
    async with two_workers(example) as two:
        revoked = [await two.connected("x", worker, FE2) for worker in (ONE, TWO)]
        others = [await two.connected("x", worker, EDGE) for worker in (ONE, TWO)]
        leaf = x509.load_pem_x509_certificates(two.network.credentials(FE2)[0].read_bytes())[0]
        example.ca.revoke(leaf.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
        await two.server.ask("files-changed")
        assert not [link for link in await two.server.ask("links") if link["peer"] == FE2]
        async with asyncio.timeout(10):
            for peer in revoked:
                await peer.hung_up()
        for peer in others:
            await peer.ask(peer.request("OPTIONS", "sip:example.test"))


@pytest.mark.wide
@on_loop
async def test_worker_that_hangs_keeps_no_revoked_peer(example: Organisation) -> None:
    """The operator gets an answer once no worker serves the peer any more: a stopped one was killed and replaced."""
    async with two_workers(example) as two:
        revoked = await two.connected("x", TWO, FE2)
        await two.signal(TWO, signal.SIGSTOP)
        leaf = x509.load_pem_x509_certificates(two.network.credentials(FE2)[0].read_bytes())[0]
        example.ca.revoke(leaf.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
        await ask(example.folder / "state" / f"{FE1}{SOCKET_SUFFIX}", "files-changed", 30.0)
        await revoked.hung_up()
        await two.replaced(TWO)


@on_loop
async def test_messages_to_phones_of_a_killed_worker_are_stored(example: Organisation) -> None:
    """The sender got 480 for the message under way, and for all others until the next worker was up.

    Before, the phone gets the message itself, and its refusal counts. A message that was under way comes twice.
    """
    async with two_workers(example) as two:
        alice, bob = await two.phone("alice", ONE), await two.phone("bob", TWO)

        def message(text: bytes) -> Request:
            return alice.request("MESSAGE", "sip:bob@example.test", [("content-type", "text/plain")], text)

        await alice.send(message(b"refused"))
        await bob.reply(await bob.request_in("MESSAGE"), 480)
        assert (await alice.final()).status == 480
        await alice.send(message(b"under way"))
        await bob.request_in("MESSAGE")
        await two.signal(TWO, signal.SIGKILL)
        assert (await alice.final()).status == 202
        assert (await alice.ask(message(b"later"))).status == 202
        again = await two.network.phone("bob", FE1)
        for text in (b"under way", b"later"):
            delivered = await again.request_in("MESSAGE")
            assert text in delivered.body
            await again.reply(delivered, 200)


@on_loop
@pytest.mark.wide
async def test_killed_worker_takes_only_its_links_with_it_and_is_replaced(example: Organisation) -> None:
    """The file of the topology is broken meanwhile: the new worker gets the version in force."""
    async with two_workers(example) as two:
        alice, bob, carol = await two.phone("alice", ONE), await two.phone("bob", TWO), await two.phone("carol", ONE)
        bye, _ = await call(alice, bob)
        example.file.write_text(example.file.read_text() + "nonsense: 1\n")
        await two.signal(TWO, signal.SIGKILL)
        await bob.hung_up()
        refused = await alice.ask(alice.request("OPTIONS", "sip:bob@example.test"))
        assert refused.status == 480
        await pass_message(alice, carol)
        again = await two.network.phone("bob", FE1)
        await alice.send(bye)
        await again.reply(await again.request_in("BYE"), 200)
        assert (await alice.final(method="BYE")).status == 200
        await two.replaced(TWO)
        assert two.server.log.count("a worker has ended and is replaced") == 1
        back = await two.phone("carol", 3)
        await pass_message(alice, back)
        await pass_message(back, alice)


@pytest.mark.wide
@on_loop
async def test_worker_that_is_replaced_after_a_change_of_stores_shares_those_of_the_other_worker(
    example: Organisation,
) -> None:
    """The server uses the new store from its next start. Half of its workers must not use it before."""
    async with two_workers(example) as two:
        alice = await two.phone("alice", ONE)
        example.document["storage"] = {"bindings": "state/other.db"}
        example.write()
        assert (await two.server.ask("reload"))["taken"]
        assert two.server.log.count("the published stores differ: restart this server to use them")
        await two.signal(TWO, signal.SIGKILL)
        await two.replaced(TWO)
        bob = await two.phone("bob", 3)
        await pass_message(alice, bob)
        await pass_message(bob, alice)
        assert not (example.folder / "state" / "other.db").exists()


@pytest.mark.wide
@on_loop
async def test_phones_come_to_the_other_worker_while_one_is_replaced(example: Organisation) -> None:
    """The next start of the worker is stopped before it serves: who came to its socket would wait."""
    async with two_workers(example) as two:
        starting, start = await stopped_at_its_start(two)
        try:
            for _ in range(COMING):
                peer = await two.network.peer(two.name, "alice")
                await peer.ask(peer.request("OPTIONS", "sip:example.test"))
                assert await two.start_of(peer) == ONE
            seen = {worker["number"]: worker for worker in await two.workers()}
            assert (seen[ONE]["state"], seen[TWO]["state"], seen[TWO]["pid"]) == ("serving", "starting", starting)
            assert seen[TWO]["why"] == "its process was ended by SIGKILL"
        finally:
            os.kill(starting, signal.SIGCONT)
        await two.replaced(TWO)
        await two.connected("alice", start)


@pytest.mark.wide
@on_loop
async def test_drained_server_answers_what_is_under_way_at_every_worker(example: Organisation) -> None:
    async with two_workers(example) as two:
        alice, bob = await two.phone("alice", ONE), await two.phone("bob", TWO)
        pids = [await two.pid(worker) for worker in (ONE, TWO)]
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        message = await bob.request_in("MESSAGE")
        two.server.started.send_signal(signal.SIGTERM)
        while two.server.log.count('"event": "draining"') < 2:
            await asyncio.sleep(LOOK_AGAIN_S)
        assert (await bob.ask(bob.request("OPTIONS", "sip:example.test"))).status == 503
        await bob.reply(message, 200)
        assert (await alice.final()).status == 200
        await alice.hung_up()
        await bob.hung_up()
        assert await two.server.started.waited() == 0
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


@pytest.mark.wide
@on_loop
async def test_who_connects_to_a_server_that_drains_is_refused_at_once(example: Organisation) -> None:
    """So a phone goes to another server, and does not wait for a server that will not answer (RFC 3263 section 4.3)."""
    async with two_workers(example) as two:
        alice, bob = await two.phone("alice", ONE), await two.phone("bob", TWO)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        message = await bob.request_in("MESSAGE")
        two.server.started.send_signal(signal.SIGTERM)
        while two.server.log.count('"event": "draining"') < 2:
            await asyncio.sleep(LOOK_AGAIN_S)
        for _ in range(COMING):
            with pytest.raises(ConnectionRefusedError):
                await two.network.peer(FE1, "carol")
        await bob.reply(message, 200)
        assert (await alice.final()).status == 200
        assert await two.server.started.waited() == 0


@pytest.mark.wide
@on_loop
async def test_worker_that_starts_while_the_drain_is_prepared_grants_the_short_time_too(example: Organisation) -> None:
    async with two_workers(example) as two:
        await two.server.ask("prepare-drain")
        await two.signal(TWO, signal.SIGKILL)
        await two.replaced(TWO)
        for worker in (ONE, 3):
            phone = await two.connected("alice", worker)
            assert "expires=60" in ((await phone.register()).first("contact") or "").split(";")


@pytest.mark.soak
@on_loop
async def test_workers_end_with_their_supervisor(example: Organisation) -> None:
    """They would learn of no revocation; and the server can start again at once."""
    async with two_workers(example) as two:
        alice, bob = await two.phone("alice", ONE), await two.phone("bob", TWO)
        await two.server.end(signal.SIGKILL)
        await alice.hung_up()
        await bob.hung_up()
        again = await spawn(example, FE1)
        try:
            await again.ready()
        finally:
            again.started.kill()
            await again.started.waited()
