"""Password guessing: it reveals nothing, it becomes slower, and it locks out no user with the right password."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from sipmesh.demo.ports import HOST
from sipmesh.routing.authentication.backoff import FailureLimits
from sipmesh.sip.digest import Algorithm, answer, parse_challenge
from sipmesh.sip.message import Request, Response
from sipmesh.storage.users.invitation import Invitation
from sipmesh.storage.users.invitations import Invitations, Taken
from sipmesh.storage.users.user_database import Users
from sipmesh.transport.limits import Limits
from support.network import EDGE, FE1, FE2, Network, nobody_like, offers, telling
from support.peer import HungUpError, Peer
from support.running import on_jumping_loop, on_loop, until

LIMITS = FailureLimits()
ELSEWHERE = "127.0.0.2"
ALICE = "alice@example.test"


@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE", "INVITE"])
@on_loop
async def test_unknown_user_cannot_be_distinguished_from_a_wrong_password(home: Network, method: str) -> None:
    """The same responses, field by field, except for values that are new in every response."""
    async with home:
        seen = []
        for user in ("alice", await nobody_like(home, FE1, "alice")):
            peer = await home.peer(FE1, user)
            first = await peer.ask(login(peer, method))
            second = await peer.ask(login(peer, method, first, "wrong"))
            seen.append([(one.status, one.reason, telling(one, user)) for one in (first, second)])
        assert seen[0] == seen[1]
        assert seen[0][0][0] == (401 if method == "REGISTER" else 407)
        flaws = [line["flaw"] for line in home.told[FE1].events("login failed")]
        assert flaws == ["wrong password", "unknown user"]  # only our own log shows the difference


@on_loop
async def test_offered_algorithms_do_not_reveal_a_user(home: Network) -> None:
    """A phone that knows only MD5 is offered only MD5. So are unknown names, as often, and always the same names."""
    home.of(FE1).add_users("old", algorithms=(Algorithm.MD5,))
    async with home:
        real = {tuple(await offers(home, FE1, user)) for user in ("alice", "old")}
        names = [f"nobody{number}" for number in range(40)]
        seen = [tuple(await offers(home, FE1, name)) for name in names]
        assert real == {("SHA-256", "MD5"), ("MD5",)}
        assert real == set(seen)
        assert seen == [tuple(await offers(home, FE1, name)) for name in names]


@pytest.mark.parametrize("user", ["alice", "no-such"])
@on_jumping_loop
async def test_unknown_user_is_slowed_down_as_a_known_one_is(home: Network, user: str) -> None:
    async with home:
        waited = []
        for _ in range(LIMITS.free + 6):
            guesser = await home.peer(FE1, user)
            began = asyncio.get_running_loop().time()
            assert (await guesser.register(password="wrong")).status == 401
            waited.append(asyncio.get_running_loop().time() - began)
        expected = [0.0, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]  # one user at one address, over many links
        assert waited == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("address", "waits_s"), [(ELSEWHERE, 0.0), (HOST, LIMITS.max_delay_s)])
@on_jumping_loop
async def test_user_under_attack_can_log_in_within_a_limited_time(home: Network, address: str, waits_s: float) -> None:
    """At once from any other address, and after eight seconds from the guesser's address."""
    async with home:
        guessers = [await home.peer(FE1, "alice") for _ in range(4)]
        for guesser in guessers:
            await guess(guesser, 5)
        async with from_elsewhere(home, "alice", address) as alice:
            began = asyncio.get_running_loop().time()
            assert (await alice.register()).status == 200
            assert asyncio.get_running_loop().time() - began == pytest.approx(waits_s, abs=0.05)


