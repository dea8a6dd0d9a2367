"""Lists and OCSP answers that an edge fetches for itself: in force without a reload, and nothing worse than what was held.

The publisher, the CAs, the edge and the links are real; the schedule is poked and its clock set, so that no test waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from scenarios.test_revocation import another, credentials_of, leaf_of, revoke
from server.refresh.fetched import ISSUING, Fetched, credentials, ends, fetching, name_lists
from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.organisation import Organisation
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, PARTNER_EDGE, Network
from support.publisher import Page, Publisher, content, moved
from support.running import on_loop, until


@on_loop
async def test_crl_at_a_url_is_fetched_at_the_start_and_in_force_without_a_reload(federation: Network) -> None:
    async with fetching(federation) as scene:
        await scene.have_come()
        await scene.link(credentials(federation))
        assert not list(scene.told.events("topology in force"))
        assert {*scene.publisher.asked} == {"GET /root.crl", "GET /issuing.crl"}


@on_loop
async def test_handshake_does_not_wait_for_a_fetch_and_is_refused_until_the_crl_arrives(federation: Network) -> None:
    """The control connects a moment later."""
    example, partner = federation.organisations
    open_now = asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        await open_now.wait()
        return web.Response(body=(partner.folder / "ca" / "issuing.crl").read_bytes())

    async with Publisher() as publisher:
        publisher.pages = {"/root.crl": content((partner.folder / "ca" / "root.crl").read_bytes), ISSUING: slow}
        name_lists(example, publisher)
        async with Fetched(example, EDGE, LinkKind.PARTNER, publisher=publisher) as scene:
            await scene.refuses(credentials(federation), "revocation-unknown")
            assert "not fetched yet from http" in str(scene.told.last("link refused")["verdict"])
            open_now.set()
            await scene.have_come()
            await scene.link(credentials(federation))


@on_loop
async def test_newly_revoked_peer_loses_its_link_with_the_next_fetch(federation: Network) -> None:
    example, partner = federation.organisations
    async with fetching(federation) as scene:
        await scene.have_come()
        stolen = await scene.link(credentials(federation))
        renewed = await scene.link(another(partner, PARTNER_EDGE))
        ours = await scene.link(credentials_of(example, FE1), LinkKind.SERVER)
        revoke(partner, leaf_of(stolen.credentials))
        await stolen.stays()
        await scene.poke()
        await stolen.falls()
        assert scene.closed("CRLs in force") == [stolen.id]
        await renewed.stays()
        await ours.stays()
        await scene.refuses(stolen.credentials, "revoked")


@on_loop
async def test_crl_of_an_unreachable_source_is_valid_until_its_grace_time_ends(
    federation: Network,
) -> None:
    async with fetching(federation) as scene:
        await scene.have_come()
        linked = await scene.link(credentials(federation))
        await scene.publisher.close()
        for _ in range(3):
            await scene.poke()
        assert [
            line["source"] for line in scene.told.events("fetch failed: the stored CRL or answer stays in force")
        ] == [scene.publisher.url(ISSUING)]
        left = ends(scene) - datetime.now(UTC)
        scene.be_late(left + timedelta(hours=23))
        await scene.link(another(federation.organisations[1], PARTNER_EDGE))
        scene.be_late(left + timedelta(hours=25))
        await scene.refuses(credentials(federation), "revocation-unknown")
        await linked.stays()


@on_loop
async def test_grace_time_comes_from_the_topology(federation: Network) -> None:
    async with fetching(federation, grace=0) as scene:
        await scene.have_come()
        left = ends(scene) - datetime.now(UTC)
        scene.be_late(left - timedelta(minutes=1))
        await scene.link(credentials(federation))
        scene.be_late(left + timedelta(minutes=1))
        await scene.refuses(credentials(federation), "revocation-unknown")


@on_loop
async def test_unreachable_source_is_an_alarm_long_before_peers_are_refused(federation: Network) -> None:
    async with fetching(federation) as scene:
        await scene.have_come()
        await scene.publisher.close()
        await scene.poke()
        scene.be_late(timedelta(hours=11))
        assert scene.alarms() == []
        scene.be_late(timedelta(hours=13))
        [entry] = scene.alarms()
        assert entry.urgent
        assert not entry.broken
        told = entry.sentence(scene.node.gatekeeper.clock())
        assert "is valid for 7 d" in told
        assert "our edges refuse new links with partner.test" in told
        assert "it has failed since" in told
        await scene.publisher.open()
        await scene.poke()
        assert scene.alarms() == []
        assert scene.told.last("fetch works again")["source"] == scene.publisher.url(ISSUING)


# Refused results


@dataclass
class Hand:
    """The CAs and CRLs that a bad publisher has."""

    partner: Organisation
    before: bytes  # the stored CRL
    forge: Forge

    @property
    def issuing(self) -> Forged:
        return Forged.read(self.partner.folder / "ca" / "issuing.pem", self.partner.folder / "ca" / "issuing.key")

    def of_another_ca(self) -> bytes:
        return self.forge.revocations(self.forge.organisation("Evil"), number=1 << 40)

    def of_the_same_name(self) -> bytes:
        """A CRL that is signed by a CA with the same name."""
        return self.forge.revocations(self.issuing, number=1 << 40, key=self.forge.root("x").key)

    def of_the_root(self) -> bytes:
        """A valid CRL of another CA."""
        return (self.partner.folder / "ca" / "root.crl").read_bytes()

    def tampered(self) -> bytes:
        der = bytearray(x509.load_pem_x509_crl(self.before).public_bytes(Encoding.DER))
        der[-1] ^= 1
        return bytes(der)

    def older(self) -> bytes:
        return self.forge.revocations(self.issuing, begins=timedelta(days=-2), number=1)

    def ended(self) -> bytes:
        return self.forge.revocations(self.issuing, begins=timedelta(days=-2), ends=timedelta(hours=-1), number=1 << 40)

    def rubbish(self) -> bytes:
        return b"<html>moved</html>"


WRONG: dict[str, tuple[Callable[[Hand], Page], str]] = {
    "another CA": (lambda hand: content(hand.of_another_ca), "the current CRL is of"),
    "same name": (lambda hand: content(hand.of_the_same_name), "is not signed by"),
    "root": (lambda hand: content(hand.of_the_root), "the current CRL is of"),
    "tampered": (lambda hand: content(hand.tampered), "is not signed by"),
    "older": (lambda hand: content(hand.older), "is older than"),
    "ended": (lambda hand: content(hand.ended), "expired at"),
    "rubbish": (lambda hand: content(hand.rubbish), "not a readable CRL"),
    "file": (lambda _: moved("file:///etc/hostname"), "redirects to the scheme file"),
    "https": (lambda _: moved("https://127.0.0.1/issuing.crl"), "redirects to https://127.0.0.1"),
    "elsewhere": (lambda _: moved("http://169.254.169.254/latest"), "redirects to http://169.254.169.254"),
    "circle": (lambda _: moved(ISSUING), "redirects more than 3 times"),
}


@pytest.mark.parametrize("what", WRONG)
@on_loop
async def test_bad_crl_does_not_replace_a_good_one(federation: Network, what: str) -> None:
    """The control is the right CRL, which comes next."""
    _, partner = federation.organisations
    async with fetching(federation) as scene:
        await scene.have_come()
        await scene.link(credentials(federation))  # from which the edge knows the issuing CA
        held, rightful = scene.held(), scene.publisher.pages[ISSUING]
        page, why = WRONG[what]
        scene.publisher.pages[ISSUING] = page(Hand(partner, held, Forge(datetime.now(UTC))))
        await scene.poke()
        assert why in scene.told.last("fetch failed: the stored CRL or answer stays in force")["why"]
        assert scene.held() == held
        await (await scene.link(another(partner, PARTNER_EDGE))).stays()
        revoke(partner, leaf_of(credentials(federation)))
        scene.publisher.pages[ISSUING] = rightful
        await scene.poke()
        assert scene.held() != held
        await scene.refuses(credentials(federation), "revoked")


@on_loop
async def test_issuing_ca_is_known_after_a_start_so_a_forged_crl_is_refused(federation: Network) -> None:
    """Nothing is stored, and no link has presented the CA since the start; the control is the right CRL."""
    example, partner = federation.organisations
    async with fetching(federation) as scene:
        await scene.have_come()
        await scene.link(credentials(federation))
        await until(lambda: any((example.folder / "state" / "fetched").glob("issuers-*.pem")))
        hand = Hand(partner, scene.held(), Forge(datetime.now(UTC)))
    async with Publisher() as evil:
        evil.pages = {"/root.crl": content(hand.of_the_root), ISSUING: content(hand.of_the_same_name)}
        name_lists(example, evil)
        async with Fetched(example, EDGE, LinkKind.PARTNER, publisher=evil) as again:
            await again.have_come()
            assert "is not signed by" in again.told.last("fetch failed: the stored CRL or answer stays in force")["why"]
            [entry] = again.alarms()
            assert entry.broken
            evil.pages[ISSUING] = content((partner.folder / "ca" / "issuing.crl").read_bytes)
            await again.poke()
            assert again.alarms() == []
            await again.link(credentials(federation))
