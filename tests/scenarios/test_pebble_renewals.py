"""A partner whose certificates come from Pebble by ACME renews again and again, and no message and no link is refused.

Pebble names no CRL in its certificates, and its CAs may sign none (keyUsage without cRLSign). So OCSP responders with the keys of
Pebble answer for them. Its certificates have DNS names only.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import ocsp

from scenarios.test_revocation import answered, leaf_of, partner_entry
from sipmesh.client.agent import UserAgent
from sipmesh.demo.forge import Forged
from sipmesh.demo.ports import free_port
from sipmesh.pki.files import certificates_pem
from sipmesh.server.agent.probing import peer_checks
from sipmesh.server.agent.probing.peer_checks import PeerChecks
from sipmesh.server.here import here as here_of
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.server.running.running_server import RunningServer
from sipmesh.server.service import Service
from sipmesh.topology.view import certificate_names
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import LinkKind
from support.enrolling import run
from support.network import EDGE, EDGES, FE1, PARTNER_EDGE, PARTNER_EDGES, PARTNER_FE, Network, text
from support.pebble import Pebble, pebble
from support.peer import HungUpError, Peer
from support.publisher import Publisher, Responder
from support.running import on_loop, until
from support.service import service_here
from support.telling import Told

pytestmark = [pytest.mark.peer("pebble"), pytest.mark.peer("lego")]

RENEWALS = 5
PAIR = ("servers/edge-outside.pem", "servers/edge-outside.key")


@dataclass
class PebbleCa:
    """Pebble, and responders with the keys of its root and its issuing CA, at one URL of *publisher*."""

    running: Pebble
    publisher: Publisher
    folder: Path
    root: Responder
    issuing: Responder

    @classmethod
    async def of(cls, running: Pebble, publisher: Publisher, folder: Path) -> Self:
        """Read the keys at the management interface of Pebble."""
        root = Forged(await running.root(), await key_of(running, "root"))
        issuing = Forged(await running.intermediate(), await key_of(running, "intermediate"), root)
        made = cls(running, publisher, folder, Responder(root, known=[issuing.certificate]), Responder(issuing))
        publisher.pages["/ocsp"] = made.page
        return made

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Answer with the responder that knows the certificate."""
        serial = ocsp.load_der_ocsp_request(await request.read()).serial_number
        known = any(one.serial_number == serial for one in self.root.known)
        return await (self.root if known else self.issuing).page(request)

    async def issue(self, number: int, *names: str) -> tuple[Path, Path]:
        """Have lego get a certificate; returns its chain and its key."""
        where = self.folder / f"l{number}"
        where.mkdir(parents=True)
        domains = [part for name in names for part in ("--domains", name)]
        command = ["lego", "--server", self.running.directory, "--accept-tos", "--email", "ops@partner.test"]
        command += ["--path", str(where), *domains, "--http", "--http.port", f"127.0.0.1:{free_port()}"]
        code, out = await run(*command, "run", cwd=where, LEGO_CA_CERTIFICATES=str(self.running.web_root))
        assert code == 0, out
        made = where / "certificates" / f"{names[0]}.crt"
        self.issuing.known.append(leaf_of((made, made)))
        return made, made.with_suffix(".key")


async def key_of(running: Pebble, kind: str) -> Any:
    """The key of a CA of Pebble."""
    return load_pem_private_key((await running.asked(f"/{kind}-keys/0")).encode(), None)


@dataclass
class World:
    """Both organisations; the partner's edge shows certificates of Pebble to us."""

    network: Network
    ca: PebbleCa
    edge: RunningServer
    service: Service
    told: Told
    users: tuple[UserAgent, UserAgent]
    ordered: list[tuple[Path, Path]]
    issued: int = 1
    sent: int = 0

    def renew(self) -> x509.Certificate:
        """Give the partner's edge the next certificate of Pebble."""
        self.issued += 1
        made = self.ordered[self.issued - 1]
        partner = self.network.organisations[1]
        for source, used in zip(made, PAIR, strict=True):
            shutil.copy(source, partner.folder / used)
        self.service.reload()
        return leaf_of((made[0], made[1]))

    async def cut(self) -> None:
        """End every link between the two edges, as after a restart of the network between them."""
        links = [link for link in self.edge.pool.all() if link.kind is LinkKind.PARTNER]
        for link in links:
            link.drain()
        await until(lambda: all(link.state is LinkState.CLOSED for link in links))

    async def talk(self) -> None:
        """Send a message in each direction; the receiver has it."""
        for sender, receiver in (self.users, self.users[::-1]):
            outcome = await sender.message(receiver.party.aor, "hello")
            assert outcome.ok, outcome
            assert (await text(receiver)).sender == sender.party.aor
            self.sent += 1

    @property
    def refused(self) -> list[Any]:
        """The links that our edge has refused."""
        return list(self.told.events("link refused"))


