"""One principal's use does not affect the others: each limit at its value and one past it, with another principal beside it."""

from __future__ import annotations

import asyncio
import itertools
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.ports import HOST
from sipmesh.pki import files
from sipmesh.pki.csr import request_for
from sipmesh.server.management import report_receiver
from sipmesh.server.quotas.principals import Principals, answers_for
from sipmesh.server.quotas.usage import Usage
from sipmesh.server.replication.renewal import REQUEST
from sipmesh.server.replication.server_status import ServerStatus
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.message import Request
from sipmesh.sip.transaction.ack import ack_for, cancel_for
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import sign
from sipmesh.transport.limits import Limits
from sipmesh.transport.reactor.descriptors import SHARE
from sipmesh.trust.evidence import LinkKind
from support.managed import MGMT, Managed, links_between
from support.network import EDGE, FE1, FE2, FE3, PARTNER_EDGE, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop, until

MESSAGE = "MESSAGE"
BOB = "sip:bob@example.test"


@pytest.mark.parametrize(
    ("user", "name"),
    [("sip:erin@partner.test", "partner sip.partner.test"), ("sip:alice@example.test", "sip:alice@example.test")],
)
def test_partner_answers_for_each_name_in_its_domains_and_a_user_for_itself(user: str, name: str) -> None:
    assert answers_for(user, {"partner.test": "sip.partner.test", "example.test": ""}.__getitem__) == name


# Branches and octets


@pytest.mark.parametrize(("requests", "statuses"), [(5, []), (6, [503])])
@on_loop
async def test_user_at_its_branch_limit_gets_503_and_another_user_is_served(
    home: Network, requests: int, statuses: list[int]
) -> None:
    """Each request to carol goes to two devices that do not answer: ten branches are the limit."""
    home.limits = Limits(branches_per_user=10)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        devices = [await home.phone("carol", FE1) for _ in range(2)]
        await alice.send(*(alice.request(MESSAGE, "sip:carol@example.test") for _ in range(requests)))
        for device in devices:
            for _ in range(5):
                await device.request_in(MESSAGE)
        refused = [await alice.final() for _ in statuses]
        assert [(one.status, one.first("retry-after")) for one in refused] == [(status, "5") for status in statuses]
        await bob.send(bob.request(MESSAGE, "sip:bob@example.test"))
        await bob.reply(await bob.request_in(MESSAGE), 200)
        assert (await bob.final()).status == 200
        assert home.nodes[FE1].accounts.refused == ({"user": 1} if statuses else {})
        assert account(home.nodes[FE1], "user", "sip:alice@example.test").branches == 10


@on_loop
async def test_final_responses_free_the_branches_and_octets_of_a_user(home: Network) -> None:
    home.limits = Limits(branches_per_user=1)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        held = account(home.nodes[FE1], "user", "sip:alice@example.test")
        for status in (200, 486, 200):
            await alice.send(alice.request(MESSAGE, BOB, body=b"x" * 1_000))
            request = await bob.request_in(MESSAGE)
            assert (held.branches, held.octets > 2_000) == (1, True)
            await bob.reply(request, status)
            assert (await alice.final()).status == status
        assert (held.branches, held.octets) == (0, 0)