@on_jumping_loop
async def test_guesser_does_not_affect_others_at_its_address(home: Network) -> None:
    """Five hundred wrong logins from one address with ninety names: no user loses a link, and all can log in.

    Another user gets in within two seconds from there, and at once from elsewhere.
    """
    async with home, from_elsewhere(home, "carol", ELSEWHERE) as carol:
        bob = await home.phone("bob", FE1)
        for number in range(90):
            await guess(await home.peer(FE1, f"user{number}"), 6)
        began = asyncio.get_running_loop().time()
        assert (await carol.register()).status == 200
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.0, abs=0.05)
        await home.phone("alice", FE1)
        assert asyncio.get_running_loop().time() - began == pytest.approx(LIMITS.address_delay_s, abs=0.05)
        await bob.silent()


@on_jumping_loop
async def test_guesses_per_minute_are_limited_over_many_links(home: Network) -> None:
    """Eight attempts for one user at one address wait at once, eight seconds each: one a second. Further attempts get 503."""
    async with home:
        seen = Counter[int]()

        async def keep_guessing(guesser: Peer) -> None:
            with suppress(HungUpError):
                while now() < 60:
                    answer = await guesser.register(password="wrong")
                    seen[answer.status] += 1
                    await asyncio.sleep(1 if answer.status == 503 else 0)

        await asyncio.gather(*[keep_guessing(await home.peer(FE1, "alice")) for _ in range(40)])
        written = [line for line in home.told[FE1].events("login failed") if "again" not in line]
        looked_at = len(written) + home.nodes[FE1].peer_log.summed
        assert looked_at <= 60 + LIMITS.waiting_per_user + LIMITS.free
        assert seen[503] > looked_at


@on_jumping_loop
async def test_delay_on_one_link_grows_until_it_is_closed(home: Network) -> None:
    async with home:
        guesser = await home.peer(FE1, "alice")
        times = [asyncio.get_running_loop().time()]
        for _ in range(LIMITS.link_closes_at - 1):
            assert (await guesser.register(password="wrong")).status == 401
            times.append(asyncio.get_running_loop().time())
        waited = [later - earlier for earlier, later in pairwise(times)]
        assert waited == pytest.approx([0.0, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0], abs=0.05)
        with pytest.raises(HungUpError):
            await guesser.register(password="wrong")


@on_jumping_loop
async def test_right_password_resets_the_failures_of_the_link(home: Network) -> None:
    """A phone with two lines that both had an old password: more failures than a link allows, but none in a row too many."""
    async with home:
        phone = await home.peer(FE1, "alice")
        for user in ("alice", "bob"):
            phone.user = f"{user}@example.test"
            await guess(phone, LIMITS.link_closes_at - 1)
            await asyncio.sleep(LIMITS.max_delay_s)  # in loop time, which jumps: the last attempt was checked
            assert (await phone.register()).status == 200


