"""Subscriptions to presence, registrations and waiting messages, over real links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from server.proxy.events.test_message_storing import say
from sipmesh.cli.versions import built
from sipmesh.routing.events.notifier_choice import notifier_of
from sipmesh.routing.events.pidf import PresenceDocument, compose
from sipmesh.server.draining import Draining
from sipmesh.server.proxy.events import notifier
from sipmesh.server.proxy.events.publications import GONE_S
from sipmesh.sip.message import Request, Response
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from support.between import Between, reach_by
from support.network import FE1, FE2, FE3, FE4, PARTNER_FE, POOL2, Network
from support.peer import Peer
from support.running import LOOK_AGAIN_S, on_jumping_loop, on_loop, until

BOB = "sip:bob@example.test"
PIDF = ("content-type", "application/pidf+xml")
BUSY = (
    b'<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@example.test">'
    b'<tuple id="t1"><status><basic>open</basic></status><note>busy</note></tuple></presence>'
)


def subscribe(peer: Peer, to: str, event: str = "presence", *headers: tuple[str, str]) -> Request:
    return peer.request("SUBSCRIBE", to, [("event", event), *headers])


def publish(peer: Peer, body: bytes, *headers: tuple[str, str]) -> Request:
    kind = (PIDF,) if body else ()
    return peer.request("PUBLISH", f"sip:{peer.user}", [("event", "presence"), *kind, *headers], body)


async def watch(peer: Peer, to: str, event: str = "presence", *headers: tuple[str, str]) -> tuple[Response, Request]:
    """Subscribe; gives the 200 and the first NOTIFY, which is answered."""
    granted = await peer.ask(subscribe(peer, to, event, *headers))
    assert granted.status == 200, granted
    return granted, await told(peer)


async def told(peer: Peer, status: int = 200) -> Request:
    """Answer the next NOTIFY."""
    notify = await peer.request_in("NOTIFY")
    await peer.reply(notify, status)
    return notify


@asynccontextmanager
async def sweeping(network: Network) -> AsyncIterator[None]:
    """Let the servers look for changes, as their timer does."""

    async def sweep() -> None:
        while True:
            for node in network.nodes.values():
                node.events.notifier.sweep()
            await asyncio.sleep(LOOK_AGAIN_S)

    async with network:
        task = asyncio.create_task(sweep())
        try:
            yield
        finally:
            task.cancel()


def again(peer: Peer, granted: Response, expires: int) -> Request:
    """A SUBSCRIBE inside the dialog."""
    request = peer.request(
        "SUBSCRIBE",
        granted.contacts[0].uri,
        [*(("route", route) for route in reversed(granted.items("record-route"))), ("event", "presence")],
        to=granted.first("to"),
        sender=granted.first("from"),
        call_id=granted.call_id,
    )
    request.append("expires", str(expires))
    return request


def state(notify: Request) -> str:
    return (notify.first("subscription-state") or "").partition(";")[0]


@pytest.mark.parametrize(("watcher_at", "phone_at"), [(FE1, FE1), (FE1, FE2), (FE2, FE1), (FE2, FE2)])
@on_loop
async def test_watcher_sees_a_user_come_publish_and_go(pool: Network, watcher_at: str, phone_at: str) -> None:
    """Whichever server is the notifier, and wherever the two are."""
    async with sweeping(pool):
        alice = await pool.phone("alice", watcher_at)
        granted, first = await watch(alice, BOB)
        assert (granted.first("expires"), state(first)) == ("3600", "active")
        assert b"closed" in first.body
        bob = await pool.phone("bob", phone_at)
        assert b"<basic>open</basic>" in (await told(alice)).body
        published = await bob.ask(publish(bob, BUSY))
        assert published.status == 200
        assert b"<note>busy</note>" in (await told(alice)).body
        await bob.__aexit__()
        assert b"closed" in (await told(alice)).body
        ended = await alice.ask(again(alice, granted, 0))
        assert (ended.status, ended.first("expires")) == (200, "0")
        last = await told(alice)
        assert last.first("subscription-state") == "terminated;reason=timeout"
        assert sum(len(node.events.notifier) for node in pool.nodes.values()) == 0


@pytest.mark.parametrize(("away_s", "stays"), [(GONE_S / 2, True), (GONE_S * 2, False)])
@on_jumping_loop
async def test_publication_ends_soon_after_the_phone_has_gone(home: Network, away_s: float, *, stays: bool) -> None:
    """It named no lifetime, and was granted an hour. A user who comes back soon finds it again."""
    async with sweeping(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert (await bob.ask(publish(bob, BUSY))).first("expires") == "3600"
        await watch(alice, BOB)
        await asyncio.sleep(2)
        await bob.__aexit__()
        assert b"closed" in (await told(alice)).body
        await asyncio.sleep(away_s)
        await home.phone("bob", FE1)
        assert (b"<note>busy</note>" in (await told(alice)).body) is stays


@on_loop
async def test_user_does_not_get_its_own_requests_back(home: Network) -> None:
    async with home:
        bob = await home.phone("bob", FE1)
        await watch(bob, BOB)
        assert (await bob.ask(publish(bob, BUSY))).status == 200
        assert b"busy" in (await told(bob)).body
        refused = await bob.ask(subscribe(bob, BOB, "dialog"))
        assert (refused.status, refused.first("allow-events")) == (
            489,
            "message-history, message-summary, presence, reg, ua-profile, user-search",
        )
        assert (await bob.ask(bob.request("PUBLISH", BOB, [("event", "dialog")]))).status == 489
        await bob.silent()


@on_loop
async def test_packages_between_phones_pass(home: Network) -> None:
    """The phone is the notifier of what is keyed on it (RFC 4730)."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(subscribe(alice, BOB, "kpml"))
        came = await bob.request_in("SUBSCRIBE")
        await bob.reply(came, 200, [("expires", "600")])
        assert (await alice.final()).status == 200


