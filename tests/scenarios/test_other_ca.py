"""A network with the CA of another organisation: our issuing CA goes below it, comes from it with its key, or it issues alone.

Phones know the root of that organisation alone, and call each other over two servers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from scenarios.test_root import agent, be_quick, published, rewrite, shown, told
from server.refresh.test_staple_sources import asked
from sipmesh.errors import SipmeshError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.importing.bundle import read_bundle
from sipmesh.pki.importing.subordinate import import_ca, request_ca
from sipmesh.server.certificates import own_certificates
from sipmesh.topology.document.changes import add_root
from sipmesh.topology.view import certificate_names
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import LinkKind
from support.managed import MGMT, Managed, links_between
from support.network import EDGE, EXAMPLE, FE1, FE2, FE3, FE4, hung_up_by_the_other, ringing, text
from support.other_ca import BELOW, ISSUER_KEY, POLICY, SUBJECT_KEY, OtherCa, bundled, openssl
from support.running import on_loop, until

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.pki.authority import EnterpriseCa

SERVERS = (MGMT, FE1, FE2, FE3, FE4, EDGE)
EC = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
LEAF = (
    "basicConstraints=CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=serverAuth,clientAuth",
    SUBJECT_KEY,
    ISSUER_KEY,
)
CRLS = ("anchors/policy.crl", "anchors/corp.crl")


def below_corp(folder: Path, corp: Path) -> EnterpriseCa:
    """Make the next generation of the CA below a policy CA of Corp, with the CRLs of both."""
    generations = CaGenerations(folder / "ca")
    root = OtherCa(corp, "corp").made()
    policy = OtherCa(corp, "policy", POLICY, root).made()
    (folder / "anchors").mkdir(exist_ok=True)
    for above, crl in zip((policy, root), CRLS, strict=True):
        above.crl(folder / crl)
    (corp / "ours.csr").write_bytes(request_ca(generations))
    file = bundled(corp / "all.pem", policy.sign(corp / "ours.csr", corp / "ours.pem", BELOW), policy.pem, root.pem)
    names = (FE1, FE2, EXAMPLE)
    return import_ca(generations, read_bundle(file.read_bytes(), file, str), names, CRLS, datetime.now(UTC))


@pytest.mark.wide
@on_loop
async def test_servers_follow_a_ca_below_that_of_another_organisation(
    managed: Managed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_certificates, "LOOK_AGAIN_S", 0.5)
    (tmp_path / "corp").mkdir()
    organisation = managed.organisation
    old = CaGenerations(organisation.folder / "ca").current
    async with managed as network:
        await network.start(*SERVERS)
        await network.acknowledged(1)
        be_quick(network)
        coming = below_corp(organisation.folder, tmp_path / "corp")
        rewrite(network, partial(add_root, anchor="ca/2/root.pem", crls=(*CRLS, "ca/2/issuing.crl")))
        await published(network, "a CA below that of Corp", 2)
        corp = tmp_path / "corp" / "corp.pem"
        with pytest.raises(SipmeshError):  # FE1 still has a certificate of our own root
            await agent(network, "alice", FE1, corp.read_bytes())
        await network.ask(MGMT, "root", step="activate")
        await shown(network, coming.issuing.subject, old.root.subject)
        await told(network, "issuer", coming.issuing.subject)
        await network.ask(MGMT, "root", step="switch")
        await shown(network, coming.issuing.subject, coming.root.subject)
        chain = network.nodes[FE1].certificates.presented.of(LinkKind.SERVER).chain
        assert [one.subject.rfc4514_string().partition(",")[0] for one in chain[1:]] == [
            "CN=example.test Issuing CA 2",
            "CN=Corp policy",
        ]
        await called_over_two_servers(network, corp)


@pytest.mark.wide
@on_loop
async def test_servers_follow_a_ca_that_was_imported_with_its_key(
    managed: Managed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PKCS #12 file of openssl, and the commands of the page."""
    monkeypatch.setattr(own_certificates, "LOOK_AGAIN_S", 0.5)
    root = OtherCa(tmp_path, "corp").made()
    made = OtherCa(tmp_path, "servers", BELOW[:-1], root, key=EC).made()
    given = ("-in", made.pem, "-inkey", made.key_file, "-certfile", root.pem, "-out", tmp_path / "ca.p12")
    openssl("pkcs12", "-export", *given, "-passout", "pass:a secret")
    async with managed as network:
        await network.start(*SERVERS)
        await network.acknowledged(1)
        be_quick(network)
        old, crl = CaGenerations(network.organisation.folder / "ca").current, has_crl(network, root)
        await network.type("ca", "import", str(tmp_path / "ca.p12"), "--crl", crl, typed="a secret\n")
        await network.type("topology", "publish", "-m", "the CA of Corp")
        await network.acknowledged(2)
        issuer, anchor = subject(made), subject(root)
        await network.type("ca", "root", "activate")
        await shown(network, issuer, old.root.subject)
        await told(network, "issuer", issuer)
        await network.type("ca", "root", "switch", "--yes")
        await shown(network, issuer, anchor)
        await called_over_two_servers(network, root.pem)