@on_jumping_loop
async def test_answered_calls_count_for_their_headers_until_they_are_forgotten(home: Network) -> None:
    """The branch waits no longer and its body is dropped; half a minute later nothing is left."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        node = home.nodes[FE1]
        held = account(node, "user", "sip:alice@example.test")
        await alice.send(alice.request("INVITE", BOB, body=b"x" * 100_000))
        request = await bob.request_in("INVITE")
        assert held.octets > 200_000
        await bob.reply(request, 200)
        assert (await alice.final()).status == 200
        assert (held.branches, held.octets < 20_000) == (0, True)
        await asyncio.sleep(33)
        node.sweep.tick()
        assert (held.branches, held.octets) == (0, 0)


@pytest.mark.parametrize(("requests", "refused"), [(10, 0), (11, 1)])
@on_loop
async def test_user_at_its_octet_limit_gets_503(home: Network, requests: int, refused: int) -> None:
    """A message with a body of 100 KB counts once for itself and once for its branch."""
    home.limits = Limits(octets_per_user=2_000_000)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        for _ in range(requests):
            await alice.send(alice.request(MESSAGE, BOB, body=b"x" * 100_000))
        for _ in range(requests - refused):
            await bob.request_in(MESSAGE)
        if refused:
            assert (await alice.final()).status == 503
        held = account(home.nodes[FE1], "user", "sip:alice@example.test")
        assert 2_000_000 <= held.octets <= 2_200_000
        assert await served(home, "carol")


@on_loop
async def test_server_at_its_limit_gets_503_and_local_users_are_served(pool: Network) -> None:
    """A compromised server sends as our users would; its own limit stops it."""
    pool.limits = Limits(branches_per_server=3)
    async with pool:
        bob = await pool.phone("bob", FE1)
        stolen = await pool.peer(FE1, "alice@example.test", credentials=FE2)
        asserted = [("p-asserted-identity", "<sip:alice@example.test>")]
        await stolen.send(*(stolen.request(MESSAGE, BOB, asserted) for _ in range(4)))
        for _ in range(3):
            await bob.request_in(MESSAGE)
        assert (await stolen.final()).status == 503
        assert await served(pool, "carol")
        assert pool.nodes[FE1].accounts.refused == {"server": 1}


@pytest.mark.parametrize(
    ("kind", "credentials", "name"), [("server", FE2, FE2), ("partner", PARTNER_EDGE, "sip.partner.test")]
)
@on_loop
async def test_servers_and_partners_have_their_own_accounts(
    federation: Network, kind: str, credentials: str, name: str
) -> None:
    federation.starts = (FE1, EDGE)
    here, port = (FE1, LinkKind.SERVER) if kind == "server" else (EDGE, LinkKind.PARTNER)
    async with federation:
        await federation.peer_at(here, port, "erin@partner.test", credentials)
        node = federation.nodes[here]
        await until(lambda: node.accounts.fullest().get(kind))
        held = account(node, kind, name)
        most = {"server": node.limits.branches_per_server, "partner": node.limits.branches_per_partner}
        assert (held.links, held.most_branches) == (1, most[kind])


# The use of one principal behind another server


@pytest.mark.parametrize(("requests", "statuses"), [(3, []), (4, [503])])
@on_loop
async def test_user_behind_another_server_has_its_own_limit_within_it(
    pool: Network, requests: int, statuses: list[int]
) -> None:
    """A front end sends for alice and carol: three branches are a user's limit, twenty the server's."""
    pool.limits = Limits(branches_per_user=3, branches_per_server=20)
    async with pool:
        bob = await pool.phone("bob", FE1)
        other = await pool.peer(FE1, "alice@example.test", credentials=FE2)
        await other.send(*(asserted(other, "alice@example.test") for _ in range(requests)))
        waiting = [await bob.request_in(MESSAGE) for _ in range(3)]
        refused = [await other.final() for _ in statuses]
        assert [(one.status, one.first("retry-after")) for one in refused] == [(status, "5") for status in statuses]
        await other.send(asserted(other, "carol@example.test"))
        await bob.reply(await bob.request_in(MESSAGE), 200)
        assert (await other.final()).status == 200
        accounts = pool.nodes[FE1].accounts
        assert accounts._carried[FE2, "sip:alice@example.test"].branches == 3
        assert accounts._direct["server", FE2].branches == 3
        for request in waiting:
            await bob.reply(request, 200)
            assert (await other.final()).status == 200
        assert (accounts._direct["server", FE2].branches, accounts._direct["server", FE2].octets) == (0, 0)
        pool.nodes[FE1].sweep.tick()
        assert accounts._carried == {}


@on_loop
async def test_forks_of_one_user_do_not_fill_the_account_of_its_server_at_another_pool(two_pools: Network) -> None:
    """Each of alice's requests becomes ten branches at the other pool; carol beside her is served."""
    two_pools.limits = Limits(branches_per_user=10, branches_per_server=30)
    async with two_pools:
        bob = await with_contacts(two_pools, "bob", FE3, 10)
        dora = await two_pools.phone("dora", FE3)
        fe1 = await two_pools.peer(FE3, "alice@example.test", credentials=FE1)
        await fe1.send(*(asserted(fe1, "alice@example.test") for _ in range(5)))
        assert [(await fe1.final()).status for _ in range(4)] == [503] * 4
        for _ in range(10):
            await bob.request_in(MESSAGE)
        await fe1.send(asserted(fe1, "carol@example.test", "sip:dora@example.test"))
        await dora.reply(await dora.request_in(MESSAGE), 200)
        assert (await fe1.final()).status == 200
        assert two_pools.nodes[FE3].accounts._direct["server", FE1].branches == 10


