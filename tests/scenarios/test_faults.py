"""Each fault of a network stands once, at its cause; its remedy is carried out, and the fault goes.

The exit code of `sipmesh status`, the page of the console, the API and the metric show the same fault.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST
from sipmesh.pki import files
from sipmesh.server.agent import status_reporter
from sipmesh.server.agent.probing import peer_checks
from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from support.crls import root_of_same_name
from support.managed import MGMT, Managed, links_between
from support.network import (
    EDGE,
    EDGES,
    EXAMPLE,
    FE1,
    FE2,
    PARTNER,
    PARTNER_EDGE,
    PARTNER_EDGES,
    Network,
    copied_with_ports,
)
from support.peer import HungUpError
from support.running import LOOK_AGAIN_S, on_loop, until
from support.shown_faults import ShownFaults, console_entry
from support.trunks import build_trunk

TOKEN = "viewer-token"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No check of a partner or an application waits for its turn, and servers report often what they see."""
    monkeypatch.setattr(status_reporter, "REPORT_EVERY_S", 0.5)
    monkeypatch.setattr(peer_checks, "FIRST_S", 0.0)
    monkeypatch.setattr(peer_checks, "AGAIN_S", 0.0)
    monkeypatch.setattr(peer_checks, "EVERY_S", dict.fromkeys(PeerKind, 0.0))


@dataclass
class Bed(ShownFaults):
    """Our servers under management, and the edge of a partner; *entry* is our entry of the partner."""

    partner: Network
    entry: dict[str, Any]

    async def publish_entry(self, **keys: object) -> None:
        """Publish our entry of the partner with these keys changed."""

        def change(document: dict[str, Any]) -> None:
            document["federation"]["partners"] = [{**self.entry, **keys}]

        await self.managed.publish(change, force=True)

    async def restart_partner(self, *, blocked: tuple[str, ...] = ()) -> None:
        """Start the partner's edge with another topology: it accepts us, unless our name is *blocked*."""
        partner, example = self.partner.organisations[0], self.managed.organisation
        if PARTNER_EDGE in self.partner.nodes:
            await self.partner.stop(PARTNER_EDGE)
        edge = f"{EDGES}:{example.ports[EDGE][LinkKind.PARTNER]}"
        ours = [] if blocked else [example.as_partner(edge=edge, address=HOST)]
        partner.federate(PARTNER_EDGES, ours, blocked=blocked)
        partner.write()
        self.partner.start(PARTNER_EDGE)


@asynccontextmanager
async def bed(managed: Managed, partner: Organisation) -> AsyncIterator[Bed]:
    """Start both organisations, and wait until all is well."""
    folder = managed.organisation.folder / "partners" / PARTNER
    folder.mkdir(parents=True)
    for file in (partner.root, *map(Path, partner.lists)):
        shutil.copy(file, folder)
    edge = f"{PARTNER_EDGES}:{partner.ports[PARTNER_EDGE][LinkKind.PARTNER]}"
    lists = [f"partners/{PARTNER}/{Path(file).name}" for file in partner.lists]
    anchors = [f"partners/{PARTNER}/{partner.root.name}"]
    entry = {"domains": [PARTNER], "edge": edge, "address": HOST, "anchors": anchors, "crls": lists}

    def change(document: dict[str, Any]) -> None:
        document["federation"] = {"route": EDGES, "partners": [entry], "networks": ["127.0.0.0/8"]}
        document["console"] = console_entry()
        document["pools"] = [pool for pool in document["pools"] if pool["name"] != "pool2.example.test"]

    async with managed:
        managed.edit(change)
        await managed.start(MGMT, FE1, FE2, EDGE)
        await managed.publish(force=True)
        async with Network((partner,)) as theirs:
            here = Bed(managed, theirs, entry)
            await here.restart_partner()
            await here.well()
            yield here


@pytest.fixture(name="partner")
def _partner(partner_model: Organisation, tmp_path: Path) -> Organisation:
    return copied_with_ports(partner_model, tmp_path / "p")