@pytest.mark.skipif(built() == "compiled", reason="calls of compiled code are not seen, by design")
@on_loop
async def test_state_is_composed_once_for_each_change_and_not_for_a_refresh(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user with many subscriptions could make each PUBLISH cost as many documents. A change is still told to each."""
    composed: list[str] = []

    def count(aor: str, documents: Sequence[PresenceDocument], *, is_there: bool) -> bytes:
        composed.append(aor)
        return compose(aor, documents, is_there=is_there)

    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        for _ in range(5):
            await watch(alice, BOB)
        monkeypatch.setattr(notifier, "compose", count)
        first = await bob.ask(publish(bob, BUSY))
        assert [b"busy" in (await told(alice)).body for _ in range(5)] == [True] * 5
        assert composed == [BOB]
        refreshed = await bob.ask(publish(bob, b"", ("sip-if-match", first.first("sip-etag") or "")))
        match = ("sip-if-match", refreshed.first("sip-etag") or "")
        refused = await bob.ask(publish(bob, BUSY, ("sip-if-match", "other")))
        assert (refreshed.status, refused.status, composed) == (200, 412, [BOB])
        assert (await bob.ask(publish(bob, BUSY.replace(b"busy", b"free"), match))).status == 200
        assert [b"free" in (await told(alice)).body for _ in range(5)] == [True] * 5
        assert composed == [BOB, BOB]


@on_loop
async def test_publication_is_refreshed_changed_and_removed_by_its_tag_only(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await watch(alice, BOB)
        first = await bob.ask(publish(bob, BUSY))
        assert b"busy" in (await told(alice)).body
        assert (await bob.ask(publish(bob, b"", ("sip-if-match", "other")))).status == 412
        match = ("sip-if-match", first.first("sip-etag") or "")
        second = await bob.ask(publish(bob, b"", match))
        assert second.status == 200
        assert (await bob.ask(publish(bob, b"", match))).status == 412, "the tag has changed"
        gone = await bob.ask(publish(bob, b"", ("sip-if-match", second.first("sip-etag") or ""), ("expires", "0")))
        assert gone.status == 200
        assert b"busy" not in (await told(alice)).body


@on_loop
async def test_no_user_publishes_for_another(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        asked = alice.request("PUBLISH", BOB, [("event", "presence"), PIDF], BUSY)
        assert (await alice.ask(asked)).status == 403
        assert (await bob.ask(publish(bob, BUSY))).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"<presence",
        b"<presence/>",
        b'<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><presence xmlns="urn:ietf:params:xml:ns:pidf">&x;</presence>',
    ],
)
@on_loop
async def test_document_that_is_malformed_or_hostile_is_refused(home: Network, body: bytes) -> None:
    async with home:
        bob = await home.phone("bob", FE1)
        assert (await bob.ask(publish(bob, body))).status == 400
        assert (await bob.ask(publish(bob, BUSY))).status == 200


@on_loop
async def test_subscription_belongs_to_its_watcher(pool: Network) -> None:
    """Carol knows all tags of alice's dialog, and cannot end it."""
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE1)
        granted, _ = await watch(alice, BOB)
        stolen = again(carol, granted, 0)
        stolen.replace("from", f"<sip:carol@example.test>;tag={alice.tag}")
        assert (await carol.ask(stolen)).status in {403, 481}
        forged = again(carol, granted, 0)
        assert (await carol.ask(forged)).status == 407, "of a user that this link has not proved"
        assert (await alice.ask(again(alice, granted, 600))).first("expires") == "600"


