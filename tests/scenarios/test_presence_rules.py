"""Rules of users about watchers, on live subscriptions: over TLS, at each server, in other pools and at partners."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from server.proxy.events.test_notifier import BOB, BUSY, again, publish, state, subscribe, sweeping, told, watch
from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.sip.message import Request
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.load import load
from sipmesh.topology.document.watching import Watching
from support.network import FE1, FE2, FE3, FE4, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop, until
from support.talking import inside_of, reaches
from support.tiers import wide_after

ERIN = "erin@partner.test"


async def rule(network: Network, watcher: str, rule: Watching | None, user: str = "bob@example.test") -> None:
    """Set or remove a rule, and let all servers read it, as a command does."""
    organisation: Organisation = network.organisations[0]
    users = Users(organisation.load().users_url)
    if rule is None:
        users.remove_watcher(user, watcher)
    else:
        users.set_watcher(user, watcher, rule)
    users.close()
    for node in network.nodes.values():
        await node.user_updates.refresh()


async def accepted(watcher: Peer, subscription: Request, phone: Peer) -> Request:
    """Send a SUBSCRIBE that *phone* gets and accepts; return it as the phone has it."""
    await watcher.send(subscription)
    came = await phone.request_in("SUBSCRIBE")
    await phone.reply(came, 200, [("expires", "600")])
    assert (await watcher.final()).status == 200
    return came


async def published(network: Network, server: str = FE1) -> Peer:
    bob = await network.phone("bob", server)
    assert (await bob.ask(publish(bob, BUSY))).status == 200
    return bob


@on_loop
async def test_rule_changes_live_subscriptions_at_once(pool: Network) -> None:
    """And no subscription of another watcher."""
    async with pool:
        await published(pool)
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE2)
        assert b"busy" in (await watch(alice, BOB))[1].body
        assert b"busy" in (await watch(carol, BOB))[1].body
        await rule(pool, "alice", Watching.POLITE_BLOCK)
        assert b"closed" in (await told(alice)).body
        await rule(pool, "alice", None)
        assert b"busy" in (await told(alice)).body
        await rule(pool, "alice", Watching.BLOCK)
        ended = await told(alice)
        assert (ended.first("subscription-state"), ended.body) == ("terminated;reason=rejected", b"")
        assert (await alice.ask(subscribe(alice, BOB))).status == 403
        await carol.silent()
        await rule(pool, "alice", Watching.ALLOW)
        assert b"busy" in (await watch(alice, BOB))[1].body


@on_loop
async def test_user_sees_oneself_under_all_rules(home: Network) -> None:
    async with home:
        bob = await published(home)
        await rule(home, "*", Watching.BLOCK)
        await rule(home, "bob", Watching.BLOCK)
        assert b"busy" in (await watch(bob, BOB))[1].body


@on_loop
async def test_polite_block_is_constant_for_all_acts_of_the_user(home: Network) -> None:
    async with sweeping(home):
        await rule(home, "@example.test", Watching.POLITE_BLOCK)
        alice = await home.phone("alice", FE1)
        granted, first = await watch(alice, BOB)
        bob = await published(home)
        await bob.ask(publish(bob, BUSY.replace(b"busy", b"away")))
        await alice.send(again(alice, granted, 600))
        assert (await alice.final()).status == 200
        assert (await told(alice)).body == first.body
        await bob.__aexit__()
        await alice.silent()


@on_loop
async def test_topology_default_changes_live_subscriptions(home: Network) -> None:
    """A rule of the user counts before it."""
    async with home:
        await published(home)
        alice, carol = await home.phone("alice", FE1), await home.phone("carol", FE1)
        await rule(home, "carol", Watching.ALLOW)
        await watch(alice, BOB)
        await watch(carol, BOB)
        organisation, node = home.organisations[0], home.nodes[FE1]
        organisation.document["presence"] = {"inside": "block"}
        organisation.write()
        node.put_in_force(load(organisation.file))
        assert (await told(alice)).first("subscription-state") == "terminated;reason=rejected"
        await carol.silent()


@pytest.mark.parametrize("sender", ["erin", "Erin", "%65rin"])
@on_loop
@pytest.mark.wide
async def test_partner_sees_what_the_user_allows_under_each_spelling(federation: Network, sender: str) -> None:
    """The domain is blocked by default; the user lets one watcher of it see her, and takes that back."""
    async with federation:
        await published(federation, FE2)
        erin = await federation.phone("erin", PARTNER_FE)
        written = f"<sip:{sender}@partner.test>;tag={erin.tag}"
        asked = erin.request("SUBSCRIBE", BOB, [("event", "presence")], sender=written)
        assert (await erin.ask(asked)).status == 403
        await rule(federation, ERIN, Watching.ALLOW)
        assert b"busy" in (await watch(erin, BOB))[1].body
        await rule(federation, ERIN, Watching.BLOCK)
        assert (await told(erin)).first("subscription-state") == "terminated;reason=rejected"
        asked = erin.request("SUBSCRIBE", BOB, [("event", "presence")], sender=written)
        assert (await erin.ask(asked)).status == 403


@on_loop
async def test_rule_counts_for_watchers_of_another_pool(two_pools: Network) -> None:
    async with two_pools:
        alice = await two_pools.phone("alice", FE1)
        await published(two_pools, FE3)
        await watch(alice, BOB)
        await rule(two_pools, "alice", Watching.BLOCK)
        assert (await told(alice)).first("subscription-state") == "terminated;reason=rejected"
        assert (await alice.ask(subscribe(alice, BOB))).status == 403


@pytest.mark.parametrize(("watching", "status"), [(Watching.BLOCK, 403), (Watching.POLITE_BLOCK, 480)])
@pytest.mark.parametrize("server", wide_after(1, [FE1, FE2]))
@on_loop
async def test_blocked_watcher_learns_nothing_from_the_phone_either(
    pool: Network, watching: Watching, status: int, server: str
) -> None:
    """The dialog package (RFC 4235) is between phones. It is asked for by name, by GRUU and by Contact."""
    async with pool:
        alice, carol, bob = [await pool.phone(*who) for who in (("alice", server), ("carol", FE1), ("bob", FE1))]
        await rule(pool, "alice", watching)
        await rule(pool, "carol", Watching.ALLOW)
        contact = bob.contact[1:-1]
        for uri in (BOB, f"{BOB};gr=urn:uuid:1", contact) if server == FE1 else (BOB,):
            for event in ("dialog", "presence"):
                refused = await alice.ask(subscribe(alice, uri, event))
                is_at_notifier = (event, uri) == ("presence", BOB)
                assert refused.status == (200 if is_at_notifier and status == 480 else status), (uri, event)
                if refused.status == 200:
                    assert b"closed" in (await told(alice)).body
        await accepted(carol, subscribe(carol, BOB, "dialog"), bob)


@pytest.mark.parametrize("event", wide_after(2, ["dialog", "Dialog;sla", "conference", "vq-rtcpxr"]))
@pytest.mark.parametrize("server", wide_after(1, [FE1, FE2]))
@on_loop
async def test_colleague_learns_no_call_id_without_a_rule_that_allows_it(
    pool: Network, event: str, server: str
) -> None:
    """With it and the tags, an INVITE with Replaces takes over a call. The phone ends it once the rule is gone."""
    async with pool:
        bob, alice = await pool.phone("bob", FE1), await pool.phone("alice", server)
        refused = await alice.ask(subscribe(alice, BOB, event))
        told_why = pool.nodes[server].refusals.newest[-1]
        assert (refused.status, f"reference {told_why.reference}" in (refused.first("warning") or "")) == (403, True)
        assert "needs a rule of sip:bob@example.test" in told_why.why
        await bob.silent()
        await rule(pool, "alice", Watching.ALLOW)
        came = await accepted(alice, subscribe(alice, BOB, event), bob)
        await bob.send(notify_of(came, bob, event))
        await told(alice)
        assert (await bob.final()).status == 200
        await rule(pool, "alice", None)
        assert (await bob.ask(notify_of(came, bob, event))).status == 481
        await alice.silent()


@pytest.mark.parametrize(("watching", "status"), [(Watching.BLOCK, 403), (Watching.POLITE_BLOCK, 480)])
@pytest.mark.parametrize("method", wide_after(2, ["OPTIONS", "SUBSCRIBE", "INFO", "PING"]))
@pytest.mark.parametrize("server", wide_after(1, [FE1, FE2]))
@on_loop
async def test_blocked_watcher_does_not_see_by_silent_requests_whether_a_phone_is_there(
    pool: Network, watching: Watching, status: int, method: str, server: str
) -> None:
    """A phone answers these, and shows its user nothing. A message of the same watcher arrives, and others ask as before."""
    event = [("event", "kpml")] if method == "SUBSCRIBE" else []
    async with pool:
        alice, carol = await pool.phone("alice", server), await pool.phone("carol", FE1)
        await rule(pool, "alice", watching)
        away = await alice.ask(alice.request(method, BOB, event))
        nobody = await carol.ask(carol.request(method, BOB, event))
        bob = await pool.phone("bob", FE1)
        there = await alice.ask(alice.request(method, BOB, event))
        assert (away.status, there.status, nobody.status) == (status, status, 480)
        if status == 480:
            written = [response.values("warning") for response in (away, there, nobody)]
            assert ["not registered" in str(warning) for warning in written] == [True, True, True]
        await bob.silent()
        await reaches(alice, bob)
        await carol.send(carol.request(method, BOB, event))
        await bob.reply(await bob.request_in(method), 200)
        assert (await carol.final()).status == 200


@on_loop
async def test_user_asks_its_own_phones_under_all_rules(home: Network) -> None:
    async with home:
        bob, other = await home.phone("bob", FE1), await home.phone("carol", FE1)
        await rule(home, "*", Watching.BLOCK)
        assert (await other.ask(other.request("OPTIONS", BOB))).status == 403
        await bob.send(bob.request("OPTIONS", BOB))
        await bob.reply(await bob.request_in("OPTIONS"), 200)
        assert (await bob.final()).status == 200


@pytest.mark.parametrize("event", ["dialog.winfo", "DIALOG.x.winfo;sla"])
@on_loop
async def test_template_of_a_package_needs_the_rule_of_the_package(home: Network, event: str) -> None:
    """A phone may read it as the package (RFC 6665 section 8.2.1 writes a template behind a full stop)."""
    async with home:
        bob, alice = await home.phone("bob", FE1), await home.phone("alice", FE1)
        assert (await alice.ask(subscribe(alice, BOB, event))).status == 403
        await bob.silent()
        await rule(home, "alice", Watching.ALLOW)
        await accepted(alice, subscribe(alice, BOB, event), bob)


@on_loop
async def test_phone_subscribes_to_the_dialogs_of_another_phone_of_its_user(home: Network) -> None:
    async with home:
        desk, mobile = await home.phone("bob", FE1), await home.phone("bob", FE1)
        await accepted(mobile, subscribe(mobile, desk.contact[1:-1], "dialog"), desk)


@on_loop
async def test_partner_subscribes_to_dialogs_of_users_who_allow_it_only(federation: Network) -> None:
    async with federation:
        bob, erin = await federation.phone("bob", FE1), await federation.phone("erin", PARTNER_FE)
        assert (await erin.ask(subscribe(erin, BOB, "dialog"))).status == 403
        await rule(federation, ERIN, Watching.ALLOW)
        await accepted(erin, subscribe(erin, BOB, "dialog"), bob)


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_watcher_that_is_not_registered_any_more_gets_no_notify(pool: Network, server: str) -> None:
    """Its link stays, and so do the subscriptions of its other phone."""
    async with sweeping(pool):
        await published(pool)
        going, staying = await pool.phone("alice", server), await pool.phone("alice", FE1)
        await watch(going, BOB)
        await watch(staying, BOB)
        assert (await going.register([("expires", "0")])).status == 200
        assert (await told(going)).first("subscription-state") == "terminated;reason=timeout"
        await going.silent()
        await staying.silent()
        assert state((await watch(going, BOB))[1]) == "active"  # without a registration, as a program does
        await going.silent()


async def remove(network: Network, user: str) -> None:
    """Remove a user; the servers of the second pool read it at once."""
    users = Users(network.organisations[0].load().users_url)
    users.remove(f"{user}@example.test")
    users.close()
    for name in (FE3, FE4):
        await network.nodes[name].user_updates.refresh()


@on_loop
async def test_subscriptions_of_a_removed_user_of_another_pool_end_at_once(two_pools: Network) -> None:
    """And no subscription of another watcher of that pool."""
    async with two_pools:
        await published(two_pools, FE3)
        alice, carol = await two_pools.phone("alice", FE1), await two_pools.phone("carol", FE1)
        await watch(alice, BOB)
        await watch(carol, BOB)
        await remove(two_pools, "alice")
        assert (await told(alice)).first("subscription-state") == "terminated;reason=rejected"
        await carol.silent()
        assert sum(len(two_pools.nodes[name].events.notifier) for name in (FE3, FE4)) == 1


@on_loop
async def test_subscriptions_to_a_removed_user_end_at_once_in_another_pool(two_pools: Network) -> None:
    """What the user has published goes too: the next user of that name does not show it."""
    async with two_pools:
        await published(two_pools, FE3)
        alice = await two_pools.phone("alice", FE1)
        await watch(alice, BOB)
        await remove(two_pools, "bob")
        assert (await told(alice)).first("subscription-state") == "terminated;reason=noresource"
        assert sum(two_pools.nodes[name].events.notifier.publications for name in (FE3, FE4)) == 0


@pytest.mark.parametrize("change", ["password", "disabled"])
@on_loop
async def test_watcher_of_another_pool_who_is_cut_off_gets_nothing(two_pools: Network, change: str) -> None:
    """Its link ends, and its subscription with the next NOTIFY, which reaches no client. Another watcher gets a NOTIFY."""
    async with two_pools:
        bob = await published(two_pools, FE3)
        alice, carol = await two_pools.phone("alice", FE1), await two_pools.phone("carol", FE1)
        await watch(alice, BOB)
        await watch(carol, BOB)
        users = Users(two_pools.organisations[0].load().users_url)
        if change == "password":
            users.set_password("alice@example.test", "another")
        else:
            users.disable("sip:alice@example.test", datetime.now(UTC))
        users.close()
        for node in two_pools.nodes.values():
            await node.user_updates.refresh()
        await alice.hung_up()
        assert (await bob.ask(publish(bob, BUSY.replace(b"busy", b"away")))).status == 200
        assert b"away" in (await told(carol)).body
        await until(lambda: sum(len(two_pools.nodes[name].events.notifier) for name in (FE3, FE4)) == 1)


@pytest.mark.parametrize("change", ["removed", "blocked", "none"])
@on_loop
@pytest.mark.wide
async def test_subscriptions_of_a_partner_end_with_the_partner(federation: Network, change: str) -> None:
    """At a server which the partner's link does not end at."""
    organisation = federation.organisations[0]
    organisation.document["presence"] = {"partners": "allow"}
    organisation.write()
    async with federation:
        await published(federation, FE2)
        erin, alice = await federation.phone("erin", PARTNER_FE), await federation.phone("alice", FE1)
        await watch(erin, BOB)
        await watch(alice, BOB)
        part = organisation.document["federation"]
        assert isinstance(part, dict)
        if change != "none":
            part["partners"] = []
            part["blocked"] = ["partner.test"] if change == "blocked" else []
        organisation.write()
        for name in (FE1, FE2):
            federation.nodes[name].put_in_force(load(organisation.file))
        kept = 2 if change == "none" else 1
        assert sum(len(federation.nodes[name].events.notifier) for name in (FE1, FE2)) == kept
        await alice.silent()


