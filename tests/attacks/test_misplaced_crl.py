"""What a stolen front end cannot do with CRLs that it passes to an edge: put the CRL of one CA in the place of another one."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.pki import files
from sipmesh.pki.issuance.profiles import BACKDATED
from support.giver import Giver
from support.giving import OTHER_LIST, name_another_list
from support.managed import Managed
from support.network import EDGE, FE1, FE2
from support.running import on_loop, until

ROOT, ISSUING = "ca/root.crl", "ca/issuing.crl"
NEXT = timedelta(minutes=2)


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


def ahead(managed: Managed, by: timedelta) -> bytes:
    """The next CRL of our issuing CA, signed on a host whose clock is ahead: it begins *by* after our time."""
    return managed.organisation.ca.crls.publish(datetime.now(UTC) + BACKDATED + by).read_bytes()


@pytest.mark.parametrize("by", [NEXT, timedelta(0)])
@on_loop
async def test_crl_that_has_not_begun_refuses_no_peer(managed: Managed, by: timedelta) -> None:
    """It would have every server refused until it begins. A CRL that has begun is put in force."""
    async with managed, AsyncExitStack() as stack:
        await managed.start(EDGE)
        file = managed.folder(EDGE) / ISSUING
        before, thief = file.read_bytes(), await Giver.meet(stack, managed, EDGE, FE1)
        content = ahead(managed, by)
        assert (await thief.give(Item(ItemKind.LIST, content, ISSUING))).status == 200
        assert file.read_bytes() == (before if by else content)
        assert await accepts(managed, FE2)


@on_loop
async def test_crl_that_has_not_begun_is_in_force_once_it_begins(managed: Managed) -> None:
    """A server whose clock is a little behind does not wait for the CRL after it."""
    async with managed, AsyncExitStack() as stack:
        await managed.start(EDGE)
        front_end = await Giver.meet(stack, managed, EDGE, FE1)
        content = ahead(managed, timedelta(seconds=2))
        assert (await front_end.give(Item(ItemKind.LIST, content, ISSUING))).status == 200
        await until(lambda: (managed.folder(EDGE) / ISSUING).read_bytes() == content)
        assert await accepts(managed, FE2)


@pytest.mark.parametrize("content", [b"no CRL", None])
@on_loop
async def test_crl_that_came_before_its_version_does_not_keep_the_version_out(
    managed: Managed, content: bytes | None
) -> None:
    """A stolen front end has given it, under the name that the next version has; no server could check it then."""
    async with managed, AsyncExitStack() as stack:
        await managed.start(EDGE)
        early = (managed.organisation.folder / ISSUING).read_bytes()
        thief = await Giver.meet(stack, managed, EDGE, FE1)
        assert (await thief.give(Item(ItemKind.LIST, content or early, OTHER_LIST))).status == 200
        name_another_list(managed)
        version = managed.version(2)
        rightful = await Giver.meet(stack, managed, EDGE, FE2)
        assert (await rightful.topology(version)).status == 200
        assert (await rightful.give(Item(ItemKind.LIST, early, OTHER_LIST))).status == 200
        assert (managed.folder(EDGE) / OTHER_LIST).read_bytes() == early
        await until(lambda: managed.number(EDGE) == 2)


@pytest.mark.parametrize(("issuer", "status"), [("Second", 488), ("First", 200)])
@on_loop
async def test_crl_of_an_unknown_ca_replaces_no_expired_one_of_another_ca(
    managed: Managed, tmp_path: Path, issuer: str, status: int
) -> None:
    """With a nextUpdate of any year, it would keep the valid CRL out for ever. That of the same CA is accepted."""
    at = datetime.now(UTC)
    keys = {name: files.new_key() for name in ("First", "Second")}

    def crl(name: str, begins: datetime) -> bytes:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = x509.CertificateRevocationListBuilder(subject, begins, begins + timedelta(days=1))
        builder = builder.add_extension(x509.CRLNumber(int(begins.timestamp())), critical=False)
        return builder.sign(keys[name], hashes.SHA256()).public_bytes(Encoding.DER)

    async with managed, AsyncExitStack() as stack:
        await managed.start(EDGE)
        giver = await Giver.meet(stack, managed, EDGE, FE1)
        name_another_list(managed)
        assert (await giver.topology(managed.version(2))).status == 200
        file = managed.folder(EDGE) / OTHER_LIST
        file.write_bytes(crl("First", at - timedelta(days=9)))
        content = crl(issuer, at)
        assert (await giver.give(Item(ItemKind.LIST, content, OTHER_LIST))).status == status
        assert (file.read_bytes() == content) is (status == 200)
