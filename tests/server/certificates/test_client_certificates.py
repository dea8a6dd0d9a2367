"""Certificates for clients: each fault keeps the certificate that clients got before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.demo.organisation import Organisation
from sipmesh.server.certificates.client_certificates import ClientCertificates
from sipmesh.topology.view import ServerView, view
from sipmesh.transport.tls.contexts import Identity
from support.network import EXAMPLE, FE1
from transport.authority import Authority

NOW = datetime.now(UTC)
FAR = timedelta(days=400)


@pytest.fixture(name="public")
def _public(tmp_path: Path) -> Authority:
    """A CA that our topology does not know."""
    return Authority.create(tmp_path / "public", "Public CA")


def named(example: Organisation, *identities: Identity) -> ServerView:
    """Let the topology name *identities* for the clients of fe1."""
    document: dict[str, Any] = example.document
    for pool in document["pools"]:
        for server in pool["servers"]:
            if server["name"] == FE1:
                server["client_certificates"] = [
                    {"certificate": str(one.chain_path), "key": str(one.key_path)} for one in identities
                ]
    example.write()
    return view(example.load(), FE1)


@pytest.mark.parametrize("name", [FE1, EXAMPLE, "pool1.example.test"])
def test_certificate_of_any_ca_with_a_name_of_ours_is_used(example: Organisation, public: Authority, name: str) -> None:
    found = ClientCertificates().after(named(example, public.issue(name)), NOW)
    assert ([one.leaf.issuer for one in found.identities], list(found.faults)) == ([public.root.subject], [])
    assert [chain.file for chain in found.chains] == [str(public.folder / f"{name}.pem")]


def test_wildcard_for_our_servers_is_used(example: Organisation, public: Authority) -> None:
    found = ClientCertificates().after(named(example, public.issue("*.example.test")), NOW)
    assert found.identities
    assert found.names == {"*.example.test"}


def weak(public: Authority) -> Identity:
    return public.issue(FE1, key=rsa.generate_private_key(65537, 1024))  # noqa: S505 - it has to be refused


def for_clients_only(public: Authority) -> Identity:
    return public.issue(FE1, usages=[ExtendedKeyUsageOID.CLIENT_AUTH])


def with_another_key(public: Authority) -> Identity:
    made, other = public.issue(FE1), public.issue(FE1, file="other")
    made.key_path.write_bytes(other.key_path.read_bytes())
    return made


def with_an_open_key(public: Authority) -> Identity:
    made = public.issue(FE1)
    made.key_path.chmod(0o644)
    return made


def without_a_key(public: Authority) -> Identity:
    made = public.issue(FE1)
    made.key_path.unlink()
    return made


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda public: public.issue("www.other.test"), "holds none of the names of this server"),
        (lambda public: public.issue(FE1, until=timedelta(days=-1), since=-FAR), "is valid only from"),
        (lambda public: public.issue(FE1, since=timedelta(days=1), until=FAR), "is valid only from"),
        (for_clients_only, "its usage is not serverAuth"),
        (weak, "an RSA key of 1024 bits"),
        (with_another_key, "the key does not belong to the certificate"),
        (with_an_open_key, "has mode 0644"),
        (without_a_key, "cannot be read"),
    ],
)
def test_faulty_certificate_is_not_used_and_the_certificate_before_stays(
    example: Organisation, public: Authority, make: Callable[[Authority], Identity], fault: str
) -> None:
    seen = named(example, public.issue(FE1))
    first = ClientCertificates().after(seen, NOW)
    make_in_place(make, public)
    alone, after = ClientCertificates().after(seen, NOW), first.after(seen, NOW)
    assert fault in next(iter(after.faults)).fault
    assert after.identities == first.identities
    assert alone.identities == ()


def make_in_place(make: Callable[[Authority], Identity], public: Authority) -> None:
    """Write what *make* makes into the files that the topology names."""
    made = make(public)
    if made.chain_path.name != f"{FE1}.pem":
        (public.folder / f"{FE1}.pem").write_bytes(made.chain_path.read_bytes())
        (public.folder / f"{FE1}.key").write_bytes(made.key_path.read_bytes())


def test_file_whose_certificates_are_no_chain_is_not_used(example: Organisation, public: Authority) -> None:
    made, other = public.issue(FE1), public.issue("other.test")
    made.chain_path.write_bytes(made.chain_path.read_bytes() + other.chain_path.read_bytes())
    found = ClientCertificates().after(named(example, made), NOW)
    assert "the file is no chain" in next(iter(found.faults)).fault


def test_certificate_of_a_ca_is_not_used(example: Organisation, public: Authority) -> None:
    root, key = public.folder / "root.pem", public.folder / "root.key"
    root.write_bytes(public.root.public_bytes(Encoding.PEM))
    key.write_bytes(public.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)
    found = ClientCertificates().after(named(example, Identity.load(root, key)), NOW)
    assert found.identities == ()


def test_certificate_that_has_not_changed_is_the_same(example: Organisation, public: Authority) -> None:
    seen = named(example, public.issue(FE1))
    first = ClientCertificates().after(seen, NOW)
    assert first.after(seen, NOW).identities[0] is first.identities[0]
    public.issue(FE1)
    assert first.after(seen, NOW).identities[0] is not first.identities[0]


def test_certificate_that_the_topology_no_longer_names_is_gone(example: Organisation, public: Authority) -> None:
    first = ClientCertificates().after(named(example, public.issue(FE1)), NOW)
    assert first.after(named(example), NOW).identities == ()


def test_certificate_with_an_address_beside_our_name_is_used(example: Organisation, public: Authority) -> None:
    made = public.issue(FE1, names=[x509.IPAddress(ip_address("127.0.0.1"))])
    assert ClientCertificates().after(named(example, made), NOW).identities