@on_loop
async def test_partner_does_not_fill_the_account_of_an_edge_for_other_partners(federation: Network) -> None:
    """Two users of the partner share the account of the partner: the edge has room for other partners."""
    federation.limits = Limits(branches_per_user=20, branches_per_partner=30, branches_per_server=60)
    federation.starts = (FE1,)
    async with federation:
        bob = await with_contacts(federation, "bob", FE1, 10)
        edge = await federation.peer(FE1, "erin@partner.test", credentials=EDGE)
        for name in ("erin", "frank", "grace"):
            await edge.send(*(asserted(edge, f"{name}@partner.test") for _ in range(4)))
        assert [(await edge.final()).status for _ in range(9)] == [503] * 9
        for _ in range(30):
            await bob.request_in(MESSAGE)
        accounts = federation.nodes[FE1].accounts
        held = accounts._direct["server", EDGE]
        assert (held.branches, held.full) == (30, False)
        assert accounts._carried[EDGE, "sip.partner.test"].branches == 30
        assert accounts._carried[EDGE, "sip:erin@partner.test"].branches == 20
        await edge.send(asserted(edge, "zoe@partner.test"))
        assert (await edge.final()).status == 503


@pytest.mark.parametrize(("requests", "statuses"), [(3, []), (4, [503])])
@on_loop
async def test_partner_has_a_limit_of_its_own_at_the_edge(
    federation: Network, requests: int, statuses: list[int]
) -> None:
    federation.limits = Limits(branches_per_partner=3)
    federation.starts = (FE1, EDGE)
    async with federation:
        bob = await federation.phone("bob", FE1)
        edge = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        await edge.send(*(edge.request(MESSAGE, BOB) for _ in range(requests)))
        for _ in range(3):
            await bob.request_in(MESSAGE)
        assert [(await edge.final()).status for _ in statuses] == statuses


@on_loop
async def test_partner_that_tries_names_is_refused_for_new_names_only(federation: Network) -> None:
    """Three different users, of whom one exists: the fourth name gets 480, and bob is reached before and after."""
    federation.limits = Limits(users_per_partner=3)
    federation.starts = (FE1, EDGE)
    async with federation:
        bob = await federation.phone("bob", FE1)
        edge = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        for name in ("n1", "n2"):
            await edge.send(edge.request(MESSAGE, f"sip:{name}@example.test"))
            assert (await edge.final()).status != 480
        for name in ("bob", "n3", "n4", "bob"):
            await edge.send(edge.request(MESSAGE, f"sip:{name}@example.test"))
            if name == "bob":
                await bob.reply(await bob.request_in(MESSAGE), 200)
            assert (await edge.final()).status == (200 if name == "bob" else 480)
        accounts = federation.nodes[EDGE].accounts
        assert (accounts.refused["partner"], accounts.addressed.count("sip.partner.test")) == (2, 3)


@on_loop
async def test_user_of_a_partner_leaves_its_colleagues_their_calls(federation: Network) -> None:
    """Erin tries names until she gets 480 for each new one. Another user of the partner reaches bob all the same."""
    federation.limits = Limits(users_per_partner=4, users_per_sender=2)
    federation.starts = (FE1, EDGE)
    async with federation:
        bob = await federation.phone("bob", FE1)
        edge = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        tried = [await edge.ask(edge.request(MESSAGE, f"sip:n{number}@example.test")) for number in range(4)]
        assert [answer.status for answer in tried] == [404, 404, 480, 480]
        assert (await edge.ask(edge.request(MESSAGE, BOB))).status == 480
        edge.user = "frank@partner.test"
        await edge.send(edge.request(MESSAGE, BOB))
        await bob.reply(await bob.request_in(MESSAGE), 200)
        assert (await edge.final()).status == 200


