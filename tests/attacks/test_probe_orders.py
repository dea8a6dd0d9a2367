"""Only management can have a server open links, and only links that the topology allows.

The attacker has real TLS and the real certificate of a front end, which is the way of an order to an edge. A socket that counts
what connects to it stands for the network that would be scanned.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sipmesh.demo.nameserver import NameServer
from sipmesh.demo.ports import HOST
from sipmesh.distribution.items import Item, ItemKind
from sipmesh.server.agent.probing.dns_probe import questions_of
from sipmesh.server.replication.probe_order import PROBE, ProbeOrder
from sipmesh.server.replication.revocation_push import REVOKED
from support.giver import Giver
from support.managed import MGMT, Credentials, Managed, servers_of
from support.network import EDGE, FE1, FE2, POOL
from support.publisher import Publisher
from support.running import on_loop, until


@dataclass
class Counted:
    """A port that counts connections."""

    port: int
    connections: int = 0


@asynccontextmanager
async def counting() -> AsyncIterator[Counted]:
    def connected(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        counted.connections += 1
        writer.close()

    server = await asyncio.start_server(connected, HOST, 0)
    counted = Counted(server.sockets[0].getsockname()[1])
    async with server:
        yield counted


def order(server: str, *targets: str, age: timedelta = timedelta(0), version: int = 1) -> ProbeOrder:
    at = datetime.now(UTC) - age
    return ProbeOrder("Example", server, int(at.timestamp() * 1000), version, targets)


def item(network: Managed, made: ProbeOrder, credentials: Credentials | None = None, kind: str = PROBE) -> Item:
    made = replace(made, organisation=network.nodes[EDGE].view.organisation) if made.organisation == "Example" else made
    return Item(ItemKind.PROBE, network.signed(made.encode(), credentials, kind), made.server)


def moved(document: dict[str, Any], name: str, port: int) -> None:
    """Give a front end another port for servers."""
    entry = next(server for server in servers_of(document, POOL) if server["name"] == name)
    entry.setdefault("ports", {})["server"] = port


@on_loop
async def test_only_a_recent_order_of_management_for_links_of_the_topology_opens_links(managed: Managed) -> None:
    async with managed, counting() as victim:
        await managed.start(EDGE)
        giver = await Giver.meet(managed._stack, managed, EDGE, FE1)
        managed.edit(lambda document: moved(document, FE2, victim.port))
        assert (await giver.topology(managed.version(2))).status == 200
        await managed.in_force(2, EDGE)
        good = order(EDGE, FE2, version=2)
        attempts = {
            "signed by a front end": item(managed, good, managed.credentials(FE1)),
            "signed with the certificate of management for links": item(managed, good, managed.credentials(MGMT)),
            "a document of another kind": item(managed, good, kind=REVOKED),
            "an address": item(managed, replace(good, targets=(HOST,))),
            "an address beside a server": item(managed, replace(good, targets=(FE2, f"{HOST}:{victim.port}"))),
            "a server that the edge does not open links to": item(managed, replace(good, targets=(MGMT,))),
            "an order for another server": Item(ItemKind.PROBE, item(managed, replace(good, server=FE1)).body, EDGE),
            "another organisation": item(managed, replace(good, organisation="Other")),
            "another version": item(managed, replace(good, version=1)),
            "an old order": item(managed, order(EDGE, FE2, age=timedelta(minutes=6), version=2)),
            "not signed": Item(ItemKind.PROBE, good.encode(), EDGE),
        }
        for what, attempt in attempts.items():
            assert (await giver.give(attempt)).status == 488, what
        assert victim.connections == 0
        assert managed.member(EDGE).probes.report is None
        assert (await giver.give(item(managed, good))).status == 200
        await until(lambda: victim.connections)
        seen = victim.connections
        assert (await giver.give(item(managed, good))).status == 200
        older = order(EDGE, FE2, age=timedelta(minutes=1), version=2)
        assert (await giver.give(item(managed, older))).status == 488
        assert victim.connections == seen


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    """A name server without records, which counts the questions."""
    server = await NameServer({}).start(HOST)
    try:
        yield server
    finally:
        server.close()


async def refuses_others(managed: Managed, giver: Giver, good: ProbeOrder, old: ProbeOrder) -> None:
    """See that *good* is refused from a front end, unsigned or for another version, and that it is refused once it is *old*."""
    attempts = {
        "signed by a front end": item(managed, good, managed.credentials(FE1)),
        "an old order": item(managed, old),
        "another version": item(managed, replace(good, version=1)),
        "not signed": Item(ItemKind.PROBE, good.encode(), EDGE),
    }
    for what, attempt in attempts.items():
        assert (await giver.give(attempt)).status == 488, what


@on_loop
async def test_only_an_order_of_management_asks_dns_and_only_for_names_of_the_topology(managed: Managed) -> None:
    """An order cannot name what is asked: a name that an attacker adds is not read."""
    async with managed, name_server() as server:
        managed.edit(lambda document: document.update(dns={"servers": [server.setting]}))
        await managed.start(EDGE)
        giver = await Giver.meet(managed._stack, managed, EDGE, FE1)
        assert (await giver.topology(managed.version(2))).status == 200
        await managed.in_force(2, EDGE)
        server.asked.clear()
        good = replace(order(EDGE, version=2), asks_dns=True)
        await refuses_others(
            managed, giver, good, replace(order(EDGE, age=timedelta(minutes=6), version=2), asks_dns=True)
        )
        assert not server.asked
        organisation = managed.nodes[EDGE].view.organisation
        named = json.loads(replace(good, organisation=organisation).encode()) | {
            "names": ["victim.test"],
            "questions": ["x"],
        }
        signed = Item(ItemKind.PROBE, managed.signed(json.dumps(named).encode(), kind=PROBE), EDGE)
        assert (await giver.give(signed)).status == 200
        await until(lambda: managed.member(EDGE).probes.report)
        assert {name for name, _ in server.asked} == {
            name for name, _ in questions_of(managed.nodes[EDGE].view.loaded.topology)
        }


@on_loop
async def test_only_an_order_of_management_fetches_crls_and_only_from_urls_of_the_topology(managed: Managed) -> None:
    """An order cannot name a URL: a URL that an attacker adds is not read."""
    async with managed, Publisher() as publisher, counting() as victim:
        url = publisher.url("/x.crl")
        managed.edit(lambda document: document["authority"]["crls"].append(url))
        await managed.start(EDGE)
        giver = await Giver.meet(managed._stack, managed, EDGE, FE1)
        assert (await giver.topology(managed.version(2))).status == 200
        await managed.in_force(2, EDGE)
        await until(lambda: publisher.asked)  # the edge fetches a new URL by itself
        publisher.asked.clear()
        good = replace(order(EDGE, version=2), fetches_crls=True)
        await refuses_others(
            managed, giver, good, replace(order(EDGE, age=timedelta(minutes=6), version=2), fetches_crls=True)
        )
        assert not publisher.asked
        named = json.loads(replace(good, organisation=managed.nodes[EDGE].view.organisation).encode())
        named |= {"urls": [f"http://{HOST}:{victim.port}/x.crl"], "crls": [f"http://{HOST}:{victim.port}/y.crl"]}
        signed = Item(ItemKind.PROBE, managed.signed(json.dumps(named).encode(), kind=PROBE), EDGE)
        assert (await giver.give(signed)).status == 200
        await until(lambda: managed.member(EDGE).probes.report)
        assert (publisher.asked, victim.connections) == (["GET /x.crl"], 0)
