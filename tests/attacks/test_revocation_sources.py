"""Attacks by who publishes revocations: a partner with its CA and its servers, and an attacker in place of a publisher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509

from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.organisation import Organisation
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.server.refresh import crl_sources, intermediates
from sipmesh.server.refresh.fetch_turns import MOST_OF_PARTNERS
from sipmesh.server.refresh.fetcher import Fetcher
from sipmesh.server.refresh.on_demand import FetchOnDemand
from sipmesh.sip.message import Response
from sipmesh.trust.evidence import LinkKind
from support.network import BEGAN, BOT, EDGE, EDGES, FE1, FE2, Network
from support.peer import HungUpError, Peer
from support.publisher import Page, Publisher, Responder, content

GOOD, ROGUE = "good.test", "rogue.test"
FORGED_UNTIL = timedelta(days=20_000)
MARK = '"1"'
AHEAD = timedelta(minutes=2)


@dataclass
class Edge:
    """Our edge, which fetches what its partners publish; *folder* is for the certificates of the peers."""

    network: Network
    fetcher: Fetcher
    folder: Path
    forge: Forge

    async def meet(self, shown: Forged) -> Peer:
        """Open a link with a certificate."""
        credentials = shown.write(self.folder, "peer")
        return await Peer.open(self.network.address(EDGE, LinkKind.PARTNER), f"erin@{GOOD}", credentials)

    async def is_accepted(self, shown: Forged) -> bool:
        """Open a link with a certificate, and tell whether the edge answers on it."""
        with suppress(HungUpError, OSError):
            async with await self.meet(shown) as peer:
                return await answers(peer)
        return False


async def answers(peer: Peer) -> bool:
    """Tell whether a request on a link gets a response."""
    with suppress(HungUpError):
        return isinstance(await peer.ask(peer.request("OPTIONS", "sip:example.test")), Response)
    return False


@asynccontextmanager
async def edge_of(example: Organisation, folder: Path, partners: Iterable[dict[str, object]]) -> AsyncIterator[Edge]:
    """Run our edge with these partners."""
    example.federate(EDGES, list(partners))
    example.write()
    async with Network((example,), starts=(EDGE,)) as network:
        node = network.nodes[EDGE]
        log = network.told[EDGE].log
        sources = FetchOnDemand(node, lambda files: node.revocation.accept_crls(set(files)), log)
        fetcher = sources.fetcher = Fetcher(node, lambda files: node.revocation.accept_crls(set(files)), log)
        node.outside.sources = sources
        sources.follow(node.view.loaded)
        try:
            yield Edge(network, fetcher, folder, Forge(BEGAN))
        finally:
            await sources.close()


def partner(folder: Path, domain: str, root: Forged, **keys: object) -> dict[str, object]:
    """Give the entry of a partner under *root*."""
    anchor = folder / f"{domain}.pem"
    anchor.write_bytes(root.pem_chain)
    return {"domains": [domain], "anchors": [str(anchor)], "crls": [], **keys}


def above(ca: Forged) -> Forged:
    """Give the CA above *ca*."""
    assert ca.issuer is not None
    return ca.issuer


# A partner uses up what other partners need


def test_slow_ocsp_responder_of_a_partner_delays_no_other_partner(example: Organisation, tmp_path: Path) -> None:
    """Each new certificate of a partner needs a response of its responder, which never answers."""

    async def run() -> None:
        forge, reached, over = Forge(BEGAN), asyncio.Event(), asyncio.Event()
        good, rogue = forge.root("good root"), forge.root("rogue root")
        theirs = forge.server(good, GOOD)
        responder = Responder(good, known=[theirs.certificate])

        async def slow(_request: web.Request) -> web.StreamResponse:
            reached.set()
            await over.wait()
            return web.Response(status=503)

        async with Publisher() as publisher:
            publisher.pages = {"/slow": slow, "/good": responder.page}
            good_url, slow_url = publisher.url("/good"), publisher.url("/slow")
            partners = (
                partner(tmp_path, ROGUE, rogue, revocation="ocsp", ocsp=[slow_url]),
                partner(tmp_path, GOOD, good, revocation="ocsp", ocsp=[good_url]),
            )
            async with edge_of(example, tmp_path, partners) as edge:
                for _ in range(MOST_OF_PARTNERS + 1):
                    assert not await edge.is_accepted(forge.server(rogue, ROGUE))
                await reached.wait()
                assert not await edge.is_accepted(theirs)  # its status is asked for now
                await edge.fetcher.poke(f"{good_url} for {theirs.certificate.serial_number:x}")
                assert await edge.is_accepted(theirs)
                assert not over.is_set()
                over.set()

    asyncio.run(run())


@pytest.fixture(name="few_cas")
def _few_cas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intermediates, "MOST_OF_ANCHOR", 3)


@pytest.mark.usefixtures("few_cas")
def test_many_cas_of_a_partner_displace_none_of_another_partner(example: Organisation, tmp_path: Path) -> None:
    """The CA of a partner is still known after another partner has shown many: so a forged CRL of it is refused."""

    async def run() -> None:
        forge, pages = Forge(BEGAN), {"forged": False}
        good, rogue = forge.organisation("good"), forge.root("rogue")
        liar = forge.organisation("good")  # of the same names, with keys of its own

        def list_of_good() -> bytes:
            return forge.revocations(liar if pages["forged"] else good, number=9 if pages["forged"] else 8)

        async with Publisher() as publisher:
            publisher.pages = {
                "/root": content(lambda: forge.revocations(above(good))),
                "/good": content(list_of_good),
                "/rogue": content(lambda: forge.revocations(rogue)),
            }
            of_good = [publisher.url("/root"), publisher.url("/good")]
            partners = (
                partner(tmp_path, GOOD, above(good), crls=of_good),
                partner(tmp_path, ROGUE, rogue, crls=[publisher.url("/rogue")]),
            )
            async with edge_of(example, tmp_path, partners) as edge:
                await asyncio.gather(*map(edge.fetcher.poke, (*of_good, publisher.url("/rogue"))))
                assert await edge.is_accepted(forge.server(good, GOOD))
                for _ in range(5):
                    ca = forge.authority("rogue", rogue)  # under the name of its root, whose CRL covers it
                    assert await edge.is_accepted(forge.server(ca, ROGUE))
                pages["forged"] = True
                await edge.fetcher.poke(publisher.url("/good"))
                assert await edge.is_accepted(forge.server(good, GOOD))

    asyncio.run(run())
    stored = tmp_path.rglob("issuers-*.pem")
    assert sorted(file.read_bytes().count(b"BEGIN") for file in stored) == [1, 3]


# An attacker in place of a publisher


@dataclass
class HttpPath:
    """The HTTP path to a publisher: if it is *attacked*, another CRL comes, with the validator of the valid CRL.

    *asked* is set at each request.
    """

    attacked: bool
    asked: asyncio.Event

    def page(self, other: Callable[[], bytes], rightful: Callable[[], bytes]) -> Page:
        """Give the page of the valid CRL (*rightful*), or of the *other*."""

        async def page(request: web.Request) -> web.StreamResponse:
            self.asked.set()
            if not self.attacked and request.headers.get("If-None-Match") == MARK:
                return web.Response(status=304)
            return web.Response(body=other() if self.attacked else rightful(), headers={"ETag": MARK})

        return page


@pytest.mark.parametrize("name", ["good", "another"])
def test_forged_crl_does_not_stay_after_its_ca_is_known(
    example: Organisation, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is forged, with a thisUpdate ahead of our clock. The attacker leaves, and the partner connects."""
    monkeypatch.setattr(crl_sources, "FETCHED_AGAIN_S", 0.0)

    async def run() -> None:
        forge, path = Forge(BEGAN), HttpPath(attacked=True, asked=asyncio.Event())
        good, liar = forge.organisation("good"), forge.organisation(name)
        forged = forge.revocations(liar, begins=AHEAD, ends=FORGED_UNTIL, number=2**100)
        async with Publisher() as publisher:
            issuing = publisher.url("/issuing")
            publisher.pages = {
                "/root": content(lambda: forge.revocations(above(good))),
                "/issuing": path.page(lambda: forged, lambda: forge.revocations(good)),
            }
            crls = [publisher.url("/root"), issuing]
            async with edge_of(example, tmp_path, [partner(tmp_path, GOOD, above(good), crls=crls)]) as edge:
                await asyncio.gather(*map(edge.fetcher.poke, crls))
                path.attacked = False
                path.asked.clear()
                theirs = forge.server(good, GOOD)
                assert not await edge.is_accepted(theirs)
                await path.asked.wait()  # the refused link has made the edge fetch again
                await edge.fetcher.poke(issuing)
                assert await edge.is_accepted(theirs)
                assert not await edge.is_accepted(forge.server(liar, GOOD))

    asyncio.run(run())


