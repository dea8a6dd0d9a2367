"""No act of the control plane occupies the event loop of a server for long: messages go on meanwhile."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import thread_time
from typing import Any, Final, Self

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import CrlProfile, builder
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.issuance.signer import CaSigner
from sipmesh.pki.ledger.records import ListRecord
from sipmesh.pki.ledger.ticket import CrlTicket
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.server.management.network_reply import encoded_status
from sipmesh.server.management.publishing.publish import OF_HOST
from sipmesh.server.replication.server_status import ServerStatus
from sipmesh.server.replication.stored_users import USERS
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.user_document import UserDocument
from sipmesh.transport.reactor.turn_meter import TurnMeter
from sipmesh.trust.revocation.crl import RevocationList
from support.managed import MGMT, Managed
from support.network import EXAMPLE, FE1, POOL
from support.running import on_loop, until, within

PROMISE_S: Final = 0.02
ASSERTED_S: Final = 4 * PROMISE_S
"""So much CPU time may the thread of the loop use in one turn: on a busy machine, the same work takes twice the CPU time.

There a turn also waits for a processor, and for the thread that works beside the loop: so its duration is printed, not asserted.
"""

A_POOL: Final = 10


def with_servers(count: int) -> Callable[[dict[str, Any]], None]:
    """Add *count* front ends in pools of ten."""

    def change(document: dict[str, Any]) -> None:
        for begin in range(0, count, A_POOL):
            numbers = range(begin, min(begin + A_POOL, count))
            servers = [{"name": f"fe-{n}.{EXAMPLE}", "machine": f"host-{begin}"} for n in numbers]
            document["pools"].append({"name": f"pool-{begin}.{EXAMPLE}", "role": "front-end", "servers": servers})

    return change


def users(count: int) -> list[bytes]:
    """Return the parts of a document with *count* users of the pool of fe1."""
    ha1 = {Algorithm.SHA_256: "a" * 64, Algorithm.MD5: "b" * 32}
    aors = [f"sip:user{n}@{EXAMPLE}" for n in range(count)]
    document = UserDocument("example.test", POOL, 9, verifiers={aor: Verifier(aor, 1, ha1) for aor in aors})
    return [part.encode() for part in document.divided()]


class Threads:
    """In which threads a function of *owner* has run."""

    def __init__(self, owner: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: set[bool] = set()
        function = getattr(owner, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            self.seen.add(threading.current_thread() is threading.main_thread())
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, noted)

    @property
    def on_loop(self) -> bool:
        """Whether the thread of the loop has run it."""
        assert self.seen
        return True in self.seen


class Turns:
    """The turns of the running loop, with the CPU time that its thread uses in each. *meter* is that of the server."""

    def __init__(self, meter: TurnMeter) -> None:
        self._meter, self._loop = meter, asyncio.get_running_loop()
        self._run_once: Callable[[], None] = self._loop._run_once  # type: ignore[attr-defined]
        self._longest_s = 0.0

    async def __aenter__(self) -> Self:
        """Begin with the next turn: what the test itself has computed in this one does not count."""
        await asyncio.sleep(0.001)
        self._loop._run_once = self._measured  # type: ignore[attr-defined]
        await asyncio.sleep(0.001)
        self._meter.take_longest()
        self._longest_s = 0.0
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0.001)
        del self._loop._run_once  # type: ignore[attr-defined]

    def _measured(self) -> None:
        began = thread_time()
        self._run_once()
        self._longest_s = max(self._longest_s, thread_time() - began)

    def check(self, what: str) -> None:
        """Print the longest turn, and see that none has used too much CPU time."""
        longest_s = self._meter.take_longest()
        print(f"{what}: longest turn {longest_s * 1000:.1f} ms, {self._longest_s * 1000:.1f} ms of CPU time")  # noqa: T201
        assert 0 < self._longest_s < ASSERTED_S


@pytest.mark.parametrize("servers", [400, pytest.param(2000, marks=pytest.mark.soak)])
@on_loop
@pytest.mark.wide
async def test_large_version_is_read_and_stored_beside_the_loop(
    managed: Managed, servers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with managed:
        await managed.start(FE1)
        managed.edit(with_servers(servers))
        agent, meter, item = managed.member(FE1), managed.nodes[FE1].reactor.meter, version(managed)
        read, stored = Threads(agent._documents, "newer", monkeypatch), Threads(agent._documents, "keep", monkeypatch)
        async with Turns(meter) as turns:
            agent.applier.receive(MGMT, item)
            await agent.applier.finished()
        assert managed.number(FE1) == 5
        assert not read.on_loop
        assert not stored.on_loop
        turns.check(f"{servers} servers")


def version(managed: Managed) -> Item:
    return Item(ItemKind.TOPOLOGY, managed.version(5))


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.soak)])
@on_loop
@pytest.mark.wide
async def test_many_users_are_read_and_stored_beside_the_loop(
    managed: Managed, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with managed:
        await managed.start(FE1)
        signed = [managed.signed(part, kind=USERS) for part in users(count)]
        agent, meter = managed.member(FE1), managed.nodes[FE1].reactor.meter
        read = Threads(agent._documents, "newer_users", monkeypatch)
        stored = Threads(agent._documents.users, "keep", monkeypatch)
        items = [Item(ItemKind.USERS, jws, str(n), 9) for n, jws in enumerate(signed)]
        async with Turns(meter) as turns:
            for item in items:
                agent.applier.receive(MGMT, item)
            await agent.applier.finished()
        assert managed.nodes[FE1].user_updates.number == managed.holding(FE1).users.read().number == 9
        assert not read.on_loop
        assert not stored.on_loop
        turns.check(f"{count} users")


def crl(managed: Managed, count: int) -> bytes:
    """Return the next CRL of the issuing CA, in DER, with *count* entries."""
    ca = EnterpriseCa.open(managed.organisation.folder / "ca")
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
    made = ListRecord("issuing", 1000, at, at + timedelta(days=7), 0)
    record = ca.certificates[-1]
    revoked = [replace(record, serial=(1 << 100) + n, revoked_at=at, reason="unspecified") for n in range(count)]
    key = CaSigner(CertificateKind.ISSUING, ca.folder / "issuing.key", ca.issuing)
    return key.sign_list(builder(CrlProfile(ca.issuing, made, revoked)), CrlTicket(made)).public_bytes(Encoding.DER)


@pytest.mark.parametrize("count", [9_000, pytest.param(100_000, marks=pytest.mark.soak)])
@on_loop
async def test_large_crl_is_read_and_written_beside_the_loop(
    managed: Managed, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with managed:
        await managed.start(FE1)
        item = Item(ItemKind.LIST, crl(managed, count), "ca/issuing.crl")
        agent, node = managed.member(FE1), managed.nodes[FE1]
        read = Threads(RevocationList, "load", monkeypatch)
        written = Threads(agent.held.crls, "put", monkeypatch)
        async with Turns(node.reactor.meter) as turns:
            agent.applier.receive(MGMT, item)
            await until(lambda: any(len(crl.serials) == count for crl in node.view.loaded.authority.lists))
        assert not read.on_loop
        assert not written.on_loop
        turns.check(f"{count} entries of a CRL")


@pytest.mark.parametrize("servers", [400, pytest.param(2000, marks=pytest.mark.soak)])
@on_loop
@pytest.mark.wide
async def test_large_draft_is_published_and_its_servers_are_shown_beside_the_loop(
    managed: Managed, servers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with managed:
        await managed.start(MGMT)
        managed.edit(with_servers(servers))
        publisher, meter = managed.master.publisher, managed.nodes[MGMT].reactor.meter
        compared = Threads(publisher, "_plan", monkeypatch)
        published = Threads(publisher, "_publish", monkeypatch)
        prepared = Threads(managed.master._loader, "prepare", monkeypatch)
        async with Turns(meter) as turns:
            plan = await publisher.plan()
            await publisher.publish("ada (1)", "because", plan.base, plan.digest, force=False, role=OF_HOST)
        assert managed.number(MGMT) == 2
        assert not any(act.on_loop for act in (compared, published, prepared))
        turns.check(f"{servers} servers published")

        for member in managed.master.network.members():
            managed.master.reports.record(member.name, ServerStatus(number=2), datetime.now(UTC), 2)
        encoded = Threads(json, "dumps", monkeypatch)
        async with Turns(meter) as turns:
            status = await encoded_status(managed.master.network, 2)
        assert not encoded.on_loop
        assert status.count(b'"role"') > servers
        turns.check(f"status of {servers} servers")


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.soak)])
@within(120)
@pytest.mark.wide
async def test_documents_of_many_users_are_made_beside_the_loop(
    managed: Managed, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_users(managed, count)
    async with managed:
        await managed.start(MGMT, FE1)
        meter = managed.nodes[MGMT].reactor.meter
        made = Threads(managed.master._offers, "_changed_in", monkeypatch)
        async with Turns(meter) as turns:
            await until(lambda: managed.nodes[FE1].users.verifier(f"sip:user{count - 1}@{EXAMPLE}"))
        assert not made.on_loop
        turns.check(f"{count} users sent")


def add_users(managed: Managed, count: int) -> None:
    """Add users of the pool of fe1 to the database of management, all with the hashes of one password."""
    file = managed.organisation.load().users_file
    assert file is not None
    with closing(sqlite3.connect(file)) as db, db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(users)")]
        first = dict(zip(columns, db.execute("SELECT * FROM users").fetchone(), strict=True))
        rows = [{**first, "aor": f"sip:user{n}@{EXAMPLE}"} for n in range(count)]
        names = ", ".join(f":{column}" for column in columns)
        db.executemany(f"INSERT INTO users VALUES ({names})", rows)  # noqa: S608 - names of columns
