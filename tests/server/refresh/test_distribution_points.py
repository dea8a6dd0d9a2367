"""CRLs that certificates name are fetched from hosts that the topology allows, count for their scope only, and are bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from scenarios.test_revocation import partner_entry
from server.refresh.fetched import Fetched
from server.refresh.sharded import Sharded, ShardedCa, serial_of, sharded
from sipmesh.server.refresh import crl_sources, distribution_points
from sipmesh.topology.document.named_files.crl_points import MOST_POINTS
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, Network
from support.publisher import Page, content, moved
from support.running import on_loop, until, within
from support.tiers import wide_after
from trust.crls import distribution_point

AGAIN_S = 2.0
FAILED = "fetch failed: the stored CRL or answer stays in force"


async def learned(scene: Sharded, *urls: str) -> None:
    """Wait until the edge has fetched the CRLs at *urls*."""
    await until(lambda: {*urls} <= {*scene.points()})
    await asyncio.gather(*map(scene.fetched, urls))


@on_loop
async def test_peer_with_an_unknown_crl_is_refused_once_and_accepted_after_the_fetch(federation: Network) -> None:
    async with sharded(federation) as scene:
        url, peer = scene.ca.publish(7), scene.ca.issue(scene.ca.url(7))
        await scene.refuses(peer, "revocation-unknown")
        assert url in str(scene.told.last("link refused")["verdict"])
        await learned(scene, url, scene.ca.url("root"))
        await scene.link(peer)
        assert sorted(set(scene.publisher.asked)) == ["GET /7.crl", "GET /root.crl"]


@on_loop
async def test_crl_that_certificates_name_is_in_force_after_a_start(federation: Network) -> None:
    """The publisher is away then."""
    async with sharded(federation) as scene:
        url, peer = scene.ca.publish(7), scene.ca.issue(scene.ca.url(7))
        await scene.refuses(peer, "revocation-unknown")
        await learned(scene, url, scene.ca.url("root"))
    async with Fetched(scene.organisation, EDGE, LinkKind.PARTNER, publisher=scene.publisher) as again:
        await again.link(peer)


@on_loop
async def test_certificate_that_its_part_of_the_crl_revokes_loses_its_link_and_no_other(federation: Network) -> None:
    async with sharded(federation) as scene:
        one, two = scene.ca.issue(scene.ca.publish(1)), scene.ca.issue(scene.ca.publish(2))
        for peer in (one, two):
            await scene.refuses(peer, "revocation-unknown")
        await learned(scene, scene.ca.url(1), scene.ca.url(2), scene.ca.url("root"))
        first, second = await scene.link(one), await scene.link(two)
        scene.ca.publish(1, revoked=(serial_of(one),))
        await scene.fetched(scene.ca.url(1))
        await first.falls()
        await second.stays()
        await scene.refuses(one, "revoked")


WRONG_CRLS: dict[str, tuple[Callable[[ShardedCa], bytes], str]] = {
    "of another part": (lambda ca: ca.crl(ca.url(8)), "not for that of its URL"),
    "of the root": (
        lambda ca: (ca.partner.folder / "ca" / "root.crl").read_bytes(),
        "named by certificates of another CA",
    ),
    "of a forged CA": (lambda ca: ca.crl(ca.url(7), key=ca.forge.root("x").key), "is not signed by"),
    "expired": (
        lambda ca: ca.crl(ca.url(7), begins=timedelta(days=-2), ends=timedelta(hours=-1)),
        "expired at",
    ),
    "rubbish": (lambda _: b"<html>", "not a readable CRL"),
}


@pytest.mark.parametrize("what", wide_after(2, WRONG_CRLS))
@on_loop
async def test_crl_of_another_url_is_refused(federation: Network, what: str) -> None:
    """The control is the right CRL, which comes next and is not kept out."""
    make, why = WRONG_CRLS[what]
    async with sharded(federation) as scene:
        wrong, peer = make(scene.ca), scene.ca.issue(scene.ca.url(7))
        scene.publisher.pages["/7.crl"] = content(lambda: wrong)
        await scene.refuses(peer, "revocation-unknown")
        await learned(scene, scene.ca.url(7), scene.ca.url("root"))
        assert why in scene.told.last(FAILED)["why"]
        await scene.refuses(peer, "revocation-unknown")
        scene.ca.publish(7)
        await scene.fetched(scene.ca.url(7))
        await scene.link(peer)


@on_loop
async def test_bad_answer_does_not_discard_a_valid_crl(federation: Network) -> None:
    async with sharded(federation) as scene:
        url, peer = scene.ca.publish(7), scene.ca.issue(scene.ca.url(7))
        await scene.refuses(peer, "revocation-unknown")
        await learned(scene, url, scene.ca.url("root"))
        linked = await scene.link(peer)
        for make, _ in WRONG_CRLS.values():
            body = make(scene.ca)
            scene.publisher.pages["/7.crl"] = content(lambda body=body: body)  # type: ignore[misc]
            await scene.fetched(url)
        await scene.publisher.close()
        await scene.fetched(url)
        await linked.stays()
        await scene.link(scene.ca.issue(url))


# What a certificate may have contacted: nothing but HTTP at the hosts of the topology, at their ports


ELSEWHERE = {
    "loopback": "http://127.0.0.1:{port}/7.crl",
    "loopback in hex": "http://0x7f000001:{port}/7.crl",
    "loopback of IPv6": "http://[::1]:{port}/7.crl",
    "link-local": "http://169.254.169.254/latest/meta-data/7.crl",
    "localhost": "http://localhost:{port}/7.crl",
    "file": "file:///etc/passwd",
    "ldap": "ldap://crl.partner.test:{port}/cn=7?certificateRevocationList",
    "user name": "http://crl.partner.test:{port}@127.0.0.1:{port}/7.crl",
    "user name at the host": "http://root@crl.partner.test:{port}/7.crl",
    "backslash": "http://127.0.0.1:{port}\\@crl.partner.test:{port}/7.crl",
    "fragment": "http://127.0.0.1:{port}#@crl.partner.test:{port}/7.crl",
    "other port": "http://crl.partner.test/7.crl",
    "other host": "http://evil.test:{port}/7.crl",
    "host below": "http://crl.partner.test.evil.test:{port}/7.crl",
    "line feed": "http://crl.partner.test:{port}/7.crl\r\nHost: evil",
    "https at the port of http": "https://crl.partner.test/7.crl",
}


@pytest.mark.parametrize("what", wide_after(4, ELSEWHERE))
@on_loop
async def test_url_elsewhere_in_a_certificate_is_not_contacted(federation: Network, what: str) -> None:
    """The control: a certificate of the same CA whose URL is allowed, at the same publisher."""
    async with sharded(federation) as scene:
        rightful = scene.ca.issue(scene.ca.publish(7))
        peer = scene.ca.issue(ELSEWHERE[what].format(port=scene.publisher.port))
        await scene.refuses(peer, "revocation-unknown")
        await learned(scene, scene.ca.url("root"))  # of the CA above it
        assert scene.points() == [scene.ca.url("root")]
        assert {*scene.publisher.asked} == {"GET /root.crl"}
        await scene.refuses(rightful, "revocation-unknown")
        await learned(scene, scene.ca.url(7))
        await scene.link(rightful)
        await scene.refuses(peer, "revocation-unknown")


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.9.8.7"])
@on_loop
async def test_allowed_host_that_dns_leads_to_this_machine_or_a_private_network_is_not_contacted(
    federation: Network, address: str
) -> None:
    """The operator has not named that network. The control is `test_peer_with_an_unknown_crl_is_refused_once...`."""
    async with sharded(federation, address=address) as scene:
        document = scene.organisation.document["federation"]
        assert isinstance(document, dict)
        document["networks"] = []
        scene.organisation.write()
        await until(lambda: bool(list(scene.told.events("topology in force"))))
        await scene.refuses(scene.ca.issue(scene.ca.publish(7)), "revocation-unknown")
        await learned(scene, scene.ca.url(7))
        assert f"DNS says that crl.partner.test is {address}" in scene.told.last(FAILED)["why"]
        assert scene.publisher.asked == []


@on_loop
async def test_name_that_leads_elsewhere_at_the_next_fetch_is_not_followed_there(federation: Network) -> None:
    async with sharded(federation) as scene:
        url, peer = scene.ca.publish(7), scene.ca.issue(scene.ca.url(7))
        await scene.refuses(peer, "revocation-unknown")
        await learned(scene, url, scene.ca.url("root"))
        scene.dns.records["crl.partner.test", "A"] = ["169.254.169.254"]
        await scene.fetching._http.close()  # and what aiohttp remembers of DNS for some seconds
        await scene.fetched(url)
        assert "DNS says that crl.partner.test is 169.254.169.254" in scene.told.last(FAILED)["why"]
        await scene.link(peer)


async def _of_5_gb(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(5 << 30)})
    await response.prepare(request)
    return response


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with suppress(ConnectionError):
        while True:
            await response.write(bytes(1 << 20))
    return response


@pytest.mark.parametrize(
    ("page", "why"),
    wide_after(
        2,
        [
            (moved("http://169.254.169.254/7.crl"), "redirects to http://169.254.169.254"),
            (moved("http://127.0.0.1/7.crl"), "redirects to http://127.0.0.1"),
            (moved("file:///etc/passwd"), "redirects to the scheme file"),
            (_of_5_gb, "is larger than 8388608 octets"),
            (_endless, "is larger than 8388608 octets"),
        ],
    ),
)
@on_loop
async def test_answer_of_an_allowed_host_leads_nowhere_else_and_is_bounded(
    federation: Network, page: Page, why: str
) -> None:
    async with sharded(federation) as scene:
        scene.publisher.pages["/7.crl"] = page
        peer = scene.ca.issue(scene.ca.url(7))
        await scene.refuses(peer, "revocation-unknown")
        await learned(scene, scene.ca.url(7), scene.ca.url("root"))
        assert why in scene.told.last(FAILED)["why"]
        scene.ca.publish(7)
        await scene.fetched(scene.ca.url(7))
        await scene.link(peer)


# Bounds


@on_loop
async def test_certificates_with_ever_other_urls_do_not_displace_the_crl_in_use(
    federation: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distribution_points, "MOST_POINTS", 4)
    monkeypatch.setattr(distribution_points, "MOST_NEW", 1000)
    async with sharded(federation) as scene:
        url, peer = scene.ca.publish("used"), scene.ca.issue(scene.ca.url("used"))
        await scene.refuses(peer, "revocation-unknown")
        await learned(scene, url, scene.ca.url("root"))
        linked = await scene.link(peer)
        for n in range(8):
            await scene.refuses(scene.ca.issue(scene.ca.url(f"flood-{n}")), "revocation-unknown")
        await until(lambda: scene.ca.url("flood-7") in scene.points())
        assert len(scene.points()) == 4
        assert {url, scene.ca.url("root")} < {*scene.points()}
        await linked.stays()
        await scene.link(scene.ca.issue(url))
        stored = list(scene.organisation.folder.glob("state/fetched/*-*.crl"))
        assert len(stored) == 2  # no page of the flood exists


@on_loop
async def test_new_urls_of_one_authority_are_fetched_at_a_bounded_rate(federation: Network) -> None:
    """However many the CA makes, as one of a million parts. The link of a peer whose URL came before them stays."""
    async with sharded(federation) as scene:
        url, peer = scene.ca.publish("used"), scene.ca.issue(scene.ca.url("used"))
        await scene.refuses(peer, "revocation-unknown")
        await learned(scene, url, scene.ca.url("root"))
        linked = await scene.link(peer)
        for n in range(distribution_points.MOST_NEW):
            await scene.refuses(scene.ca.issue(scene.ca.url(n)), "revocation-unknown")
        await until(lambda: len(list(scene.told.events("too many CRLs in certificates: one is not fetched yet"))) >= 2)
        assert len(scene.points()) == distribution_points.MOST_NEW
        assert len(set(scene.publisher.asked)) <= distribution_points.MOST_NEW
        await linked.stays()
        await scene.link(peer)


@on_loop
async def test_crls_that_certificates_name_share_a_number_of_octets(
    federation: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sharded(federation) as scene:
        first = scene.ca.issue(scene.ca.publish(1))
        await scene.refuses(first, "revocation-unknown")
        await learned(scene, scene.ca.url(1), scene.ca.url("root"))
        held = sum(file.stat().st_size for file in scene.organisation.folder.glob("state/fetched/*-*.crl"))
        monkeypatch.setattr(crl_sources, "MOST_OCTETS", held + 100)
        second = scene.ca.issue(scene.ca.publish(2))
        await scene.refuses(second, "revocation-unknown")
        await learned(scene, scene.ca.url(2))
        assert "is larger than 100 octets" in scene.told.last(FAILED)["why"]
        await scene.link(first)


@pytest.mark.wide
@on_loop
async def test_lists_that_certificates_name_share_64_mib(federation: Network) -> None:
    """Eight lists of almost 8 MiB, which one list may have; then what is left is enough for a small list, and for no other."""
    async with sharded(federation) as scene:
        peers = [scene.ca.issue(published_with(scene, n, (8 << 20) - 5_000)) for n in range(8)]
        for peer in peers:
            await scene.refuses(peer, "revocation-unknown")
        await learned(scene, scene.ca.url("root"), *map(scene.ca.url, range(8)))
        await scene.link(peers[0])
        held = sum(file.stat().st_size for file in scene.organisation.folder.glob("state/fetched/*-*.crl"))
        left = crl_sources.MOST_OCTETS - held
        assert crl_sources.MOST_OCTETS == 64 << 20
        assert 0 < left < 40_000
        large, small = (
            scene.ca.issue(published_with(scene, name, size)) for name, size in (("large", left), ("small", 0))
        )
        for peer, url in ((large, scene.ca.url("large")), (small, scene.ca.url("small"))):
            await scene.refuses(peer, "revocation-unknown")
            await learned(scene, url)
        assert [line["why"] for line in scene.told.events(FAILED)][-1] == f"is larger than {left} octets"
        await scene.refuses(large, "revocation-unknown")
        for peer in (*peers, small):
            await scene.link(peer)


def published_with(scene: Sharded, shard: object, size: int) -> str:
    """Publish a CRL that an extension, which is of no use, fills with *size* octets; returns its URL."""
    filled = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.32473.1"), bytes(size))
    names = [x509.UniformResourceIdentifier(scene.ca.url(shard))]
    made = scene.ca.crl(extensions=(*distribution_point(full_name=names), (filled, False)))
    encoded = x509.load_pem_x509_crl(made).public_bytes(Encoding.DER)
    scene.publisher.pages[f"/{shard}.crl"] = content(lambda: encoded)
    return scene.ca.url(shard)


@pytest.mark.soak
@pytest.mark.timeout(900)
@within(800)
async def test_certificates_name_64_urls_at_most(federation: Network) -> None:
    """In real time: an authority gets twelve new URLs a minute. The list in use is kept, and what is too much is removed."""
    async with sharded(federation) as scene:
        url, peer = scene.ca.publish("used"), scene.ca.issue(scene.ca.url("used"))
        await scene.refuses(peer, "revocation-unknown")
        await learned(scene, url, scene.ca.url("root"))
        linked = await scene.link(peer)
        for n in range(MOST_POINTS + 2):
            other = scene.ca.issue(scene.ca.publish(n))
            await scene.refuses(other, "revocation-unknown")
            while scene.ca.url(n) not in scene.points():  # it comes again, as a server does whose link was refused
                await asyncio.sleep(AGAIN_S)
                await scene.refuses(other, "revocation-unknown")
            await learned(scene, scene.ca.url(n))
        assert len(scene.points()) == MOST_POINTS == 64
        assert {url, scene.ca.url("root"), scene.ca.url(n)} <= {*scene.points()}
        assert len(list(scene.organisation.folder.glob("state/fetched/*-*.crl"))) == 64
        await linked.stays()
        await scene.link(scene.ca.issue(url))


@on_loop
async def test_url_is_forgotten_with_the_last_certificate_that_names_it(federation: Network) -> None:
    async with sharded(federation) as scene:
        old = scene.ca.issue(scene.ca.publish("old"), ends=timedelta(days=1))
        await scene.refuses(old, "revocation-unknown")
        await learned(scene, scene.ca.url("old"), scene.ca.url("root"))
        scene.be_late(timedelta(days=2))
        await scene.refuses(scene.ca.issue(scene.ca.publish("new")), "revocation-unknown")
        await learned(scene, scene.ca.url("new"))
        assert scene.ca.url("old") not in scene.points()


@on_loop
async def test_host_that_leaves_the_topology_is_not_contacted_any_longer(federation: Network) -> None:
    async with sharded(federation) as scene:
        url, peer = scene.ca.publish(7), scene.ca.issue(scene.ca.url(7))
        await scene.refuses(peer, "revocation-unknown")
        await learned(scene, url)
        partner_entry(scene.organisation)["crl_hosts"] = ["other.partner.test"]
        scene.organisation.write()
        await until(lambda: scene.points() == [])
        await scene.refuses(peer, "revocation-unknown")