def test_crl_of_the_root_does_not_stay_in_place_of_that_of_the_issuing_ca(
    example: Organisation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is the CRL of the root: it is public, and its signature is right."""
    monkeypatch.setattr(crl_sources, "FETCHED_AGAIN_S", 0.0)

    async def run() -> None:
        forge, path = Forge(BEGAN), HttpPath(attacked=True, asked=asyncio.Event())
        good = forge.organisation("good")
        stolen, theirs = forge.server(good, GOOD), forge.server(good, GOOD)
        of_root = forge.revocations(above(good), ends=timedelta(days=365))
        async with Publisher() as publisher:
            root, issuing = publisher.url("/root"), publisher.url("/issuing")
            publisher.pages = {
                "/root": content(lambda: of_root),
                "/issuing": path.page(lambda: of_root, lambda: forge.revocations(good, [stolen])),
            }
            entry = partner(tmp_path, GOOD, above(good), crls=[root, issuing])
            async with edge_of(example, tmp_path, [entry]) as edge:
                await asyncio.gather(*map(edge.fetcher.poke, (root, issuing)))
                path.attacked = False
                path.asked.clear()
                assert not await edge.is_accepted(theirs)
                await path.asked.wait()
                await edge.fetcher.poke(issuing)
                path.attacked = True
                for _ in range(2):  # it does not come back either
                    assert [await edge.is_accepted(shown) for shown in (theirs, stolen)] == [True, False]
                    await edge.fetcher.poke(issuing)

    asyncio.run(run())


def test_old_crl_of_a_known_ca_replaces_no_newer_one(example: Organisation, tmp_path: Path) -> None:
    """What a forged CRL cannot do any more, an old one could not do before: the newer one revokes a certificate."""

    async def run() -> None:
        forge, path = Forge(BEGAN), HttpPath(attacked=False, asked=asyncio.Event())
        good = forge.organisation("good")
        stolen, theirs = forge.server(good, GOOD), forge.server(good, GOOD)
        old = forge.revocations(good, number=1, begins=timedelta(hours=-1))
        async with Publisher() as publisher:
            issuing = publisher.url("/issuing")
            publisher.pages = {
                "/root": content(lambda: forge.revocations(above(good))),
                "/issuing": path.page(lambda: old, lambda: forge.revocations(good, [stolen], number=2)),
            }
            crls = [publisher.url("/root"), issuing]
            async with edge_of(example, tmp_path, [partner(tmp_path, GOOD, above(good), crls=crls)]) as edge:
                await asyncio.gather(*map(edge.fetcher.poke, crls))
                path.attacked = True
                for _ in range(2):
                    assert not await edge.is_accepted(stolen)
                    assert await edge.is_accepted(theirs)
                    await edge.fetcher.poke(issuing)

    asyncio.run(run())


# A thief of a server's key comes back


def test_pushed_revocation_is_not_undone_by_a_crl_or_version_without_it(example: Organisation) -> None:
    """Our own CRLs may be fetched, so that the CRL with a revocation comes hours after its push. Others come before."""

    async def run() -> None:
        async with Network((example,), starts=(FE1,)) as network:
            node = network.nodes[FE1]
            stolen = x509.load_pem_x509_certificates(network.credentials(FE2)[0].read_bytes())[0]
            assert [await is_heard(network, name) for name in (FE2, BOT)] == [True, True]
            node.revocation.revoke([(example.ca.issuing.subject.public_bytes(), stolen.serial_number)])
            assert [await is_heard(network, name) for name in (FE2, BOT)] == [False, True]
            for kind in (CertificateKind.ROOT, CertificateKind.ISSUING):  # without the revocation, as from before it
                node.revocation.accept_crls({example.ca.crls.publish(datetime.now(UTC), kind)})
                assert [await is_heard(network, name) for name in (FE2, BOT)] == [False, True]
            node.put_in_force(example.load())
            assert [await is_heard(network, name) for name in (FE2, BOT)] == [False, True]

    asyncio.run(run())


async def is_heard(network: Network, name: str) -> bool:
    """Tell whether the front end answers a peer with the credentials of a server."""
    with suppress(HungUpError, OSError):
        peer = await Peer.open(network.address(FE1, LinkKind.SERVER), credentials=network.credentials(name))
        async with peer:
            return await answers(peer)
    return False


# A clock that is ahead


def test_crl_of_a_clock_that_is_ahead_closes_only_links_that_it_revokes(example: Organisation, tmp_path: Path) -> None:
    """The clocks of two organisations differ by minutes. A new CRL must not close the links of its partner for that time."""

    async def run() -> None:
        forge, path = Forge(BEGAN), HttpPath(attacked=False, asked=asyncio.Event())
        good = forge.root("good root")
        stolen, theirs = forge.server(good, GOOD), forge.server(good, GOOD)
        ahead = forge.revocations(good, [stolen], begins=AHEAD, number=2)
        async with Publisher() as publisher:
            publisher.pages = {"/good": path.page(lambda: ahead, lambda: forge.revocations(good))}
            url = publisher.url("/good")
            async with edge_of(example, tmp_path, [partner(tmp_path, GOOD, good, crls=[url])]) as edge:
                await edge.fetcher.poke(url)
                async with await edge.meet(stolen) as thief, await edge.meet(theirs) as peer:
                    assert await answers(thief)
                    path.attacked = True
                    await edge.fetcher.poke(url)
                    assert await answers(peer)
                    edge.network.nodes[EDGE].gatekeeper.clock = lambda: BEGAN + AHEAD
                    await edge.fetcher.poke(url)
                    await thief.hung_up()
                    assert await answers(peer)
                assert await edge.is_accepted(theirs)
                assert not await edge.is_accepted(stolen)

    asyncio.run(run())