def notify_of(asked: Request, sender: Peer, event: str = "dialog") -> Request:
    """A NOTIFY of the phone of *sender* in the subscription that *asked* has begun."""
    routes = [("route", route) for route in asked.values("record-route")]
    state = [("event", event), ("subscription-state", "active;expires=600")]
    return sender.request(
        "NOTIFY",
        asked.contacts[0].uri,
        [*routes, *state],
        sender=f"{asked.first('to')};tag={sender.tag}",
        to=asked.first("from"),
        call_id=asked.call_id,
    )


@pytest.mark.parametrize("server", wide_after(1, [FE1, FE3]))
@pytest.mark.parametrize("watching", [Watching.BLOCK, Watching.POLITE_BLOCK])
@on_loop
async def test_blocked_watcher_gets_no_notify_of_the_phone(two_pools: Network, watching: Watching, server: str) -> None:
    """At a link of the home pool, and at one of another pool. Another watcher gets NOTIFYs as before."""
    async with two_pools:
        bob = await two_pools.phone("bob", server)
        alice, carol = await two_pools.phone("alice", FE1), await two_pools.phone("carol", FE1)
        asked = {}
        await rule(two_pools, "@example.test", Watching.ALLOW)
        for watcher in (alice, carol):
            await watcher.send(subscribe(watcher, BOB, "dialog"))
            asked[watcher] = await bob.request_in("SUBSCRIBE")
            await bob.reply(asked[watcher], 200, [("expires", "600")])
            assert (await watcher.final()).status == 200
            await bob.send(notify_of(asked[watcher], bob))
            await told(watcher)
            assert (await bob.final()).status == 200
        await rule(two_pools, "alice", watching)
        assert (await bob.ask(notify_of(asked[alice], bob))).status == 481
        await alice.silent()
        await bob.send(notify_of(asked[carol], bob))
        await told(carol)
        assert (await bob.final()).status == 200