@on_jumping_loop
async def test_link_of_a_registered_user_stays_while_another_line_fails(home: Network) -> None:
    """Its second line has an old password and waits like a guesser. The first line can be called all the while."""
    async with home:
        phone, alice = await home.phone("carol", FE1), await home.phone("alice", FE1)
        phone.user = "bob@example.test"
        for number in range(2 * LIMITS.link_closes_at):
            began = now()
            assert (await phone.register(password="old")).status == 401
            if number > LIMITS.link_closes_at:
                assert now() - began == pytest.approx(LIMITS.max_delay_s, abs=0.05)
        await alice.send(alice.request("MESSAGE", "sip:carol@example.test"))
        await phone.reply(await phone.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200


@on_jumping_loop
async def test_failures_are_counted_for_each_link(home: Network) -> None:
    async with home:
        guesser, person = await home.peer(FE1, "alice"), await home.peer(FE1, "bob")
        await guess(guesser, LIMITS.link_closes_at)
        await guesser.hung_up()
        assert (await person.register(password="mistyped")).status == 401
        assert (await person.register()).status == 200


@on_jumping_loop
async def test_closed_link_forgets_its_waiting_attempt(home: Network) -> None:
    """Its waiting attempt is not checked any more."""
    async with home:
        guesser = await home.peer(FE1, "alice")
        await guess(guesser, LIMITS.free + 1)
        assert len(home.nodes[FE1].failures.waiting) == 1
        await guesser.__aexit__()
        await until(lambda: not home.nodes[FE1].flow_table.sessions())
        assert len(home.nodes[FE1].failures.waiting) == 0
        bob = await home.phone("bob", FE1)
        await asyncio.sleep(LIMITS.first_delay_s)  # in loop time, which jumps
        await bob.silent()


@on_jumping_loop
async def test_malformed_request_gets_its_status_after_the_wait(home: Network) -> None:
    """The password is right and the Contact is unreadable: 400, and the link stays."""
    async with home:
        alice = await home.peer(FE1, "alice")
        await guess(alice, LIMITS.free)
        contact, alice.contact = alice.contact, "<sip:alice@127.0.0.1>;q=nonsense"
        assert (await alice.register()).status == 400
        alice.contact = contact
        assert (await alice.register()).status == 200


@pytest.mark.parametrize(("octets", "statuses"), [(16_384, [407]), (16_385, [503])])
@on_jumping_loop
async def test_attempt_with_a_large_body_does_not_wait(home: Network, octets: int, statuses: list[int]) -> None:
    """Also where the limit of a stranger's body is set higher."""
    home.limits = replace(home.limits, body_stranger_bytes=home.limits.body_client_bytes)
    async with home:
        alice = await home.peer(FE1, "alice")
        await guess(alice, LIMITS.free)
        request = login(alice, "MESSAGE", await alice.ask(login(alice, "MESSAGE")), "wrong")
        request.replace("content-length", str(octets))
        request.body = b"x" * octets
        assert [(await alice.ask(request)).status] == statuses


@on_jumping_loop
async def test_link_with_a_waiting_login_is_not_displaced_by_strangers(home: Network) -> None:
    """A guesser fails in the user's name and then opens links from the same address; the user can log in all the same."""
    home.limits = Limits(strangers_per_address=4, login_s=0)
    async with home:
        await guess(await home.peer(FE1, "alice"), 6)
        await asyncio.sleep(LIMITS.max_delay_s)
        alice = await home.peer(FE1, "alice")
        entering = asyncio.create_task(alice.register())
        await until(lambda: len(home.nodes[FE1].failures.waiting) == 1)
        idle = [await home.peer(FE1) for _ in range(8)]
        assert (await entering).status == 200
        await idle[0].hung_up()
        await idle[-1].silent()


@pytest.mark.parametrize("change", ["password", "remove"])
@on_loop
async def test_change_of_a_user_ends_its_links_on_every_front_end_and_no_others(pool: Network, change: str) -> None:
    async with pool:
        gone = [await pool.phone("alice", FE1), await pool.phone("alice", FE2), await pool.phone("alice", FE2)]
        stays = [await pool.phone("bob", FE1), await pool.phone("carol", FE2), await pool.peer(FE1)]
        change_user(pool, change)
        assert [await pool.nodes[name].user_updates.refresh() for name in (FE1, FE2)] == [1, 2]
        for phone in gone:
            await phone.hung_up()
        for phone in stays:
            assert (await phone.ask(phone.request("OPTIONS", "sip:example.test"))).status == 200
        assert [await pool.nodes[name].user_updates.refresh() for name in (FE1, FE2)] == [0, 0]


@on_loop
async def test_link_of_two_users_ends_with_either_of_them(home: Network) -> None:
    """The link must not act for the user whose password has changed."""
    async with home:
        shared = await home.phone("bob", FE1)
        shared.user = "alice@example.test"
        assert (await shared.register()).status == 200
        change_user(home, "password")
        assert await home.nodes[FE1].user_updates.refresh() == 1
        await shared.hung_up()


@on_loop
async def test_link_with_the_new_password_stays(home: Network) -> None:
    """The server has read the change with this login, and gets the change a second time."""
    async with home:
        change_user(home, "password")
        await home.nodes[FE1].user_updates.refresh()
        alice = await home.peer(FE1, "alice")
        assert (await alice.register(password="another")).status == 200
        node = home.nodes[FE1]
        assert node.logins.close_changed(frozenset({"sip:alice@example.test"})) == []
        assert (await alice.ask(alice.request("OPTIONS", "sip:example.test"))).status == 200


@on_loop
async def test_unreadable_user_database_leaves_the_known_users_in_force(home: Network) -> None:
    organisation = home.organisations[0]
    async with home:
        alice = await home.phone("alice", FE1)
        file = organisation.folder / "users.db"
        moved = file.rename(organisation.folder / "elsewhere.db")
        file.mkdir()
        assert await home.nodes[FE1].user_updates.refresh() == 0
        assert (await alice.ask(alice.request("OPTIONS", "sip:example.test"))).status == 200
        await home.phone("bob", FE1)
        file.rmdir()
        moved.rename(file)


def now() -> float:
    """Return the loop time in seconds."""
    return asyncio.get_running_loop().time()


def login(peer: Peer, method: str, challenge: Response | None = None, password: str = "") -> Request:
    """Make a request that needs a login, with credentials after a challenge."""
    uri = "sip:example.test" if method == "REGISTER" else "sip:bob@example.test"
    headers = []
    if challenge is not None:
        asks, proves = {
            401: ("www-authenticate", "authorization"),
            407: ("proxy-authenticate", "proxy-authorization"),
        }[challenge.status]
        name = peer.user.partition("@")[0]
        challenges = [parse_challenge(value) for value in challenge.values(asks)]
        headers.append((proves, answer(challenges, name, password, method, uri, "cnonce", 1)))
    return peer.request(method, uri, headers, to=f"<sip:{peer.user}>" if method == "REGISTER" else None)


async def guess(peer: Peer, times: int) -> None:
    """Send wrong passwords all at once, and wait until the server has read them or closed the link."""
    challenge = await peer.ask(login(peer, "REGISTER"))
    await peer.send(*(login(peer, "REGISTER", challenge, "wrong") for _ in range(times)))
    if times < LIMITS.link_closes_at:
        assert (await peer.ask(peer.request("OPTIONS", "sip:example.test"))).status == 200


def change_user(network: Network, change: str) -> None:
    """Change alice as the command does."""
    users = Users(network.organisations[0].load().users_url)
    if change == "password":
        users.set_password("alice@example.test", "another")
    else:
        users.remove("alice@example.test")
    users.close()


@asynccontextmanager
async def from_elsewhere(network: Network, user: str, address: str) -> AsyncIterator[Peer]:
    """A peer that connects from *address* of this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, port = network.address(FE1)
    streams = await asyncio.open_connection(HOST, port, ssl=context, local_addr=(address, 0))
    async with Peer(*streams, f"{user}@example.test") as peer:
        yield peer


def given_up(network: Network) -> list[tuple[str, str]]:
    """The failed logins of all servers: user and flaw."""
    nodes = network.nodes.values()
    return [(failure.user, failure.flaw) for node in nodes for failure in node.logins.remembered.newest(9)]


@on_loop
async def test_challenge_without_an_answer_is_a_failed_login_of_its_user(home: Network) -> None:
    """A phone that supports none of the algorithms says nothing more. It is known once its link has ended."""
    async with home:
        async with await Peer.open(home.address(FE1), ALICE) as peer:
            register = peer.request("REGISTER", "sip:example.test", [("user-agent", "x" * 9_000)], to=f"<sip:{ALICE}>")
            assert (await peer.ask(register)).status == 401
            assert given_up(home) == []
        await until(lambda: given_up(home) == [(f"sip:{ALICE}", "the challenge (SHA-256, MD5) was not answered")])


@on_loop
async def test_link_of_an_edge_is_not_the_phone_that_gave_up(remote: Network) -> None:
    """The edge carries phones of many users on one link."""
    async with remote, await Peer.open(remote.address(EDGE), ALICE) as peer:
        register = peer.request("REGISTER", "sip:example.test", to=f"<sip:{ALICE}>")
        assert (await peer.ask(register)).status == 401
        at_home = [flow for server in (FE1, FE2) for flow in remote.nodes[server].flow_table.sessions()]
        assert at_home
        assert [flow for flow in at_home if flow.challenged is not None] == []


@pytest.mark.parametrize(("password", "failed"), [(None, []), ("wrong", [(f"sip:{ALICE}", "wrong password")])])
@on_loop
async def test_challenge_with_an_answer_is_no_further_failed_login(
    home: Network, password: str | None, failed: list[tuple[str, str]]
) -> None:
    async with home:
        async with await Peer.open(home.address(FE1), ALICE) as peer:
            await peer.register(password=password)
        async with await Peer.open(home.address(FE1), ALICE) as other:  # asks for nothing that needs a login
            await other.ask(other.request("OPTIONS", "sip:example.test"))
        await until(lambda: not home.nodes[FE1].flow_table.sessions())
        assert given_up(home) == failed


def invited(network: Network, device: str) -> Taken:
    """Let a device of alice take an invitation."""
    users, now = Users(network.organisations[0].load().users_url), datetime.now(UTC)
    invitations = Invitations(users)
    wanted = Invitation("", f"sip:{ALICE}", device, "", "", "", now, now + timedelta(hours=1))
    taken = invitations.take(invitations.invite(wanted)[1], "json", HOST, now)
    users.close()
    return taken


async def device(network: Network, server: str, taken: Taken) -> Peer:
    """A phone that logs in with what it took."""
    phone = await network.peer(server, "alice")
    phone.login = taken.login
    assert (await phone.register(password=taken.password)).status == 200
    return phone


@on_loop
async def test_revoked_device_loses_its_links_on_every_front_end_and_no_other_device_does(pool: Network) -> None:
    async with pool:
        lost, kept = invited(pool, "lost"), invited(pool, "kept")
        for name in (FE1, FE2):
            await pool.nodes[name].user_updates.refresh()
        gone = [await device(pool, FE1, lost), await device(pool, FE2, lost)]
        stays = [await device(pool, FE1, kept), await pool.phone("alice", FE2)]
        users = Users(pool.organisations[0].load().users_url)
        Invitations(users).revoke_device(ALICE, "lost")
        users.close()
        assert [await pool.nodes[name].user_updates.refresh() for name in (FE1, FE2)] == [1, 1]
        for phone in gone:
            await phone.hung_up()
        for phone in stays:
            assert (await phone.ask(phone.request("OPTIONS", "sip:example.test"))).status == 200
        again = await pool.peer(FE1, "alice")
        again.login = lost.login
        assert (await again.register(password=lost.password)).status == 401


@on_loop
async def test_new_password_of_the_user_ends_the_links_of_that_password_and_not_those_of_devices(home: Network) -> None:
    async with home:
        taken = invited(home, "desk")
        await home.nodes[FE1].user_updates.refresh()
        by_password, by_device = await home.phone("alice", FE1), await device(home, FE1, taken)
        change_user(home, "password")
        assert await home.nodes[FE1].user_updates.refresh() == 1
        await by_password.hung_up()
        assert (await by_device.ask(by_device.request("OPTIONS", "sip:example.test"))).status == 200


@on_loop
async def test_disabled_user_has_no_device_that_logs_in(home: Network) -> None:
    async with home:
        taken = invited(home, "desk")
        await home.nodes[FE1].user_updates.refresh()
        phone = await device(home, FE1, taken)
        users = Users(home.organisations[0].load().users_url)
        users.disable(ALICE, datetime.now(UTC))
        await home.nodes[FE1].user_updates.refresh()
        await phone.hung_up()
        again = await home.peer(FE1, "alice")
        again.login = taken.login
        assert (await again.register(password=taken.password)).status == 401
        users.enable(ALICE)
        users.close()
        await home.nodes[FE1].user_updates.refresh()
        await device(home, FE1, taken)
