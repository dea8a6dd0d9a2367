"""What a stolen front end cannot do with the logins that it carries to another pool, each beside what an honest one may do.

FE1 is a server of the first pool, and bob and dora are at home in the second. The model is docs/identity.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sipmesh.routing.identity.route_set import NOWHERE
from sipmesh.routing.identity.sender import named_side
from sipmesh.trust.evidence import LinkKind
from support.carrying import carrier, credentials, logged_in, path_of, registration, route_in
from support.network import EDGE, FE1, FE2, FE3, FE4, POOL2, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop, until
from support.talking import inside_of, talking

BOB, DORA, ALICE = "sip:bob@example.test", "sip:dora@example.test", "sip:alice@example.test"
END = ("reason", 'SIP;cause=430;text="Flow Failed"')


def rows_of(network: Network, server: str, user: str) -> int:
    """How many bindings of *user* there are on links of *server*."""
    return sum(row.aor == user for row in network.nodes[server].registrations.here(100, ("", "")))


# 1. Who may register a user of another pool


@pytest.mark.parametrize("headers", [(), (("p-asserted-identity", f"<{BOB}>"),)])
@on_loop
async def test_front_end_of_another_pool_registers_no_user_without_the_password(
    two_pools: Network, headers: tuple[tuple[str, str], ...]
) -> None:
    async with two_pools:
        peer, path = await carrier(two_pools, FE3, FE1, "bob"), path_of(FE1)
        challenged = await peer.ask(registration(peer, path, headers))
        assert challenged.status == 401
        wrong = registration(peer, path, [credentials(peer, challenged, "wrong"), *headers])
        assert (await peer.ask(wrong)).status == 401
        assert rows_of(two_pools, FE3, BOB) == 0
        assert await logged_in(peer, path)
        assert rows_of(two_pools, FE3, BOB) == 1


@pytest.mark.parametrize(("server", "status"), [(FE4, 403), (FE1, 401)])
@on_loop
async def test_server_of_the_home_pool_carries_no_login_and_one_of_another_pool_does(
    two_pools: Network, server: str, status: int
) -> None:
    async with two_pools:
        peer = await carrier(two_pools, FE3, server, "bob")
        assert (await peer.ask(registration(peer, path_of(server)))).status == status


@on_loop
async def test_edge_without_remote_users_carries_no_login(two_pools: Network) -> None:
    async with two_pools:
        peer = await carrier(two_pools, FE1, EDGE, "alice")
        assert (await peer.ask(registration(peer, path_of(EDGE)))).status == 403


@pytest.mark.parametrize(
    "path", [path_of(FE2), path_of("edge.partner.test"), "<sip:fe1.example.test;lr>", "<sip:x@fe1.example.test>"]
)
@on_loop
async def test_path_that_does_not_lead_to_its_sender_is_refused(two_pools: Network, path: str) -> None:
    async with two_pools:
        peer = await carrier(two_pools, FE3, FE1, "bob")
        assert (await peer.ask(registration(peer, path))).status == 400
        assert (await peer.ask(registration(peer, path_of(FE1)))).status == 401


@on_loop
async def test_user_of_a_third_pool_is_not_carried_on_by_a_front_end(two_pools: Network) -> None:
    """Nothing goes round: alice is at home in the pool of the sender itself, and is challenged as an unknown name is."""
    async with two_pools:
        peer, path = await carrier(two_pools, FE3, FE1, "alice"), path_of(FE1)
        challenged = await peer.ask(registration(peer, path))
        assert challenged.status == 401
        assert (await peer.ask(registration(peer, path, [credentials(peer, challenged)]))).status == 401


# 2. What one link has proved counts on that link only


@on_loop
async def test_answer_to_a_challenge_counts_on_its_own_flow_only(two_pools: Network) -> None:
    async with two_pools:
        peer, first, second = await carrier(two_pools, FE3, FE1, "bob"), path_of(FE1), path_of(FE1)
        proof = credentials(peer, await peer.ask(registration(peer, first)))
        stale = await peer.ask(registration(peer, second, [proof]))
        assert stale.status == 401
        assert all("stale=true" in value for value in stale.values("www-authenticate"))
        other = await carrier(two_pools, FE3, FE1, "bob")
        assert (await other.ask(registration(other, first, [proof]))).status == 401
        assert (await peer.ask(registration(peer, first, [proof]))).status == 200


@on_loop
async def test_answer_to_a_challenge_of_a_carried_flow_logs_in_no_user_on_a_link_of_its_own(two_pools: Network) -> None:
    async with two_pools:
        peer = await carrier(two_pools, FE3, FE1, "bob")
        proof = credentials(peer, await peer.ask(registration(peer, path_of(FE1))))
        thief = await two_pools.peer(FE3, "bob")
        stolen = thief.request("REGISTER", "sip:example.test", [proof], to=f"<{BOB}>")
        assert (await thief.ask(stolen)).status == 401
        assert (await thief.register()).status == 200


async def by_the_same_server_on_another_link(network: Network) -> Peer:
    return await carrier(network, FE3, FE1, "bob")


async def by_another_server_of_its_pool(network: Network) -> Peer:
    return await carrier(network, FE3, FE2, "bob")


async def by_a_phone(network: Network) -> Peer:
    return await network.peer(FE3, "bob")


async def by_a_user(network: Network) -> Peer:
    return await network.phone("dora", FE3)


@pytest.mark.parametrize(
    ("thief", "status", "registered"),
    [
        (by_the_same_server_on_another_link, 430, 430),
        (by_another_server_of_its_pool, 430, 430),
        (by_a_phone, 407, 401),
        (by_a_user, 407, 200),  # of herself, by her own login
    ],
)
@on_loop
async def test_token_of_a_login_is_worth_nothing_on_another_link(
    two_pools: Network, thief: Callable[[Network], Awaitable[Peer]], status: int, registered: int
) -> None:
    async with two_pools:
        peer, dora = await carrier(two_pools, FE3, FE1, "bob"), await two_pools.phone("dora", FE4)
        route = await logged_in(peer, path_of(FE1))
        other = await thief(two_pools)
        message = other.request("MESSAGE", DORA, [("route", route)], sender=f"<{BOB}>;tag=x")
        assert (await other.ask(message)).status == status
        assert (await other.ask(registration(other, path_of(FE1), [("route", route)]))).status == registered
        assert rows_of(two_pools, FE3, BOB) == 1
        await dora.silent()
        await peer.send(peer.request("MESSAGE", DORA, [("route", route)]))
        await dora.reply(await dora.request_in("MESSAGE"), 200)
        assert (await peer.final()).status == 200


@pytest.mark.parametrize(
    ("sender", "headers"),
    [
        (ALICE, []),
        (ALICE, [("p-asserted-identity", f"<{ALICE}>")]),
        ("sip:anonymous@anonymous.invalid", [("p-preferred-identity", f"<{ALICE}>")]),
    ],
)
@on_loop
async def test_login_of_one_user_is_not_that_of_another(
    two_pools: Network, sender: str, headers: list[tuple[str, str]]
) -> None:
    """A name of a user of the front end's own pool behind bob's token is challenged; his own name passes, with his identity."""
    async with two_pools:
        peer, dora = await carrier(two_pools, FE3, FE1, "bob"), await two_pools.phone("dora", FE3)
        route = ("route", await logged_in(peer, path_of(FE1)))
        forged = peer.request("MESSAGE", DORA, [route, *headers], sender=f"<{sender}>;tag=x")
        assert (await peer.ask(forged)).status == 407
        await peer.send(peer.request("MESSAGE", DORA, [route, ("p-asserted-identity", f"<{ALICE}>")]))
        came = await dora.request_in("MESSAGE")
        assert came.values("p-asserted-identity") == [f"<{BOB}>"]
        await dora.reply(came, 200)
        assert (await peer.final()).status == 200


@on_loop
async def test_registration_of_another_user_by_the_token_of_a_login_needs_a_password(two_pools: Network) -> None:
    async with two_pools:
        peer, path = await carrier(two_pools, FE3, FE1, "bob"), path_of(FE1)
        route = await logged_in(peer, path)
        peer.user = "dora@example.test"
        assert (await peer.ask(registration(peer, path, [("route", route)]))).status == 401
        peer.user = "bob@example.test"
        assert (await peer.ask(registration(peer, path, [("route", route)]))).status == 200


@on_loop
async def test_flow_does_not_move_to_another_path_without_a_login(two_pools: Network) -> None:
    async with two_pools:
        peer, path = await carrier(two_pools, FE3, FE1, "bob"), path_of(FE1)
        route = await logged_in(peer, path)
        assert (await peer.ask(registration(peer, path_of(FE1), [("route", route)]))).status == 403
        assert (await peer.ask(registration(peer, path, [("route", route)]))).status == 200


# 3. The other end: who reaches a phone by the token in a Path


@pytest.mark.parametrize("server", [FE2, EDGE])
@on_loop
async def test_token_of_a_path_counts_from_the_home_pool_only(two_pools: Network, server: str) -> None:
    async with two_pools:
        bob = await two_pools.phone("bob", FE1)
        node = two_pools.nodes[FE1]
        (flow,) = [flow for flow in node.flow_table.sessions() if flow.logins]
        route = f"<sip:{flow.logins[BOB].path}@{FE1}:5062;transport=tls;lr;ob>"
        for credentials_of, status in ((server, 403), (FE4, 200)):
            peer = await two_pools.peer(FE1, "dora", credentials_of)
            await peer.send(peer.request("MESSAGE", BOB, [("route", route)]))
            if status == 200:
                await bob.reply(await bob.request_in("MESSAGE"), 200)
            else:
                await bob.silent()
            assert (await peer.final()).status == status
        user = await two_pools.phone("alice", FE1)
        assert (await user.ask(user.request("MESSAGE", "sip:nobody@example.test", [("route", route)]))).status == 404


@on_loop
async def test_token_that_names_no_flow_gets_430(two_pools: Network) -> None:
    async with two_pools:
        bob = await two_pools.phone("bob", FE1)
        tokens = two_pools.nodes[FE1].tokens
        home = await two_pools.peer(FE1, "dora", FE3)
        (flow,) = [flow for flow in two_pools.nodes[FE1].flow_table.sessions() if flow.logins]
        for number, owner in ((flow.number + 1, BOB), (flow.number, DORA)):
            text = tokens.path(number, owner, named_side(POOL2))
            gone = home.request("MESSAGE", BOB, [("route", f"<sip:{text}@{FE1};lr>")])
            assert (await home.ask(gone)).status == 430
        await bob.silent()


@on_loop
async def test_only_the_home_pool_ends_a_carried_link(two_pools: Network) -> None:
    async with two_pools:
        bob = await two_pools.phone("bob", FE1)
        (flow,) = [flow for flow in two_pools.nodes[FE1].flow_table.sessions() if flow.logins]
        route = ("route", f"<sip:{flow.logins[BOB].path}@{FE1}:5062;transport=tls;lr;ob>")
        other = await two_pools.peer(FE1, "x", FE2)
        assert (await other.ask(other.request("REGISTER", f"sip:{FE1}", [route, END]))).status == 403
        user = await two_pools.phone("alice", FE1)
        assert (
            await user.ask(user.request("REGISTER", "sip:example.test", [route, END], to=f"<{ALICE}>"))
        ).status == 200
        await bob.silent()
        home = await two_pools.peer(FE1, "x", FE4)
        recorded = two_pools.nodes[FE1].tokens.recorded(flow.logins[BOB].path, "call-1", "1")
        shown = ("route", f"<sip:{recorded}@{FE1}:5062;transport=tls;lr>")
        assert (await home.ask(home.request("REGISTER", f"sip:{FE1}", [shown, END]))).status == 403
        assert (await home.ask(home.request("REGISTER", f"sip:{FE1}", [route, END]))).status == 200
        await bob.hung_up()


@on_loop
async def test_only_the_carrying_link_ends_a_flow_at_home(two_pools: Network) -> None:
    async with two_pools:
        peer, other = await carrier(two_pools, FE3, FE1, "bob"), await carrier(two_pools, FE3, FE1, "bob")
        route = ("route", await logged_in(peer, path_of(FE1)))
        assert (await other.ask(other.request("REGISTER", f"sip:{FE3}", [route, END]))).status == 430
        assert rows_of(two_pools, FE3, BOB) == 1
        assert (await peer.ask(peer.request("REGISTER", f"sip:{FE3}", [route, END]))).status == 200
        assert rows_of(two_pools, FE3, BOB) == 0
        assert (await peer.ask(peer.request("MESSAGE", ALICE, [route]))).status == 430


@pytest.mark.parametrize(("answered", "told"), [(430, 480), (486, 486)])
@on_loop
async def test_callee_does_not_end_the_link_of_a_carried_caller(two_pools: Network, answered: int, told: int) -> None:
    """430 tells the server with the link that the login is gone, so only its home pool says it."""
    async with two_pools:
        bob, dora = await two_pools.phone("bob", FE1), await two_pools.phone("dora", FE3)
        await bob.send(bob.request("OPTIONS", DORA))  # a MESSAGE would be stored
        await dora.reply(await dora.request_in("OPTIONS"), answered)
        assert (await bob.final()).status == told
        await dora.send(dora.request("MESSAGE", BOB))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await dora.final()).status == 200
        assert rows_of(two_pools, FE3, BOB) + rows_of(two_pools, FE4, BOB) == 1


# 4. What a colleague at the home pool does with what a call with a carried user has shown


@pytest.mark.parametrize("method", ["BYE", "REFER", "MESSAGE"])
@on_loop
async def test_route_behind_that_of_the_home_pool_leads_to_no_carried_phone(two_pools: Network, method: str) -> None:
    """In a call with alice, dora puts what bob's server has record-routed behind her own server, which does not judge it."""
    async with two_pools:
        alice, bob, dora = [await two_pools.phone(*who) for who in (("alice", FE1), ("bob", FE1), ("dora", FE3))]
        with_bob, with_alice = (await talking(dora, bob))[2], (await talking(dora, alice))[2]
        assert (await bob.receive()).cseq.method == (await alice.receive()).cseq.method == "ACK"
        shown = next(route for route in with_bob.routes if f"@{FE1}:" in route)
        straying = inside_of(with_alice, dora, method)
        own = next(route for route in with_alice.routes if f"@{FE3}:" in route)
        straying.remove("route")
        for way in (own, shown):
            straying.append("route", way)
        assert (await dora.ask(straying)).status == 403
        await bob.silent()
        await dora.send(inside_of(with_bob, dora, method))
        await bob.reply(await bob.request_in(method), 200)
        assert (await dora.final()).status == 200


