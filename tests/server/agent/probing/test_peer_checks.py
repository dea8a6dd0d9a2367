"""A server checks its applications and partners by a new link: a fault begins with the first failure, and ends with an answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST
from sipmesh.server.agent.probing import peer_checks
from sipmesh.server.agent.probing.peer_checks import PeerChecks, peers_of
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.topology.view import view
from sipmesh.trust.evidence import LinkKind
from support.managed import MGMT, Managed
from support.network import BOT, EDGE, FE1, PARTNER, copied_with_ports, federate
from support.running import on_loop, until


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No check waits for its turn."""
    monkeypatch.setattr(peer_checks, "FIRST_S", 0.0)
    monkeypatch.setattr(peer_checks, "AGAIN_S", 0.0)


@asynccontextmanager
async def application(organisation: Organisation, answer: bytes) -> AsyncIterator[None]:
    """A program with the certificate of the application, which sends *answer* to each message."""
    organisation.issue(BOT)
    certificate, key = organisation.credentials(BOT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    open_links: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_links.append(writer)
        request = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        names = ("via", "from", "to", "call-id", "cseq")
        echoed = [line for line in request[1:] if line.partition(":")[0].lower() in names]
        writer.write(answer + "".join(f"{line}\r\n" for line in echoed).encode() + b"Content-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()

    port = organisation.ports[BOT][LinkKind.SERVER]
    async with await asyncio.start_server(serve, HOST, port, ssl=context):
        yield
        for link in open_links:  # the end of the server waits for each
            link.close()


def checks_of(managed: Managed, server: str) -> PeerChecks:
    return managed.member(server).peer_checks


def test_front_end_has_its_applications_and_an_edge_its_partners(
    example: Organisation, partner_model: Organisation, tmp_path: Path
) -> None:
    federate(example, copied_with_ports(partner_model, tmp_path / "p"))
    loaded = example.load()
    assert list(peers_of(view(loaded, FE1))) == [(BOT, PeerKind.APPLICATION)]
    assert list(peers_of(view(loaded, EDGE))) == [(PARTNER, PeerKind.PARTNER)]


@pytest.mark.wide
@on_loop
async def test_application_that_is_down_is_a_fault_until_it_answers(managed: Managed) -> None:
    """Any answer to the OPTIONS request counts: the application is there."""
    async with managed:
        await managed.start(MGMT, FE1)
        await until(lambda: bool(checks_of(managed, FE1).faults))
        [fault] = checks_of(managed, FE1).faults
        assert (fault.peer, fault.kind, "refused" in fault.why) == (BOT, PeerKind.APPLICATION, True)
        await until(lambda: any(peer.faults for peer in managed.master.network.status(1).peers))
        async with application(managed.organisation, b"SIP/2.0 405 Method Not Allowed\r\n"):
            await until(lambda: not checks_of(managed, FE1).faults)
            await until(lambda: not any(peer.faults for peer in managed.master.network.status(1).peers))


@pytest.mark.wide
@on_loop
async def test_check_of_a_peer_that_leaves_the_topology_ends(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, FE1)
        await until(lambda: bool(checks_of(managed, FE1).faults))
        managed.edit(lambda document: document.update(pools=[one for one in document["pools"] if one["name"] != BOT]))
        await managed.publish(force=True)
        await managed.acknowledged(2, FE1)
        await until(lambda: not checks_of(managed, FE1).faults)
