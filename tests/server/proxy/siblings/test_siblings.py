"""Two workers of one server: flows, transactions, limits and the state of events across both."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.events.notifier_choice import notifier_of
from sipmesh.server.proxy.login.login_waits import attempt_of
from sipmesh.server.proxy.siblings.channel import ARRIVED, CLOSE, MOST_IN_ALL, ORDER, SEND
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.message import Response
from sipmesh.sip.transaction.ack import cancel_for
from sipmesh.transport.limits import Limits
from sipmesh.trust.evidence import LinkKind
from support.carrying import credentials, logged_in, path_of, registration
from support.network import EDGE, FE2, FE3, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop, until
from support.siblings import ONE, TWO, pair_of
from support.talking import inside_of, talking


async def pass_message(sender: Peer, receiver: Peer, status: int = 200) -> None:
    """See that a message of *sender* arrives at *receiver*, and its answer at *sender*."""
    await sender.send(sender.request("MESSAGE", f"sip:{receiver.user}", body=b"hello"))
    message = await receiver.request_in("MESSAGE")
    assert message.body == b"hello"
    await receiver.reply(message, status)
    assert (await sender.final()).status == status


def knows_a_user(node: RunningServer) -> bool:
    """Tell whether a worker knows of a login at the other one."""
    return any(flow.users for flow in node.flow_table.sessions() if not flow.link.is_here)


async def pass_inside(dialog: Dialog, sender: Peer, receiver: Peer) -> None:
    """See that a request inside a dialog arrives, and its answer too."""
    await sender.send(inside_of(dialog, sender, "INFO"))
    await receiver.reply(await receiver.request_in("INFO"), 200)
    assert (await sender.final(method="INFO")).status == 200


@on_loop
async def test_registration_at_one_worker_is_found_at_the_other_at_once(example: Organisation) -> None:
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        for sender, receiver in ((alice, bob), (bob, alice)):
            await pass_message(sender, receiver)
            await pass_message(sender, receiver, 488)
        assert not pair.nodes[ONE].relay.load + pair.nodes[TWO].relay.load


@on_loop
@pytest.mark.wide
async def test_call_across_is_answered_cancelled_and_ended_from_either_side(example: Organisation) -> None:
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        for caller, callee in ((alice, bob), (bob, alice)):
            came, tag, dialog = await talking(caller, callee)
            await callee.request_in("ACK")
            turned = Dialog.of_callee(came, tag)
            for sender, receiver, side in ((caller, callee, dialog), (callee, caller, turned)):
                await pass_inside(side, sender, receiver)
            invite = caller.request("INVITE", f"sip:{callee.user}")
            await caller.send(invite)
            came = await callee.request_in("INVITE")
            await callee.reply(came, 180)
            await caller.send(cancel_for(invite))
            await callee.reply(await callee.request_in("CANCEL"), 200)
            await callee.reply(came, 487)
            await callee.request_in("ACK")
            assert (await caller.final(method="INVITE")).status == 487


@on_loop
async def test_end_of_a_link_ends_what_the_other_worker_has_sent_on_it(example: Organisation) -> None:
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.request_in("MESSAGE")
        await bob.__aexit__()
        assert (await alice.final()).status == 202  # it is stored for bob, as the next message is
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 202


@on_loop
async def test_end_of_a_worker_ends_its_links_at_the_other_one(example: Organisation) -> None:
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.request_in("MESSAGE")
        pair.siblings(TWO).close()
        assert (await alice.final()).status == 202  # it is stored for bob
        assert not pair.links_elsewhere(ONE)


@on_loop
async def test_phone_that_comes_back_at_the_other_worker_goes_on_in_its_call(example: Organisation) -> None:
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        _, _, dialog = await talking(alice, bob)
        await bob.__aexit__()
        again = await pair.phone("bob", ONE)
        await pass_inside(dialog, alice, again)


@on_loop
async def test_user_of_one_worker_cannot_speak_as_one_of_the_other(example: Organisation) -> None:
    """A login counts on its link, whichever process announces it."""
    async with pair_of(example) as pair:
        alice, _ = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        forged = alice.request("MESSAGE", "sip:bob@example.test", sender="<sip:bob@example.test>;tag=x")
        assert (await alice.ask(forged)).status in {403, 407}
        stranger = await pair.peer("alice", TWO)
        refused = await stranger.ask(stranger.request("MESSAGE", "sip:bob@example.test"))
        assert refused.status == 407


@on_loop
async def test_response_of_a_phone_counts_for_requests_on_its_own_link_only(example: Organisation) -> None:
    """A phone that knows a branch of the other worker cannot answer in place of another phone."""
    async with pair_of(example) as pair:
        alice, bob, carol = [await pair.phone(user, n) for user, n in (("alice", ONE), ("bob", TWO), ("carol", TWO))]
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        message = await bob.request_in("MESSAGE")
        await carol.reply(message, 603)
        await carol.silent()
        await bob.reply(message, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_presence_is_sent_by_the_worker_that_is_the_notifier(example: Organisation) -> None:
    """A SUBSCRIBE is handed over once at most: watchers at both workers get a NOTIFY."""
    async with pair_of(example) as pair:
        bob = await pair.phone("bob", TWO)
        watchers = [await pair.phone("alice", ONE), await pair.phone("carol", TWO)]
        headers = (("event", "presence"), ("expires", "600"), ("accept", "application/pidf+xml"))
        for watcher in watchers:
            assert (await watcher.ask(watcher.request("SUBSCRIBE", "sip:bob@example.test", headers))).status == 200
            await watcher.reply(await watcher.request_in("NOTIFY"), 200)
        chosen = int(notifier_of("sip:bob@example.test", ["1", "2"], ()))
        assert len(pair.nodes[chosen].events.notifier) == len(watchers)
        body = b"""<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@example.test"><tuple id="t">
            <status><basic>open</basic></status></tuple></presence>"""
        published = (("event", "presence"), ("content-type", "application/pidf+xml"))
        assert (await bob.ask(bob.request("PUBLISH", "sip:bob@example.test", published, body))).status == 200
        for watcher in watchers:
            told = await watcher.request_in("NOTIFY")
            assert b"open" in told.body
            await watcher.reply(told, 200)


@on_loop
async def test_links_of_a_user_count_over_both_workers(example: Organisation) -> None:
    """At the limit all stay; one more closes the oldest, which the other worker has."""
    async with pair_of(example) as pair:
        most = Limits().links_per_user
        phones: list[Peer] = []
        for number in range(most + 1):
            phone = await pair.peer("alice", ONE if number % 2 == 0 and number < most else TWO)
            phone.contact = phones[0].contact if phones else phone.contact  # a user has ten Contacts at most
            assert (await phone.register()).status == 200
            phones.append(phone)
            if number + 1 == most:
                assert [node.accounts.of_users.displaced for node in pair.nodes.values()] == [0, 0]
        await phones[0].hung_up()
        await phones[1].ask(phones[1].request("OPTIONS", "sip:example.test"))


@on_loop
async def test_strangers_of_an_address_count_over_both_workers(example: Organisation) -> None:
    async with pair_of(example) as pair:
        await pair.peer("x", ONE)
        await pair.peer("x", TWO)
        await until(lambda: [len(node.accounts.strangers) for node in pair.nodes.values()] == [2, 2])
        await pair.phone("alice", ONE)
        await until(lambda: [len(node.accounts.of_users) for node in pair.nodes.values()] == [1, 1])
        assert [len(node.accounts.strangers) for node in pair.nodes.values()] == [2, 2]


@on_loop
async def test_links_of_a_server_count_over_both_workers(example: Organisation) -> None:
    async with pair_of(example) as pair:
        most = Limits().links_accepted_per_peer
        peers = [await pair.peer("x", ONE if number % 2 else TWO, EDGE) for number in range(most)]
        for peer in peers:
            await peer.ask(peer.request("OPTIONS", "sip:example.test"))
        more = await pair.peer("x", ONE, EDGE)
        await more.hung_up()
        other = await pair.peer("x", ONE, FE2)
        await other.ask(other.request("OPTIONS", "sip:example.test"))


@on_loop
async def test_requests_of_a_user_count_over_both_workers(example: Organisation) -> None:
    """Each worker knows within a sixteenth what the other has: a user gets no second share at the other one."""
    async with pair_of(example) as pair:
        here, there = await pair.phone("alice", ONE), await pair.peer("alice", TWO)
        there.contact = here.contact
        assert (await there.register()).status == 200
        bob = await pair.phone("bob", ONE)
        for node in pair.nodes.values():
            for account in node.accounts._direct.values():
                account.most_branches = 32
        for number in range(32):
            await (here if number % 2 else there).send(here.request("MESSAGE", "sip:bob@example.test"))
            await bob.request_in("MESSAGE")
        await until(
            lambda: all(node.accounts._direct["user", "sip:alice@example.test"].full for node in pair.nodes.values())
        )
        for peer in (here, there):
            assert (await peer.ask(peer.request("MESSAGE", "sip:bob@example.test"))).status == 503
        carol = await pair.phone("carol", TWO)
        await pass_message(carol, bob)


@on_loop
@pytest.mark.wide
async def test_failed_logins_at_one_worker_delay_those_at_the_other(example: Organisation) -> None:
    async with pair_of(example) as pair:
        guesser = await pair.peer("alice", ONE)
        for _ in range(3):
            assert (await guesser.register(password="wrong")).status == 401
        flow = next(flow for flow in pair.nodes[ONE].flow_table.sessions() if flow.link.is_here)
        attempt = attempt_of(flow, "sip:alice@example.test")
        await until(lambda: pair.nodes[TWO].failures.delay_s(attempt, pair.nodes[TWO].loop.time()) > 0)


@on_jumping_loop
async def test_guesses_through_one_server_delay_those_at_the_other_worker(two_pools: Network) -> None:
    """A stolen front end has a link to each worker, and invents an address for each guess; another user does not wait."""
    async with pair_of(two_pools.organisations[0]) as pair:
        loop, took = asyncio.get_running_loop(), []
        carriers = {worker: await pair.peer("alice", worker, FE3) for worker in (ONE, TWO)}
        for number, worker in enumerate((ONE, ONE, ONE, TWO, TWO)):
            peer, path, host = carriers[worker], path_of(FE3), f"192.0.2.{number + 1}"
            peer.user = "carol@example.test" if number == 4 else "alice@example.test"
            challenged = await peer.ask(registration(peer, path, host=host))
            guess, began = credentials(peer, challenged, "wrong"), loop.time()
            assert (await peer.ask(registration(peer, path, [guess], host))).status == 401
            took.append(round(loop.time() - began, 1))
        assert took == [0.0, 0.0, 0.5, 1.0, 0.0]


@on_loop
async def test_subscription_is_refused_while_the_worker_of_its_notifier_is_behind(example: Organisation) -> None:
    async with pair_of(example) as pair:
        at = ONE if notifier_of("sip:bob@example.test", ["1", "2"], ()) == "2" else TWO
        alice = await pair.phone("alice", at)
        channel = pair.siblings(at).channel(ONE + TWO - at)
        assert channel is not None
        asked = (("event", "presence"), ("contact", "<sip:alice@host>"), ("expires", "60"))
        channel.pending += MOST_IN_ALL
        assert (await alice.ask(alice.request("SUBSCRIBE", "sip:bob@example.test", asked))).status == 503
        channel.pending -= MOST_IN_ALL
        assert channel.is_open
        assert (await alice.ask(alice.request("SUBSCRIBE", "sip:bob@example.test", asked))).status != 503


@on_loop
async def test_frames_about_links_that_are_gone_are_dropped(example: Organisation) -> None:
    async with pair_of(example) as pair:
        channel = pair.siblings(ONE).channel(TWO)
        assert channel is not None
        for kind in (SEND, ARRIVED, CLOSE, ORDER):
            channel.send(kind, 5, b"{}")
        channel.send(ARRIVED, 6, b"no message")
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        await pass_message(alice, bob)
        assert not list(pair.told[TWO].events("fault"))


@on_loop
async def test_new_worker_gets_the_links_that_are_up(example: Organisation) -> None:
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        pair.siblings(ONE).close()
        await until(lambda: not pair.links_elsewhere(TWO))
        pair.connect()
        await until(lambda: all(knows_a_user(node) for node in pair.nodes.values()))
        await pass_message(alice, bob)
        assert {link.kind for link in pair.links_elsewhere(ONE)} == {LinkKind.CLIENT}


@on_loop
async def test_flows_by_one_server_are_bounded_over_all_workers(two_pools: Network) -> None:
    """A flow at another worker takes room until it ends."""
    async with pair_of(two_pools.organisations[0]) as pair:
        first, second = await pair.peer("alice", ONE, FE3), await pair.peer("carol", TWO, FE3)
        pair.nodes[TWO].home_flows.most_of_server = 1
        await logged_in(first, path_of(FE3))
        await until(lambda: len(pair.nodes[TWO].accounts.of_users) == 1)
        assert (await second.ask(registration(second, path_of(FE3)))).status == 503
        await first.__aexit__()
        await until(lambda: not pair.nodes[TWO].accounts.of_users)
        await logged_in(second, path_of(FE3))


@on_loop
async def test_flow_that_another_pool_carries_is_reached_from_either_worker(two_pools: Network) -> None:
    """The link of the server that carries it is at one worker; the request comes to the other one."""
    async with pair_of(two_pools.organisations[0]) as pair:
        carrier = await pair.peer("alice", ONE, FE3)
        path = path_of(FE3)
        await logged_in(carrier, path)
        sender = await pair.phone("alice", TWO)
        await until(lambda: len(pair.nodes[TWO].accounts.of_users) == 2)
        await sender.send(sender.request("MESSAGE", "sip:alice@example.test", body=b"hello"))
        message = await carrier.request_in("MESSAGE")
        assert (message.body, message.items("route")) == (b"hello", [path])
        await carrier.reply(message, 200)
        while not isinstance(await sender.receive(), Response):
            pass
        assert len(pair.siblings(ONE).local._awaited) == 0
        await carrier.__aexit__()
        await until(lambda: not pair.links_elsewhere(TWO))
        assert len(pair.nodes[TWO].accounts.of_users) == 1


@on_loop
async def test_users_whom_a_partner_addresses_count_over_both_workers(example: Organisation) -> None:
    """The names cross as hashes that both compute alike. Control: another partner."""
    partner, erin = "sip.partner.test", "sip:erin@partner.test"
    async with pair_of(example) as pair:
        one, two = (pair.nodes[number].accounts.addressed for number in (ONE, TWO))
        most = Limits().users_per_sender
        assert all(one.admits(partner, erin, f"sip:n{number}@example.test") for number in range(most))
        await until(lambda: two.count(partner) == most)
        assert two.admits(partner, erin, "sip:n0@example.test")
        assert not two.admits(partner, erin, "sip:bob@example.test")
        assert two.admits("sip.other.test", erin, "sip:bob@example.test")


@on_loop
async def test_pools_that_a_worker_has_taken_over_are_known_to_the_others_also_to_a_later_one(
    example: Organisation,
) -> None:
    async with pair_of(example) as pair:
        takeovers = pair.nodes[TWO].takeovers
        pair.siblings(ONE).taken_over(frozenset({"pool9.example.test"}))
        await until(lambda: takeovers._elsewhere == {ONE: {"pool9.example.test"}})
        takeovers._elsewhere.clear()
        pair.connect()  # as a worker that has started again
        await until(lambda: takeovers._elsewhere == {ONE: {"pool9.example.test"}})
        pair.siblings(ONE).close()
        await until(lambda: takeovers._elsewhere == {ONE: frozenset()})
