"""Users who log in at a server of another pool than their own: that server carries their link to the home pool."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.demo.ports import HOST
from support.bindings import bound
from support.network import (
    FE1,
    FE2,
    FE3,
    FE4,
    PARTNER_FE,
    Network,
    hung_up_by_the_other,
    inside,
    ringing,
    text,
)
from support.peer import Peer
from support.running import on_loop, until
from support.talking import call_is_taken_back, inside_of, talking
from support.tiers import wide_after
from support.user_changes import change_bob

ASSERTED = "p-asserted-identity"
BOB = "sip:bob@example.test"
INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'


def rows_at_home(network: Network) -> int:
    """How many bindings there are on links of the servers of the second pool."""
    nodes = [node for name, node in network.nodes.items() if name in {FE3, FE4}]
    return sum(node.registrations.count() for node in nodes)


async def homes_of(network: Network, user: str) -> list[str]:
    """The servers of the second pool at which *user* is registered."""
    rows = await bound(network.nodes[FE3], f"sip:{user}@example.test")
    return [row.server for row in rows]


@pytest.mark.parametrize(
    ("one", "other"),
    wide_after(
        2,
        [
            (("bob", FE1), ("dora", FE3)),  # a carried user and one at home
            (("bob", FE1), ("alice", FE1)),  # and one of the pool that carries
            (("bob", FE1), ("dora", FE1)),  # two carried users of one server
            (("bob", FE2), ("alice", FE4)),  # two who are each at the other's pool
        ],
    ),
)
@on_loop
async def test_messages_and_calls_pass_in_both_directions(
    two_pools: Network, one: tuple[str, str], other: tuple[str, str]
) -> None:
    async with two_pools:
        first, second = await two_pools.agent(*one), await two_pools.agent(*other)
        for caller, callee in ((first, second), (second, first)):
            assert (await caller.message(callee.party.aor, "hello")).ok
            came = await text(callee)
            assert (came.text, came.sender, came.identity) == ("hello", caller.party.aor, caller.party.aor)
            made = await caller.call(callee.party.aor)
            rang = await ringing(callee)
            assert (await made.answered()).status == 200
            for call in (made, rang):
                for method in ("INVITE", "UPDATE", "INFO"):
                    assert (await inside(call, method)).status == 200, (call, method)
            assert await hung_up_by_the_other(rang, made)


@pytest.mark.parametrize("server", [FE1, FE3], ids=["at home", "carried"])
@pytest.mark.parametrize("ends", ["caller", "callee"])
@on_loop
async def test_user_who_calls_the_own_address_with_one_phone_ends_the_call(
    two_pools: Network, server: str, ends: str
) -> None:
    """The server that carries the link is twice on the way, with one token: the home pool sends the call back to it."""
    async with two_pools:
        alice = await two_pools.agent("alice", server)
        made = await alice.call(alice.party.aor)
        rang = await ringing(alice)
        assert (await made.answered()).status == 200
        for call in (made, rang):
            assert (await inside(call, "INFO")).status == 200
        first, second = (made, rang) if ends == "caller" else (rang, made)
        assert await hung_up_by_the_other(first, second)


@on_loop
async def test_partner_and_carried_user_reach_each_other(federated_pools: Network) -> None:
    async with federated_pools:
        erin, bob = await federated_pools.agent("erin", PARTNER_FE), await federated_pools.agent("bob", FE1)
        for caller, callee in ((erin, bob), (bob, erin)):
            assert (await caller.message(callee.party.aor, "hello")).ok
            assert (await text(callee)).identity == caller.party.aor
            made = await caller.call(callee.party.aor)
            rang = await ringing(callee)
            assert (await inside(rang, "INVITE")).status == 200
            assert await hung_up_by_the_other(rang, made)


@on_loop
async def test_call_to_a_carried_user_can_be_taken_back(two_pools: Network) -> None:
    async with two_pools:
        dora, bob = await two_pools.phone("dora", FE3), await two_pools.phone("bob", FE1)
        await call_is_taken_back(dora, bob)


@on_loop
async def test_refresh_is_not_challenged_and_the_end_of_the_registration_counts(two_pools: Network) -> None:
    async with two_pools:
        bob = await two_pools.phone("bob", FE1)
        again = bob.request("REGISTER", "sip:example.test", to=f"<{BOB}>")
        assert (await bob.ask(again)).status == 200
        assert len(await homes_of(two_pools, "bob")) == 1
        ended = bob.request("REGISTER", "sip:example.test", [("expires", "0")], to=f"<{BOB}>")
        assert (await bob.ask(ended)).status == 200
        assert await homes_of(two_pools, "bob") == []


@on_loop
async def test_phone_learns_its_path_the_next_hop_and_outbound(two_pools: Network) -> None:
    async with two_pools:
        bob = await two_pools.peer(FE1, "bob")
        bob.contact += f";{INSTANCE};reg-id=1"
        given = await bob.register([("supported", "path, outbound, gruu")])
        assert given.status == 200
        (path,) = given.values("path")
        assert f"@{FE1}:" in path
        assert path.endswith(";lr;ob;received=127.0.0.1>")
        assert given.values("service-route") == ["<sip:example.test;transport=tls;lr>"]
        assert given.values("p-associated-uri") == [f"<{BOB}>"]
        assert (given.values("require"), given.values("flow-timer")) == (["outbound"], ["60"])
        assert "pub-gruu" in given.values("contact")[0]


@on_loop
async def test_gruu_of_a_carried_device_leads_to_it(two_pools: Network) -> None:
    async with two_pools:
        bob, dora = await two_pools.peer(FE1, "bob"), await two_pools.phone("dora", FE3)
        bob.contact += f";{INSTANCE}"
        given = await bob.register([("supported", "gruu")])
        for kind in ("pub-gruu", "temp-gruu"):
            gruu = given.values("contact")[0].partition(f'{kind}="')[2].partition('"')[0]
            await dora.send(dora.request("MESSAGE", gruu))
            await bob.reply(await bob.request_in("MESSAGE"), 200)
            assert (await dora.final()).status == 200


@on_loop
async def test_stored_message_is_delivered_when_the_user_is_back_at_another_pool(two_pools: Network) -> None:
    async with two_pools:
        dora = await two_pools.phone("dora", FE3)
        kept = dora.request("MESSAGE", BOB, [("content-type", "text/plain")], b"later")
        assert (await dora.ask(kept)).status == 202
        for name in (FE3, FE4):
            two_pools.nodes[name].tick()
        await until(lambda: all(two_pools.nodes[name].events.messages_waiting for name in (FE3, FE4)))
        bob = await two_pools.phone("bob", FE1)
        came = await bob.request_in("MESSAGE")
        assert came.body == b"later"
        await bob.reply(came, 200)


async def carried(network: Network, server: str) -> Peer:
    """A phone of bob at FE1, whose login *server* has accepted: it is one of the two by chance."""
    while True:
        bob = await network.phone("bob", FE1)
        flow = max(network.nodes[FE1].flow_table.sessions(), key=lambda flow: flow.number if flow.logins else 0)
        if flow.logins[BOB].server == server:
            return bob
        await bob.__aexit__()


@pytest.mark.parametrize("server", [FE3, FE4])
@on_loop
async def test_carried_watcher_gets_presence_until_it_unsubscribes(two_pools: Network, server: str) -> None:
    """Of these, one server is the notifier of dora."""
    async with two_pools:
        bob, dora = await carried(two_pools, server), await two_pools.phone("dora", FE4)
        asked = bob.request("SUBSCRIBE", "sip:dora@example.test", [("event", "presence"), ("expires", "300")])
        await bob.send(asked)
        granted = await bob.final()
        assert granted.status == 200
        notified = await bob.request_in("NOTIFY")
        await bob.reply(notified, 200)
        assert b"open" in notified.body
        again = bob.request("SUBSCRIBE", "sip:dora@example.test", call_id=asked.call_id, to=granted.first("to"))
        again.replace("from", asked.first("from") or "")
        again.append("event", "presence")
        again.append("expires", "0")
        for route in reversed(granted.items("record-route")):
            again.append("route", route)
        await bob.send(again)
        assert (await bob.final()).status == 200
        last = await bob.request_in("NOTIFY")
        assert (last.first("subscription-state") or "").startswith("terminated")
        await bob.reply(last, 200)
        await dora.silent()


@on_loop
async def test_one_link_has_users_of_both_pools(two_pools: Network) -> None:
    async with two_pools:
        adapter, dora = await two_pools.phone("alice", FE1), await two_pools.phone("dora", FE3)
        adapter.user = "bob@example.test"
        assert (await adapter.register()).status == 200
        for user in ("alice", "bob"):
            adapter.user = f"{user}@example.test"
            await adapter.send(adapter.request("MESSAGE", "sip:dora@example.test"))
            came = await dora.request_in("MESSAGE")
            assert came.values(ASSERTED) == [f"<sip:{user}@example.test>"]
            await dora.reply(came, 200)
            assert (await adapter.final()).status == 200
            await dora.send(dora.request("MESSAGE", f"sip:{user}@example.test"))
            await adapter.reply(await adapter.request_in("MESSAGE"), 200)
            assert (await dora.final()).status == 200


@on_loop
async def test_anonymous_carried_user_is_proved_and_stays_hidden(two_pools: Network) -> None:
    async with two_pools:
        bob, dora = await two_pools.phone("bob", FE1), await two_pools.phone("dora", FE3)
        invite = bob.request(
            "INVITE", dora_uri := "sip:dora@example.test", sender=f"<sip:anonymous@anonymous.invalid>;tag={bob.tag}"
        )
        await bob.send(invite)
        came = await dora.request_in("INVITE")
        assert dora_uri == came.to.uri
        assert "bob" not in came.encode().decode()
        await dora.reply(came, 200)
        answered = await bob.final()
        assert answered.status == 200


@on_loop
async def test_anonymous_caller_stays_hidden_from_a_carried_user_and_gets_its_requests(two_pools: Network) -> None:
    async with two_pools:
        bob, dora = await two_pools.phone("bob", FE1), await two_pools.phone("dora", FE3)
        await dora.send(dora.request("INVITE", BOB, sender=f"<sip:anonymous@anonymous.invalid>;tag={dora.tag}"))
        came = await bob.request_in("INVITE")
        assert "dora" not in came.encode().decode()
        answer = await bob.reply(came, 200)
        assert (await dora.final()).status == 200
        routes = [("route", route) for route in came.items("record-route")]
        bye = bob.request(
            "BYE", came.contacts[0].uri, routes, call_id=came.call_id, to=came.first("from"), sender=answer.first("to")
        )
        await bob.send(bye)
        ended = await dora.request_in("BYE")
        assert ended.uri == dora.contact.strip("<>")
        await dora.reply(ended, 200)
        assert (await bob.final()).status == 200


# Ends


@on_loop
async def test_registration_ends_with_the_link(two_pools: Network) -> None:
    async with two_pools:
        async with await Peer.open(two_pools.address(FE1), "bob@example.test") as bob:
            assert (await bob.register()).status == 200
            assert len(await homes_of(two_pools, "bob")) == 1
        await until(lambda: not rows_at_home(two_pools))
        assert not sum(len(node.home_flows) for node in two_pools.nodes.values())


@on_loop
async def test_phone_whose_home_server_stops_is_closed_and_comes_back_by_the_other(two_pools: Network) -> None:
    async with two_pools:
        bob = await two_pools.phone("bob", FE1)
        (home,) = await homes_of(two_pools, "bob")
        await two_pools.stop(home)
        await bob.hung_up()
        left = ({FE3, FE4} - {home}).pop()
        back = await two_pools.phone("bob", FE2)
        alice = await two_pools.phone("alice", FE1)
        await alice.send(alice.request("MESSAGE", BOB))
        await back.reply(await back.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
        assert [row.server for row in await bound(two_pools.nodes[left], BOB)] == [left]


@on_loop
async def test_registration_ends_with_the_server_that_carries_the_link(two_pools: Network) -> None:
    async with two_pools:
        await two_pools.phone("bob", FE1)
        await two_pools.stop(FE1)
        await until(lambda: not rows_at_home(two_pools))
        assert not sum(len(node.home_flows) for node in two_pools.nodes.values())


@on_loop
async def test_dialog_goes_on_when_the_carried_user_comes_back_at_home(two_pools: Network) -> None:
    async with two_pools:
        dora, bob = await two_pools.phone("dora", FE3), await two_pools.phone("bob", FE1)
        _, _, dialog = await talking(dora, bob)
        await bob.request_in("ACK")
        (home,) = await homes_of(two_pools, "bob")
        back = await two_pools.phone("bob", home)
        await two_pools.stop(FE1)
        await bob.hung_up()
        await dora.send(inside_of(dialog, dora, "BYE"))
        ended = await back.request_in("BYE")
        assert ended.values("route") == []
        await back.reply(ended, 200)
        assert (await dora.final()).status == 200


@pytest.mark.parametrize("change", ["password", "remove", "move"])
@on_loop
async def test_changed_user_is_cut_off_at_the_server_that_carries_the_link(two_pools: Network, change: str) -> None:
    async with two_pools:
        bob, dora = await two_pools.phone("bob", FE1), await two_pools.phone("dora", FE1)
        await change_bob(two_pools, change)
        await bob.hung_up()
        await until(lambda: rows_at_home(two_pools) == 1)
        await dora.silent()


@on_loop
async def test_revoked_front_end_takes_the_users_with_it_that_it_carries(two_pools: Network) -> None:
    async with two_pools:
        bob = await two_pools.phone("bob", FE1)
        organisation = two_pools.organisations[0]
        pools = organisation.document["pools"]
        assert isinstance(pools, list)
        pools[0]["servers"] = [server for server in pools[0]["servers"] if server["name"] != FE1]
        organisation.write()
        for name in (FE3, FE4):
            two_pools.nodes[name].put_in_force(organisation.load())
        await bob.hung_up()
        await until(lambda: not rows_at_home(two_pools))


@on_loop
async def test_client_address_in_the_log_is_that_of_the_phone(two_pools: Network) -> None:
    async with two_pools:
        bob = await two_pools.peer(FE1, "bob")
        assert (await bob.register(password="wrong")).status == 401
        told = [line for name in (FE3, FE4) for line in two_pools.told[name].events("login failed")]
        assert [line["remote"] for line in told] == [f"{HOST} by {FE1}"]
        assert (await bob.register()).status == 200
        assert asyncio.get_running_loop().is_running()