# 5. Limits


@on_loop
async def test_flows_by_one_server_are_bounded(two_pools: Network) -> None:
    async with two_pools:
        two_pools.nodes[FE3].home_flows.most_of_server = 1
        peer, path = await carrier(two_pools, FE3, FE1, "bob"), path_of(FE1)
        route = await logged_in(peer, path)
        full = await peer.ask(registration(peer, path_of(FE1)))
        assert (full.status, full.has("retry-after")) == (503, True)
        assert (await peer.ask(registration(peer, path, [("route", route)]))).status == 200


@on_loop
async def test_flows_by_one_server_are_bounded_over_all_its_links(two_pools: Network) -> None:
    """Many links of one server carry as much as one link; another server has its own room, and an ended flow makes room."""
    async with two_pools:
        two_pools.nodes[FE3].home_flows.most_of_server = 1
        first, second = await carrier(two_pools, FE3, FE1, "bob"), await carrier(two_pools, FE3, FE1, "dora")
        route = ("route", await logged_in(first, path_of(FE1)))
        assert (await second.ask(registration(second, path_of(FE1)))).status == 503
        assert await logged_in(await carrier(two_pools, FE3, FE2, "dora"), path_of(FE2))
        assert (await first.ask(first.request("REGISTER", f"sip:{FE3}", [route, END]))).status == 200
        assert await logged_in(second, path_of(FE1))


