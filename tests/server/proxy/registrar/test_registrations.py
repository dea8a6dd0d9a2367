"""Registrations: stored before they are answered, refreshed without the store, gone with their link, ended by the loop's time."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.routing.registrar.registrar import RegistrarLimits
from sipmesh.server.proxy.registrar.binding_lookups import LOOKUP_S
from sipmesh.server.proxy.registrar.known_bindings import address_of
from sipmesh.server.proxy.registrar.registrations import WRITE_S
from sipmesh.sip.message import Response
from sipmesh.sip.transaction.ack import cancel_for
from sipmesh.topology.view import view
from support.bindings import bound, until_bound
from support.memory_locations import Gate, MemoryLocations, MemoryStore
from support.network import FE1, FE2, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop, until

ALICE = "sip:alice@example.test"
BOB = "sip:bob@example.test"


@on_loop
async def test_row_says_where_its_user_is(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        node = home.nodes[FE1]
        [row] = await bound(node, ALICE)
        [flow] = node.flow_table.sessions()
        assert (row.aor, row.server, row.incarnation, row.flow) == (ALICE, FE1, node.tokens.incarnation, flow.number)
        assert f"<{row.contact}>" == alice.contact
        assert flow.registered


@on_loop
async def test_registration_that_was_answered_is_known_to_the_other_server_at_once(pool: Network) -> None:
    """No message waits for the news to spread: what the other server has in memory is not used."""
    async with pool:
        alice = await pool.phone("alice", FE1)
        assert await bound(pool.nodes[FE1], BOB) == []
        for server in (FE2, FE1, FE2):
            bob = await pool.phone("bob", server)
            await alice.send(alice.request("MESSAGE", BOB))
            await bob.reply(await bob.request_in("MESSAGE"), 200)
            assert (await alice.final()).status == 200
            await bob.__aexit__()
            await until_bound(pool.nodes[FE1], BOB, 0)


@on_loop
async def test_change_of_one_user_costs_the_other_server_no_row_of_another_user(pool: Network) -> None:
    async with pool:
        await pool.phone("alice", FE1)
        await pool.phone("carol", FE1)
        mate = pool.nodes[FE2]
        assert len(await bound(mate, ALICE)) == 1
        await pool.phone("bob", FE1)
        assert mate.registrations.bindings(ALICE, mate.loop.time()) is not None
        await pool.phone("alice", FE1)
        assert mate.registrations.bindings(ALICE, mate.loop.time()) is None
        assert len(await bound(mate, ALICE)) == 2


@on_loop
async def test_refresh_writes_nothing_and_a_new_contact_does(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        assert await bound(node, ALICE)
        written = node.registrations.health.writes
        assert (await alice.register()).status == 200
        assert node.registrations.health.writes == written
        alice.contact = "<sip:alice@192.0.2.7;transport=tls>"
        assert (await alice.register()).status == 200
        assert node.registrations.health.writes == written + 1
        assert len(await bound(node, ALICE)) == 2


@on_loop
async def test_locked_store_delays_only_changes(home: Network) -> None:
    """Another process holds the write lock; messages, refreshes and the answers to OPTIONS come meanwhile."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        carol = await home.peer(FE1, "carol")
        with locked(home.organisations[0]):
            await carol.send(await carol.with_credentials())
            for _ in range(3):
                assert (await alice.register()).status == 200
                await alice.send(alice.request("MESSAGE", BOB))
                await bob.reply(await bob.request_in("MESSAGE"), 200)
                assert (await alice.final()).status == 200
                assert (await alice.ask(alice.request("OPTIONS", "sip:example.test"))).status == 200
            assert await bound(home.nodes[FE1], "sip:carol@example.test") == []
            await carol.silent()
        assert (await carol.final()).status == 200
        assert len(await bound(home.nodes[FE1], "sip:carol@example.test")) == 1