@pytest.mark.parametrize(
    "event", wide_after(2, ["dialog x", "dialog, presence", "dialog,x", "dialog\tx", "", "dialog/x"])
)
@on_loop
async def test_blocked_watcher_writes_no_event_that_only_the_phone_reads_as_dialog(pool: Network, event: str) -> None:
    """Some phones read the type up to the first blank. A watcher without a rule may ask for what is not about the user."""
    async with pool:
        bob, alice = await pool.phone("bob", FE2), await pool.phone("alice", FE1)
        await rule(pool, "alice", Watching.BLOCK)
        assert (await alice.ask(subscribe(alice, BOB, event))).status == 400
        await bob.silent()
        await rule(pool, "alice", None)
        await alice.send(subscribe(alice, BOB, "kpml;id=1"))
        await bob.reply(await bob.request_in("SUBSCRIBE"), 489)
        assert (await alice.final()).status == 489


@pytest.mark.parametrize("sender", ["alice@example.test", "anonymous@anonymous.invalid"])
@pytest.mark.parametrize("server", wide_after(1, [FE1, FE2]))
@on_loop
async def test_blocked_watcher_subscribes_to_no_dialogs_inside_a_call_either(
    pool: Network, sender: str, server: str
) -> None:
    """Bob has answered the call of a watcher whom he has blocked; a watcher who may see him subscribes inside a call."""
    async with pool:
        bob = await pool.phone("bob", server)
        for watcher, allowed in (("alice", Watching.BLOCK), ("carol", Watching.ALLOW)):
            peer = await pool.phone(watcher, FE1)
            await rule(pool, watcher, allowed)
            shown = sender.replace("alice", watcher)
            invite = peer.request("INVITE", BOB, sender=f"<sip:{shown}>;tag=w")
            await peer.send(invite)
            await bob.reply(await bob.request_in("INVITE"), 200)
            dialog = Dialog.of_caller(invite, await peer.final())
            await peer.send(inside_of(dialog, peer, "ACK"))
            assert (await bob.request_in("ACK")).call_id == invite.call_id
            asked = inside_of(dialog, peer, "SUBSCRIBE")
            asked.prepend("event", "dialog")
            if allowed is Watching.BLOCK:
                assert (await peer.ask(asked)).status == 403
                await bob.silent()
            else:
                await peer.send(asked)
                await bob.reply(await bob.request_in("SUBSCRIBE"), 200, [("expires", "600")])
                assert (await peer.final()).status == 200


