"""`dane: only`: TLSA records in place of the CA of a partner, which our own validation proves, on zones of Knot DNS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.topology.dns import dns_world
from cli.topology.dns.dns_world import unbound
from scenarios.test_dane import OTHER, name_of, told
from scenarios.test_revocation import Credentials, Scene, credentials_of, leaf_of, partner_entry
from sipmesh.server.refresh import tlsa_sources
from sipmesh.topology.builder.tlsa import tlsa_of_ca, tlsa_of_chain
from sipmesh.trust.dane.tlsa import DaneStatus
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, PARTNER, PARTNER_EDGE, Network
from support.running import on_loop, until
from support.self_signed import self_signed
from support.signed_zones import Lie, SignedZones, lying_resolver, signed_zones

pytestmark = pytest.mark.peer("knot")


@pytest.fixture(name="zones")
def _zones(tmp_path: Path, federation: Network) -> Iterator[SignedZones]:
    """The zone of the partner, signed below an anchor, with a record of another certificate."""
    folder = tmp_path / "dns"
    folder.mkdir()
    records = [f"{name_of(federation)}. 60 TLSA {OTHER}"]
    with signed_zones(folder, {PARTNER: ("nsec3", records)}) as zones:
        yield zones


@asynccontextmanager
async def trusting(
    federation: Network,
    zones: SignedZones,
    *records: str,
    status: DaneStatus = DaneStatus.SECURE,
    lie: Lie = lambda true: true,
    **entry: Any,
) -> AsyncIterator[Scene]:
    """Our edge, which trusts the TLSA *records* of the partner alone, and has asked for them."""
    example = federation.organisations[0]
    zones.write(PARTNER, *(f"{name_of(federation)}. 60 TLSA {record}" for record in records))
    async with lying_resolver(zones.port, lie) as port:
        document: Any = example.document
        document["dns"] = {"servers": [f"127.0.0.1:{port}"], "trust_anchors": [zones.anchor]}
        partner = partner_entry(example)
        ca = {key: partner.pop(key) for key in ("anchors", "crls") if key in partner}
        partner.update({"dane": "only"} | {key: ca[key] for key, wanted in entry.items() if wanted})
        example.write()
        async with Scene(example, EDGE, LinkKind.PARTNER) as scene:
            partner.update(ca)
            await until(lambda: told(scene) is not DaneStatus.UNKNOWN)
            assert told(scene) is status
            yield scene


def of(credentials: Credentials) -> str:
    """The record of usage 3 for a certificate."""
    return tlsa_of_chain([leaf_of(credentials)])


@on_loop
async def test_certificate_that_a_secure_record_names_needs_no_ca(
    federation: Network, zones: SignedZones, tmp_path: Path
) -> None:
    """It may have signed itself. The attacker has all names of the partner, and a certificate of its true CA."""
    partner = federation.organisations[1]
    right, wrong = (self_signed(tmp_path / name, leaf_of(credentials_of(partner, PARTNER_EDGE))) for name in ("a", "b"))
    async with trusting(federation, zones, of(right)) as scene:
        await scene.link(right)
        await scene.refuses(wrong, "dane-mismatch")
        await scene.refuses(credentials_of(partner, PARTNER_EDGE), "dane-mismatch")
        assert "TLSA" in str(scene.told.last("link refused")["verdict"])


@on_loop
async def test_ca_that_a_secure_record_names_counts_with_its_crl(federation: Network, zones: SignedZones) -> None:
    """Usage 2: without a CRL of that CA nothing says that the certificate is not revoked (rule R12)."""
    partner = federation.organisations[1]
    peer, record = credentials_of(partner, PARTNER_EDGE), tlsa_of_ca(partner.ca.issuing)
    async with trusting(federation, zones, record, anchors=True, crls=True) as scene:
        await scene.link(peer)
    async with trusting(federation, zones, record) as scene:
        await scene.refuses(peer, "revocation-unknown")


@on_loop
async def test_anchors_and_records_beside_a_ca_accept_no_peer(federation: Network, zones: SignedZones) -> None:
    """Usage 0 and 1 add to a CA, and here is none: also not the one whose CRLs the topology names."""
    peer = credentials_of(federation.organisations[1], PARTNER_EDGE)
    async with trusting(federation, zones, "1" + of(peer)[1:], anchors=True, crls=True) as scene:
        await scene.refuses(peer, "dane-required")


@on_loop
async def test_absent_insecure_and_bogus_answers_are_refused(federation: Network, zones: SignedZones) -> None:
    """Each has its own verdict; the control has the same record, with its signatures."""
    peer = credentials_of(federation.organisations[1], PARTNER_EDGE)

    def stripped(true: Any) -> Any:
        for section in (true.answer, true.authority):
            section[:] = [rrset for rrset in section if rrset.rdtype != 46 or rrset.covers != 52]
        return true

    async with trusting(federation, zones, of(peer)) as scene:
        await scene.link(peer)
    async with trusting(federation, zones, of(peer), lie=stripped, status=DaneStatus.BOGUS) as scene:
        await scene.refuses(peer, "dane-unknown")
        assert "it has no signature of this zone" in str(scene.told.last("link refused")["verdict"])
    zones.write(PARTNER, f"other.{PARTNER}. 60 A 127.0.0.1")
    async with trusting(federation, zones, "2 0 0 aa") as scene:
        await scene.refuses(peer, "dane-mismatch")
    zones.write("test", "unused.test. 60 A 127.0.0.1", signed_children=False)
    async with trusting(federation, zones, of(peer), status=DaneStatus.INSECURE) as scene:
        await scene.refuses(peer, "dane-required")
        assert "is not signed" in str(scene.told.last("link refused")["verdict"])


@on_loop
async def test_link_ends_with_its_record(
    federation: Network, zones: SignedZones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no CRL that could name the certificate: the record that is gone revokes it. The new one connects."""
    monkeypatch.setattr(tlsa_sources, "EVERY_S", 0.2)
    old, new = (
        self_signed(tmp_path / name, leaf_of(credentials_of(federation.organisations[1], PARTNER_EDGE)))
        for name in ("old", "new")
    )
    async with trusting(federation, zones, of(old), of(new)) as scene:
        first, second = await scene.link(old), await scene.link(new)
        zones.write(PARTNER, f"{name_of(federation)}. 60 TLSA {of(new)}")
        await first.falls()
        await second.stays()
        await scene.refuses(old, "dane-mismatch")


