"""Registrations: stored before the answer, removed with their link, and removed after they have expired."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.routing.identity.dialog_token import Tokens
from sipmesh.routing.registrar.registrar import RegistrarLimits
from sipmesh.server.proxy.registrations import EXPIRE_EVERY_S, Registrations
from sipmesh.storage.bindings import BindingStore
from support.network import FE1, Network
from support.running import on_loop, until

ALICE = "sip:alice@example.test"


@on_loop
async def test_row_has_the_flow_of_its_user(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        node = home.nodes[FE1]
        [row] = node.registrations.bindings(ALICE)
        [flow] = node.flow_table.sessions()
        assert (row.aor, row.server, row.incarnation, row.flow) == (ALICE, FE1, node.tokens.incarnation, flow.number)
        assert f"<{row.contact}>" == alice.contact
        assert flow.registered


@on_loop
async def test_unwritable_store_is_a_500_and_the_link_stays(home: Network) -> None:
    """It was not stored, so it is not acknowledged; the peer learns nothing of our files."""
    async with home:
        alice = await home.peer(FE1, "alice")
        with locked(home.organisations[0]):
            refused = await alice.register()
        assert refused.status == 500
        assert refused.first("retry-after") == "5"
        assert b"bindings" not in refused.encode()
        assert "bindings.db" in home.told[FE1].last("request failed")["why"]
        assert (await alice.register()).status == 200
        assert len(home.nodes[FE1].registrations.bindings(ALICE)) == 1


@on_loop
async def test_query_is_no_registration(home: Network) -> None:
    """A REGISTER without Contact is a query; it leaves nothing that has to be removed."""
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
        assert home.nodes[FE1].registrations.bindings("sip:bob@example.test") == []


@pytest.mark.parametrize("contact", ["*", "<sip:alice@192.0.2.1>"])
@on_loop
async def test_user_removes_its_own_registration(home: Network, contact: str) -> None:
    """All bindings, or one that does not exist, which removes nothing."""
    async with home:
        alice = await home.phone("alice", FE1)
        alice.contact = contact
        gone = alice.request("REGISTER", "sip:example.test", [("expires", "0")], to="<sip:alice@example.test>")
        assert (await alice.ask(gone)).status == 200
        assert len(home.nodes[FE1].registrations.bindings(ALICE)) == (0 if contact == "*" else 1)


@on_loop
async def test_closed_link_removes_the_bindings_of_both_its_users(home: Network) -> None:
    async with home:
        phone = await home.phone("alice", FE1)
        phone.user = "bob@example.test"
        assert (await phone.register()).status == 200
        registrations = home.nodes[FE1].registrations
        await phone.__aexit__()
        await until(lambda: not registrations.bindings(ALICE) and not registrations.bindings("sip:bob@example.test"))


@on_loop
async def test_expired_row_is_not_used_and_removed_later(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        node = home.nodes[FE1]
        rows_until(home.organisations[0], time.time() - 1)
        assert node.registrations.bindings(ALICE) == []
        assert (await alice.ask(alice.request("MESSAGE", ALICE))).status == 480
        assert rows(home.organisations[0]) == 1
        node.registrations.expire(time.time() + 2 * EXPIRE_EVERY_S)
        assert rows(home.organisations[0]) == 0


def test_store_is_swept_at_intervals(tmp_path: Path) -> None:
    store = Counting(tmp_path / "bindings.db")
    registrations = Registrations(FE1, Tokens(b"k" * 32, 1), store, RegistrarLimits())
    for at in (1000.0, 1001.0, 1000.0 + EXPIRE_EVERY_S - 0.1, 1000.0 + EXPIRE_EVERY_S):
        registrations.expire(at)
    assert store.swept == [1000.0, 1000.0 + EXPIRE_EVERY_S]
    store.close()


@on_loop
async def test_link_that_closes_while_the_store_is_locked_does_not_stop_the_server(home: Network) -> None:
    """Its row stays unused; the user is reachable after the next registration."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        node = home.nodes[FE1]
        [link] = [one.link for one in node.flow_table.sessions() if ALICE in one.users]
        with locked(home.organisations[0]):
            node.pool.close_where(lambda one: one is link, "the test has cut it")
            await alice.hung_up()
            await until(lambda: list(home.told[FE1].events("registrations of a closed flow stay until they expire")))
        refused = await bob.ask(bob.request("MESSAGE", ALICE))
        assert refused.status == 480
        back = await home.phone("alice", FE1)
        await bob.send(bob.request("MESSAGE", ALICE))
        await back.reply(await back.request_in("MESSAGE"), 200)
        assert (await bob.final()).status == 200


class Counting(BindingStore):
    """A store that records when it was swept."""

    __slots__ = ("swept",)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.swept: list[float] = []

    def expire(self, at: float) -> int:
        self.swept.append(at)
        return super().expire(at)


@contextmanager
def locked(organisation: Organisation) -> Iterator[None]:
    """Hold the write lock of the bindings, as another process may do."""
    with closing(sqlite3.connect(organisation.load().bindings_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def rows_until(organisation: Organisation, at: float) -> None:
    """Set the expiry of every row to *at*."""
    with closing(sqlite3.connect(organisation.load().bindings_file, isolation_level=None)) as other:
        other.execute("UPDATE bindings SET expires_at = ?", (at,))


def rows(organisation: Organisation) -> int:
    """Return how many rows the file has, expired or not."""
    with closing(sqlite3.connect(organisation.load().bindings_file)) as other:
        found: tuple[int] = other.execute("SELECT count(*) FROM bindings").fetchone()
    return found[0]