@on_loop
async def test_registrations_are_for_their_user_only(home: Network) -> None:
    """RFC 3680."""
    async with sweeping(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert (await alice.ask(subscribe(alice, BOB, "reg"))).status == 403
        _, first = await watch(bob, BOB, "reg")
        assert b'version="0" state="full"' in first.body
        assert bob.contact.partition("<")[2].partition(">")[0].encode() in first.body
        other = await home.phone("bob", FE1)
        second = await told(bob)
        assert (second.body.count(b"<contact "), b'version="1"' in second.body) == (2, True)
        await other.__aexit__()
        assert (await told(bob)).body.count(b"<contact ") == 1


@on_loop
async def test_waiting_messages_are_counted(home: Network) -> None:
    """RFC 3842."""
    async with home:
        alice, bob, node = await home.phone("alice", FE1), await home.peer(FE1, "bob"), home.nodes[FE1]
        assert await say(alice, b"hello") == 202
        challenged = await bob.ask(subscribe(bob, BOB, "message-summary"))
        assert challenged.status == 407
        bob = await home.phone("bob", FE1)
        delivered = await bob.request_in("MESSAGE")
        granted = subscribe(bob, BOB, "message-summary")
        await bob.send(granted)
        assert (await bob.final()).status == 200
        assert b"Messages-Waiting: no" in (await told(bob)).body
        node.events._look_at = 0.0
        node.events.sweep()
        assert b"Messages-Waiting: yes" in (await told(bob)).body
        await bob.reply(delivered, 200)
        await until(lambda: not node.events.delivery._running)
        node.events._look_at = 0.0
        node.events.sweep()
        assert b"Text-Message: 0/0" in (await told(bob)).body


@pytest.mark.parametrize(("policy", "status"), [("block", 403), ("polite-block", 200)])
@on_loop
async def test_policy_of_the_topology_hides_users(home: Network, policy: str, status: int) -> None:
    home.organisations[0].document["presence"] = {"inside": policy}
    home.organisations[0].write()
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert (await bob.ask(publish(bob, BUSY))).status == 200
        granted = await alice.ask(subscribe(alice, BOB))
        assert granted.status == status
        if status == 200:
            assert b"closed" in (await told(alice)).body
        assert b"busy" in (await watch(bob, BOB))[1].body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((("expires", "30"),), 423),
        ((("accept", "text/plain"),), 406),
        ((("accept", "application/pidf+xml;q=0.5, text/plain"),), 200),
        ((("require", "eventlist"),), 420),
        ((("expires", "0"),), 200),
    ],
)
@on_loop
async def test_subscribe_is_refused_for_what_it_asks(
    home: Network, headers: tuple[tuple[str, str], ...], status: int
) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        assert (await alice.ask(subscribe(alice, BOB, "presence", *headers))).status == status