def names_of(federation: Network) -> tuple[str, ...]:
    """The names of the partner's edge, that of its entry first."""
    names = certificate_names(federation.organisations[1].load().topology, PARTNER_EDGE)
    return (PARTNER_EDGES, *(name for name in names if name != PARTNER_EDGES))


@asynccontextmanager
async def world(federation: Network, folder: Path) -> AsyncIterator[World]:
    example, partner = federation.organisations
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(pebble(folder / "ca", certificateValidityPeriod=7776000))
        ca = await PebbleCa.of(running, await stack.enter_async_context(Publisher()), folder)
        (example.folder / "partners").mkdir(exist_ok=True)
        (example.folder / "partners" / "pebble.pem").write_bytes(certificates_pem([await running.root()]))
        entry = partner_entry(example)
        urls = {"crls": [], "ocsp": [ca.publisher.url("/ocsp")], "revocation": "ocsp"}
        entry.update({"anchors": ["partners/pebble.pem"], "client_usage": "server-ok", **urls})
        document: Any = example.document
        document["federation"]["networks"] = ["127.0.0.0/8"]
        theirs: Any = partner.document
        servers = (server for pool in theirs["pools"] for server in pool["servers"])
        mine = next(server for server in servers if server["name"] == PARTNER_EDGE)
        mine["outside"] = {**mine.get("outside", {}), "certificate": PAIR[0], "key": PAIR[1]}
        names = names_of(federation)
        ordered = await asyncio.gather(*(ca.issue(number, *names) for number in range(RENEWALS + 1)))
        for source, used in zip(ordered[0], PAIR, strict=True):
            shutil.copy(source, partner.folder / used)
        federation.dns.records |= {(name, "A"): ["127.0.0.1"] for name in (EDGES, PARTNER_EDGES)}
        federation.starts = ()
        await stack.enter_async_context(federation)
        for name in (FE1, PARTNER_FE):
            federation.start(name)
        told = Told()
        _, edge = await stack.enter_async_context(service_here(example, told, EDGE))
        service, _ = await stack.enter_async_context(service_here(partner, Told(), PARTNER_EDGE))
        users = (await federation.agent("alice", FE1), await federation.agent("erin", PARTNER_FE))
        yield World(federation, ca, edge, service, told, users, ordered)


@pytest.mark.wide
@on_loop
async def test_five_renewals_with_a_probe_refuse_no_message_and_no_link_of_the_partner(
    federation: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEBBLE_VA_ALWAYS_VALID", "1")  # six orders at once answer no challenge
    for pause in ("FIRST_S", "AGAIN_S"):
        monkeypatch.setattr(peer_checks, pause, 0.0)
    monkeypatch.setitem(peer_checks.EVERY_S, PeerKind.PARTNER, 0.0)
    async with world(federation, tmp_path) as here:
        edge = here.edge
        checks = PeerChecks(edge, here_of(edge.view), edge.pool.dial, lambda: None, edge.loop)
        await settled(here, checks)
        for _ in range(RENEWALS):
            await here.talk()
            leaf = here.renew()
            await here.talk()  # on the links that are up
            await settled(here, checks, leaf)
            refused = len(here.refused)
            await here.cut()
            await here.talk()
            assert len(here.refused) == refused
        checks.close()
        assert here.sent == 6 * RENEWALS
        other = await here.ca.issue(RENEWALS + 1, "other.test")  # of the same CA, with another name
        ours = federation.organisations[0].address(EDGE, LinkKind.PARTNER)
        with pytest.raises((HungUpError, OSError)):
            async with await Peer.open(ours, credentials=other) as peer:
                await answered(peer)
        assert here.told.last("link refused")["code"] == "partner-unknown"


async def settled(here: World, checks: PeerChecks, leaf: x509.Certificate | None = None) -> None:
    """Probe until the responder was asked about the certificate, and a probe is accepted."""

    def is_accepted() -> bool:
        checks.tick()
        asked = {one.serial_number for one in here.ca.issuing.asked}
        return not checks.faults and (leaf.serial_number in asked if leaf is not None else bool(asked))

    await until(is_accepted)