@asynccontextmanager
async def resolved(federation: Network, zones: SignedZones, folder: Path) -> AsyncIterator[Scene]:
    """Our edge, which has no trust anchor of DNS: Unbound on its machine validates the record of the partner's certificate."""
    example, partner = federation.organisations
    zones.write(PARTNER, f"{name_of(federation)}. 60 TLSA {of(credentials_of(partner, PARTNER_EDGE))}")
    entry = partner_entry(example)
    with unbound(folder, zones.port, {PARTNER: []}) as port:
        document: Any = example.document
        document["dns"] = {"servers": [f"127.0.0.1:{port}"]}
        entry.update(dane="only")
        for key in ("anchors", "crls"):
            entry.pop(key)
        example.write()
        async with Scene(example, EDGE, LinkKind.PARTNER) as scene:
            await until(lambda: told(scene) is not DaneStatus.UNKNOWN)
            yield scene


@pytest.mark.peer("unbound")
@on_loop
async def test_validating_resolver_of_the_machine_proves_too(
    federation: Network, zones: SignedZones, tmp_path: Path
) -> None:
    peer = credentials_of(federation.organisations[1], PARTNER_EDGE)
    async with resolved(federation, zones, tmp_path) as scene:
        await scene.link(peer)
        await scene.refuses(self_signed(tmp_path / "x", leaf_of(peer)), "dane-mismatch")


@pytest.mark.peer("unbound")
@on_loop
async def test_record_that_the_resolver_of_the_machine_finds_bogus_is_refused_and_explained(
    federation: Network, zones: SignedZones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resolver has the key of another zone, as if an attacker had signed the record, which is that of the peer.

    The control is the test before this one.
    """
    monkeypatch.setattr(dns_world, "BOGUS", PARTNER)
    async with resolved(federation, zones, tmp_path) as scene:
        assert told(scene) is DaneStatus.BOGUS
        await scene.refuses(credentials_of(federation.organisations[1], PARTNER_EDGE), "dane-unknown")
        assert "bogus" in str(scene.told.last("link refused")["verdict"])