@pytest.mark.wide
@on_loop
async def test_servers_with_certificates_of_an_adopted_ca_link_and_serve(managed: Managed, tmp_path: Path) -> None:
    """Its CA issues by openssl. The server whose certificate it revokes then has no links."""
    root = OtherCa(tmp_path, "corp").made()
    made = OtherCa(tmp_path, "servers", BELOW[:-1], root).made()
    async with managed as network:
        crls = [argument for ca in (root, made) for argument in ("--crl", has_crl(network, ca))]
        await network.start(*SERVERS)
        await network.acknowledged(1)
        be_quick(network)
        await network.type("ca", "adopt", str(bundled(tmp_path / "all.pem", made.pem, root.pem)), *crls)
        await network.type("topology", "publish", "-m", "trust the enterprise CA")
        await network.acknowledged(2)
        for server in (FE1, FE2):
            put_in_place(network, made, server)
        await until(lambda: {shown_to_servers(network, server).issuer for server in (FE1, FE2)} == {subject(made)})
        old = links_between(network.nodes[FE1], FE2)
        for link in old:
            link.drain()
        await until(lambda: all(link.state is LinkState.CLOSED for link in old))
        await called_over_two_servers(network, root.pem)
        serial = shown_to_servers(network, FE2).serial_number
        relied_on = [one.verdict.relied_on for one in links_between(network.nodes[FE1], FE2) if one.verdict is not None]
        assert relied_on
        assert all((subject(made).public_bytes(), serial) in one for one in relied_on)
        made.crl(network.organisation.folder / "anchors" / "servers.crl", revoked=serial)
        await until(lambda: not links_between(network.nodes[FE1], FE2))
        assert links_between(network.nodes[FE1], EDGE)


async def called_over_two_servers(network: Managed, root: Path) -> None:
    """Who knows *root* alone gets a handshake with both servers, and a call from one to the other."""
    for server in (FE1, FE2):
        port = network.organisation.ports[server][LinkKind.CLIENT]
        assert "Verify return code: 0 (ok)" in await asked(port, root, name=server)
    trusted = root.read_bytes()  # noqa: ASYNC240 - a test
    alice, bob = await agent(network, "alice", FE1, trusted), await agent(network, "bob", FE2, trusted)
    outcome = await alice.message(f"bob@{EXAMPLE}", "over two servers")
    assert outcome is not None
    assert outcome.ok
    assert (await text(bob)).sender == f"sip:alice@{EXAMPLE}"
    call = await alice.call(f"bob@{EXAMPLE}")
    other = await ringing(bob)
    assert (await call.answered()).ok
    assert await hung_up_by_the_other(call, other)
    await alice.close()
    await bob.close()


def has_crl(network: Managed, ca: OtherCa) -> str:
    """Give the organisation a CRL of another CA, as file below anchors/."""
    name = f"anchors/{ca.name}.crl"
    (network.organisation.folder / "anchors").mkdir(exist_ok=True)
    ca.crl(network.organisation.folder / name)
    return name


def put_in_place(network: Managed, ca: OtherCa, server: str) -> None:
    """Give a server a certificate of another CA, with all its names and both usages, and its key."""
    names = ",".join(f"DNS:{name}" for name in certificate_names(network.organisation.load().topology, server))
    csr = ca.folder / f"{server}.csr"
    openssl(
        "req",
        "-new",
        "-newkey",
        *EC,
        "-nodes",
        "-subj",
        f"/CN={server}",
        "-keyout",
        csr.with_suffix(".key"),
        "-out",
        csr,
    )
    leaf = ca.sign(csr, csr.with_suffix(".pem"), (*LEAF, f"subjectAltName={names}"), "-days", "30")
    folder = network.folder(server) / "servers"
    bundled(folder / f"{server}.pem", leaf, ca.pem)
    bundled(folder / f"{server}.key", csr.with_suffix(".key"))


def shown_to_servers(network: Managed, server: str) -> x509.Certificate:
    return network.nodes[server].certificates.presented.of(LinkKind.SERVER).leaf


def subject(ca: OtherCa) -> x509.Name:
    return x509.load_pem_x509_certificate(ca.pem.read_bytes()).subject
