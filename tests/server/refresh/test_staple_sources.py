"""A running server staples the OCSP response about its own certificate for a client that asks: ``openssl s_client -status``."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

from scenarios.test_revocation import credentials_of, leaf_of, partner_entry, revoke
from scenarios.test_stapled_responses import MUST_STAPLE, REVOKED
from sipmesh.demo.forge import SERVER_AUTH, Forge, Forged
from sipmesh.demo.nameserver import NameServer
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST, free_port
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.files import certificates_pem
from sipmesh.server.in_force.roles import partner_hop
from sipmesh.server.management.ca_publication import CaPublication
from sipmesh.server.refresh.staple_sources import LARGEST_STAPLE, NO_RESPONDER, NOT_STAPLED, StapleSources
from sipmesh.server.running.running_server import RunningServer
from sipmesh.server.service import Service
from sipmesh.topology.view import certificate_names
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.network import EDGE, FE1, FE2, PARTNER, PARTNER_EDGE, PARTNER_EDGES, Network
from support.programs import ended
from support.publisher import Publisher, Responder
from support.running import on_loop, until
from support.service import service_here
from support.telling import Told

SENT_NONE = "OCSP response: no response sent"
TLS = ("-tls1_2", "-tls1_3")


def serial(certificate: x509.Certificate) -> str:
    """The serial number as openssl prints it in a response."""
    return f"Serial Number: {certificate.serial_number.to_bytes(20).lstrip(bytes(1)).hex().upper()}"


def responder_at(*urls: str) -> x509.AuthorityInformationAccess:
    """The extension that names OCSP responders."""
    return x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))
            for url in urls
        ]
    )


async def asked(port: int, root: Path, *more: str, name: str = FE1) -> str:
    """What a client shows that asks for a staple, and refuses a certificate that its root has not issued."""
    command = ["openssl", "s_client", "-connect", f"{HOST}:{port}", "-servername", name, "-CAfile", str(root)]
    command += ["-status", "-verify_return_error", *more]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        out, _ = await process.communicate(b"")
    finally:
        await ended(process)
    return out.decode(errors="replace")


@dataclass
class Place:
    """A server of *organisation* whose CA has a responder; *leaf* is its certificate."""

    organisation: Organisation
    name: str
    publisher: Publisher
    leaf: Forged
    responder: Responder
    told: Told = field(default_factory=Told)
    service: Service = None  # type: ignore[assignment]  # once it runs
    node: RunningServer = None  # type: ignore[assignment]

    @property
    def root(self) -> Path:
        return self.organisation.folder / "ca" / "root.pem"

    @property
    def sources(self) -> StapleSources:
        assert self.service.fetching.fetcher is not None
        return self.service.fetching.fetcher.staples

    @asynccontextmanager
    async def runs(self) -> AsyncIterator[RunningServer]:
        async with service_here(self.organisation, self.told, self.name) as (self.service, self.node):
            yield self.node

    async def fetched(self) -> None:
        """Fetch now, and wait for the result."""
        await self.sources.poke(self.leaf.certificate)

    async def shown(self, *more: str, kind: LinkKind = LinkKind.CLIENT) -> str:
        return await asked(self.organisation.ports[self.name][kind], self.root, *more, name=self.name)

    @property
    def stapled(self) -> bytes:
        return self.node.certificates.staples.of(self.leaf.certificate.public_bytes(Encoding.DER))


def issuing_of(organisation: Organisation) -> Forged:
    """The issuing CA with its key."""
    folder = organisation.folder / "ca"
    root = Forged.read(folder / "root.pem", folder / "root.key")
    return Forged.read(folder / "issuing.pem", folder / "issuing.key", root)


@asynccontextmanager
async def place(organisation: Organisation, name: str, *extra: x509.ExtensionType) -> AsyncIterator[Place]:
    """The server has a certificate of our CA that names a responder."""
    issuing = issuing_of(organisation)
    async with Publisher() as publisher:
        names = certificate_names(organisation.load().topology, name)
        forge = Forge(datetime.now(UTC))
        leaf = forge.server(issuing, *names, extra=(responder_at(publisher.url("/ocsp")), *extra))
        leaf.write(organisation.folder / "servers", name)
        responder = Responder(issuing, known=[leaf.certificate])
        publisher.pages["/ocsp"] = responder.page
        yield Place(organisation, name, publisher, leaf, responder)


@on_loop
async def test_response_of_the_responder_of_our_ca_is_stapled_at_the_client_and_the_server_port(
    example: Organisation,
) -> None:
    """The responder is that of management, with its ledger; a client that does not ask gets nothing."""
    port = free_port()
    authority: Any = example.document["authority"]
    authority.update({"ocsp": [f"http://{HOST}:{port}/ocsp"], "revocation": "both"})
    example.write()
    told = Told()
    responder = CaPublication(example.folder / "ca", (HOST, port), lambda: datetime.now(UTC), told.log)
    await responder.open()
    try:
        async with service_here(example, told, FE1) as (service, node):
            assert service.fetching.fetcher is not None
            leaf = leaf_of(credentials_of(example, FE1))
            await service.fetching.fetcher.staples.poke(leaf)
            root, ports = example.folder / "ca" / "root.pem", example.ports[FE1]
            other, key = credentials_of(example, FE2)
            as_server = ("-cert", str(other), "-cert_chain", str(other), "-key", str(key))
            for version in TLS:
                for out in (
                    await asked(ports[LinkKind.CLIENT], root, version),
                    await asked(ports[LinkKind.SERVER], root, version, *as_server),
                ):
                    assert "OCSP Response Status: successful (0x0)" in out, out
                    assert "Cert Status: good" in out
                    assert serial(leaf) in out
                    assert "Verify return code: 0 (ok)" in out
            revoke(example, leaf)
            await until(lambda: not node.certificates.staples.of(leaf.public_bytes(Encoding.DER)))
            assert SENT_NONE in await asked(ports[LinkKind.CLIENT], root)
    finally:
        await responder.close()


@on_loop
async def test_certificate_that_our_ca_has_issued_names_the_responder_and_needs_no_setting(
    example: Organisation,
) -> None:
    """The topology has no `authority.ocsp`; the control is the test of a certificate that names no responder."""
    port, folder = free_port(), example.folder / "ca"
    with closing(sqlite3.connect(folder / "ledger.db")) as db, db:
        db.execute("UPDATE facts SET value = ? WHERE key = 'crl_base'", (f"http://{HOST}:{port}",))
    ca = EnterpriseCa.open(folder)
    ca.publish(is_on=True)
    issued = ca.issue(certificate_names(example.load().topology, FE1), Role.FRONT_END, datetime.now(UTC))
    issued.write(*credentials_of(example, FE1))
    told = Told()
    responder = CaPublication(folder, (HOST, port), lambda: datetime.now(UTC), told.log)
    await responder.open()
    try:
        async with service_here(example, told, FE1) as (service, node):
            assert service.fetching.fetcher is not None
            await service.fetching.fetcher.staples.poke(issued.certificate)
            shown = await asked(example.ports[FE1][LinkKind.CLIENT], folder / "root.pem")
            assert "Cert Status: good" in shown
            assert serial(issued.certificate) in shown
            revoke(example, issued.certificate)
            await until(lambda: not node.certificates.staples.of(issued.certificate.public_bytes(Encoding.DER)))
    finally:
        await responder.close()


@on_loop
async def test_partner_that_asks_gets_the_staple_of_our_edge(federation: Network) -> None:
    example, partner = federation.organisations
    other, key = credentials_of(partner, PARTNER_EDGE)
    async with place(example, EDGE) as here, here.runs():
        await here.fetched()
        shown = await here.shown(
            "-cert", str(other), "-cert_chain", str(other), "-key", str(key), kind=LinkKind.PARTNER
        )
        assert "Cert Status: good" in shown


@on_loop
async def test_certificate_that_names_no_responder_gets_no_staple_and_nothing_is_fetched(
    example: Organisation,
) -> None:
    told = Told()
    async with service_here(example, told, FE1) as (service, _):
        assert SENT_NONE in await asked(
            example.ports[FE1][LinkKind.CLIENT], example.folder / "ca" / "root.pem", name=FE1
        )
        assert service.fetching.fetcher is None


@on_loop
async def test_certificate_that_demands_a_staple_without_a_responder_is_logged(example: Organisation) -> None:
    names = certificate_names(example.load().topology, FE1)
    leaf = Forge(datetime.now(UTC)).server(issuing_of(example), *names, **MUST_STAPLE)
    leaf.write(example.folder / "servers", FE1)
    told = Told()
    async with service_here(example, told, FE1):
        assert told.last(NO_RESPONDER)["serial"] == f"{leaf.certificate.serial_number:x}"


@on_loop
async def test_stale_response_is_not_stapled_and_a_new_one_is(example: Organisation) -> None:
    async with place(example, FE1) as here, here.runs() as node:
        await here.fetched()
        first = here.stapled
        assert first
        later = here.responder.ends
        node.gatekeeper.clock = lambda: datetime.now(UTC) + later
        assert SENT_NONE in await here.shown()
        here.responder.begins, here.responder.ends = later, 2 * later
        await here.fetched()
        assert "Cert Status: good" in await here.shown()
        assert here.stapled != first


@on_loop
async def test_response_is_fetched_again_before_it_ends(example: Organisation) -> None:
    """The job runs again at half of the time that is left, and the pause is a minute at least."""
    async with place(example, FE1) as here, here.runs():
        await here.fetched()
        [run] = here.sources._schedule._runs.values()
        await until(lambda: run.timer is not None)
        assert run.timer is not None
        assert 0 < run.timer.when() - here.node.loop.time() <= here.responder.ends.total_seconds() / 2


def of_another_certificate(here: Place) -> None:
    other = Forge(datetime.now(UTC)).server(issuing_of(here.organisation), "other.test")
    here.responder.about = other.certificate


def of_another_ca(here: Place) -> None:
    here.responder.signer = Forge(datetime.now(UTC)).organisation("Evil")


def already_over(here: Place) -> None:
    here.responder.begins, here.responder.ends = timedelta(days=-9), timedelta(days=-8)


def an_older_one(here: Place) -> None:
    here.responder.begins = timedelta(hours=-1)


def a_large_one(here: Place) -> None:
    padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), bytes(LARGEST_STAPLE))
    forged = Forge(datetime.now(UTC)).organisation("Evil")
    of = forged.certificate
    here.responder.beside = [
        x509.CertificateBuilder()
        .subject_name(of.subject)
        .issuer_name(of.subject)
        .public_key(forged.key.public_key())
        .serial_number(1)
        .not_valid_before(of.not_valid_before_utc)
        .not_valid_after(of.not_valid_after_utc)
        .add_extension(padding, critical=False)
        .sign(forged.key, hashes.SHA256())
    ]


def revoked(here: Place) -> None:
    here.responder.status = REVOKED


@pytest.mark.parametrize("spoil", [of_another_certificate, of_another_ca, already_over, a_large_one])
@on_loop
async def test_response_that_does_not_count_is_never_stapled(
    example: Organisation, spoil: Callable[[Place], None]
) -> None:
    async with place(example, FE1) as here:
        spoil(here)
        async with here.runs():
            await here.fetched()
            assert SENT_NONE in await here.shown()
            assert here.told.last("the OCSP response that is stapled was not renewed")["until"] == ""


@pytest.mark.parametrize("spoil", [of_another_certificate, of_another_ca, already_over, an_older_one, a_large_one])
@on_loop
async def test_response_that_does_not_count_replaces_none(
    example: Organisation, spoil: Callable[[Place], None]
) -> None:
    async with place(example, FE1) as here, here.runs():
        await here.fetched()
        good = here.stapled
        spoil(here)
        await here.fetched()
        assert here.stapled == good
        assert "Cert Status: good" in await here.shown()


@on_loop
async def test_revoked_certificate_gets_no_staple_once_the_responder_says_so(example: Organisation) -> None:
    async with place(example, FE1) as here, here.runs():
        await here.fetched()
        assert here.stapled
        revoked(here)
        await here.fetched()
        assert SENT_NONE in await here.shown()
        assert "says revoked" in here.told.last(NOT_STAPLED)["why"]


@on_loop
async def test_certificate_that_a_crl_in_force_revokes_gets_no_staple_though_the_responder_says_good(
    example: Organisation,
) -> None:
    async with place(example, FE1) as here, here.runs() as node:
        await here.fetched()
        assert here.stapled
        leaf = here.leaf.certificate
        node.revocation.revoke([(leaf.issuer.public_bytes(), leaf.serial_number)])
        assert SENT_NONE in await here.shown()
        await here.fetched()
        assert SENT_NONE in await here.shown()


@on_loop
async def test_response_outlives_a_restart_while_the_responder_is_away(example: Organisation) -> None:
    async with place(example, FE1) as here:
        async with here.runs():
            await here.fetched()
            first = here.stapled
        await here.publisher.close()
        async with here.runs():
            assert here.stapled == first
            assert "Cert Status: good" in await here.shown()


@on_loop
async def test_new_certificate_gets_its_own_response_and_the_old_one_is_forgotten(example: Organisation) -> None:
    async with place(example, FE1) as here, here.runs():
        await here.fetched()
        names = certificate_names(example.load().topology, FE1)
        urls = responder_at(here.publisher.url("/ocsp"))
        new = Forge(datetime.now(UTC)).server(issuing_of(example), *names, extra=(urls,))
        here.responder.known.append(new.certificate)
        new.write(example.folder / "servers", FE1)
        here.service.reload()
        assert here.stapled == b""
        here.leaf = new
        await here.fetched()
        assert serial(new.certificate) in await here.shown()
        assert len(list((example.folder / "state" / "fetched").glob("*.ocsp"))) == 1


@pytest.mark.parametrize("is_there", [True, False])
@on_loop
async def test_partner_accepts_our_must_staple_certificate_while_its_response_is_there(
    federation: Network, *, is_there: bool
) -> None:
    """Both ends are sipmesh: the edge of example.test connects to that of its partner, and asks for the staple."""
    example, partner = federation.organisations
    partner_entry(example).update(
        {
            "edge": f"{PARTNER_EDGES}:{partner.ports[PARTNER_EDGE][LinkKind.PARTNER]}",
            "address": HOST,
            "crls": [str(partner.folder / "ca" / "root.crl")],
            "ocsp": [f"http://{HOST}:{free_port()}/"],
            "revocation": "ocsp",
        }
    )
    example.write()
    demand = MUST_STAPLE["extra"]
    async with place(partner, PARTNER_EDGE, *demand) as theirs, theirs.runs():
        if is_there:
            await theirs.fetched()
        else:
            theirs.responder.known.clear()
            await theirs.fetched()
            theirs.node.certificates.staples.drop(theirs.leaf.certificate)
        async with service_here(example, Told(), EDGE) as (_, node):
            entry = node.view.partner_named(PARTNER)
            assert entry is not None
            link = node.pool.dial(partner_hop(entry, PARTNER))
            await until(lambda: link.state in {LinkState.UP, LinkState.CLOSED})
            assert link.verdict is not None, link.why
            assert link.verdict.code is (Code.ACCEPTED if is_there else Code.STAPLE_MISSING)


# The certificate of another CA


@dataclass
class Public:
    """A front end with a certificate of a public CA, whose responder *url* names."""

    example: Organisation
    folder: Path
    names: NameServer
    told: Told = field(default_factory=Told)

    def has(self, publisher: Publisher, *urls: str) -> Forged:
        forge = Forge(datetime.now(UTC))
        root = forge.root("A public CA")
        issuing = forge.authority("Its issuing CA", root)
        leaf = forge.server(issuing, dns=(FE1,), usages=(SERVER_AUTH,), extra=(responder_at(*urls),))
        leaf.write(self.example.folder / "servers", "public")
        (self.folder / "public-root.pem").write_bytes(certificates_pem([root.certificate]))
        publisher.pages["/ocsp"] = Responder(issuing, known=[leaf.certificate]).page
        document: Any = self.example.document
        servers = [server for pool in document["pools"] for server in pool["servers"]]
        mine = next(one for one in servers if one["name"] == FE1)
        mine["client_certificates"] = [{"certificate": "servers/public.pem", "key": "servers/public.key"}]
        document["dns"] = {"servers": [self.names.setting]}
        self.example.write()
        return leaf


@asynccontextmanager
async def public(example: Organisation, folder: Path) -> AsyncIterator[tuple[Public, Publisher]]:
    names = NameServer({("ocsp.ca.test", "A"): [HOST]})
    await names.start(HOST)
    try:
        async with Publisher() as publisher:
            yield Public(example, folder, names), publisher
    finally:
        names.close()


@on_loop
async def test_certificate_of_a_public_ca_with_a_responder_gets_its_staple(
    example: Organisation, tmp_path: Path
) -> None:
    async with public(example, tmp_path) as (here, publisher):
        document: Any = example.document
        document.setdefault("federation", {})["networks"] = ["127.0.0.0/8"]
        leaf = here.has(publisher, f"http://ocsp.ca.test:{publisher.port}/ocsp")
        async with service_here(example, here.told, FE1) as (service, node):
            await until(lambda: node.certificates.for_clients.identities)
            assert service.fetching.fetcher is not None
            await service.fetching.fetcher.staples.poke(leaf.certificate)
            shown = await asked(example.ports[FE1][LinkKind.CLIENT], tmp_path / "public-root.pem")
            assert "Cert Status: good" in shown
            assert "Verify return code: 0 (ok)" in shown


@pytest.mark.parametrize(
    "host", [HOST, "2130706433", "127.1", "0x7f.1", "0x7f000001", "127.0.0.1.", "[::1]", "ocsp.ca.test", "localhost"]
)
@on_loop
async def test_certificate_of_a_public_ca_leads_this_server_to_none_of_its_own_addresses(
    example: Organisation, tmp_path: Path, host: str
) -> None:
    """A public CA is a stranger; where the topology names no network, also a name leads nowhere inside."""
    async with public(example, tmp_path) as (here, publisher):
        leaf = here.has(publisher, f"http://{host}:{publisher.port}/ocsp")
        async with service_here(example, here.told, FE1) as (service, node):
            await until(lambda: node.certificates.for_clients.identities)
            fetcher = service.fetching.fetcher
            if fetcher is not None and any(fetcher.staples._jobs):
                await fetcher.staples.poke(leaf.certificate)
            assert publisher.asked == []
            assert SENT_NONE in await asked(example.ports[FE1][LinkKind.CLIENT], tmp_path / "public-root.pem")


@pytest.mark.parametrize("scheme", ["file:///etc/passwd", "ldap://ocsp.ca.test/", "http://a@ocsp.ca.test/"])
@on_loop
async def test_other_schemes_and_user_names_are_no_responders(
    example: Organisation, tmp_path: Path, scheme: str
) -> None:
    async with public(example, tmp_path) as (here, publisher):
        here.has(publisher, scheme)
        async with service_here(example, here.told, FE1) as (service, node):
            await until(lambda: node.certificates.for_clients.identities)
            assert service.fetching.fetcher is not None
            assert not service.fetching.fetcher.staples._jobs