@on_loop
async def test_subscriptions_of_one_watcher_have_a_limit_and_others_do_not_notice(home: Network) -> None:
    async with home:
        home.nodes[FE1].events.notifier.places.most_of_watcher = 2
        alice, carol = await home.phone("alice", FE1), await home.phone("carol", FE1)
        for _ in range(2):
            await watch(alice, BOB)
        full = await alice.ask(subscribe(alice, BOB))
        assert (full.status, full.first("retry-after")) == (503, "60")
        await watch(carol, BOB)
        await alice.__aexit__()
        await until(lambda: len(home.nodes[FE1].events.notifier) == 1)
        again_here = await home.phone("alice", FE1)
        await watch(again_here, BOB)


@on_loop
async def test_watcher_takes_no_place_of_other_watchers_and_no_watcher_takes_those_of_the_user(home: Network) -> None:
    async with home:
        notifier = home.nodes[FE1].events.notifier
        notifier.places.most_of_pair, notifier.places.most_of_user = 2, 3
        alice, bob, carol = [await home.phone(name, FE1) for name in ("alice", "bob", "carol")]
        for _ in range(2):
            await watch(alice, BOB)
        assert (await alice.ask(subscribe(alice, BOB))).status == 503
        await watch(carol, BOB)
        assert (await carol.ask(subscribe(carol, BOB))).status == 503
        await watch(bob, BOB, "message-summary")
        await watch(bob, BOB, "reg")
        assert (await bob.ask(subscribe(bob, BOB))).status == 503


@pytest.mark.parametrize(("octets", "status"), [(3_000, 200), (4_096, 513)])
@on_loop
async def test_dialog_of_a_subscription_has_a_limit(home: Network, octets: int, status: int) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        route = ("record-route", f"<sip:{'a' * octets}@example.org;lr>")
        assert (await alice.ask(subscribe(alice, BOB, "presence", route))).status == status
        assert len(home.nodes[FE1].events.notifier) == (1 if status == 200 else 0)


@on_loop
async def test_subscriptions_to_one_user_have_a_limit(pool: Network) -> None:
    async with pool:
        for node in pool.nodes.values():
            node.events.notifier.places.most_of_user = 1
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE1)
        await watch(alice, BOB)
        assert (await carol.ask(subscribe(carol, BOB))).status == 503
        await watch(carol, "sip:carol@example.test")


