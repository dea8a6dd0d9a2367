"""What a stolen front end cannot do with CRLs that it passes to an edge: put the CRL of one CA in the place of another one."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.pki import files
from support.giver import Giver
from support.managed import Managed
from support.network import EDGE, FE1, FE2
from support.running import on_loop

ROOT, ISSUING = "ca/root.crl", "ca/issuing.crl"


async def accepts(managed: Managed, name: str) -> bool:
    """Tell whether the edge accepts a front end: it subscribes to it at once."""
    peer = await managed.peer(EDGE, name)
    return (await peer.request_in("SUBSCRIBE")).method == "SUBSCRIBE"


@on_loop
@pytest.mark.parametrize(("there", "given"), [(ISSUING, ROOT), (ROOT, ISSUING)])
async def test_crl_of_another_ca_replaces_none_that_is_needed(managed: Managed, there: str, given: str) -> None:
    """Both CRLs are valid and signed by CAs of ours. Without one of them, the edge would refuse all our servers for ever."""
    async with managed, AsyncExitStack() as stack:
        await managed.start(EDGE)
        file = managed.folder(EDGE) / there
        before = file.read_bytes()
        thief = await Giver.meet(stack, managed, EDGE, FE1)
        content = (managed.organisation.folder / given).read_bytes()
        assert (await thief.give(Item(ItemKind.LIST, content, there))).status == 488
        assert file.read_bytes() == before
        assert await accepts(managed, FE2)


@on_loop
async def test_next_crl_of_the_same_ca_is_accepted_from_a_front_end(managed: Managed) -> None:
    """The control."""
    async with managed, AsyncExitStack() as stack:
        await managed.start(EDGE)
        front_end = await Giver.meet(stack, managed, EDGE, FE1)
        content = managed.organisation.ca.crls.publish(datetime.now(UTC)).read_bytes()
        assert (await front_end.give(Item(ItemKind.LIST, content, ISSUING))).status == 200
        assert (managed.folder(EDGE) / ISSUING).read_bytes() == content
        assert await accepts(managed, FE2)


@on_loop
async def test_forged_crl_of_our_issuing_ca_is_refused_by_an_edge(managed: Managed) -> None:
    """It has the name of the CA, a later time and the highest number, but no signature of its key."""
    async with managed, AsyncExitStack() as stack:
        await managed.start(EDGE)
        file, ca, at = managed.folder(EDGE) / ISSUING, managed.organisation.ca, datetime.now(UTC)
        before = file.read_bytes()
        builder = x509.CertificateRevocationListBuilder(ca.issuing.subject, at, at + timedelta(days=900))
        builder = builder.add_extension(x509.CRLNumber(2**80), critical=False)
        forged = builder.sign(files.new_key(), hashes.SHA256()).public_bytes(Encoding.DER)
        thief = await Giver.meet(stack, managed, EDGE, FE1)
        assert (await thief.give(Item(ItemKind.LIST, forged, ISSUING))).status == 488
        assert file.read_bytes() == before
        assert await accepts(managed, FE2)