@on_loop
async def test_strangers_on_carried_flows_leave_nothing_behind(two_pools: Network) -> None:
    async with two_pools:
        peer, node = await carrier(two_pools, FE3, FE1, "bob"), two_pools.nodes[FE3]
        await peer.ask(registration(peer, path_of(FE1)))
        known, accounts = len(node.flow_table.sessions()), len(node.accounts)
        for _ in range(20):
            assert (await peer.ask(registration(peer, path_of(FE1)))).status == 401
        assert (len(node.flow_table.sessions()), len(node.accounts), len(node.home_flows)) == (known, accounts, 0)
        await logged_in(peer, path_of(FE1))
        assert len(node.home_flows) == 1


@pytest.mark.parametrize("user", ["bob", "dora"])
@on_jumping_loop
async def test_guesses_through_one_server_wait_with_any_address_that_it_names(two_pools: Network, user: str) -> None:
    """A stolen front end invents an address for each guess; a login of another user by it does not wait."""
    async with two_pools:
        loop, peer = asyncio.get_running_loop(), await carrier(two_pools, FE3, FE1, "bob")
        took = []
        for number in range(6):
            path, host = path_of(FE1), f"192.0.2.{number + 1}"
            challenged = await peer.ask(registration(peer, path, host=host))
            guess, began = credentials(peer, challenged, "wrong"), loop.time()
            assert (await peer.ask(registration(peer, path, [guess], host))).status == 401
            took.append(round(loop.time() - began, 1))
        assert took == [0.0, 0.0, 0.5, 1.0, 2.0, 4.0]
        peer.user, began = f"{user}@example.test", loop.time()
        await logged_in(peer, path_of(FE1))
        assert round(loop.time() - began, 1) == (8.0 if user == "bob" else 0.0)


