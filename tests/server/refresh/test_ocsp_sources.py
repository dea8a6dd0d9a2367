"""OCSP responses that an edge fetches after a handshake: none of them lets a handshake wait."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from scenarios.test_revocation import Credentials, Linked, another, leaf_of, partner_entry, revoke
from server.refresh.fetched import HOUR, SECOND, SERVERS, Fetched, credentials
from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.organisation import Organisation
from sipmesh.server.refresh.ocsp_sources import FORGOTTEN
from sipmesh.topology.document.named_files.ocsp_files import answers_on_disk
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, PARTNER_EDGE, Network
from support.publisher import Page, Publisher, Responder
from support.running import on_loop, until
from support.tiers import wide_after


@dataclass
class Asked:
    """A scene whose partner has an OCSP responder."""

    scene: Fetched
    responder: Responder
    partner: Organisation

    async def comes(self, shown: Credentials) -> Linked:
        """Connect twice: at the first time no response is known."""
        await self.scene.refuses(shown, "revocation-unknown")
        await self.asked_about(shown)
        return await self.scene.link(shown)

    async def asked_about(self, shown: Credentials) -> None:
        serial = f"{leaf_of(shown).serial_number:x}"
        supplies = self.scene.fetching.supplies
        await until(lambda: any(one.source.endswith(serial) for one in supplies(datetime.now(UTC))))
        [name] = [one.source for one in supplies(datetime.now(UTC)) if one.source.endswith(serial)]
        await self.scene.fetching.poke(name)


@asynccontextmanager
async def asking(federation: Network, policy: str = "ocsp", **entry: Any) -> AsyncIterator[Asked]:
    """The same with a responder for leaves; for the issuing CA, the CRL of the root is a file."""
    example, partner = federation.organisations
    folder = partner.folder / "ca"
    root = Forged.read(folder / "root.pem", folder / "root.key")
    issuing = Forged.read(folder / "issuing.pem", folder / "issuing.key", root)
    responder = Responder(issuing, known=[leaf_of(credentials(federation))])
    async with Publisher() as publisher:
        publisher.pages["/ocsp"] = responder.page
        urls = {"ocsp": [publisher.url("/ocsp")], "revocation": policy}
        lists = [str(folder / "root.crl"), *([str(folder / "issuing.crl")] if policy == "both" else [])]
        partner_entry(example).update({"crls": lists, **urls, **entry})
        example.write()
        async with Fetched(example, EDGE, LinkKind.PARTNER, publisher=publisher) as scene:
            yield Asked(scene, responder, partner)


@on_loop
async def test_first_handshake_is_refused_and_the_next_is_accepted_after_the_ocsp_fetch(
    federation: Network,
) -> None:
    async with asking(federation) as asked:
        linked = await asked.comes(credentials(federation))
        assert asked.scene.publisher.asked == ["POST /ocsp"]
        await asked.scene.link(credentials(federation))
        await linked.stays()
        told = asked.scene.told.last("link refused")
        assert "is fetching" in told["remedies"][0]


@on_loop
async def test_peer_revoked_by_ocsp_loses_its_link_and_others_stay(federation: Network) -> None:
    async with asking(federation) as asked:
        other = another(asked.partner, PARTNER_EDGE)
        asked.responder.known.append(leaf_of(other))
        stolen, renewed = await asked.comes(credentials(federation)), await asked.comes(other)
        asked.responder.status = ocsp.OCSPCertStatus.REVOKED
        await asked.asked_about(stolen.credentials)
        await stolen.falls()
        assert asked.scene.closed("OCSP response in force") == [stolen.id]
        await renewed.stays()
        await asked.scene.refuses(stolen.credentials, "revoked")


WRONG_ANSWERS: dict[str, tuple[Callable[[Responder], None], str]] = {
    "unknown": (lambda one: setattr(one, "status", ocsp.OCSPCertStatus.UNKNOWN), ""),
    "ended": (lambda one: setattr(one, "ends", -SECOND), "expired at"),
    "not begun": (lambda one: setattr(one, "begins", HOUR), "the thisUpdate of an OCSP response is"),
    "not delegated": (
        lambda one: setattr(one, "signer", delegate(one.issuer, usages=SERVERS)),
        "lacks id-kp-OCSPSigning",
    ),
    "another's delegate": (lambda one: setattr(one, "signer", delegate(stranger())), "has not delegated"),
    "delegate that nobody vouches for": (lambda one: setattr(one, "signer", delegate(one.issuer, extra=())), ""),
    "not asked": (lambda one: one.known.clear(), "unauthorized"),
    "for another certificate": (lambda one: setattr(one, "about", stranger().certificate), "for another certificate"),
}


def delegate(issuer: Forged, **changes: Any) -> Forged:
    """Return a delegated responder certificate by *issuer*, with *changes*."""
    wish = {"usages": (ExtendedKeyUsageOID.OCSP_SIGNING,), "extra": (x509.OCSPNoCheck(),), **changes}
    return Forge(datetime.now(UTC)).server(issuer, "ocsp.partner.test", **wish)


def stranger() -> Forged:
    return Forge(datetime.now(UTC)).organisation("Somebody")


@pytest.mark.parametrize("what", wide_after(4, WRONG_ANSWERS))
@on_loop
async def test_invalid_ocsp_response_accepts_no_peer(federation: Network, what: str) -> None:
    """The control is the same peer, once a delegate of the issuer answers that it is good."""
    spoil, why = WRONG_ANSWERS[what]
    async with asking(federation) as asked:
        rightful = Responder(asked.responder.issuer, signer=delegate(asked.responder.issuer))
        rightful.known = list(asked.responder.known)
        spoil(asked.responder)
        for _ in range(2):
            await asked.scene.refuses(credentials(federation), "revocation-unknown")
            await asked.asked_about(credentials(federation))
        if why:
            assert why in asked.scene.told.last("fetch failed: the stored CRL or answer stays in force")["why"]
        asked.scene.publisher.pages["/ocsp"] = rightful.page
        await asked.asked_about(credentials(federation))
        await asked.scene.link(credentials(federation))


@on_loop
async def test_expired_ocsp_response_blocks_new_links_and_existing_links_stay(federation: Network) -> None:
    async with asking(federation, grace=1) as asked:
        linked = await asked.comes(credentials(federation))
        await asked.scene.publisher.close()
        asked.scene.be_late(timedelta(hours=4, minutes=50))
        await asked.scene.link(credentials(federation))
        asked.scene.be_late(timedelta(hours=5, minutes=10))
        await asked.scene.refuses(credentials(federation), "revocation-unknown")
        await asked.asked_about(credentials(federation))
        assert linked.id in {link.id for link in asked.scene.node.pool.all()}
        asked.scene.node.pool.rejudge(asked.scene.node.dispatch.links.judge_again)
        await linked.stays()


@on_loop
async def test_ocsp_responses_survive_a_restart(federation: Network) -> None:
    example, _ = federation.organisations
    async with asking(federation) as asked:
        await asked.comes(credentials(federation))
    async with Fetched(example, EDGE, LinkKind.PARTNER, publisher=Publisher()) as scene:
        await scene.link(credentials(federation))


@pytest.mark.parametrize(
    ("linked", "late", "asked_about"),
    [(False, FORGOTTEN, True), (False, FORGOTTEN + SECOND, False), (True, FORGOTTEN + SECOND, True)],
    ids=["at the limit", "past it", "past it, with a link"],
)
@on_loop
async def test_certificate_that_no_link_uses_is_forgotten_after_two_weeks(
    federation: Network, *, linked: bool, late: timedelta, asked_about: bool
) -> None:
    async with asking(federation) as asked:
        if linked:
            await asked.comes(credentials(federation))
        else:
            await asked.scene.refuses(credentials(federation), "revocation-unknown")
            await asked.asked_about(credentials(federation))
        fetching, folder = asked.scene.fetching, asked.scene.organisation.folder
        [run] = fetching._schedule._runs.values()
        [responders] = fetching._ocsp._responders.values()
        [last_used] = responders.heard_at.values()
        asked.scene.node.gatekeeper.clock = lambda: last_used + late
        assert run.is_wanted() is asked_about
        assert bool(fetching.supplies(last_used)) is asked_about
        assert bool(answers_on_disk(folder, responders.authority.name)) is asked_about


@on_loop
async def test_source_both_requires_a_crl_and_an_ocsp_response(federation: Network) -> None:
    async with asking(federation, "both") as asked:
        issuing = asked.partner.folder / "ca" / "issuing.pem"
        asked.scene.publisher.pages["/ocsp"] = either(asked.responder, root_responder(asked.partner, issuing))
        await asked.scene.refuses(credentials(federation), "revocation-unknown")
        await until(lambda: len(asked.scene.publisher.asked) == 2)
        for one in asked.scene.fetching.supplies(datetime.now(UTC)):
            await asked.scene.fetching.poke(one.source)
        linked = await asked.scene.link(credentials(federation))
        revoke(asked.partner, leaf_of(linked.credentials))  # the CRL revokes it first
        await linked.falls()
        await asked.scene.refuses(linked.credentials, "revoked")


def root_responder(partner: Organisation, issuing: Path) -> Responder:
    folder = partner.folder / "ca"
    root = Forged.read(folder / "root.pem", folder / "root.key")
    return Responder(root, known=[x509.load_pem_x509_certificate(issuing.read_bytes())])


def either(*responders: Responder) -> Page:
    """One URL at which several responders answer, each for its own certificates."""

    async def page(request: web.Request) -> web.StreamResponse:
        asked = ocsp.load_der_ocsp_request(await request.read())
        for one in responders:
            if any(held.serial_number == asked.serial_number for held in one.known):
                return web.Response(body=one.answer(asked))
        return web.Response(status=500)

    return page


@on_loop
async def test_responder_with_sha1_only_is_asked_with_sha1(federation: Network) -> None:
    """As in RFC 5019; the next time SHA-1 is used first."""
    async with asking(federation) as asked:
        asked.responder.sha1_alone = True
        await asked.comes(credentials(federation))
        await asked.asked_about(credentials(federation))
        assert [one.hash_algorithm.name for one in asked.responder.asked] == ["sha256", "sha1", "sha1"]


@on_loop
async def test_stranger_cannot_cause_an_ocsp_request(federation: Network) -> None:
    """No responder is asked about a peer that is refused anyway; the control is the right edge."""
    async with asking(federation) as asked:
        impostor = Forge(datetime.now(UTC)).server(asked.responder.issuer, "nobody.test")
        shown = impostor.write(asked.partner.folder / "more", "nobody.test")
        await asked.scene.refuses(shown, "partner-unknown")
        await asked.comes(credentials(federation))
        assert len(asked.responder.asked) == 1