@on_loop
async def test_server_that_stops_is_one_fault_until_it_is_started(managed: Managed, partner: Organisation) -> None:
    async with bed(managed, partner) as here:
        await managed.stop(FE2)
        name, fault = await here.only(Cause.PORT_REFUSES)
        assert (name, MGMT in fault.hurts) == (FE2, True)
        assert f"sipmesh serve {FE2}" in fault.remedy
        await managed.start(FE2)
        await here.well()


@pytest.mark.wide
@on_loop
async def test_edge_that_stops_is_reported_by_front_ends_at_once(managed: Managed, partner: Organisation) -> None:
    """Management has no link to an edge: its last report is still fresh."""
    async with bed(managed, partner) as here:
        await managed.stop(EDGE)
        name, fault = await here.only(Cause.PORT_REFUSES)
        assert (name, fault.hurts) == (EDGE, (FE1, FE2))
        await managed.start(EDGE)
        await here.well()


@pytest.mark.wide
@on_loop
async def test_edge_of_which_no_front_end_tells_is_silent_until_the_front_ends_are_mended(
    managed: Managed, partner: Organisation
) -> None:
    """The edge runs all the time: its reports come to management through the front ends alone."""
    async with bed(managed, partner) as here:
        await managed.stop(MGMT, FE1, FE2)
        await managed.start(MGMT)
        await until(lambda: (EDGE, Cause.SILENT) in {(name, fault.code) for name, fault in here.faults()})
        [silent] = [fault for name, fault in here.faults() if name == EDGE]
        assert ("sipmesh serve" in silent.remedy, FE1 in silent.remedy) == (False, True)
        assert {name for name, _ in here.faults()} >= {FE1, FE2}
        await managed.start(FE1, FE2)
        await here.well()


@pytest.mark.wide
@on_loop
async def test_partner_that_blocks_us_is_a_fault_until_it_unblocks_us(managed: Managed, partner: Organisation) -> None:
    async with bed(managed, partner) as here:
        await here.restart_partner(blocked=(EXAMPLE,))
        name, fault = await here.only(Code.REFUSED_BY_PEER)
        assert (name, fault.hurts, "it has blocked us" in fault.remedy) == (PARTNER, (EDGE,), True)
        await here.restart_partner()
        await here.well()


@pytest.mark.wide
@on_loop
async def test_partner_whose_port_refuses_is_a_fault_until_its_edge_runs(
    managed: Managed, partner: Organisation
) -> None:
    async with bed(managed, partner) as here:
        await here.partner.stop(PARTNER_EDGE)
        name, fault = await here.only(Cause.PORT_REFUSES)
        assert (name, "whether its edge runs" in fault.remedy) == (PARTNER, True)
        await here.restart_partner()
        await here.well()


@pytest.mark.wide
@on_loop
async def test_wrong_name_of_a_partners_edge_is_a_fault_until_it_is_corrected(
    managed: Managed, partner: Organisation
) -> None:
    async with bed(managed, partner) as here:
        port = here.entry["edge"].partition(":")[2]
        await here.publish_entry(edge=f"wrong.{PARTNER}:{port}")
        name, fault = await here.only(Code.NAME_MISMATCH)
        assert (name, f"sipmesh partner change {PARTNER} edge=HOST" in fault.remedy) == (PARTNER, True)
        await managed.type("partner", "change", PARTNER, f"edge={here.entry['edge']}")
        await here.well()


@on_loop
async def test_wrong_root_of_a_partner_is_a_fault_until_it_is_replaced(managed: Managed, partner: Organisation) -> None:
    async with bed(managed, partner) as here:
        other = managed.organisation.folder / "partners" / PARTNER / "other.pem"
        other.write_bytes(root_of_same_name(partner.root.read_bytes()))
        await here.publish_entry(anchors=[f"partners/{PARTNER}/other.pem"])
        name, fault = await here.only(Code.UNTRUSTED_ISSUER)
        assert (name, f"sipmesh partner change {PARTNER} anchors=[FILE]" in fault.remedy) == (PARTNER, True)
        await managed.type("partner", "change", PARTNER, f"anchors={json.dumps(here.entry['anchors'])}")
        await here.well()