@on_jumping_loop
async def test_login_that_waits_is_forgotten_with_the_link_that_carries_it(two_pools: Network) -> None:
    async with two_pools:
        node = two_pools.nodes[FE3]
        async with await Peer.open(
            two_pools.address(FE3, LinkKind.SERVER), "bob@example.test", two_pools.credentials(FE1)
        ) as peer:
            path = path_of(FE1)
            challenged = await peer.ask(registration(peer, path))
            for _ in range(3):
                await peer.send(registration(peer, path, [credentials(peer, challenged, "wrong")]))
            await until(lambda: len(node.failures.waiting))
        await until(lambda: not len(node.failures.waiting))
        assert len(node.home_flows) == 0
        again = await carrier(two_pools, FE3, FE1, "bob")
        assert await logged_in(again, path_of(FE1))


@on_jumping_loop
async def test_two_logins_of_one_flow_that_have_waited_are_one_flow(two_pools: Network) -> None:
    async with two_pools:
        peer, path, node = await carrier(two_pools, FE3, FE1, "bob"), path_of(FE1), two_pools.nodes[FE3]
        for _ in range(3):
            challenged = await peer.ask(registration(peer, path))
            assert (await peer.ask(registration(peer, path, [credentials(peer, challenged, "wrong")]))).status == 401
        nonces = [await peer.ask(registration(peer, path)) for _ in range(2)]
        for challenged in nonces:
            await peer.send(registration(peer, path, [credentials(peer, challenged)]))
        assert [(await peer.final()).status for _ in nonces] == [200, 200]
        assert (len(node.home_flows), rows_of(two_pools, FE3, BOB)) == (1, 1)
        assert len(node.accounts.of_users) == 1


