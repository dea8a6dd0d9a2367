"""The certificates that one server presents, and the links under an old one."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from server.certificates.test_client_certificates import named
from sipmesh.demo.forge import CLIENT_AUTH, SERVER_AUTH, Forge
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.certificates.own_certificates import CLIENTS_NOT_TAKEN, OwnCertificates
from sipmesh.server.proxy.control_plane import ControlPlane
from sipmesh.topology.view import view
from sipmesh.transport.accept.listener import PlainSpec
from sipmesh.transport.hop import Hop
from sipmesh.trust.evidence import LinkKind
from support.in_force import put_view
from support.network import FE1, FE2, Network
from support.running import on_loop, until
from support.server_parts import server_parts
from transport.authority import Authority

Usages = tuple[x509.ObjectIdentifier, ...]
IN_USE = "new certificate in use"


def file_of(example: Organisation, server: str = FE1) -> Path:
    """The certificate of a server on disk."""
    return example.folder / "servers" / f"{server}.pem"


def put_in_force(example: Organisation, certificates: OwnCertificates) -> None:
    """Let a server read its certificates again."""
    put_view(certificates._current, view(example.load(), FE1))
    certificates.read_again()


@on_loop
async def test_certificate_is_read_at_the_start_and_used_for_every_port(example: Organisation) -> None:
    async with server_parts(example, FE1) as parts:
        certificates = parts.peers.certificates
        certificates.load()
        assert set(certificates.chains()) == {False}
        hop = Hop(FE2, LinkKind.SERVER, (("127.0.0.1", 1),))
        server = PlainSpec(LinkKind.SERVER, "127.0.0.1", 1, FE1, "server")
        assert certificates.opening_context(hop) is certificates.accepting_context(server)
        assert certificates.accepting_context(PlainSpec(LinkKind.CLIENT, "127.0.0.1", 1, FE1, "client")) is not None
        assert list(certificates.faults) == []


@on_loop
async def test_server_without_a_usable_certificate_does_not_start(example: Organisation) -> None:
    file_of(example).write_text("no certificate")
    async with server_parts(example, FE1) as parts:
        with pytest.raises(OperatorError):
            parts.peers.certificates.load()


@on_loop
async def test_domain_that_is_not_in_the_certificate_is_reported_with_the_command(example: Organisation) -> None:
    example.document["sip_domains"] = ["example.test", "example.org"]
    example.write()
    async with server_parts(example, FE1) as parts:
        parts.peers.certificates.load()
        told = parts.told.last("own certificate lacks names")
        assert (told["missing"], told["remedy"]) == (["example.org"], f"sipmesh ca issue {FE1}")


@on_loop
async def test_new_certificate_is_used_and_reported_to_the_control_plane(example: Organisation) -> None:
    async with server_parts(example, FE1) as parts:
        certificates, told = parts.peers.certificates, list[str]()
        certificates.load()
        plane = type("Plane", (ControlPlane,), {"certificate_changed": lambda _: told.append("changed")})
        parts.setup.outside.control_plane = plane()
        before = certificates.presented.of(LinkKind.SERVER).leaf
        put_in_force(example, certificates)
        assert certificates.presented.of(LinkKind.SERVER).leaf == before
        await asyncio.sleep(0)
        told.clear()
        example.issue(FE1)
        put_in_force(example, certificates)
        assert certificates.presented.of(LinkKind.SERVER).leaf != before
        await asyncio.sleep(0)
        assert told == ["changed"]
        assert len(list(parts.told.events(IN_USE))) == 1


@on_loop
async def test_certificate_that_peers_would_refuse_is_not_used_until_it_is_valid(example: Organisation) -> None:
    async with server_parts(example, FE1) as parts:
        certificates = parts.peers.certificates
        certificates.load()
        before, good = certificates.presented.of(LinkKind.SERVER).leaf, file_of(example).read_bytes()
        shutil.copy(file_of(example, FE2), file_of(example))
        put_in_force(example, certificates)
        assert certificates.presented.of(LinkKind.SERVER).leaf == before
        assert len(list(certificates.faults)) == 1
        assert not certificates.would_change(datetime.now(UTC))
        file_of(example).write_bytes(good)
        put_in_force(example, certificates)
        assert list(certificates.faults) == []
        assert not certificates.would_change(datetime.now(UTC))


@on_loop
@pytest.mark.wide
async def test_links_that_we_opened_under_the_old_certificate_are_replaced_before_it_expires(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
        node, example = pool.nodes[FE1], pool.organisations[0]
        [old] = [link for link in node.pool.all() if link.kind is LinkKind.SERVER]
        assert node.certificates.replace_links(datetime.now(UTC)) == []
        example.issue(FE1)
        node.put_in_force(example.load())
        later = datetime.now(UTC) + timedelta(days=60)
        await until(lambda: old.id in node.certificates.replace_links(later) or not old.usable)
        await until(lambda: any(link.kind is LinkKind.SERVER and link is not old for link in node.pool.all()))


@on_loop
async def test_certificate_for_clients_is_used_and_one_of_another_name_is_reported(
    example: Organisation, tmp_path: Path
) -> None:
    public = Authority.create(tmp_path / "public", "Public CA")
    named(example, public.issue(FE1))
    async with server_parts(example, FE1) as parts:
        certificates = parts.peers.certificates
        certificates.load()
        assert len(list(parts.told.events("new certificate for clients in use"))) == 1
        assert certificates.for_clients.names == {FE1}
        named(example, public.issue(FE1), public.issue("evil.test"))
        for _ in range(2):
            put_in_force(example, certificates)
        assert len(list(parts.told.events(CLIENTS_NOT_TAKEN))) == 1
        assert len(list(certificates.faults)) == 1
        assert not certificates.would_change(datetime.now(UTC))


@on_loop
@pytest.mark.parametrize(
    ("before", "now", "warned"),
    [
        ((SERVER_AUTH, CLIENT_AUTH), (SERVER_AUTH,), True),
        ((), (SERVER_AUTH,), True),
        ((SERVER_AUTH, CLIENT_AUTH), (SERVER_AUTH, CLIENT_AUTH), False),
        ((SERVER_AUTH,), (SERVER_AUTH,), False),
        ((SERVER_AUTH,), (), False),
    ],
)
async def test_lost_usage_for_clients_is_reported_once_when_the_new_certificate_is_used(
    example: Organisation, before: Usages, now: Usages, *, warned: bool
) -> None:
    """A partner with `client_usage: strict` refuses links that we open with such a certificate."""
    forge = Forge(datetime.now(UTC))
    issuing = forge.organisation("Public")
    leaves = [forge.server(issuing, FE1, usages=usages).certificate for usages in (before, now)]
    async with server_parts(example, FE1) as parts:
        parts.peers.certificates._warn_of_lost_usage(*leaves)
        assert bool(list(parts.told.events("new certificate has no usage clientAuth any more"))) is warned
