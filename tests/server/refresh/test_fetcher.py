"""Lists and OCSP answers that an edge fetches for itself: in force without a reload, and nothing worse than what was held.

The publisher, the CAs, the edge and the links are real; the schedule is poked and its clock set, so that nobody waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from scenarios.test_revocation import Linked, Papers, Scene, another, leaf_of, papers_of, partner_entry, revoke
from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.organisation import Organisation
from sipmesh.server.admin.expiry_warnings import stock_of
from sipmesh.server.refresh.fetcher import Fetcher
from sipmesh.server.refresh.ocsp_sources import FORGOTTEN
from sipmesh.server.replication.crl_store import CrlStore
from sipmesh.topology.document.crl_files import fetched_file
from sipmesh.topology.document.ocsp_files import answers_on_disk
from sipmesh.topology.expiry.inventory import ExpiringKind
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, PARTNER_EDGE, Network
from support.publisher import Page, Publisher, Responder, content, moved
from support.running import on_loop, until
from support.service import service_here
from support.telling import Told

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
SERVERS = (ExtendedKeyUsageOID.SERVER_AUTH,)
LISTS = ("/root.crl", "/issuing.crl")
ISSUING = "/issuing.crl"


@dataclass
class Fetched(Scene):
    """An edge that fetches, and the publisher."""

    publisher: Publisher = None  # type: ignore[assignment]  # every scene has one
    fetching: Fetcher = None  # type: ignore[assignment]  # once it runs

    async def __aenter__(self) -> Self:
        service, self.node = await self._stack.enter_async_context(
            service_here(self.organisation, self.told, self.name)
        )
        assert service.fetching.fetcher is not None
        self.fetching = service.fetching.fetcher
        return self

    async def poke(self, path: str = ISSUING) -> None:
        """Fetch from the source now."""
        await self.fetching.poke(self.publisher.url(path))

    async def have_come(self, paths: tuple[str, ...] = LISTS) -> None:
        """Wait for the fetches of the start."""
        await asyncio.gather(*(self.poke(path) for path in paths))

    def be_late(self, by: timedelta) -> None:
        """Set the edge's clock forward."""
        self.node.gatekeeper.clock = lambda: datetime.now(UTC) + by

    def held(self, path: str = ISSUING) -> bytes:
        return fetched_file(self.organisation.folder, self.publisher.url(path)).read_bytes()

    def alarms(self) -> list[Any]:
        """The sources in the inventory, for example unreachable ones."""
        entries = stock_of(self.node, self.node.gatekeeper.clock()).entries
        return [one for one in entries if one.what is ExpiringKind.SOURCE and (one.level or one.broken)]


@asynccontextmanager
async def fetching(federation: Network, **entry: Any) -> AsyncIterator[Fetched]:
    """The edge of example.test, whose partner publishes its CRLs; *entry* changes the partner's entry in our topology."""
    example, partner = federation.organisations
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(Publisher())
        for path in LISTS:
            publisher.pages[path] = content((partner.folder / "ca" / path[1:]).read_bytes)
        name_lists(example, publisher, **entry)
        yield await stack.enter_async_context(Fetched(example, EDGE, LinkKind.PARTNER, publisher=publisher))


def name_lists(example: Organisation, publisher: Publisher, **entry: Any) -> None:
    partner_entry(example).update({"crls": [publisher.url(path) for path in LISTS], **entry})
    example.write()


def papers(federation: Network) -> Papers:
    return papers_of(federation.organisations[1], PARTNER_EDGE)


# CRLs


@on_loop
async def test_crl_at_a_url_is_fetched_at_the_start_and_in_force_without_a_reload(federation: Network) -> None:
    async with fetching(federation) as scene:
        await scene.have_come()
        await scene.link(papers(federation))
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
            await scene.refuses(papers(federation), "revocation-unknown")
            assert "not fetched yet from http" in str(scene.told.last("link refused")["verdict"])
            open_now.set()
            await scene.have_come()
            await scene.link(papers(federation))


