"""Users of two pools: each logs in at its own, and is reached from the other and from partners."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.server.running.running_server import RunningServer
from sipmesh.storage.users.user_database import Users
from support.bindings import bound
from support.network import (
    EDGE,
    FE1,
    FE2,
    FE3,
    FE4,
    PARTNER_FE,
    POOL,
    POOL2,
    Network,
    hung_up_by_the_other,
    inside,
    nobody_like,
    ringing,
    telling,
    text,
)
from support.running import on_jumping_loop, on_loop
from support.talking import call_is_taken_back, inside_of, talking

ASSERTED = "p-asserted-identity"
WRONG = (
    'Digest username="{user}", realm="example.test", nonce="bm9uZQ", uri="sip:example.test", algorithm=SHA-256, '
    f'response="{"0" * 64}", qop=auth, nc=00000001, cnonce="c"'
)


@pytest.mark.parametrize(("ours", "theirs"), [(FE1, FE3), (FE2, FE4)])
@on_loop
async def test_message_reaches_a_user_of_the_other_pool_and_says_whose_it_is(
    two_pools: Network, ours: str, theirs: str
) -> None:
    async with two_pools:
        alice, bob = await two_pools.agent("alice", ours), await two_pools.agent("bob", theirs)
        for sender, receiver in ((alice, bob), (bob, alice)):
            assert (await sender.message(receiver.party.aor, "hello")).ok
            came = await text(receiver)
            assert (came.text, came.sender, came.identity) == ("hello", sender.party.aor, sender.party.aor)


@on_loop
async def test_requests_spread_over_the_servers_of_the_other_pool_and_one_call_stays_together(
    two_pools: Network,
) -> None:
    async with two_pools:
        alice, bob = await two_pools.agent("alice", FE1), await two_pools.agent("bob", FE3)
        assert all(
            outcome.ok for outcome in await asyncio.gather(*(alice.message(bob.party.aor, "x") for _ in range(40)))
        )
        ways = {tuple((await text(bob)).hops[1:]) for _ in range(40)}
        assert ways == {(FE1, FE3), (FE1, FE4, FE3)}


@on_loop
async def test_other_pool_is_reached_while_one_of_its_servers_is_down(two_pools: Network) -> None:
    async with two_pools:
        alice, bob = await two_pools.agent("alice", FE1), await two_pools.agent("bob", FE3)
        await two_pools.stop(FE4)
        for _ in range(8):  # each has a Call-ID of its own, and so a first server of its own
            assert (await alice.message(bob.party.aor, "x")).ok


@pytest.mark.parametrize(("caller", "at", "callee", "there"), [("alice", FE1, "bob", FE3), ("bob", FE4, "alice", FE2)])
@on_loop
async def test_whole_call_goes_from_pool_to_pool(
    two_pools: Network, caller: str, at: str, callee: str, there: str
) -> None:
    async with two_pools:
        one, other = await two_pools.agent(caller, at), await two_pools.agent(callee, there)
        made = await one.call(other.party.aor)
        came = await ringing(other)
        assert (await made.answered()).status == 200
        for call in (made, came):
            for method in ("INVITE", "UPDATE", "INFO"):
                assert (await inside(call, method)).status == 200, (call, method)
        assert await hung_up_by_the_other(came, made)


@on_loop
async def test_ack_crosses_both_pools_so_that_the_callee_stops_repeating_its_answer(two_pools: Network) -> None:
    async with two_pools:
        alice, bob = await two_pools.phone("alice", FE1), await two_pools.phone("bob", FE3)
        _, _, dialog = await talking(alice, bob)
        ack = await bob.request_in("ACK")
        assert ack.to.tag == bob.tag
        await alice.send(inside_of(dialog, alice, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_call_to_the_other_pool_can_be_taken_back(two_pools: Network) -> None:
    async with two_pools:
        alice, bob = await two_pools.phone("alice", FE1), await two_pools.phone("bob", FE3)
        await call_is_taken_back(alice, bob)


@on_loop
async def test_two_devices_of_the_other_pool_ring_and_the_second_gets_a_cancel(two_pools: Network) -> None:
    async with two_pools:
        alice = await two_pools.phone("alice", FE1)
        desk, mobile = await two_pools.phone("bob", FE3), await two_pools.phone("bob", FE4)
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        at_desk, at_mobile = await desk.request_in("INVITE"), await mobile.request_in("INVITE")
        await desk.reply(at_desk, 180)
        await mobile.reply(at_mobile, 200)
        assert (await alice.final()).to.tag == mobile.tag
        assert (await desk.request_in("CANCEL")).values("reason") == ['SIP;cause=200;text="Call completed elsewhere"']


@on_loop
async def test_answers_of_two_devices_of_the_other_pool_both_reach_the_caller(two_pools: Network) -> None:
    async with two_pools:
        alice = await two_pools.phone("alice", FE1)
        desk, mobile = await two_pools.phone("bob", FE3), await two_pools.phone("bob", FE4)
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        at_desk, at_mobile = await desk.request_in("INVITE"), await mobile.request_in("INVITE")
        await desk.reply(at_desk, 200)
        await mobile.reply(at_mobile, 200)
        assert {(await alice.final()).to.tag for _ in range(2)} == {desk.tag, mobile.tag}


@on_loop
@pytest.mark.wide
async def test_partner_calls_a_user_of_either_pool_through_the_one_behind_the_edge(federated_pools: Network) -> None:
    async with federated_pools:
        erin = await federated_pools.agent("erin", PARTNER_FE)
        for user, server in (("alice", FE1), ("bob", FE3)):
            callee = await federated_pools.agent(user, server)
            for caller, called in ((erin, callee), (callee, erin)):
                assert (await caller.message(called.party.aor, "hello")).ok
                assert (await text(called)).identity == caller.party.aor
                made = await caller.call(called.party.aor)
                came = await ringing(called)
                for call in (made, came):
                    assert (await inside(call, "INVITE")).status == 200
                assert await hung_up_by_the_other(came, made)


@pytest.mark.parametrize(
    ("server", "credentials", "to", "status"),
    [
        (FE3, FE1, "bob", 200),  # from the pool behind the edge, for a user who is at home here
        (FE3, FE4, "bob", 403),  # from our own pool, which no edge knows
        (FE1, FE3, "alice", 403),  # from the other pool, which no edge knows either
        (FE1, EDGE, "alice", 200),
    ],
)
@on_loop
async def test_identity_of_a_partner_comes_from_the_pool_behind_the_edge_alone(
    federated_pools: Network, server: str, credentials: str, to: str, status: int
) -> None:
    async with federated_pools:
        user = await federated_pools.phone(to, server)
        peer = await federated_pools.peer(server, "erin@partner.test", credentials)
        await peer.send(peer.request("MESSAGE", f"sip:{to}@example.test", [(ASSERTED, "<sip:erin@partner.test>")]))
        if status == 200:
            came = await user.request_in("MESSAGE")
            assert came.values(ASSERTED) == ["<sip:erin@partner.test>"]
            await user.reply(came, 200)
        assert (await peer.final()).status == status


@on_loop
async def test_edge_has_no_link_to_a_pool_that_is_not_its_next_hop(federated_pools: Network) -> None:
    async with federated_pools:
        edge = await federated_pools.peer(FE3, "erin@partner.test", EDGE)
        await edge.hung_up()
        assert federated_pools.nodes[FE3].gatekeeper.refusals[-1].code == "role-not-allowed"


@on_loop
async def test_partner_does_not_leave_through_the_second_pool_again(federated_pools: Network) -> None:
    async with federated_pools:
        first = await federated_pools.peer(FE3, "erin@partner.test", FE1)
        assert (await first.ask(first.request("MESSAGE", "sip:frank@partner.test"))).status == 403
        ours = await federated_pools.peer(FE3, "alice@example.test", FE1)
        assert (await ours.ask(ours.request("MESSAGE", "sip:nobody@example.test"))).status == 404


@on_loop
async def test_request_that_a_front_end_has_sent_goes_to_no_third_pool(two_pools: Network) -> None:
    """The control, for a user who is at home here, arrives."""
    async with two_pools:
        alice = await two_pools.phone("alice", FE1)
        other = await two_pools.peer(FE1, "dora", FE3)
        refused = await other.ask(other.request("MESSAGE", "sip:bob@example.test"))
        assert refused.status == 404
        assert "refused: home, reference" in (refused.first("warning") or "")
        await other.send(other.request("MESSAGE", "sip:alice@example.test"))
        await alice.reply(await alice.request_in("MESSAGE"), 200)
        assert (await other.final()).status == 200


@on_jumping_loop
async def test_user_of_another_pool_and_of_none_get_the_same_answers_at_every_step(two_pools: Network) -> None:
    """Six attempts each, to the last field, and as late: an unknown name is challenged by a pool that its name chooses.

    So where users are at home, and whether they exist, shows only in our log.
    """
    async with two_pools:
        seen = {}
        nobody = await nobody_like(two_pools, FE3, "alice", POOL)
        for user in ("alice", nobody):
            phone, came = await two_pools.peer(FE3, user), []
            for _ in range(6):
                began = asyncio.get_running_loop().time()
                answer = await phone.register(password="wrong")
                took_s = round(asyncio.get_running_loop().time() - began, 1)
                came.append((answer.status, answer.reason, took_s, telling(answer, user)))
            seen[user] = came
        assert seen["alice"] == seen[nobody]
        assert {status for status, *_ in seen["alice"]} == {401}
        told = two_pools.told[FE3].events("login failed")
        homes = [(line["user"], str(line["code"]), POOL in line["flaw"]) for line in told]
        assert set(homes) == {
            ("sip:alice@example.test", "other-home", True),
            (f"sip:{nobody}@example.test", "not-authenticated", False),
        }


@on_loop
async def test_users_of_this_pool_and_of_another_get_in(two_pools: Network) -> None:
    async with two_pools:
        for user in ("bob", "alice"):
            assert (await (await two_pools.peer(FE3, user)).register()).status == 200


@on_jumping_loop
async def test_trying_where_users_are_at_home_costs_what_guessing_passwords_costs(two_pools: Network) -> None:
    """Both pools count the failures; whichever counts the last one first closes the link."""
    async with two_pools:
        guesser = await two_pools.peer(FE3, "alice")
        for _ in range(8):
            credentials = ("authorization", WRONG.format(user="alice"))
            await guesser.send(
                guesser.request("REGISTER", "sip:example.test", [credentials], to="<sip:alice@example.test>")
            )
        await guesser.hung_up()
        failed = [line for server in (FE1, FE2, FE3) for line in two_pools.told[server].events("login failed")]
        assert any(line["closes"] for line in failed)


@on_loop
async def test_user_to_whom_no_pool_was_given_is_at_home_in_the_first(two_pools: Network) -> None:
    async with two_pools:
        carol, bob = await two_pools.agent("carol", FE2), await two_pools.agent("bob", FE4)
        assert (await bob.message(carol.party.aor, "hello")).ok
        carol_too = await two_pools.phone("carol", FE3)
        assert {row.server for row in await bound(two_pools.nodes[FE1], "sip:carol@example.test")} <= {FE1, FE2}
        await carol_too.silent()


@on_loop
async def test_user_who_moves_is_closed_at_the_old_pool_and_found_at_the_new_one(two_pools: Network) -> None:
    async with two_pools:
        alice, bob, dora = [await two_pools.phone(*who) for who in (("alice", FE1), ("bob", FE3), ("dora", FE4))]
        _change(two_pools, "bob@example.test", POOL)
        for node in two_pools.nodes.values():
            await node.user_updates.refresh()
        await bob.hung_up()
        assert not await _rows(two_pools.nodes[FE3], "bob")
        back = await two_pools.phone("bob", FE2)
        for sender in (alice, dora):
            await sender.send(sender.request("MESSAGE", "sip:bob@example.test"))
            await back.reply(await back.request_in("MESSAGE"), 200)
            assert (await sender.final()).status == 200


@on_loop
async def test_pools_that_disagree_about_a_home_send_nothing_round(two_pools: Network) -> None:
    """Only the second pool has heard yet that bob has moved to the first; the first sends to the second, and there it ends."""
    async with two_pools:
        alice = await two_pools.phone("alice", FE1)
        _change(two_pools, "bob@example.test", POOL)
        for name in (FE3, FE4):
            await two_pools.nodes[name].user_updates.refresh()
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 404
        for name in (FE1, FE2):
            await two_pools.nodes[name].user_updates.refresh()
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 202


@on_loop
async def test_users_of_a_pool_that_has_left_the_topology_are_nowhere(two_pools: Network) -> None:
    organisation = two_pools.organisations[0]
    async with two_pools:
        alice = await two_pools.phone("alice", FE1)
        for name in (FE3, FE4):
            await two_pools.stop(name)
        pools = organisation.document["pools"]
        assert isinstance(pools, list)
        organisation.document["pools"] = [pool for pool in pools if pool["name"] != POOL2]
        organisation.write()
        two_pools.nodes[FE1].put_in_force(organisation.load())
        refused = await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))
        assert refused.status == 404
        assert "home" in (refused.first("warning") or "")


@on_loop
async def test_topology_that_moves_the_first_pool_closes_the_links_of_those_who_have_no_other(
    two_pools: Network,
) -> None:
    organisation = two_pools.organisations[0]
    async with two_pools:
        carol, alice = await two_pools.phone("carol", FE1), await two_pools.phone("alice", FE1)
        pools = organisation.document["pools"]
        assert isinstance(pools, list)
        organisation.document["pools"] = [pools[1], pools[0], *pools[2:]]
        organisation.write()
        assert len(two_pools.nodes[FE1].put_in_force(organisation.load())) == 1
        await carol.hung_up()
        await alice.silent()


def _change(network: Network, user: str, pool: str) -> None:
    users = Users(network.organisations[0].load().users_url)
    users.move(user, pool)
    users.close()


async def _rows(node: RunningServer, user: str) -> list[str]:
    return [row.server for row in await bound(node, f"sip:{user}@example.test")]


@on_loop
async def test_failed_login_by_another_pool_is_remembered_with_the_home_pool(two_pools: Network) -> None:
    """Its phone learns only that; the operator who asks for this user learns which pool has refused it."""
    async with two_pools:
        bob = await two_pools.peer(FE1, "bob")
        assert (await bob.register(password="wrong")).status == 401
        [entry] = two_pools.nodes[FE1].logins.remembered.of("sip:bob@example.test")
        assert entry.flaw.startswith(f"its home pool is {POOL2}: ")
        assert two_pools.nodes[FE1].logins.failed == {"other-home": 1}
        stores = [two_pools.nodes[name].logins.remembered for name in (FE3, FE4)]
        at_home = [entry for store in stores for entry in store.of("sip:bob@example.test")]
        assert [(entry.flaw, entry.remote) for entry in at_home] == [("wrong password", f"127.0.0.1 by {FE1}")]
