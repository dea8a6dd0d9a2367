"""Name constraints, with what neither engine does: DNS constraints on SIP URIs, and URI constraints at all."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from sipmesh.demo.forge import Forge
from sipmesh.trust.x509.name_constraints import has_unread_constraint, violations
from trust.network import NOON

FORGE = Forge(NOON)
ROOT = FORGE.root("root")
Names = tuple[x509.GeneralName, ...]


def dns(name: str) -> x509.GeneralName:
    """A DNS name, or a DNS constraint."""
    return x509.DNSName(name)


def uri(name: str) -> x509.GeneralName:
    """A URI, or a URI constraint."""
    return x509.UniformResourceIdentifier(name)


def name(*organisations: str) -> x509.GeneralName:
    """A directory name, or a constraint on such."""
    return x509.DirectoryName(
        x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, one) for one in organisations])
    )


def path(
    held: x509.GeneralName, *, permitted: Names = (), excluded: Names = ()
) -> tuple[x509.Certificate, x509.Certificate, x509.Certificate]:
    """A path whose leaf has one name, under a CA with these constraints."""
    authority = FORGE.authority("CA", ROOT, permitted=permitted, excluded=excluded)
    leaf = FORGE.server(authority, common_name="", critical=(x509.SubjectAlternativeName([held]),))
    return leaf.certificate, authority.certificate, ROOT.certificate


@pytest.mark.parametrize(
    ("held", "base", "within"),
    [
        (dns("a.test"), dns("a.test"), True),
        (dns("A.test"), dns("a.TEST"), True),
        (dns("sip.a.test"), dns("a.test"), True),
        (dns("ba.test"), dns("a.test"), False),
        (dns("a.test"), dns("sip.a.test"), False),
        (dns("*.a.test"), dns("a.test"), True),
        (dns("a.test"), dns(""), True),
        (dns("a.test"), dns(".a.test"), False),  # a leading period is no DNS constraint: nothing is permitted by it
        (uri("sip:a.test"), dns("a.test"), True),
        (uri("sips:x.a.test:5061"), dns("a.test"), True),
        (uri("sip:b.test"), dns("a.test"), False),
        (uri("sip:"), dns("a.test"), False),
        (uri("https://b.test/"), dns("a.test"), True),  # no concern of a DNS constraint
        (uri("sip:a.test"), uri("a.test"), True),
        (uri("https://a.test/x"), uri("a.test"), True),
        (uri("sip:sip.a.test"), uri("a.test"), False),  # a host, not a domain (RFC 5280 4.2.1.10)
        (uri("sip:sip.a.test"), uri(".a.test"), True),
        (uri("sip:a.test"), uri(".a.test"), False),
        (uri("urn:x:a.test"), uri("a.test"), False),  # no host: must be rejected
        (uri("https://192.0.2.1/"), uri("192.0.2.1"), False),
        (dns("b.test"), uri("a.test"), True),  # no concern of a URI constraint
        (x509.IPAddress(ip_address("192.0.2.1")), dns("a.test"), True),
        (x509.IPAddress(ip_address("192.0.2.1")), x509.IPAddress(ip_network("192.0.2.0/24")), True),
        (x509.IPAddress(ip_network("192.0.2.0/24")), x509.IPAddress(ip_network("192.0.2.0/24")), False),  # no address
        (x509.IPAddress(ip_address("192.0.3.1")), x509.IPAddress(ip_network("192.0.2.0/24")), False),
        (x509.IPAddress(ip_address("2001:db8::1")), x509.IPAddress(ip_network("0.0.0.0/0")), False),
        (x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), False),
        (x509.RFC822Name("a@a.test"), x509.RFC822Name("A.test"), True),
        (x509.RFC822Name("a@x.a.test"), x509.RFC822Name("a.test"), False),  # a host, as for URIs
        (x509.RFC822Name("a@x.a.test"), x509.RFC822Name(".a.test"), True),
        (x509.RFC822Name("a@a.test"), x509.RFC822Name(".a.test"), False),
        (x509.RFC822Name("a@A.test"), x509.RFC822Name("a@a.test"), True),
        (x509.RFC822Name("A@a.test"), x509.RFC822Name("a@a.test"), False),
        (x509.RFC822Name("a.test"), x509.RFC822Name("a.test"), False),
        (name("A", "b"), name("A"), True),
        (name("A"), name("A"), True),
        (name(" a ", "b"), name("A"), True),  # RFC 5280 7.1
        (name("A"), name("A", "b"), False),
        (name("B"), name("A"), False),
    ],
)
def test_a_permitted_subtree_refuses_every_name_of_its_kind_outside(
    held: x509.GeneralName, base: x509.GeneralName, *, within: bool
) -> None:
    assert (violations(path(held, permitted=(base,))) == []) is within


@pytest.mark.parametrize(
    ("held", "base", "free"),
    [
        (dns("a.test"), dns("a.test"), False),
        (dns("sip.a.test"), dns("a.test"), False),
        (dns("b.test"), dns("a.test"), True),
        (dns("*.a.test"), dns("sip.a.test"), False),  # the wildcard reaches into what is excluded
        (dns("*.b.test"), dns("sip.a.test"), True),
        (dns("b.test"), dns(""), False),
        (dns("b.test"), dns(".a.test"), False),  # unreadable: in doubt excluded
        (uri("sip:a.test"), dns("a.test"), False),
        (uri("sip:b.test"), dns("a.test"), True),
        (uri("sip:a.test"), uri("a.test"), False),
        (uri("sip:x.a.test"), uri(".a.test"), False),
        (uri("sip:b.test"), uri("a.test"), True),
        (uri("urn:x:y"), uri("a.test"), False),
        (x509.IPAddress(ip_address("192.0.2.1")), x509.IPAddress(ip_network("0.0.0.0/0")), False),
        (dns("a.test"), x509.IPAddress(ip_network("0.0.0.0/0")), True),
        (x509.RFC822Name("a@a.test"), x509.RFC822Name("a.test"), False),
        (x509.RFC822Name("a@b.test"), x509.RFC822Name("a.test"), True),
        (x509.RFC822Name("a.test"), x509.RFC822Name("b.test"), False),  # in doubt excluded
        (name("A", "b"), name("a"), False),
        (name("B"), name("A"), True),
    ],
)
def test_an_excluded_subtree_refuses_every_name_of_its_kind_inside(
    held: x509.GeneralName, base: x509.GeneralName, *, free: bool
) -> None:
    assert (violations(path(held, excluded=(base,))) == []) is free


def test_a_violation_names_the_authority_the_limit_and_the_name() -> None:
    assert violations(path(uri("sip:b.test"), permitted=(dns("a.test"),))) == [
        "CN=CA permits only DNS:a.test, not URI:sip:b.test"
    ]


def test_constraints_of_the_anchor_bind_too() -> None:
    root = FORGE.root("root", permitted=(dns("a.test"),))
    for name, wrong in (("a.test", 0), ("b.test", 2)):
        assert len(violations((FORGE.server(root, name).certificate, root.certificate))) == wrong


def test_only_what_the_second_engine_does_not_read_makes_it_blind() -> None:
    assert has_unread_constraint(path(dns("a.test"), permitted=(uri("a.test"),)))
    assert has_unread_constraint(path(dns("a.test"), excluded=(uri("b.test"),)))
    assert has_unread_constraint(path(dns("a.test"), excluded=(name("A"),)))
    assert not has_unread_constraint(path(dns("a.test"), permitted=(dns("a.test"),)))


def test_a_directory_constraint_binds_the_subject_where_there_is_one() -> None:
    authority = FORGE.authority("CA", ROOT, permitted=(name("A"),))
    for common_name, wrong in (("a.test", 1), ("", 0)):
        leaf = FORGE.server(authority, "a.test", common_name=common_name)
        assert len(violations((leaf.certificate, authority.certificate, ROOT.certificate))) == wrong


def test_an_email_address_in_the_subject_is_bound_too() -> None:
    """RFC 5280 4.2.1.10."""
    authority = FORGE.authority("CA", ROOT, permitted=(x509.RFC822Name("a.test"),))
    for address, wrong in (("x@a.test", 0), ("x@b.test", 1), ("ü@a.test", 1), ("x <x@a.test>", 1)):
        subject = x509.Name([x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, address)])
        now = x509.CertificateBuilder().not_valid_before(NOON).not_valid_after(NOON).serial_number(1)
        builder = now.subject_name(subject).issuer_name(authority.certificate.subject).public_key(ROOT.key.public_key())
        leaf = builder.sign(authority.key, SHA256())
        assert len(violations((leaf, authority.certificate, ROOT.certificate))) == wrong
