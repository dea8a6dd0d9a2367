"""Who spreads what it does over the workers of a server, at the same moment, has one share of each limit."""

from __future__ import annotations

import asyncio
import signal
import ssl
from contextlib import suppress
from dataclasses import replace

from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import free_port
from sipmesh.routing.events.notifier_choice import notifier_of
from sipmesh.sip.message import Request
from sipmesh.transport.limits import Limits
from support.network import FE1, FE2, UNHURRIED
from support.peer import HungUpError, Peer
from support.running import LOOK_AGAIN_S, on_loop, until
from support.siblings import ONE, TWO, Pair, pair_of
from support.source_ports import from_port
from support.workers import MOST_TRIES, Workers, two_workers

MOST_LINKS = Limits().links_per_user
MESSAGE = ("content-type", "text/plain")


async def links_of(two: Workers, peer: str) -> list[str]:
    """The ids of the links of a user or a server."""
    return [str(link["id"]) for link in await two.server.ask("links") if link["peer"] == peer]


# Source ports


@on_loop
async def test_no_peer_chooses_the_worker_by_the_source_port(example: Organisation) -> None:
    """By the hash of the addresses, who had learned which ports lead to one worker put all connections there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with two_workers(example) as two:
        source, starts = free_port(), set[int]()
        for _ in range(MOST_TRIES):
            with from_port(source, two.network.address(FE1)) as sock:
                peer = Peer(*await asyncio.open_connection(sock=sock, ssl=context, server_hostname=""), "nobody@x.test")
                await peer.ask(peer.request("OPTIONS", "sip:example.test"))
                starts.add(await two.start_of(peer))
                await peer.__aexit__()
            if len(starts) > 1:
                break
        assert starts == {ONE, TWO}
        await two.phone("alice", ONE)
        await two.phone("bob", TWO)


# Links of a user


@on_loop
async def test_user_who_logs_in_at_both_workers_at_once_has_one_share_of_links(example: Organisation) -> None:
    """Each worker accepted as many links as a user may have, before it knew of those at the other one. All of them stayed."""
    async with two_workers(example) as two:
        bob = await two.phone("bob", ONE)
        phones = [await two.network.peer(FE1, "alice") for _ in range(2 * MOST_LINKS)]
        for phone in phones:
            phone.contact = phones[0].contact
        logins = [await phone.with_credentials() for phone in phones]
        for phone, login in zip(phones, logins, strict=True):
            await phone.send(login)
        for phone in phones:
            with suppress(HungUpError):
                await phone.final()
        while len(await links_of(two, "sip:alice@example.test")) > MOST_LINKS:
            await asyncio.sleep(LOOK_AGAIN_S)
        await bob.ask(bob.request("OPTIONS", "sip:example.test"))


def split(pair: Pair) -> None:
    """Let the workers not know of each other until `connect` of *pair*: what crosses over comes too late."""
    pair.siblings(ONE).close()


@on_loop
async def test_workers_close_the_same_links_of_a_user_who_has_too_many(example: Organisation) -> None:
    """Neither closes so many that the user has fewer than the limit, and other users keep theirs."""
    async with pair_of(example) as pair:
        split(pair)
        for node in pair.nodes.values():
            node.accounts.of_users.each = 3
        phones = [await pair.phone("alice", worker) for worker in (ONE, TWO) for _ in range(3)]
        others = [await pair.phone("bob", worker) for worker in (ONE, TWO)]
        pair.connect()
        await until(lambda: all(node.accounts.of_users.size == 8 for node in pair.nodes.values()))
        for _ in range(3):
            for node in pair.nodes.values():
                node.tick()
            await asyncio.sleep(LOOK_AGAIN_S)
        for phone in phones[:3]:
            await phone.hung_up()
        for phone in (*phones[3:], *others):
            await phone.ask(phone.request("OPTIONS", "sip:example.test"))
        assert [node.accounts.of_users.size for node in pair.nodes.values()] == [5, 5]


@on_loop
async def test_worker_without_descriptors_closes_a_stranger_though_its_address_has_an_older_link_elsewhere(
    example: Organisation,
) -> None:
    """One old link at another worker protected all links of the address. The user's own link, and that other one, stay."""
    async with pair_of(example, limits=replace(UNHURRIED, slow_s=0)) as pair:
        alice, elsewhere = await pair.phone("alice", ONE), await pair.peer("x", TWO)
        accounts = pair.nodes[ONE].accounts
        await until(lambda: accounts.strangers.size == 1)
        assert not accounts.make_room()
        here = await pair.peer("x", ONE)
        await until(lambda: accounts.strangers.size == 2)
        assert accounts.make_room()
        await here.hung_up()
        for peer in (alice, elsewhere):
            await peer.ask(peer.request("OPTIONS", "sip:example.test"))