async def hidden_watcher(network: Network, name: str, server: str, bob: Peer) -> tuple[Peer, Request]:
    """A watcher without a name, who has subscribed to the dialogs of bob; the SUBSCRIBE as bob has it."""
    peer = await network.phone(name, server)
    asked = peer.request("SUBSCRIBE", BOB, [("event", "dialog")], sender="<sip:anonymous@anonymous.invalid>;tag=w")
    came = await accepted(peer, asked, bob)
    await bob.send(notify_of(came, bob))
    await told(peer)
    assert (await bob.final()).status == 200
    return peer, came


@pytest.mark.parametrize(("alice_at", "carol_at"), [(FE1, FE1), (FE2, FE2), (FE1, FE2)])
@on_loop
async def test_watcher_who_hides_gets_no_notify_of_the_phone_once_blocked(
    pool: Network, alice_at: str, carol_at: str
) -> None:
    """The NOTIFY has no name to look at. Another watcher who hides gets NOTIFYs as before."""
    async with pool:
        bob = await pool.phone("bob", FE1)
        await rule(pool, "*", Watching.ALLOW)
        alice, of_alice = await hidden_watcher(pool, "alice", alice_at, bob)
        carol, of_carol = await hidden_watcher(pool, "carol", carol_at, bob)
        await rule(pool, "alice", Watching.BLOCK)
        assert (await bob.ask(notify_of(of_alice, bob))).status == 481
        await alice.silent()
        await bob.send(notify_of(of_carol, bob))
        await told(carol)
        assert (await bob.final()).status == 200


@on_loop
@pytest.mark.wide
async def test_watcher_of_another_pool_who_hides_gets_nothing_from_a_user_who_blocks_a_watcher(
    two_pools: Network,
) -> None:
    """No server there can say who it is. It gets a NOTIFY while the user allows all watchers and blocks none."""
    async with two_pools:
        bob = await two_pools.phone("bob", FE3)
        await rule(two_pools, "*", Watching.ALLOW)
        alice, of_alice = await hidden_watcher(two_pools, "alice", FE1, bob)
        await rule(two_pools, "carol", Watching.ALLOW)
        await bob.send(notify_of(of_alice, bob))
        await told(alice)
        assert (await bob.final()).status == 200
        for changes in ({"alice": Watching.BLOCK}, {"alice": Watching.ALLOW, "*": None}):
            for watcher, watching in changes.items():
                await rule(two_pools, watcher, watching)
            assert (await bob.ask(notify_of(of_alice, bob))).status == 481
            await alice.silent()