@on_loop
@pytest.mark.wide
async def test_store_that_stays_locked_is_a_503_and_one_line_in_the_log(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not stored, so it is not acknowledged; what the peer learns is nothing of our files."""
    monkeypatch.setattr("sipmesh.storage.location_service.binding_writer.TOLD_AFTER_S", 0.0)
    async with home:
        node, told = home.nodes[FE1], home.told[FE1]
        alice, carol = await home.peer(FE1, "alice"), await home.peer(FE1, "carol")
        with locked(home.organisations[0]):
            await alice.send(await alice.with_credentials())
            await until(lambda: list(told.events("registrations cannot be stored")))
            late = node.loop.time() + WRITE_S
            while (pending := node.registrations._waiting.pop_expired(late)) is not None:
                node.registrations._give_up(pending)
            refused = [await alice.final(), await carol.register()]
            for one in refused:
                assert (one.status, one.first("retry-after")) == (503, "5")
                assert b"bindings" not in one.encode()
        await until(lambda: list(told.events("registrations can be stored again")))
        [line] = told.events("registrations cannot be stored")
        assert "bindings.db" in line["why"]
        assert "free space" in line["why"]
        assert await bound(node, ALICE) == []
        assert (await alice.register()).status == 200


@on_loop
async def test_query_is_no_registration(home: Network) -> None:
    """A REGISTER without Contact asks; it leaves nothing that would have to be taken away."""
    async with home:
        alice = await home.phone("alice", FE1)
        asked = alice.request("REGISTER", "sip:example.test", to="<sip:alice@example.test>")
        asked.remove("contact")
        answered = await alice.ask(asked)
        assert answered.status == 200
        assert len(answered.contacts) == 1
        other = await home.peer(FE1, "bob")
        nothing = other.request("REGISTER", "sip:example.test", to="<sip:bob@example.test>")
        nothing.remove("contact")
        assert (await other.ask(nothing)).status == 401
        assert await bound(home.nodes[FE1], BOB) == []


@on_loop
async def test_200_lists_devices_at_other_servers_with_the_time_that_was_granted(pool: Network) -> None:
    """How much of it is left, their server alone knows."""
    async with pool:
        await pool.phone("alice", FE2, ("expires", "120"))
        here = await pool.peer(FE1, "alice")
        here.contact = "<sip:alice@192.0.2.7;transport=tls>"
        answered = await here.register([("expires", "90")])
        assert {contact.param("expires") for contact in answered.contacts} == {"120", "90"}


@pytest.mark.parametrize("contact", ["*", "<sip:alice@192.0.2.1>"])
@on_loop
async def test_user_takes_its_own_registration_away(home: Network, contact: str) -> None:
    """All of it, or a server that is not in the topology, which takes nothing."""
    async with home:
        alice = await home.phone("alice", FE1)
        alice.contact = contact
        gone = alice.request("REGISTER", "sip:example.test", [("expires", "0")], to="<sip:alice@example.test>")
        assert (await alice.ask(gone)).status == 200
        assert len(await bound(home.nodes[FE1], ALICE)) == (0 if contact == "*" else 1)


@on_loop
async def test_registration_that_is_taken_away_at_one_server_is_gone_at_the_server_that_has_its_link(
    pool: Network,
) -> None:
    async with pool:
        await pool.phone("alice", FE2)
        assert pool.nodes[FE2].registrations.count() == 1
        here = await pool.phone("alice", FE1)
        here.contact = "*"
        gone = here.request("REGISTER", "sip:example.test", [("expires", "0")], to="<sip:alice@example.test>")
        assert (await here.ask(gone)).status == 200
        assert await bound(pool.nodes[FE2], ALICE) == []
        assert pool.nodes[FE2].registrations.count() == 0


@on_loop
async def test_link_that_registered_two_users_takes_both_along(home: Network) -> None:
    async with home:
        phone = await home.phone("alice", FE1)
        phone.user = "bob@example.test"
        assert (await phone.register()).status == 200
        await phone.__aexit__()
        for aor in (ALICE, BOB):
            await until_bound(home.nodes[FE1], aor, 0)
        await until(lambda: rows(home.organisations[0]) == 0)


@on_loop
async def test_link_that_closes_while_its_registration_is_being_stored_leaves_no_row(home: Network) -> None:
    async with home:
        alice, node = await home.peer(FE1, "alice"), home.nodes[FE1]
        with locked(home.organisations[0]):
            await alice.send(await alice.with_credentials())
            await until(lambda: node.registrations.health.waiting)
            await alice.__aexit__()
            await until(lambda: not node.flow_table.sessions())
        await until(lambda: node.registrations.health.waiting == 0)
        assert await bound(node, ALICE) == []
        assert rows(home.organisations[0]) == node.registrations.count() == 0


@on_loop
async def test_two_devices_that_register_while_the_store_is_busy_count_against_one_limit(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is decided when the first is stored: neither is lost, and neither slips past the limit."""
    async with home:
        node = home.nodes[FE1]
        node.registrations._limits = RegistrarLimits(max_contacts=1)
        devices = [await home.peer(FE1, "alice") for _ in range(2)]
        with locked(home.organisations[0]):
            for device in devices:
                await device.send(await device.with_credentials())
                await until(lambda: node.registrations._waiting)
        assert sorted([(await device.final()).status for device in devices]) == [200, 403]
        assert len(await bound(node, ALICE)) == 1


@on_loop
async def test_link_that_closes_while_the_store_is_locked_unregisters_at_once_here(home: Network) -> None:
    """Its row is dropped from the store when that can be written."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        with locked(home.organisations[0]):
            await alice.__aexit__()
            await until(lambda: len(home.nodes[FE1].flow_table.sessions()) == 1)
            assert (await bob.ask(bob.request("INVITE", ALICE))).status == 480
            assert rows(home.organisations[0]) == 2
        await until(lambda: rows(home.organisations[0]) == 1)
        back = await home.phone("alice", FE1)
        await bob.send(bob.request("MESSAGE", ALICE))
        await back.reply(await back.request_in("MESSAGE"), 200)
        assert (await bob.final()).status == 200


@pytest.mark.parametrize("step_s", [3_600.0, -3_600.0, 86_400.0 * 365])
@on_loop
async def test_clock_that_is_set_ends_no_registration(
    pool: Network, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    """Neither that of the server which has the link, nor that of another one; and phones refresh and log in as before."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + step_s)
        for node in pool.nodes.values():
            node.sweep.tick()
        assert (await alice.register()).status == (await bob.register()).status == 200
        await alice.send(alice.request("MESSAGE", BOB))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
        await pool.phone("carol", FE1)
        assert rows(pool.organisations[0]) == 3


@on_jumping_loop
async def test_registration_lives_until_its_end_and_is_dropped_from_the_store_then(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1, ("expires", "120")), home.nodes[FE1]
        await asyncio.sleep(119)
        node.sweep.tick()
        assert len(await bound(node, ALICE)) == 1
        await asyncio.sleep(1.1)
        assert await bound(node, ALICE) == [], "before any sweep"
        assert (await alice.ask(alice.request("INVITE", ALICE))).status == 480
        assert rows(home.organisations[0]) == 1
        await asyncio.sleep(1)
        node.sweep.tick()
        await until(lambda: rows(home.organisations[0]) == 0)
        assert node.registrations.count() == 0


@on_jumping_loop
async def test_refresh_moves_the_end(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1, ("expires", "120")), home.nodes[FE1]
        for _ in range(5):
            await asyncio.sleep(100)
            node.sweep.tick()
            assert (await alice.register([("expires", "120")])).status == 200
        assert len(await bound(node, ALICE)) == 1


@on_loop
async def test_rows_that_the_store_has_lost_are_stored_again(pool: Network) -> None:
    """As after a server was stopped for so long that another one has dropped its rows."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        with closing(sqlite3.connect(view(pool.organisations[0].load(), FE1).bindings_file)) as other, other:
            other.execute("DELETE FROM bindings WHERE server = ?", (FE2,))
            other.execute("DELETE FROM incarnations WHERE server = ?", (FE2,))
        carol = await pool.phone("carol", FE2)  # any write finds it out
        node = pool.nodes[FE2]
        await until(lambda: node.registrations._store_follower.waiting)
        node.sweep.tick()
        await until(lambda: node.registrations.health.waiting == 0)
        for phone, aor in ((bob, BOB), (carol, "sip:carol@example.test")):
            await alice.send(alice.request("MESSAGE", aor))
            await phone.reply(await phone.request_in("MESSAGE"), 200)
            assert (await alice.final()).status == 200


@pytest.fixture(name="gate")
def _gate(pool: Network) -> Gate:
    """What stands between the first front end and the store of the pool, which is in memory."""
    gate, store = Gate(), MemoryStore()
    pool.stores = {FE1: MemoryLocations(store, gate), FE2: MemoryLocations(store)}
    return gate


@on_loop
async def test_call_that_is_cancelled_while_its_user_is_looked_up_ends_with_487(pool: Network, gate: Gate) -> None:
    """And a message whose sender hangs up meanwhile leaves nothing behind."""
    async with pool:
        node = pool.nodes[FE1]
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE1)
        await pool.phone("bob", FE2)
        gate.is_shut = True
        invite = alice.request("INVITE", BOB)
        await alice.send(invite)
        await carol.send(carol.request("MESSAGE", BOB))
        await until(lambda: sum(len(flow.served) for flow in node.flow_table.sessions()) == 2)
        assert len(gate.kept) == 1, "both wait for one lookup"
        await alice.send(cancel_for(invite))
        answers = {(one.cseq.method, one.status) for one in [await response(alice) for _ in range(2)]}
        assert answers == {("CANCEL", 200), ("INVITE", 487)}
        await carol.__aexit__()
        await until(lambda: not any(flow.served for flow in node.flow_table.sessions()))
        gate.open()
        assert node.relay.load == 0
        await alice.silent()


@on_loop
async def test_request_whose_user_cannot_be_looked_up_is_answered_503(pool: Network, gate: Gate) -> None:
    async with pool:
        node = pool.nodes[FE1]
        alice = await pool.phone("alice", FE1)
        await pool.phone("bob", FE2)
        gate.is_shut = True
        await alice.send(alice.request("MESSAGE", BOB))
        await until(lambda: gate.kept)
        node.registrations._lookups.sweep(node.loop.time() + LOOKUP_S)
        refused = await alice.final()
        assert (refused.status, refused.first("retry-after")) == (503, "5")
        gate.open()
        assert await bound(node, BOB)


@on_loop
async def test_fault_in_a_register_that_had_to_wait_is_answered_as_in_any_other(pool: Network, gate: Gate) -> None:
    async with pool:
        alice = await pool.phone("alice", FE1)
        await pool.phone("alice", FE2)
        gate.is_shut = True
        alice.contact = "<mailto:alice@example.test>"
        await alice.send(alice.request("REGISTER", "sip:example.test", to="<sip:alice@example.test>"))
        await until(lambda: gate.kept)
        gate.open()
        assert (await alice.final()).status == 400


@pytest.mark.parametrize(("most", "status"), [(1, 401), (0, 503)])
@on_loop
async def test_only_so_many_registrations_wait_for_the_store(home: Network, most: int, status: int) -> None:
    """At the limit the REGISTER waits, and is answered when it is stored; one above it is refused at once."""
    async with home:
        home.nodes[FE1].registrations.most_waiting = most
        alice = await home.peer(FE1, "alice")
        with locked(home.organisations[0]):
            await alice.send(await alice.with_credentials())
            if status == 503:
                assert (await alice.final()).status == 503
            else:
                await until(lambda: home.nodes[FE1].registrations.health.waiting)
        if status != 503:
            assert (await alice.final()).status == 200


@on_loop
async def test_only_so_many_registrations_of_one_user_wait_and_those_of_others_are_stored(home: Network) -> None:
    """They are stored one after the other: one link could fill the room of all users, and keep them from logging in."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.peer(FE1, "bob")
        registrations = home.nodes[FE1].registrations
        registrations.most_waiting, registrations.most_waiting_of_user = 4, 2
        with locked(home.organisations[0]):
            contact = alice.contact
            for number in range(4):
                alice.contact = f"{contact};q=0.{number}"
                await alice.send(alice.request("REGISTER", "sip:example.test", to="<sip:alice@example.test>"))
            assert [(await alice.final()).status for _ in range(2)] == [503, 503]
            await bob.send(await bob.with_credentials())
            await until(lambda: len(registrations._waiting) == 3)
        assert (await bob.final()).status == 200
        assert [(await alice.final()).status for _ in range(2)] == [200, 200]
        assert not registrations._waiting_of
        assert (await alice.register()).status == 200


async def response(peer: Peer) -> Response:
    """The next message to a peer, which is a response."""
    message = await peer.receive()
    assert isinstance(message, Response)
    return message


@contextmanager
def locked(organisation: Organisation) -> Iterator[None]:
    """Hold the write lock of the bindings, as another process may."""
    with closing(sqlite3.connect(view(organisation.load(), FE1).bindings_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def rows(organisation: Organisation) -> int:
    """How many rows the file holds."""
    with closing(sqlite3.connect(view(organisation.load(), FE1).bindings_file)) as other:
        found: tuple[int] = other.execute("SELECT count(*) FROM bindings").fetchone()
    return found[0]


@on_loop
async def test_server_that_is_about_to_stop_grants_the_shortest_time(home: Network) -> None:
    """Also to a phone that repeats its REGISTER, and to a phone that asks for more; nothing of it is stored."""
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        await alice.register()
        assert not node.registrations.is_shortened
        node.registrations.shorten()
        written = node.registrations.health.writes
        for _ in range(2):
            [contact] = (await alice.register([("expires", "3600")])).contacts
            assert contact.param("expires") == "60"
        [contact] = (await alice.register()).contacts
        assert contact.param("expires") == "60"
        assert (node.registrations.is_shortened, node.registrations.health.writes) == (True, written)
        assert (await (await home.peer(FE1, "bob")).register()).contacts[0].param("expires") == "60"


@on_loop
async def test_operator_reads_who_is_registered_here_and_how_the_store_does(home: Network) -> None:
    async with home:
        await home.phone("alice", FE1)
        registrations = home.nodes[FE1].registrations
        [row] = registrations.here(10, ("", ""))
        assert (row.aor, registrations.count()) == (ALICE, 1)
        assert registrations.here(10, (row.aor, row.key.name)) == []
        assert (registrations.is_here(ALICE), registrations.is_here(BOB)) == (True, False)
        assert registrations.owner_at(address_of(row)) == ALICE
        assert registrations.fault == ""
        assert len(registrations.store) == 32


@on_loop
async def test_server_that_drains_grants_the_shortest_time(home: Network) -> None:
    """Each phone finds out at its next refresh, and registers elsewhere."""
    async with home:
        alice, registrations = await home.phone("alice", FE1), home.nodes[FE1].registrations
        assert not registrations.is_shortened
        registrations.shorten()
        assert registrations.is_shortened
        granted = (await alice.register([("expires", "3600")])).values("contact")
        assert f"expires={RegistrarLimits().min_expires_s}" in granted[0]


@on_loop
async def test_rows_of_a_user_who_has_moved_end_and_the_link_stays(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        [flow] = node.flow_table.sessions()
        node.registrations.withdraw(flow, [BOB, ALICE])
        assert await bound(node, ALICE) == []
        await until(lambda: node.registrations.health.waiting == 0)
        assert (await alice.register()).status == 200
        assert len(await bound(node, ALICE)) == 1


@on_loop
async def test_row_whose_flow_is_gone_is_forgotten(home: Network) -> None:
    async with home:
        await home.phone("alice", FE1)
        node = home.nodes[FE1]
        [row] = await bound(node, ALICE)
        node.registrations.forget(row)
        assert await bound(node, ALICE) == []
        await until(lambda: node.registrations.health.waiting == 0)


@on_loop
async def test_registration_that_has_expired_is_dropped_from_the_store(home: Network) -> None:
    async with home:
        await home.phone("alice", FE1)
        node = home.nodes[FE1]
        [row] = await bound(node, ALICE)
        node.registrations._clock = lambda: row.expires_at + 1
        node.registrations.sweep()
        await until(lambda: node.registrations.health.waiting == 0)
        assert node.registrations.count() == 0


@on_loop
async def test_each_answer_has_new_temporary_gruus(home: Network) -> None:
    """RFC 5627 section 5.1. A repeated REGISTER gets one too, without being decided again."""
    async with home:
        alice, given = await home.phone("alice", FE1), list[str]()
        for number in range(4):
            headers = [("supported", "gruu"), ("contact", f'{alice.contact};+sip.instance="<urn:uuid:1>"')]
            to = f"<{ALICE}>"
            asked = alice.request("REGISTER", "sip:example.test", headers, to=to, call_id="gruu", cseq=500 + number)
            answer = await alice.ask(asked)
            assert answer.status == 200
            given += [value for value in answer.values("contact") if "temp-gruu" in value]
        assert len(given) == len(set(given)) == 4


@on_loop
async def test_refresh_is_answered_while_the_store_fails_and_a_new_contact_is_refused_at_once(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        node.registrations._store_follower.store_failing(OperatorError("the disk is full"))
        assert (await alice.register()).status == 200
        alice.contact = f"{alice.contact};q=0.5"
        assert (await alice.register()).status == 503
        node.registrations._store_follower.store_working()
        assert (await alice.register()).status == 200


@on_loop
async def test_repeated_register_renews_its_row_only_in_order_and_under_its_call_id(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        to = f"<{ALICE}>"
        for cseq in (501, 502, 503):
            asked = alice.request("REGISTER", "sip:example.test", to=to, call_id="refreshes", cseq=cseq)
            assert (await alice.ask(asked)).status == 200
        [flow] = node.flow_table.sessions()
        refresh, registrations = flow.refresh, node.registrations
        assert refresh is not None
        assert not registrations.renews(refresh, "another", 504)
        assert not registrations.renews(refresh, "refreshes", 503)
        assert registrations.renews(refresh, "refreshes", 504)
        assert (refresh.row.cseq, registrations.fresh(refresh).lower().count(b"date: ")) == (504, 1)
        await home.phone("alice", FE1)
        assert not registrations.renews(refresh, "refreshes", 505)