# Subscriptions


def subscribe(watcher: Peer, user: str) -> Request:
    """A new subscription to the presence of *user*."""
    headers = (("event", "presence"), ("expires", "600"), ("accept", "application/pidf+xml"))
    return watcher.request("SUBSCRIBE", f"sip:{user}@example.test", headers)


async def statuses(watcher: Peer, *users: str) -> list[int]:
    """Subscribe to *users*, one after the other, and give the statuses."""
    found: list[int] = []
    for user in users:
        asked = subscribe(watcher, user)
        await watcher.send(asked)
        while len(found) <= users.index(user):
            message = await watcher.receive()
            if isinstance(message, Request):
                await watcher.reply(message, 200)
            elif message.call_id == asked.call_id:
                found.append(message.status)
    return found


@on_loop
async def test_watcher_has_one_share_of_subscriptions_though_each_worker_is_the_notifier_of_other_users(
    example: Organisation,
) -> None:
    names = [f"u{number}" for number in range(20)]
    example.add_users(*names)
    chosen = {name: int(notifier_of(f"sip:{name}@example.test", ["1", "2"], ())) for name in names}
    ones, twos = ([name for name in names if chosen[name] == worker] for worker in (ONE, TWO))
    async with pair_of(example) as pair:
        for node in pair.nodes.values():
            node.events.notifier.places.most_of_watcher = 4
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        assert await statuses(alice, *ones[:2], *twos[:2]) == [200] * 4
        assert await statuses(alice, ones[2], twos[2]) == [503] * 2
        assert await statuses(bob, ones[2], twos[2]) == [200] * 2


# A worker that is replaced


@on_loop
async def test_worker_that_starts_later_counts_what_a_user_has_under_way_at_the_others(example: Organisation) -> None:
    """The user had a whole share more there."""
    async with pair_of(example) as pair:
        split(pair)
        alice, silent = await pair.phone("alice", ONE), await pair.phone("carol", ONE)
        account = next(
            flow.account for flow in pair.nodes[ONE].flow_table.sessions() if flow.logged_in == {f"sip:{alice.user}"}
        )
        account.most_branches = 4
        await alice.send(*(alice.request("MESSAGE", "sip:carol@example.test", [MESSAGE], b"x") for _ in range(4)))
        for _ in range(4):
            await silent.request_in("MESSAGE")
        pair.connect()
        again, bob = await pair.phone("alice", TWO), await pair.phone("bob", TWO)
        counted = pair.nodes[TWO].accounts._account("user", f"sip:{alice.user}")
        assert counted.branches_elsewhere == 4
        counted.most_branches = 4
        refused = await again.ask(again.request("MESSAGE", "sip:bob@example.test", [MESSAGE], b"x"))
        assert refused.status == 503
        await bob.send(bob.request("MESSAGE", "sip:carol@example.test", [MESSAGE], b"x"))
        await silent.reply(await silent.request_in("MESSAGE"), 200)
        assert (await bob.final()).status == 200


# A supervisor that hangs


async def is_open(address: tuple[str, int]) -> bool:
    """Whether a connection is accepted there."""
    try:
        _, writer = await asyncio.open_connection(*address)
    except OSError:
        return False
    writer.close()
    return True


@on_loop
async def test_workers_end_with_a_supervisor_that_hangs_and_come_back_with_it(example: Organisation) -> None:
    """They went on: a server whose certificate was revoked kept its links, and the password of a removed user counted.

    A phone that connects meanwhile is refused, and goes to another server. It waited at sockets that no process read.
    """
    async with two_workers(example) as two:
        server, alice = await two.connected("x", TWO, FE2), await two.phone("alice", ONE)
        two.server.started.send_signal(signal.SIGSTOP)
        for peer in (server, alice):
            await peer.hung_up()
        while await is_open(two.network.address(FE1)):  # the supervisor has the sockets open
            await asyncio.sleep(LOOK_AGAIN_S)
        two.server.started.send_signal(signal.SIGCONT)
        for worker in (ONE, TWO):
            await two.replaced(worker)
        assert (await (await two.network.peer(FE1, "alice")).register()).status == 200
