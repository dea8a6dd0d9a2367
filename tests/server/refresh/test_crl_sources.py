"""Which server fetches which CRLs, and what a change of the topology does to them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from scenarios.test_revocation import another, credentials_of, leaf_of, partner_entry, revoke
from server.refresh.fetched import ISSUING, LISTS, Fetched, credentials, ends, fetching
from sipmesh.demo.organisation import Organisation
from sipmesh.server.replication.crl_store import CrlStore
from support.network import EDGE, FE1, PARTNER_EDGE, Network
from support.publisher import Publisher, content
from support.running import on_loop, until
from support.service import service_here
from support.telling import Told


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
            await scene.link(credentials_of(example, EDGE))
            scene.be_late(ends(scene) - datetime.now(UTC) + timedelta(minutes=1))
            await scene.refuses(credentials_of(example, EDGE), "revocation-unknown")


@on_loop
async def test_removed_source_is_not_fetched_and_a_new_one_is_fetched_at_once(
    federation: Network,
) -> None:
    example, partner = federation.organisations
    async with fetching(federation) as scene:
        await scene.have_come()
        linked = await scene.link(credentials(federation))
        scene.publisher.pages["/new.crl"] = scene.publisher.pages[ISSUING]
        partner_entry(example)["crls"] = [scene.publisher.url("/root.crl"), scene.publisher.url("/new.crl")]
        revoke(partner, leaf_of(linked.credentials))
        example.write()
        await until(lambda: "GET /new.crl" in scene.publisher.asked)
        assert {one.source for one in scene.fetching.supplies(datetime.now(UTC))} == {*partner_entry(example)["crls"]}
        await linked.falls()


@on_loop
async def test_crl_with_a_new_url_stays_in_force_until_it_is_fetched(
    federation: Network,
) -> None:
    """The CRL in force stays in force, for new links too, until it expires."""
    example, partner = federation.organisations
    open_now = asyncio.Event()
    async with fetching(federation) as scene:
        await scene.have_come()
        linked, rightful = await scene.link(credentials(federation)), scene.publisher.pages[ISSUING]

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
        revoke(partner, leaf_of(linked.credentials))
        open_now.set()
        await linked.falls()
        await renewed.stays()