@on_loop
async def test_newly_revoked_peer_loses_its_link_with_the_next_fetch(federation: Network) -> None:
    example, partner = federation.organisations
    async with fetching(federation) as scene:
        await scene.have_come()
        stolen = await scene.link(papers(federation))
        renewed = await scene.link(another(partner, PARTNER_EDGE))
        ours = await scene.link(papers_of(example, FE1), LinkKind.SERVER)
        revoke(partner, leaf_of(stolen.papers))
        await stolen.stays()
        await scene.poke()
        await stolen.falls()
        assert scene.closed("revocation lists in force") == [stolen.id]
        await renewed.stays()
        await ours.stays()
        await scene.refuses(stolen.papers, "revoked")


@on_loop
async def test_crl_of_an_unreachable_source_is_valid_until_its_grace_time_ends(
    federation: Network,
) -> None:
    async with fetching(federation) as scene:
        await scene.have_come()
        linked = await scene.link(papers(federation))
        await scene.publisher.close()
        for _ in range(3):
            await scene.poke()
        assert [
            line["source"] for line in scene.told.events("fetch failed: the stored list or answer stays in force")
        ] == [scene.publisher.url(ISSUING)]
        left = ends(scene) - datetime.now(UTC)
        scene.be_late(left + timedelta(hours=23))
        await scene.link(another(federation.organisations[1], PARTNER_EDGE))
        scene.be_late(left + timedelta(hours=25))
        await scene.refuses(papers(federation), "revocation-unknown")
        await linked.stays()


@on_loop
async def test_grace_time_comes_from_the_topology(federation: Network) -> None:
    async with fetching(federation, grace=0) as scene:
        await scene.have_come()
        left = ends(scene) - datetime.now(UTC)
        scene.be_late(left - timedelta(minutes=1))
        await scene.link(papers(federation))
        scene.be_late(left + timedelta(minutes=1))
        await scene.refuses(papers(federation), "revocation-unknown")


def ends(scene: Fetched) -> datetime:
    """Return when the CRL of the peers expires."""
    return x509.load_pem_x509_crl(scene.held()).next_update_utc or datetime.max.replace(tzinfo=UTC)


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
    "another CA": (lambda hand: content(hand.of_another_ca), "the current list is of"),
    "same name": (lambda hand: content(hand.of_the_same_name), "is not signed by"),
    "root": (lambda hand: content(hand.of_the_root), "the current list is of"),
    "tampered": (lambda hand: content(hand.tampered), "is not signed by"),
    "older": (lambda hand: content(hand.older), "is older than"),
    "ended": (lambda hand: content(hand.ended), "expired at"),
    "rubbish": (lambda hand: content(hand.rubbish), "not a readable revocation list"),
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
        await scene.link(papers(federation))  # from which the edge knows the issuing CA
        held, rightful = scene.held(), scene.publisher.pages[ISSUING]
        page, why = WRONG[what]
        scene.publisher.pages[ISSUING] = page(Hand(partner, held, Forge(datetime.now(UTC))))
        await scene.poke()
        assert why in scene.told.last("fetch failed: the stored list or answer stays in force")["why"]
        assert scene.held() == held
        await (await scene.link(another(partner, PARTNER_EDGE))).stays()
        revoke(partner, leaf_of(papers(federation)))
        scene.publisher.pages[ISSUING] = rightful
        await scene.poke()
        assert scene.held() != held
        await scene.refuses(papers(federation), "revoked")


@on_loop
async def test_issuing_ca_is_known_after_a_start_so_a_forged_crl_is_refused(federation: Network) -> None:
    """Nothing is stored, and no link has presented the CA since the start; the control is the right CRL."""
    example, partner = federation.organisations
    async with fetching(federation) as scene:
        await scene.have_come()
        await scene.link(papers(federation))
        await until((example.folder / "state" / "fetched" / "issuers.pem").exists)
        hand = Hand(partner, scene.held(), Forge(datetime.now(UTC)))
    async with Publisher() as evil:
        evil.pages = {"/root.crl": content(hand.of_the_root), ISSUING: content(hand.of_the_same_name)}
        name_lists(example, evil)
        async with Fetched(example, EDGE, LinkKind.PARTNER, publisher=evil) as again:
            await again.have_come()
            assert (
                "is not signed by" in again.told.last("fetch failed: the stored list or answer stays in force")["why"]
            )
            [entry] = again.alarms()
            assert entry.broken
            evil.pages[ISSUING] = content((partner.folder / "ca" / "issuing.crl").read_bytes)
            await again.poke()
            assert again.alarms() == []
            await again.link(papers(federation))


