"""Which certificate a client gets: by name, by address, and by the type of its key."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from sipmesh.transport.tls.certificate_choice import CertificateChoice, holds, names_of

if TYPE_CHECKING:
    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority

HERE = "192.0.2.1"


@pytest.fixture(name="rsa_twin", scope="module")
def _rsa_twin(ca: Authority) -> Identity:
    return ca.issue("here.test", file="twin", key=rsa.generate_private_key(65537, 2048))


@pytest.fixture(name="public", scope="module")
def _public(other_ca: Authority) -> Identity:
    return other_ca.issue("example.com", file="public", names=[x509.DNSName("*.Example.com")])


@pytest.fixture(name="numbered", scope="module")
def _numbered(ca: Authority) -> Identity:
    return ca.issue("here.test", file="numbered", names=[x509.IPAddress(ip_address(HERE))])


@pytest.mark.parametrize("name", ["example.com", "EXAMPLE.com", "sip.example.com"])
def test_name_of_another_certificate_gets_that(here: Identity, public: Identity, name: str) -> None:
    assert CertificateChoice(here, [public]).of(name, HERE) == (public,)


@pytest.mark.parametrize("name", ["", "here.test", "evil.test", "a.b.example.com", "\ufffd", "com"])
def test_any_other_name_gets_our_own(here: Identity, public: Identity, name: str) -> None:
    choice = CertificateChoice(here, [public])
    assert choice.of(name, HERE) == choice.by_default == (here,)


def test_name_that_is_left_out_gets_our_own(here: Identity, other_ca: Authority) -> None:
    """A wildcard of a public CA would hold the names of all servers."""
    public = other_ca.issue("here.test", file="limited", names=[x509.DNSName("here.test"), x509.DNSName("*.here.test")])
    choice = CertificateChoice(here, [replace(public, only=frozenset({"sip.here.test"}))])
    assert choice.of("sip.here.test", HERE)[0].leaf == public.leaf
    assert choice.of("here.test", HERE) == choice.of("fe1.here.test", HERE) == choice.of("", HERE) == (here,)


def test_our_own_certificate_is_not_used_beside_that_of_another_ca(
    here: Identity, rsa_twin: Identity, other_ca: Authority
) -> None:
    """A client would get one or the other by its algorithms, which say nothing of the CAs that it knows."""
    public = other_ca.issue("here.test", file="rsa", key=rsa.generate_private_key(65537, 2048))
    choice = CertificateChoice(here, [public])
    assert (choice.of("here.test", HERE), choice.of("", HERE)) == ((public,), (here,))
    assert set(CertificateChoice(here, [rsa_twin]).of("here.test", HERE)) == {here, rsa_twin}


def test_first_certificate_of_the_topology_counts(here: Identity, other_ca: Authority, public: Identity) -> None:
    newer = other_ca.issue("example.com", file="newer")
    assert CertificateChoice(here, [newer, public]).of("example.com", HERE) == (newer,)
    assert CertificateChoice(here, [public, newer]).of("example.com", HERE) == (public,)


def test_rsa_certificate_with_our_name_is_used_beside_our_own(
    here: Identity, rsa_twin: Identity, public: Identity
) -> None:
    choice = CertificateChoice(here, [public, rsa_twin])
    assert choice.by_default == (here, rsa_twin)
    assert set(choice.of("here.test", HERE)) == {here, rsa_twin}
    assert choice.of("example.com", HERE) == (public,)


@pytest.mark.parametrize("name", ["", HERE])
def test_client_that_was_given_an_address_gets_the_certificate_that_holds_it(
    here: Identity, numbered: Identity, name: str
) -> None:
    choice = CertificateChoice(here, [numbered])
    assert choice.of(name, HERE) == (numbered,)
    assert choice.of("", "192.0.2.2") == (here,)


def test_name_counts_before_the_address(here: Identity, public: Identity, numbered: Identity) -> None:
    assert CertificateChoice(here, [numbered, public]).of("example.com", HERE) == (public,)


def test_names_are_in_lower_case_and_addresses_beside_them(public: Identity, numbered: Identity) -> None:
    assert names_of(public.leaf) == {"example.com", "*.example.com"}
    assert names_of(numbered.leaf) == {"here.test", HERE}


def test_wildcard_stands_for_one_label() -> None:
    """RFC 9525 section 6.3."""
    names = frozenset({"*.example.com"})
    assert holds(names, "a.example.com")
    assert not holds(names, "a.b.example.com")
    assert not holds(names, "example.com")
