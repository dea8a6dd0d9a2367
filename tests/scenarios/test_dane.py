"""TLSA records of a partner, on Knot DNS behind Unbound that validates: a further check, and never in place of the CA."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.topology.dns import dns_world
from cli.topology.dns.dns_world import PLAIN, knot, unbound
from scenarios.test_revocation import Scene, credentials_of, leaf_of, partner_entry
from sipmesh.demo.ports import free_port
from sipmesh.topology.builder.tlsa import tlsa_of_ca, tlsa_of_chain
from sipmesh.trust.dane.tlsa import DaneStatus
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, PARTNER, PARTNER_EDGE, PARTNER_EDGES, Network
from support.running import on_loop, until

ZONE = PARTNER
OTHER = "3 1 1 " + "ab" * 32


def name_of(federation: Network) -> str:
    """The name of the TLSA records of the partner's edge."""
    return f"_{federation.organisations[1].ports[PARTNER_EDGE][LinkKind.PARTNER]}._tcp.{PARTNER_EDGES}"


@asynccontextmanager
async def checking(
    federation: Network, folder: Path, *records: str, status: DaneStatus = DaneStatus.SECURE
) -> AsyncIterator[Scene]:
    """Our edge, which has asked for the TLSA *records* of the partner, with that *status*."""
    example = federation.organisations[0]
    with ExitStack() as stack:
        port = free_port() if status is DaneStatus.UNKNOWN else resolver(stack, federation, folder, records)
        document: Any = example.document
        document["dns"] = {"servers": [f"127.0.0.1:{port}"]}
        partner_entry(example)["dane"] = "check"
        example.write()
        async with Scene(example, EDGE, LinkKind.PARTNER) as scene:
            if status is not DaneStatus.UNKNOWN:
                await until(lambda: told(scene) is not DaneStatus.UNKNOWN)
            assert told(scene) is status
            yield scene


def resolver(stack: ExitStack, federation: Network, folder: Path, records: Sequence[str]) -> int:
    lines = [f"{name_of(federation)}. 60 TLSA {record}" for record in records]
    zones = {ZONE: lines, PLAIN: []}
    return stack.enter_context(unbound(folder, stack.enter_context(knot(folder, zones)), zones))


def told(scene: Scene) -> DaneStatus:
    tlsa = scene.node.view.loaded.partners[0].tlsa
    assert tlsa is not None
    return tlsa.status


@pytest.mark.peer("unbound")
@on_loop
async def test_certificate_that_a_secure_record_names_is_accepted_and_no_other(
    federation: Network, tmp_path: Path
) -> None:
    """The attacker has a valid certificate of the partner's own CA; the control is the certificate that DNS names."""
    peer = credentials_of(federation.organisations[1], PARTNER_EDGE)
    async with checking(federation, tmp_path, tlsa_of_chain([leaf_of(peer)])) as scene:
        await scene.link(peer)
    async with checking(federation, tmp_path, OTHER) as scene:
        await scene.refuses(peer, "dane-mismatch")


@pytest.mark.peer("unbound")
@on_loop
async def test_record_of_the_issuing_ca_counts_beside_others(federation: Network, tmp_path: Path) -> None:
    partner = federation.organisations[1]
    async with checking(federation, tmp_path, OTHER, tlsa_of_ca(partner.ca.issuing)) as scene:
        await scene.link(credentials_of(partner, PARTNER_EDGE))


@pytest.mark.peer("unbound")
@on_loop
async def test_without_a_record_the_ca_alone_counts(federation: Network, tmp_path: Path) -> None:
    async with checking(federation, tmp_path) as scene:
        await scene.link(credentials_of(federation.organisations[1], PARTNER_EDGE))


@pytest.mark.peer("unbound")
@on_loop
async def test_bogus_answer_is_refused_and_explained(
    federation: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resolver has the key of another zone, as if an attacker had signed the answer."""
    monkeypatch.setattr(dns_world, "BOGUS", ZONE)
    peer = credentials_of(federation.organisations[1], PARTNER_EDGE)
    right = tlsa_of_chain([leaf_of(peer)])
    async with checking(federation, tmp_path, right, status=DaneStatus.BOGUS) as scene:
        await scene.refuses(peer, "dane-unknown")
        assert "bogus" in str(scene.told.last("link refused")["verdict"])


@pytest.mark.peer("unbound")
@on_loop
async def test_record_of_a_zone_without_signatures_does_not_count(
    federation: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_world, "PLAIN", ZONE)
    monkeypatch.setattr("scenarios.test_dane.PLAIN", "other.test")
    async with checking(federation, tmp_path, OTHER, status=DaneStatus.INSECURE) as scene:
        await scene.link(credentials_of(federation.organisations[1], PARTNER_EDGE))


@on_loop
async def test_resolver_that_does_not_answer_refuses(federation: Network, tmp_path: Path) -> None:
    async with checking(federation, tmp_path, status=DaneStatus.UNKNOWN) as scene:
        await scene.refuses(credentials_of(federation.organisations[1], PARTNER_EDGE), "dane-unknown")
