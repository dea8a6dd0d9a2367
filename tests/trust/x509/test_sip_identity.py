"""RFC 5922 7.1, with names that another implementation has accepted by mistake."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.demo.forge import Forge, Wish
from sipmesh.trust.x509.certificate import UNREADABLE, MalformedCertificateError, read_certificate
from sipmesh.trust.x509.sip_identity import Identities, identities, is_host_name, uri_host
from support.examples import examples
from trust.network import NOON

FORGE = Forge(NOON)


def found(*, cn: str = "a server", dns: tuple[str, ...] = (), uris: tuple[str, ...] = ()) -> Identities:
    """The identities of a certificate with these names."""
    return identities(FORGE.forge(Wish(cn, dns=dns, uris=uris)).certificate)


@pytest.mark.parametrize("letter", ["\u212a", "\u017f", "\u0130"])
def test_unicode_letter_that_folds_to_ascii_is_refused(letter: str) -> None:
    """A subjectAltName is ASCII, and other engines compare octets: here the Kelvin sign must be no k either."""
    wide = len(letter.encode())
    for dns, uris in ((("k" * wide + "x.test",), ()), ((), ("sip:" + "k" * wide + "x.test",))):
        der = FORGE.forge(Wish("a server", dns=dns, uris=uris)).certificate.public_bytes(Encoding.DER)
        forged = x509.load_der_x509_certificate(der.replace(b"k" * wide + b"x.test", letter.encode() + b"x.test"))
        assert identities(forged).usable == ()


@pytest.mark.parametrize(
    ("dns", "uris", "usable"),
    [
        ((), ("sip:example.test",), ("example.test",)),
        ((), ("SIP:Example.TEST",), ("example.test",)),
        ((), ("sip:example.test:5061;transport=tls",), ("example.test",)),
        (("example.test", "other.test"), (), ("example.test", "other.test")),
        (("EXAMPLE.test",), (), ("example.test",)),
        (("other.test",), ("sip:example.test",), ("example.test",)),
        (("example.test",), ("https://web.test",), ("example.test",)),
        (("example.test",), ("sip:example.test", "sip:example.test"), ("example.test",)),
    ],
)
def test_sip_uris_come_first_and_dns_names_count_only_without_them(
    dns: tuple[str, ...], uris: tuple[str, ...], usable: tuple[str, ...]
) -> None:
    assert found(dns=dns, uris=uris).usable == usable


@pytest.mark.parametrize(
    "uri",
    [
        "sip:alice@example.test",
        "sip:@example.test",
        "https://example.test",
        "sips:example.test",
        "xmpp:example.test",
        "sip:*.example.test",
        "sip:",
        "sip://example.test",
        "sip:example.test:port",
        "sip:192.0.2.1",
        "sip:[2001:db8::1]",
        "sip:exa mple.test",
        "sip:example.test.",
        "sip:example%2etest",
        "not a uri",
        "",
    ],
)
def test_uri_that_is_not_a_sip_domain_is_ignored_with_a_reason(uri: str) -> None:
    told = found(uris=(uri,))
    assert told.usable == ()
    assert f"URI:{uri}" in [name for name, _why in told.ignored]


@pytest.mark.parametrize("name", ["*.example.test", "*", "example..test", ".example.test", "192.0.2.1", "-a.test", ""])
def test_dns_name_that_is_not_a_host_name_is_ignored(name: str) -> None:
    assert found(dns=(name,)).usable == ()
    assert found(dns=("good.test",)).usable == ("good.test",)


def test_a_users_certificate_does_not_fall_back_to_its_dns_name() -> None:
    """Its SIP URI is unusable, and still hides the DNS name: the certificate is alice's, not the domain's."""
    assert found(dns=("example.test",), uris=("sip:alice@example.test",)).usable == ()


def test_common_name_is_always_ignored() -> None:
    assert found(cn="example.test").usable == ()
    assert found(cn="example.test", dns=("other.test",)).usable == ("other.test",)
    assert found(cn="example.test").ignored == (("CN:example.test", "the common name is never an identity"),)


def test_a_dns_name_beside_a_different_sip_uri_is_reported_as_ignored() -> None:
    told = found(dns=("example.test", "other.test"), uris=("sip:example.test",))
    assert [name for name, _why in told.ignored] == ["DNS:other.test", "CN:a server"]


def test_an_ip_address_is_reported_by_its_kind() -> None:
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = FORGE.forge(Wish(critical=(names,))).certificate
    assert ("IP:127.0.0.1", "only the sip scheme names a SIP domain") in identities(certificate).ignored


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("sip:Example.test;lr", "example.test"),
        ("sip:alice@example.test:5061", "example.test"),
        ("https://www.example.test/path?q", "www.example.test"),
        ("sip:[2001:db8::1]:5061", "[2001:db8::1]"),
        ("urn:example:a", None),
        ("mailto:alice@example.test", None),
        ("no colon", None),
        ("", None),
    ],
)
def test_the_host_of_a_uri_is_what_a_name_constraint_looks_at(uri: str, host: str | None) -> None:
    assert uri_host(uri) == host


@pytest.mark.parametrize(("text", "good"), [("a" * 63 + ".test", True), ("a" * 64 + ".test", False)])
def test_a_label_has_at_most_63_letters(text: str, *, good: bool) -> None:
    assert is_host_name(text) is good


@pytest.mark.parametrize(("length", "good"), [(253, True), (254, False)])
def test_a_name_has_at_most_253_letters(length: int, *, good: bool) -> None:
    assert is_host_name(("a." * 200)[: length - 1].rstrip(".").ljust(length, "a")) is good


DER = FORGE.forge(Wish(names=("example.test",), ends=timedelta(days=1))).certificate.public_bytes(Encoding.DER)


@examples(300)
@given(at=st.integers(0, len(DER) - 1), byte=st.integers(0, 255), cut=st.integers(0, 3))
def test_identities_never_raise_for_any_content_of_the_certificate(at: int, byte: int, cut: int) -> None:
    """A certificate that cannot be loaded has an error of its own; any other has identities, perhaps none."""
    der = DER[:at] + bytes([byte]) + DER[at + 1 + cut :]
    try:
        certificate = x509.load_der_x509_certificate(der)
    except UNREADABLE:
        with pytest.raises(MalformedCertificateError):
            read_certificate(der)
        return
    assert isinstance(identities(certificate), Identities)