@on_loop
async def test_watcher_that_does_not_know_the_subscription_gets_no_further_notify(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        assert (await alice.ask(subscribe(alice, BOB))).status == 200
        await told(alice, 481)
        await until(lambda: len(node.events.notifier) == 0)


@on_loop
async def test_change_during_a_notify_is_sent_after_its_answer(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert (await alice.ask(subscribe(alice, BOB))).status == 200
        first = await alice.request_in("NOTIFY")
        assert (await bob.ask(publish(bob, BUSY))).status == 200
        await alice.silent()
        await alice.reply(first, 200)
        assert b"busy" in (await told(alice)).body


@on_jumping_loop
async def test_subscription_without_a_refresh_ends(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        await watch(alice, BOB, "presence", ("expires", "60"))
        await asyncio.sleep(59)
        node.events.sweep()
        assert len(node.events.notifier) == 1
        await asyncio.sleep(2.1)
        node.events.sweep()
        assert (await told(alice)).first("subscription-state") == "terminated;reason=timeout"


@on_loop
async def test_drain_ends_subscriptions_so_that_watchers_go_elsewhere(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        await watch(alice, BOB)
        node.core.drain()
        assert (await told(alice)).first("subscription-state") == "terminated;reason=deactivated"
        assert (await alice.ask(subscribe(alice, BOB))).status == 503


@on_loop
async def test_removed_user_is_no_longer_watched(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        await watch(alice, BOB)
        users = Users(home.organisations[0].load().users_url)
        users.remove("bob@example.test")
        users.close()
        await node.user_updates.refresh()
        node.events.sweep()
        assert (await told(alice)).first("subscription-state") == "terminated;reason=noresource"
        assert (await alice.ask(subscribe(alice, BOB))).status == 404


@on_loop
async def test_other_server_takes_over_when_the_notifier_is_gone(pool: Network) -> None:
    """The refresh gets an error, and the phone subscribes again."""
    notifier = notifier_of(BOB, (FE1, FE2), ())
    other = FE2 if notifier == FE1 else FE1
    async with pool:
        alice = await pool.phone("alice", other)
        granted, _ = await watch(alice, BOB)
        pool.nodes[notifier].core.drain()
        assert (await told(alice)).first("subscription-state") == "terminated;reason=deactivated"
        assert (await alice.ask(again(alice, granted, 600))).status == 481
        await pool.stop(notifier)
        await watch(alice, BOB)
        assert len(pool.nodes[other].events.notifier) == 1


@on_loop
async def test_next_server_serves_at_once_what_the_notifier_cannot_be_reached_for(pool: Network) -> None:
    """No server knows yet that it is gone."""
    notifier = notifier_of(BOB, (FE1, FE2), ())
    other = FE2 if notifier == FE1 else FE1
    async with pool:
        alice, bob = await pool.phone("alice", other), await pool.phone("bob", other)
        await watch(bob, "sip:alice@example.test")  # so that there are links between the servers
        await pool.stop(notifier)
        assert not pool.nodes[other].outages.names
        await watch(alice, BOB)
        pool.nodes[other].outages.names.clear()
        assert (await bob.ask(publish(bob, BUSY))).status == 200
        assert b"busy" in (await told(alice)).body


@on_loop
async def test_refresh_of_a_subscription_whose_notifier_is_gone_gets_481(pool: Network) -> None:
    """The subscription is lost, and the phone begins a new one at once (RFC 6665 section 4.1.2.2)."""
    notifier = notifier_of(BOB, (FE1, FE2), ())
    other = FE2 if notifier == FE1 else FE1
    async with pool:
        granted, _ = await watch(await pool.phone("alice", notifier), BOB)
        alice = await pool.phone("alice", other)
        alice._cseq = granted.cseq.number  # the phone has come back on another link, and goes on
        assert (await alice.ask(again(alice, granted, 600))).status == 200
        await pool.stop(notifier)
        assert (await alice.ask(again(alice, granted, 600))).status == 481


@pytest.mark.parametrize(("policy", "seen"), [("allow", b"<note>busy</note>"), ("polite-block", b"closed")])
@on_loop
async def test_partners_see_what_the_topology_allows(federation: Network, policy: str, seen: bytes) -> None:
    """Through two edges, there and back, whichever front end is the notifier."""
    federation.organisations[0].document["presence"] = {"partners": policy}
    federation.organisations[0].write()
    async with sweeping(federation):
        bob, erin = await federation.phone("bob", FE2), await federation.phone("erin", PARTNER_FE)
        assert (await bob.ask(publish(bob, BUSY))).status == 200
        granted, first = await watch(erin, BOB)
        assert seen in first.body
        assert (await erin.ask(again(erin, granted, 600))).first("expires") == "600"
        await told(erin)
        assert (await erin.ask(again(erin, granted, 0))).status == 200
        assert state(await told(erin)) == "terminated"


@on_loop
async def test_partners_see_nothing_by_default(federation: Network) -> None:
    async with federation:
        bob, erin = await federation.phone("bob", FE2), await federation.phone("erin", PARTNER_FE)
        assert (await erin.ask(subscribe(erin, BOB))).status == 403
        assert (await erin.ask(subscribe(erin, BOB, "reg"))).status == 403
        asked = erin.request("PUBLISH", BOB, [("event", "presence"), PIDF], BUSY)
        assert (await erin.ask(asked)).status == 403
        await bob.silent()


@on_loop
async def test_users_of_another_pool_watch_and_are_watched(two_pools: Network) -> None:
    """The home pool of the watched user has the notifier."""
    async with sweeping(two_pools):
        alice, bob = await two_pools.phone("alice", FE1), await two_pools.phone("bob", FE3)
        assert (await bob.ask(publish(bob, BUSY))).status == 200
        granted, first = await watch(alice, BOB)
        assert b"busy" in first.body
        assert len(two_pools.nodes[FE3].events.notifier) + len(two_pools.nodes[FE4].events.notifier) == 1
        assert (await alice.ask(again(alice, granted, 0))).status == 200
        assert state(await told(alice)) == "terminated"


@on_loop
async def test_refresh_across_pools_gets_481_when_no_server_of_the_notifier_answers(two_pools: Network) -> None:
    """Its Route has a dialog token. So the phone begins a new subscription at once. Control: before, the refresh gets 200."""
    async with two_pools:
        alice = await two_pools.phone("alice", FE1)
        granted, _ = await watch(alice, BOB)
        assert any("fe1" in route for route in granted.items("record-route"))
        assert (await alice.ask(again(alice, granted, 600))).status == 200
        assert state(await told(alice)) == "active"
        for server in (FE3, FE4):
            await two_pools.stop(server)
        assert (await alice.ask(again(alice, granted, 600))).status == 481
        assert (await alice.ask(subscribe(alice, BOB))).status in {480, 503}


def entering_by(network: Network, server: str) -> str:
    """A Call-ID of a SUBSCRIBE for bob that FE1 sends to *server* of the other pool."""
    way = network.nodes[FE1].view.way_to(POOL2)
    return next(name for name in map(str, range(1_000)) if way.turned(name)[0] == server)


async def drained(network: Network, server: str) -> None:
    """End a server as SIGTERM does."""
    await Draining(network.nodes[server], network.told[server].log).run(asyncio.Event())
    await network.stop(server)


@pytest.mark.parametrize("is_by_mate", [False, True])
@on_loop
async def test_watcher_of_another_pool_gets_a_notify_when_all_servers_of_the_notifier_drain(
    two_pools: Network, *, is_by_mate: bool
) -> None:
    """Whichever server its SUBSCRIBE has passed. That server is gone when the notifier ends the subscription."""
    notifier = notifier_of(BOB, (FE3, FE4), ())
    mate = FE4 if notifier == FE3 else FE3
    async with two_pools:
        alice = await two_pools.phone("alice", FE1)
        call_id = entering_by(two_pools, mate if is_by_mate else notifier)
        asked = alice.request("SUBSCRIBE", BOB, [("event", "presence")], call_id=call_id)
        assert (await alice.ask(asked)).status == 200
        await told(alice)
        [subscription] = two_pools.nodes[notifier].events.notifier._by_tag.values()
        assert subscription.peer == (mate if is_by_mate else FE1)
        await drained(two_pools, mate)
        ending = asyncio.create_task(drained(two_pools, notifier))
        assert (await told(alice)).first("subscription-state") == "terminated;reason=deactivated"
        await ending


@pytest.mark.parametrize(("drains", "status"), [(True, 503), (False, 200)])
@on_loop
async def test_server_that_drains_begins_no_subscription_in_place_of_its_mate(
    pool: Network, *, drains: bool, status: int
) -> None:
    """It has forwarded the SUBSCRIBE before, and the link to the notifier closes while it drains. No server would end it."""
    notifier = notifier_of(BOB, (FE1, FE2), ())
    mate = FE2 if notifier == FE1 else FE1
    async with pool, Between(pool.address(notifier, LinkKind.SERVER)) as between:
        node = pool.nodes[mate]
        reach_by(node, notifier, between)
        alice = await pool.phone("alice", mate)
        between.stop()
        await alice.send(subscribe(alice, BOB))
        await until(lambda: node.relay.load)
        if drains:
            node.core.drain()
        await between.__aexit__()
        assert (await alice.final()).status == status
        assert len(node.events.notifier) == (0 if drains else 1)