@pytest.mark.wide
@on_loop
async def test_partner_that_we_block_has_its_links_back_once_it_is_unblocked(
    managed: Managed, partner: Organisation
) -> None:
    """The command in the remedy of its refused link is typed as it is printed. It is no fault that we block a partner."""
    async with bed(managed, partner) as here:
        edge = managed.nodes[EDGE]
        await until(lambda: links_between(edge, PARTNER_EDGES))
        await managed.type("partner", "block", PARTNER)
        await until(lambda: not links_between(edge, PARTNER_EDGES))
        with suppress(HungUpError, OSError):
            async with await managed.peer_with(partner.credentials(PARTNER_EDGE), EDGE, LinkKind.PARTNER) as dialled:
                await dialled.hung_up()
        await until(edge.gatekeeper.refused)
        [refused] = edge.gatekeeper.refused()
        assert refused.code is Code.PARTNER_BLOCKED
        [unblock] = re.findall(r"sipmesh (partner unblock [\w.-]+\w)", " ".join(refused.remedies))
        await here.well()
        await managed.type(*unblock.split())
        await until(lambda: links_between(edge, PARTNER_EDGES))
        await here.well()


@pytest.mark.wide
@on_loop
async def test_stranger_at_a_server_port_is_named_with_its_address_and_is_gone_once_it_is_stopped(
    managed: Managed, partner: Organisation, tmp_path: Path
) -> None:
    """What `links --refused` says is to find the program, and never to issue a certificate. It hurts no server."""
    shown = build_trunk(tmp_path / "s", "stranger.test").credentials("stranger.test")

    async def stranger() -> None:
        while True:
            with suppress(HungUpError, OSError):
                async with await managed.peer_with(shown, MGMT) as peer:
                    await peer.hung_up()
            await asyncio.sleep(LOOK_AGAIN_S)

    def refused() -> int:
        return sum(one.code is Code.UNTRUSTED_ISSUER for one in managed.nodes[MGMT].gatekeeper.refused())

    async with bed(managed, partner) as here:
        program = asyncio.create_task(stranger())
        await until(lambda: refused() > 1)
        printed = await managed.type("links", "--refused", "--json")
        assert f"find out which program at {HOST} connects to this port, or close the port to it" in printed
        assert "Do not issue a certificate for it" in printed
        assert "ca issue" not in printed
        await here.well()
        program.cancel()
        await asyncio.wait([program])
        before = refused()
        await managed.publish(why="something else", force=True)
        await here.well()
        assert refused() == before


def expiring(file: Path, key_file: Path) -> bytes:
    """The CRL of *file*, signed again by its CA for ten seconds: a server accepts no CRL that has expired already."""
    old, now = x509.load_pem_x509_crl(file.read_bytes()), datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder(old.issuer, now, now + timedelta(seconds=10))
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(files.read_key(key_file), hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.wide
@on_loop
async def test_expired_crl_of_a_partner_is_a_fault_until_the_new_one_is_there(
    managed: Managed, partner: Organisation
) -> None:
    """Within the time of grace the link works, and the CRL is a fault already."""
    async with bed(managed, partner) as here:
        file = managed.organisation.folder / "partners" / PARTNER / "issuing.crl"
        current = file.read_bytes()
        await managed.publish(lambda document: document.update(federation={"route": EDGES, "partners": []}), force=True)
        file.write_bytes(expiring(file, partner.folder / "ca" / "issuing.key"))
        await here.publish_entry()
        name, fault = await here.only(Cause.CRL_EXPIRED)
        assert (name, fault.hurts, "current CRL" in fault.remedy) == (PARTNER, (EDGE,), True)
        file.write_bytes(current)
        await managed.publish(why="the partner's current CRL", force=True)
        await here.well()