# Who fetches what


@on_loop
async def test_only_edges_fetch_partner_crls_and_they_are_not_replicated(federation: Network) -> None:
    example, _ = federation.organisations
    async with fetching(federation) as scene, service_here(example, Told(), FE1) as (service, node):
        await scene.have_come()
        assert service.fetching.fetcher is not None
        assert service.fetching.supplies(datetime.now(UTC)) == ()
        given = {item.name for item in CrlStore(example.folder).items(node.view.loaded)}
        assert given == {"ca/root.crl", "ca/issuing.crl"}


@on_loop
async def test_every_server_fetches_our_own_crls_if_the_topology_has_a_url(example: Organisation) -> None:
    """They have no grace time."""
    async with Publisher() as publisher:
        for path in LISTS:
            publisher.pages[path] = content((example.folder / "ca" / path[1:]).read_bytes)
        document: Any = example.document
        document["authority"]["crls"] = [publisher.url(path) for path in LISTS]
        example.write()
        async with Fetched(example, FE1, publisher=publisher) as scene:
            await scene.have_come()
            await scene.link(papers_of(example, EDGE))
            scene.be_late(ends(scene) - datetime.now(UTC) + timedelta(minutes=1))
            await scene.refuses(papers_of(example, EDGE), "revocation-unknown")


@on_loop
async def test_removed_source_is_not_fetched_and_a_new_one_is_fetched_at_once(
    federation: Network,
) -> None:
    example, partner = federation.organisations
    async with fetching(federation) as scene:
        await scene.have_come()
        linked = await scene.link(papers(federation))
        scene.publisher.pages["/new.crl"] = scene.publisher.pages[ISSUING]
        partner_entry(example)["crls"] = [scene.publisher.url("/root.crl"), scene.publisher.url("/new.crl")]
        revoke(partner, leaf_of(linked.papers))
        example.write()
        await until(lambda: "GET /new.crl" in scene.publisher.asked)
        assert {one.source for one in scene.fetching.supplies(datetime.now(UTC))} == {*partner_entry(example)["crls"]}
        await linked.falls()


@on_loop
async def test_crl_with_a_new_url_stays_in_force_until_it_is_fetched(
    federation: Network,
) -> None:
    """The CRL in force stays in force, for new links as well, until it expires."""
    example, partner = federation.organisations
    open_now = asyncio.Event()
    async with fetching(federation) as scene:
        await scene.have_come()
        linked, rightful = await scene.link(papers(federation)), scene.publisher.pages[ISSUING]

        async def slow(request: web.Request) -> web.StreamResponse:
            await open_now.wait()
            return await rightful(request)

        scene.publisher.pages |= {"/new.crl": slow, "/newroot.crl": scene.publisher.pages["/root.crl"]}
        partner_entry(example)["crls"] = [scene.publisher.url("/newroot.crl"), scene.publisher.url("/new.crl")]
        example.write()
        await until(lambda: {"GET /new.crl", "GET /newroot.crl"} <= {*scene.publisher.asked})
        await scene.poke("/newroot.crl")
        await linked.stays()
        renewed = await scene.link(another(partner, PARTNER_EDGE))
        revoke(partner, leaf_of(linked.papers))
        open_now.set()
        await linked.falls()
        await renewed.stays()


# OCSP


@dataclass
class Asked:
    """A scene whose partner has an OCSP responder."""

    scene: Fetched
    responder: Responder
    partner: Organisation

    async def comes(self, shown: Papers) -> Linked:
        """Connect twice: at the first time no response is known."""
        await self.scene.refuses(shown, "revocation-unknown")
        await self.asked_about(shown)
        return await self.scene.link(shown)

    async def asked_about(self, shown: Papers) -> None:
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
    responder = Responder(issuing, known=[leaf_of(papers(federation))])
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
        linked = await asked.comes(papers(federation))
        assert asked.scene.publisher.asked == ["POST /ocsp"]
        await asked.scene.link(papers(federation))
        await linked.stays()
        told = asked.scene.told.last("link refused")
        assert "is fetching" in told["remedies"][0]