@on_loop
async def test_account_is_forgotten_with_the_last_link_and_the_last_branch(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        node = home.nodes[FE1]
        await alice.send(alice.request(MESSAGE, BOB))
        came = await bob.request_in(MESSAGE)
        await alice.__aexit__()
        await until(lambda: len(node.flow_table.sessions()) == 1)
        node.sweep.tick()
        assert account(node, "user", "sip:alice@example.test").branches == 1
        await bob.reply(came, 200)
        await bob.silent()
        node.sweep.tick()
        assert [*node.accounts.fullest()] == ["user"]
        assert len(node.accounts) == 1


# Requests that we answer ourselves


@on_loop
@pytest.mark.wide
async def test_challenged_calls_keep_only_a_key_for_their_ack(home: Network) -> None:
    """Before a login: 2,000 INVITEs with the largest body of a stranger, without an ACK; the next login is served."""
    async with home:
        stranger = await home.peer(FE1, "alice")
        body = b"x" * home.limits.body_stranger_bytes
        invites = []
        for _ in range(200):
            invites = [stranger.request("INVITE", BOB, body=body) for _ in range(10)]
            await stranger.send(*invites)
            answers = [await stranger.final() for _ in invites]
        assert {one.status for one in answers} == {407}
        [flow] = home.nodes[FE1].flow_table.sessions()
        assert (flow.served, len(flow.refused)) == ({}, 32)
        assert max(map(len, flow.refused)) < 100
        await stranger.send(*(ack_for(*pair) for pair in zip(invites, answers, strict=True)))
        await stranger.silent()
        assert len(flow.refused) == 22
        assert await served(home, "bob")


@on_loop
async def test_ack_and_cancel_of_a_call_that_we_refused_go_no_further(home: Network) -> None:
    """Also after a 404: nothing reaches the callee. The control, an accepted call, rings."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        invite = alice.request("INVITE", BOB)
        invite.replace("max-forwards", "0")
        refused = await alice.ask(invite)
        assert refused.status == 483
        assert (await alice.ask(cancel_for(invite))).status == 200
        await alice.send(ack_for(invite, refused))
        await alice.silent()
        await bob.silent()
        await alice.send(alice.request("INVITE", BOB))
        await bob.request_in("INVITE")


# Links


@pytest.mark.parametrize(("links", "closed"), [(4, 0), (5, 1)])
@on_loop
async def test_oldest_link_without_a_login_is_closed_at_the_address_limit(
    home: Network, links: int, closed: int
) -> None:
    """A registered user behind the same address stays, and a new user can log in."""
    home.limits = Limits(strangers_per_address=4, login_s=0)
    async with home:
        alice = await home.phone("alice", FE1)
        idle = [await home.peer(FE1) for _ in range(links)]
        node = home.nodes[FE1]
        await until(lambda: len(node.flow_table.sessions()) == 5)
        for peer in idle[:closed]:
            await peer.hung_up()
        for peer in idle[closed:]:
            await peer.silent()
        await home.phone("bob", FE1)
        await alice.silent()
        assert (node.accounts.strangers.displaced, len(node.accounts.strangers)) == (
            closed + 1,
            3,
        )  # bob's link before its login


def gives_way_after(accounts: Principals, seconds: float) -> bool:
    """Tell whether the only link without a login gives way to another one, so long after it came up."""
    [(address, link)] = accounts.strangers.oldest_of_each()
    accounts._clock = lambda: link.opened_at + seconds
    return accounts.has_room(address, 0, 0)


@pytest.mark.parametrize(
    ("octets", "gives_way"), [(b"", [False, True]), (b"\r\n\r\n", [False, False, True])], ids=["none", "some"]
)
@on_loop
async def test_link_has_twice_the_time_for_its_login_while_its_octets_wait_for_us(
    home: Network, octets: bytes, gives_way: list[bool]
) -> None:
    """And no longer: a flood never ends."""
    home.limits = Limits(strangers_per_address=1, login_s=10)
    async with home, await home.peer(FE1) as stranger:
        await stranger.silent()
        accounts = home.nodes[FE1].accounts
        if octets:
            await stranger.write(octets)  # which the other end of a loopback can read at once
        times = (9.0, 15.0, 20.5)[: len(gives_way)]
        assert [gives_way_after(accounts, seconds) for seconds in times] == gives_way


@on_loop
async def test_link_has_four_times_what_the_logins_of_others_take(home: Network) -> None:
    """Where all phones have little processor time, each takes long; an idle link does not make logins look slower."""
    home.limits = Limits(strangers_per_address=1, login_s=10)
    async with home, await home.peer(FE1) as stranger:
        await stranger.silent()
        accounts = home.nodes[FE1].accounts
        for _ in range(200):
            accounts.pace.took(6.0)
        assert [gives_way_after(accounts, seconds) for seconds in (15.0, 23.0, 25.0)] == [False, False, True]
        slow_s = accounts.pace.mean_s
    async with home:
        await home.phone("alice", FE1)
        assert 0.0 < home.nodes[FE1].accounts.pace.mean_s < slow_s


@on_loop
async def test_flood_of_links_from_many_addresses_leaves_room_for_another_address(home: Network) -> None:
    home.limits = Limits(strangers_in_all=6, login_s=0)
    async with home, await from_address(home, "127.0.0.9") as person:
        await person.silent()
        idle = [await from_address(home, f"127.0.0.{2 + number % 3}") for number in range(12)]
        await person.silent()
        assert (await person.register()).status == 200
        for peer in idle:
            await peer.__aexit__()


@pytest.mark.parametrize(("links", "closed"), [(3, 0), (4, 1)])
@on_loop
async def test_oldest_link_of_a_user_is_closed_at_the_user_limit(home: Network, links: int, closed: int) -> None:
    """It may be a dead link of a phone that has reconnected; links of other users are not closed."""
    home.limits = Limits(links_per_user=3)
    async with home:
        bob = await home.phone("bob", FE1)
        phones = [await home.phone("alice", FE1) for _ in range(links)]
        for phone in phones[:closed]:
            await phone.hung_up()
        for phone in phones[closed:]:
            await phone.silent()
        await bob.silent()


# Descriptors


@on_loop
async def test_strangers_leave_descriptors_for_servers_and_for_a_user(pool: Network) -> None:
    """Clients find 120 descriptors: slow silent connections are closed for newer connections, and a server connects."""
    pool.limits = Limits(slow_s=0)
    with descriptors(in_all=with_free(120)), ExitStack() as silent:
        async with pool:
            alice = await pool.phone("alice", FE1)
            listener = pool.nodes[FE1].listening.listeners[0]
            while not listener.silent.displaced:
                silent.enter_context(socket.create_connection(pool.address(FE1)))
                await asyncio.sleep(0)
            server = await pool.peer(FE1, "alice@example.test", credentials=FE2)
            assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
            await pool.phone("bob", FE1)
            await alice.silent()


@on_loop
async def test_users_who_have_logged_in_leave_descriptors_for_servers(pool: Network) -> None:
    """They use all but a quarter; the next one waits without being closed, a server connects, and then there is room again."""
    pool.limits = Limits(accept_pause_s=0.02)
    with descriptors(in_all=with_free(60)):  # below ten phones of each user: a user has ten Contacts
        async with pool:
            node = pool.nodes[FE1]
            listener, phones = node.listening.listeners[0], list[Peer]()
            while listener.accepting:
                phones.append(await pool.phone(("alice", "bob", "carol")[len(phones) % 3], FE1))
            assert 10 < len(phones) < 30
            late = asyncio.create_task(pool.phone("bob", FE1))
            server = await pool.peer(FE1, "alice@example.test", credentials=FE2)
            assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
            assert (late.done(), listener.refused, node.reactor.shortage.episodes) == (False, 0, 1)
            for phone in phones[:5]:
                await phone.__aexit__()
            await late
            await phones[-1].silent()


# Lines of the log


@on_loop
async def test_lines_that_one_peer_causes_are_summed_and_those_of_another_are_written(home: Network) -> None:
    async with home:
        stranger, other = await home.peer(FE1), await from_address(home, "127.0.0.2")
        nonsense = stranger.request("OPTIONS", "sip:example.test")
        nonsense.replace("cseq", "nonsense " + "x" * 5_000)
        for _ in range(50):
            await stranger.write(nonsense.encode() * 10)
            assert {(await stranger.final()).status for _ in range(10)} == {400}
        await other.write(nonsense.encode())
        for peer in (stranger, other):
            assert (await peer.ask(peer.request("OPTIONS", "sip:example.test"))).status == 200
        node = home.nodes[FE1]
        node.peer_log.close()
        lines = list(home.told[FE1].events("request refused"))
        assert [line.get("again", 1) for line in lines] == [1] * 10 + [1] + [490]
        assert max(len(str(line)) for line in lines) < 2_000
        await other.__aexit__()


# The audit log of management


@on_loop
async def test_compromised_front_end_cannot_fill_the_audit_log(
    managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dozen reports over its link to management, each with a refused request, for itself and for the edge.

    Management judges each request, as if the thief had waited for `REQUEST_REST_S` before each.
    """
    monkeypatch.setattr(report_receiver, "REQUEST_REST_S", 0.0)
    async with managed:
        await managed.start(MGMT, FE1, FE2)
        await until(lambda: links_between(managed.nodes[MGMT], FE1))
        shown = managed.nodes[FE1].view
        credentials = read_certificates(shown.certificate), files.read_key(shown.key)
        early = sign(request_for(FE1, files.new_key()), REQUEST, *credentials).decode()
        thief, kept = managed.member(FE1), managed.master._receiver._not_granted._last
        for number in range(1, 13):
            request = early if number % 2 else "nonsense"  # so that each reason differs from the reason before
            thief.reporter._relayed[EDGE] = (0.0, ServerStatus(number=1, request=request))
            thief._applicant.request = asking(request)  # type: ignore[method-assign]
            thief.reporter.report()
            await until(partial(told_of, kept, FE1, number))
        management_db = ManagementDb(managed.organisation.folder)
        refused = Counter(line.who for line in management_db.audit.read() if line.act == AuditAct.REFUSED)
        management_db.close()
        assert refused == {FE1: 1, EDGE: 1}


def told_of(refusals: Mapping[str, Any], server: str, times: int) -> bool:
    """Return whether a server has been refused that many times."""
    return server in refusals and refusals[server].more + 1 >= times


def asking(request: str) -> Callable[..., str]:
    """Return an applicant's request that is always the same text."""
    return lambda *_: request


def account(node: RunningServer, kind: str, name: str) -> Usage:
    """Return the account of a principal that exists."""
    return node.accounts._direct[kind, name]


def asserted(server: Peer, user: str, uri: str = BOB) -> Request:
    """Return a message that a server sends for *user*."""
    return server.request(
        MESSAGE, uri, [("p-asserted-identity", f"<sip:{user}>")], sender=f"<sip:{user}>;tag={server.tag}"
    )


async def with_contacts(network: Network, user: str, server: str, count: int) -> Peer:
    """A peer that has registered *count* contacts of *user*."""
    peer = await network.peer(server, user)
    peer.contact = ",".join(f"<sip:c{number}@device.test>" for number in range(count))
    assert (await peer.register()).status == 200
    return peer


async def served(network: Network, user: str) -> bool:
    """Return whether a new phone of *user* can register and get a message from itself."""
    phone = await network.phone(user, FE1)
    await phone.send(phone.request(MESSAGE, f"sip:{user}@example.test"))
    request: Request = await phone.request_in(MESSAGE)
    await phone.reply(request, 200)
    return (await phone.final()).status == 200


async def from_address(network: Network, address: str, user: str = "carol") -> Peer:
    """A peer that connects from *address* of this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, port = network.address(FE1)
    streams = await asyncio.open_connection(HOST, port, ssl=context, local_addr=(address, 0))
    return Peer(*streams, f"{user}@example.test")


def with_free(count: int) -> int:
    """Return the number of descriptors of which clients find *count* free, below the share that is kept from them."""
    used = {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}
    return next(n for n in itertools.count(count) if n - n // SHARE - sum(fd < n - n // SHARE for fd in used) >= count)


@contextmanager
def descriptors(*, in_all: int) -> Iterator[None]:
    """Set the number of descriptors of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_all, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