@pytest.mark.parametrize("is_stranger", [True, False])
@on_loop
async def test_end_of_a_request_without_a_login_ends_the_login_on_its_flow_too(
    two_pools: Network, *, is_stranger: bool
) -> None:
    """Both have one number and one client, whose link is closed: nothing of the login is left behind."""
    async with two_pools:
        peer, path, node = await carrier(two_pools, FE3, FE1, "bob"), path_of(FE1), two_pools.nodes[FE3]
        asked = registration(peer, path)
        await peer.ask(asked)
        (by,) = [flow for flow in node.flow_table.sessions() if flow.link.peer_name == FE1]
        stranger = node.home_flows.flow_of(by, asked, NOWHERE)
        await logged_in(peer, path)
        flow = stranger if is_stranger else node.flow_table.by_number(stranger.number)  # type: ignore[union-attr]
        flow.link.close("too many failed logins")  # type: ignore[union-attr]
        assert (len(node.home_flows), len(node.accounts.of_users), rows_of(two_pools, FE3, BOB)) == (0, 0, 0)


@on_jumping_loop
async def test_failed_logins_at_the_wrong_pool_close_the_link_and_wait_there_too(two_pools: Network) -> None:
    async with two_pools:
        guesser = await two_pools.peer(FE1, "bob")
        challenged = await guesser.ask(guesser.request("REGISTER", "sip:example.test", to=f"<{BOB}>"))
        for _ in range(8):
            proof = credentials(guesser, challenged, "wrong")
            await guesser.send(guesser.request("REGISTER", "sip:example.test", [proof], to=f"<{BOB}>"))
        await guesser.hung_up()
        told = [line for name in (FE1, FE3, FE4) for line in two_pools.told[name].events("login failed")]
        assert any(line["closes"] for line in told)
        assert (await (await two_pools.peer(FE1, "bob")).register()).status == 200