@on_loop
async def test_peer_revoked_by_ocsp_loses_its_link_and_others_stay(federation: Network) -> None:
    async with asking(federation) as asked:
        other = another(asked.partner, PARTNER_EDGE)
        asked.responder.known.append(leaf_of(other))
        stolen, renewed = await asked.comes(papers(federation)), await asked.comes(other)
        asked.responder.status = ocsp.OCSPCertStatus.REVOKED
        await asked.asked_about(stolen.papers)
        await stolen.falls()
        assert asked.scene.closed("OCSP response in force") == [stolen.id]
        await renewed.stays()
        await asked.scene.refuses(stolen.papers, "revoked")


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


@pytest.mark.parametrize("what", WRONG_ANSWERS)
@on_loop
async def test_invalid_ocsp_response_accepts_nobody(federation: Network, what: str) -> None:
    """The control is the same peer, once a delegate of the issuer answers that it is good."""
    spoil, why = WRONG_ANSWERS[what]
    async with asking(federation) as asked:
        rightful = Responder(asked.responder.issuer, signer=delegate(asked.responder.issuer))
        rightful.known = list(asked.responder.known)
        spoil(asked.responder)
        for _ in range(2):
            await asked.scene.refuses(papers(federation), "revocation-unknown")
            await asked.asked_about(papers(federation))
        if why:
            assert why in asked.scene.told.last("fetch failed: the stored list or answer stays in force")["why"]
        asked.scene.publisher.pages["/ocsp"] = rightful.page
        await asked.asked_about(papers(federation))
        await asked.scene.link(papers(federation))


@on_loop
async def test_expired_ocsp_response_blocks_new_links_and_existing_links_stay(federation: Network) -> None:
    async with asking(federation, grace=1) as asked:
        linked = await asked.comes(papers(federation))
        await asked.scene.publisher.close()
        asked.scene.be_late(timedelta(hours=4, minutes=50))
        await asked.scene.link(papers(federation))
        asked.scene.be_late(timedelta(hours=5, minutes=10))
        await asked.scene.refuses(papers(federation), "revocation-unknown")
        await asked.asked_about(papers(federation))
        assert linked.id in {link.id for link in asked.scene.node.pool.all()}
        asked.scene.node.pool.rejudge(asked.scene.node.dispatch.judge_again)
        await linked.stays()


@on_loop
async def test_ocsp_responses_survive_a_restart(federation: Network) -> None:
    example, _ = federation.organisations
    async with asking(federation) as asked:
        await asked.comes(papers(federation))
    async with Fetched(example, EDGE, LinkKind.PARTNER, publisher=Publisher()) as scene:
        await scene.link(papers(federation))


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
            await asked.comes(papers(federation))
        else:
            await asked.scene.refuses(papers(federation), "revocation-unknown")
            await asked.asked_about(papers(federation))
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
        await asked.scene.refuses(papers(federation), "revocation-unknown")
        await until(lambda: len(asked.scene.publisher.asked) == 2)
        for one in asked.scene.fetching.supplies(datetime.now(UTC)):
            await asked.scene.fetching.poke(one.source)
        linked = await asked.scene.link(papers(federation))
        revoke(asked.partner, leaf_of(linked.papers))  # the CRL revokes it first
        await linked.falls()
        await asked.scene.refuses(linked.papers, "revoked")


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
        await asked.comes(papers(federation))
        await asked.asked_about(papers(federation))
        assert [one.hash_algorithm.name for one in asked.responder.asked] == ["sha256", "sha1", "sha1"]


@on_loop
async def test_stranger_cannot_cause_an_ocsp_request(federation: Network) -> None:
    """Nobody asks about a peer that is refused anyway; the control is the right edge."""
    async with asking(federation) as asked:
        impostor = Forge(datetime.now(UTC)).server(asked.responder.issuer, "nobody.test")
        shown = impostor.write(asked.partner.folder / "more", "nobody.test")
        await asked.scene.refuses(shown, "partner-unknown")
        await asked.comes(papers(federation))
        assert len(asked.responder.asked) == 1