@pytest.mark.parametrize("claimed", ["", ";received=192.0.2.77"])
@on_loop
async def test_guess_counts_at_home_for_the_address_from_which_it_came(two_pools: Network, claimed: str) -> None:
    """A guesser cannot use up the attempts of another address."""
    async with two_pools:
        guesser = await two_pools.peer(FE1, "bob")
        challenged = await guesser.ask(guesser.request("REGISTER", "sip:example.test", to=f"<{BOB}>"))
        guess = guesser.request(
            "REGISTER", "sip:example.test", [credentials(guesser, challenged, "wrong")], to=f"<{BOB}>"
        )
        guess.replace("via", f"SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bK-guess{claimed}")
        assert (await guesser.ask(guess)).status == 401
        told = [line for name in (FE3, FE4) for line in two_pools.told[name].events("login failed")]
        assert [line["remote"] for line in told] == [f"127.0.0.1 by {FE1}"]


@on_loop
async def test_credentials_for_other_realms_do_not_go_to_the_home_pool(two_pools: Network) -> None:
    async with two_pools:
        for name in (FE3, FE4):
            await two_pools.stop(name)
        bob = await two_pools.peer(FE1, "bob")
        other = (
            'Digest username="bob", realm="partner.test", nonce="x", uri="sip:partner.test", response="'
            + "0" * 32
            + '"'
        )
        asked = bob.request("REGISTER", "sip:example.test", [("authorization", other)], to=f"<{BOB}>")
        assert (await bob.ask(asked)).status in {500, 503}


@on_loop
async def test_token_of_a_login_is_not_shown_to_the_client(two_pools: Network) -> None:
    """It is for the server that carries the link; its client gets the name by which it has come."""
    async with two_pools:
        bob = await two_pools.peer(FE1, "bob")
        accepted = await bob.register()
        assert accepted.status == 200
        assert route_in(accepted) == "<sip:example.test;transport=tls;lr>"
